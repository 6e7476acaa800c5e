"""`ganglion market`: what miners ask for models, and what those cost at least."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ganglion import market
from ganglion.cli.common import (
    URL_DEFAULT,
    At,
    Json,
    Netuid,
    Url,
    ask,
    brief,
    hotkey_of,
    new_app,
    show,
    table,
    view_at,
)
from ganglion.cli.sending import How, send, sending
from ganglion.cli.subnet import nothing_of

app = new_app("List what miners ask, post an ask of one's own, show base fees.")

Model = Annotated[str, typer.Argument(help="The model's name, as miners serve it.")]
Hotkey = Annotated[str, typer.Argument(help="The miner: an address, WALLET/HOTKEY, or //Bob.")]
U64 = (1 << 64) - 1
U32 = (1 << 32) - 1


def price(about: str) -> Any:
    """An option that takes rao for a million tokens."""
    return typer.Option(min=0, max=U64, help=f"Rao for a million {about}.")


@app.command()
def asks(
    netuid: Netuid,
    model: Annotated[str, typer.Argument(help="One model only.")] = "",
    at: At = "",
    url: Url = URL_DEFAULT,
    as_json: Json = False,
) -> None:
    """List the asks of a subnet, the cheapest of each model first."""

    async def look(client: Any) -> list[market.AskFacts]:
        view = await view_at(client, at)
        return await market.asks(view, netuid) or await nothing_of(view, netuid)

    found = [a for a in ask(url, look) if model in ("", a.model)]
    if as_json:
        show(found, as_json)
        return
    columns = ("model", "prompt", "cached", "answer", "tok/block", "leased", "until", "hotkey")
    rows = [
        (
            a.model,
            a.prompt,
            a.cached,
            a.completion,
            a.capacity,
            a.leased,
            a.expires,
            brief(a.hotkey),
        )
        for a in found
    ]
    table(f"subnet {netuid}: {len(found)} asks, in rao for a million tokens", columns, rows)


@app.command("ask")
@sending
def post(
    netuid: Netuid,
    model: Model,
    hotkey: Hotkey,
    how: How,
    completion: Annotated[int, price("tokens of the answer")],
    prompt: Annotated[int, price("tokens of the prompt")] = 0,
    cached: Annotated[int, price("tokens of the prompt that are cached")] = 0,
    capacity: Annotated[int, typer.Option(min=1, max=U32, help="Output tokens a block.")] = 100,
    blocks: Annotated[int, typer.Option(min=1, help="Blocks until the ask ends.")] = 7_200,
) -> None:
    """Ask prices for a model; the hot key or its cold key signs, and backs it by a deposit."""
    who = hotkey_of(hotkey, how.root)
    prices = {"prompt": prompt, "cached": cached, "completion": completion}
    send(
        how,
        lambda r: r.call(
            market.MARKET,
            "post_ask",
            netuid=netuid,
            model=model.encode(),
            hotkey=who,
            prices=prices,
            capacity=capacity,
            blocks=blocks,
        ),
    )


@app.command()
@sending
def remove(netuid: Netuid, model: Model, hotkey: Hotkey, how: How) -> None:
    """Take an ask back; its deposit returns."""
    who = hotkey_of(hotkey, how.root)
    send(
        how,
        lambda r: r.call(
            market.MARKET, "remove_ask", netuid=netuid, model=model.encode(), hotkey=who
        ),
    )


@app.command()
def fee(
    netuid: Netuid,
    model: Annotated[str, typer.Argument(help="One model only.")] = "",
    at: At = "",
    url: Url = URL_DEFAULT,
    as_json: Json = False,
) -> None:
    """Show the base fee of models, and how much of the capacity on offer is leased."""

    async def look(client: Any) -> list[market.ModelFacts]:
        view = await view_at(client, at)
        found = [m for m in await market.models(view, netuid) if model in ("", m.model)]
        if model and not found:  # nobody asks for it, and yet it has a least price
            least = await market.base_fee(view, netuid, model)
            return [market.ModelFacts(model, least, 0, 0)]
        return found or await nothing_of(view, netuid)

    found = ask(url, look)
    if as_json:
        show(found, as_json)
        return
    columns = ("model", "base fee", "asked", "leased", "used")
    rows = [
        (m.model, m.base_fee, m.asked, m.used, f"{m.used / m.asked:.0%}" if m.asked else "-")
        for m in found
    ]
    table(f"subnet {netuid}: base fee in rao for a million output tokens", columns, rows)
