"""`ganglion bond`: put money behind a miner, take it back, report one that contradicts itself."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from ganglion import market, ss58
from ganglion.balance import Balance, format_amount
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
    brief,
    hotkey_of,
    new_app,
    show,
    signer_of,
    table,
    view_at,
)
from ganglion.cli.sending import How, send, sending
from ganglion.cli.subnet import nothing_of
from ganglion.client import Client
from ganglion.errors import EncodeError, UnknownName
from ganglion.keys import CryptoType
from ganglion.wire.equivocation import Same, conflict
from ganglion.wire.receipts import BadReceipt, Receipt, SignedReceipt, is_signed

app = new_app("Bond a miner's hot key, unbond it, report two answers to one request.")

Hotkey = Annotated[str, typer.Argument(help="The miner: an address, WALLET/HOTKEY, or //Bob.")]
Amount = Annotated[str, typer.Argument(help="TAO, exact decimal, as in 1.25.")]
ReceiptFile = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, help="A signed receipt as JSON.")
]

SAID = {
    Same.CONFLICT: "two different answers to one request",
    Same.AGREE: "the same answer twice",
    Same.INEXACT: "answers of the fast class, which may differ",
    Same.OTHER_SUBJECT: "receipts about something else than was asked",
}
WHY_NOT = {
    Same.INEXACT: "only text answers of the exact class can contradict each other: a miner of the "
    "fast class may answer a repeated request in other words",
    Same.OTHER_SUBJECT: "they are not about the same request, model, seed and caller: bring two "
    "receipts of one miner for one body from one caller",
    Same.AGREE: "they agree as far as both go: nothing is proven, and nothing is sent",
}


@app.command()
@sending
def add(netuid: Netuid, hotkey: Hotkey, amount: Amount, how: How) -> None:
    """Bond a hot key of yours on a subnet, or add to its bond."""
    _move(how, "bond", netuid, hotkey, amount=Balance.tao(amount).as_rao())


@app.command()
@sending
def unbond(netuid: Netuid, hotkey: Hotkey, amount: Amount, how: How) -> None:
    """Begin to take a bond back; it can be slashed until the delay is over."""
    _move(how, "unbond", netuid, hotkey, amount=Balance.tao(amount).as_rao())


@app.command()
@sending
def withdraw(netuid: Netuid, hotkey: Hotkey, how: How) -> None:
    """Take what was unbonded, after the delay."""
    _move(how, "withdraw", netuid, hotkey)


def _move(how: How, name: str, netuid: int, hotkey: str, /, **args: Any) -> None:
    who = hotkey_of(hotkey, how.root)
    send(how, lambda r: r.call(market.BONDS, name, netuid=netuid, hotkey=who, **args))


@app.command("show")
def show_(netuid: Netuid, at: At = "", url: Url = URL_DEFAULT, as_json: Json = False) -> None:
    """List the bonds on a subnet."""

    async def look(client: Any) -> list[tuple[str, dict[str, Any]]]:
        view = await view_at(client, at)
        found = await view.query_map(market.BONDS, "Bonds", netuid)
        return found or await nothing_of(view, netuid)

    found = ask(url, look)
    if as_json:
        show([{"hotkey": hotkey} | bond for hotkey, bond in found], as_json)
        return
    columns = ("hotkey", "TAO", "leaving TAO", "free from", "bonded by")
    rows = [
        (
            brief(hotkey),
            format_amount(bond["amount"]),
            format_amount(bond["unbonding"]),
            bond["free_at"] if bond["unbonding"] else "-",
            brief(bond["payer"]),
        )
        for hotkey, bond in found
    ]
    table(f"subnet {netuid}: {len(found)} bonds", columns, rows)


@app.command()
@sending
def report(first: ReceiptFile, second: ReceiptFile, how: How) -> None:
    """Report a miner that signed two answers to one request: `bond report A.json B.json`."""
    one, other = read_receipt(first), read_receipt(second)
    found = conflict(one.receipt, other.receipt)
    if found is not Same.CONFLICT:
        raise EncodeError(f"no contradiction in {first} and {second}: {WHY_NOT[found]}")
    for path, signed in ((first, one), (second, other)):
        if not is_signed(signed):
            raise EncodeError(f"{path}: its signature is not that of {_miner(signed)}")
    send(
        how,
        lambda r: r.call(
            market.BONDS,
            "report_equivocation",
            first=fields_of(one.receipt),
            first_signature=_signature(one),
            second=fields_of(other.receipt),
            second_signature=_signature(other),
        ),
    )


@app.command()
def check(
    netuid: Netuid,
    uid: Annotated[int, typer.Argument(min=0, max=65_535, help="The miner's number.")],
    signer: Signer = "",
    tokens: Annotated[int, typer.Option(min=1, max=4096, help="Tokens to ask for.")] = 64,
    out: Annotated[Path, typer.Option(file_okay=False, help="Where receipts go.")] = Path("."),
    url: Url = URL_DEFAULT,
    root: Root = ROOT_DEFAULT,
    as_json: Json = False,
) -> None:
    """Ask a miner the same thing twice; two answers that differ are kept to be reported."""
    from ganglion.wire.call import Target  # only this command calls neurons
    from ganglion.wire.repeat import twice

    key = signer_of(signer, root, hotkey=True)

    async def target_of(client: Client) -> Target:
        known = await client.neurons(netuid) or await nothing_of(client, netuid)
        neuron = next((n for n in known if n.uid == uid), None)
        if neuron is None or not neuron.axon.is_serving:
            raise UnknownName(f"subnet {netuid} has no uid {uid} that serves")
        return Target.of(neuron)

    first, second = asyncio.run(twice(key, ask(url, target_of), tokens))
    found = conflict(first.receipt, second.receipt)
    said: dict[str, Any] = {"uid": uid, "tokens": len(first.receipt.tokens), "found": SAID[found]}
    if found is Same.CONFLICT:
        paths = []
        for name, signed in (("first", first), ("second", second)):
            path = out / f"{name}-{first.receipt.request.hex()[:12]}.json"
            path.write_bytes(orjson.dumps(signed.to_json()))
            paths.append(str(path))
        said["report"] = "ganglion bond report " + " ".join(paths)
    show(said, as_json)


def read_receipt(path: Path) -> SignedReceipt:
    """A signed receipt from a file: as miners send it, or the event that carried it.

    EncodeError says what is wrong with the file.
    """
    try:
        value = orjson.loads(path.read_bytes())
        if isinstance(value, dict) and isinstance(value.get("receipt"), dict):
            value = value["receipt"]
        return SignedReceipt.from_json(value)
    except (OSError, ValueError) as e:
        kind = "no receipt" if isinstance(e, BadReceipt) else "no JSON file"
        raise EncodeError(f"{path} is {kind}: {e}") from e


def fields_of(receipt: Receipt) -> dict[str, Any]:
    """A receipt as the call takes it."""
    found: dict[str, Any] = {name: getattr(receipt, name) for name in Receipt.__slots__}
    return found | {"tokens": list(receipt.tokens), "finish": receipt.finish.name}


def _signature(signed: SignedReceipt) -> dict[str, bytes]:
    kind = "Ed25519" if signed.crypto is CryptoType.ED25519 else "Sr25519"
    return {kind: signed.signature}


def _miner(signed: SignedReceipt) -> str:
    return ss58.encode(signed.receipt.miner)
