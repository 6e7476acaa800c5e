"""Subnets and neurons as the chain's runtime APIs describe them, in Python values.

Amounts are rao or alpha base units; shares (`incentive`, `trust`, ...) are in units of 1/65535.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from ipaddress import IPv4Address, IPv6Address
from typing import Any, TypeVar

from ganglion.scale import DecodeError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Axon:
    """Where a neuron says it listens; port 0 when it does not."""

    host: str
    port: int
    protocol: int
    version: int
    block: int

    @property
    def is_serving(self) -> bool:
        """True if the neuron announced an address."""
        return self.port != 0


@dataclass(frozen=True, slots=True)
class Neuron:
    """One slot of a subnet."""

    uid: int
    hotkey: str
    coldkey: str
    active: bool
    axon: Axon
    stake: int
    emission: int
    incentive: int
    consensus: int
    trust: int
    dividends: int
    last_update: int
    validator_permit: bool
    pruning_score: int


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet's name, owner, clock and pool."""

    netuid: int
    name: str
    symbol: str
    owner_coldkey: str
    owner_hotkey: str
    tempo: int
    tao_in: int
    alpha_in: int
    alpha_out: int
    emission: int
    blocks_since_last_step: int
    registered_at: int
    raw: dict[str, Any] = field(repr=False, hash=False, compare=False)

    @property
    def price(self) -> float:
        """Spot price in TAO per alpha by the pool's reserves, for showing; 1 on root."""
        return self.tao_in / self.alpha_in if self.alpha_in else 1.0


@dataclass(frozen=True, slots=True)
class Metagraph:
    """A subnet with all its neurons at one block; `info` holds every field the chain sends."""

    netuid: int
    block: int
    name: str
    tempo: int
    neurons: tuple[Neuron, ...]
    info: dict[str, Any] = field(repr=False, hash=False, compare=False)

    def __len__(self) -> int:
        return len(self.neurons)

    def uid_of(self, hotkey: str) -> int | None:
        """The uid of a hot key, or None if it is not registered."""
        return next((n.uid for n in self.neurons if n.hotkey == hotkey), None)


def _from_fields(make: Callable[[dict[str, Any]], T]) -> Callable[[dict[str, Any]], T]:
    """Say in one sentence when a chain's struct lacks a field."""

    @wraps(make)
    def made(found: dict[str, Any]) -> T:
        try:
            return make(found)
        except KeyError as e:
            raise DecodeError(f"this chain's {make.__name__[:-3]} has no field {e}") from e
        except (IndexError, TypeError, ValueError) as e:
            raise DecodeError(f"this chain's {make.__name__[:-3]} is malformed: {e}") from e

    return made


@_from_fields
def axon_of(found: dict[str, Any]) -> Axon:
    """An axon from AxonInfo."""
    number = found["ip"]
    v6 = found["ip_type"] == 6 or number >= 1 << 32
    return Axon(
        host=str(IPv6Address(number) if v6 else IPv4Address(number)),
        port=found["port"],
        protocol=found["protocol"],
        version=found["version"],
        block=found["block"],
    )


@_from_fields
def neuron_of(found: dict[str, Any]) -> Neuron:
    """A neuron from NeuronInfoLite; its stake is the sum over its cold keys."""
    return Neuron(
        uid=found["uid"],
        hotkey=found["hotkey"],
        coldkey=found["coldkey"],
        active=found["active"],
        axon=axon_of(found["axon_info"]),
        stake=sum(amount for _, amount in found["stake"]),
        emission=found["emission"],
        incentive=found["incentive"],
        consensus=found["consensus"],
        trust=found["trust"],
        dividends=found["dividends"],
        last_update=found["last_update"],
        validator_permit=found["validator_permit"],
        pruning_score=found["pruning_score"],
    )


@_from_fields
def subnet_of(found: dict[str, Any]) -> Subnet:
    """A subnet from DynamicInfo."""
    return Subnet(
        netuid=found["netuid"],
        name=_text(found["subnet_name"]),
        symbol=_text(found["token_symbol"]),
        owner_coldkey=found["owner_coldkey"],
        owner_hotkey=found["owner_hotkey"],
        tempo=found["tempo"],
        tao_in=found["tao_in"],
        alpha_in=found["alpha_in"],
        alpha_out=found["alpha_out"],
        emission=found["emission"],
        blocks_since_last_step=found["blocks_since_last_step"],
        registered_at=found["network_registered_at"],
        raw=found,
    )


@_from_fields
def metagraph_of(found: dict[str, Any]) -> Metagraph:
    """A metagraph from the runtime API's Metagraph, whose neurons come as columns.

    Columns that the chain keeps no longer (`trust`, `pruning_score`) come empty and read as 0.
    """

    def at(column: str, uid: int) -> int:
        values = found[column]
        return int(values[uid]) if uid < len(values) else 0

    neurons = tuple(
        Neuron(
            uid=uid,
            hotkey=hotkey,
            coldkey=found["coldkeys"][uid],
            active=bool(at("active", uid)),
            axon=axon_of(found["axons"][uid]),
            stake=at("total_stake", uid),
            emission=at("emission", uid),
            incentive=at("incentives", uid),
            consensus=at("consensus", uid),
            trust=at("trust", uid),
            dividends=at("dividends", uid),
            last_update=at("last_update", uid),
            validator_permit=bool(at("validator_permit", uid)),
            pruning_score=at("pruning_score", uid),
        )
        for uid, hotkey in enumerate(found["hotkeys"])
    )
    return Metagraph(
        netuid=found["netuid"],
        block=found["block"],
        name=_text(found["name"]),
        tempo=found["tempo"],
        neurons=neurons,
        info=found,
    )


def _text(raw: list[int] | bytes) -> str:
    """A name from the bytes (or list of compact bytes) the chain keeps."""
    return bytes(raw).decode(errors="replace")
