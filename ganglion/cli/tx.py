"""`ganglion tx`: sign and submit transactions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any

import typer

from ganglion.balance import Balance, format_amount
from ganglion.cli.common import (
    ROOT_DEFAULT,
    URL_DEFAULT,
    Json,
    Root,
    Signer,
    Url,
    account_of,
    address_of,
    ask,
    new_app,
    show,
    signer_of,
    value_of,
)
from ganglion.client import Client
from ganglion.errors import EncodeError
from ganglion.keys import Keypair
from ganglion.receipt import Receipt
from ganglion.registry import Call
from ganglion.runtime import Runtime

app = new_app("Sign and submit: transfer, stake, register, serve, or any call.")
stake_app = new_app("Put TAO to work on a subnet, and take it back.")
app.add_typer(stake_app, name="stake")

Netuid = Annotated[int, typer.Argument(min=0, max=65_535, help="The subnet's number.")]
Amount = Annotated[str, typer.Argument(help="Exact decimal, as in 1.25.")]
Hotkey = Annotated[str, typer.Argument(help="An address, or //Alice on a test chain.")]
Final = Annotated[bool, typer.Option("--finalized", help="Wait until the block is final.")]
Dry = Annotated[bool, typer.Option("--dry-run", help="Show the call and its fee; sign nothing.")]


@dataclass(frozen=True, slots=True)
class How:
    """How to send: where, by whom, and how long to wait."""

    signer: str
    url: str
    root: Path
    finalized: bool
    dry_run: bool
    as_json: bool
    hotkey: bool = False


def send(how: How, make: Callable[[Runtime], Call]) -> None:
    """Compose, sign, submit and show what became of it; raises TransactionFailed."""
    signer = signer_of(how.signer, how.root, hotkey=how.hotkey)

    async def work(client: Client) -> dict[str, Any]:
        call = make(client.runtime)
        if how.dry_run:
            fee = await client.fee(call, signer)
            return {
                "call": str(call),
                "args": call.args,
                "data": "0x" + call.data.hex(),
                "signer": signer.address,
                "fee": str(fee),
            }
        wait = "finalized" if how.finalized else "block"
        receipt = (await client.submit(call, signer, wait=wait)).check()  # type: ignore[arg-type]
        return _facts(call, signer, receipt)

    show(ask(how.url, work), how.as_json)


def _facts(call: Call, signer: Keypair, receipt: Receipt) -> dict[str, Any]:
    return {
        "call": str(call),
        "signer": signer.address,
        "block": receipt.block_number,
        "block_hash": receipt.block_hash,
        "extrinsic": f"{receipt.block_number}-{receipt.index}",
        "fee": f"{format_amount(receipt.fee)} TAO",
        "finalized": receipt.finalized,
        "events": [str(e) for e in receipt.events],
    }


@app.command()
def transfer(
    dest: Annotated[str, typer.Argument(help="An address, a wallet, or //Bob.")],
    amount: Amount,
    signer: Signer = "",
    allow_death: Annotated[
        bool, typer.Option("--allow-death", help="Also if it empties the sending account.")
    ] = False,
    url: Url = URL_DEFAULT,
    root: Root = ROOT_DEFAULT,
    finalized: Final = False,
    dry_run: Dry = False,
    as_json: Json = False,
) -> None:
    """Send TAO: `tx transfer 5F... 1.25 --signer mine`."""
    to, value = account_of(dest, root), Balance.tao(amount).as_rao()
    name = "transfer_allow_death" if allow_death else "transfer_keep_alive"
    how = How(signer, url, root, finalized, dry_run, as_json)
    send(how, lambda r: r.call("Balances", name, dest=to, value=value))


@stake_app.command("add")
def stake_add(
    hotkey: Hotkey,
    netuid: Netuid,
    amount: Amount,
    signer: Signer = "",
    url: Url = URL_DEFAULT,
    root: Root = ROOT_DEFAULT,
    finalized: Final = False,
    dry_run: Dry = False,
    as_json: Json = False,
) -> None:
    """Stake TAO on a hot key of a subnet."""
    to, tao = address_of(hotkey), Balance.tao(amount).as_rao()
    how = How(signer, url, root, finalized, dry_run, as_json)
    send(
        how,
        lambda r: r.call(
            "SubtensorModule", "add_stake", hotkey=to, netuid=netuid, amount_staked=tao
        ),
    )


@stake_app.command("remove")
def stake_remove(
    hotkey: Hotkey,
    netuid: Netuid,
    amount: Annotated[str, typer.Argument(help="Alpha to take back, exact; or `all`.")],
    signer: Signer = "",
    url: Url = URL_DEFAULT,
    root: Root = ROOT_DEFAULT,
    finalized: Final = False,
    dry_run: Dry = False,
    as_json: Json = False,
) -> None:
    """Take stake back from a hot key of a subnet, into TAO."""
    to = address_of(hotkey)
    alpha = None if amount == "all" else Balance.alpha(amount, netuid).rao
    how = How(signer, url, root, finalized, dry_run, as_json)

    def make(runtime: Runtime) -> Call:
        if alpha is None:
            return runtime.call(
                "SubtensorModule",
                "remove_stake_full_limit",
                hotkey=to,
                netuid=netuid,
                limit_price=None,
            )
        return runtime.call(
            "SubtensorModule", "remove_stake", hotkey=to, netuid=netuid, amount_unstaked=alpha
        )

    send(how, make)


@app.command()
def register(
    netuid: Netuid,
    hotkey: Hotkey,
    signer: Signer = "",
    url: Url = URL_DEFAULT,
    root: Root = ROOT_DEFAULT,
    finalized: Final = False,
    dry_run: Dry = False,
    as_json: Json = False,
) -> None:
    """Register a hot key on a subnet, burning the price of the moment; the cold key signs."""
    to = address_of(hotkey)
    how = How(signer, url, root, finalized, dry_run, as_json)
    send(how, lambda r: r.call("SubtensorModule", "burned_register", netuid=netuid, hotkey=to))


@app.command()
def register_subnet(
    hotkey: Hotkey,
    signer: Signer = "",
    url: Url = URL_DEFAULT,
    root: Root = ROOT_DEFAULT,
    finalized: Final = False,
    dry_run: Dry = False,
    as_json: Json = False,
) -> None:
    """Create a subnet owned by the signing cold key, with its first neuron."""
    to = address_of(hotkey)
    how = How(signer, url, root, finalized, dry_run, as_json)
    send(how, lambda r: r.call("SubtensorModule", "register_network", hotkey=to))


@app.command()
def root_register(
    hotkey: Hotkey,
    signer: Signer = "",
    url: Url = URL_DEFAULT,
    root: Root = ROOT_DEFAULT,
    finalized: Final = False,
    dry_run: Dry = False,
    as_json: Json = False,
) -> None:
    """Register a hot key on the root network."""
    to = address_of(hotkey)
    how = How(signer, url, root, finalized, dry_run, as_json)
    send(how, lambda r: r.call("SubtensorModule", "root_register", hotkey=to))


@app.command()
def start_call(
    netuid: Netuid,
    signer: Signer = "",
    url: Url = URL_DEFAULT,
    root: Root = ROOT_DEFAULT,
    finalized: Final = False,
    dry_run: Dry = False,
    as_json: Json = False,
) -> None:
    """Switch on a subnet's emission; its owner signs."""
    how = How(signer, url, root, finalized, dry_run, as_json)
    send(how, lambda r: r.call("SubtensorModule", "start_call", netuid=netuid))


@app.command()
def serve_axon(
    netuid: Netuid,
    host: Annotated[str, typer.Argument(help="The IP address others reach.")],
    port: Annotated[int, typer.Argument(min=1, max=65_535)],
    signer: Signer = "",
    url: Url = URL_DEFAULT,
    root: Root = ROOT_DEFAULT,
    finalized: Final = False,
    dry_run: Dry = False,
    as_json: Json = False,
) -> None:
    """Announce where a neuron listens; the hot key signs (WALLET/HOTKEY)."""
    try:
        ip = ip_address(host)
    except ValueError as e:
        raise EncodeError(f"{host!r} is no IP address: names are not looked up") from e
    how = How(signer, url, root, finalized, dry_run, as_json, hotkey=True)
    send(
        how,
        lambda r: r.call(
            "SubtensorModule",
            "serve_axon",
            netuid=netuid,
            version=1,
            ip=int(ip),
            port=port,
            ip_type=ip.version,
            protocol=4,
            placeholder1=0,
            placeholder2=0,
        ),
    )


@app.command()
def call(
    pallet: Annotated[str, typer.Argument(help="As the chain spells it: Balances.")],
    name: Annotated[str, typer.Argument(help="The call: transfer_all.")],
    args: Annotated[
        list[str] | None, typer.Argument(help="NAME=VALUE; JSON for lists and structs.")
    ] = None,
    signer: Signer = "",
    sudo: Annotated[bool, typer.Option("--sudo", help="As root, by the sudo key.")] = False,
    use_hotkey: Annotated[
        bool, typer.Option("--hotkey", help="The wallet's hot key signs.")
    ] = False,
    url: Url = URL_DEFAULT,
    root: Root = ROOT_DEFAULT,
    finalized: Final = False,
    dry_run: Dry = False,
    as_json: Json = False,
) -> None:
    """Submit any call: `tx call AdminUtils sudo_set_tempo netuid=1 tempo=10 --sudo -s //Alice`."""
    given = dict(_named(a) for a in args or [])
    how = How(signer, url, root, finalized, dry_run, as_json, use_hotkey)

    def make(runtime: Runtime) -> Call:
        inner = runtime.call(pallet, name, **given)
        return runtime.call("Sudo", "sudo", call=inner) if sudo else inner

    send(how, make)


def _named(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise EncodeError(f"{text!r}: write arguments as NAME=VALUE")
    return name, value_of(value)
