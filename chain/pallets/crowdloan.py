"""Crowdloan (pallet 27): money raised together up to a cap, then paid out or spent by a call.

Funds lie in an account that no key controls. Until a crowdloan is finalized every contributor
can take back what they gave. A call that finalizes must spend all that was raised: what it
left behind could never be moved again. Upstream: pallets/crowdloan.
"""

from __future__ import annotations

from dataclasses import replace

import chain.pallets.crowdloan_store as _store
from chain.pallets.balances_ops import free_balance, transfer
from chain.pallets.crowdloan_store import (
    AbsoluteMinimumContribution,
    AllRefunded,
    CapUpdated,
    Contributed,
    Contributions,
    Created,
    CrowdloanInfo,
    Crowdloans,
    CurrentCrowdloanId,
    Dissolved,
    EndUpdated,
    Error,
    Finalized,
    MaxContributions,
    MaxContributionUpdated,
    MaxContributors,
    MaximumBlockDuration,
    MinContributionUpdated,
    MinimumBlockDuration,
    MinimumDeposit,
    NextCrowdloanId,
    PalletId,
    PartiallyRefunded,
    RefundContributorsLimit,
    Withdrew,
)
from chain.pallets.nested import rocks, succeed, weight_of
from chain.pallets.preimage import bound, drop, peek
from chain.pallets.system import block_number, dec_providers, inc_providers
from chain.runtime.call import PostInfo, RuntimeCall
from chain.runtime.dispatch import dispatch
from chain.runtime.errors import ensure
from chain.runtime.origin import Signed, signed
from chain.runtime.pallet import Pallet, call
from chain.runtime.state import State, iter_items
from ganglion.scale import Compact, u32
from ganglion.units import AccountId, BlockNumber, Rao

U32_MAX, U64_MAX = (1 << 32) - 1, (1 << 64) - 1


def refund_weight(count: int) -> int:
    """Weight of refunding `count` contributors."""
    return rocks(110_703_000 + 39_503_253 * count, 2 + 2 * count, 2 * count)


@call(
    0,
    weight=lambda deposit, least, cap, end, call, target: (
        rocks(59_829_000, 3, 5) + (0 if call is None else weight_of(call))
    ),
)
def create(
    s: State,
    creator: Signed,
    deposit: Compact[Rao],
    min_contribution: Compact[Rao],
    cap: Compact[Rao],
    end: Compact[BlockNumber],
    call: RuntimeCall | None,
    target_address: AccountId | None,
) -> None:
    """Create a crowdloan that will raise funds up to a maximum cap and if successful,
    transfer the funds to the target address if provided and dispatch the call.
    """
    ensure(deposit >= MinimumDeposit.value, Error.DepositTooLow)
    ensure(cap > deposit, Error.CapTooLow)
    least = AbsoluteMinimumContribution.value
    ensure(min_contribution >= least, Error.MinimumContributionTooLow)
    ensure((call is None) != (target_address is None), Error.InvalidFinalizationConfig)
    ensure_valid_end(s, end)
    ensure(free_balance(s, creator) >= deposit, Error.InsufficientBalance)
    number = s[NextCrowdloanId]
    ensure(number < U32_MAX, Error.Overflow)
    s[NextCrowdloanId] = number + 1
    funds = funds_account(number)
    inc_providers(s, funds)
    stored = None if call is None else bound(s, call)
    s[Crowdloans, number] = CrowdloanInfo(
        creator,
        deposit,
        min_contribution,
        end,
        cap,
        funds,
        deposit,
        target_address,
        stored,
        False,
        1,
    )
    transfer(s, creator, funds, deposit)
    s[Contributions, number, creator] = deposit
    s.emit(Created(number, creator, end, cap))


@call(1, weight=66_609_000, reads=5, writes=4)
def contribute(s: State, who: Signed, crowdloan_id: Compact[u32], amount: Compact[Rao]) -> None:
    """Contribute to an active crowdloan; what would exceed a limit is not taken."""
    loan = existing(s, crowdloan_id)
    ensure(block_number(s) < loan.end, Error.ContributionPeriodEnded)
    ensure(loan.raised < loan.cap, Error.CapRaised)
    ensure(amount >= loan.min_contribution, Error.ContributionTooLow)
    ensure(loan.contributors_count < MaxContributors.value, Error.MaxContributorsReached)
    before, most = s[Contributions, crowdloan_id, who], s[MaxContributions, crowdloan_id]
    given = before or 0
    taken = min(amount, loan.cap - loan.raised)
    if most is not None:
        ensure(given < most, Error.MaxContributionReached)
        taken = min(taken, most - given)
    ensure(given + taken <= U64_MAX, Error.Overflow)
    ensure(free_balance(s, who) >= taken, Error.InsufficientBalance)
    transfer(s, who, loan.funds_account, taken)
    s[Contributions, crowdloan_id, who] = Rao(given + taken)
    s[Crowdloans, crowdloan_id] = replace(
        loan,
        raised=Rao(loan.raised + taken),
        contributors_count=loan.contributors_count + (before is None),
    )
    s.emit(Contributed(crowdloan_id, who, Rao(taken)))


@call(2, weight=60_259_000, reads=4, writes=4)
def withdraw(s: State, who: Signed, crowdloan_id: Compact[u32]) -> None:
    """Take a contribution back before the crowdloan is finalized; the deposit stays."""
    loan = open_loan(s, crowdloan_id)
    amount = s[Contributions, crowdloan_id, who] or 0
    ensure(amount > 0, Error.NoContribution)
    if who == loan.creator:
        amount = max(amount - loan.deposit, 0)
        ensure(amount > 0, Error.DepositCannotBeWithdrawn)
        s[Contributions, crowdloan_id, who] = loan.deposit
    else:
        del s[Contributions, crowdloan_id, who]
        ensure(loan.contributors_count > 0, Error.Underflow)
        loan = replace(loan, contributors_count=loan.contributors_count - 1)
    transfer(s, loan.funds_account, who, amount)
    s[Crowdloans, crowdloan_id] = replace(loan, raised=Rao(max(loan.raised - amount, 0)))
    s.emit(Withdrew(crowdloan_id, who, Rao(amount)))


@call(3, weight=31_507_000, reads=4, writes=2)
def finalize(s: State, who: Signed, crowdloan_id: Compact[u32]) -> None:
    """Pay out a crowdloan that has reached its cap, or let its call spend the funds."""
    loan = existing(s, crowdloan_id)
    ensure(who == loan.creator, Error.InvalidOrigin)
    ensure(loan.raised == loan.cap, Error.CapNotRaised)
    ensure(not loan.finalized, Error.AlreadyFinalized)
    ensure(s[CurrentCrowdloanId] is None, Error.AlreadyFinalizing)
    s[Crowdloans, crowdloan_id] = replace(loan, finalized=True)
    if loan.target_address is not None:
        transfer(s, loan.funds_account, loan.target_address, loan.raised)
    else:
        run_call(s, crowdloan_id, loan)
    s.emit(Finalized(crowdloan_id))


@call(4, weight=lambda crowdloan_id: refund_weight(RefundContributorsLimit.value))
def refund(s: State, who: Signed, crowdloan_id: Compact[u32]) -> PostInfo:
    """Refund contributors of a non-finalized crowdloan, up to fifty a call."""
    loan = own_loan(s, who, crowdloan_id)
    waiting = [
        (contributor, amount)
        for contributor, amount in iter_items(s, Contributions, crowdloan_id)
        if contributor != loan.creator
    ]
    paid = waiting[: RefundContributorsLimit.value]
    for contributor, amount in paid:
        transfer(s, loan.funds_account, contributor, amount)
        del s[Contributions, crowdloan_id, contributor]
    ensure(loan.contributors_count >= len(paid), Error.Underflow)
    s[Crowdloans, crowdloan_id] = replace(
        loan,
        raised=Rao(max(loan.raised - sum(amount for _, amount in paid), 0)),
        contributors_count=loan.contributors_count - len(paid),
    )
    if len(paid) < len(waiting):
        s.emit(PartiallyRefunded(crowdloan_id))
        return PostInfo()
    s.emit(AllRefunded(crowdloan_id))
    return PostInfo(refund_weight(len(paid)))


@call(5, weight=66_939_000, reads=4, writes=5)
def dissolve(s: State, who: Signed, crowdloan_id: Compact[u32]) -> None:
    """Remove a crowdloan in which only the creator's own money is left."""
    loan = own_loan(s, who, crowdloan_id)
    own = s[Contributions, crowdloan_id, loan.creator]
    if own is None:
        raise Error.NoContribution
    ensure(own == loan.raised, Error.NotReadyToDissolve)
    transfer(s, loan.funds_account, loan.creator, own)
    del s[Contributions, crowdloan_id, loan.creator]
    if loan.call is not None:
        drop(s, loan.call)
    dec_providers(s, loan.funds_account)
    del s[Crowdloans, crowdloan_id]
    del s[MaxContributions, crowdloan_id]
    s.emit(Dissolved(crowdloan_id))


@call(6, weight=13_259_000, reads=2, writes=1)
def update_min_contribution(
    s: State, who: Signed, crowdloan_id: Compact[u32], new_min_contribution: Compact[Rao]
) -> None:
    """Update the minimum contribution of a non-finalized crowdloan."""
    loan = own_loan(s, who, crowdloan_id)
    least = AbsoluteMinimumContribution.value
    ensure(new_min_contribution >= least, Error.MinimumContributionTooLow)
    most = s[MaxContributions, crowdloan_id]
    ensure(most is None or new_min_contribution <= most, Error.MinimumContributionTooHigh)
    s[Crowdloans, crowdloan_id] = replace(loan, min_contribution=new_min_contribution)
    s.emit(MinContributionUpdated(crowdloan_id, new_min_contribution))


@call(7, weight=12_048_000, reads=1, writes=1)
def update_end(
    s: State, who: Signed, crowdloan_id: Compact[u32], new_end: Compact[BlockNumber]
) -> None:
    """Update the end block of a non-finalized crowdloan."""
    loan = own_loan(s, who, crowdloan_id)
    ensure_valid_end(s, new_end)
    s[Crowdloans, crowdloan_id] = replace(loan, end=new_end)
    s.emit(EndUpdated(crowdloan_id, new_end))


@call(8, weight=11_357_000, reads=1, writes=1)
def update_cap(s: State, who: Signed, crowdloan_id: Compact[u32], new_cap: Compact[Rao]) -> None:
    """Update the cap of a non-finalized crowdloan."""
    loan = own_loan(s, who, crowdloan_id)
    ensure(new_cap >= loan.raised, Error.CapTooLow)
    s[Crowdloans, crowdloan_id] = replace(loan, cap=new_cap)
    s.emit(CapUpdated(crowdloan_id, new_cap))


@call(9, weight=16_024_000, reads=2, writes=1)
def set_max_contribution(
    s: State, who: Signed, crowdloan_id: Compact[u32], new_max_contribution: Rao | None
) -> None:
    """Limit what one contributor may give, or lift the limit."""
    loan = own_loan(s, who, crowdloan_id)
    if new_max_contribution is None:
        del s[MaxContributions, crowdloan_id]
    else:
        own = s[Contributions, crowdloan_id, loan.creator] or 0
        enough = new_max_contribution >= max(loan.min_contribution, own)
        ensure(enough, Error.MaximumContributionTooLow)
        s[MaxContributions, crowdloan_id] = new_max_contribution
    s.emit(MaxContributionUpdated(crowdloan_id, new_max_contribution))


def funds_account(number: int) -> AccountId:
    """The account that holds the funds of a crowdloan."""
    head = b"modl" + PalletId.value + number.to_bytes(4, "little")
    return AccountId(head.ljust(32, b"\0"))


def existing(s: State, number: int) -> CrowdloanInfo:
    """A crowdloan; raises InvalidCrowdloanId."""
    found = s[Crowdloans, number]
    if found is None:
        raise Error.InvalidCrowdloanId
    return found


def open_loan(s: State, number: int) -> CrowdloanInfo:
    """A crowdloan that is not finalized; raises AlreadyFinalized."""
    found = existing(s, number)
    ensure(not found.finalized, Error.AlreadyFinalized)
    return found


def own_loan(s: State, who: AccountId, number: int) -> CrowdloanInfo:
    """An open crowdloan of its creator; raises InvalidOrigin for others."""
    found = open_loan(s, number)
    ensure(who == found.creator, Error.InvalidOrigin)
    return found


def ensure_valid_end(s: State, end: int) -> None:
    """The end must lie ahead, neither too near nor too far."""
    duration = end - block_number(s)
    ensure(duration > 0, Error.CannotEndInPast)
    ensure(duration >= MinimumBlockDuration.value, Error.BlockDurationTooShort)
    ensure(duration <= MaximumBlockDuration.value, Error.BlockDurationTooLong)


def run_call(s: State, number: int, loan: CrowdloanInfo) -> None:
    """Dispatch a crowdloan's call as its creator, who can only spend what it was raised for."""
    if loan.call is None:
        raise Error.InvalidFinalizationConfig
    stored = peek(s, loan.call)
    if stored is None:
        raise Error.CallUnavailable
    before = free_balance(s, loan.funds_account)
    s[CurrentCrowdloanId] = number
    succeed(dispatch(s, stored, signed(loan.creator)))
    del s[CurrentCrowdloanId]
    spent = before - free_balance(s, loan.funds_account)
    ensure(spent >= loan.raised, Error.FundsNotSettled)


pallet = Pallet("Crowdloan", _store.__name__, __name__).seal()
