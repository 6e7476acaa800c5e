"""author_*: handing transactions in and following them."""

from __future__ import annotations

from typing import Any

from chain.pool.transaction import transaction_hash
from chain.rpc.context import Node, hex0x
from chain.rpc.errors import invalid_params
from chain.rpc.methods import MethodTable
from chain.rpc.params import HexBytes, parse_hex
from chain.rpc.session import Subscription

methods = MethodTable()


@methods.rpc_async("author_submitExtrinsic")
async def submit_extrinsic(node: Node, extrinsic: HexBytes) -> str:
    """Put a signed extrinsic into the pool; its hash."""
    return hex0x(await node.submit(extrinsic))


@methods.subscription_async(
    "author_submitAndWatchExtrinsic",
    push="author_extrinsicUpdate",
    unsubscribe=("author_unwatchExtrinsic",),
)
async def submit_and_watch(node: Node, subscription: Subscription, xt: HexBytes) -> None:
    """Put a signed extrinsic into the pool and follow it to finality."""
    node.hub.watch(transaction_hash(xt), subscription)
    await node.submit(xt)


@methods.rpc("author_pendingExtrinsics", blocking=True)
def pending_extrinsics(node: Node) -> list[str]:
    """Ready extrinsics, in the order a block would take them."""
    return [hex0x(raw) for raw in node.engine.pending()]


@methods.rpc_async("author_removeExtrinsic", unsafe=True)
async def remove_extrinsic(node: Node, bytesOrHash: list[Any]) -> list[str]:  # noqa: N803
    """Take extrinsics, given as `{"hash": ..}` or `{"extrinsic": ..}`, out of the pool."""
    hashes = [_hash_in(entry) for entry in bytesOrHash]
    return [hex0x(h) for h in await node.run(node.engine.remove, hashes)]


def _hash_in(entry: Any) -> bytes:
    if type(entry) is dict and len(entry) == 1:
        kind, value = next(iter(entry.items()))
        try:
            if kind == "hash":
                return parse_hex(value)
            if kind == "extrinsic":
                return transaction_hash(parse_hex(value))
        except ValueError as error:
            raise invalid_params(f"{kind}: {error}") from None
    raise invalid_params('each entry must be {"hash": "0x.."} or {"extrinsic": "0x.."}')
