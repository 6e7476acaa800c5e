"""Reports that validators make together: each signs what it saw, one in turn brings it all.

The leader is the next validator with a permit every few blocks, so that one that is away delays
a report and no more. It names the round, which is the block that it sees; whoever is asked signs
for that round if its own chain is about there. A leader that leaves some out can do no harm while
it has to bring more than two thirds of the stake.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

import orjson

from ganglion import ss58
from ganglion.errors import GanglionError, UnknownName
from ganglion.wire import fields, observations
from ganglion.wire.call import Caller, CallFailed, Patience, Target
from ganglion.wire.fields import BadMessage
from ganglion.wire.observations import Observation, Quality, SignedObservation
from neurons.chainlink import ChainLink, ChainProblem, View
from neurons.identity import Identity
from neurons.validator.book import Book
from subnets.performance import quality_of

log = logging.getLogger("validator")

PALLET = "Reports"
TURN_BLOCKS = 10
NEAR_BLOCKS = 100
"""How far a round may be from the block that this validator knows."""
PATIENCE = Patience(connect=2.0, total=5.0)


@dataclass(frozen=True, slots=True)
class Rules:
    """The pallet's constants."""

    heartbeat: int
    gap: int
    deviation: int


class Reporter:
    """One validator's part in the reports about its subnet."""

    def __init__(self, chain: ChainLink, caller: Caller, book: Book, identity: Identity) -> None:
        self._chain, self._caller, self._book, self._identity = chain, caller, book, identity
        self._rules: Rules | None = None
        self._known: tuple[int, tuple[Quality, ...]] | None = None
        self.brought = 0
        self.last_problem = ""

    async def check_chain(self) -> None:
        """Read the chain's rules. ChainProblem on a chain that keeps no reports."""
        names = ("Heartbeat", "MinGap", "Deviation")
        try:
            found = [await self._chain.client.constant(PALLET, name) for name in names]
        except UnknownName as e:
            raise ChainProblem("this chain keeps no reports: leave --report out") from e
        self._rules = Rules(*map(int, found))

    async def answer(self, body: bytes) -> bytes:
        """This validator's observation for the round that a leader names; BadMessage if not."""
        given = fields.load_object(body)
        fields.only(given, frozenset({"round"}))
        round_ = fields.integer(given, "round", 0, (1 << 32) - 1, None)
        if self._known is None:
            raise BadMessage("this validator has looked at nobody yet: ask again in a minute")
        block, seen = self._known
        if abs(round_ - block) > NEAR_BLOCKS:
            raise BadMessage(f"round {round_} is far from block {block}, the latest that we saw")
        return self._sign(round_, seen).to_bytes()

    def _sign(self, round_: int, seen: tuple[Quality, ...]) -> SignedObservation:
        who = self._identity
        made = Observation(who.genesis, who.netuid, who.hotkey.public_key, round_, seen)
        return observations.sign(made, who.hotkey)

    async def step(self, view: View) -> None:
        """After a round: remember what was seen; bring a report if it is due and our turn."""
        asks = await self._chain.asks(view)
        prices: dict[str, int] = {}
        for (hotkey, _), ask in asks.items():
            prices[hotkey] = min(ask.completion, prices.get(hotkey, ask.completion))
        seen = tuple(
            quality_of(n.uid, self._book.records[n.hotkey], prices.get(n.hotkey, 0))
            for n in view.graph.neurons
            if n.hotkey in self._book.records and self._book.records[n.hotkey].checks
        )[: observations.MAX_MINERS]
        if not seen:
            return
        self._known = view.block, seen
        try:
            if leader(view) == self._identity.hotkey.address and await self._is_due(view, seen):
                await self._bring(view, seen)
        except GanglionError as e:
            self._complain(f"no report was brought: {e}")

    async def _is_due(self, view: View, seen: tuple[Quality, ...]) -> bool:
        if self._rules is None:
            await self.check_chain()
        assert self._rules is not None
        at = self._chain.client.at(view.block_hash)
        last = await at.query(PALLET, "Reports", self._chain.netuid)
        if last is None:
            return True
        age = view.block - int(last["at"])
        if age >= self._rules.heartbeat:
            return True
        before = {int(m["uid"]): m for m in last["miners"]}
        now = {m.uid: m for m in seen}
        return age >= self._rules.gap and moved(before, now, self._rules.deviation)

    async def _bring(self, view: View, seen: tuple[Quality, ...]) -> None:
        peers = await self._peers(view)
        asked = (self._ask(target, view.block) for target in peers)
        answers = [a for a in await asyncio.gather(*asked) if a is not None]
        chosen = [self._sign(view.block, seen), *answers]
        if not is_quorum(view, [one.observation.validator for one in chosen]):
            self._complain(
                f"no report was brought: {len(chosen)} validators were heard, who hold no more "
                "than two thirds of the stake with a permit"
            )
            return
        await self._chain.report(chosen)
        self.brought, self.last_problem = self.brought + 1, ""
        log.info("block %d: a report of %d validators is on the chain", view.block, len(chosen))

    async def _peers(self, view: View) -> list[Target]:
        """The other validators with a permit that published an address."""
        own = self._identity.hotkey.address
        permitted = {n.hotkey for n in view.graph.neurons if n.validator_permit} - {own}
        where = await self._chain.status_addresses(view)
        return [target for target in where if target.hotkey in permitted]

    async def _ask(self, target: Target, round_: int) -> SignedObservation | None:
        body, netuid = orjson.dumps({"round": round_}), self._chain.netuid
        try:
            raw = await self._caller.fetch(
                target, "POST", observations.PATH, body, PATIENCE, observations.MAX_BYTES
            )
            found = observations.read(raw)
            made = found.observation
            about = made.genesis, made.netuid, made.round, made.validator
            wanted = self._identity.genesis, netuid, round_, ss58.decode(target.hotkey, prefix=None)
            if about != wanted:
                raise BadMessage("it is about another round, subnet or validator")
        except (CallFailed, BadMessage) as e:
            log.info("no observation from %s: %s", target.hotkey, e)
            return None
        return found

    def _complain(self, problem: str) -> None:
        self.last_problem = problem
        log.warning("%s", problem)


def leader(view: View) -> str | None:
    """Whose turn it is at a block: the validators with a permit, one after the other."""
    permitted = sorted(n.hotkey for n in view.graph.neurons if n.validator_permit)
    return permitted[view.block // TURN_BLOCKS % len(permitted)] if permitted else None


def is_quorum(view: View, validators: list[bytes]) -> bool:
    """Whether these hold more than two thirds of the stake with a permit, as of this view; the
    chain counts as of the latest epoch."""
    heard = {ss58.encode(validator) for validator in validators}
    permitted = [n for n in view.graph.neurons if n.validator_permit]
    part = sum(n.stake for n in permitted if n.hotkey in heard)
    return part * 3 > sum(n.stake for n in permitted) * 2


def moved(before: dict[int, dict[str, int]], now: dict[int, Quality], deviation: int) -> bool:
    """Whether a report would be news, by the chain's rule and what this validator saw."""
    if before.keys() != now.keys():
        return True
    names = ("answered", "first_token_ms", "speed", "price")
    pairs = ((int(before[uid][n]), int(getattr(now[uid], n))) for uid in now for n in names)
    return any(abs(a - b) * 1000 > deviation * max(a, b) for a, b in pairs)
