"""The node: wiring of store, engine, RPC server and block making around one event loop.

Threads: the loop (network, RPC, timers) and one worker, which alone touches the engine. What a
step on the worker changed is published on the loop before the step's caller goes on.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from chain.chainspec import ChainSpec
from chain.dev import rpc_blocks, rpc_state, rpc_subnets
from chain.dev.tools import DevTools
from chain.engine import Change, Clock, Engine
from chain.executive import Executive
from chain.importer import Importer
from chain.mev import ShieldKeys
from chain.mev import available as mev_available
from chain.pallets import aura, grandpa
from chain.pool import Limits, Pool
from chain.rpc.context import Identity, NetworkView, Node, header_json
from chain.rpc.hub import Hub
from chain.rpc.jsonrpc import Dispatcher
from chain.rpc.methods import MethodTable
from chain.rpc.server import RpcConfig, RpcServer
from chain.rpc.table import method_table
from chain.runtime.runtime import Runtime
from chain.runtime.state import State
from chain.sealing import Instant, Sealing, drive
from chain.store.chain import ChainStore
from ganglion.keys import Keypair
from ganglion.units import Hash

log = logging.getLogger("node")
blocks = logging.getLogger("blocks")

T = TypeVar("T")

DEV_METHODS = (rpc_blocks.methods, rpc_state.methods, rpc_subnets.methods)


class NodeError(Exception):
    """The node cannot start; one sentence with cause and way out."""


@dataclass(frozen=True)
class NodeConfig:
    """What a node is told; where its data lies is the store's business."""

    rpc: RpcConfig = RpcConfig()
    sealing: Sealing = Sealing("slots")
    keys: tuple[Keypair, ...] = ()
    limits: Limits = Limits()
    unsafe_rpc: bool = True
    dev: bool = False
    networked: bool = False
    name: str = ""
    extra_methods: tuple[MethodTable, ...] = field(default_factory=tuple)


class FullNode:
    """A running node. `start`, then `stop`; `fatal` resolves when it cannot go on."""

    def __init__(
        self, runtime: Runtime, spec: ChainSpec, store: ChainStore, config: NodeConfig
    ) -> None:
        self.config, self.spec, self.store = config, spec, store
        genesis = store.hash_of(0)
        assert genesis is not None, "an open store has its genesis"
        executive = Executive(runtime, genesis)
        self.engine = Engine(
            store,
            executive,
            Importer(store, executive),
            Pool(config.limits),
            Clock(time.monotonic, lambda: time.time_ns() // 1_000_000),
            {key.public_key: key for key in config.keys},
            ShieldKeys() if mev_available() else None,
        )
        self.hub = Hub()
        self.hub.followers.unpin = self._unpin
        self._tasks: set[asyncio.Task[None]] = set()
        self.listeners: list[Callable[[Change], None]] = []
        self.network: Callable[[], NetworkView] = NetworkView
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="worker")
        self._instant: Instant | None = None
        self._stopping = False
        self._sealing: asyncio.Task[None] | None = None
        self.context = Node(
            store=store,
            engine=self.engine,
            hub=self.hub,
            identity=Identity(spec.name, spec.id, spec.chain_type, spec.properties),
            run=self.run,
            spawn=self.spawn,
            submitted=self._submitted,
            network=lambda: self.network(),
            started_at=store.best()[1],
        )
        extra = list(config.extra_methods)
        if config.dev:
            self.context.dev = DevTools(self.engine, self._lag())
            self.context.set_sealing = self.set_sealing
            extra += DEV_METHODS
        table = method_table(
            runtime,
            unsafe=config.unsafe_rpc,
            keeps_all=store.pruning is None,
            networked=config.networked,
            extra=extra,
        )
        self.context.names = tuple(table.methods)
        dispatcher = Dispatcher(table.methods, self.context, self._worker, config.rpc.max_response)
        self.server = RpcServer(dispatcher, config.rpc)

    async def start(self) -> None:
        """Listen and begin to make blocks. Raises NodeError."""
        self._loop = asyncio.get_running_loop()
        self.fatal: asyncio.Future[None] = self._loop.create_future()
        try:
            await self.server.start()
        except OSError as error:
            await self.server.stop()
            raise NodeError(_cannot_listen(self.config.rpc, error)) from None
        self._drive(self.config.sealing)

    def _drive(self, sealing: Sealing) -> None:
        lag = sealing.lag if self.finalizes_alone() else None
        if sealing.kind == "instant":
            self._instant = Instant(self.engine, self._queue, self._sealing_failed, lag)
            self._worker.submit(self._instant.wake)
        self._sealing = asyncio.create_task(drive(sealing, self.engine, self.run, lag))
        self._sealing.add_done_callback(self._sealing_ended)

    async def set_sealing(self, sealing: Sealing) -> None:
        """Make blocks another way from now on."""
        await self._stop_sealing()
        self._drive(sealing)

    async def _stop_sealing(self) -> None:
        if self._instant is not None:
            self._instant.stop()
            self._instant = None
            await self.run(int)  # the step under way may just be queueing another one
        if self._sealing is not None:
            self._sealing.cancel()
            await asyncio.wait((self._sealing,))

    def _lag(self) -> int | None:
        return self.config.sealing.lag if self.finalizes_alone() else None

    def _submitted(self) -> None:
        if self._instant is not None:
            self._instant.wake()

    def _queue(self, work: Callable[[], bool]) -> Future[bool]:
        return self._worker.submit(self._step, work, ())

    def _sealing_ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fail(error)

    def _sealing_failed(self, error: BaseException) -> None:
        self._loop.call_soon_threadsafe(self._fail, error)

    def _fail(self, error: BaseException) -> None:
        if not self.fatal.done():
            self.fatal.set_exception(error)

    def finalizes_alone(self) -> bool:
        """Whether every author and voter of the chain is this node, which then needs nobody."""
        state: State = self.engine.best_state()
        authorities = state[aura.Authorities]
        return (
            len(authorities) > 0
            and len(state[grandpa.Authorities]) <= len(authorities)
            and all(key in self.engine.keys for key in authorities)
        )

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """Run `work` on the worker; what it changed is published before this returns."""
        return await self._loop.run_in_executor(self._worker, self._step, work, args)

    def _step(self, work: Callable[..., T], args: tuple[Any, ...]) -> T:
        try:
            return work(*args)
        finally:
            change = self.engine.take_change()
            self._loop.call_soon_threadsafe(self.publish, change)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a coroutine beside everything else; a failure in it is logged."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a background task failed", exc_info=task.exception())

    def _unpin(self, pinned: list[Hash], gone: int) -> None:
        self.spawn(self.run(self.engine.unpin, pinned, gone))

    def publish(self, change: Change) -> None:
        """Tell subscribers, listeners and the log what happened; who waits comes first."""
        hub = self.hub
        hub.publish_transactions(change.transactions)
        if len(hub.all_heads):
            for header in change.imported:
                hub.all_heads.publish(header_json(header))
        if change.best is not None:
            if len(hub.new_heads):
                hub.new_heads.publish(header_json(change.best))
            if len(hub.storage):
                at = change.best.hash
                hub.storage.publish(at, self.store.state_at(at).get)
        if len(hub.finalized_heads):
            for header in change.finalized:
                hub.finalized_heads.publish(header_json(header))
        hub.followers.publish(change)
        for header in change.imported:
            blocks.info("Imported #%d (0x%s)", header.number, header.hash.hex())
        for listener in self.listeners:
            listener(change)
        for work in change.after:
            work()
        if change.imported:
            # Behind the notifications, so that neither they nor the next block wait for it.
            self._loop.call_soon(self._prepare_key)

    def _prepare_key(self) -> None:
        if self.engine.shield is not None and not self._stopping:
            self._worker.submit(self.engine.shield.prepare)

    async def stop(self) -> None:
        """Stop making blocks, close connections, finish the step under way, close the store."""
        self._stopping = True
        await self._stop_sealing()
        await self.server.stop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.to_thread(self._worker.shutdown)
        self.store.close()


def _cannot_listen(config: RpcConfig, error: OSError) -> str:
    where = f"{config.host} port {', '.join(map(str, config.ports))}"
    if error.errno == errno.EADDRINUSE:
        return (
            f"cannot listen on {where}: the port is in use; stop the other program or choose "
            "another port with --rpc-port"
        )
    return f"cannot listen on {where}: {error.strerror or error}"
