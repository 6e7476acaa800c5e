"""`ganglion lease`: order capacity, bid for orders, pay leases and end them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ganglion import market
from ganglion.balance import Balance, format_amount
from ganglion.cli.common import (
    ROOT_DEFAULT,
    URL_DEFAULT,
    At,
    Json,
    Netuid,
    Root,
    Url,
    account_of,
    ask,
    brief,
    hotkey_of,
    new_app,
    show,
    table,
    view_at,
)
from ganglion.cli.sending import How, send, sending
from ganglion.client import Client

app = new_app("Lease capacity of miners by the block: order, bid, accept, pay, close.")

Number = Annotated[int, typer.Argument(min=0, help="The order's number; its lease has the same.")]
Rate = Annotated[str, typer.Argument(help="TAO a block, exact decimal, as in 0.0001.")]
Amount = Annotated[str, typer.Argument(help="TAO, exact decimal, as in 1.25.")]
U32 = (1 << 32) - 1


@app.command()
@sending
def order(
    netuid: Netuid,
    model: Annotated[str, typer.Argument(help="The model's name, as miners serve it.")],
    capacity: Annotated[int, typer.Argument(min=1, max=U32, help="Output tokens a block.")],
    max_rate: Rate,
    deposit: Amount,
    how: How,
    bid_blocks: Annotated[int, typer.Option(min=1, help="Blocks in which bids are taken.")] = 25,
    duration: Annotated[int, typer.Option(min=1, help="Blocks the lease takes.")] = 7_200,
    lessee: Annotated[
        str, typer.Option(help="The key whose requests use it; default: the signer.")
    ] = "",
) -> None:
    """Order capacity: `lease order 1 maker/model 500 0.0001 0.5 --signer mine`."""
    who = hotkey_of(lessee, how.root) if lessee else how.key().address
    spec = {
        "netuid": netuid,
        "model": model.encode(),
        "capacity": capacity,
        "max_rate": Balance.tao(max_rate).as_rao(),
        "duration": duration,
        "lessee": who,
    }
    rao = Balance.tao(deposit).as_rao()
    _send(how, "create_order", spec=spec, bid_blocks=bid_blocks, deposit=rao)


@app.command()
@sending
def bid(
    number: Number,
    hotkey: Annotated[str, typer.Argument(help="The miner: an address, WALLET/HOTKEY, //Bob.")],
    rate: Rate,
    how: How,
) -> None:
    """Offer a miner's capacity for an order; the hot key or its cold key signs and is paid."""
    miner, rao = hotkey_of(hotkey, how.root), Balance.tao(rate).as_rao()
    _send(how, "bid", order=number, hotkey=miner, rate=rao)


@app.command()
@sending
def accept(number: Number, how: How) -> None:
    """End the bidding for an order of yours: the lowest bid becomes the lease."""
    _send(how, "accept", order=number)


@app.command("top-up")
@sending
def top_up(number: Number, amount: Amount, how: How) -> None:
    """Put money into a lease of yours; a paused one resumes."""
    _send(how, "deposit", order=number, amount=Balance.tao(amount).as_rao())


@app.command()
@sending
def withdraw(number: Number, how: How) -> None:
    """Take what a lease you serve has earned."""
    _send(how, "withdraw", order=number)


@app.command()
@sending
def close(number: Number, how: How) -> None:
    """End a lease, from either side, or an order of yours: what is left comes back."""
    _send(how, "close", order=number)


def _send(how: How, name: str, /, **args: Any) -> None:
    send(how, lambda r: r.call(market.LEASES, name, **args))


@app.command("list")
def list_(
    netuid: Annotated[int | None, typer.Argument(min=0, max=65_535, help="One subnet.")] = None,
    account: Annotated[str, typer.Option(help="Only what this account pays, uses or serves.")] = "",
    at: At = "",
    url: Url = URL_DEFAULT,
    root: Root = ROOT_DEFAULT,
    as_json: Json = False,
) -> None:
    """List the orders and leases that are not closed."""
    who = account_of(account, root) if account else ""

    async def look(client: Client) -> tuple[int, list[market.OrderFacts]]:
        view = await view_at(client, at)
        return int(await view.query("System", "Number")), await market.orders(view, netuid)

    block, every = ask(url, look)
    found = [o for o in every if who in ("", o.payer, o.lessee, o.hotkey)]
    if as_json:
        show(found, as_json)
        return
    columns = ("order", "state", "model", "tokens", "rate", "left", "until", "miner")
    rows = [
        (
            o.number,
            o.state if o.state != "bidding" else f"{o.bids} bids",
            f"{o.netuid} {o.model}",
            o.capacity,
            format_amount(o.max_rate if o.rate is None else o.rate),
            format_amount(o.balance - o.earned(block)),
            o.ends,
            brief(o.hotkey or "-"),
        )
        for o in found
    ]
    title = f"{len(found)} orders at block {block}; tokens and TAO a block, TAO left"
    table(title, columns, rows)
