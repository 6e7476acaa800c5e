"""Upstream's own RPC methods: a runtime API's answer as an array of bytes, or as a number.

A method is served only where the runtime has the API behind it. Upstream: the rpc crates of
pallets/subtensor and pallets/swap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chain.rpc.context import Node
from chain.rpc.errors import invalid_params
from chain.rpc.methods import Method, MethodTable, encode
from chain.rpc.params import Parameter, parse_block_hash, parse_natural
from chain.rpc.session import Session
from chain.runtime.runtime import Runtime
from ganglion.errors import InvalidAddress
from ganglion.scale import compact_encode
from ganglion.ss58 import decode as ss58_decode
from ganglion.units import Hash


def _uint(size: int) -> Callable[[Any], bytes]:
    def pack(value: Any) -> bytes:
        number = parse_natural(value)
        if number >> 8 * size:
            raise ValueError(f"expected a number below {1 << 8 * size}")
        return number.to_bytes(size, "little")

    return pack


def _account(value: Any) -> bytes:
    """An address, or the 32 bytes of the account as an array."""
    if type(value) is str:
        try:
            return ss58_decode(value)
        except InvalidAddress as error:
            raise ValueError(str(error)) from None
    if type(value) is list and len(value) == 32 and all(_is_byte(b) for b in value):
        return bytes(value)
    raise ValueError("expected an address or an array of 32 bytes")


def _is_byte(value: Any) -> bool:
    return type(value) is int and 0 <= value < 256


def _numbers(value: Any) -> bytes:
    if type(value) is not list or len(value) > 1 << 16:
        raise ValueError("expected an array of numbers")
    return compact_encode(len(value)) + b"".join(map(_uint(2), value))


def _bytes_out(raw: bytes) -> Any:
    return list(raw)


def _number_out(raw: bytes) -> Any:
    return int.from_bytes(raw, "little")


def _optional_number_out(raw: bytes) -> Any:
    return int.from_bytes(raw[1:], "little") if raw[0] else None


def _prices_out(raw: bytes) -> Any:
    """Vec of (netuid u16, price u64), whose count the length tells."""
    count = len(raw) // 10
    rows = raw[len(raw) - 10 * count :]
    return [
        {
            "netuid": int.from_bytes(rows[i : i + 2], "little"),
            "price": int.from_bytes(rows[i + 2 : i + 10], "little"),
        }
        for i in range(0, len(rows), 10)
    ]


NETUID, MECID, UID, AMOUNT = _uint(2), _uint(1), _uint(2), _uint(8)


@dataclass(frozen=True, slots=True)
class Bridge:
    """An RPC method, the runtime API it asks, its parameters' encoders, the answer's form."""

    rpc: str
    api: str
    params: tuple[Callable[[Any], bytes], ...] = ()
    result: Callable[[bytes], Any] = _bytes_out

    def parameters(self) -> list[Parameter]:
        """What the caller gives, in order."""
        given = [Parameter(*_NAMES[pack], True, None) for pack in self.params]
        return [*given, Parameter("at", "hash", False, None)]


_NAMES = {
    NETUID: ("netuid", "number"),
    MECID: ("mecid", "number"),
    UID: ("uid", "number"),
    AMOUNT: ("amount", "number"),
    _account: ("account", "address"),
    _numbers: ("fields", "[number]"),
}
_S, _N, _D = "SubnetInfoRuntimeApi_", "NeuronInfoRuntimeApi_", "DelegateInfoRuntimeApi_"
_W = "SwapRuntimeApi_"

BRIDGES = (
    Bridge("delegateInfo_getDelegates", _D + "get_delegates"),
    Bridge("delegateInfo_getDelegate", _D + "get_delegate", (_account,)),
    Bridge("delegateInfo_getDelegated", _D + "get_delegated", (_account,)),
    Bridge("neuronInfo_getNeuronsLite", _N + "get_neurons_lite", (NETUID,)),
    Bridge("neuronInfo_getNeuronLite", _N + "get_neuron_lite", (NETUID, UID)),
    Bridge("neuronInfo_getNeurons", _N + "get_neurons", (NETUID,)),
    Bridge("neuronInfo_getNeuron", _N + "get_neuron", (NETUID, UID)),
    Bridge("subnetInfo_getSubnetInfo", _S + "get_subnet_info", (NETUID,)),
    Bridge("subnetInfo_getSubnetsInfo", _S + "get_subnets_info"),
    Bridge("subnetInfo_getSubnetInfo_v2", _S + "get_subnet_info_v2", (NETUID,)),
    Bridge("subnetInfo_getSubnetsInfo_v2", _S + "get_subnets_info_v2"),
    Bridge("subnetInfo_getSubnetHyperparams", _S + "get_subnet_hyperparams", (NETUID,)),
    Bridge("subnetInfo_getSubnetHyperparamsV2", _S + "get_subnet_hyperparams_v2", (NETUID,)),
    Bridge("subnetInfo_getAllDynamicInfo", _S + "get_all_dynamic_info"),
    Bridge("subnetInfo_getDynamicInfo", _S + "get_dynamic_info", (NETUID,)),
    Bridge("subnetInfo_getAllMetagraphs", _S + "get_all_metagraphs"),
    Bridge("subnetInfo_getMetagraph", _S + "get_metagraph", (NETUID,)),
    Bridge("subnetInfo_getAllMechagraphs", _S + "get_all_mechagraphs"),
    Bridge("subnetInfo_getMechagraph", _S + "get_mechagraph", (NETUID, MECID)),
    Bridge("subnetInfo_getSubnetState", _S + "get_subnet_state", (NETUID,)),
    Bridge(
        "subnetInfo_getLockCost",
        "SubnetRegistrationRuntimeApi_get_network_registration_cost",
        (),
        _number_out,
    ),
    Bridge("subnetInfo_getSelectiveMetagraph", _S + "get_selective_metagraph", (NETUID, _numbers)),
    Bridge(
        "subnetInfo_getSelectiveMechagraph",
        _S + "get_selective_mechagraph",
        (NETUID, MECID, _numbers),
    ),
    Bridge(
        "subnetInfo_getColdkeyAutoStakeHotkey",
        _S + "get_coldkey_auto_stake_hotkey",
        (_account, NETUID),
    ),
    Bridge("subnetInfo_getSubnetToPrune", _S + "get_subnet_to_prune", (), _optional_number_out),
    Bridge("subnetInfo_getSubnetAccountId", _S + "get_subnet_account_id", (NETUID,)),
    Bridge("stakeInfo_getColdkeyLock", "StakeInfoRuntimeApi_get_coldkey_lock", (_account, NETUID)),
    Bridge("swap_currentAlphaPrice", _W + "current_alpha_price", (NETUID,), _number_out),
    Bridge("swap_currentAlphaPriceAll", _W + "current_alpha_price_all", (), _prices_out),
    Bridge("swap_simSwapTaoForAlpha", _W + "sim_swap_tao_for_alpha", (NETUID, AMOUNT)),
    Bridge("swap_simSwapAlphaForTao", _W + "sim_swap_alpha_for_tao", (NETUID, AMOUNT)),
)


def custom_methods(runtime: Runtime) -> MethodTable:
    """The bridges whose runtime API is there."""
    table = MethodTable()
    for bridge in BRIDGES:
        if bridge.api in runtime.methods:
            doc = f"{bridge.api} of the best block, or of the block named last."
            table.add(Method(bridge.rpc, _caller(bridge), doc, blocking=True))
    return table


def _caller(bridge: Bridge) -> Callable[[Any, Session | None, Any], bytes]:
    count = len(bridge.params)

    def call(node: Node, _session: Session | None, params: Any) -> bytes:
        given = params if type(params) is list else [] if params is None else None
        if given is None or not count <= len(given) <= count + 1:
            raise invalid_params(f"{bridge.rpc} takes an array of {count} values and a block hash")
        try:
            data = b"".join(p(v) for p, v in zip(bridge.params, given, strict=False))
            at = given[count] if len(given) > count else None
            block_hash = None if at is None else Hash(parse_block_hash(at))
        except ValueError as error:
            raise invalid_params(str(error)) from None
        return encode(bridge.result(node.call_api(bridge.api, data, block_hash)))

    return call
