"""Block 0: root, and subnet 1 as upstream's localnet has it.

Root belongs to Alice and her hotkey, on the slow build to nobody. Subnet 1 belongs to nobody: a
pool of 10 TAO and 10 alpha, one neuron of the zero account with one alpha of stake; its emission
was never started.

Upstream: pallets/subtensor/src/macros/genesis.rs
"""

from __future__ import annotations

from chain.genesis import Genesis
from chain.pallets.subtensor.storage_baskets import SEEDED
from chain.pallets.subtensor.storage_hyperparameters import (
    MaxAllowedUids,
    MaxAllowedValidators,
    MinAllowedWeights,
)
from chain.pallets.subtensor.storage_keys import Owner
from chain.pallets.subtensor.storage_network import (
    HasMigrationRun,
    LargestLocked,
    NetworkRateLimit,
    NetworkRegistrationAllowed,
    NetworksAdded,
    SubnetLocked,
    SubnetMechanism,
    SubnetOwner,
    SubnetOwnerHotkey,
    SubnetworkN,
    Tempo,
    TokenSymbol,
    TotalNetworks,
)
from chain.pallets.subtensor.storage_pool import SubnetAlphaIn, SubnetAlphaOut, SubnetTAO
from chain.pallets.subtensor.storage_registration import TargetRegistrationsPerInterval
from chain.pallets.subtensor.storage_stake import (
    AlphaV2,
    StakingHotkeys,
    TotalAlphaStaked,
    TotalHotkeyAlpha,
    TotalHotkeySharesV2,
    TotalIssuance,
)
from chain.pallets.subtensor.subnets import symbol_of
from chain.pallets.subtensor.types import NOBODY
from chain.pallets.subtensor.uids import do_append_neuron
from chain.runtime.flavour import LOCAL, slow_or_fast
from chain.runtime.pallet import genesis
from chain.runtime.state import State
from consensus.economics import safe_float
from ganglion.keys import dev_key
from ganglion.units import ROOT_NETUID, Alpha, NetUid, Rao

SEATS_ON_ROOT = 64
TEMPO = 100
FIRST = NetUid(1)
POOL = 10_000_000_000
STAKE = 1_000_000_000


@genesis
def build(s: State, spec: Genesis) -> None:
    """Write the pallet's part of block 0."""
    s[TotalIssuance] = Rao(0)
    s[HasMigrationRun, SEEDED] = True  # root dividends enter funds from the first block on
    if LOCAL:  # a default would be seen in the metadata, where upstream's builds all say 7200
        s[NetworkRateLimit] = 0
    _add_root(s)
    if spec.subnets:
        _add_first_subnet(s)


def _add_root(s: State) -> None:
    root = ROOT_NETUID
    s[NetworksAdded, root] = True
    s[TotalNetworks] = 1
    s[SubnetOwner, root] = slow_or_fast(NOBODY, dev_key("Alice").account_id)
    s[SubnetOwnerHotkey, root] = slow_or_fast(NOBODY, dev_key("Alice_hk").account_id)
    s[SubnetworkN, root] = 0
    s[MaxAllowedUids, root] = SEATS_ON_ROOT
    s[MaxAllowedValidators, root] = SEATS_ON_ROOT
    s[MinAllowedWeights, root] = 0
    s[Tempo, root] = TEMPO
    s[NetworkRegistrationAllowed, root] = True
    s[TargetRegistrationsPerInterval, root] = 1
    s[TokenSymbol, root] = symbol_of(root)


def _add_first_subnet(s: State) -> None:
    s[NetworksAdded, FIRST] = True
    s[TotalNetworks] += 1
    s[SubnetMechanism, FIRST] = 1
    s[SubnetOwner, FIRST] = NOBODY
    s[SubnetworkN, FIRST] = 0
    s[MaxAllowedUids, FIRST] = 256
    s[MaxAllowedValidators, FIRST] = 64
    s[MinAllowedWeights, FIRST] = 0
    s[Tempo, FIRST] = TEMPO
    s[NetworkRegistrationAllowed, FIRST] = True
    s[TokenSymbol, FIRST] = symbol_of(FIRST)
    s[SubnetLocked, FIRST] = Rao(1)
    s[LargestLocked, FIRST] = 1
    s[SubnetTAO, FIRST] = Rao(POOL)
    s[SubnetAlphaIn, FIRST] = Alpha(POOL)
    s[SubnetAlphaOut, FIRST] = Alpha(STAKE)
    s[Owner, NOBODY] = NOBODY
    s[StakingHotkeys, NOBODY] = (NOBODY,)
    s[AlphaV2, NOBODY, NOBODY, FIRST] = safe_float.of(STAKE)
    s[TotalHotkeyAlpha, NOBODY, FIRST] = Alpha(STAKE)
    s[TotalAlphaStaked, FIRST] = Alpha(STAKE)
    s[TotalHotkeySharesV2, NOBODY, FIRST] = safe_float.of(STAKE)
    do_append_neuron(s, FIRST, NOBODY)
