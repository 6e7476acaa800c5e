"""Bonds (pallet 104, this chain's own): what a miner loses for signing two answers to one request.

A bond is reserved for a hotkey on a subnet. Taking it back takes a delay, in which it can still be
slashed. The claim decided here is equivocation, at once and by the two receipts alone. What a
miner's tokens should have been is for `disputes.py`; a bond with a dispute open about it stays.

Who may be slashed: a miner whose hotkey signed, in the exact class, two receipts about the same
request of the same caller with the same weights, seed, prompt length and starting point, in which
a token differs at a place that both answers have. In the exact class the tokens are a function of
these, so whoever computes them gets the same however often a request is repeated or replayed.
A miner of the fast class may honestly answer a repeated request in other words, so its receipts
are no claim; nor are answers of which one is the beginning of the other, nor other fingerprints of
the same tokens, nor vectors.

That a miner is not reachable slashes nothing. Invariant: amount + unbonding of every bond is
reserved on its payer's account.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from chain.pallets.balances_ops import repatriate_reserved, reserve, unreserve
from chain.pallets.balances_store import BalanceStatus
from chain.pallets.market import MILLION, do_burn, ensure_own
from chain.pallets.nested import rocks
from chain.pallets.subtensor.neurons import is_registered
from chain.pallets.system import Account, BlockHash, block_number
from chain.pallets.system_types import AccountData
from chain.runtime.errors import Errors, ensure, error
from chain.runtime.origin import Signed
from chain.runtime.pallet import Constant, Pallet, call, constant, event
from chain.runtime.signatures import verify_signature
from chain.runtime.state import State
from chain.runtime.storage import Blake2, Identity, Map, storage
from chain.runtime.types import MultiSignature
from ganglion.hashing import blake2_256
from ganglion.scale import u32
from ganglion.units import AccountId, BlockNumber, Hash, NetUid, Rao
from ganglion.wire.equivocation import Same, conflict, subject
from ganglion.wire.receipts import Receipt

MinimumBond: Constant[Rao] = constant(Rao(10**9))
"""The least that a bond may have in it."""

UnbondingDelay: Constant[BlockNumber] = constant(BlockNumber(7_200))
"""Blocks until an unbonded amount may be taken back; until then it can be slashed."""

SlashShare: Constant[u32] = constant(200_000)
"""What an equivocation costs, in millionths of the bond and what is leaving it."""

ReporterShare: Constant[u32] = constant(250_000)
"""What the reporter gets of a slash, in millionths; the rest is burned."""


@dataclass(frozen=True, slots=True)
class Bond:
    """Money behind a hotkey; `unbonding` of it may be taken back from the block `free_at` on."""

    payer: AccountId
    amount: Rao
    unbonding: Rao
    free_at: BlockNumber


Bonds: Map[Identity[NetUid], Blake2[AccountId], Bond | None] = storage()
"""The bond of a hotkey on a subnet."""

Punished: Map[Blake2[Hash], bool] = storage(default=False)
"""What slashes were about, so that none is for the same request twice."""

Claims: Map[Identity[NetUid], Blake2[AccountId], u32] = storage(default=0)
"""Open disputes about a hotkey, which hold its bond."""


@event(0)
class Bonded:
    """Money was put behind a hotkey."""

    netuid: NetUid
    hotkey: AccountId
    amount: Rao


@event(1)
class Unbonding:
    """Part of a bond may be taken back from a block on."""

    netuid: NetUid
    hotkey: AccountId
    amount: Rao
    free_at: BlockNumber


@event(2)
class Withdrawn:
    """What was unbonded is back."""

    netuid: NetUid
    hotkey: AccountId
    amount: Rao


@event(3)
class Slashed:
    """A hotkey signed two answers to one request, or wrong tokens."""

    netuid: NetUid
    hotkey: AccountId
    request: Hash
    amount: Rao
    reporter: AccountId
    reward: Rao


class Error(Errors):
    """What can go wrong."""

    NotRegistered = error(0, "The hotkey has no seat on the subnet.")
    NotPayer = error(1, "Another account has bonded this hotkey.")
    BondTooLow = error(2, "A bond holds at least the minimum, or nothing.")
    NoBond = error(3, "The hotkey has no bond on this subnet.")
    NotEnough = error(4, "The bond is smaller than that.")
    TooEarly = error(5, "The delay is not over, or nothing is being unbonded.")
    OtherChain = error(6, "The receipts are not of this chain.")
    NotExact = error(7, "Only receipts for text of the exact class can contradict each other.")
    OtherSubject = error(8, "The receipts are not about the same request, model and caller.")
    NoConflict = error(9, "The receipts agree as far as both go.")
    BadSignature = error(10, "A receipt's signature is not the miner's.")
    AlreadyPunished = error(11, "The miner has been slashed for this request.")
    ClaimsOpen = error(12, "A dispute about this miner is open.")


REFUSED = {
    Same.INEXACT: Error.NotExact,
    Same.OTHER_SUBJECT: Error.OtherSubject,
    Same.AGREE: Error.NoConflict,
}


@call(0, weight=35_000_000, reads=4, writes=2)
def bond(s: State, who: Signed, netuid: NetUid, hotkey: AccountId, amount: Rao) -> None:
    """Put money behind a hotkey of one's own, or more of it."""
    ensure_own(s, who, hotkey)
    ensure(is_registered(s, netuid, hotkey), Error.NotRegistered)
    before = s[Bonds, netuid, hotkey] or Bond(who, Rao(0), Rao(0), BlockNumber(0))
    ensure(before.payer == who, Error.NotPayer)
    after = replace(before, amount=Rao(before.amount + amount))
    ensure(after.amount >= MinimumBond.value, Error.BondTooLow)
    reserve(s, who, amount)
    s[Bonds, netuid, hotkey] = after
    s.emit(Bonded(netuid, hotkey, amount))


@call(1, weight=25_000_000, reads=1, writes=1)
def unbond(s: State, who: Signed, netuid: NetUid, hotkey: AccountId, amount: Rao) -> None:
    """Begin to take money back; more of it starts the delay anew for all that is leaving."""
    before = own(s, who, netuid, hotkey)
    ensure(0 < amount <= before.amount, Error.NotEnough)
    left = before.amount - amount
    ensure(left == 0 or left >= MinimumBond.value, Error.BondTooLow)
    free_at = BlockNumber(block_number(s) + UnbondingDelay.value)
    leaving = Rao(before.unbonding + amount)
    s[Bonds, netuid, hotkey] = Bond(who, Rao(left), leaving, free_at)
    s.emit(Unbonding(netuid, hotkey, amount, free_at))


@call(2, weight=35_000_000, reads=3, writes=2)
def withdraw(s: State, who: Signed, netuid: NetUid, hotkey: AccountId) -> None:
    """Take back what was unbonded, after the delay."""
    before = own(s, who, netuid, hotkey)
    ensure(before.unbonding > 0 and block_number(s) >= before.free_at, Error.TooEarly)
    ensure(not s[Claims, netuid, hotkey], Error.ClaimsOpen)
    back = Rao(before.unbonding - unreserve(s, who, before.unbonding))
    if before.amount:
        s[Bonds, netuid, hotkey] = replace(before, unbonding=Rao(0), free_at=BlockNumber(0))
    else:
        del s[Bonds, netuid, hotkey]
    s.emit(Withdrawn(netuid, hotkey, back))


def claim_weight(one: Receipt, _: MultiSignature, other: Receipt, __: MultiSignature) -> int:
    """Two signatures, and two answers hashed token by token."""
    return rocks(300_000_000 + 100_000 * (len(one.tokens) + len(other.tokens)), 5, 5)


@call(3, weight=claim_weight)
def report_equivocation(
    s: State,
    reporter: Signed,
    first: Receipt,
    first_signature: MultiSignature,
    second: Receipt,
    second_signature: MultiSignature,
) -> None:
    """Show two receipts that contradict each other: the miner is slashed at once."""
    ensure(first.genesis == s[BlockHash, BlockNumber(0)], Error.OtherChain)
    found = conflict(first, second)
    if found in REFUSED:
        raise REFUSED[found]
    netuid, hotkey = NetUid(first.netuid), AccountId(first.miner)
    bonded = s[Bonds, netuid, hotkey]
    if bonded is None:
        raise Error.NoBond
    about = Hash(blake2_256(subject(first)))
    ensure(not s[Punished, about], Error.AlreadyPunished)
    for receipt, signature in ((first, first_signature), (second, second_signature)):
        fits = verify_signature(signature, receipt.signing_hash(), receipt.miner)
        ensure(fits, Error.BadSignature)
    s[Punished, about] = True
    do_slash(s, reporter, netuid, hotkey, bonded, Hash(first.request))


def do_slash(
    s: State, reporter: AccountId, netuid: NetUid, hotkey: AccountId, bonded: Bond, request: Hash
) -> None:
    """Take the share of a bond, of what is leaving it first; part of it rewards the reporter."""
    amount = (bonded.amount + bonded.unbonding) * SlashShare.value // MILLION
    leaving = min(bonded.unbonding, amount)
    left = replace(
        bonded,
        amount=Rao(bonded.amount - (amount - leaving)),
        unbonding=Rao(bonded.unbonding - leaving),
    )
    s[Bonds, netuid, hotkey] = left
    share = reward = amount * ReporterShare.value // MILLION
    if s[Account, reporter].data == AccountData():
        share = reward = 0  # an account without a balance cannot take one
    else:
        reward -= repatriate_reserved(s, bonded.payer, reporter, share, BalanceStatus.Free)
    burned = do_burn(s, bonded.payer, amount - share)
    s.emit(Slashed(netuid, hotkey, request, Rao(burned + reward), reporter, Rao(reward)))


def own(s: State, who: AccountId, netuid: NetUid, hotkey: AccountId) -> Bond:
    """A bond that `who` has paid for; raises NoBond or NotPayer."""
    found = s[Bonds, netuid, hotkey]
    if found is None:
        raise Error.NoBond
    ensure(found.payer == who, Error.NotPayer)
    return found


pallet = Pallet("Bonds", __name__).seal()
