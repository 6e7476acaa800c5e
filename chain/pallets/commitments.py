"""Commitments (pallet 18): what a neuron publishes about itself, at once or at a drand round.

A subnet's neurons commit up to three fields, within a budget of bytes an epoch. Timelocked
fields open by themselves when their round's pulse arrives. Upstream: pallets/commitments.
"""

from __future__ import annotations

from dataclasses import replace

import chain.pallets.commitments_store as _store
from chain import timelock
from chain.pallets.balances_ops import reserve, unreserve
from chain.pallets.commitments_store import (
    Commitment,
    CommitmentOf,
    CommitmentRevealed,
    CommitmentRevealFailed,
    Error,
    FieldDeposit,
    InitialDeposit,
    LastBondsReset,
    LastCommitment,
    MaxFields,
    MaxSpace,
    RevealedCommitments,
    TimelockCommitment,
    TimelockedIndex,
    UsedSpaceOf,
    index_timelocked,
)
from chain.pallets.commitments_types import (
    CommitmentInfo,
    Data,
    Registration,
    ResetBondsFlag,
    RevealFailure,
    TimelockEncrypted,
    TimelockRevealFailed,
    UsageTracker,
    space,
)
from chain.pallets.drand import OldestStoredRound, Pulses
from chain.pallets.subtensor.epoch import do_reset_bonds
from chain.pallets.subtensor.storage_network import SubnetEpochIndex
from chain.pallets.subtensor.storage_neurons import Uids
from chain.pallets.system import block_number
from chain.runtime.call import Pays
from chain.runtime.errors import ensure
from chain.runtime.origin import Root, Signed
from chain.runtime.pallet import Pallet, call, on_initialize
from chain.runtime.state import State
from ganglion.scale import u32
from ganglion.units import AccountId, NetUid, Rao

MIN_SPACE = 100
MAX_REVEALS = 10


@call(0, weight=33_480_000, reads=5, writes=4, pays=Pays.No)
def set_commitment(s: State, who: Signed, netuid: NetUid, info: CommitmentInfo) -> None:
    """Set the commitment for a given netuid."""
    ensure((Uids, netuid, who) in s, Error.AccountNotAllowedCommit)
    count = len(info.fields)
    ensure(count <= MaxFields.value, Error.TooManyFieldsInCommitmentInfo)
    forged = any(isinstance(f, TimelockRevealFailed) for f in info.fields)
    ensure(not forged, Error.TimelockRevealFailedNotAllowed)
    use_space(s, netuid, who, max(sum(map(space, info.fields)), MIN_SPACE))
    now = block_number(s)
    if any(isinstance(f, ResetBondsFlag) for f in info.fields):
        s[LastBondsReset, netuid, who] = now
        do_reset_bonds(s, netuid, who)
    found = s[CommitmentOf, netuid, who]
    deposit = move_deposit(s, who, Rao(0) if found is None else found.deposit, count)
    s[CommitmentOf, netuid, who] = Registration(deposit, now, info)
    s[LastCommitment, netuid, who] = now
    timelocked = next((f for f in info.fields if isinstance(f, TimelockEncrypted)), None)
    if timelocked is None:
        s.emit(Commitment(netuid, who))
    else:
        s.emit(TimelockCommitment(netuid, who, timelocked.reveal_round))
    index_timelocked(s, netuid, who, timelocked is not None)


@call(2, weight=2_856_000, writes=1)
def set_max_space(s: State, origin: Root, new_limit: u32) -> None:
    """Sudo-set MaxSpace."""
    s[MaxSpace] = new_limit


def use_space(s: State, netuid: NetUid, who: AccountId, amount: int) -> None:
    """Count bytes against the epoch's budget; raises SpaceLimitExceeded."""
    usage = s[UsedSpaceOf, netuid, who] or UsageTracker()
    epoch = s[SubnetEpochIndex, netuid]
    used = usage.used_space if usage.last_epoch == epoch else 0
    ensure(used + amount <= s[MaxSpace], Error.SpaceLimitExceeded)
    s[UsedSpaceOf, netuid, who] = UsageTracker(epoch, used + amount)


def move_deposit(s: State, who: AccountId, old: Rao, fields: int) -> Rao:
    """Reserve or unreserve up to today's price, which is nothing on this network."""
    new = Rao(InitialDeposit.value + FieldDeposit.value * fields)
    if new > old:
        reserve(s, who, new - old)
    elif new < old:
        ensure(unreserve(s, who, old - new) == 0, Error.UnexpectedUnreserveLeftover)
    return new


@on_initialize
def reveal_timelocked_commitments(s: State, now: int) -> None:
    """Open the timelocked fields whose pulse has arrived."""
    for netuid, who in s[TimelockedIndex]:
        found = s[CommitmentOf, netuid, who]
        if found is None:
            index_timelocked(s, netuid, who, False)
        else:
            reveal(s, netuid, who, found, now)


def reveal(s: State, netuid: NetUid, who: AccountId, found: Registration, now: int) -> None:
    """Open what can be opened of one commitment; fields that never will be are marked."""
    kept: list[Data] = []
    opened: list[bytes] = []
    for field in found.info.fields:
        result = open_field(s, field) if isinstance(field, TimelockEncrypted) else field
        match result:
            case bytes():
                opened.append(result)
            case RevealFailure() if isinstance(field, TimelockEncrypted):
                kept.append(TimelockRevealFailed(field.encrypted, field.reveal_round))
                s.emit(CommitmentRevealFailed(netuid, who, field.reveal_round, result))
            case _:
                kept.append(field)
    if tuple(kept) == found.info.fields:
        return
    if opened:
        before = s[RevealedCommitments, netuid, who] or ()
        after = (*before, *((data, now) for data in opened))
        s[RevealedCommitments, netuid, who] = after[-MAX_REVEALS:]
    for _ in opened:
        s.emit(CommitmentRevealed(netuid, who))
    if kept:
        s[CommitmentOf, netuid, who] = replace(found, info=CommitmentInfo(tuple(kept)))
    else:
        del s[CommitmentOf, netuid, who]
    waiting = any(isinstance(f, TimelockEncrypted) for f in kept)
    index_timelocked(s, netuid, who, waiting)


def open_field(s: State, field: TimelockEncrypted) -> bytes | RevealFailure | None:
    """The plaintext, why there never will be one, or None as long as the pulse is to come."""
    pulse = s[Pulses, field.reveal_round]
    if pulse is None:
        gone = field.reveal_round < s[OldestStoredRound]
        return RevealFailure.PulseExpired if gone else None
    if pulse.round != field.reveal_round:
        return RevealFailure.RoundMismatch
    try:
        plain = timelock.decrypt(field.encrypted, pulse.signature)
    except timelock.BadSignature:
        return RevealFailure.SignatureDeserialize
    except timelock.BadCiphertext:
        return RevealFailure.CiphertextDeserialize
    except timelock.NotOpened:
        return RevealFailure.Decrypt
    return plain or RevealFailure.EmptyPlaintext


pallet = Pallet("Commitments", _store.__name__, __name__).seal()
