"""Announcing endpoints: where a miner listens, and where a neuron's metrics are.

Upstream: pallets/subtensor/src/subnets/serving.rs
"""

from __future__ import annotations

from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_network import AxonServed, PrometheusServed
from chain.pallets.subtensor.neurons import is_registered
from chain.pallets.subtensor.rate_limits import passes
from chain.pallets.subtensor.storage_hyperparameters import ServingRateLimit
from chain.pallets.subtensor.storage_neurons import Axons, NeuronCertificates, Prometheus
from chain.pallets.subtensor.types import (
    NO_AXON,
    NO_PROMETHEUS,
    AxonInfo,
    NeuronCertificate,
    PrometheusInfo,
)
from chain.pallets.system import block_number
from chain.runtime.call import Pays
from chain.runtime.errors import ensure
from chain.runtime.origin import Signed
from chain.runtime.pallet import call
from chain.runtime.state import State
from ganglion.scale import u8, u16, u32, u128
from ganglion.units import AccountId, NetUid

V4_LOCALHOST = 0x7F000001
V4_BROADCAST = 0xFFFFFFFF
V6_LOCALHOST = 1
V6_LAST = (1 << 128) - 1
MAX_CERTIFICATE_KEY = 64


def is_ip_reachable(ip_type: int, ip: int) -> bool:
    """Whether an address could be someone else's; 0 passes here, and so does a type not 4 or 6."""
    if ip_type == 4:
        return ip < V4_BROADCAST and ip != V4_LOCALHOST
    if ip_type == 6:
        return ip not in (V6_LOCALHOST, V6_LAST)
    return True


def _ensure_rate(s: State, netuid: NetUid, last: int) -> None:
    limit = s[ServingRateLimit, netuid]
    ensure(passes(limit, block_number(s), last), Error.ServingRateLimitExceeded)


def ensure_axon_allowed(
    s: State, hotkey: AccountId, netuid: NetUid, ip: int, port: int, ip_type: int
) -> None:
    """Raise HotKeyNotRegisteredInNetwork, InvalidIpType, InvalidIpAddress,
    ServingRateLimitExceeded or InvalidPort, in this order."""
    ensure(is_registered(s, netuid, hotkey), Error.HotKeyNotRegisteredInNetwork)
    ensure(ip_type in (4, 6), Error.InvalidIpType)
    ensure(is_ip_reachable(ip_type, ip), Error.InvalidIpAddress)
    _ensure_rate(s, netuid, (s[Axons, netuid, hotkey] or NO_AXON).block)
    ensure(port != 0, Error.InvalidPort)


def ensure_prometheus_allowed(
    s: State, hotkey: AccountId, netuid: NetUid, ip: int, port: int, ip_type: int
) -> None:
    """Raise InvalidIpType, InvalidIpAddress (also for 0), HotKeyNotRegisteredInNetwork,
    ServingRateLimitExceeded or InvalidPort, in this order."""
    ensure(ip_type in (4, 6), Error.InvalidIpType)
    ensure(ip != 0 and is_ip_reachable(ip_type, ip), Error.InvalidIpAddress)
    ensure(is_registered(s, netuid, hotkey), Error.HotKeyNotRegisteredInNetwork)
    _ensure_rate(s, netuid, (s[Prometheus, netuid, hotkey] or NO_PROMETHEUS).block)
    ensure(port != 0, Error.InvalidPort)


def _do_serve_axon(s: State, hotkey: AccountId, netuid: NetUid, axon: AxonInfo) -> None:
    ensure_axon_allowed(s, hotkey, netuid, axon.ip, axon.port, axon.ip_type)
    s[Axons, netuid, hotkey] = axon
    s.emit(AxonServed(netuid, hotkey))


@call(4, weight=31_278_000, reads=3, writes=1, pays=Pays.No)
def serve_axon(
    s: State,
    hotkey: Signed,
    netuid: NetUid,
    version: u32,
    ip: u128,
    port: u16,
    ip_type: u8,
    protocol: u8,
    placeholder1: u8,
    placeholder2: u8,
) -> None:
    """Publish where a neuron listens: `ip` as one number, `ip_type` 4 or 6."""
    now = block_number(s)
    axon = AxonInfo(now, version, ip, port, ip_type, protocol, placeholder1, placeholder2)
    _do_serve_axon(s, hotkey, netuid, axon)


@call(40, weight=30_617_000, reads=3, writes=1, pays=Pays.No)
def serve_axon_tls(
    s: State,
    hotkey: Signed,
    netuid: NetUid,
    version: u32,
    ip: u128,
    port: u16,
    ip_type: u8,
    protocol: u8,
    placeholder1: u8,
    placeholder2: u8,
    certificate: bytes,
) -> None:
    """Publish where a neuron listens, and its certificate: algorithm byte, then up to 64 of key.

    A certificate of another length is left out.
    """
    now = block_number(s)
    axon = AxonInfo(now, version, ip, port, ip_type, protocol, placeholder1, placeholder2)
    _do_serve_axon(s, hotkey, netuid, axon)
    if 0 < len(certificate) <= MAX_CERTIFICATE_KEY + 1:
        made = NeuronCertificate(certificate[1:], certificate[0])
        s[NeuronCertificates, netuid, hotkey] = made


@call(5, weight=29_294_000, reads=3, writes=1, pays=Pays.No)
def serve_prometheus(
    s: State, hotkey: Signed, netuid: NetUid, version: u32, ip: u128, port: u16, ip_type: u8
) -> None:
    """Publish where a neuron's metrics are."""
    ensure_prometheus_allowed(s, hotkey, netuid, ip, port, ip_type)
    s[Prometheus, netuid, hotkey] = PrometheusInfo(block_number(s), version, ip, port, ip_type)
    s.emit(PrometheusServed(netuid, hotkey))
