"""Types of the System pallet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from chain.runtime.call import Weight
from ganglion.scale import Compact, Fixed, scale_type, slotted, u8, u32, u64, u128
from ganglion.units import Hash, Rao

IS_NEW_LOGIC = 1 << 127
"""The flag that every account of today's Balances carries."""


@scale_type("pallet_balances::types::AccountData")
@slotted
class AccountData:
    """Balances of an account in rao; `frozen` overlaps with free and reserved."""

    free: Rao = Rao(0)
    reserved: Rao = Rao(0)
    frozen: Rao = Rao(0)
    flags: u128 = IS_NEW_LOGIC


@scale_type("frame_system::AccountInfo")
@slotted
class AccountInfo:
    """Nonce, reference counts and balances."""

    nonce: u32 = 0
    consumers: u32 = 0
    providers: u32 = 0
    sufficients: u32 = 0
    data: AccountData = AccountData()

    def with_data(self, data: AccountData) -> AccountInfo:
        """The same account with other balances (written out: this is the hottest copy)."""
        return AccountInfo(self.nonce, self.consumers, self.providers, self.sufficients, data)

    def with_nonce(self, nonce: int) -> AccountInfo:
        """The same account with another nonce."""
        return AccountInfo(nonce, self.consumers, self.providers, self.sufficients, self.data)


@scale_type("frame_support::dispatch::PerDispatchClass")
@dataclass(frozen=True, slots=True)
class BlockWeight:
    """Weight used by the block, by dispatch class."""

    normal: Weight = Weight(0, 0)
    operational: Weight = Weight(0, 0)
    mandatory: Weight = Weight(0, 0)


@scale_type("frame_system::LastRuntimeUpgradeInfo")
@dataclass(frozen=True, slots=True)
class LastRuntimeUpgradeInfo:
    """The runtime that ran the last upgrade hooks."""

    spec_version: Compact[u32]
    spec_name: str


@scale_type("frame_system::CodeUpgradeAuthorization")
@dataclass(frozen=True, slots=True)
class CodeUpgradeAuthorization:
    """Code that may be applied by anyone who has it."""

    code_hash: Hash
    check_version: bool


@scale_type("sp_weights::RuntimeDbWeight")
@dataclass(frozen=True, slots=True)
class RuntimeDbWeight:
    """Reference time of one storage read and write."""

    read: u64
    write: u64


@scale_type("frame_system::limits::WeightsPerClass")
@dataclass(frozen=True, slots=True)
class WeightsPerClass:
    """What one dispatch class may use."""

    base_extrinsic: Weight
    max_extrinsic: Weight | None
    max_total: Weight | None
    reserved: Weight | None


@scale_type("frame_support::dispatch::PerDispatchClass")
@dataclass(frozen=True, slots=True)
class ClassWeights:
    """Limits by dispatch class."""

    normal: WeightsPerClass
    operational: WeightsPerClass
    mandatory: WeightsPerClass


@scale_type("frame_system::limits::BlockWeights")
@dataclass(frozen=True, slots=True)
class BlockWeights:
    """How much a block may weigh."""

    base_block: Weight
    max_block: Weight
    per_class: ClassWeights


@scale_type("frame_support::dispatch::PerDispatchClass")
@dataclass(frozen=True, slots=True)
class ClassLengths:
    """Bytes by dispatch class."""

    normal: u32
    operational: u32
    mandatory: u32


@scale_type("frame_system::limits::BlockLength")
@dataclass(frozen=True, slots=True)
class BlockLength:
    """How long a block may be."""

    max: ClassLengths


@scale_type("sp_version::RuntimeVersion")
@dataclass(frozen=True, slots=True)
class RuntimeVersionType:
    """The runtime's version in SCALE."""

    spec_name: str
    impl_name: str
    authoring_version: u32
    spec_version: u32
    impl_version: u32
    apis: tuple[tuple[Annotated[bytes, Fixed(8)], u32], ...]
    transaction_version: u32
    system_version: u8
