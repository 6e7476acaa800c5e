"""chainHead_v1_*: following the head of the chain, and questions about the blocks followed.

Specification: json-rpc-interface-spec, chainHead. Every question is an operation: it is
accepted at once and answered by events on the follow subscription.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from itertools import islice
from typing import Any

from chain.engine import Tree
from chain.rpc.context import Node, hex0x
from chain.rpc.errors import RpcError, invalid_params
from chain.rpc.follow import MAX_OPERATIONS, RECENT, Follower
from chain.rpc.methods import MethodTable
from chain.rpc.params import HexBytes, parse_block_hash
from chain.rpc.session import Session, Subscription
from chain.rpc.storage_query import Query, answers, parse_queries
from ganglion.units import Hash

methods = MethodTable()

TOO_MANY_FOLLOWS = -32800
UNKNOWN_BLOCK = -32801
WITHOUT_RUNTIME = -32802
NOT_WAITING = -32803
DUPLICATE_HASHES = -32804

MAX_FOLLOWS = 4
ITEMS_PER_EVENT = 64
EVENTS_BEFORE_PAUSE = 16

LIMIT_REACHED = {"result": "limitReached"}
Answer = dict[str, Any]


@methods.subscription("chainHead_v1_follow", push="chainHead_v1_followEvent", unsubscribe=())
def follow(node: Node, subscription: Subscription, withRuntime: bool) -> None:  # noqa: N803
    """Follow the head of the chain; with `withRuntime`, runtime calls are allowed."""
    session = subscription.session
    if session.follows >= MAX_FOLLOWS:
        raise RpcError(TOO_MANY_FOLLOWS, f"At most {MAX_FOLLOWS} follow subscriptions are allowed")
    session.follows += 1
    follower = Follower(subscription, _runtime(node) if withRuntime else None)
    followers = node.hub.followers
    gone = False

    def begin(tree: Tree) -> None:
        followers.add(follower, tree)
        if gone:
            followers.remove(follower)

    def end() -> None:
        nonlocal gone
        gone = True
        session.follows -= 1
        followers.remove(follower)

    async def start() -> None:
        await node.run(node.engine.follow, RECENT, begin)

    subscription.on_close(end)
    node.spawn(start())


def _runtime(node: Node) -> Answer:
    """The runtime's description in this specification's form."""
    version: Answer = node.engine.executive.version.to_json()
    kept = ("specName", "implName", "specVersion", "implVersion", "transactionVersion")
    spec = {key: version[key] for key in kept}
    return {"type": "valid", "spec": {**spec, "apis": dict(version["apis"])}}


def _follower(node: Node, session: Session | None, key: str) -> Follower | None:
    """The caller's follower, or None for one that has ended or never was."""
    follower = node.hub.followers.get(key)
    if follower is None or session is None or follower.subscription.session is not session:
        return None
    return follower


def _require_pinned(follower: Follower, block: Hash) -> None:
    if block not in follower.pinned:
        raise RpcError(UNKNOWN_BLOCK, "The block is not pinned by this subscription")


@methods.rpc_session("chainHead_v1_unfollow")
def unfollow(node: Node, session: Session | None, followSubscription: str) -> None:  # noqa: N803
    """Stop following."""
    follower = _follower(node, session, followSubscription)
    if follower is not None:
        follower.subscription.end()


@methods.rpc_session("chainHead_v1_header")
def header(
    node: Node,
    session: Session | None,
    followSubscription: str,
    hash: Hash,  # noqa: A002, N803
) -> str | None:
    """The SCALE header of a pinned block."""
    follower = _follower(node, session, followSubscription)
    if follower is None:
        return None
    _require_pinned(follower, hash)
    return hex0x(node.require_header(hash).encode())


@methods.rpc_session("chainHead_v1_unpin")
def unpin(
    node: Node,
    session: Session | None,
    followSubscription: str,
    hashOrHashes: Any,  # noqa: N803
) -> None:
    """Let pinned blocks go."""
    given = hashOrHashes if type(hashOrHashes) is list else [hashOrHashes]
    try:
        blocks = [Hash(parse_block_hash(value)) for value in given]
    except ValueError as error:
        raise invalid_params(f"hashOrHashes: {error}") from None
    follower = _follower(node, session, followSubscription)
    if follower is None:
        return
    if len(set(blocks)) != len(blocks):
        raise RpcError(DUPLICATE_HASHES, "A block is named twice")
    for block in blocks:
        _require_pinned(follower, block)
    node.hub.followers.release(follower, blocks)


@methods.rpc_session("chainHead_v1_body")
def body(
    node: Node,
    session: Session | None,
    followSubscription: str,
    hash: Hash,  # noqa: A002, N803
) -> Answer:
    """Ask for the extrinsics of a pinned block."""
    follower = _follower(node, session, followSubscription)
    if follower is None or follower.running + 1 > MAX_OPERATIONS:
        return LIMIT_REACHED
    _require_pinned(follower, hash)
    return _start(node, follower, 1, lambda key: _body(node, follower, key, hash))


async def _body(node: Node, follower: Follower, key: str, block: Hash) -> None:
    found = node.store.body(block)
    if found is None:
        follower.send("operationInaccessible", operationId=key)
    else:
        follower.send("operationBodyDone", operationId=key, value=[hex0x(x) for x in found])


@methods.rpc_session("chainHead_v1_call")
def call(
    node: Node,
    session: Session | None,
    followSubscription: str,  # noqa: N803
    hash: Hash,  # noqa: A002
    function: str,
    callParameters: HexBytes,  # noqa: N803
) -> Answer:
    """Ask for a runtime call on the state of a pinned block."""
    follower = _follower(node, session, followSubscription)
    if follower is None or follower.running + 1 > MAX_OPERATIONS:
        return LIMIT_REACHED
    if follower.runtime is None:
        raise RpcError(WITHOUT_RUNTIME, "Runtime calls need a follow with withRuntime: true")
    _require_pinned(follower, hash)
    work = (function, callParameters, hash)
    return _start(node, follower, 1, lambda key: _call(node, follower, key, work))


async def _call(node: Node, follower: Follower, key: str, work: tuple[str, bytes, Hash]) -> None:
    try:
        output = await node.run(node.call_api, *work)
    except RpcError as error:
        follower.send("operationError", operationId=key, error=error.message)
    else:
        follower.send("operationCallDone", operationId=key, output=hex0x(output))


@methods.rpc_session("chainHead_v1_storage")
def storage(
    node: Node,
    session: Session | None,
    followSubscription: str,  # noqa: N803
    hash: Hash,  # noqa: A002
    items: list[Any],
    childTrie: HexBytes | None = None,  # noqa: N803
) -> Answer:
    """Ask for storage entries of a pinned block."""
    queries = parse_queries(items)
    follower = _follower(node, session, followSubscription)
    if follower is None:
        return LIMIT_REACHED
    _require_pinned(follower, hash)
    room = MAX_OPERATIONS - follower.running
    taken = queries[:room] if childTrie is None else []
    if queries and room <= 0:
        return LIMIT_REACHED
    started = _start(
        node, follower, len(taken), lambda key: _storage(node, follower, key, hash, taken)
    )
    discarded = 0 if childTrie is not None else len(queries) - len(taken)
    return {**started, "discardedItems": discarded}


async def _storage(
    node: Node, follower: Follower, key: str, block: Hash, queries: list[Query]
) -> None:
    """Send what is found, a few entries an event, with pauses in long walks."""
    try:
        state = node.state_at(block)
    except RpcError:
        follower.send("operationInaccessible", operationId=key)
        return
    found = answers(state, queries)
    events = 0
    chunk = await node.run(_next_items, found)
    while chunk:
        follower.send("operationStorageItems", operationId=key, items=chunk)
        events += 1
        chunk = await node.run(_next_items, found)
        if chunk and events % EVENTS_BEFORE_PAUSE == 0:
            resumed = asyncio.Event()
            follower.waiting[key] = resumed.set
            follower.send("operationWaitingForContinue", operationId=key)
            await resumed.wait()
    follower.send("operationStorageDone", operationId=key)


def _next_items(found: Iterator[dict[str, str]]) -> list[dict[str, str]]:
    return list(islice(found, ITEMS_PER_EVENT))


@methods.rpc_session("chainHead_v1_continue")
def resume(
    node: Node,
    session: Session | None,
    followSubscription: str,  # noqa: N803
    operationId: str,  # noqa: N803
) -> None:
    """Go on with a storage operation that waits for it."""
    follower = _follower(node, session, followSubscription)
    if follower is None or operationId not in follower.operations:
        return
    waiting = follower.waiting.pop(operationId, None)
    if waiting is None:
        raise RpcError(NOT_WAITING, "The operation does not wait to be continued")
    waiting()


@methods.rpc_session("chainHead_v1_stopOperation")
def stop_operation(
    node: Node,
    session: Session | None,
    followSubscription: str,  # noqa: N803
    operationId: str,  # noqa: N803
) -> None:
    """Give up an operation."""
    follower = _follower(node, session, followSubscription)
    stop = None if follower is None else follower.operations.get(operationId)
    if stop is not None:
        stop()


def _start(node: Node, follower: Follower, weight: int, work: Any) -> Answer:
    """Run an operation after the reply; `weight` counts against the follower's limit."""
    key = follower.new_operation()
    running: Coroutine[Any, Any, None] = work(key)
    task = node.spawn(running)
    follower.running += weight
    follower.operations[key] = task.cancel

    def done(_: object) -> None:
        follower.running -= weight
        follower.operations.pop(key, None)
        follower.waiting.pop(key, None)

    task.add_done_callback(done)
    return {"result": "started", "operationId": key}
