"""What RPC methods see of the node.

Methods on the event loop use `store`, `hub` and what is cached here; `engine` belongs to the
worker thread and is touched by `blocking` methods only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from chain.blocks import Header
from chain.dev.simulate import Simulation, apply_raw
from chain.dev.tools import DevTools
from chain.engine import Engine
from chain.executive import UnknownMethod
from chain.pool import PoolError
from chain.rpc.errors import STATE_ERROR, RpcError, state_discarded, unknown_block
from chain.rpc.hub import Hub
from chain.rpc.methods import Json
from chain.sealing import Sealing
from chain.store.chain import ChainStore
from chain.store.errors import StateDiscarded, UnknownBlock
from chain.store.states import StateView
from ganglion.scale import DecodeError
from ganglion.units import Hash


def hex0x(raw: bytes) -> str:
    """0x and lower-case digits."""
    return "0x" + raw.hex()


def header_json(header: Header) -> Json:
    """A header as clients read and re-hash it."""
    return Json(orjson.dumps(header.json()))


@dataclass(frozen=True, slots=True)
class Identity:
    """What the node says about itself and its chain."""

    chain: str
    chain_id: str
    chain_type: str
    properties: dict[str, Any]
    node_name: str = "Ganglion Node"
    version: str = "0.1.0"
    roles: tuple[str, ...] = ("Authority",)


@dataclass(frozen=True, slots=True)
class NetworkView:
    """The network's state for system_health and its kin; the defaults are a lone node's."""

    peers: Sequence[dict[str, Any]] = ()
    syncing: bool = False
    wanted: bool = False
    highest: int = 0
    peer_id: str = ""
    addresses: Sequence[str] = ()


Run = Callable[..., Awaitable[Any]]
"""`await run(function, *args)`: on the worker thread; what it changed is published first."""

Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]
SetSealing = Callable[[Sealing], Awaitable[None]]


@dataclass(slots=True)
class Node:
    """The context of every method."""

    store: ChainStore
    engine: Engine
    hub: Hub
    identity: Identity
    run: Run
    spawn: Spawn
    """Start a coroutine on the event loop; a failure in it is logged."""
    submitted: Callable[[], None]
    """Told on the worker of each transaction that entered the pool: a block may follow."""
    network: Callable[[], NetworkView] = NetworkView
    started_at: int = 0
    dev: DevTools | None = None
    """The developers' tools, where the node has them."""
    set_sealing: SetSealing | None = None
    names: tuple[str, ...] = ()
    """Names of all methods served, for rpc_methods."""
    version_json: Json = field(init=False)
    _metadata: Json | None = None

    def __post_init__(self) -> None:
        self.version_json = Json(orjson.dumps(self.engine.executive.version.to_json()))

    # -- for methods on the event loop --------------------------------------------------------

    def state_at(self, block_hash: Hash | None) -> StateView:
        """Raw state of a block (default: the best). Raises RpcError."""
        at = self.store.best()[0] if block_hash is None else block_hash
        try:
            return self.store.state_at(at)
        except StateDiscarded:
            raise state_discarded(at, in_call=False) from None
        except UnknownBlock:
            raise unknown_block(at) from None

    def require_header(self, block_hash: Hash) -> Header:
        """The header of a block. Raises RpcError when it is not known."""
        header = self.store.header(block_hash)
        if header is None:
            raise unknown_block(block_hash)
        return header

    async def submit(self, raw: bytes) -> bytes:
        """Put a transaction into the pool; its hash. Raises RpcError."""
        try:
            tx_hash: bytes = await self.run(self._submit, raw)
        except PoolError as error:
            raise RpcError(error.code, error.message, error.data) from None
        return tx_hash

    # -- for blocking methods, on the worker thread -------------------------------------------

    def _submit(self, raw: bytes) -> bytes:
        tx_hash = self.engine.submit(raw)
        self.submitted()
        return tx_hash

    def call_api(self, name: str, data: bytes, block_hash: Hash | None) -> bytes:
        """Run a runtime API. Raises RpcError in upstream's words."""
        try:
            return self.engine.call_api(name, data, block_hash)
        except UnknownMethod as error:
            raise RpcError(STATE_ERROR, f"Client error: {error}") from None
        except DecodeError as error:
            raise RpcError(
                STATE_ERROR,
                "Client error: Execution failed: Execution aborted due to trap: "
                f"bad input data provided to {name}: {error}",
                "The arguments are not the SCALE encoding that the metadata asks for.",
            ) from None
        except StateDiscarded:
            assert block_hash is not None, "the best state is never discarded"
            raise state_discarded(block_hash, in_call=True) from None
        except UnknownBlock:
            assert block_hash is not None, "the best block is known"
            raise unknown_block(block_hash) from None

    def dry_run(self, raw: bytes, block_hash: Hash | None) -> Simulation:
        """Apply an extrinsic on top of a block and throw the state away. Raises RpcError."""
        try:
            return self.engine.simulate(apply_raw(self.engine.executive, raw), block_hash)
        except StateDiscarded:
            assert block_hash is not None, "the best state is never discarded"
            raise state_discarded(block_hash, in_call=True) from None
        except UnknownBlock:
            assert block_hash is not None, "the best block is known"
            raise unknown_block(block_hash) from None

    def metadata_json(self) -> Json:
        """Metadata V14 as a JSON string, made once."""
        if self._metadata is None:
            blob = self.engine.executive.metadata(14)
            assert blob is not None, "V14 is always there"
            self._metadata = Json(b'"0x%b"' % blob.hex().encode())
        return self._metadata
