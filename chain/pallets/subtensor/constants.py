"""Constants of SubtensorModule: the first value of each setting, bounds and prices.

Where upstream has a fast and a slow build, both values are here.
"""

from __future__ import annotations

from typing import Annotated

from chain.runtime.flavour import slow_or_fast
from chain.runtime.pallet import Constant, constant
from ganglion.scale import Fixed, i16, u8, u16, u32, u64
from ganglion.units import Percent, Rao

PalletId = Annotated[bytes, Fixed(8)]

InitialIssuance: Constant[Rao] = constant(0)
"""TotalIssuance at genesis."""
InitialMinAllowedWeights: Constant[u16] = constant(1_024)
"""First MinAllowedWeights."""
InitialEmissionValue: Constant[u16] = constant(0)
"""First emission; unused."""
InitialTempo: Constant[u16] = constant(slow_or_fast(360, 10))
"""First Tempo."""
InitialDifficulty: Constant[u64] = constant(10_000_000)
"""First Difficulty."""
InitialMaxDifficulty: Constant[u64] = constant(4_611_686_018_427_387_903)
"""First MaxDifficulty."""
InitialMinDifficulty: Constant[u64] = constant(10_000_000)
"""First MinDifficulty."""
InitialRAORecycledForRegistration: Constant[Rao] = constant(0)
"""First RAORecycledForRegistration."""
InitialBurn: Constant[Rao] = constant(100_000_000)
"""First Burn."""
InitialMaxBurn: Constant[Rao] = constant(100_000_000_000)
"""First MaxBurn."""
InitialMinBurn: Constant[Rao] = constant(500_000)
"""First MinBurn."""
InitialMinStake: Constant[Rao] = constant(2_000_000)
"""Least amount that can be staked or unstaked."""
InitialMinTransfer: Constant[Rao] = constant(100_000)
"""Least amount of stake that can be transferred."""
MinBurnUpperBound: Constant[Rao] = constant(1_000_000_000)
"""An owner cannot raise MinBurn beyond this."""
MaxBurnLowerBound: Constant[Rao] = constant(100_000_000)
"""An owner cannot lower MaxBurn below this."""
MinTempo: Constant[u16] = constant(360)
"""Smallest tempo that an owner may choose."""
MaxTempo: Constant[u16] = constant(50_400)
"""Largest tempo that an owner may choose."""
MinActivityCutoffFactorMilli: Constant[u32] = constant(1_000)
"""Smallest activity cutoff, in thousandths of the tempo."""
MaxActivityCutoffFactorMilli: Constant[u32] = constant(50_000)
"""Largest activity cutoff, in thousandths of the tempo."""
InitialAdjustmentInterval: Constant[u16] = constant(100)
"""First AdjustmentInterval."""
InitialBondsMovingAverage: Constant[u64] = constant(900_000)
"""First BondsMovingAverage."""
InitialBondsPenalty: Constant[u16] = constant(65_535)
"""First BondsPenalty."""
InitialBondsResetOn: Constant[bool] = constant(False)
"""First BondsResetOn."""
InitialTargetRegistrationsPerInterval: Constant[u16] = constant(2)
"""First TargetRegistrationsPerInterval."""
InitialRho: Constant[u16] = constant(10)
"""First Rho."""
InitialAlphaSigmoidSteepness: Constant[i16] = constant(1_000)
"""First AlphaSigmoidSteepness."""
InitialKappa: Constant[u16] = constant(32_767)
"""First Kappa."""
InitialMinAllowedUids: Constant[u16] = constant(64)
"""First MinAllowedUids."""
InitialMaxAllowedUids: Constant[u16] = constant(256)
"""First MaxAllowedUids."""
InitialValidatorPruneLen: Constant[u64] = constant(1)
"""First ValidatorPruneLen."""
InitialScalingLawPower: Constant[u16] = constant(50)
"""First ScalingLawPower."""
InitialImmunityPeriod: Constant[u16] = constant(4_096)
"""First ImmunityPeriod."""
InitialActivityCutoff: Constant[u16] = constant(5_000)
"""First ActivityCutoff."""
InitialMaxRegistrationsPerBlock: Constant[u16] = constant(1)
"""First MaxRegistrationsPerBlock."""
InitialPruningScore: Constant[u16] = constant(65_535)
"""Pruning score of a new neuron; unused."""
InitialMaxAllowedValidators: Constant[u16] = constant(128)
"""First MaxAllowedValidators."""
InitialDefaultDelegateTake: Constant[u16] = constant(11_796)
"""First delegate take."""
InitialMinDelegateTake: Constant[u16] = constant(0)
"""First MinDelegateTake."""
InitialDefaultChildKeyTake: Constant[u16] = constant(0)
"""First childkey take."""
InitialMinChildKeyTake: Constant[u16] = constant(0)
"""First MinChildkeyTake."""
InitialMaxChildKeyTake: Constant[u16] = constant(11_796)
"""First MaxChildkeyTake."""
InitialWeightsVersionKey: Constant[u64] = constant(0)
"""First WeightsVersionKey."""
InitialServingRateLimit: Constant[u64] = constant(50)
"""First ServingRateLimit."""
InitialTxRateLimit: Constant[u64] = constant(1_000)
"""First TxRateLimit."""
InitialTxDelegateTakeRateLimit: Constant[u64] = constant(216_000)
"""First TxDelegateTakeRateLimit."""
InitialTxChildKeyTakeRateLimit: Constant[u64] = constant(slow_or_fast(216_000, 5))
"""First TxChildkeyTakeRateLimit."""
InitialAdjustmentAlpha: Constant[u64] = constant(0)
"""First AdjustmentAlpha."""
InitialNetworkImmunityPeriod: Constant[u64] = constant(1_296_000)
"""First NetworkImmunityPeriod."""
InitialNetworkMinLockCost: Constant[Rao] = constant(1_000_000_000_000)
"""First NetworkMinLockCost."""
InitialSubnetOwnerCut: Constant[u16] = constant(11_796)
"""First SubnetOwnerCut."""
InitialNetworkLockReductionInterval: Constant[u64] = constant(100_800)
"""First NetworkLockReductionInterval."""
InitialNetworkRateLimit: Constant[u64] = constant(7_200)
"""First NetworkRateLimit."""
KeySwapCost: Constant[Rao] = constant(100_000_000)
"""Price of swapping a hotkey everywhere, or a coldkey."""
AlphaHigh: Constant[u16] = constant(58_982)
"""First upper alpha value."""
AlphaLow: Constant[u16] = constant(45_875)
"""First lower alpha value."""
LiquidAlphaOn: Constant[bool] = constant(False)
"""First LiquidAlphaOn."""
Yuma3On: Constant[bool] = constant(False)
"""First Yuma3On."""
InitialColdkeySwapAnnouncementDelay: Constant[u32] = constant(slow_or_fast(36_000, 50))
"""First ColdkeySwapAnnouncementDelay."""
InitialColdkeySwapReannouncementDelay: Constant[u32] = constant(slow_or_fast(7_200, 10))
"""First ColdkeySwapReannouncementDelay."""
InitialDissolveNetworkScheduleDuration: Constant[u32] = constant(36_000)
"""First DissolveNetworkScheduleDuration."""
InitialTaoWeight: Constant[u64] = constant(971_718_665_099_567_868)
"""First TaoWeight."""
InitialEmaPriceHalvingPeriod: Constant[u64] = constant(201_600)
"""First EMAPriceHalvingBlocks."""
InitialStartCallDelay: Constant[u64] = constant(0)
"""First StartCallDelay."""
KeySwapOnSubnetCost: Constant[Rao] = constant(1_000_000)
"""Price of swapping a hotkey on one subnet."""
HotkeySwapOnSubnetInterval: Constant[u64] = constant(slow_or_fast(7_200, 1))
"""Blocks between two hotkey swaps on one subnet."""
LeaseDividendsDistributionInterval: Constant[u32] = constant(100)
"""Blocks between two payments of lease dividends."""
MaxImmuneUidsPercentage: Constant[Percent] = constant(80)
"""Largest share of immune neurons after trimming."""
SubtensorPalletId: Constant[PalletId] = constant(b"subtensr")
"""From which the subnets' accounts are derived."""
BurnAccountId: Constant[PalletId] = constant(b"burntnsr")
"""From which the account for burned TAO is derived."""
InitialMaxEpochsPerBlock: Constant[u8] = constant(slow_or_fast(2, 32))
"""First MaxEpochsPerBlock."""
