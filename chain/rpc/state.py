"""state_*: storage, runtime APIs, metadata and versions at any block whose state is kept.

Reads of single keys run on the event loop; everything that executes the runtime or walks many
keys runs on the node's worker thread.
"""

from __future__ import annotations

from typing import Any

from chain.rpc.context import Node, hex0x
from chain.rpc.errors import STATE_INVALID_COUNT, RpcError, invalid_params, unknown_block
from chain.rpc.hub import change_set
from chain.rpc.methods import Json, MethodTable
from chain.rpc.params import HexBytes
from chain.rpc.session import Subscription
from ganglion.hashing import blake2_256
from ganglion.units import Hash

methods = MethodTable()

MAX_PAGE = 1000
MAX_WATCHED_KEYS = 10_000
MAX_BLOCKS_QUERIED = 1024


@methods.rpc("state_getStorage", "state_getStorageAt")
def get_storage(node: Node, key: HexBytes, hash: Hash | None = None) -> Json:  # noqa: A002
    """The value under a raw key, or null."""
    value = node.state_at(hash).get(key)
    return Json(b"null" if value is None else b'"0x%b"' % value.hex().encode())


@methods.rpc("state_getStorageHash", "state_getStorageHashAt")
def get_storage_hash(node: Node, key: HexBytes, hash: Hash | None = None) -> Any:  # noqa: A002
    """blake2b-256 of the value under a raw key, or null."""
    value = node.state_at(hash).get(key)
    return None if value is None else hex0x(blake2_256(value))


@methods.rpc("state_getStorageSize", "state_getStorageSizeAt", blocking=True)
def get_storage_size(node: Node, key: HexBytes, hash: Hash | None = None) -> int | None:  # noqa: A002
    """Bytes of the value under a raw key, else of all values under that prefix, or null."""
    state = node.state_at(hash)
    value = state.get(key)
    if value is not None:
        return len(value)
    return sum(len(found) for _, found in state.items(key)) or None


@methods.rpc("state_getKeys", blocking=True)
def get_keys(node: Node, prefix: HexBytes, hash: Hash | None = None) -> list[str]:  # noqa: A002
    """All raw keys under a prefix, ascending."""
    return [hex0x(key) for key in node.state_at(hash).keys(prefix)]


@methods.rpc("state_getKeysPaged", "state_getKeysPagedAt", blocking=True)
def get_keys_paged(
    node: Node,
    prefix: HexBytes | None,
    count: int,
    startKey: HexBytes | None = None,  # noqa: N803 (upstream's name)
    hash: Hash | None = None,  # noqa: A002
) -> list[str]:
    """Up to `count` (1000) raw keys under a prefix, ascending, strictly after `startKey`."""
    if count > MAX_PAGE:
        raise RpcError(
            STATE_INVALID_COUNT,
            f"count exceeds maximum value. value: {count}, max: {MAX_PAGE}",
            "Ask for pages and continue after the last key of each.",
        )
    keys: list[str] = []
    if count == 0:
        return keys
    for key in node.state_at(hash).keys(prefix or b"", startKey):
        keys.append(hex0x(key))
        if len(keys) == count:
            break
    return keys


@methods.rpc("state_getPairs", blocking=True, unsafe=True)
def get_pairs(node: Node, prefix: HexBytes, hash: Hash | None = None) -> list[list[str]]:  # noqa: A002
    """All keys and values under a prefix."""
    state = node.state_at(hash)
    return [[hex0x(key), hex0x(state.get(key) or b"")] for key in state.keys(prefix)]


@methods.rpc("state_queryStorageAt", blocking=True)
def query_storage_at(node: Node, keys: list[HexBytes], at: Hash | None = None) -> Json:
    """The values of many keys at one block."""
    block_hash = at if at is not None else node.store.best()[0]
    state = node.state_at(block_hash)
    return Json(b"[%b]" % change_set(block_hash, [(key, state.get(key)) for key in keys]))


@methods.rpc("state_queryStorage", blocking=True, unsafe=True)
def query_storage(
    node: Node,
    keys: list[HexBytes],
    block: Hash,
    hash: Hash | None = None,  # noqa: A002
) -> Json:
    """The values of many keys at a block, then what later blocks up to `hash` changed."""
    first = node.require_header(block)
    last = node.require_header(hash if hash is not None else node.store.best()[0])
    if not 0 <= last.number - first.number < MAX_BLOCKS_QUERIED:
        raise RpcError(
            4001,
            f"Cannot resolve a block range ['{hex0x(block)}' ... '{hex0x(hash or b'')}]. "
            f"from number > to number, or more than {MAX_BLOCKS_QUERIED} blocks",
        )
    values: dict[HexBytes, bytes | None] = {}
    sets: list[bytes] = []
    for number in range(first.number, last.number + 1):
        block_hash = node.store.hash_of(number)
        if block_hash is None:
            raise unknown_block(block)
        state = node.state_at(block_hash)
        now = {key: state.get(key) for key in keys}
        changed = [(k, v) for k, v in now.items() if k not in values or values[k] != v]
        values = now
        if changed or number == first.number:
            sets.append(change_set(block_hash, changed))
    return Json(b"[%b]" % b",".join(sets))


@methods.rpc("state_getReadProof", blocking=True)
def get_read_proof(node: Node, keys: list[HexBytes], hash: Hash | None = None) -> Any:  # noqa: A002
    """Trie nodes that prove the values of keys at a block."""
    at = hash if hash is not None else node.store.best()[0]
    proof = node.state_at(at).read_proof(keys)
    return {"at": hex0x(at), "proof": [hex0x(entry) for entry in proof]}


@methods.rpc("state_call", "state_callAt", blocking=True)
def call(node: Node, name: str, bytes: HexBytes, hash: Hash | None = None) -> Json:  # noqa: A002
    """Run a runtime API function on SCALE arguments; the result is SCALE too."""
    return Json(b'"0x%b"' % node.call_api(name, bytes, hash).hex().encode())


@methods.rpc("state_getMetadata", blocking=True)
def get_metadata(node: Node, hash: Hash | None = None) -> Json:  # noqa: A002
    """The runtime's metadata, version 14."""
    if hash is not None:
        node.require_header(hash)
    return node.metadata_json()


@methods.rpc("state_getRuntimeVersion", "chain_getRuntimeVersion")
def get_runtime_version(node: Node, hash: Hash | None = None) -> Json:  # noqa: A002
    """Names and versions of the runtime."""
    if hash is not None:
        node.require_header(hash)
    return node.version_json


@methods.subscription(
    "state_subscribeRuntimeVersion",
    "chain_subscribeRuntimeVersion",
    push="state_runtimeVersion",
    unsubscribe=("state_unsubscribeRuntimeVersion", "chain_unsubscribeRuntimeVersion"),
)
def subscribe_runtime_version(node: Node, subscription: Subscription) -> None:
    """The runtime version now, and again whenever it changes."""
    subscription.push(node.version_json)
    node.hub.runtime_versions.add(subscription)


@methods.subscription(
    "state_subscribeStorage", push="state_storage", unsubscribe=("state_unsubscribeStorage",)
)
def subscribe_storage(
    node: Node, subscription: Subscription, keys: list[HexBytes] | None = None
) -> None:
    """The values of keys now, and whatever changes with each best block."""
    if keys is None:
        raise invalid_params("name the keys to watch: watching all keys is not offered")
    if len(keys) > MAX_WATCHED_KEYS:
        raise invalid_params(f"at most {MAX_WATCHED_KEYS} keys in one subscription")
    best = node.store.best()[0]
    node.hub.storage.add(subscription, list(keys), node.state_at(best).get, best)
