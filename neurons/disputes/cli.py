"""`ganglion dispute`: who stands behind what; dispute wrong answers, defend right ones."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from ganglion import disputes, ss58
from ganglion.balance import format_amount
from ganglion.cli.bond import read_receipt
from ganglion.cli.common import (
    ROOT_DEFAULT,
    URL_DEFAULT,
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
)
from ganglion.cli.own import run_app
from ganglion.cli.sending import How, send, sending
from ganglion.client import Client
from ganglion.errors import GanglionError
from ganglion.exact.case import Case, NotCovered, case_of, is_misbilled
from ganglion.exact.players import Book, Challenger
from ganglion.hashing import blake2_256
from ganglion.wire.equivocation import subject
from ganglion.wire.receipts import SignedReceipt, is_signed
from neurons import program
from neurons.disputes.book import book_of
from neurons.disputes.party import LOOK_SECONDS, Party
from neurons.engine.load import load

app = new_app("Dispute answers of the exact class; stand by one's own.")

Model = Annotated[str, typer.Option(help="The model's folder, or tiny.")]
Hotkey = Annotated[str, typer.Argument(help="The miner: an address, WALLET/HOTKEY, or //Bob.")]
Number = Annotated[int, typer.Argument(min=0, help="The dispute's number.")]
ReceiptFile = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, help="A signed receipt as JSON.")
]
RequestFile = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, help="The bytes of the request it is for.")
]
MOVER = {True: "miner", False: "challenger"}


class Undisputed(GanglionError):
    """There is nothing to dispute, or it cannot be done; the message says why."""


def model_of(name: str) -> Book:
    """The book of a model on this machine."""
    loaded = load("exact", name)
    return book_of(loaded.model, loaded.tokenizer)


@app.command("list")
def list_(url: Url = URL_DEFAULT, as_json: Json = False) -> None:
    """List the disputes that are not over."""
    found = ask(url, disputes.disputes)
    facts = [
        {
            "number": one.number,
            "netuid": one.netuid,
            "miner": one.hotkey,
            "challenger": one.challenger,
            "deposit": one.deposit,
            "steps": one.game.steps,
            "rounds": one.game.rounds,
            "next": one.game.phase.name.lower(),
            "move_of": MOVER[one.game.of_defender],
            "until_block": one.deadline,
        }
        for one in found
    ]
    if as_json:
        show(facts, as_json)
        return
    columns = ("number", "subnet", "miner", "challenger", "TAO", "rounds", "next", "of", "until")
    rows = [
        (
            f["number"], f["netuid"], brief(str(f["miner"])), brief(str(f["challenger"])),
            format_amount(one.deposit), f["rounds"], f["next"], f["move_of"], f["until_block"],
        )
        for f, one in zip(facts, found)
    ]  # fmt: skip
    table(f"{len(rows)} disputes", columns, rows)


@app.command()
def programs(url: Url = URL_DEFAULT, as_json: Json = False) -> None:
    """List the programs that answers can be judged by."""
    found = ask(url, disputes.programs)
    if as_json:
        show([{"name": n, "owner": o, "miners": u, "program": p} for n, o, u, p in found], as_json)
        return
    columns = ("program", "weights", "layers", "hidden", "miners", "published by")
    rows = [
        (f"0x{n.hex()}", f"0x{p.weights.hex()[:12]}", p.layers, p.hidden, users, brief(owner))
        for n, owner, users, p in found
    ]
    table(f"{len(rows)} programs", columns, rows)


@app.command("program")
def program_(model: Model = "tiny", as_json: Json = False) -> None:
    """Say what the program of a model on this machine is; nothing is sent."""
    made = model_of(model).program
    show({"name": made.name(), "program": made}, as_json)


@app.command()
def behind(
    netuid: Netuid, hotkey: Hotkey, model: Model = "tiny", url: Url = URL_DEFAULT,
    root: Root = ROOT_DEFAULT, as_json: Json = False,
) -> None:  # fmt: skip
    """Say whether a miner's bond stands behind a model that is on this machine."""
    own, who = model_of(model).program, hotkey_of(hotkey, root)

    async def look(client: Client) -> tuple[bytes | None, Any]:
        found = await disputes.accepted(client, netuid, who, own.weights)
        return found, await client.query("Bonds", "Bonds", netuid, who)

    found, bond = ask(url, look)
    said = "no program" if found is None else "this model"
    if found not in (None, own.name()):
        said = "another program than this model's: what it signs cannot be disputed with it"
    amount = 0 if bond is None else bond["amount"] + bond["unbonding"]
    show({"hotkey": who, "stands_behind": said, "bond": f"{format_amount(amount)} TAO"}, as_json)


@app.command()
@sending
def stand(netuid: Netuid, hotkey: Hotkey, how: How, model: Model = "tiny") -> None:
    """Put the bond of a hot key of yours behind a model; publishes its program if nobody has."""
    own, who = model_of(model).program, hotkey_of(hotkey, how.root)
    key = how.key()

    async def work(client: Client) -> bool:
        return await disputes.stand_by(client, key, netuid, who, own)

    done = ask(how.url, work)
    show({"program": own.name(), "was_new": done}, how.as_json)


@app.command()
@sending
def release(netuid: Netuid, hotkey: Hotkey, how: How, model: Model = "tiny") -> None:
    """Take back the deposit for a model, when the bond is withdrawn."""
    weights, who = model_of(model).program.weights, hotkey_of(hotkey, how.root)
    send(how, lambda r: r.call(disputes.PALLET, "release", netuid=netuid, hotkey=who,
                               weights=weights))  # fmt: skip


@app.command()
@sending
def resolve(number: Number, how: How) -> None:
    """End a dispute whose party was late; anybody may."""
    send(how, lambda r: r.call(disputes.PALLET, "resolve", id=number))


@app.command()
def check(
    receipt: ReceiptFile, request: RequestFile, model: Model = "tiny", as_json: Json = False
) -> None:
    """Compute an answer again, step by step, and say whether its tokens are right."""
    signed, body = read_receipt(receipt), request.read_bytes()
    book = model_of(model)
    case = covered(book, signed, body)
    challenger = Challenger(book, case)
    found: dict[str, Any] = {
        "miner": ss58.encode(signed.receipt.miner),
        "signed": is_signed(signed),
        "tokens": len(case.tokens) - case.prompt,
        "steps": challenger.trace.machine.steps.count,
        "rightly_counted": not is_misbilled(book.program, signed.receipt, body),
        "right": not challenger.objects,
    }
    wrong = challenger.trace.wrong
    if wrong is not None:
        place = challenger.trace.machine.steps.at(wrong).position + 1
        found |= {"first_wrong": place - case.prompt, "says": case.tokens[place],
                  "demanded": challenger.trace.demanded}  # fmt: skip
    show(found, as_json)


def covered(book: Book, signed: SignedReceipt, body: bytes) -> Case:
    """The case of a receipt and its request; Undisputed says why there is none."""
    try:
        return case_of(book.program, signed.receipt, body)
    except NotCovered as e:
        raise Undisputed(f"this cannot be disputed: {e}") from e


@app.command("open")
def open_(
    receipt: ReceiptFile, request: RequestFile, model: Model = "tiny", signer: Signer = "",
    url: Url = URL_DEFAULT, root: Root = ROOT_DEFAULT, as_json: Json = False,
) -> None:  # fmt: skip
    """Dispute an answer that is wrong, and play until it is decided. The request becomes public."""
    signed, body, book = read_receipt(receipt), request.read_bytes(), model_of(model)
    if not Challenger(book, covered(book, signed, body)).objects:
        raise Undisputed("the answer is right: whoever disputes it loses the deposit")
    key, about = signer_of(signer, root), blake2_256(subject(signed.receipt))

    async def play(client: Client) -> dict[str, Any]:
        number = await disputes.open_dispute(client, key, signed, body)
        print(f"dispute {number} is open")  # noqa: T201
        party = Party(client, key, book)
        while await disputes.read(client, number) is not None:
            if not await party.moves():
                await asyncio.sleep(LOOK_SECONDS)
        bond = await client.query("Bonds", "Punished", about)
        return {"number": number, "miner_was_slashed": bool(bond)}

    show(ask(url, play), as_json)


@app.command("report-usage")
@sending
def report_usage(receipt: ReceiptFile, request: RequestFile, how: How) -> None:
    """Report a receipt that counts the request's tokens wrongly: its miner is slashed at once."""
    signed, body, key = read_receipt(receipt), request.read_bytes(), how.key()

    async def work(client: Client) -> int | None:
        return (await disputes.report_usage(client, key, signed, body)).block_number

    show({"slashed": ss58.encode(signed.receipt.miner), "block": ask(how.url, work)}, how.as_json)


@app.command()
def defend(
    netuid: Netuid, hotkey: Hotkey, model: Model = "tiny", signer: Signer = "",
    url: Url = URL_DEFAULT, root: Root = ROOT_DEFAULT,
) -> None:  # fmt: skip
    """Answer every dispute about a hot key of yours until stopped; miners may do so themselves."""
    book, who, key = model_of(model), hotkey_of(hotkey, root), signer_of(signer, root)

    async def watch() -> None:
        async with Client(url) as client:
            await Party(client, key, book, who).keep()

    print(f"defending {who} on subnet {netuid}; stop with Ctrl-C")  # noqa: T201
    asyncio.run(program.until_signalled(watch()))


def run(argv: list[str]) -> int:
    """Run `ganglion dispute ARGV`; the exit code."""
    return run_app(app, "dispute", argv)
