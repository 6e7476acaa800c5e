"""Holds: reserved balance with a reason. Upstream: pallet_balances' fungible::hold.

A held amount is part of the account's reserved balance; `Holds` says for what.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Annotated, ClassVar

from chain.pallets.balances_ops import write_balances
from chain.pallets.balances_store import ED
from chain.pallets.system import Account
from chain.runtime.errors import TokenError, TokenErrorKind, ensure
from chain.runtime.state import State
from chain.runtime.storage import Blake2, Map, storage
from ganglion.scale import AtMost, Enumeration, scale_type, variant
from ganglion.units import AccountId, Rao


@scale_type("pallet_preimage::pallet::HoldReason")
class PreimageHold(IntEnum):
    """What Preimage holds balance for."""

    Preimage = 0


@scale_type("node_subtensor_runtime::RuntimeHoldReason")
class RuntimeHoldReason(Enumeration):
    """Why balance is held, by pallet."""


@variant(14, "Preimage")
class ForPreimage(RuntimeHoldReason):
    """Bytes noted on chain."""

    _0: PreimageHold


@scale_type("frame_support::traits::tokens::misc::IdAmount")
@dataclass(frozen=True, slots=True)
class IdAmount:
    """One hold."""

    id: RuntimeHoldReason
    amount: Rao


@scale_type("node_subtensor_runtime::RuntimeFreezeReason")
class RuntimeFreezeReason(Enumeration):
    """Why balance is frozen, by pallet: no pallet of this runtime, nor of upstream's, does it."""

    VARIANTS: ClassVar[dict[int, type]] = {}


@scale_type("frame_support::traits::tokens::misc::IdAmount")
@dataclass(frozen=True, slots=True)
class FreezeAmount:
    """One freeze."""

    id: RuntimeFreezeReason
    amount: Rao


Freezes: Map[Blake2[AccountId], Annotated[tuple[FreezeAmount, ...], AtMost(50)]] = storage(
    default=()
)
"""Freezes on account balances; empty, for lack of reasons."""

Holds: Map[Blake2[AccountId], Annotated[tuple[IdAmount, ...], AtMost(50)]] = storage(default=())
"""Holds on account balances."""


def held(s: State, who: AccountId, reason: RuntimeHoldReason) -> int:
    """What is held for a reason."""
    return sum(h.amount for h in s[Holds, who] if h.id == reason)


def hold(s: State, who: AccountId, reason: RuntimeHoldReason, amount: int) -> None:
    """Hold free balance; raises FundsUnavailable, the existential deposit staying free."""
    data = s[Account, who].data
    ensure(data.free - amount >= ED, TokenError(TokenErrorKind.FundsUnavailable))
    _set(s, who, reason, held(s, who, reason) + amount)
    write_balances(
        s,
        who,
        replace(data, free=Rao(data.free - amount), reserved=Rao(data.reserved + amount)),
    )


def release(s: State, who: AccountId, reason: RuntimeHoldReason, amount: int) -> None:
    """Give held balance back, as much as there is of `amount`."""
    data = s[Account, who].data
    actual = min(amount, held(s, who, reason))
    _set(s, who, reason, held(s, who, reason) - actual)
    write_balances(
        s,
        who,
        replace(data, free=Rao(data.free + actual), reserved=Rao(data.reserved - actual)),
    )


def _set(s: State, who: AccountId, reason: RuntimeHoldReason, amount: int) -> None:
    rest = tuple(h for h in s[Holds, who] if h.id != reason)
    if amount:
        rest = (*rest, IdAmount(reason, Rao(amount)))
    if rest:
        s[Holds, who] = rest
    else:
        del s[Holds, who]
