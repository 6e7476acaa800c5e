"""Types of the System pallet."""

from __future__ import annotations

from dataclasses import dataclass

from chain.runtime.call import Weight
from ganglion.scale import Compact, scale_type, u32, u64, u128
from ganglion.units import Hash, Rao

IS_NEW_LOGIC = 1 << 127
"""The flag that every account of today's Balances carries."""


@scale_type("pallet_balances::types::AccountData")
@dataclass(frozen=True, slots=True)
class AccountData:
    """Balances of an account in rao; `frozen` overlaps with free and reserved."""

    free: Rao = Rao(0)
    reserved: Rao = Rao(0)
    frozen: Rao = Rao(0)
    flags: u128 = IS_NEW_LOGIC


@scale_type("frame_system::AccountInfo")
@dataclass(frozen=True, slots=True)
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
