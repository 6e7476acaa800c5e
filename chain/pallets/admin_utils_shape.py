"""AdminUtils: seats, mechanisms, prices and clock of a subnet, for its owner or root."""

from __future__ import annotations

from chain.pallets.admin_utils_common import (
    BurnHalfLifeSet,
    BurnIncreaseMultSet,
    Error,
    ensure_subnet,
    ensure_user_subnet,
    owner_action,
    owner_setting,
)
from chain.pallets.subtensor import storage_hyperparameters as hyper
from chain.pallets.subtensor.accounts import is_subnet
from chain.pallets.subtensor.constants import (
    InitialMaxAllowedUids,
    MaxBurnLowerBound,
    MaxTempo,
    MinBurnUpperBound,
    MinTempo,
)
from chain.pallets.subtensor.errors import Error as SubtensorError
from chain.pallets.subtensor.events_settings import (
    MaxAllowedUidsSet,
    MaxBurnSet,
    MinBurnSet,
    MinChildKeyTakePerSubnetSet,
)
from chain.pallets.subtensor.mechanism import (
    do_set_emission_split,
    do_set_mechanism_count,
    ensure_uids_fit,
)
from chain.pallets.subtensor.permissions import ensure_not_frozen, ensure_subnet_owner_or_root
from chain.pallets.subtensor.rate_limits import passes_rate_limit, set_last_block
from chain.pallets.subtensor.storage_delegation import (
    MaxChildkeyTake,
    MinChildkeyTake,
    MinChildkeyTakePerSubnet,
)
from chain.pallets.subtensor.storage_network import MechanismCountCurrent, SubnetworkN
from chain.pallets.subtensor.storage_registration import (
    BurnHalfLife,
    BurnIncreaseMult,
    MaxBurn,
    MinBurn,
)
from chain.pallets.subtensor.subnets import do_set_owner_hotkey
from chain.pallets.subtensor.tempo_control import do_set_tempo
from chain.pallets.subtensor.trimming import do_trim_uids
from chain.pallets.subtensor.types import Hyperparameter, TransactionType
from chain.runtime.call import DispatchClass
from chain.runtime.errors import ensure
from chain.runtime.origin import SignedOrRoot
from chain.runtime.pallet import call
from chain.runtime.state import State
from ganglion.scale import u16
from ganglion.units import U64F64, AccountId, MechId, NetUid, PerU16, Rao

MAX_BURN_HALF_LIFE = 36_100
MAX_IMMUNE_OWNER_UIDS = 10
ONE = 1 << 64


@call(15, weight=43_381_000, reads=8, writes=1)
def sudo_set_max_allowed_uids(
    s: State, who: SignedOrRoot, netuid: NetUid, max_allowed_uids: u16
) -> None:
    """Set the number of seats of a subnet."""
    with owner_setting(s, who, netuid, Hyperparameter.MaxAllowedUids):
        ensure_subnet(s, netuid)
        least, taken = s[hyper.MinAllowedUids, netuid], s[SubnetworkN, netuid]
        ensure(max_allowed_uids >= least, Error.MaxAllowedUidsLessThanMinAllowedUids)
        ensure(taken <= max_allowed_uids, Error.MaxAllowedUIdsLessThanCurrentUIds)
        ensure(
            max_allowed_uids <= InitialMaxAllowedUids.value,
            Error.MaxAllowedUidsGreaterThanDefaultMaxAllowedUids,
        )
        ensure_uids_fit(max_allowed_uids, s[MechanismCountCurrent, netuid])
        s[hyper.MaxAllowedUids, netuid] = max_allowed_uids
        s.emit(MaxAllowedUidsSet(netuid, max_allowed_uids))


@call(78, weight=38_302_000, reads=8, writes=1)
def sudo_trim_to_max_allowed_uids(s: State, who: SignedOrRoot, netuid: NetUid, max_n: u16) -> None:
    """Shrink a subnet: the lowest earners leave and the others move together."""
    with owner_action(s, who, netuid, TransactionType.MaxUidsTrimming):
        do_trim_uids(s, netuid, max_n)


@call(72, weight=25_107_000, reads=4, writes=1)
def sudo_set_owner_immune_neuron_limit(
    s: State, who: SignedOrRoot, netuid: NetUid, immune_neurons: u16
) -> None:
    """Set how many of the owner's neurons are immune, one to ten."""
    with owner_setting(s, who, netuid, Hyperparameter.ImmuneNeuronLimit):
        ensure(1 <= immune_neurons <= MAX_IMMUNE_OWNER_UIDS, SubtensorError.InvalidValue)
        s[hyper.ImmuneOwnerUidsLimit, netuid] = immune_neurons


@call(76, weight=15_000_000, reads=1, writes=1)
def sudo_set_mechanism_count(
    s: State, who: SignedOrRoot, netuid: NetUid, mechanism_count: MechId
) -> None:
    """Set how many mechanisms a subnet has."""
    with owner_action(s, who, netuid, TransactionType.MechanismCountUpdate):
        do_set_mechanism_count(s, netuid, mechanism_count)


@call(77, weight=15_000_000, reads=1, writes=1)
def sudo_set_mechanism_emission_split(
    s: State, who: SignedOrRoot, netuid: NetUid, maybe_split: tuple[u16, ...] | None
) -> None:
    """Set how a subnet's emission is split over its mechanisms; None: evenly."""
    with owner_action(s, who, netuid, TransactionType.MechanismEmission):
        do_set_emission_split(s, netuid, maybe_split)


@call(22, weight=37_780_000, reads=6, writes=1)
def sudo_set_min_burn(s: State, who: SignedOrRoot, netuid: NetUid, min_burn: Rao) -> None:
    """Set the floor of the registration price."""
    with owner_setting(s, who, netuid, Hyperparameter.MinBurn):
        ensure_subnet(s, netuid)
        ensure(min_burn < MinBurnUpperBound.value, Error.ValueNotInBounds)
        ensure(min_burn < s[MaxBurn, netuid], Error.ValueNotInBounds)
        s[MinBurn, netuid] = min_burn
        s.emit(MinBurnSet(netuid, min_burn))


@call(23, weight=36_949_000, reads=6, writes=1)
def sudo_set_max_burn(s: State, who: SignedOrRoot, netuid: NetUid, max_burn: Rao) -> None:
    """Set the ceiling of the registration price."""
    with owner_setting(s, who, netuid, Hyperparameter.MaxBurn):
        ensure_subnet(s, netuid)
        ensure(max_burn > MaxBurnLowerBound.value, Error.ValueNotInBounds)
        ensure(max_burn > s[MinBurn, netuid], Error.ValueNotInBounds)
        s[MaxBurn, netuid] = max_burn
        s.emit(MaxBurnSet(netuid, max_burn))


@call(89, weight=25_000_000, reads=4, writes=1, dispatch_class=DispatchClass.Operational)
def sudo_set_burn_half_life(
    s: State, who: SignedOrRoot, netuid: NetUid, burn_half_life: u16
) -> None:
    """Set in how many blocks the registration price halves."""
    with owner_setting(s, who, netuid, Hyperparameter.BurnHalfLife):
        ensure_user_subnet(s, netuid)
        ensure(0 < burn_half_life <= MAX_BURN_HALF_LIFE, Error.InvalidValue)
        s[BurnHalfLife, netuid] = burn_half_life
        s.emit(BurnHalfLifeSet(netuid, burn_half_life))


@call(90, weight=25_000_000, reads=4, writes=1, dispatch_class=DispatchClass.Operational)
def sudo_set_burn_increase_mult(
    s: State, who: SignedOrRoot, netuid: NetUid, burn_increase_mult: U64F64
) -> None:
    """Set by what factor a registration raises the price, from 1 to 3."""
    with owner_setting(s, who, netuid, Hyperparameter.BurnIncreaseMult):
        ensure_user_subnet(s, netuid)
        ensure(ONE <= burn_increase_mult <= 3 * ONE, Error.InvalidValue)
        s[BurnIncreaseMult, netuid] = burn_increase_mult
        s.emit(BurnIncreaseMultSet(netuid, burn_increase_mult))


@call(93, weight=38_100_000, reads=7, writes=1)
def sudo_set_min_childkey_take_per_subnet(
    s: State, who: SignedOrRoot, netuid: NetUid, take: PerU16
) -> None:
    """Set a subnet's floor of childkey takes, within the chain's own bounds."""
    with owner_setting(s, who, netuid, Hyperparameter.MinChildkeyTake):
        ensure_subnet(s, netuid)
        ensure(s[MinChildkeyTake] <= take <= s[MaxChildkeyTake], Error.InvalidValue)
        s[MinChildkeyTakePerSubnet, netuid] = take
        s.emit(MinChildKeyTakePerSubnetSet(netuid, take))


@call(92, weight=25_000_000, reads=4, writes=1, dispatch_class=DispatchClass.Operational)
def sudo_set_owner_cut_enabled(s: State, who: SignedOrRoot, netuid: NetUid, enabled: bool) -> None:
    """Switch the owner's cut."""
    ensure_subnet_owner_or_root(s, who, netuid)
    ensure_not_frozen(s, netuid)
    ensure_user_subnet(s, netuid)
    s[hyper.OwnerCutEnabled, netuid] = enabled


@call(95, weight=25_000_000, reads=4, writes=1, dispatch_class=DispatchClass.Operational)
def sudo_set_owner_cut_auto_lock_enabled(
    s: State, who: SignedOrRoot, netuid: NetUid, enabled: bool
) -> None:
    """Switch whether the owner's cut is locked at once."""
    ensure_subnet_owner_or_root(s, who, netuid)
    ensure_not_frozen(s, netuid)
    ensure_user_subnet(s, netuid)
    s[hyper.OwnerCutAutoLockEnabled, netuid] = enabled


@call(67, weight=25_687_000, reads=2, writes=2)
def sudo_set_sn_owner_hotkey(
    s: State, who: SignedOrRoot, netuid: NetUid, hotkey: AccountId
) -> None:
    """Name the hotkey that acts for the owner; once a week."""
    ensure_subnet_owner_or_root(s, who, netuid)
    ensure(is_subnet(s, netuid), SubtensorError.SubnetNotExists)
    kind = TransactionType.SetSNOwnerHotkey
    ensure(passes_rate_limit(s, kind, hotkey, netuid), SubtensorError.TxRateLimitExceeded)
    set_last_block(s, kind, hotkey, netuid)
    do_set_owner_hotkey(s, netuid, hotkey)


@call(30, weight=36_298_000, reads=5, writes=2)
def sudo_set_tempo(s: State, who: SignedOrRoot, netuid: NetUid, tempo: u16) -> None:
    """Set the tempo, which starts a new cycle; owners within bounds and not too often."""
    ensure_subnet_owner_or_root(s, who, netuid)
    kind = TransactionType.TempoUpdate
    if who is not None:
        ensure(passes_rate_limit(s, kind, who, netuid), SubtensorError.TxRateLimitExceeded)
    ensure_not_frozen(s, netuid)
    ensure_subnet(s, netuid)
    within = who is None or MinTempo.value <= tempo <= MaxTempo.value
    ensure(within, SubtensorError.TempoOutOfBounds)
    do_set_tempo(s, netuid, tempo)
    if who is not None:
        set_last_block(s, kind, who, netuid)
