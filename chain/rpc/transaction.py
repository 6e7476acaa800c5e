"""transaction_v1_*, transactionWatch_v1_* and chainSpec_v1_*.

Specification: json-rpc-interface-spec. A broadcast never tells whether the transaction is any
good; a watch tells all.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import Any

import orjson

from chain.pool.transaction import TxEvent, transaction_hash
from chain.rpc.context import Node, hex0x
from chain.rpc.errors import INVALID_PARAMS, RpcError
from chain.rpc.methods import MethodTable
from chain.rpc.params import HexBytes
from chain.rpc.session import Session, Subscription
from ganglion.units import Hash

methods = MethodTable()

MAX_BROADCASTS = 16
RETRY_S = 6.0


@methods.rpc("chainSpec_v1_chainName")
def chain_name(node: Node) -> str:
    """The chain's name."""
    return node.identity.chain


@methods.rpc("chainSpec_v1_genesisHash")
def genesis_hash(node: Node) -> str:
    """The hash of block 0."""
    return hex0x(node.store.genesis_hash)


@methods.rpc("chainSpec_v1_properties")
def properties(node: Node) -> dict[str, Any]:
    """Address prefix, token symbol and decimals."""
    return node.identity.properties


@methods.rpc_session("transaction_v1_broadcast")
def broadcast(node: Node, session: Session | None, transaction: HexBytes) -> str | None:
    """Try to bring a transaction into a block until told to stop, or until the client leaves."""
    broadcasts = {} if session is None else session.broadcasts
    if len(broadcasts) >= MAX_BROADCASTS:
        return None
    key = secrets.token_hex(8)
    task = node.spawn(_keep_submitting(node, transaction))
    if session is not None:
        session.broadcasts[key] = task.cancel
    return key


async def _keep_submitting(node: Node, raw: bytes) -> None:
    """Submit again and again: what is refused now may be taken after the next blocks."""
    while True:
        with contextlib.suppress(RpcError):
            await node.submit(raw)
        await asyncio.sleep(RETRY_S)


@methods.rpc_session("transaction_v1_stop")
def stop(node: Node, session: Session | None, operationId: str) -> None:  # noqa: N803
    """End a broadcast."""
    cancel = None if session is None else session.broadcasts.pop(operationId, None)
    if cancel is None:
        raise RpcError(INVALID_PARAMS, "Invalid params", "no broadcast has this operation id")
    cancel()


@methods.subscription(
    "transactionWatch_v1_submitAndWatch",
    push="transactionWatch_v1_watchEvent",
    unsubscribe=("transactionWatch_v1_unwatch",),
    quiet=True,
)
def submit_and_watch(node: Node, subscription: Subscription, transaction: HexBytes) -> None:
    """Submit a transaction and tell what becomes of it."""
    node.hub.observe(transaction_hash(transaction), _Watch(node, subscription, transaction))
    node.spawn(_submit(node, subscription, transaction))


async def _submit(node: Node, subscription: Subscription, raw: bytes) -> None:
    try:
        await node.submit(raw)
    except RpcError as error:
        text = f"{error.message}: {error.data}" if error.data else error.message
        subscription.push(orjson.dumps({"event": "invalid", "error": text}))
        subscription.end()


class _Watch:
    """Turns the pool's news on one transaction into this specification's events."""

    def __init__(self, node: Node, subscription: Subscription, raw: bytes) -> None:
        self.subscription = subscription
        self._node, self._raw = node, raw

    def __call__(self, event: TxEvent) -> None:
        block = event.value if isinstance(event.value, bytes) else b""
        match event.status:
            case "ready" | "future":
                self._send("validated")
            case "inBlock":
                self._send("bestChainBlockIncluded", block=self._place(Hash(block)))
            case "retracted":
                self._send("bestChainBlockIncluded", block=None)
            case "finalized":
                self._send("finalized", block=self._place(Hash(block)))
            case "invalid":
                self._send("invalid", error="the transaction is no longer valid")
            case "usurped":
                self._send("invalid", error=f"replaced by {hex0x(block)}")
            case "dropped" | "finalityTimeout":
                self._send("dropped", error=_DROPPED[event.status])
            case "broadcast":
                pass

    def _send(self, name: str, **fields: Any) -> None:
        self.subscription.push(orjson.dumps({"event": name, **fields}))

    def _place(self, block: Hash) -> dict[str, Any]:
        body = self._node.store.body(block) or []
        return {"hash": hex0x(block), "index": body.index(self._raw) if self._raw in body else 0}


_DROPPED = {
    "dropped": "the pool is full or was emptied",
    "finalityTimeout": "the block that has it was not finalised in time",
}
