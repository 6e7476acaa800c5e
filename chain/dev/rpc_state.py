"""dev_* methods about state: writing it, dumping it, and trying things out."""

from __future__ import annotations

from typing import Any

from chain.chainspec import BadSpec, ChainSpec, parse
from chain.dev.rpc_common import account, hex_bytes, on_worker, tools_of
from chain.dev.simulate import Simulation, apply_call, apply_raw
from chain.dev.storage import describe
from chain.dev.values import BadValue, from_json, to_json
from chain.executive import InvalidBlock
from chain.rpc.context import Node, hex0x
from chain.rpc.errors import DECODE_ERROR, DEV_ERROR, RpcError, invalid_params
from chain.rpc.methods import MethodTable
from chain.runtime.call import RuntimeCall
from chain.runtime.errors import ModuleError
from chain.runtime.origin import NONE, ROOT, Origin, signed
from ganglion.scale import DecodeError, codec
from ganglion.units import Hash

methods = MethodTable()

FAUCET_RAO = 1_000 * 10**9


@methods.rpc_async("dev_setStorage")
async def set_storage(node: Node, values: Any) -> str:
    """Write storage by pallet and item names, or raw pairs; the hash of the block that has it."""
    return hex0x((await on_worker(node, tools_of(node).set_storage, values)).hash)


@methods.rpc_async("dev_faucet")
async def faucet(node: Node, address: str, amount: int = FAUCET_RAO) -> str:
    """Mint TAO (in rao, default 1000 TAO) to an account; the hash of the block that has it."""
    who = account(address)
    return hex0x((await on_worker(node, tools_of(node).faucet, who, amount)).hash)


@methods.rpc_async("dev_impersonate")
async def impersonate(node: Node, address: str, on: bool = True) -> bool:
    """Accept any signature in an account's name from now on (or no longer)."""
    await on_worker(node, tools_of(node).impersonate, account(address), on)
    return on


@methods.rpc_async("dev_dumpState")
async def dump_state(node: Node) -> dict[str, Any]:
    """The best block's state as a raw chain specification, for --load-state or dev_loadState."""
    entries = await on_worker(node, tools_of(node).dump_state)
    about = node.identity
    spec = ChainSpec(about.chain, about.chain_id, about.chain_type, entries, about.properties)
    return spec.to_json()


@methods.rpc_async("dev_loadState")
async def load_state(node: Node, spec: Any) -> str:
    """Replace the state by a dumped one; the hash of the block that has it."""
    try:
        entries = parse(spec, "given").genesis
    except BadSpec as error:
        raise invalid_params(str(error)) from None
    return hex0x((await on_worker(node, tools_of(node).load_state, entries)).hash)


@methods.rpc("dev_dryRun", blocking=True)
def dry_run(node: Node, what: Any, at: Hash | None = None) -> dict[str, Any]:
    """Try an extrinsic (hex), or {call, origin} with the call in hex, on top of a block.

    `origin` is an address, "root" or "none". The answer has the outcome, the fee paid, the
    events and every storage entry that changed, before and after.
    """
    engine = node.engine
    if type(what) is str:
        work = apply_raw(engine.executive, hex_bytes(what))
    else:
        call, origin = _call_and_origin(node, what)
        work = apply_call(call, origin)
    if at is not None:
        node.state_at(at)
    try:
        done = engine.simulate(work, at)
    except InvalidBlock as error:
        raise RpcError(DEV_ERROR, f"No block can follow this one: {error}") from None
    return _report(node, done)


def _call_and_origin(node: Node, what: Any) -> tuple[RuntimeCall, Origin]:
    if type(what) is not dict or set(what) - {"call", "origin"} or "call" not in what:
        raise invalid_params("expected an extrinsic in hex, or an object of call and origin")
    who = what.get("origin", "root")
    if type(who) is not str:
        raise invalid_params('origin: expected an address, "root" or "none"')
    origin = {"root": ROOT, "none": NONE}.get(who) or signed(account(who))
    return _call(node, what["call"]), origin


def _call(node: Node, value: Any) -> RuntimeCall:
    """A call from its hex, or from {pallet, name, args} with arguments by name."""
    if type(value) is not dict:
        try:
            call: RuntimeCall = codec(RuntimeCall).decode(hex_bytes(value))
        except DecodeError as error:
            raise RpcError(DECODE_ERROR, "The call cannot be decoded.", str(error)) from None
        return call
    pallet = node.engine.executive.runtime.by_name.get(str(value.get("pallet")))
    name, args = value.get("name"), value.get("args", {})
    if pallet is None or name not in {c.name for c in pallet.calls.values()}:
        raise invalid_params(f"there is no call {value.get('pallet')}.{name}")
    entry = pallet.call_named(name)
    if type(args) is not dict or set(args) != {n for n, _ in entry.params}:
        raise invalid_params(f"{name} takes {', '.join(n for n, _ in entry.params)}")
    try:
        values = tuple(from_json(tp, args[n]) for n, tp in entry.params)
    except BadValue as error:
        raise invalid_params(f"{name}: {error}") from None
    return RuntimeCall(pallet.index, entry.index, values)


def _report(node: Node, done: Simulation) -> dict[str, Any]:
    runtime = node.engine.executive.runtime
    diff = []
    for key, (old, new) in sorted(done.diff.items()):
        before, after = describe(runtime, key, old), describe(runtime, key, new)
        entry = {k: v for k, v in after.items() if k not in ("value", "decoded")}
        entry |= {"old": before["value"], "new": after["value"]}
        if "decoded" in after:
            entry |= {"oldDecoded": before.get("decoded"), "newDecoded": after["decoded"]}
        diff.append(entry)
    return {
        "outcome": hex0x(done.encode()),
        "error": _error(done),
        "weight": None if done.result is None else done.result.weight,
        "events": [
            {"event": f"{_pallet_of(event)}{type(event).__name__}", "fields": to_json(event)}
            for event in done.events
        ],
        "storageDiff": diff,
    }


def _pallet_of(event: Any) -> str:
    name = getattr(event, "__pallet__", "")
    return f"{name}." if name else ""


def _error(done: Simulation) -> str | None:
    if done.refused is not None:
        return f"refused: {done.refused}"
    assert done.result is not None, "what was not refused has a result"
    failure = done.result.error
    if failure is None:
        return None
    if isinstance(failure, ModuleError):
        return str(failure)
    return type(failure.value()).__name__ + (f": {failure}" if str(failure) else "")
