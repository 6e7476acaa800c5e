"""`ganglion subnet`: subnets and their neurons."""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar

import typer

from ganglion.balance import format_amount
from ganglion.cli.common import (
    ROOT_DEFAULT,
    URL_DEFAULT,
    At,
    Json,
    Root,
    Signer,
    Url,
    ask,
    new_app,
    show,
    signer_of,
    table,
)
from ganglion.client import Client
from ganglion.errors import EncodeError, UnknownName
from ganglion.subnet_views import Neuron
from ganglion.view import Reads

T = TypeVar("T")

app = new_app("List subnets, show one, its neurons and its metagraph, ask a neuron.")

Netuid = Annotated[int, typer.Argument(min=0, max=65_535, help="The subnet's number.")]


async def nothing_of(view: Reads, netuid: int) -> list[T]:
    """An empty list of a subnet's; UnknownName if that is because there is no such subnet."""
    if not await view.query("SubtensorModule", "NetworksAdded", netuid):
        raise UnknownName(f"there is no subnet {netuid}: `ganglion subnet list` shows those")
    return []


@app.command("list")
def list_(at: At = "", url: Url = URL_DEFAULT, as_json: Json = False) -> None:
    """List all subnets."""
    found = ask(url, lambda c: (c.at(at) if at else c).subnets())
    if as_json:
        show([s.raw for s in found], as_json)
        return
    columns = ("netuid", "name", "price TAO", "TAO in pool", "alpha in pool", "tempo", "owner")
    rows = [
        (
            s.netuid,
            f"{s.name} {s.symbol}".strip(),
            f"{s.price:.6f}",
            format_amount(s.tao_in),
            format_amount(s.alpha_in),
            s.tempo,
            s.owner_coldkey,
        )
        for s in found
    ]
    table(f"{len(found)} subnets", columns, rows)


@app.command("show")
def show_subnet(netuid: Netuid, at: At = "", url: Url = URL_DEFAULT, as_json: Json = False) -> None:
    """Show one subnet."""
    found = ask(url, lambda c: (c.at(at) if at else c).subnet(netuid))
    texts = {"subnet_name": found.name, "token_symbol": found.symbol}
    show(found.raw | texts, as_json)


@app.command()
def neurons(netuid: Netuid, at: At = "", url: Url = URL_DEFAULT, as_json: Json = False) -> None:
    """List the neurons of a subnet."""

    async def look(client: Client) -> list[Neuron]:
        view = client.at(at) if at else client
        return await view.neurons(netuid) or await nothing_of(view, netuid)

    found = ask(url, look)
    if as_json:
        show(found, as_json)
        return
    columns = ("uid", "stake", "incentive", "dividends", "emission", "vpermit", "axon", "hotkey")
    rows = [
        (
            n.uid,
            format_amount(n.stake),
            f"{n.incentive / 65_535:.4f}",
            f"{n.dividends / 65_535:.4f}",
            format_amount(n.emission),
            "yes" if n.validator_permit else "no",
            f"{n.axon.host}:{n.axon.port}" if n.axon.is_serving else "-",
            n.hotkey,
        )
        for n in found
    ]
    table(f"subnet {netuid}: {len(found)} neurons", columns, rows)


@app.command()
def status(
    netuid: Netuid,
    uid: Annotated[int, typer.Argument(min=0, max=65_535, help="The neuron's number.")],
    signer: Signer = "",
    address: Annotated[
        str, typer.Option(help="HOST:PORT, where it is not the one on the chain: a validator's.")
    ] = "",
    url: Url = URL_DEFAULT,
    root: Root = ROOT_DEFAULT,
    as_json: Json = False,
) -> None:
    """Ask a miner what it serves, or a validator what it thinks of you; your hot key signs."""
    from ganglion.wire.call import Caller, CallFailed, Target  # only this command calls neurons

    hotkey, elsewhere = signer_of(signer, root, hotkey=True), host_and_port(address)

    async def look(client: Client) -> Any:
        known = await client.neurons(netuid) or await nothing_of(client, netuid)
        neuron = next((n for n in known if n.uid == uid), None)
        if neuron is None:
            raise UnknownName(f"subnet {netuid} has no uid {uid}")
        target = Target(neuron.hotkey, *elsewhere) if elsewhere else Target.of(neuron)
        if not target.port:
            raise UnknownName(f"uid {uid} has published no address: give its --address HOST:PORT")
        async with Caller(hotkey) as caller:
            said = await caller.fetch(target, "GET", "/status")
        try:
            return json.loads(said)
        except ValueError as e:
            raise CallFailed("bad-format", f"{target.url} does not answer in JSON") from e

    show(ask(url, look), as_json)


def host_and_port(address: str) -> tuple[str, int] | None:
    """HOST:PORT read, None if it is empty; EncodeError if that is none."""
    if not address:
        return None
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise EncodeError(f"{address!r} is no address: write HOST:PORT")
    return host.strip("[]"), int(port)


@app.command()
def metagraph(netuid: Netuid, at: At = "", url: Url = URL_DEFAULT, as_json: Json = False) -> None:
    """Show everything the chain says about a subnet and its neurons."""
    found = ask(url, lambda c: (c.at(at) if at else c).metagraph(netuid))
    symbol = bytes(found.info["symbol"]).decode(errors="replace")
    show(found.info | {"name": found.name, "symbol": symbol}, as_json)
