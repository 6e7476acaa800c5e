"""What the chain, miners and judges must agree on about a request from the chain.

An order is the request as a miner reads it; its hash is the `request` of every receipt about it,
and the beginning of it the nonce of the seed. The seed is bound to who answers and to the block in
which the last of them was found, so nobody could answer, or choose a question, before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from ganglion.hashing import blake2_256
from ganglion.scale import AtMost, Fixed, codec, u16, u32, u64
from ganglion.units import AccountId, BlockNumber, Hash, NetUid, Rao
from ganglion.wire.seeds import draw_seed

ORDER_DOMAIN = b"ganglion/order/1"
COMMIT_DOMAIN = b"ganglion/commit/1"
SALT_DOMAIN = b"ganglion/salt/1"
MAX_MODEL = 96
NONCE_SIZE = 16
MAX_OUTPUT = 4_096
"""Bytes of the longest output that the chain keeps."""
MOST_SEATS = 7
Output = Annotated[bytes, AtMost(MAX_OUTPUT)]
Digest = Annotated[bytes, Fixed(32)]


@dataclass(frozen=True, slots=True)
class Order:
    """A request as miners answer it. `content` is blake2-256 of the input, `temperature` in
    thousandths."""

    genesis: Digest
    id: u64
    requester: Digest
    netuid: u16
    model: Annotated[bytes, AtMost(MAX_MODEL)]
    content: Digest
    max_tokens: u32
    temperature: u16

    def to_bytes(self) -> bytes:
        """What a receipt's `request` is the hash of."""
        return ORDER_DOMAIN + ORDER.encode(self)

    def digest(self) -> bytes:
        """The hash that names the order in receipts."""
        return blake2_256(self.to_bytes())

    def seed(self, block_hash: bytes, miners: Sequence[bytes]) -> bytes:
        """The seed for one miner, or the one that several share."""
        who = miners[0] if len(miners) == 1 else blake2_256(b"".join(miners))
        return draw_seed(self.digest()[:NONCE_SIZE], self.requester, who, block_hash)


ORDER = codec(Order)


def commitment(salt: bytes, receipt: bytes, output: bytes) -> bytes:
    """What a miner commits to before any answer is shown.

    `receipt` is the signing hash of its receipt, which names the miner and the order: what another
    has committed to is of no use to anybody else.
    """
    return blake2_256(COMMIT_DOMAIN + salt + receipt + blake2_256(output))


def derive_salt(secret: bytes, order: bytes) -> bytes:
    """A miner's salt for an order: it alone knows it, and knows it again after a restart."""
    return blake2_256(SALT_DOMAIN + secret + order)


def cut(text: str) -> bytes:
    """A text as an answer carries it: UTF-8, and whole characters up to the longest output."""
    raw = text.encode()
    return raw if len(raw) <= MAX_OUTPUT else raw[:MAX_OUTPUT].decode(errors="ignore").encode()


# -- what the chain keeps of an answer, and proves -------------------------------------------------


class Verdict(IntEnum):
    """How a miner's answer compares to the one that was taken."""

    Agreed = 0
    Dissented = 1
    Missed = 2


@dataclass(frozen=True, slots=True)
class Part:
    """What one miner showed, in which class, and what came of it."""

    hotkey: AccountId
    verdict: Verdict
    receipt: Hash | None
    output: Hash | None
    exact: bool


@dataclass(frozen=True, slots=True)
class Result:
    """An answer. `order` and the hash of the block `started` give the seed."""

    requester: AccountId
    netuid: NetUid
    model: Annotated[bytes, AtMost(MAX_MODEL)]
    order: Hash
    started: BlockNumber
    decided: BlockNumber
    output: Output
    parts: Annotated[tuple[Part, ...], AtMost(MOST_SEATS)]
    deposit: Rao


RESULT = codec(Result)
