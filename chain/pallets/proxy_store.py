"""Proxy: types, storage, constants, events and errors. Upstream: subtensor's pallet_proxy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, TypeAlias

from chain.pallets.proxy_types import ProxyType
from chain.runtime.errors import DispatchError, Errors, error
from chain.runtime.pallet import Constant, constant, event
from chain.runtime.storage import Map, Twox, storage
from ganglion.scale import AtMost, Enumeration, Outcome, scale_type, u16, u32, variant
from ganglion.units import AccountId, BlockNumber, Hash, Rao

ProxyDepositBase: Constant[Rao] = constant(Rao(60_000_000))
"""Reserved for the first proxy of an account."""

ProxyDepositFactor: Constant[Rao] = constant(Rao(33_000_000))
"""Reserved for each proxy."""

MaxProxies: Constant[u32] = constant(20)
"""The maximum amount of proxies allowed for a single account."""

MaxPending: Constant[u32] = constant(75)
"""The maximum amount of time-delayed announcements that are allowed to be pending."""

AnnouncementDepositBase: Constant[Rao] = constant(Rao(36_000_000))
"""Reserved for the first announcement of an account."""

AnnouncementDepositFactor: Constant[Rao] = constant(Rao(68_000_000))
"""Reserved for each announcement."""


@scale_type("pallet_subtensor_proxy::ProxyDefinition")
@dataclass(frozen=True, slots=True)
class ProxyDefinition:
    """Who may act, in what, and after how many blocks of notice."""

    delegate: AccountId
    proxy_type: ProxyType
    delay: BlockNumber

    @property
    def order(self) -> tuple[bytes, int, int]:
        """The order in which an account's proxies are kept."""
        return self.delegate, self.proxy_type, self.delay


@scale_type("pallet_subtensor_proxy::Announcement")
@dataclass(frozen=True, slots=True)
class Announcement:
    """Notice of a call."""

    real: AccountId
    call_hash: Hash
    height: BlockNumber


@scale_type("pallet_subtensor_proxy::DepositKind")
class DepositKind(IntEnum):
    """What a deposit is for."""

    Proxies = 0
    Announcements = 1


@scale_type("Result")
class CallResult(Enumeration):
    """Result<(), DispatchError> as a stored value, which None cannot stand for."""

    scale_params = (("T", type(None)), ("E", DispatchError))


@variant(0)
class Ok(CallResult):
    """The call succeeded."""

    _0: tuple[()] = ()


@variant(1)
class Err(CallResult):
    """The call failed."""

    _0: DispatchError


Definitions: TypeAlias = Annotated[tuple[ProxyDefinition, ...], AtMost(MaxProxies.value)]
Pending: TypeAlias = Annotated[tuple[Announcement, ...], AtMost(MaxPending.value)]

Proxies: Map[Twox[AccountId], tuple[Definitions, Rao]] = storage(default=((), Rao(0)))
"""The proxies of an account, with the amount held on deposit."""

Announcements: Map[Twox[AccountId], tuple[Pending, Rao]] = storage(default=((), Rao(0)))
"""The announcements made by a proxy, with the amount held on deposit."""

LastCallResult: Map[Twox[AccountId], CallResult | None] = storage()
"""The result of the last call made for an account in this block."""

RealPaysFeeConsentV1: Map[Twox[AccountId], Twox[AccountId], tuple[()] | None] = storage()
"""Pairs (real, delegate) in which the real account pays the fees of proxied calls."""


@event(0)
class ProxyExecuted:
    """A proxy was executed correctly, with the given result."""

    result: Outcome[DispatchError]


@event(1)
class PureCreated:
    """A pure account has been created by new proxy with given disambiguation index."""

    pure: AccountId
    who: AccountId
    proxy_type: ProxyType
    disambiguation_index: u16


@event(2)
class PureKilled:
    """A pure proxy was killed by its spawner."""

    pure: AccountId
    spawner: AccountId
    proxy_type: ProxyType
    disambiguation_index: u16


@event(3)
class Announced:
    """An announcement was placed to make a call in the future."""

    real: AccountId
    proxy: AccountId
    call_hash: Hash


@event(4)
class ProxyAdded:
    """A proxy was added."""

    delegator: AccountId
    delegatee: AccountId
    proxy_type: ProxyType
    delay: BlockNumber


@event(5)
class ProxyRemoved:
    """A proxy was removed."""

    delegator: AccountId
    delegatee: AccountId
    proxy_type: ProxyType
    delay: BlockNumber


@event(6)
class DepositPoked:
    """A deposit was brought to today's price."""

    who: AccountId
    kind: DepositKind
    old_deposit: Rao
    new_deposit: Rao


@event(7)
class RealPaysFeeSet:
    """Who pays for proxied calls was changed."""

    real: AccountId
    delegate: AccountId
    pays_fee: bool


class Error(Errors):
    """Upstream's errors."""

    TooMany = error(0, "There are too many proxies registered or too many announcements pending.")
    NotFound = error(1, "Proxy registration not found.")
    NotProxy = error(2, "Sender is not a proxy of the account to be proxied.")
    Unproxyable = error(
        3, "A call which is incompatible with the proxy type's filter was attempted."
    )
    Duplicate = error(4, "Account is already a proxy.")
    NoPermission = error(5, "Call may not be made by proxy because it may escalate its privileges.")
    Unannounced = error(6, "Announcement, if made at all, was made too recently.")
    NoSelfProxy = error(7, "Cannot add self as proxy.")
    AnnouncementDepositInvariantViolated = error(
        8, "Invariant violated: deposit recomputation returned None after updating announcements."
    )
    InvalidDerivedAccountId = error(
        9, "Failed to derive a valid account id from the provided entropy."
    )
