"""`ganglion query`: read anything from the chain."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ganglion.cli.common import (
    ROOT_DEFAULT,
    URL_DEFAULT,
    At,
    Json,
    Root,
    Url,
    account_of,
    ask,
    new_app,
    show,
    value_of,
)
from ganglion.client import Client
from ganglion.runtime import Event
from ganglion.view import Reads

app = new_app("Read storage, constants, runtime APIs, accounts, blocks and events.")

Pallet = Annotated[str, typer.Argument(help="As the chain spells it: System, SubtensorModule.")]
Keys = Annotated[list[str] | None, typer.Argument(help="Keys; JSON for lists and structs.")]


def _at(client: Client, at: str) -> Reads:
    return client.at(at) if at else client


@app.command()
def storage(
    pallet: Pallet,
    item: str,
    keys: Keys = None,
    at: At = "",
    url: Url = URL_DEFAULT,
    as_json: Json = False,
) -> None:
    """Read a storage value: `query storage SubtensorModule Tempo 1`."""
    values = [value_of(k) for k in keys or []]
    show(ask(url, lambda c: _at(c, at).query(pallet, item, *values)), as_json)


@app.command("map")
def map_(
    pallet: Pallet,
    item: str,
    keys: Keys = None,
    limit: Annotated[int, typer.Option(help="At most so many entries.")] = 100,
    at: At = "",
    url: Url = URL_DEFAULT,
    as_json: Json = False,
) -> None:
    """Read the entries of a map, below the keys given."""
    prefix = [value_of(k) for k in keys or []]
    found = ask(url, lambda c: _at(c, at).query_map(pallet, item, *prefix, limit=limit))
    show([{"key": key, "value": value} for key, value in found], as_json)


@app.command()
def constant(pallet: Pallet, name: str, url: Url = URL_DEFAULT, as_json: Json = False) -> None:
    """Read a constant: `query constant Balances ExistentialDeposit`."""
    show(ask(url, lambda c: c.constant(pallet, name)), as_json)


@app.command()
def api(
    name: Annotated[str, typer.Argument(help="For example NeuronInfoRuntimeApi.")],
    method: str,
    args: Keys = None,
    at: At = "",
    url: Url = URL_DEFAULT,
    as_json: Json = False,
) -> None:
    """Call a runtime API: `query api SubnetInfoRuntimeApi get_metagraph 1`."""
    values = [value_of(a) for a in args or []]
    show(ask(url, lambda c: _at(c, at).api(name, method, *values)), as_json)


@app.command()
def account(
    who: Annotated[str, typer.Argument(help="An address, a wallet, or //Alice.")],
    at: At = "",
    url: Url = URL_DEFAULT,
    root: Root = ROOT_DEFAULT,
    as_json: Json = False,
) -> None:
    """Show an account's nonce and TAO."""
    address = account_of(who, root)
    found = ask(url, lambda c: _at(c, at).account(address))
    show({"address": address, **_amounts(found)}, as_json)


def _amounts(found: Any) -> dict[str, Any]:
    from ganglion.balance import format_amount

    fields = ("free", "reserved", "frozen")
    return {"nonce": found.nonce} | {f: format_amount(getattr(found, f)) + " TAO" for f in fields}


@app.command()
def events(at: At = "", url: Url = URL_DEFAULT, as_json: Json = False) -> None:
    """Show the events of a block."""
    found: list[Event] = ask(url, lambda c: _at(c, at).events())
    show([{"extrinsic": e.extrinsic, "event": str(e), "args": e.args} for e in found], as_json)


@app.command()
def block(
    which: Annotated[
        str, typer.Argument(help="A number or a hash; the best block if left out.")
    ] = "",
    url: Url = URL_DEFAULT,
    as_json: Json = False,
) -> None:
    """Show a block and the calls in it."""

    async def work(client: Client) -> dict[str, Any]:
        chosen = await client.block_hash(int(which)) if which.isdecimal() else which
        found = chosen or await client.head_hash()
        header, extrinsics = await client.extrinsics(found)
        runtime = await client.runtime_of(found)
        return {
            "number": header.number,
            "hash": found,
            "parent": header.parent,
            "state_root": header.state_root,
            "calls": [_call(runtime, raw) for raw in extrinsics],
        }

    show(ask(url, work), as_json)


def _call(runtime: Any, raw: bytes) -> dict[str, Any]:
    from ganglion.extrinsic import parse_extrinsic
    from ganglion.ss58 import encode

    found = parse_extrinsic(raw)
    call = runtime.decode_call(found.call)
    signer = encode(found.signer) if found.signer is not None else None
    return {"call": str(call), "signer": signer, "args": call.args}


@app.command()
def pallets(
    pallet: Annotated[str, typer.Argument(help="One pallet, to list what it has.")] = "",
    url: Url = URL_DEFAULT,
    as_json: Json = False,
) -> None:
    """List the chain's pallets, or the storage, calls and constants of one."""

    async def work(client: Client) -> Any:
        runtime = client.runtime
        found = runtime.metadata.pallets
        if not pallet:
            return {
                p.name: f"index {p.index}, {len(p.storage)} storage items" for p in found.values()
            }
        runtime.errors(pallet)  # raises for an unknown pallet, naming those that are near
        one = found[pallet]
        calls = [] if one.calls is None else runtime.registry.variants(one.calls)
        return {
            "storage": {i.name: _signature(runtime, i) for i in one.storage.values()},
            "calls": {v.name: ", ".join(runtime.call_args(pallet, v.name)) for v in calls},
            "constants": sorted(one.constants),
        }

    show(ask(url, work), as_json)


def _signature(runtime: Any, item: Any) -> str:
    keys = ", ".join(runtime.registry.name(k) for k in item.key_types)
    value = runtime.registry.name(item.value_type)
    return f"({keys}) -> {value}" if keys else str(value)
