"""`ganglion tx`: sign and submit transactions."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Any

import typer

from ganglion.balance import Balance
from ganglion.cli.common import Netuid, account_of, hotkey_of, new_app, value_of
from ganglion.cli.sending import How, send, sending
from ganglion.errors import EncodeError
from ganglion.registry import Call
from ganglion.runtime import Runtime

app = new_app("Sign and submit: transfer, stake, register, serve, or any call.")
stake_app = new_app("Put TAO to work on a subnet, and take it back.")
app.add_typer(stake_app, name="stake")

Amount = Annotated[str, typer.Argument(help="Exact decimal, as in 1.25.")]
Hotkey = Annotated[str, typer.Argument(help="An address, WALLET/HOTKEY, or //Alice.")]


@app.command()
@sending
def transfer(
    dest: Annotated[str, typer.Argument(help="An address, a wallet, or //Bob.")],
    amount: Amount,
    how: How,
    allow_death: Annotated[
        bool, typer.Option("--allow-death", help="Also if it empties the sending account.")
    ] = False,
) -> None:
    """Send TAO: `tx transfer 5F... 1.25 --signer mine`."""
    to, value = account_of(dest, how.root), Balance.tao(amount).as_rao()
    name = "transfer_allow_death" if allow_death else "transfer_keep_alive"
    send(how, lambda r: r.call("Balances", name, dest=to, value=value))


@stake_app.command("add")
@sending
def stake_add(
    hotkey: Hotkey,
    netuid: Netuid,
    amount: Amount,
    how: How,
) -> None:
    """Stake TAO on a hot key of a subnet."""
    to, tao = hotkey_of(hotkey, how.root), Balance.tao(amount).as_rao()
    send(
        how,
        lambda r: r.call(
            "SubtensorModule", "add_stake", hotkey=to, netuid=netuid, amount_staked=tao
        ),
    )


@stake_app.command("remove")
@sending
def stake_remove(
    hotkey: Hotkey,
    netuid: Netuid,
    amount: Annotated[str, typer.Argument(help="Alpha to take back, exact; or `all`.")],
    how: How,
) -> None:
    """Take stake back from a hot key of a subnet, into TAO."""
    to = hotkey_of(hotkey, how.root)
    alpha = None if amount == "all" else Balance.alpha(amount, netuid).rao

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
@sending
def register(
    netuid: Netuid,
    hotkey: Hotkey,
    how: How,
) -> None:
    """Register a hot key on a subnet, burning the price of the moment; the cold key signs."""
    to = hotkey_of(hotkey, how.root)
    send(how, lambda r: r.call("SubtensorModule", "burned_register", netuid=netuid, hotkey=to))


@app.command()
@sending
def register_subnet(
    hotkey: Hotkey,
    how: How,
) -> None:
    """Create a subnet owned by the signing cold key, with its first neuron."""
    to = hotkey_of(hotkey, how.root)
    send(how, lambda r: r.call("SubtensorModule", "register_network", hotkey=to))


@app.command()
@sending
def root_register(
    hotkey: Hotkey,
    how: How,
) -> None:
    """Register a hot key on the root network."""
    to = hotkey_of(hotkey, how.root)
    send(how, lambda r: r.call("SubtensorModule", "root_register", hotkey=to))


@app.command()
@sending
def start_call(
    netuid: Netuid,
    how: How,
) -> None:
    """Switch on a subnet's emission; its owner signs."""
    send(how, lambda r: r.call("SubtensorModule", "start_call", netuid=netuid))


@app.command()
@sending
def serve_axon(
    netuid: Netuid,
    host: Annotated[str, typer.Argument(help="The IP address others reach.")],
    port: Annotated[int, typer.Argument(min=1, max=65_535)],
    how: How,
) -> None:
    """Announce where a neuron listens; the hot key signs (WALLET/HOTKEY)."""
    try:
        ip = ip_address(host)
    except ValueError as e:
        raise EncodeError(f"{host!r} is no IP address: names are not looked up") from e
    send(
        how.by_hotkey(),
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
@sending
def call(
    pallet: Annotated[str, typer.Argument(help="As the chain spells it: Balances.")],
    name: Annotated[str, typer.Argument(help="The call: transfer_all.")],
    how: How,
    args: Annotated[
        list[str] | None, typer.Argument(help="NAME=VALUE; JSON for lists and structs.")
    ] = None,
    sudo: Annotated[bool, typer.Option("--sudo", help="As root, by the sudo key.")] = False,
    use_hotkey: Annotated[
        bool, typer.Option("--hotkey", help="The wallet's hot key signs.")
    ] = False,
) -> None:
    """Submit any call: `tx call AdminUtils sudo_set_tempo netuid=1 tempo=10 --sudo -s //Alice`."""
    given = dict(_named(a) for a in args or [])

    def make(runtime: Runtime) -> Call:
        inner = runtime.call(pallet, name, **given)
        return runtime.call("Sudo", "sudo", call=inner) if sudo else inner

    send(how.by_hotkey() if use_hotkey else how, make)


def _named(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise EncodeError(f"{text!r}: write arguments as NAME=VALUE")
    return name, value_of(value)
