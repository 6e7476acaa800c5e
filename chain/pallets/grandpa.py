"""Grandpa (pallet 4): the finality voters and scheduled changes. Upstream: pallet_grandpa."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from chain.runtime.errors import Errors, ensure, error
from chain.runtime.pallet import Constant, Pallet, constant, event, on_finalize
from chain.runtime.state import State
from chain.runtime.storage import Map, Twox, Value, storage
from chain.runtime.types import Consensus
from ganglion.scale import (
    AtMost,
    Enumeration,
    Fixed,
    codec,
    scale_type,
    u32,
    u64,
    variant,
)
from ganglion.units import BlockNumber

GrandpaId = Annotated[bytes, Fixed(32)]
AuthorityList = tuple[tuple[GrandpaId, u64], ...]

FRNK = b"FRNK"

MaxAuthorities: Constant[u32] = constant(32)
"""Max authorities in use."""

StoredAuthorities: TypeAlias = Annotated[AuthorityList, AtMost(MaxAuthorities.value, weak=True)]


@scale_type("pallet_grandpa::StoredState")
class StoredState(Enumeration):
    """Whether finality runs."""


@variant(0)
class Live(StoredState):
    """It does."""


@variant(1)
class PendingPause(StoredState):
    """It will stop."""

    scheduled_at: BlockNumber
    delay: BlockNumber


@variant(2, "Paused")
class Paused_(StoredState):
    """It does not."""


@variant(3)
class PendingResume(StoredState):
    """It will start again."""

    scheduled_at: BlockNumber
    delay: BlockNumber


@scale_type("pallet_grandpa::StoredPendingChange")
@dataclass(frozen=True, slots=True)
class StoredPendingChange:
    """An authority change on its way."""

    scheduled_at: BlockNumber
    delay: BlockNumber
    next_authorities: StoredAuthorities
    forced: BlockNumber | None


State_: Value[StoredState] = storage(default=Live())
"""State of the current authority set."""

PendingChange: Value[StoredPendingChange | None] = storage()
"""Pending change: (signaled at, scheduled change)."""

NextForced: Value[BlockNumber | None] = storage()
"""Next block number where we can force a change."""

Stalled: Value[tuple[BlockNumber, BlockNumber] | None] = storage()
"""`true` if we are currently stalled."""

CurrentSetId: Value[u64] = storage(default=0)
"""The number of changes (both in terms of keys and underlying economic responsibilities)."""

SetIdSession: Map[Twox[u64], u32 | None] = storage()
"""A mapping from grandpa set ID to the index of the most recent session for it."""

Authorities: Value[StoredAuthorities] = storage(default=())
"""The current list of authorities."""


@event(0)
class NewAuthorities:
    """New authority set has been applied."""

    authority_set: AuthorityList


class Error(Errors):
    """Errors of a change of voters."""

    ChangePending = error(2, "Attempt to signal GRANDPA change with one already pending.")
    TooSoon = error(3, "Cannot signal forced change so soon after last.")


def schedule_change(
    s: State, now: BlockNumber, next_authorities: AuthorityList, delay: BlockNumber
) -> None:
    """Announce a change of voters `delay` blocks after the block that carries it.

    Raises ChangePending when one is under way.
    """
    ensure(PendingChange not in s, Error.ChangePending)
    s[PendingChange] = StoredPendingChange(now, delay, next_authorities, None)


@on_finalize
def enact(s: State, now: BlockNumber) -> None:
    """Put a new change into the digest, and apply one whose delay is over."""
    change = s[PendingChange]
    if change is None:
        return
    if now == change.scheduled_at:
        body = codec(AuthorityList).encode(change.next_authorities)
        s.logs.append(Consensus(FRNK, b"\1" + body + codec(u32).encode(change.delay)))
    if now == change.scheduled_at + change.delay:
        s[Authorities] = change.next_authorities
        s[CurrentSetId] = s[CurrentSetId] + 1
        s.emit(NewAuthorities(change.next_authorities))
        del s[PendingChange]


pallet = Pallet("Grandpa", __name__).seal()
