"""Judging what miners answered on the chain: the same answer is made again, bit by bit.

Only answers of the exact class are judged, and only those to requests that came while this
validator looked. What is on the chain is paid already; a wrong answer costs weight.
"""

from __future__ import annotations

import logging

from ganglion import requests
from ganglion.requests import PALLET, RequestFacts, ResultFacts, request_facts, result_facts
from neurons.chain_answers import OTHER, SAME_TEXT, CannotCheck, Checked, check_result
from neurons.chainlink import ChainLink, ChainProblem
from neurons.miner.textgen import TextService
from subnets.verdict import Reason, Verdict

log = logging.getLogger("validator")

MOST = 4
"""Requests whose answers are made again in one round."""
MOST_WAITING = 256
"""Requests that are waited for; of more, the newest."""


class ChainChecks:
    """The answers of one subnet's miners to requests from the chain."""

    def __init__(self, chain: ChainLink, service: TextService) -> None:
        self._chain, self._service = chain, service
        self._next: int | None = None
        self._waiting: list[int] = []
        self._ready: list[ResultFacts] = []

    async def check_chain(self) -> None:
        """ChainProblem on a chain that takes no requests."""
        try:
            await self._chain.client.constant(PALLET, "MaxSeats")
        except LookupError as e:
            raise ChainProblem("this chain takes no requests: leave out --chain-answers") from e

    async def round(self) -> list[tuple[str, Verdict]]:
        """Verdicts on answers that nobody judged yet, as (hotkey, verdict)."""
        await self._look()
        found = []
        for result in self._ready[:MOST]:
            try:
                checked = await check_result(self._chain.client, result, self._service)
            except CannotCheck as e:
                log.info("answers to request %d are not judged: %s", result.number, e)
            else:
                found += [(one.hotkey, verdict_on(result.number, one)) for one in checked]
        del self._ready[:MOST]
        return found

    async def _look(self) -> None:
        """Which requests came, and which of them have answers."""
        head = await self._chain.client.at_head()
        after = int(await head.query(PALLET, "NextRequestId"))
        if self._next is None:  # what was answered before belongs to the rounds before
            self._waiting = [facts.number for facts in await requests.every(head)]
        else:
            self._waiting += range(self._next, after)
        self._next = after
        self._waiting = self._waiting[-MOST_WAITING:]
        wanted = [(PALLET, item, n) for n in self._waiting for item in ("Results", "Requests")]
        values = await head.query_many(wanted) if wanted else []
        still = []
        for number, result, pending in zip(self._waiting, values[::2], values[1::2]):
            if result is not None:
                self._take(result_facts(number, result))
            elif pending is not None and self._is_ours(request_facts(number, pending)):
                still.append(number)
        self._waiting = still

    def _is_ours(self, facts: RequestFacts | ResultFacts) -> bool:
        return (facts.netuid, facts.model) == (self._chain.netuid, self._service.card.name)

    def _take(self, result: ResultFacts) -> None:
        if self._is_ours(result) and any(part.exact for part in result.parts):
            self._ready.append(result)


def verdict_on(number: int, one: Checked) -> Verdict:
    """What a remade answer says of its miner."""
    if one.found is None:
        return Verdict(Reason.OURS, f"request {number}: nothing to judge")
    if one.found == OTHER:
        return Verdict(Reason.SAMPLING, f"request {number}: another text than the seed demands")
    if one.found == SAME_TEXT:
        return Verdict(Reason.RECEIPT, f"request {number}: a receipt of another computation")
    return Verdict(Reason.OK)
