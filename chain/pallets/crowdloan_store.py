"""Crowdloan: storage, constants, events and errors. Upstream: pallets/crowdloan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from chain.pallets.preimage import Bounded
from chain.runtime.errors import Errors, error
from chain.runtime.flavour import slow_or_fast
from chain.runtime.pallet import Constant, constant, event
from chain.runtime.storage import Identity, Map, Twox, Value, storage
from ganglion.scale import AtMost, Fixed, scale_type, u32
from ganglion.units import AccountId, BlockNumber, Rao

PalletId: Constant[Annotated[bytes, Fixed(8)]] = constant(b"bt/cloan")
"""Names the accounts that hold the funds."""

MinimumDeposit: Constant[Rao] = constant(Rao(10_000_000_000))
"""The minimum deposit required to create a crowdloan."""

AbsoluteMinimumContribution: Constant[Rao] = constant(Rao(100_000_000))
"""The absolute minimum contribution."""

MinimumBlockDuration: Constant[BlockNumber] = constant(
    slow_or_fast(BlockNumber(50_400), BlockNumber(50))
)
"""The minimum block duration for a crowdloan."""

MaximumBlockDuration: Constant[BlockNumber] = constant(
    slow_or_fast(BlockNumber(432_000), BlockNumber(20_000))
)
"""The maximum block duration for a crowdloan."""

RefundContributorsLimit: Constant[u32] = constant(50)
"""The maximum number of contributors that can be refunded in a single refund."""

MaxContributors: Constant[u32] = constant(500)
"""The maximum number of contributors of a crowdloan."""


@scale_type("pallet_crowdloan::CrowdloanInfo")
@dataclass(frozen=True, slots=True)
class CrowdloanInfo:
    """One crowdloan; amounts in rao, `end` a block."""

    creator: AccountId
    deposit: Rao
    min_contribution: Rao
    end: BlockNumber
    cap: Rao
    funds_account: AccountId
    raised: Rao
    target_address: AccountId | None
    call: Bounded | None
    finalized: bool
    contributors_count: u32


Crowdloans: Map[Twox[u32], CrowdloanInfo | None] = storage()
"""A map of crowdloan ids to their information."""

NextCrowdloanId: Value[u32] = storage(default=0)
"""The next incrementing crowdloan id."""

Contributions: Map[Twox[u32], Identity[AccountId], Rao | None] = storage()
"""What each contributor has given to a crowdloan."""

MaxContributions: Map[Twox[u32], Rao | None] = storage()
"""What one contributor may give to a crowdloan at most."""

CurrentCrowdloanId: Value[u32 | None] = storage()
"""The crowdloan that is being finalized; only set while its call runs."""

HasMigrationRun: Map[Identity[Annotated[bytes, AtMost(128)]], bool] = storage(default=False)
"""Migrations that have run; none ever on this chain."""


@event(0)
class Created:
    """A crowdloan was created."""

    crowdloan_id: u32
    creator: AccountId
    end: BlockNumber
    cap: Rao


@event(1)
class Contributed:
    """A contribution was made to an active crowdloan."""

    crowdloan_id: u32
    contributor: AccountId
    amount: Rao


@event(2)
class Withdrew:
    """A contribution was withdrawn from a failed crowdloan."""

    crowdloan_id: u32
    contributor: AccountId
    amount: Rao


@event(3)
class PartiallyRefunded:
    """A refund was partially processed for a failed crowdloan."""

    crowdloan_id: u32


@event(4)
class AllRefunded:
    """A refund was fully processed for a failed crowdloan."""

    crowdloan_id: u32


@event(5)
class Finalized:
    """A crowdloan was finalized, funds were transferred and the call was dispatched."""

    crowdloan_id: u32


@event(6)
class Dissolved:
    """A crowdloan was dissolved."""

    crowdloan_id: u32


@event(7)
class MinContributionUpdated:
    """The minimum contribution was updated."""

    crowdloan_id: u32
    new_min_contribution: Rao


@event(8)
class EndUpdated:
    """The end was updated."""

    crowdloan_id: u32
    new_end: BlockNumber


@event(9)
class CapUpdated:
    """The cap was updated."""

    crowdloan_id: u32
    new_cap: Rao


@event(10)
class MaxContributionUpdated:
    """The maximum contribution was updated."""

    crowdloan_id: u32
    new_max_contribution: Rao | None


class Error(Errors):
    """Upstream's errors."""

    DepositTooLow = error(0, "The crowdloan initial deposit is too low.")
    CapTooLow = error(1, "The crowdloan cap is too low.")
    MinimumContributionTooLow = error(2, "The minimum contribution is too low.")
    CannotEndInPast = error(3, "The crowdloan cannot end in the past.")
    BlockDurationTooShort = error(4, "The crowdloan block duration is too short.")
    BlockDurationTooLong = error(5, "The block duration is too long.")
    InsufficientBalance = error(
        6, "The account does not have enough balance to pay for the initial deposit/contribution."
    )
    Overflow = error(7, "An overflow occurred.")
    InvalidCrowdloanId = error(8, "The crowdloan id is invalid.")
    CapRaised = error(9, "The crowdloan cap has been fully raised.")
    ContributionPeriodEnded = error(10, "The contribution period has ended.")
    ContributionTooLow = error(11, "The contribution is too low.")
    InvalidOrigin = error(12, "The origin of this call is invalid.")
    AlreadyFinalized = error(13, "The crowdloan has already been finalized.")
    AlreadyFinalizing = error(14, "A crowdloan finalization is already in progress.")
    ContributionPeriodNotEnded = error(15, "The crowdloan contribution period has not ended yet.")
    NoContribution = error(16, "The contributor has no contribution for this crowdloan.")
    CapNotRaised = error(17, "The crowdloan cap has not been raised.")
    Underflow = error(18, "An underflow occurred.")
    CallUnavailable = error(19, "Call to dispatch was not found in the preimage storage.")
    NotReadyToDissolve = error(
        20, "The crowdloan is not ready to be dissolved, it still has contributions."
    )
    DepositCannotBeWithdrawn = error(21, "The deposit cannot be withdrawn from the crowdloan.")
    MaxContributorsReached = error(22, "The maximum number of contributors has been reached.")
    InvalidFinalizationConfig = error(23, "Exactly one of call or target address must be provided.")
    MaxContributionReached = error(
        24, "The contributor has already reached the maximum contribution."
    )
    MaximumContributionTooLow = error(25, "The maximum contribution is too low.")
    MinimumContributionTooHigh = error(26, "The minimum contribution is too high.")
    FundsNotSettled = error(27, "The finalization call did not spend the full amount raised.")
