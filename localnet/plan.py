"""Who takes part in a local network: keys, subnets, ports. Pure; nothing is started here.

Every neuron gets a wallet of its own in bittensor's folder format, derived from a development
phrase, so that any wallet tool can open the same keys.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ganglion.keys import Keypair
from ganglion.wallet import Wallet
from localnet.node_process import free_port

TEXT = "text"
EMBEDDING = "embedding"
HONEST = "honest"
WRONG_MODEL = "wrong-model"


class PlanError(Exception):
    """A network that cannot be built as asked; the text says what to change."""


@dataclass(frozen=True)
class Neuron:
    """One miner or validator process. `kind` is `honest` or the name of a planted fault, `port`
    where a miner serves and a validator tells what it has measured."""

    role: str
    name: str
    subnet: str
    wallet: str
    hotkey: Keypair
    coldkey: Keypair
    kind: str = HONEST
    port: int = 0


@dataclass
class Subnet:
    """A subnet to register; `netuid` is known once the chain has given it."""

    task: str
    owner: Keypair
    owner_hotkey: Keypair
    netuid: int = -1


@dataclass(frozen=True)
class Options:
    """How to run a network. `sealing` is milliseconds between blocks; `tempo` is in blocks."""

    rpc_port: int
    sealing: int = 250
    tempo: int = 20
    epochs: int | None = None
    folder: Path | None = None


@dataclass
class Plan:
    """Everything `up` starts."""

    subnets: list[Subnet] = field(default_factory=list)
    miners: list[Neuron] = field(default_factory=list)
    validators: list[Neuron] = field(default_factory=list)

    @property
    def neurons(self) -> list[Neuron]:
        """Miners, then validators."""
        return [*self.miners, *self.validators]

    def of(self, task: str, role: str) -> list[Neuron]:
        """The miners or validators of one subnet."""
        return [n for n in self.neurons if n.subnet == task and n.role == role]


def key(*path: str) -> Keypair:
    """A key under the development phrase, e.g. key("localnet", "miner0")."""
    return Keypair.from_uri("".join(f"//{p}" for p in path))


def make_plan(validators: int, miners: int, fault: str = WRONG_MODEL) -> Plan:
    """Split miners between the two subnets and plant one fault among the text miners (`honest`:
    none).

    A quarter of the miners (at least one when there are two or more) serves embeddings, the
    rest text. Every validator judges both subnets, with one process each. Raises PlanError.
    """
    if validators < 1:
        raise PlanError("a network needs at least one validator: use --validators 1 or more")
    if miners < 1:
        raise PlanError("a network needs at least one miner: use --miners 1 or more")
    if validators + miners > 60:
        raise PlanError(
            f"{validators + miners} neurons are too many for one machine: use at most 60"
        )
    embedders = max(1, miners // 4) if miners >= 2 else 0
    texters = miners - embedders
    tasks = [TEXT, EMBEDDING] if embedders else [TEXT]
    plan = Plan([Subnet(t, key("localnet", t), key("localnet", t, "hotkey")) for t in tasks])
    bad = texters - 1 if texters >= 2 else -1
    for i in range(miners):
        task = TEXT if i < texters else EMBEDDING
        kind = fault if i == bad else HONEST
        plan.miners.append(_neuron("miner", i, task, kind))
    for i in range(validators):
        plan.validators += [_neuron("validator", i, task, HONEST) for task in tasks]
    return plan


def _neuron(role: str, number: int, task: str, kind: str) -> Neuron:
    wallet = f"{role}{number}"
    return Neuron(
        role=role,
        name=f"{wallet}-{task}" if role == "validator" else wallet,
        subnet=task,
        wallet=wallet,
        hotkey=key("localnet", wallet, "hotkey"),
        coldkey=key("localnet", wallet),
        kind=kind,
        port=free_port(),
    )


def write_wallets(plan: Plan, folder: Path) -> None:
    """Write every neuron's keys, unencrypted: they hold play money on a local chain."""
    for neuron in plan.neurons:
        wallet = Wallet(neuron.wallet, "default", folder)
        wallet.save_coldkey(neuron.coldkey, None, overwrite=True)
        wallet.save_hotkey(neuron.hotkey, None, overwrite=True)
