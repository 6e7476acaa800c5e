"""Judging what a gateway of the same operator delivered: real requests, chosen after the answer.

The gateway keeps a share of its requests in its database; they were signed with this validator's
hotkey, so the same judge applies as to probes.
"""

from __future__ import annotations

import orjson

from ganglion.inference import ANY_MODEL
from ganglion.keys import Keypair
from ganglion.wire.call import Target
from ganglion.wire.fields import BadMessage
from ganglion.wire.receipts import BadReceipt, SignedReceipt
from ganglion.wire.text import TextAnswer, TextRequest
from neurons.gateway.store import Store
from neurons.validator.examiner import TextExaminer
from neurons.validator.rounds import unbroken
from subnets.verdict import Reason, Verdict

MOST = 8
"""Samples judged in one round."""


class OrganicChecks:
    """Samples from a gateway's database, judged by an examiner."""

    def __init__(self, store: Store, examiner: TextExaminer, netuid: int) -> None:
        self._store, self._examiner, self._netuid = store, examiner, netuid

    async def round(self) -> list[tuple[str, Verdict]]:
        """Verdicts on samples nobody judged yet, as (hotkey, verdict)."""
        rows = await self._store.take_samples(self._netuid, MOST)
        return [(row["miner"], await unbroken(self._judge(row), row["miner"])) for row in rows]

    async def _judge(self, row: dict[str, object]) -> Verdict:
        body, hotkey = row["body"], str(row["miner"])
        assert isinstance(body, bytes)
        try:
            request = TextRequest.from_bytes(body)
            answer = stored_answer(row["answer"])
        except (BadMessage, BadReceipt, LookupError, TypeError) as e:
            return Verdict(Reason.OURS, f"the stored sample cannot be read: {e}")
        if request.model not in (self._examiner.entry.name, ANY_MODEL):
            return Verdict(Reason.OURS, f"{request.model[:80]} is not what is judged here")
        signer = Keypair.from_public(hotkey)
        return await self._examiner.judge(Target(signer.address, "", 0), request, body, answer)


def stored_answer(value: object) -> TextAnswer:
    """An answer as the gateway keeps it. BadMessage, BadReceipt or LookupError if it is none."""
    given = orjson.loads(orjson.dumps(value))
    signed = SignedReceipt.from_json(given["receipt"])
    return TextAnswer(
        tokens=list(given["tokens"]),
        pieces=[str(given["text"])],
        finish=signed.receipt.finish,
        prompt_tokens=int(given["prompt_tokens"]),
        completion_tokens=int(given["completion_tokens"]),
        signed=signed,
        cached_tokens=int(given.get("cached_tokens", 0)),
    )
