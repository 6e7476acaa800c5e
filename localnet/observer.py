"""Watching a network from outside, block by block: weights set, epochs, emission per neuron."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganglion.client import Client
from ganglion.subnet_views import Metagraph
from localnet.plan import Plan, Subnet
from subnets.verdict import Reason

Changed = Callable[["Observer"], None]


@dataclass
class Watch:
    """What is known of one subnet."""

    subnet: Subnet
    graph: Metagraph | None = None
    last_step: int = 0
    epochs: int = 0
    emission: Counter[str] = field(default_factory=Counter)
    weights_set: Counter[int] = field(default_factory=Counter)


@dataclass
class Seen:
    """Checks of one miner, those found right, and what was wrong with the latest others.

    `reasons` counts codes among the checks that validators remember, `complaint` is the last one's
    sentence. Challenges of its hardware are counted apart.
    """

    answers: int = 0
    verified: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    complaint: str = ""
    hardware_checks: int = 0
    hardware_passes: int = 0

    def add_hardware(self, known: dict[str, Any]) -> None:
        """Enter what one validator knows of its hardware."""
        self.hardware_checks += known["checks"]
        self.hardware_passes += known["passes"]

    def add(self, record: dict[str, Any]) -> None:
        """Enter one validator's record."""
        self.answers += record["checks"]
        self.verified += record["verified"]
        for check in record["recent"]:
            if check["reason"] != Reason.OK:
                self.reasons[check["reason"]] += 1
                self.complaint = f"{check['reason']}: {check['detail']}"


class Observer:
    """Follows the chain. Epochs count from the first one that ran on weights."""

    def __init__(self, client: Client, plan: Plan, books: Path) -> None:
        self.client, self.plan, self.books = client, plan, books
        self.watches = [Watch(s) for s in plan.subnets]
        self.block = 0

    @property
    def epochs(self) -> int:
        """Epochs that every subnet has had since weights were there."""
        return min((w.epochs for w in self.watches), default=0)

    async def follow(self, epochs: int | None, changed: Changed) -> None:
        """Watch until every subnet has had `epochs` epochs on weights; None: for ever."""
        async for header in self.client.blocks():
            self.block = header.number
            await self._look(header.hash)
            changed(self)
            if epochs is not None and self.epochs >= epochs:
                return

    async def _look(self, block_hash: str) -> None:
        view = self.client.at(block_hash)
        for event in await view.events():
            if (event.pallet, event.name) == ("SubtensorModule", "WeightsSet"):
                index, uid = (int(v) for v in event.args)
                for watch in self.watches:
                    if watch.subnet.netuid == index:
                        watch.weights_set[uid] += 1
        for watch in self.watches:
            netuid = watch.subnet.netuid
            step = int(await view.query("SubtensorModule", "LastMechansimStepBlock", netuid))
            if step != watch.last_step or watch.graph is None:
                await self._epoch(watch, view, step)

    async def _epoch(self, watch: Watch, view: Any, step: int) -> None:
        """An epoch has run: read its outcome."""
        first = watch.graph is None
        watch.last_step = step
        watch.graph = await view.metagraph(watch.subnet.netuid)
        if first or not any(n.incentive for n in watch.graph.neurons):
            return
        watch.epochs += 1
        for neuron in watch.graph.neurons:
            watch.emission[neuron.hotkey] += neuron.emission

    def records(self, netuid: int) -> dict[str, Seen]:
        """What the validators' books say of each miner's hotkey, summed."""
        total: dict[str, Seen] = {}
        for path in self.books.glob(f"*-{netuid}.json"):
            book = json.loads(path.read_text())
            for hotkey, record in book["records"].items():
                total.setdefault(hotkey, Seen()).add(record)
            for hotkey, known in book["hardware"].items():
                total.setdefault(hotkey, Seen()).add_hardware(known)
        return total

    def report(self) -> dict[str, Any]:
        """The network so far, as `localnet up --json` prints it."""
        return {
            "blocks": self.block,
            "epochs": self.epochs,
            "subnets": [self._subnet_report(w) for w in self.watches],
        }

    def _subnet_report(self, watch: Watch) -> dict[str, Any]:
        records = self.records(watch.subnet.netuid)
        known = {n.hotkey: n for n in watch.graph.neurons} if watch.graph else {}
        miners, validators = [], []
        for member in self.plan.of(watch.subnet.task, "miner"):
            neuron = known.get(member.hotkey.address)
            seen = records.get(member.hotkey.address, Seen())
            miners.append(
                {
                    "uid": neuron.uid if neuron else None,
                    "hotkey": member.hotkey.address,
                    "kind": member.kind,
                    "answers": seen.answers,
                    "verified": seen.verified,
                    "reasons": dict(seen.reasons),
                    "complaint": seen.complaint,
                    "hardware_checks": seen.hardware_checks,
                    "hardware_passes": seen.hardware_passes,
                    "incentive": neuron.incentive if neuron else 0,
                    "emission_rao": watch.emission[member.hotkey.address],
                }
            )
        for member in self.plan.of(watch.subnet.task, "validator"):
            neuron = known.get(member.hotkey.address)
            validators.append(
                {
                    "uid": neuron.uid if neuron else None,
                    "hotkey": member.hotkey.address,
                    "status": f"127.0.0.1:{member.port}",
                    "weights_set": watch.weights_set[neuron.uid] if neuron else 0,
                    "dividends": neuron.dividends if neuron else 0,
                    "emission_rao": watch.emission[member.hotkey.address],
                }
            )
        return {
            "netuid": watch.subnet.netuid,
            "task": watch.subnet.task,
            "miners": miners,
            "validators": validators,
        }
