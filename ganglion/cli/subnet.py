"""`ganglion subnet`: subnets and their neurons."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any, TypeVar

import typer

from ganglion.balance import format_amount
from ganglion.cli.common import (
    ROOT_DEFAULT,
    URL_DEFAULT,
    At,
    Json,
    Netuid,
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
from ganglion.keys import Keypair
from ganglion.subnet_views import Neuron
from ganglion.view import Reads

T = TypeVar("T")

app = new_app("List subnets, show one, its neurons and its metagraph, ask a neuron.")


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
    from ganglion.wire.call import CallFailed  # only this command and the next call neurons

    hotkey, elsewhere = signer_of(signer, root, hotkey=True), host_and_port(address)

    async def look(client: Client) -> Any:
        neuron = await neuron_of(client, netuid, uid)
        try:
            return json.loads(await fetched(neuron, elsewhere, hotkey, "/status"))
        except ValueError as e:
            raise CallFailed("bad-format", f"uid {uid} does not answer in JSON") from e

    show(ask(url, look), as_json)


async def neuron_of(client: Client, netuid: int, uid: int) -> Neuron:
    """The neuron with this number; UnknownName if there is none."""
    known = await client.neurons(netuid) or await nothing_of(client, netuid)
    neuron = next((n for n in known if n.uid == uid), None)
    if neuron is None:
        raise UnknownName(f"subnet {netuid} has no uid {uid}")
    return neuron


async def fetched(
    neuron: Neuron, elsewhere: tuple[str, int] | None, hotkey: Keypair, path: str
) -> bytes:
    """What a neuron answers at `path`, where the chain says that it listens or elsewhere."""
    from ganglion.wire.call import Caller, Target

    target = Target(neuron.hotkey, *elsewhere) if elsewhere else Target.of(neuron)
    if not target.port:
        raise UnknownName(
            f"uid {neuron.uid} has published no address: give its --address HOST:PORT"
        )
    async with Caller(hotkey) as caller:
        return await caller.fetch(target, "GET", path)


@app.command()
def performance(
    netuid: Netuid,
    uid: Annotated[int, typer.Argument(min=0, max=65_535, help="A validator's number.")],
    signer: Signer = "",
    address: Annotated[str, typer.Option(help="HOST:PORT, the validator's --status-port.")] = "",
    url: Url = URL_DEFAULT,
    root: Root = ROOT_DEFAULT,
    as_json: Json = False,
) -> None:
    """Ask a validator what it has measured of every miner; its signature is checked."""
    from ganglion.wire import performance as wire
    from ganglion.wire.call import CallFailed
    from ganglion.wire.fields import BadMessage

    hotkey, elsewhere = signer_of(signer, root, hotkey=True), host_and_port(address)

    async def look(client: Client) -> tuple[wire.Report, dict[str, int]]:
        neuron = await neuron_of(client, netuid, uid)
        body = await fetched(neuron, elsewhere, hotkey, wire.PATH)
        genesis = bytes.fromhex(client.genesis_hash.removeprefix("0x"))
        try:
            report = wire.read(body)
            report.check(genesis, netuid, neuron.hotkey, time.time())
        except BadMessage as e:
            raise CallFailed("bad-format", f"uid {uid} tells nothing usable: {e}") from e
        return report, {n.hotkey: n.uid for n in await client.neurons(netuid)}

    report, uids = ask(url, look)
    if as_json:
        show(json.loads(report.canonical()), as_json)
        return
    columns = ("uid", "verified", "tokens/s", "first token", "class", "proven", "passes", "reasons")
    rows = [
        (
            uids.get(m.hotkey, "-"),
            f"{m.verified} of {m.checks}",
            f"{m.speed / 1000:.1f}" if m.speed else "-",
            f"{m.first_token_ms} ms" if m.first_token_ms else "-",
            rate_text(m.hardware_rate),
            rate_text(m.hardware_proven),
            f"{m.hardware_passes} of {m.hardware_checks}",
            ", ".join(f"{name} {count}" for name, count in m.reasons.items()),
        )
        for m in sorted(report.miners, key=lambda m: uids.get(m.hotkey, 1 << 16))
    ]
    table(f"subnet {netuid} as uid {uid} measured it, block {report.block}", columns, rows)


def rate_text(rate: int) -> str:
    """Multiply-adds a second, in billions; a dash for none."""
    return f"{rate / 1e9:,.1f} G/s" if rate else "-"


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
