"""Tasks and results of jobs and intents, of which the chain knows the hashes alone. Sans-IO.

A task is a JSON object with the fields of a text request that say what is wanted; the rest of the
request follows from the name of the job or intent, so that a miner makes the same answer again
after a restart, and everybody who has the task can say what was asked. A result is the answer with
the miner's signed receipt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from ganglion.hashing import blake2_256
from ganglion.wire import fields, receipts
from ganglion.wire.fields import BadMessage
from ganglion.wire.receipts import BadReceipt, Expected, SignedReceipt
from ganglion.wire.text import ID_SIZE, TextAnswer, TextRequest

JOB_PATH = "/v1/job"
INTENT_PATH = "/v1/intent"
JOB_DOMAIN = b"ganglion/job/1"
SEED_DOMAIN = b"ganglion/task/1"
MAX_TASK = 1 << 20
"""Bytes of the longest task."""
KNOWN = frozenset(
    {
        "messages",
        "prompt",
        "tokens",
        "max_tokens",
        "temperature",
        "top_k",
        "top_p",
        "stop",
        "seed",
    }
)


def job_name(genesis: bytes, number: int) -> bytes:
    """The 32 bytes that name a job of a chain; an intent has a name of its own."""
    return blake2_256(JOB_DOMAIN + genesis + number.to_bytes(8, "little"))


def request_of(task: bytes, model: str, name: bytes) -> TextRequest:
    """What a task asks of a model under the name of its job or intent; BadMessage."""
    if len(task) > MAX_TASK:
        raise BadMessage(f"a task has at most {MAX_TASK} bytes")
    given = fields.load_object(task)
    fields.only(given, KNOWN)
    given.setdefault("seed", "0x" + blake2_256(SEED_DOMAIN + name).hex())
    whole = {**given, "id": "0x" + name[:ID_SIZE].hex(), "model": model}
    return TextRequest.from_bytes(orjson.dumps(whole))


@dataclass(frozen=True, slots=True)
class Result:
    """A whole answer."""

    text: str
    signed: SignedReceipt

    @classmethod
    def of(cls, answer: TextAnswer) -> Result:
        """Of an answer that is complete; BadReceipt if it is not."""
        answer.check_bill()
        assert answer.signed is not None
        return cls(answer.text, answer.signed)

    def to_bytes(self) -> bytes:
        """The bytes whose hash goes on the chain."""
        body: dict[str, Any] = {"text": self.text, "receipt": self.signed.to_json()}
        return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)

    @classmethod
    def from_bytes(cls, body: bytes) -> Result:
        """Read a stranger's; BadMessage."""
        given = fields.load_object(body)
        try:
            signed = SignedReceipt.from_json(given.get("receipt"))
        except BadReceipt as e:
            raise BadMessage(str(e)) from e
        return cls(fields.text(given, "text", fields.MAX_BODY), signed)

    def check(
        self, genesis: bytes, netuid: int, payer: bytes, miner: bytes, asked: TextRequest
    ) -> None:
        """Raise BadReceipt unless the miner signed an answer to exactly this request."""
        about = (genesis, netuid, blake2_256(asked.to_bytes()), payer, miner)
        weights, seed = self.signed.receipt.weights, asked.sampling.seed
        receipts.check(self.signed, Expected(*about, weights, seed))
