"""What each proxy type may do: calls in named groups, and types as unions of groups.

The same table answers `ProxyFilterRuntimeApi`, so that clients and chain cannot differ.
Upstream: runtime/src/proxy_filters of subtensor. Broad types are everything but a few groups.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from chain.pallets.nested import name_of
from chain.runtime.apis import Api
from chain.runtime.call import CALLS, RuntimeCall
from chain.runtime.state import State
from ganglion.scale import Enumeration, scale_type, u8, u128, variant

SMALL = 500_000_000
"""SmallTransfer stays below this, in rao and in alpha units."""


@scale_type("subtensor_runtime_common::proxy::ProxyType")
class ProxyType(IntEnum):
    """What a proxy may do for the account it stands for."""

    Any = 0
    Owner = 1
    NonCritical = 2
    NonTransfer = 3
    Senate = 4
    NonFungible = 5
    Triumvirate = 6
    Governance = 7
    Staking = 8
    Registration = 9
    Transfer = 10
    SmallTransfer = 11
    RootWeights = 12
    ChildKeys = 13
    SudoUncheckedSetCode = 14
    SwapHotkey = 15
    SubnetLeaseBeneficiary = 16
    RootClaim = 17
    BasketTrading = 18


DEPRECATED = frozenset(
    {ProxyType.Senate, ProxyType.Triumvirate, ProxyType.Governance, ProxyType.RootWeights}
)
"""Types of a governance that is gone: they admit nothing."""

Name = tuple[str, str]


def _calls(pallet: str, names: str) -> frozenset[Name]:
    return frozenset((pallet, name) for name in names.split())


BALANCE_TRANSFER = _calls("Balances", "transfer_keep_alive transfer_allow_death transfer_all")
BALANCE_MAINTENANCE = _calls(
    "Balances",
    "force_transfer force_unreserve upgrade_accounts force_set_balance "
    "force_adjust_total_issuance burn",
)
STAKE_TRANSFER = _calls("SubtensorModule", "transfer_stake transfer_stake_and_hotkey")
STAKE_MANAGEMENT = _calls(
    "SubtensorModule",
    "add_stake add_stake_limit remove_stake remove_stake_limit remove_stake_full_limit "
    "unstake_all unstake_all_alpha move_stake move_stake_limit swap_stake swap_stake_limit "
    "stake_into_basket add_collateral set_min_collateral",
)
COLDKEY_SWAP = _calls(
    "SubtensorModule",
    "schedule_swap_coldkey swap_coldkey disassociate_hotkey announce_coldkey_swap "
    "swap_coldkey_announced clear_coldkey_swap_announcement dispute_coldkey_swap "
    "reset_coldkey_swap",
)
HOTKEY_SWAP = _calls("SubtensorModule", "swap_hotkey swap_hotkey_v2")
BURNED_REGISTRATION = _calls("SubtensorModule", "burned_register")
POW_REGISTRATION = _calls("SubtensorModule", "register register_limit")
ROOT_REGISTRATION = _calls("SubtensorModule", "root_register")
CRITICAL_NETWORK = _calls("SubtensorModule", "dissolve_network root_dissolve_network")
CHILD_KEYS = _calls("SubtensorModule", "set_children set_childkey_take")
ROOT_CLAIM = _calls("SubtensorModule", "claim_root claim_root_with_hotkey")
ROOT_CLAIM_TYPE = _calls("SubtensorModule", "set_root_claim_type")
BASKET_TRADING = _calls("SubtensorModule", "swap_basket")
SUBNET_IDENTITY = _calls("SubtensorModule", "set_subnet_identity update_symbol")
SUBNET_ACTIVATION = _calls("SubtensorModule", "start_call")
SUDO = _calls("Sudo", "sudo sudo_unchecked_weight set_key sudo_as remove_key")
INDIRECT_VALUE = (
    _calls("Crowdloan", "create contribute finalize")
    | _calls("Channels", "open top_up")
    | _calls("Leases", "create_order deposit accept")
    | _calls("Bonds", "bond")
    | _calls("Jobs", "list approve contest")
    | _calls("Intents", "quote")
    | _calls("Disputes", "publish accept open")
    | _calls("Court", "stand open double appeal commit reveal")
    | _calls("InferenceRequests", "request accept")
)
"""Calls that send value on a detour; types that may move none are kept from them."""

SUBNET_MANAGEMENT = _calls("SubtensorModule", "set_tempo set_activity_cutoff_factor") | _calls(
    "AdminUtils",
    "sudo_set_serving_rate_limit sudo_set_max_difficulty sudo_set_weights_version_key "
    "sudo_set_adjustment_alpha sudo_set_immunity_period sudo_set_min_allowed_weights "
    "sudo_set_rho sudo_set_activity_cutoff sudo_set_activity_cutoff_factor sudo_set_tempo "
    "sudo_set_min_burn sudo_set_max_burn sudo_set_bonds_moving_average sudo_set_bonds_penalty "
    "sudo_set_min_childkey_take_per_subnet sudo_set_commit_reveal_weights_enabled "
    "sudo_set_liquid_alpha_enabled sudo_set_alpha_values sudo_set_liquid_alpha_consensus_mode "
    "sudo_set_commit_reveal_weights_interval sudo_set_toggle_transfer sudo_set_recycle_or_burn "
    "sudo_set_alpha_sigmoid_steepness sudo_set_yuma3_enabled sudo_set_bonds_reset_enabled "
    "sudo_set_owner_immune_neuron_limit sudo_set_mechanism_count "
    "sudo_set_mechanism_emission_split sudo_trim_to_max_allowed_uids sudo_set_max_allowed_uids "
    "sudo_set_burn_half_life sudo_set_burn_increase_mult sudo_set_owner_cut_enabled "
    "sudo_set_owner_cut_auto_lock_enabled sudo_set_collateral_lock_share "
    "sudo_set_collateral_drain_ratio",
)
"""What a subnet's owner may set; the owner's key itself is not among it."""

NOTHING: frozenset[Name] = frozenset()

ALLOWED: dict[ProxyType, frozenset[Name]] = {
    ProxyType.Owner: SUBNET_IDENTITY | SUBNET_MANAGEMENT,
    ProxyType.Staking: STAKE_MANAGEMENT | ROOT_CLAIM_TYPE,
    ProxyType.Registration: POW_REGISTRATION | BURNED_REGISTRATION,
    ProxyType.Transfer: BALANCE_TRANSFER | STAKE_TRANSFER,
    ProxyType.ChildKeys: CHILD_KEYS,
    ProxyType.SwapHotkey: HOTKEY_SWAP,
    ProxyType.SubnetLeaseBeneficiary: SUBNET_ACTIVATION | SUBNET_IDENTITY | SUBNET_MANAGEMENT,
    ProxyType.RootClaim: ROOT_CLAIM,
    ProxyType.BasketTrading: BASKET_TRADING,
    **dict.fromkeys(DEPRECATED, NOTHING),
}

DENIED: dict[ProxyType, frozenset[Name]] = {
    ProxyType.NonTransfer: (
        BALANCE_TRANSFER
        | BALANCE_MAINTENANCE
        | STAKE_TRANSFER
        | COLDKEY_SWAP
        | INDIRECT_VALUE
        | BASKET_TRADING
    ),
    ProxyType.NonFungible: (
        BALANCE_TRANSFER
        | BALANCE_MAINTENANCE
        | STAKE_MANAGEMENT
        | STAKE_TRANSFER
        | BURNED_REGISTRATION
        | ROOT_REGISTRATION
        | HOTKEY_SWAP
        | COLDKEY_SWAP
        | INDIRECT_VALUE
        | BASKET_TRADING
    ),
    ProxyType.NonCritical: (
        SUDO
        | BURNED_REGISTRATION
        | ROOT_REGISTRATION
        | CRITICAL_NETWORK
        | COLDKEY_SWAP
        | BASKET_TRADING
    ),
}

LIMITS: dict[Name, str] = {
    ("Balances", "transfer_keep_alive"): "value",
    ("Balances", "transfer_allow_death"): "value",
    ("SubtensorModule", "transfer_stake"): "alpha_amount",
    ("SubtensorModule", "transfer_stake_and_hotkey"): "alpha_amount",
}
"""SmallTransfer: calls and the argument that must stay below `SMALL`."""

UNCHECKED: Name = ("Sudo", "sudo_unchecked_weight")
SET_CODE: Name = ("System", "set_code")

NON_TRANSFER_COVERS = frozenset(
    {
        ProxyType.Owner,
        ProxyType.Senate,
        ProxyType.NonFungible,
        ProxyType.Triumvirate,
        ProxyType.Governance,
        ProxyType.Staking,
        ProxyType.Registration,
        ProxyType.RootWeights,
        ProxyType.ChildKeys,
        ProxyType.SudoUncheckedSetCode,
        ProxyType.SwapHotkey,
        ProxyType.SubnetLeaseBeneficiary,
        ProxyType.RootClaim,
    }
)


def admits(kind: ProxyType, call: RuntimeCall) -> bool:
    """Whether a proxy of this type may make the call."""
    if kind is ProxyType.Any:
        return True
    name = name_of(call)
    if kind in DENIED:
        return name not in DENIED[kind]
    if kind is ProxyType.SmallTransfer:
        return name in LIMITS and _argument(call, LIMITS[name]) < SMALL
    if kind is ProxyType.SudoUncheckedSetCode:
        return name == UNCHECKED and name_of(call.args[0]) == SET_CODE
    return name in ALLOWED[kind]


def is_superset(kind: ProxyType, other: ProxyType) -> bool:
    """Whether `kind` may do all that `other` may, and so hand it on."""
    if kind is other or kind is ProxyType.Any:
        return True
    if kind is ProxyType.NonTransfer:
        return other in NON_TRANSFER_COVERS
    return (kind, other) == (ProxyType.Transfer, ProxyType.SmallTransfer)


def _argument(call: RuntimeCall, name: str) -> int:
    names = [n for n, _ in CALLS.entry(call).params]
    return int(call.args[names.index(name)])


@scale_type("subtensor_runtime_common::proxy::ProxyTypeInfo")
@dataclass(frozen=True, slots=True)
class ProxyTypeInfo:
    """Name and index of a proxy type."""

    name: bytes
    index: u8
    deprecated: bool


@scale_type("subtensor_runtime_common::proxy::CallConstraint")
class CallConstraint(Enumeration):
    """A condition on a call's arguments."""


@variant(0)
class ParamLessThan(CallConstraint):
    """An amount must stay below a limit."""

    param_name: bytes
    limit: u128


@variant(1)
class NestedCallMustBe(CallConstraint):
    """The call within must be a certain one."""

    param_name: bytes
    pallet_name: bytes
    call_name: bytes


@scale_type("subtensor_runtime_common::proxy::CallInfo")
@dataclass(frozen=True, slots=True)
class CallInfo:
    """A call that a proxy type admits."""

    pallet_name: bytes
    pallet_index: u8
    call_name: bytes
    call_index: u8
    constraint: CallConstraint | None


@scale_type("subtensor_runtime_common::proxy::FilterMode")
class FilterMode(Enumeration):
    """All calls, or those listed."""


@variant(0)
class AllowAll(FilterMode):
    """Everything."""


@variant(1)
class Allow(FilterMode):
    """These calls."""

    _0: tuple[CallInfo, ...]


@scale_type("subtensor_runtime_common::proxy::ProxyFilterInfo")
@dataclass(frozen=True, slots=True)
class ProxyFilterInfo:
    """What a proxy type admits."""

    proxy_type: u8
    name: bytes
    deprecated: bool
    filter_mode: FilterMode


proxy_filter_api = Api("ProxyFilterRuntimeApi", 1)


@proxy_filter_api.method
def get_proxy_types(s: State) -> tuple[ProxyTypeInfo, ...]:
    """Every proxy type with its index."""
    return tuple(ProxyTypeInfo(k.name.encode(), k.value, k in DEPRECATED) for k in ProxyType)


@proxy_filter_api.method
def get_proxy_filters(s: State, proxy_types: bytes | None) -> tuple[ProxyFilterInfo, ...]:
    """What the types of these indices admit; of all types when None."""
    return tuple(
        ProxyFilterInfo(kind.value, kind.name.encode(), kind in DEPRECATED, _mode(kind))
        for kind in ProxyType
        if proxy_types is None or kind.value in proxy_types
    )


def _mode(kind: ProxyType) -> FilterMode:
    match kind:
        case ProxyType.Any:
            return AllowAll()
        case ProxyType.SmallTransfer:
            return Allow(
                _infos(LIMITS.__contains__, lambda n: ParamLessThan(LIMITS[n].encode(), SMALL))
            )
        case ProxyType.SudoUncheckedSetCode:
            nested = NestedCallMustBe(b"call", SET_CODE[0].encode(), SET_CODE[1].encode())
            return Allow(_infos(lambda n: n == UNCHECKED, lambda n: nested))
        case _ if kind in DENIED:
            return Allow(_infos(lambda n: n not in DENIED[kind]))
        case _:
            return Allow(_infos(ALLOWED[kind].__contains__))


def _infos(
    wanted: Callable[[Name], bool],
    constraint: Callable[[Name], CallConstraint | None] = lambda name: None,
) -> tuple[CallInfo, ...]:
    return tuple(
        CallInfo(e.pallet.encode(), pallet, e.name.encode(), index, constraint((e.pallet, e.name)))
        for (pallet, index), e in sorted(CALLS.calls.items())
        if wanted((e.pallet, e.name))
    )
