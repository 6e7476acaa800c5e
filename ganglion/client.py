"""The client: connect to a node, read, sign, submit, watch.

    async with Client("ws://127.0.0.1:9944") as client:
        print(await client.balance(address))
        receipt = await client.transfer(alice, bob_address, Balance.tao("1.5"))
        async for head in client.blocks():
            ...

One connection, one asynchronous implementation; `ganglion.sync` is the blocking form.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self

from ganglion.balance import Balance
from ganglion.errors import (
    GanglionError,
    NodeUnreachable,
    RequestTimeout,
    RpcError,
    UnknownName,
)
from ganglion.header import ZERO_HASH, Header
from ganglion.keys import Keypair
from ganglion.metadata_cache import MetadataCache
from ganglion.receipt import Receipt
from ganglion.registry import Call
from ganglion.rpc import DEFAULT_URL, HttpRpc, RpcOptions, open_rpc
from ganglion.rpc_core import result_bytes
from ganglion.runtime import Runtime
from ganglion.scale import DecodeError, codec
from ganglion.submit import Submitter, Wait
from ganglion.view import Reads

_KEPT_RUNTIMES = 8
_KEPT_BLOCKS = 512
METADATA_VERSION = 15


class View(Reads):
    """Reads at one block."""

    def __init__(self, client: Client, block_hash: str) -> None:
        self.rpc = client.rpc
        self.at_hash = block_hash
        self._client = client

    async def runtime_here(self) -> Runtime:
        """The runtime that made this block's state."""
        assert self.at_hash is not None
        return await self._client.runtime_of(self.at_hash)


class Client(Reads):
    """A connection to one node, at its head. Use as `async with`, or `connect` and `close`."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        options: RpcOptions | None = None,
        cache: MetadataCache | None = None,
    ) -> None:
        self.rpc = open_rpc(url, options)
        self.genesis_hash = ""
        self._cache = cache
        self._runtimes: dict[int, Runtime] = {}
        self._spec_of: dict[str, int] = {}
        self._current: Runtime | None = None
        self._watch: asyncio.Task[None] | None = None
        self._submitter = Submitter(self)

    async def connect(self) -> None:
        """Open the connection and learn the chain; raises NodeUnreachable."""
        await self.rpc.connect()
        await self.check_chain()
        await self.refresh_runtime()
        self._keep_watch()

    async def check_chain(self) -> None:
        """Raise NodeUnreachable if the node serves another chain than when we first asked it.

        A connection that broke is dialled again by itself, and may then reach another chain.
        """
        genesis = await self.rpc.call("chain_getBlockHash", [0])
        if self.genesis_hash and genesis != self.genesis_hash:
            raise NodeUnreachable(
                f"{self.rpc.url} now serves another chain (genesis {genesis}): "
                "start again to use it"
            )
        self.genesis_hash = genesis

    async def close(self) -> None:
        """Close the connection."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
            self._watch = None
        await self.rpc.close()

    async def __aenter__(self) -> Self:
        connected = False
        try:
            await self.connect()
            connected = True
        finally:
            if not connected:
                await self.close()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # --- runtimes ---

    @property
    def runtime(self) -> Runtime:
        """The runtime at the head, as last seen; raises NodeUnreachable before `connect`."""
        if self._current is None:
            raise NodeUnreachable("the client is not connected: use `async with` or connect()")
        return self._current

    async def runtime_here(self) -> Runtime:
        """The runtime at the head."""
        self._keep_watch()
        return self._current or await self.refresh_runtime()

    async def refresh_runtime(self) -> Runtime:
        """Ask the node for the runtime at its head, and load it if it is a new one."""
        version = await self.rpc.call("state_getRuntimeVersion", [])
        self._current = await self._load(version, None)
        return self._current

    async def runtime_of(self, block_hash: str) -> Runtime:
        """The runtime that made the state of a block: the one in its parent's state."""
        spec = self._spec_of.get(block_hash)
        if spec is not None and spec in self._runtimes:
            return self._runtimes[spec]
        header = await self.header(block_hash)
        at = block_hash if header.parent == ZERO_HASH else header.parent
        found = await self._load(await self.rpc.call("state_getRuntimeVersion", [at]), at)
        _remember(self._spec_of, block_hash, found.spec_version, _KEPT_BLOCKS)
        return found

    async def _load(self, version: Any, at: str | None) -> Runtime:
        if not isinstance(version, dict) or "specVersion" not in version:
            raise NodeUnreachable(f"{self.rpc.url} sent no runtime version")
        spec = int(version["specVersion"])
        known = self._runtimes.get(spec)
        if known is not None:
            return known
        raw = self._cache.get(self.genesis_hash, spec) if self._cache else None
        fetched = raw is None
        if raw is None:
            raw = await self._fetch_metadata(at)
        made = Runtime.from_bytes(raw, spec, int(version.get("transactionVersion", 0)))
        if fetched and self._cache:
            self._cache.put(self.genesis_hash, spec, raw)
        _remember(self._runtimes, spec, made, _KEPT_RUNTIMES)
        return made

    async def _fetch_metadata(self, at: str | None) -> bytes:
        tail = [] if at is None else [at]
        wanted = "0x" + METADATA_VERSION.to_bytes(4, "little").hex()
        try:
            answer = await self.rpc.call(
                "state_call", ["Metadata_metadata_at_version", wanted, *tail]
            )
            found: bytes | None = codec(bytes | None).decode(result_bytes(answer))
        except (RpcError, DecodeError):
            found = None  # an old runtime: it has version 14 only
        return found or result_bytes(await self.rpc.call("state_getMetadata", tail))

    def _keep_watch(self) -> None:
        if self._watch is None and not isinstance(self.rpc, HttpRpc):
            self._watch = asyncio.create_task(self._watch_runtime())

    async def _watch_runtime(self) -> None:
        """Follow runtime upgrades, so that reads at the head never use yesterday's types."""
        try:
            versions = await self.rpc.subscribe(
                "state_subscribeRuntimeVersion", [], "state_unsubscribeRuntimeVersion"
            )
            async for version in versions:
                self._current = await self._load(version, None)
        except RpcError:
            return  # the node cannot tell; submissions ask anyway
        except GanglionError:
            # The line was cut for long: ask anew when the next read comes.
            self._current = self._watch = None

    # --- blocks ---

    def at(self, block_hash: str) -> View:
        """Reads at one block."""
        return View(self, block_hash)

    async def at_head(self) -> View:
        """Reads at what is the best block now."""
        return View(self, await self.head_hash())

    async def head_hash(self) -> str:
        """The hash of the best block."""
        found: str = await self.rpc.call("chain_getBlockHash", [])
        return found

    async def finalized_hash(self) -> str:
        """The hash of the last finalized block."""
        found: str = await self.rpc.call("chain_getFinalizedHead", [])
        return found

    async def block_hash(self, number: int) -> str:
        """The hash of block `number`; raises UnknownName if the chain has not got that far."""
        found: str | None = await self.rpc.call("chain_getBlockHash", [number])
        if found is None:
            raise UnknownName(f"the chain has no block {number}")
        return found

    async def header(self, block_hash: str | None = None) -> Header:
        """A block's header, the head's by default; raises UnknownName for an unknown block."""
        found = await self.rpc.call("chain_getHeader", [block_hash] if block_hash else [])
        if found is None:
            raise UnknownName(f"the node has no block {block_hash}")
        return Header.from_json(found)

    async def block_number(self) -> int:
        """The number of the best block."""
        return (await self.header()).number

    async def extrinsics(self, block_hash: str) -> tuple[Header, list[bytes]]:
        """The header and the encoded extrinsics of a block; raises UnknownName."""
        found = await self.rpc.call("chain_getBlock", [block_hash])
        if found is None:
            raise UnknownName(f"the node has no block {block_hash}")
        try:
            block = found["block"]
            return Header.from_json(block["header"]), [result_bytes(x) for x in block["extrinsics"]]
        except (KeyError, TypeError) as e:
            raise NodeUnreachable("the node sent a block in an unknown form") from e

    async def blocks(self, *, finalized: bool = False) -> AsyncGenerator[Header, None]:
        """New headers as they come, without gaps: after an interruption the missed ones follow.

        Best blocks may be replaced: then a number comes again with another hash.
        """
        kind = "Finalized" if finalized else "New"
        heads = await self.rpc.subscribe(
            f"chain_subscribe{kind}Heads", [], f"chain_unsubscribe{kind}Heads"
        )
        last: Header | None = None
        try:
            async for found in heads:
                head = Header.from_json(found)
                if last is not None:
                    if head.hash == last.hash:
                        continue
                    for number in range(last.number + 1, head.number):
                        yield await self.header(await self.block_hash(number))
                last = head
                yield head
        finally:
            await self.rpc.unsubscribe(heads)

    async def wait_for_block(self, number: int | None = None, timeout_s: float = 120) -> Header:
        """The first block with at least `number` (by default: the next one).

        Raises RequestTimeout when it does not come in time.
        """
        try:
            async with asyncio.timeout(timeout_s):
                target = await self.block_number() + 1 if number is None else number
                async with aclosing(self.blocks()) as heads:
                    async for head in heads:
                        if head.number >= target:
                            return head
        except TimeoutError as e:
            raise RequestTimeout(f"block {number or 'next'} did not come in {timeout_s:g} s") from e
        raise NodeUnreachable("the stream of blocks ended")

    # --- transactions ---

    async def compose(self, pallet: str, name: str, **args: Any) -> Call:
        """A call by name; raises UnknownName or EncodeError."""
        return (await self.runtime_here()).call(pallet, name, **args)

    async def submit(
        self,
        call: Call,
        signer: Keypair,
        *,
        wait: Wait = "block",
        tip: int = 0,
        period: int = 64,
        nonce: int | None = None,
        timeout_s: float = 120,
    ) -> Receipt:
        """Sign a call, submit it and wait until it is in the pool, in a block or finalized.

        It is valid for `period` blocks, so it cannot turn up later. A failed dispatch is in the
        receipt (`receipt.check()` raises it). Raises TransactionRejected when the pool refuses
        it, and RequestTimeout when it was in no block in time.
        """
        return await self._submitter.submit(call, signer, wait, tip, period, nonce, timeout_s)

    async def fee(self, call: Call, signer: Keypair) -> Balance:
        """What a call would cost its signer now, by the chain's own estimate."""
        return Balance(await self._submitter.fee(call, signer))

    async def nonce(self, address: str) -> int:
        """The nonce of an account's next transaction, those waiting in the pool counted."""
        found: int = await self.rpc.call("system_accountNextIndex", [address])
        return found

    async def transfer(
        self, signer: Keypair, dest: Any, amount: Balance, *, wait: Wait = "block"
    ) -> Receipt:
        """Send TAO, leaving the sender's account alive; raises TransactionFailed."""
        value = amount.as_rao()
        call = await self.compose("Balances", "transfer_keep_alive", dest=dest, value=value)
        return (await self.submit(call, signer, wait=wait)).check()


def _remember(table: dict[Any, Any], key: Any, value: Any, most: int) -> None:
    """Keep a value in a bounded table; the oldest goes first."""
    table[key] = value
    while len(table) > most:
        table.pop(next(iter(table)))
