"""Pools and emission: reserves, prices, flows, and what waits for the next epoch."""

from __future__ import annotations

from chain.runtime.storage import Blake2, Identity, Map, Value, storage
from ganglion.scale import i64, u16, u64, u128
from ganglion.units import I64F64, I96F32, U64F64, U96F32, AccountId, Alpha, NetUid, Rao

SubnetTAO: Map[Identity[NetUid], Rao] = storage(default=0)
"""TAO in the subnet's pool."""
SubnetAlphaIn: Map[Identity[NetUid], Alpha] = storage(default=0)
"""Alpha in the subnet's pool."""
SubnetAlphaOut: Map[Identity[NetUid], Alpha] = storage(default=0)
"""Alpha outside the pool."""
SubnetProtocolAlpha: Map[Identity[NetUid], Alpha] = storage(default=0)
"""Alpha that the protocol bought and holds."""
SubnetVolume: Map[Identity[NetUid], u128] = storage(default=0)
"""TAO traded since the beginning."""
SubnetMovingPrice: Map[Identity[NetUid], I96F32] = storage(default=0)
"""Slow average of the alpha price."""
SubnetMovingAlpha: Value[I96F32] = storage(default=12885)
"""Weight of a new price in that average."""
SubnetTaoInEmission: Map[Identity[NetUid], Rao] = storage(default=0)
"""TAO put into the pool in the latest block."""
SubnetAlphaInEmission: Map[Identity[NetUid], Alpha] = storage(default=0)
"""Alpha put into the pool in the latest block."""
SubnetAlphaOutEmission: Map[Identity[NetUid], Alpha] = storage(default=0)
"""Alpha given out in the latest block."""
SubnetExcessTao: Map[Identity[NetUid], Rao] = storage(default=0)
"""TAO beyond what the pool may take, spent on alpha in the latest block."""
SubnetRootSellTao: Map[Identity[NetUid], Rao] = storage(default=0)
"""TAO earned for root holders in the latest block."""
SubnetTaoFlow: Map[Identity[NetUid], i64] = storage(default=0)
"""Net TAO that entered by staking in this block."""
SubnetEmaTaoFlow: Map[Identity[NetUid], tuple[u64, I96F32] | None] = storage()
"""Block and average of that flow."""
SubnetProtocolFlow: Map[Identity[NetUid], i64] = storage(default=0)
"""Net TAO that entered by the protocol in this block."""
SubnetEmaProtocolFlow: Map[Identity[NetUid], tuple[u64, I96F32] | None] = storage()
"""Block and average of that flow."""
NetTaoFlowEnabled: Value[bool] = storage(default=True)
"""Whether the protocol's own flow is subtracted."""
TaoFlowCutoff: Value[I64F64] = storage(default=0)
"""Flow below which a subnet gets no share."""
FlowNormExponent: Value[U64F64] = storage(default=1 << 64)
"""Exponent of the flow shares."""
FlowEmaSmoothingFactor: Value[u64] = storage(default=29597889189277)
"""Weight of a new flow, in units of 2^-64."""
RootProp: Map[Identity[NetUid], U96F32] = storage(default=0)
"""Share of root in the subnet's validator reward."""
TaoWeight: Value[u64] = storage(default=971718665099567868)
"""Weight of root TAO beside alpha, in units of 2^-64."""
CKBurn: Value[u64] = storage(default=0)
"""Share of childkey emission that is burned, in units of 2^-64."""
BlockEmission: Value[u64] = storage(default=1000000000)
"""TAO minted per block; a shown constant."""
SubnetOwnerCut: Value[u16] = storage(default=11796)
"""Owner's share of emission in units of 1/65535."""
PendingServerEmission: Map[Identity[NetUid], Alpha] = storage(default=0)
"""Alpha waiting for miners."""
PendingValidatorEmission: Map[Identity[NetUid], Alpha] = storage(default=0)
"""Alpha waiting for validators."""
PendingRootAlphaDivs: Map[Identity[NetUid], Alpha] = storage(default=0)
"""Alpha waiting for root holders."""
PendingOwnerCut: Map[Identity[NetUid], Alpha] = storage(default=0)
"""Alpha waiting for the owner."""
AlphaDividendsPerSubnet: Map[Identity[NetUid], Blake2[AccountId], Alpha] = storage(default=0)
"""Alpha dividends of a hotkey in the latest epoch."""
RootAlphaDividendsPerSubnet: Map[Identity[NetUid], Blake2[AccountId], Alpha] = storage(default=0)
"""Root dividends of a hotkey in the latest epoch."""
LastHotkeyEmissionOnNetuid: Map[Blake2[AccountId], Identity[NetUid], Alpha] = storage(default=0)
"""Alpha that a hotkey got in the latest epoch."""
TaoInRefundDeploymentBlock: Value[u64] = storage(default=0)
"""Subnets registered later count pool alpha when they are dissolved."""
