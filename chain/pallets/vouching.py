"""Vouching (pallet 110, this chain's own): who says of whom that he is a person of his own.

A vouch is one account's word about another, for a deposit that comes back with it. The chain
draws no conclusion from it: validators do, each from the accounts that it knows itself
(`subnets/trust.py`), and count only vouches that are mutual. So being vouched for by strangers
neither helps nor harms.

Vouches are of accounts, not of hot keys, and do not follow an account that is swapped: the word
was about somebody, and whether it is still him is for those who vouched to say.
"""

from __future__ import annotations

from chain.pallets.balances_ops import reserve, unreserve
from chain.pallets.system import block_number
from chain.runtime.errors import Errors, ensure, error
from chain.runtime.origin import Signed
from chain.runtime.pallet import Constant, Pallet, call, constant, event
from chain.runtime.state import State
from chain.runtime.storage import Blake2, Map, storage
from ganglion.scale import u32
from ganglion.units import AccountId, BlockNumber, Rao

VouchDeposit: Constant[Rao] = constant(Rao(10**8))
"""Reserved for a vouch, until it is withdrawn."""

MaxVouches: Constant[u32] = constant(64)
"""For how many others one account may vouch."""

Vouches: Map[Blake2[AccountId], Blake2[AccountId], BlockNumber | None] = storage()
"""For whom an account vouches, and since when."""

VouchCount: Map[Blake2[AccountId], u32] = storage(default=0)
"""For how many others an account vouches."""


@event(0)
class Vouched:
    """An account vouches for another."""

    who: AccountId
    other: AccountId


@event(1)
class VouchWithdrawn:
    """An account vouches for another no more."""

    who: AccountId
    other: AccountId


class Error(Errors):
    """What can go wrong."""

    VouchForSelf = error(0, "Nobody vouches for himself.")
    AlreadyVouched = error(1, "This account vouches for that one already.")
    TooManyVouches = error(2, "This account vouches for as many others as it may.")
    NoVouch = error(3, "This account does not vouch for that one.")


@call(0, weight=25_000_000, reads=3, writes=3)
def vouch(s: State, who: Signed, other: AccountId) -> None:
    """Say that another account belongs to a person of its own; it counts when both say so."""
    ensure(who != other, Error.VouchForSelf)
    ensure(s[Vouches, who, other] is None, Error.AlreadyVouched)
    ensure(s[VouchCount, who] < MaxVouches.value, Error.TooManyVouches)
    reserve(s, who, VouchDeposit.value)
    s[Vouches, who, other] = block_number(s)
    s[VouchCount, who] = s[VouchCount, who] + 1
    s.emit(Vouched(who, other))


@call(1, weight=25_000_000, reads=3, writes=3)
def withdraw_vouch(s: State, who: Signed, other: AccountId) -> None:
    """Vouch no more and take the deposit back."""
    ensure(s[Vouches, who, other] is not None, Error.NoVouch)
    del s[Vouches, who, other]
    left = s[VouchCount, who] - 1
    if left:
        s[VouchCount, who] = left
    else:
        del s[VouchCount, who]
    unreserve(s, who, VouchDeposit.value)
    s.emit(VouchWithdrawn(who, other))


pallet = Pallet("Vouching", __name__).seal()
