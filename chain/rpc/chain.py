"""chain_*: blocks, headers, hashes, and subscriptions to them."""

from __future__ import annotations

from typing import Any

from chain.blocks import Block
from chain.rpc.context import Node, header_json, hex0x
from chain.rpc.errors import invalid_params
from chain.rpc.methods import Json, MethodTable
from chain.rpc.params import parse_natural
from chain.rpc.session import Subscription, Topic
from ganglion.units import Hash

methods = MethodTable()
MAX_HASHES = 4096


@methods.rpc("chain_getHeader")
def get_header(node: Node, hash: Hash | None = None) -> Json | None:  # noqa: A002
    """The header of a block (default: the best), or null."""
    header = node.store.header(hash if hash is not None else node.store.best()[0])
    return None if header is None else header_json(header)


@methods.rpc("chain_getBlock")
def get_block(node: Node, hash: Hash | None = None) -> Any:  # noqa: A002
    """Header, extrinsics and justifications of a block (default: the best), or null."""
    block_hash = hash if hash is not None else node.store.best()[0]
    header = node.store.header(block_hash)
    body = node.store.body(block_hash)
    if header is None or body is None:
        return None
    found = node.store.justifications(block_hash)
    return {
        "block": Block(header, tuple(body)).json(),
        "justifications": [[list(e), list(p)] for e, p in found] if found else None,
    }


@methods.rpc("chain_getBlockHash", "chain_getHead")
def get_block_hash(node: Node, number: Any = None) -> Any:
    """The hash of a block of the best chain by number (default: the best), or null.

    A list of numbers gives a list of hashes; numbers may be hex strings.
    """
    if type(number) is list:
        if len(number) > MAX_HASHES:
            raise invalid_params(f"at most {MAX_HASHES} numbers in one call")
        return [_hash_of(node, n) for n in number]
    return _hash_of(node, number)


def _hash_of(node: Node, number: Any) -> str | None:
    if number is None:
        return hex0x(node.store.best()[0])
    found = node.store.hash_of(natural(number))
    return None if found is None else hex0x(found)


def natural(value: Any) -> int:
    """A block number as clients write it; RpcError otherwise."""
    try:
        return parse_natural(value)
    except ValueError as error:
        raise invalid_params(f"block number: {error}") from None


@methods.rpc("chain_getFinalizedHead", "chain_getFinalisedHead")
def get_finalized_head(node: Node) -> str:
    """The hash of the last finalised block."""
    return hex0x(node.store.finalized()[0])


def _heads(
    *names: str, push: str, unsubscribe: tuple[str, ...], topic: str, first: str, doc: str
) -> None:
    """Declare a subscription to headers: the current one at once, then every new one."""

    def subscribe(node: Node, subscription: Subscription) -> None:
        header = node.store.header(getattr(node.store, first)()[0])
        if header is not None:
            subscription.push(header_json(header))
        heads: Topic = getattr(node.hub, topic)
        heads.add(subscription)

    subscribe.__doc__ = doc
    methods.subscription(*names, push=push, unsubscribe=unsubscribe)(subscribe)


_heads(
    "chain_subscribeNewHeads",
    "chain_subscribeNewHead",
    "subscribe_newHead",
    push="chain_newHead",
    unsubscribe=("chain_unsubscribeNewHeads", "chain_unsubscribeNewHead", "unsubscribe_newHead"),
    topic="new_heads",
    first="best",
    doc="Headers of best blocks, beginning with the current one.",
)
_heads(
    "chain_subscribeFinalizedHeads",
    "chain_subscribeFinalisedHeads",
    push="chain_finalizedHead",
    unsubscribe=("chain_unsubscribeFinalizedHeads", "chain_unsubscribeFinalisedHeads"),
    topic="finalized_heads",
    first="finalized",
    doc="Headers of finalised blocks, each once, beginning with the last.",
)
_heads(
    "chain_subscribeAllHeads",
    push="chain_allHead",
    unsubscribe=("chain_unsubscribeAllHeads",),
    topic="all_heads",
    first="best",
    doc="Headers of all imported blocks, of forks too, beginning with the best.",
)
