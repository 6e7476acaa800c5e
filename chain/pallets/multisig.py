"""Multisig (pallet 13): calls of an account that several accounts share.

The shared account is derived from the sorted signatories and the threshold. An operation is
named by the hash of its call; whoever starts it pays a deposit until it runs or is cancelled.
Upstream: pallet_multisig.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import Annotated

from chain.pallets.balances_ops import reserve, unreserve
from chain.pallets.nested import class_of, extrinsic_index, hash_of, rocks, succeed, weight_of
from chain.pallets.sudo import outcome
from chain.pallets.system import block_number
from chain.runtime.call import Pays, PostInfo, RuntimeCall, Weight
from chain.runtime.dispatch import dispatch
from chain.runtime.errors import DispatchError, Errors, ensure, error
from chain.runtime.origin import Signed, signed
from chain.runtime.pallet import Constant, Pallet, call, constant, event
from chain.runtime.state import State
from chain.runtime.storage import Blake2, Map, Twox, storage
from ganglion.hashing import blake2_256
from ganglion.scale import AtMost, Fixed, Outcome, compact_encode, scale_type, u16, u32
from ganglion.units import AccountId, BlockNumber, Rao

CallHash = Annotated[bytes, Fixed(32)]
Signatories = tuple[AccountId, ...]

DepositBase: Constant[Rao] = constant(Rao(132_000_000))
"""Reserved for a running operation: one storage item of 112 bytes."""

DepositFactor: Constant[Rao] = constant(Rao(32_000_000))
"""Reserved for each approval that the threshold asks for."""

MaxSignatories: Constant[u32] = constant(100)
"""The maximum amount of signatories allowed in the multisig."""


@scale_type("pallet_multisig::Timepoint")
@dataclass(frozen=True, slots=True)
class Timepoint:
    """The extrinsic that started an operation: block and number within the block."""

    height: BlockNumber
    index: u32


@scale_type("pallet_multisig::Multisig")
@dataclass(frozen=True, slots=True)
class MultisigOperation:
    """An operation that waits for approvals (sorted)."""

    when: Timepoint
    deposit: Rao
    depositor: AccountId
    approvals: Annotated[Signatories, AtMost(MaxSignatories.value)]


Multisigs: Map[Twox[AccountId], Blake2[CallHash], MultisigOperation | None] = storage()
"""The set of open multisig operations."""


@event(0)
class NewMultisig:
    """A new multisig operation has begun."""

    approving: AccountId
    multisig: AccountId
    call_hash: CallHash


@event(1)
class MultisigApproval:
    """A multisig operation has been approved by someone."""

    approving: AccountId
    timepoint: Timepoint
    multisig: AccountId
    call_hash: CallHash


@event(2)
class MultisigExecuted:
    """A multisig operation has been executed."""

    approving: AccountId
    timepoint: Timepoint
    multisig: AccountId
    call_hash: CallHash
    result: Outcome[DispatchError]


@event(3)
class MultisigCancelled:
    """A multisig operation has been cancelled."""

    cancelling: AccountId
    timepoint: Timepoint
    multisig: AccountId
    call_hash: CallHash


@event(4)
class DepositPoked:
    """The deposit of an operation has been brought up to date."""

    who: AccountId
    call_hash: CallHash
    old_deposit: Rao
    new_deposit: Rao


class Error(Errors):
    """Upstream's errors."""

    MinimumThreshold = error(0, "Threshold must be 2 or greater.")
    AlreadyApproved = error(1, "Call is already approved by this signatory.")
    NoApprovalsNeeded = error(2, "Call doesn't need any (more) approvals.")
    TooFewSignatories = error(3, "There are too few signatories in the list.")
    TooManySignatories = error(4, "There are too many signatories in the list.")
    SignatoriesOutOfOrder = error(
        5, "The signatories were provided out of order; they should be ordered."
    )
    SenderInSignatories = error(
        6, "The sender was contained in the other signatories; it shouldn't be."
    )
    NotFound = error(7, "Multisig operation not found in storage.")
    NotOwner = error(
        8,
        "Only the account that originally created the multisig is able to cancel it or update "
        "its deposits.",
    )
    NoTimepoint = error(
        9, "No timepoint was given, yet the multisig operation is already underway."
    )
    WrongTimepoint = error(
        10, "A different timepoint was given to the multisig operation that is underway."
    )
    UnexpectedTimepoint = error(11, "A timepoint was given, yet no multisig operation is underway.")
    MaxWeightTooLow = error(12, "The maximum weight information provided was too low.")
    AlreadyStored = error(13, "The data to be stored is already stored.")


THRESHOLD_1 = rocks(31_000_000, reads=1, writes=1)
AS_MULTI = rocks(46_000_000, reads=2, writes=2)
APPROVE = rocks(32_000_000, reads=1, writes=1)


@call(
    0,
    weight=lambda others, call: THRESHOLD_1 + weight_of(call),
    dispatch_class=lambda others, call: class_of(call),
)
def as_multi_threshold_1(
    s: State, who: Signed, other_signatories: Signatories, call: RuntimeCall
) -> PostInfo:
    """Immediately dispatch a multi-signature call using a single approval from the caller."""
    signatories = all_signatories(who, other_signatories)
    account = multi_account_id(signatories, 1)
    return PostInfo(THRESHOLD_1 + succeed(dispatch(s, call, signed(account))))


@call(1, weight=lambda t, others, at, call, max_weight: AS_MULTI + max_weight.ref_time)
def as_multi(
    s: State,
    who: Signed,
    threshold: u16,
    other_signatories: Signatories,
    maybe_timepoint: Timepoint | None,
    call: RuntimeCall,
    max_weight: Weight,
) -> PostInfo:
    """Approve a dispatch from the shared account, and dispatch it with the last approval."""
    ensure(threshold >= 2, Error.MinimumThreshold)
    account = multi_account_id(all_signatories(who, other_signatories), threshold)
    call_hash = hash_of(call)
    found = s[Multisigs, account, call_hash]
    if found is not None:
        when = check_timepoint(found, maybe_timepoint)
        missing = who not in found.approvals
        if len(found.approvals) + missing >= threshold:
            return execute(s, who, account, found, when, call, max_weight)
    return approve(s, who, account, threshold, maybe_timepoint, call_hash)


@call(2, weight=lambda t, others, at, call_hash, max_weight: APPROVE + max_weight.ref_time)
def approve_as_multi(
    s: State,
    who: Signed,
    threshold: u16,
    other_signatories: Signatories,
    maybe_timepoint: Timepoint | None,
    call_hash: CallHash,
    max_weight: Weight,
) -> PostInfo:
    """Approve a dispatch of which only the hash is given; never dispatches."""
    ensure(threshold >= 2, Error.MinimumThreshold)
    account = multi_account_id(all_signatories(who, other_signatories), threshold)
    return approve(s, who, account, threshold, maybe_timepoint, call_hash)


@call(3, weight=31_000_000, reads=1, writes=1)
def cancel_as_multi(
    s: State,
    who: Signed,
    threshold: u16,
    other_signatories: Signatories,
    timepoint: Timepoint,
    call_hash: CallHash,
) -> None:
    """Cancel an on-going multisig operation and get the deposit back."""
    ensure(threshold >= 2, Error.MinimumThreshold)
    account = multi_account_id(all_signatories(who, other_signatories), threshold)
    found = s[Multisigs, account, call_hash]
    if found is None:
        raise Error.NotFound
    ensure(found.when == timepoint, Error.WrongTimepoint)
    ensure(found.depositor == who, Error.NotOwner)
    unreserve(s, found.depositor, found.deposit)
    del s[Multisigs, account, call_hash]
    s.emit(MultisigCancelled(who, timepoint, account, call_hash))


@call(4, weight=31_000_000, reads=1, writes=1)
def poke_deposit(
    s: State, who: Signed, threshold: u16, other_signatories: Signatories, call_hash: CallHash
) -> PostInfo:
    """Bring the deposit of an operation to today's price; free when it changes."""
    ensure(threshold >= 2, Error.MinimumThreshold)
    account = multi_account_id(all_signatories(who, other_signatories), threshold)
    found = s[Multisigs, account, call_hash]
    if found is None:
        raise Error.NotFound
    ensure(found.depositor == who, Error.NotOwner)
    new, old = deposit_for(threshold), found.deposit
    if new == old:
        return PostInfo(pays=Pays.Yes)
    if new > old:
        reserve(s, who, new - old)
    else:
        unreserve(s, who, old - new)
    s[Multisigs, account, call_hash] = replace(found, deposit=new)
    s.emit(DepositPoked(who, call_hash, old, new))
    return PostInfo(pays=Pays.No)


def multi_account_id(signatories: Signatories, threshold: int) -> AccountId:
    """The account that sorted signatories share under a threshold."""
    body = compact_encode(len(signatories)) + b"".join(signatories)
    return AccountId(blake2_256(b"modlpy/utilisuba" + body + threshold.to_bytes(2, "little")))


def all_signatories(who: AccountId, others: Signatories) -> Signatories:
    """The sorted list with the sender in it; raises for a list that is not as it must be."""
    ensure(len(others) > 0, Error.TooFewSignatories)
    ensure(len(others) < MaxSignatories.value, Error.TooManySignatories)
    last = None
    for item in others:
        ensure(last is None or last < item, Error.SignatoriesOutOfOrder)
        ensure(item != who, Error.SenderInSignatories)
        last = item
    at = bisect_left(others, who)
    return (*others[:at], who, *others[at:])


def deposit_for(threshold: int) -> Rao:
    """What starting an operation reserves."""
    return Rao(DepositBase.value + DepositFactor.value * threshold)


def check_timepoint(found: MultisigOperation, given: Timepoint | None) -> Timepoint:
    """The operation's start, which every later approval must name."""
    if given is None:
        raise Error.NoTimepoint
    ensure(found.when == given, Error.WrongTimepoint)
    return given


def approve(
    s: State,
    who: AccountId,
    account: AccountId,
    threshold: int,
    given: Timepoint | None,
    call_hash: bytes,
) -> PostInfo:
    """Start an operation, or add an approval to one."""
    found = s[Multisigs, account, call_hash]
    if found is None:
        ensure(given is None, Error.UnexpectedTimepoint)
        deposit = deposit_for(threshold)
        reserve(s, who, deposit)
        now = Timepoint(block_number(s), extrinsic_index(s))
        s[Multisigs, account, call_hash] = MultisigOperation(now, deposit, who, (who,))
        s.emit(NewMultisig(who, account, call_hash))
        return PostInfo(AS_MULTI)
    when = check_timepoint(found, given)
    wanted = who not in found.approvals and len(found.approvals) < threshold
    ensure(wanted, Error.AlreadyApproved)
    s[Multisigs, account, call_hash] = replace(
        found, approvals=tuple(sorted((*found.approvals, who)))
    )
    s.emit(MultisigApproval(who, when, account, call_hash))
    return PostInfo(AS_MULTI)


def execute(
    s: State,
    who: AccountId,
    account: AccountId,
    found: MultisigOperation,
    when: Timepoint,
    call: RuntimeCall,
    max_weight: Weight,
) -> PostInfo:
    """Dispatch with the last approval; the deposit goes back first."""
    ensure(weight_of(call) <= max_weight.ref_time, Error.MaxWeightTooLow)
    call_hash = hash_of(call)
    del s[Multisigs, account, call_hash]
    unreserve(s, found.depositor, found.deposit)
    result = dispatch(s, call, signed(account))
    s.emit(MultisigExecuted(who, when, account, call_hash, outcome(result)))
    return PostInfo(AS_MULTI + result.weight)


pallet = Pallet("Multisig", __name__).seal()
