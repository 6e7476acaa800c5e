"""`ganglion channel`: pay many times in few transactions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ganglion import channels, ss58
from ganglion.balance import Balance, format_amount
from ganglion.cli.common import (
    ROOT_DEFAULT,
    URL_DEFAULT,
    Json,
    Root,
    Url,
    account_of,
    ask,
    hotkey_of,
    new_app,
    show,
    table,
)
from ganglion.cli.sending import How, send, sending
from ganglion.client import Client
from ganglion.errors import EncodeError
from ganglion.voucher_file import VoucherFile
from ganglion.wire.lanes import ChannelFacts, PayeeLedger

app = new_app("Open, list, top up, extend, redeem and close payment channels.")

WEEK = 50_400
Number = Annotated[int, typer.Argument(min=0, help="The channel's number.")]
Amount = Annotated[str, typer.Argument(help="TAO, exact decimal, as in 1.25.")]
Blocks = Annotated[int, typer.Option(min=1, help="Blocks from now until it expires.")]


def _expiry(how: How, blocks: int) -> int:
    return ask(how.url, lambda client: client.block_number()) + blocks


@app.command("open")
@sending
def open_(
    payee: Annotated[str, typer.Argument(help="Who is paid: an address, WALLET/HOTKEY, //Bob.")],
    deposit: Amount,
    how: How,
    blocks: Blocks = WEEK,
    lanes: Annotated[int, typer.Option(help="Programs that may pay from it at once.")] = 16,
    voucher_key: Annotated[
        str, typer.Option(help="Who signs vouchers, a gateway's hotkey say; default: the signer.")
    ] = "",
) -> None:
    """Put a deposit aside for a payee: `channel open 5F... 1.5 --signer mine`."""
    to, rao = hotkey_of(payee, how.root), Balance.tao(deposit).as_rao()
    signer = hotkey_of(voucher_key, how.root) if voucher_key else None
    expiry = _expiry(how, blocks)
    send(
        how,
        lambda r: r.call(
            channels.PALLET,
            "open",
            payee=to,
            deposit=rao,
            expiry=expiry,
            lane_limit=lanes,
            signer=signer,
        ),
    )


@app.command("list")
def list_(
    account: Annotated[
        str, typer.Argument(help="An address, a WALLET's cold key, WALLET/HOTKEY, or //Alice.")
    ],
    url: Url = URL_DEFAULT,
    root: Root = ROOT_DEFAULT,
    as_json: Json = False,
) -> None:
    """List the open channels that an account pays from or is paid by."""
    address = (hotkey_of if "/" in account else account_of)(account, root)

    async def look(client: Client) -> list[ChannelFacts]:
        head = await client.at_head()
        both = await channels.of_payer(head, address) + await channels.of_payee(head, address)
        return list({channel.number: channel for channel in both}.values())

    found = ask(url, look)
    if as_json:
        show([_json(channel) for channel in found], as_json)
        return
    columns = ("channel", "deposit", "redeemed", "expiry", "closes", "lanes", "payer", "payee")
    rows = [
        (
            c.number,
            format_amount(c.deposit),
            format_amount(c.redeemed),
            c.expiry,
            "-" if c.closes_at is None else c.closes_at,
            f"{len(c.lanes)}/{c.lane_limit}",
            ss58.encode(c.payer),
            ss58.encode(c.payee),
        )
        for c in found
    ]
    table(f"{len(found)} open channels", columns, rows)


def _json(c: ChannelFacts) -> dict[str, object]:
    return {
        "channel": c.number,
        "payer": ss58.encode(c.payer),
        "payee": ss58.encode(c.payee),
        "signer": ss58.encode(c.signer),
        "deposit": c.deposit,
        "redeemed": c.redeemed,
        "expiry": c.expiry,
        "closes_at": c.closes_at,
        "lane_limit": c.lane_limit,
        "lanes": {lane: {"nonce": n, "redeemed": r} for lane, (n, r) in c.lanes.items()},
    }


@app.command("top-up")
@sending
def top_up(number: Number, amount: Amount, how: How) -> None:
    """Add to the deposit of a channel of yours."""
    rao = Balance.tao(amount).as_rao()
    send(how, lambda r: r.call(channels.PALLET, "top_up", channel_id=number, amount=rao))


@app.command()
@sending
def extend(number: Number, how: How, blocks: Blocks = WEEK) -> None:
    """Put the expiry of a channel of yours off."""
    expiry = _expiry(how, blocks)
    send(how, lambda r: r.call(channels.PALLET, "extend", channel_id=number, expiry=expiry))


@app.command()
@sending
def close(
    number: Number,
    how: How,
    force: Annotated[
        bool, typer.Option("--force", help="Its time is over: end it, whoever signs.")
    ] = False,
) -> None:
    """Close a channel: at once as its payee; as its payer, after the challenge window."""
    name = "force_close" if force else "close"
    send(how, lambda r: r.call(channels.PALLET, name, channel_id=number))


@app.command()
@sending
def redeem(
    file: Annotated[Path, typer.Argument(help="A miner's file of vouchers (neuron-miner --paid).")],
    how: How,
) -> None:
    """Bring a miner's vouchers to the chain, where the miner itself is gone; the payee is paid."""
    if not file.exists():
        raise EncodeError(f"there is no file {file}: neuron-miner says at its start where it is")
    kept = VoucherFile(file)
    ledger = PayeeLedger(b"", {(s.voucher.channel, s.voucher.lane): s for s in kept.load()})
    kept.close()

    async def look(client: Client) -> list[ChannelFacts | None]:
        head = await client.at_head()
        return [await channels.read(head, n) for n in sorted({n for n, _ in ledger.best})]

    due = [s for c in ask(how.url, look) if c is not None for s in ledger.redeemable(c)]
    if not due:
        raise EncodeError("none of these vouchers is worth more than the chain has paid")
    first = due[: channels.MOST_VOUCHERS]
    args = [signed.call_args() for signed in first]
    send(how, lambda r: r.call(channels.PALLET, "redeem", vouchers=args))
    if len(due) > len(first):
        typer.echo(f"{len(due) - len(first)} vouchers are left: run this again", err=True)
