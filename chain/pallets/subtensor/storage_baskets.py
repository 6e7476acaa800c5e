"""Root baskets: every validator's fund, its shares, who has had what of it, and how it may trade.

What a fund holds is ordinary stake: behind the validator's hotkey, of the one escrow account.
"""

from __future__ import annotations

from dataclasses import dataclass

from chain.runtime.storage import Blake2, Identity, Map, Value, storage
from ganglion.scale import i128, scale_type, u16, u64, u128
from ganglion.units import I96F32, U64F64, AccountId, Alpha, NetUid, Rao

SEEDED = b"migrate_seed_beta_basket_v2"
"""With this name in HasMigrationRun, root dividends enter funds.

Upstream moved its chain from claims on every subnet to funds under this name. Chains of ours that
were made before keep their claims; every new one starts with funds.
"""


@scale_type("pallet_subtensor::pallet::BetaBaselineOf")
@dataclass(frozen=True, slots=True)
class BetaBaselineOf:
    """Where a fund's display prices begin: divisor, rate and stake index of its first shares."""

    price_divisor: U64F64
    rate0: I96F32
    tr_splice: U64F64
    first_block: u64


@scale_type("pallet_subtensor::pallet::BetaIndexSnapshotOf")
@dataclass(frozen=True, slots=True)
class BetaIndexSnapshotOf:
    """Both indices, and the block in which they were published."""

    bag_level: U64F64
    stake_level: U64F64
    block: u64


@scale_type("pallet_subtensor::pallet::BetaIndexSweepOf")
@dataclass(frozen=True, slots=True)
class BetaIndexSweepOf:
    """A pass over all funds: the raw key of the last one seen, and the sums so far."""

    cursor: bytes
    weight_sum: u128
    rel_bag_sum: U64F64
    rel_stake_sum: U64F64


@scale_type("pallet_subtensor::pallet::BetaIndexFundSampleOf")
@dataclass(frozen=True, slots=True)
class BetaIndexFundSampleOf:
    """What the last pass saw of a fund."""

    nav: u64
    display: U64F64
    stake: U64F64


PendingBasketDeposits: Map[Blake2[AccountId], Identity[NetUid], Alpha] = storage(default=0)
"""Root dividends of a hotkey, by subnet, that wait to enter its fund."""
PendingBasketFlushCursor: Value[bytes | None] = storage()
"""Raw key of the last waiting dividend that a block has looked at."""
BasketTradingEnabled: Value[bool] = storage(default=False)
"""Whether funds may trade at all."""
BasketTradingFrozen: Map[Blake2[AccountId], tuple[()] | None] = storage()
"""Hotkeys whose funds may not trade."""
BasketDailyTurnoverCap: Value[u16] = storage(default=6553)
"""Part of a fund that its turnover bucket holds, in units of 1/65535."""
BasketLiquidityCap: Value[u16] = storage(default=6553)
"""Part of a pool's alpha up to which a fund may buy, in units of 1/65535."""
BasketTradeBucket: Map[Blake2[AccountId], tuple[u64, u64] | None] = storage()
"""A fund's turnover bucket: TAO left in it, and as of which block; absent means full."""
BasketConcentrationCap: Value[u16] = storage(default=4096)
"""Part of a fund up to which one holding may be bought, in units of 1/65535."""
BasketShares: Map[Blake2[AccountId], u64] = storage(default=0)
"""Shares of a hotkey's fund."""
BasketRate: Map[Blake2[AccountId], I96F32] = storage(default=0)
"""Shares that one unit of root stake behind a hotkey has ever earned."""
BetaBaseline: Map[Blake2[AccountId], BetaBaselineOf | None] = storage()
"""Where a fund's display prices begin."""
BasketTwr: Map[Blake2[AccountId], U64F64] = storage(default=1 << 64)
"""Total return of a fund's root stakers: each dividend compounds it."""
BetaIndexSnapshot: Value[BetaIndexSnapshotOf | None] = storage()
"""The indices as last published."""
BetaIndexSweep: Value[BetaIndexSweepOf | None] = storage()
"""The pass that is under way."""
BetaIndexFundSample: Map[Blake2[AccountId], BetaIndexFundSampleOf | None] = storage()
"""What the last pass saw of a fund."""
BasketClaimed: Map[Blake2[AccountId], Blake2[AccountId], i128] = storage(default=0)
"""Shares of a hotkey's fund that a coldkey has had or never earned; below zero: was given."""
BasketDepositedTao: Map[Blake2[AccountId], Rao] = storage(default=0)
"""Worth of all that ever entered a fund."""
BasketRedeemedTao: Map[Blake2[AccountId], Rao] = storage(default=0)
"""TAO that a fund has ever paid out."""
SubnetFastMovingPrice: Map[Identity[NetUid], U64F64 | None] = storage()
"""Fast average of the alpha price, which bounds the trades of funds."""
