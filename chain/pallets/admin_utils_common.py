"""AdminUtils: events, errors, and the frame around a setting. Upstream: pallets/admin-utils.

A setting of one subnet is for its owner or root. Owners may change each setting only once in
`OwnerHyperparamRateLimit` tempos; nobody may shortly before an epoch (`AdminFreezeWindow`).
Evaluation order: origin, rate limit, window, subnet exists, bounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from chain.pallets.subtensor.accounts import is_subnet
from chain.pallets.subtensor.errors import Error as SubtensorError
from chain.pallets.subtensor.permissions import (
    ensure_hyperparameter_limit,
    ensure_not_frozen,
    ensure_subnet_owner_or_root,
    record_hyperparameter_change,
)
from chain.pallets.subtensor.rate_limits import passes_rate_limit, set_last_block
from chain.pallets.subtensor.types import Hyperparameter, TransactionType
from chain.runtime.errors import Errors, ensure, error
from chain.runtime.pallet import event
from chain.runtime.state import State
from ganglion.scale import u16
from ganglion.units import ROOT_NETUID, U64F64, AccountId, NetUid


@event(1)
class Yuma3EnableToggled:
    """Yuma 3 was switched for a subnet."""

    netuid: NetUid
    enabled: bool


@event(2)
class BondsResetToggled:
    """The reset of bonds was switched for a subnet."""

    netuid: NetUid
    enabled: bool


@event(3)
class BurnHalfLifeSet:
    """The half-life of a subnet's registration price was set."""

    netuid: NetUid
    burn_half_life: u16


@event(4)
class BurnIncreaseMultSet:
    """The factor by which a registration raises the price was set."""

    netuid: NetUid
    burn_increase_mult: U64F64


@event(5)
class SubnetEmissionEnabledSet:
    """A subnet's part in emission was switched."""

    netuid: NetUid
    enabled: bool


@event(6)
class CollateralLockShareSet:
    """The part of a registration's price that is locked was set."""

    netuid: NetUid
    lock_share: u16


@event(7)
class CollateralDrainRatioSet:
    """How fast new collateral comes free was set."""

    netuid: NetUid
    drain_ratio: U64F64


class Error(Errors):
    """Upstream's errors."""

    SubnetDoesNotExist = error(0, "The subnet does not exist, check the netuid parameter")
    MaxValidatorsLargerThanMaxUIds = error(
        1,
        "The maximum number of subnet validators must be less than the maximum number of "
        "allowed UIDs in the subnet.",
    )
    MaxAllowedUIdsLessThanCurrentUIds = error(
        2,
        "The maximum number of subnet validators must be more than the current number of UIDs "
        "already in the subnet.",
    )
    BondsMovingAverageMaxReached = error(3, "The maximum value for bonds moving average is reached")
    NegativeSigmoidSteepness = error(4, "Only root can set negative sigmoid steepness values")
    ValueNotInBounds = error(5, "Value not in allowed bounds.")
    MinAllowedUidsGreaterThanCurrentUids = error(
        6, "The minimum allowed UIDs must be less than the current number of UIDs in the subnet."
    )
    MinAllowedUidsGreaterThanMaxAllowedUids = error(
        7, "The minimum allowed UIDs must be less than the maximum allowed UIDs."
    )
    MaxAllowedUidsLessThanMinAllowedUids = error(
        8, "The maximum allowed UIDs must be greater than the minimum allowed UIDs."
    )
    MaxAllowedUidsGreaterThanDefaultMaxAllowedUids = error(
        9, "The maximum allowed UIDs must be less than the default maximum allowed UIDs."
    )
    InvalidValue = error(10, "Bad parameter value")
    NotPermittedOnRootSubnet = error(11, "Operation is not permitted on the root network.")
    POWRegistrationDisabled = error(12, "POW Registration has been deprecated")
    Deprecated = error(13, "Call is deprecated")
    CollateralLockShareTooHigh = error(
        14,
        "The collateral lock share exceeds the settable maximum (95% of the registration price).",
    )
    CollateralDrainRatioOutOfBounds = error(
        15, "The collateral drain ratio must be positive and at most the settable maximum."
    )
    GrandpaChangeDelayMustBeZero = error(
        16, "GRANDPA changes must take effect at the end of the current block."
    )


def ensure_subnet(s: State, netuid: NetUid) -> None:
    """Raise SubnetDoesNotExist unless the subnet exists."""
    ensure(is_subnet(s, netuid), Error.SubnetDoesNotExist)


def ensure_user_subnet(s: State, netuid: NetUid) -> None:
    """The subnet exists and is not root."""
    ensure_subnet(s, netuid)
    ensure(netuid != ROOT_NETUID, Error.NotPermittedOnRootSubnet)


@contextmanager
def owner_setting(
    s: State, who: AccountId | None, netuid: NetUid, what: Hyperparameter
) -> Iterator[None]:
    """Frame of a setting that owners may change at a limited rate; `who` None is root.

    Raises BadOrigin, TxRateLimitExceeded or AdminActionProhibitedDuringWeightsWindow before
    the body, and records an owner's change after it.
    """
    ensure_subnet_owner_or_root(s, who, netuid)
    ensure_hyperparameter_limit(s, who, netuid, what)
    ensure_not_frozen(s, netuid)
    yield
    record_hyperparameter_change(s, who, netuid, what)


@contextmanager
def owner_action(
    s: State, who: AccountId | None, netuid: NetUid, kind: TransactionType
) -> Iterator[None]:
    """Like `owner_setting`, for changes with a rate limit of their own."""
    ensure_subnet_owner_or_root(s, who, netuid)
    if who is not None:
        ensure(passes_rate_limit(s, kind, who, netuid), SubtensorError.TxRateLimitExceeded)
    ensure_not_frozen(s, netuid)
    yield
    if who is not None:
        set_last_block(s, kind, who, netuid)
