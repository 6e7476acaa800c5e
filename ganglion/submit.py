"""Submitting transactions: nonce, era, signature, watching, and what to do when the line breaks.

A transaction is submitted once. If the connection breaks while it is watched, its fate is read
from the blocks instead: its era says until when it could still come.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from weakref import WeakValueDictionary

from ganglion.era import Era
from ganglion.errors import (
    NodeUnreachable,
    RequestTimeout,
    RpcError,
    SubscriptionLost,
    TransactionRejected,
)
from ganglion.extrinsic import SigningContext, assemble, extrinsic_hash, sign_extrinsic
from ganglion.header import Header
from ganglion.keys import Keypair
from ganglion.pool_errors import explained
from ganglion.receipt import Receipt, build_receipt
from ganglion.registry import Call
from ganglion.rpc import HttpRpc, Rpc
from ganglion.rpc_core import result_bytes
from ganglion.runtime import Runtime
from ganglion.view import Reads

Wait = Literal["pool", "block", "finalized"]

_POLL_S = 0.25
_REFUSALS = {
    "invalid": "the pool found it invalid after all",
    "dropped": "the pool dropped it: too many better ones are waiting",
    "usurped": "another transaction with the same nonce took its place",
    "finalityTimeout": "its block was not finalized in time",
}


@dataclass(frozen=True, slots=True)
class _Sent:
    """A signed transaction and the blocks in which it may be."""

    raw: bytes
    hash: str
    first: int
    last: int


class Chain(Protocol):
    """What submitting asks of a client; the errors are the client's."""

    genesis_hash: str

    @property
    def rpc(self) -> Rpc:
        """The connection."""

    @property
    def runtime(self) -> Runtime:
        """The runtime at the head, as last seen."""

    async def refresh_runtime(self) -> Runtime:
        """The runtime at the head, asked anew."""

    async def nonce(self, address: str) -> int:
        """The nonce of an account's next transaction."""

    async def header(self, block_hash: str | None = None) -> Header:
        """A block's header, the head's by default."""

    async def finalized_hash(self) -> str:
        """The hash of the last finalized block."""

    async def block_hash(self, number: int) -> str:
        """The hash of a block."""

    async def extrinsics(self, block_hash: str) -> tuple[Header, list[bytes]]:
        """The header and the encoded extrinsics of a block."""

    def at(self, block_hash: str) -> Reads:
        """Reads at one block."""


class Submitter:
    """Submits for one client; transactions of one account go one after the other."""

    def __init__(self, client: Chain) -> None:
        self._client = client
        self._locks: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    async def submit(
        self,
        call: Call,
        signer: Keypair,
        wait: Wait,
        tip: int,
        period: int,
        nonce: int | None,
        timeout_s: float,
    ) -> Receipt:
        """See Client.submit."""
        lock = self._locks.setdefault(signer.public_key, asyncio.Lock())
        rpc = self._client.rpc
        watched = wait != "pool" and not isinstance(rpc, HttpRpc)
        watch = None
        async with lock:  # from asking the nonce until the pool has the transaction
            sent = await self._sign(call, signer, tip, period, nonce)
            text = "0x" + sent.raw.hex()
            try:
                if watched:
                    watch = await rpc.subscribe(
                        "author_submitAndWatchExtrinsic", [text], "author_unwatchExtrinsic"
                    )
                else:
                    await rpc.call("author_submitExtrinsic", [text])
            except TransactionRejected as e:
                raise explained(e) from e
        if wait == "pool":
            return Receipt(sent.hash)
        try:
            async with asyncio.timeout(timeout_s):
                if watch is None:
                    return await self._search(sent, wait == "finalized")
                try:
                    return await self._follow(watch, sent, wait == "finalized")
                except (SubscriptionLost, NodeUnreachable):
                    return await self._search(sent, wait == "finalized")
        except TimeoutError:
            raise RequestTimeout(
                f"{call} (0x{sent.hash[2:10]}...) was in no block after {timeout_s:g} seconds; "
                f"it may still come until block {sent.last}"
            ) from None
        finally:
            if watch is not None:
                await rpc.unsubscribe(watch)

    async def fee(self, call: Call, signer: Keypair) -> int:
        """The fee in rao of a call, by TransactionPaymentApi; nothing is signed for it."""
        runtime = await self._client.refresh_runtime()
        context = await self._context(signer, 0, Era(), None, None)
        raw = assemble(call.data, context, signer.public_key, signer.crypto, bytes(64))
        # The API takes the extrinsic as the chain sends it: a byte string with its length first.
        data = raw + len(raw).to_bytes(4, "little")
        answer = await self._client.rpc.call(
            "state_call", ["TransactionPaymentApi_query_info", "0x" + data.hex()]
        )
        found = runtime.decode_api("TransactionPaymentApi", "query_info", result_bytes(answer))
        fee: int = found["partial_fee"]
        return fee

    async def _context(
        self, signer: Keypair, tip: int, era: Era, birth: bytes | None, nonce: int | None
    ) -> SigningContext:
        client, runtime = self._client, self._client.runtime
        return SigningContext(
            genesis_hash=result_bytes(client.genesis_hash),
            spec_version=runtime.spec_version,
            transaction_version=runtime.transaction_version,
            nonce=await client.nonce(signer.address) if nonce is None else nonce,
            era=era,
            birth_hash=birth,
            tip=tip,
            extensions=runtime.extensions(),
        )

    async def _sign(
        self, call: Call, signer: Keypair, tip: int, period: int, nonce: int | None
    ) -> _Sent:
        client = self._client
        # A signature names the runtime version: a stale one would be a bad signature.
        before = client.runtime
        runtime = await client.refresh_runtime()
        if runtime is not before:
            call = runtime.call(call.pallet, call.name, **call.args)
        anchor = await self._anchor(period)
        era = Era.mortal(period, anchor.number)
        birth = era.birth(anchor.number)
        birth_hash = anchor.hash if birth == anchor.number else await client.block_hash(birth)
        context = await self._context(signer, tip, era, result_bytes(birth_hash), nonce)
        raw = sign_extrinsic(call.data, context, signer)
        return _Sent(
            raw=raw,
            hash="0x" + extrinsic_hash(raw).hex(),
            first=anchor.number,
            last=era.death(anchor.number) - 1,
        )

    async def _anchor(self, period: int) -> Header:
        """The block an era starts from: the finalized head, which no reorganisation removes,
        unless finality is so far behind that little of the era would be left."""
        client = self._client
        best = await client.header()
        final = await client.header(await client.finalized_hash())
        return final if best.number - final.number <= period // 4 else best

    async def _follow(self, watch: Any, sent: _Sent, finalized: bool) -> Receipt:
        async for status in watch:
            kind, detail = _status(status)
            if kind in _REFUSALS:
                raise TransactionRejected(
                    1010, f"the transaction was not included: {kind}", _REFUSALS[kind]
                )
            if kind == "finalized" or (kind == "inBlock" and not finalized):
                found = await self._receipt_in(detail, sent, kind == "finalized")
                if found is not None:
                    return found
        raise SubscriptionLost("the node stopped reporting on the transaction")

    async def _receipt_in(self, block_hash: str, sent: _Sent, finalized: bool) -> Receipt | None:
        """The receipt if the block holds the transaction."""
        header, extrinsics = await self._client.extrinsics(block_hash)
        if sent.raw not in extrinsics:
            return None
        view = self._client.at(block_hash)
        return build_receipt(
            await view.runtime_here(),
            sent.hash,
            (block_hash, header.number),
            extrinsics.index(sent.raw),
            await view.events(),
            finalized,
        )

    async def _search(self, sent: _Sent, finalized: bool) -> Receipt:
        """Look through the blocks of the transaction's era as they come."""
        client = self._client
        number = sent.first
        while True:
            top = await client.header(await client.finalized_hash() if finalized else None)
            while number <= min(top.number, sent.last):
                found = await self._receipt_in(await client.block_hash(number), sent, finalized)
                if found is not None:
                    return found
                number += 1
            if number > sent.last:
                raise TransactionRejected(
                    1010, "the transaction was not included", f"its era ended at block {sent.last}"
                )
            await asyncio.sleep(_POLL_S)


def _status(status: Any) -> tuple[str, Any]:
    """A transaction status as name and detail; raises RpcError for anything else."""
    if isinstance(status, str):
        return status, None
    if isinstance(status, dict) and len(status) == 1:
        [(kind, detail)] = status.items()
        return kind, detail
    raise RpcError(0, "the node reported a transaction status that is none", status)
