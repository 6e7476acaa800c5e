"""What a neuron needs of the chain, and nothing more: who is there, register, serve, set weights.

Everything goes through the SDK's client, as a stranger's program would. Reads of one `View` are
taken at one block.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from ganglion import market, ss58
from ganglion.balance import Balance
from ganglion.client import Client
from ganglion.errors import GanglionError
from ganglion.keys import CryptoType, Keypair
from ganglion.market import AskFacts
from ganglion.receipt import Receipt
from ganglion.subnet_views import Metagraph, Neuron
from ganglion.wire.call import Target
from ganglion.wire.observations import Observation, SignedObservation

log = logging.getLogger(__name__)

RAO = 1_000_000_000
AXON_VERSION = 1
IP = {4: IPv4Address, 6: IPv6Address}
SCHEMES = {CryptoType.SR25519: "Sr25519", CryptoType.ED25519: "Ed25519"}


class ChainProblem(GanglionError):
    """The chain's state does not let this neuron work; the message says what to do."""


@dataclass(frozen=True)
class View:
    """A subnet at one block, as neurons look at it."""

    block: int
    block_hash: str
    graph: Metagraph = field(repr=False)

    def neuron(self, hotkey: str) -> Neuron | None:
        """The neuron of a hotkey, None if it is not registered."""
        uid = self.graph.uid_of(hotkey)
        return None if uid is None else self.graph.neurons[uid]

    @cached_property
    def stakes(self) -> dict[bytes, float]:
        """Stake in TAO of every registered hotkey, by public key."""
        return {ss58.decode(n.hotkey, prefix=None): n.stake / RAO for n in self.graph.neurons}

    @cached_property
    def permitted(self) -> frozenset[bytes]:
        """The hotkeys with a validator permit."""
        voting = (n for n in self.graph.neurons if n.validator_permit)
        return frozenset(ss58.decode(n.hotkey, prefix=None) for n in voting)

    def registered_at(self, uid: int) -> int:
        """The block in which a uid was taken by its neuron."""
        return int(self.graph.info["block_at_registration"][uid])

    @property
    def serving(self) -> tuple[Neuron, ...]:
        """Neurons that published an address."""
        return tuple(n for n in self.graph.neurons if n.axon.is_serving)


class ChainLink:
    """One neuron's link to the chain: a client, a subnet and a hotkey."""

    def __init__(self, client: Client, netuid: int, hotkey: Keypair) -> None:
        self.client, self.netuid, self.hotkey = client, netuid, hotkey

    @property
    def genesis(self) -> bytes:
        """The chain's genesis hash."""
        return bytes.fromhex(self.client.genesis_hash.removeprefix("0x"))

    async def view(self) -> View:
        """The subnet now. UnknownName if it does not exist, NodeUnreachable if the node has
        changed to another chain, where nothing that we know holds."""
        await self.client.check_chain()
        head = await self.client.at_head()
        graph = await head.metagraph(self.netuid)
        return View(graph.block, head.at_hash or "", graph)

    async def asks(self, view: View) -> dict[tuple[str, str], AskFacts]:
        """What miners ask on the chain, by hotkey and model; nothing where it has no market."""
        if not await market.has_market(self.client):
            return {}
        found = await market.asks(self.client.at(view.block_hash), self.netuid)
        return {(ask.hotkey, ask.model): ask for ask in found}

    async def registration_cost(self) -> Balance:
        """What `burned_register` takes now."""
        return Balance(await self.client.query("SubtensorModule", "Burn", self.netuid))

    async def register(self, payer: Callable[[], Keypair]) -> int:
        """The uid of this hotkey, bought with `burned_register` if it has none yet; only then is
        the cold key asked for, which may need a password."""
        uid = await self.client.uid_of(self.netuid, self.hotkey.address)
        if uid is not None:
            return uid
        if not await self.client.query("SubtensorModule", "NetworksAdded", self.netuid):
            raise ChainProblem(
                f"there is no subnet {self.netuid} on this chain: `ganglion subnet "
                "list` shows those that there are"
            )
        coldkey = payer()
        burn = await self.registration_cost()
        funds = await self.client.balance(coldkey.address)
        if funds.as_rao() <= burn.as_rao():
            raise ChainProblem(
                f"registration on subnet {self.netuid} costs {burn}, and "
                f"{coldkey.address} has {funds}: send it some TAO"
            )
        log.info("registering on subnet %d for %s", self.netuid, burn)
        await self._submit(
            "burned_register", coldkey, netuid=self.netuid, hotkey=self.hotkey.address
        )
        uid = await self.client.uid_of(self.netuid, self.hotkey.address)
        if uid is None:
            raise ChainProblem("the registration is in a block and yet the chain knows no uid")
        return uid

    async def publish(self, host: str, port: int) -> None:
        """Tell the chain where this neuron listens, unless it says so already."""
        address = ip_address(host)
        found = (await self.view()).neuron(self.hotkey.address)
        if found is not None and (found.axon.host, found.axon.port) == (str(address), port):
            return
        await self._submit(
            "serve_axon",
            self.hotkey,
            netuid=self.netuid,
            version=AXON_VERSION,
            ip=int(address),
            port=port,
            ip_type=address.version,
            protocol=4,
            placeholder1=0,
            placeholder2=0,
        )
        log.info("the chain now says that we listen at %s port %d", host, port)

    async def publish_status(self, host: str, port: int) -> None:
        """Tell the chain where this validator's status port is, unless it says so already."""
        own = Target(self.hotkey.address, str(ip_address(host)), port)
        if own in await self.status_addresses():
            return
        address = ip_address(host)
        await self._submit(
            "serve_prometheus",
            self.hotkey,
            netuid=self.netuid,
            version=AXON_VERSION,
            ip=int(address),
            port=port,
            ip_type=address.version,
        )

    async def status_addresses(self, view: View | None = None) -> list[Target]:
        """Where neurons say that their metrics are, which for a validator is its status port."""
        at = self.client if view is None else self.client.at(view.block_hash)
        found = await at.query_map("SubtensorModule", "Prometheus", self.netuid)
        return [
            Target(hotkey, str(IP[int(info["ip_type"])](int(info["ip"]))), int(info["port"]))
            for hotkey, info in found
        ]

    async def report(self, seen: Sequence[SignedObservation]) -> Receipt:
        """Bring validators' observations of one round; the hotkey pays the fee."""
        entries = [
            (fields_of(one.observation), {SCHEMES[one.crypto]: one.signature}) for one in seen
        ]
        call = await self.client.compose(
            "Reports", "report", netuid=self.netuid, observations=entries
        )
        return (await self.client.submit(call, self.hotkey)).check()

    async def set_weights(
        self, uids: Sequence[int], values: Sequence[int], version_key: int
    ) -> Receipt:
        """Set weights in the open."""
        return await self._submit(
            "set_weights",
            self.hotkey,
            netuid=self.netuid,
            dests=list(uids),
            weights=list(values),
            version_key=version_key,
        )

    async def commit_weights(self, commit_hash: bytes) -> Receipt:
        """Commit to a hash of weights."""
        return await self._submit(
            "commit_weights", self.hotkey, netuid=self.netuid, commit_hash=commit_hash
        )

    async def reveal_weights(
        self, uids: Sequence[int], values: Sequence[int], salt: Sequence[int], version_key: int
    ) -> Receipt:
        """Reveal committed weights."""
        return await self._submit(
            "reveal_weights",
            self.hotkey,
            netuid=self.netuid,
            uids=list(uids),
            values=list(values),
            salt=list(salt),
            version_key=version_key,
        )

    async def epoch_and_queue(self, view: View) -> tuple[int, tuple[tuple[bytes, int], ...]]:
        """The subnet's epoch index, and this hotkey's commitments as (hash, epoch)."""
        at = self.client.at(view.block_hash)
        epoch, queue = await at.query_many(
            [
                ("SubtensorModule", "SubnetEpochIndex", self.netuid),
                ("SubtensorModule", "WeightCommits", self.netuid, self.hotkey.address),
            ]
        )
        return int(epoch), tuple((_hash(entry[0]), int(entry[1])) for entry in queue or ())

    async def _submit(self, name: str, signer: Keypair, **args: Any) -> Receipt:
        call = await self.client.compose("SubtensorModule", name, **args)
        return (await self.client.submit(call, signer)).check()


def fields_of(made: Observation) -> dict[str, Any]:
    """An observation as the call takes it."""
    found: dict[str, Any] = {name: getattr(made, name) for name in Observation.__slots__}
    return found | {"miners": [asdict(miner) for miner in made.miners]}


def _hash(value: Any) -> bytes:
    return bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else bytes(value)
