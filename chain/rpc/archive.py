"""archive_v1_*: any block of the past. Served by nodes that keep every state.

Specification: json-rpc-interface-spec, archive.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import orjson

from chain.rpc.context import Node, hex0x
from chain.rpc.errors import RpcError, invalid_params
from chain.rpc.methods import MethodTable
from chain.rpc.params import HexBytes, parse_hex
from chain.rpc.session import Subscription
from chain.rpc.storage_query import answers, parse_queries
from chain.store.states import StateView
from ganglion.hashing import blake2_256
from ganglion.units import Hash

methods = MethodTable()

CHUNK = 256
Events = Iterator[dict[str, Any]]


@methods.rpc("archive_v1_finalizedHeight")
def finalized_height(node: Node) -> int:
    """The number of the last finalised block."""
    return node.store.finalized()[1]


@methods.rpc("archive_v1_genesisHash")
def genesis_hash(node: Node) -> str:
    """The hash of block 0."""
    return hex0x(node.store.genesis_hash)


@methods.rpc("archive_v1_hashByHeight")
def hash_by_height(node: Node, height: int) -> list[str]:
    """All known blocks of a number; exactly one up to the finalised height."""
    found = node.store.hash_of(height)
    if found is None:
        return []
    blocks = [found]
    if height > node.store.finalized()[1]:
        blocks += [b for b in node.store.forked() if node.require_header(b).number == height]
    return [hex0x(b) for b in blocks]


@methods.rpc("archive_v1_header")
def header(node: Node, hash: Hash) -> str | None:  # noqa: A002
    """The SCALE header of a block, or null."""
    found = node.store.header(hash)
    return None if found is None else hex0x(found.encode())


@methods.rpc("archive_v1_body")
def body(node: Node, hash: Hash) -> list[str] | None:  # noqa: A002
    """The extrinsics of a block, or null."""
    found = node.store.body(hash)
    return None if found is None else [hex0x(raw) for raw in found]


@methods.rpc("archive_v1_call", blocking=True)
def call(node: Node, hash: Hash, function: str, callParameters: HexBytes) -> Any:  # noqa: A002, N803
    """A runtime call on the state of a block, or null."""
    if node.store.header(hash) is None:
        return None
    try:
        output = node.call_api(function, callParameters, hash)
    except RpcError as error:
        return {"success": False, "error": error.message}
    return {"success": True, "value": hex0x(output)}


@methods.subscription(
    "archive_v1_storage",
    push="archive_v1_storageEvent",
    unsubscribe=("archive_v1_stopStorage",),
    quiet=True,
)
def storage(
    node: Node,
    subscription: Subscription,
    hash: Hash,  # noqa: A002
    items: list[Any],
    childTrie: HexBytes | None = None,  # noqa: N803
) -> None:
    """Storage entries of a block, one event each."""
    queries = parse_queries(items, paginated=True)
    found = _found(node, hash, [] if childTrie is not None else queries)
    node.spawn(_stream(node, subscription, found, "storage"))


def _found(node: Node, block: Hash, queries: list[Any]) -> Events:
    for entry in answers(node.state_at(block), queries):
        yield {"event": "storage", **entry}


@methods.subscription(
    "archive_v1_storageDiff",
    push="archive_v1_storageDiffEvent",
    unsubscribe=("archive_v1_stopStorageDiff",),
    quiet=True,
)
def storage_diff(
    node: Node,
    subscription: Subscription,
    hash: Hash,  # noqa: A002
    items: list[Any] | None = None,
    previousHash: Hash | None = None,  # noqa: N803
) -> None:
    """What changed in storage from an earlier block (default: the parent) to a block."""
    wanted = [_diff_item(item) for item in (items if items is not None else [_EVERYTHING])]
    found = _differences(node, hash, previousHash, wanted)
    node.spawn(_stream(node, subscription, found, "storageDiff"))


_EVERYTHING = {"key": "0x", "returnType": "value"}


def _diff_item(item: Any) -> tuple[bytes, bool] | None:
    """Prefix, and whether hashes are wanted; None for a child trie, of which there are none."""
    keys = {"key", "returnType", "childTrieKey"}
    if (
        type(item) is not dict
        or set(item) - keys
        or item.get("returnType") not in ("value", "hash")
    ):
        raise invalid_params("items: each is an object of key and returnType (value or hash)")
    try:
        prefix = parse_hex(item.get("key", "0x"))
    except ValueError as error:
        raise invalid_params(f"items: {error}") from None
    return None if item.get("childTrieKey") is not None else (prefix, item["returnType"] == "hash")


def _differences(
    node: Node, block: Hash, earlier: Hash | None, wanted: list[tuple[bytes, bool] | None]
) -> Events:
    header = node.require_header(block)
    old = Hash(header.parent_hash) if earlier is None else earlier
    if header.number == 0 and earlier is None:
        raise RpcError(0, "block 0 has no parent to compare with")
    node.require_header(old)
    if not node.store.is_descendant(old, block):
        raise RpcError(0, "previousHash is not an ancestor of hash")
    before, after = node.state_at(old), node.state_at(block)
    for item in wanted:
        if item is not None:
            yield from _between(before, after, *item)


def _between(before: StateView, after: StateView, prefix: bytes, hashed: bool) -> Events:
    """Walk both states in step."""
    olds, news = before.trie().items(prefix), after.trie().items(prefix)
    old, new = next(olds, None), next(news, None)
    while old is not None or new is not None:
        if new is None or (old is not None and old[0] < new[0]):
            assert old is not None
            yield {"event": "storageDiff", "key": hex0x(old[0]), "type": "deleted"}
            old = next(olds, None)
        elif old is None or new[0] < old[0]:
            yield _changed("added", *new, hashed)
            new = next(news, None)
        else:
            if old[1] != new[1]:
                yield _changed("modified", *new, hashed)
            old, new = next(olds, None), next(news, None)


def _changed(kind: str, key: bytes, value: bytes, hashed: bool) -> dict[str, Any]:
    shown = {"hash": hex0x(blake2_256(value))} if hashed else {"value": hex0x(value)}
    return {"event": "storageDiff", "key": hex0x(key), **shown, "type": kind}


async def _stream(node: Node, subscription: Subscription, events: Events, name: str) -> None:
    """Send events a chunk at a time, then the last one; stops when the client has left."""
    open_ = True

    def close() -> None:
        nonlocal open_
        open_ = False

    subscription.on_close(close)
    chunk: list[dict[str, Any]] = []
    try:
        while open_ and (chunk := await node.run(_chunk, events)):
            for event in chunk:
                subscription.push(orjson.dumps(event))
            await subscription.session.drained()
    except RpcError as error:
        subscription.push(orjson.dumps({"event": f"{name}Error", "error": error.message}))
    else:
        if open_:
            subscription.push(orjson.dumps({"event": f"{name}Done"}))
    subscription.end()


def _chunk(events: Events) -> list[dict[str, Any]]:
    return list(islice(events, CHUNK))
