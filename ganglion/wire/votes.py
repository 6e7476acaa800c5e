"""What a court and its jurors must agree on: the two sides, and how a vote is hidden.

A juror first commits to its vote. The commitment is bound to the chain, the case, the round and the
juror, so another juror that copies it can never show what is behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from ganglion.hashing import blake2_256
from ganglion.scale import Fixed, codec, u8, u64

DOMAIN = b"ganglion/vote/1"
Digest = Annotated[bytes, Fixed(32)]


class Side(IntEnum):
    """For whom a bond is, a juror votes or a case is decided."""

    Claimant = 0
    Respondent = 1

    @property
    def other(self) -> Side:
        """The opponent."""
        return Side(1 - self)


@dataclass(frozen=True, slots=True)
class Vote:
    """A juror's vote in a round of a case, with the salt that hides it."""

    genesis: Digest
    id: u64
    round: u8
    juror: Digest
    side: Side
    salt: Digest

    def commitment(self) -> bytes:
        """What the juror commits to."""
        return blake2_256(DOMAIN + VOTE.encode(self))


VOTE = codec(Vote)
