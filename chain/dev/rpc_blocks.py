"""dev_* and engine_* methods about blocks, time and going back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from chain.dev.rpc_common import hex_bytes, on_worker, tools_of
from chain.rpc.context import Node, hex0x
from chain.rpc.errors import DEV_ERROR, RpcError, invalid_params, unknown_block
from chain.rpc.methods import MethodTable
from chain.rpc.params import parse_block_hash
from chain.sealing import BadSealing, parse_sealing
from chain.store.errors import NotPossible
from ganglion.units import Hash

methods = MethodTable()

MAX_BLOCKS = 100_000


@methods.rpc_async("dev_newBlock")
async def new_block(node: Node, params: Any = None) -> str:
    """Make blocks now: a count, or {count} or {to} and {transactions}; the last one's hash."""
    count, transactions = _block_params(node, params)
    for raw in transactions:
        await node.submit(raw)
    last = node.store.best()[0]
    for _ in range(count):
        last = (await on_worker(node, tools_of(node).new_block)).hash
    return hex0x(last)


def _block_params(node: Node, params: Any) -> tuple[int, list[bytes]]:
    given = {"count": params} if type(params) is int else {} if params is None else params
    if type(given) is not dict or set(given) - {"count", "to", "transactions"}:
        raise invalid_params("expected a number, or an object of count, to and transactions")
    count = given.get("count", 1)
    if "to" in given:
        to = given["to"]
        if type(to) is not int or to <= node.store.best()[1]:
            raise invalid_params("to: expected a block number above the best block's")
        count = to - node.store.best()[1]
    if type(count) is not int or not 1 <= count <= MAX_BLOCKS:
        raise invalid_params(f"expected 1 to {MAX_BLOCKS} blocks")
    transactions = given.get("transactions", [])
    if type(transactions) is not list:
        raise invalid_params("transactions: expected an array of extrinsics in hex")
    return count, [hex_bytes(raw) for raw in transactions]


@methods.rpc_async("engine_createBlock")
async def create_block(
    node: Node, create_empty: bool = True, finalize: bool = True, parent_hash: Hash | None = None
) -> dict[str, Any]:
    """Manual sealing as upstream has it: one block on the best one."""
    if parent_hash is not None and parent_hash != node.store.best()[0]:
        raise RpcError(DEV_ERROR, "Blocks are made on the best block: use dev_setHead first.")
    tools = tools_of(node)
    if not create_empty and not await node.run(tools.has_ready):
        raise RpcError(DEV_ERROR, "The pool has nothing for a block, and create_empty is false.")
    header = await on_worker(node, tools.new_block, None, finalize)
    aux = ("header_only", "clear_justification_requests", "needs_justification")
    flags = {**dict.fromkeys((*aux, "bad_justification"), False), "is_new_best": True}
    return {"hash": hex0x(header.hash), "aux": flags}


@methods.rpc_async("engine_finalizeBlock")
async def finalize_block(node: Node, hash: Hash, justification: Any = None) -> bool:  # noqa: A002
    """Mark a block and all before it as final; a justification is not needed."""
    node.require_header(hash)
    try:
        await node.run(node.engine.finalize, hash)
    except NotPossible as error:
        raise RpcError(DEV_ERROR, str(error)) from None
    return True


@methods.rpc_async("dev_setSealing")
async def set_sealing(node: Node, mode: str) -> str:
    """Make blocks `instant`ly, `manual`ly, or every so many milliseconds from now on."""
    try:
        sealing = parse_sealing(mode)
    except BadSealing as error:
        raise invalid_params(str(error)) from None
    assert node.set_sealing is not None, "a developers' node can change its sealing"
    await node.set_sealing(sealing)
    return sealing.kind


@methods.rpc_async("dev_timeTravel")
async def time_travel(node: Node, date: int | str) -> int:
    """Give the next block this time (milliseconds or an ISO date); time goes on from there."""
    return int(await on_worker(node, tools_of(node).time_travel, _milliseconds(date)))


def _milliseconds(date: int | str) -> int:
    if isinstance(date, int):
        return date
    try:
        moment = datetime.fromisoformat(date)
    except ValueError:
        raise invalid_params("date: expected milliseconds since 1970 or an ISO date") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    milliseconds = round(moment.timestamp() * 1000)
    if milliseconds < 0:
        raise invalid_params("date: before 1970")
    return milliseconds


@methods.rpc_async("dev_snapshot")
async def snapshot(node: Node) -> str:
    """Remember the state, the time and who is impersonated; an id for dev_revert."""
    return hex(await on_worker(node, tools_of(node).snapshot))


@methods.rpc_async("dev_revert")
async def revert(node: Node, id: int) -> bool:  # noqa: A002
    """Go back to a snapshot and forget it and all later ones; false for an unknown one."""
    return bool(await on_worker(node, tools_of(node).revert, id))


@methods.rpc_async("dev_setHead")
async def set_head(node: Node, hashOrNumber: Any) -> str:  # noqa: N803 (Chopsticks' name)
    """Go to a block by hash, by number, or by a negative number of steps back; its hash."""
    block = _block(node, hashOrNumber)
    return hex0x((await on_worker(node, tools_of(node).set_head, block)).hash)


def _block(node: Node, value: Any) -> Hash:
    if type(value) is int:
        number = value if value >= 0 else node.store.best()[1] + value
        found = node.store.hash_of(number) if number >= 0 else None
        if found is None:
            raise RpcError(DEV_ERROR, f"The best chain has no block {number}.")
        return found
    try:
        block = Hash(parse_block_hash(value))
    except ValueError as error:
        raise invalid_params(f"{error}, or a number") from None
    if node.store.header(block) is None:
        raise unknown_block(block)
    return block
