"""Commitments: storage, constants, events and errors. Upstream: pallets/commitments."""

from __future__ import annotations

from typing import Annotated

from chain.pallets.balances_ops import unreserve
from chain.pallets.commitments_types import Registration, RevealFailure, UsageTracker
from chain.runtime.errors import Errors, error
from chain.runtime.pallet import Constant, constant, event
from chain.runtime.state import State, clear_prefix, take
from chain.runtime.storage import Identity, Map, Twox, Value, storage
from ganglion.scale import SORTED_SET, u32, u64
from ganglion.units import AccountId, BlockNumber, NetUid, Rao

MaxFields: Constant[u32] = constant(3)
"""The maximum number of additional fields that can be added to a commitment."""

InitialDeposit: Constant[Rao] = constant(Rao(0))
"""The amount held on deposit for a commitment."""

FieldDeposit: Constant[Rao] = constant(Rao(0))
"""The amount held on deposit per field of a commitment."""

TimelockedIndex: Value[Annotated[tuple[tuple[NetUid, AccountId], ...], SORTED_SET]] = storage(
    default=()
)
"""All commitments that have at least one timelocked field, sorted."""

CommitmentOf: Map[Identity[NetUid], Twox[AccountId], Registration | None] = storage()
"""The commitment of a hotkey on a subnet."""

LastCommitment: Map[Identity[NetUid], Twox[AccountId], BlockNumber | None] = storage()
"""When a hotkey committed last."""

LastBondsReset: Map[Identity[NetUid], Twox[AccountId], BlockNumber | None] = storage()
"""When a hotkey asked for its bonds to be reset last."""

RevealedCommitments: Map[
    Identity[NetUid], Twox[AccountId], tuple[tuple[bytes, u64], ...] | None
] = storage()
"""The last ten opened fields of a hotkey, each with its block."""

UsedSpaceOf: Map[Identity[NetUid], Twox[AccountId], UsageTracker | None] = storage()
"""How many bytes a hotkey committed in its subnet's epoch."""

MaxSpace: Value[u32] = storage(default=3100)
"""How many bytes a hotkey may commit in an epoch."""


@event(0)
class Commitment:
    """A commitment was set."""

    netuid: NetUid
    who: AccountId


@event(1)
class TimelockCommitment:
    """A timelock-encrypted commitment was set."""

    netuid: NetUid
    who: AccountId
    reveal_round: u64


@event(2)
class CommitmentRevealed:
    """A timelock-encrypted commitment was auto-revealed."""

    netuid: NetUid
    who: AccountId


@event(3)
class CommitmentRevealFailed:
    """A timelock-encrypted field could not be opened and stays as it is."""

    netuid: NetUid
    who: AccountId
    reveal_round: u64
    error: RevealFailure


class Error(Errors):
    """Upstream's errors."""

    TooManyFieldsInCommitmentInfo = error(
        0, "Account passed too many additional fields to their commitment"
    )
    AccountNotAllowedCommit = error(1, "Account is not allowed to make commitments to the chain")
    SpaceLimitExceeded = error(2, "Space Limit Exceeded for the current interval")
    UnexpectedUnreserveLeftover = error(
        3, "Indicates that unreserve returned a leftover, which is unexpected."
    )
    TimelockRevealFailedNotAllowed = error(
        4, "`TimelockRevealFailed` fields may only be created by the runtime."
    )


def index_timelocked(s: State, netuid: NetUid, who: AccountId, listed: bool) -> None:
    """Add to or take from the index of timelocked commitments."""
    index = s[TimelockedIndex]
    if ((netuid, who) in index) == listed:
        return
    rest = {*index, (netuid, who)} if listed else set(index) - {(netuid, who)}
    s[TimelockedIndex] = tuple(sorted(rest))


def purge_neuron(s: State, netuid: NetUid, who: AccountId) -> None:
    """Forget the commitments of a hotkey that leaves a subnet."""
    found = take(s, (CommitmentOf, netuid, who))
    if found is not None:
        unreserve(s, who, found.deposit)
    for item in (LastCommitment, LastBondsReset, RevealedCommitments, UsedSpaceOf):
        del s[item, netuid, who]
    index_timelocked(s, netuid, who, False)


def purge_netuid(s: State, netuid: NetUid) -> None:
    """Forget the commitments of a subnet that is dissolved."""
    for item in (CommitmentOf, LastCommitment, LastBondsReset, RevealedCommitments, UsedSpaceOf):
        clear_prefix(s, item, netuid)
    index = s[TimelockedIndex]
    kept = tuple(entry for entry in index if entry[0] != netuid)
    if kept != index:
        s[TimelockedIndex] = kept
