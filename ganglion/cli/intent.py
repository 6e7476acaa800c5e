"""`ganglion intent`: sign what you would pay for, fill what others signed."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated, Any

import typer

from ganglion import ss58
from ganglion.balance import Balance, format_amount
from ganglion.cli.common import (
    ROOT_DEFAULT,
    URL_DEFAULT,
    At,
    Json,
    Root,
    Signer,
    Url,
    ask,
    brief,
    hotkey_of,
    new_app,
    show,
    signer_of,
    table,
    view_at,
)
from ganglion.cli.sending import How, send, sending
from ganglion.client import Client
from ganglion.errors import EncodeError
from ganglion.hashing import blake2_256
from ganglion.keys import CryptoType
from ganglion.wire.intents import MAX_MODEL, Intent, SignedIntent, sign

app = new_app("Sign intents off the chain, quote for them, deliver on them.")

PALLET = "Intents"
File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Its hash is used.")]
IntentFile = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, help="What `intent sign` printed.")
]


@app.command("sign")
def sign_(
    netuid: Annotated[int, typer.Argument(min=0, max=65_535, help="The subnet's number.")],
    model: Annotated[str, typer.Argument(help="The model's name, as miners serve it.")],
    content: File,
    price: Annotated[str, typer.Argument(help="TAO at most, exact decimal, as in 0.5.")],
    signer: Signer = "",
    url: Url = URL_DEFAULT,
    root: Root = ROOT_DEFAULT,
    blocks: Annotated[int, typer.Option(min=1, help="Blocks in which quotes are taken.")] = 20,
    deliver_in: Annotated[int, typer.Option(min=1, help="Blocks the winner has.")] = 50,
) -> None:
    """Sign an intent and print it; nothing is sent. Whoever gets it can quote for it."""
    key = signer_of(signer, root)
    if len(model.encode()) > MAX_MODEL:
        raise EncodeError(f"a model's name has at most {MAX_MODEL} characters")

    async def look(client: Client) -> tuple[int, str]:
        return await client.block_number(), client.genesis_hash

    now, genesis = ask(url, look)
    intent = Intent(
        bytes.fromhex(genesis.removeprefix("0x")),
        key.public_key,
        netuid,
        model.encode(),
        blake2_256(content.read_bytes()),
        Balance.tao(price).as_rao(),
        now + blocks,
        deliver_in,
        secrets.randbits(64),
    )
    print(sign(intent, key).to_hex())


@app.command()
def fill(
    netuid: Annotated[int, typer.Argument(min=0, max=65_535, help="The subnet's number.")],
    model: Annotated[str, typer.Argument(help="The model's name, as miners serve it.")],
    task: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="What is wanted, as JSON.")
    ],
    result: Annotated[Path, typer.Argument(dir_okay=False, help="Where the result goes.")],
    price: Annotated[str, typer.Argument(help="TAO at most, exact decimal, as in 0.5.")],
    signer: Signer = "",
    url: Url = URL_DEFAULT,
    root: Root = ROOT_DEFAULT,
    blocks: Annotated[int, typer.Option(min=2, help="Blocks in which quotes are taken.")] = 10,
    deliver_in: Annotated[int, typer.Option(min=5, help="Blocks the winner has.")] = 50,
    as_json: Json = False,
) -> None:
    """Have a task done by the cheapest: sign, hand out to miners, fetch and check the result."""
    from ganglion import intents  # only this command calls neurons

    if len(model.encode()) > MAX_MODEL:
        raise EncodeError(f"a model's name has at most {MAX_MODEL} characters")
    key, content = signer_of(signer, root), task.read_bytes()
    wish = intents.Wish(netuid, model, Balance.tao(price).as_rao(), blocks, deliver_in)
    done = ask(url, lambda client: intents.fill(client, key, wish, content))
    result.write_bytes(done.raw)
    paid = f"{format_amount(done.price)} TAO"
    said = {"intent": "0x" + done.name.hex(), "miner": done.hotkey, "paid": paid}
    show(said | {"text": done.result.text}, as_json)


@app.command()
@sending
def quote(
    intent: IntentFile,
    hotkey: Annotated[str, typer.Argument(help="The miner: an address, WALLET/HOTKEY, //Bob.")],
    price: Annotated[str, typer.Argument(help="TAO for all of it, exact decimal.")],
    how: How,
) -> None:
    """Offer to fill an intent; the cheapest at its deadline wins."""
    found, miner = read_intent(intent), hotkey_of(hotkey, how.root)
    kind = "Ed25519" if found.crypto == CryptoType.ED25519 else "Sr25519"
    rao = Balance.tao(price).as_rao()
    send(
        how,
        lambda r: r.call(
            PALLET,
            "quote",
            intent=fields_of(found.intent),
            signature={kind: found.signature},
            hotkey=miner,
            price=rao,
        ),
    )


@app.command()
@sending
def deliver(
    name: Annotated[str, typer.Argument(help="The intent's name, as `intent list` shows it.")],
    result: File,
    how: How,
) -> None:
    """Deliver on an intent that you have won: the hash of the result is sent, and you are paid."""
    digest = blake2_256(result.read_bytes())
    send(how, lambda r: r.call(PALLET, "deliver", intent=name, result=digest))


@app.command()
@sending
def withdraw(intent: IntentFile, how: How) -> None:
    """Withdraw an intent of yours that nobody has quoted for."""
    found = read_intent(intent)
    send(how, lambda r: r.call(PALLET, "withdraw", intent=fields_of(found.intent)))


@app.command("list")
def list_(at: At = "", url: Url = URL_DEFAULT, as_json: Json = False) -> None:
    """List the intents that have quotes."""

    async def look(client: Client) -> tuple[int, list[tuple[Any, Any]]]:
        view = await view_at(client, at)
        block = int(await view.query("System", "Number"))
        return block, await view.query_map(PALLET, "Intents")

    block, every = ask(url, look)
    found = [(name, s["intent"], s["best"]) for name, s in every if s["best"] is not None]
    if as_json:
        show([{"name": name, "intent": i, "best": best} for name, i, best in found], as_json)
        return
    columns = ("intent", "limit TAO", "best TAO", "state", "miner")
    rows = [
        (
            name,  # whole: it is what `deliver` takes
            format_amount(i["max_price"]),
            format_amount(best["price"]),
            f"open until {i['deadline']}"
            if block < i["deadline"]
            else f"due by {i['deadline'] + i['deliver']}",
            brief(best["hotkey"]),
        )
        for name, i, best in found
    ]
    table(f"{len(found)} intents at block {block}", columns, rows)


def read_intent(path: Path) -> SignedIntent:
    """A signed intent from a file; EncodeError if it is none, or not by its payer."""
    try:
        found = SignedIntent.from_hex(path.read_text())
    except (OSError, ValueError) as e:
        raise EncodeError(f"{path} holds no intent: {e}") from e
    if not found.is_by_payer():
        payer = ss58.encode(found.intent.payer)
        raise EncodeError(f"{path}: the signature is not that of {payer}")
    return found


def fields_of(intent: Intent) -> dict[str, Any]:
    """An intent as the calls take it."""
    return {name: getattr(intent, name) for name in Intent.__slots__}
