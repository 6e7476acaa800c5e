"""Requests and answers of the embedding subnet, as they travel.

A request is a JSON object, posted to `/v1/embed` under signed headers; the answer is one JSON
object with a base64 string of little-endian float32 for every text, the usage and the receipt,
whose evidence is the hash of the vectors.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from ganglion.wire import fields, receipts
from ganglion.wire.fields import BadMessage
from ganglion.wire.receipts import BadReceipt, SignedReceipt

PATH = "/v1/embed"
ID_SIZE = 16
MAX_TEXTS = 256
MAX_CHARACTERS = 65_536
KNOWN = frozenset({"id", "model", "texts"})

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """One order for vectors."""

    id: bytes
    model: str
    texts: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """The body to sign and send."""
        return orjson.dumps({"id": "0x" + self.id.hex(), "model": self.model, "texts": self.texts})

    @classmethod
    def from_bytes(cls, body: bytes) -> EmbedRequest:
        """Parse a stranger's request; BadMessage names the first field that is wrong."""
        given = fields.load_object(body)
        fields.only(given, KNOWN)
        texts = fields.strings(given, "texts", MAX_TEXTS, MAX_CHARACTERS)
        if not texts:
            raise BadMessage("texts is empty: there is nothing to embed")
        identity = fields.hexadecimal(given, "id", ID_SIZE)
        return cls(identity, fields.text(given, "model", 200), texts)


def vector_bytes(vectors: Vectors) -> list[bytes]:
    """Each row as little-endian float32: what travels and what the receipt hashes."""
    return [row.astype("<f4").tobytes() for row in vectors]


def evidence(parts: Sequence[bytes]) -> bytes:
    """The hash of the vectors in the receipt."""
    return receipts.evidence_of(parts)


def answer_json(parts: Sequence[bytes], signed: SignedReceipt) -> dict[str, Any]:
    """The answer as it travels."""
    return {
        "vectors": [base64.b64encode(part).decode() for part in parts],
        "usage": {"prompt_tokens": signed.receipt.prompt_tokens},
        "receipt": signed.to_json(),
    }


@dataclass(frozen=True, slots=True)
class EmbedAnswer:
    """What came back: vectors [texts, width], the billed tokens, the receipt; not believed yet."""

    vectors: Vectors
    prompt_tokens: int
    signed: SignedReceipt

    @classmethod
    def from_bytes(cls, body: bytes, texts: int, width: int | None = None) -> EmbedAnswer:
        """Parse an answer for `texts` texts of a model with `width` numbers a vector, if known."""
        given = fields.load_object(body)
        rows, usage = given.get("vectors"), given.get("usage")
        if not isinstance(rows, list) or len(rows) != texts or not isinstance(usage, dict):
            raise BadMessage(f"an answer holds {texts} vectors and the usage")
        try:
            raw = [base64.b64decode(row, validate=True) for row in rows]
            signed = SignedReceipt.from_json(given.get("receipt"))
        except (binascii.Error, TypeError, ValueError, BadReceipt) as e:
            raise BadMessage(f"the answer cannot be read: {e}") from e
        size = len(raw[0]) if width is None else 4 * width
        if not size or size % 4 or any(len(row) != size for row in raw):
            raise BadMessage(f"every vector must have {width or 'as many'} numbers")
        vectors = np.stack([np.frombuffer(row, "<f4") for row in raw])
        if not np.isfinite(vectors).all():
            raise BadMessage("a vector holds an infinity or NaN")
        counted = fields.integer(usage, "prompt_tokens", 0, (1 << 31) - 1, None)
        return cls(vectors, counted, signed)

    def check_bill(self) -> None:
        """Raise BadReceipt unless the miner has signed what it bills."""
        if self.signed.receipt.prompt_tokens != self.prompt_tokens:
            raise BadReceipt("the receipt counts other tokens than the bill")
