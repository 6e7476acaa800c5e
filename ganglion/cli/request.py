"""`ganglion request`: let the chain ask a model, see who answers, prove an answer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from ganglion import requests, ss58, state_proof
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
    account_of,
    brief,
    new_app,
    show,
    signer_of,
    table,
    view_at,
)
from ganglion.cli.common import ask as on_node
from ganglion.cli.sending import How, send, sending
from ganglion.client import Client
from ganglion.errors import EncodeError, UnknownName
from ganglion.hashing import blake2_256
from ganglion.requests import PALLET, RequestFacts, ResultFacts, Wanted
from ganglion.scale import DecodeError
from ganglion.state_proof import BadProof, StateProof
from ganglion.wire.requests import RESULT, Result

app = new_app("Ask a model from the chain: the answer lies there, and a call may follow.")

Number = Annotated[int, typer.Argument(min=0, max=(1 << 64) - 1, help="The request's number.")]
TAO = "TAO, exact decimal, as in 0.005"


@app.command("ask")
def ask_(
    netuid: Netuid,
    model: Annotated[str, typer.Argument(help="The model's name, as miners serve it.")],
    text: Annotated[str, typer.Argument(help="The question; @FILE sends the hash of a file.")],
    price: Annotated[str, typer.Argument(help=f"For each answer: {TAO}.")],
    signer: Signer = "",
    tokens: Annotated[int, typer.Option(min=1, max=1024, help="Output tokens at most.")] = 64,
    temperature: Annotated[int, typer.Option(min=0, max=2000, help="In thousandths.")] = 700,
    miners: Annotated[int, typer.Option(min=1, max=7, help="How many answer.")] = 1,
    agree: Annotated[int, typer.Option(min=0, help="Equal answers needed; 0: over half.")] = 0,
    median: Annotated[
        int | None, typer.Option(min=0, help="Of numbers: millionths off it.")
    ] = None,
    stake: Annotated[str, typer.Option(help="TAO of stake that a miner needs.")] = "0",
    bond: Annotated[str, typer.Option(help="TAO that a miner must have bonded.")] = "0",
    incentive: Annotated[int, typer.Option(min=0, max=65_535, help="That it needs.")] = 0,
    exact: Annotated[bool, typer.Option("--exact", help="Only what anybody can redo.")] = False,
    wait: Annotated[int, typer.Option(min=1, max=300, help="Blocks for miners to come.")] = 50,
    work: Annotated[int, typer.Option(min=1, max=600, help="Blocks for their work.")] = 50,
    inbox: Annotated[str, typer.Option(help="Put the answer under this key.")] = "",
    remark: Annotated[str, typer.Option(help="Put it into a remark behind this text.")] = "",
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for it.")] = False,
    url: Url = URL_DEFAULT,
    root: Root = ROOT_DEFAULT,
    as_json: Json = False,
) -> None:
    """Put a question on the chain, and wait for the answer."""
    key = signer_of(signer, root)
    wanted = Wanted(
        netuid,
        model,
        _hash_of(Path(text[1:])) if text.startswith("@") else text,
        Balance.tao(price).as_rao(),
        max_tokens=tokens,
        temperature=temperature,
        miners=miners,
        agree=agree or None,
        tolerance=median,
        stake=Balance.tao(stake).as_rao(),
        incentive=incentive,
        bond=Balance.tao(bond).as_rao(),
        exact=exact,
        wait=wait,
        work=work,
        inbox=inbox.encode() if inbox else None,
        remark=remark.encode() if remark else None,
    )

    async def work_(client: Client) -> dict[str, Any]:
        number = await requests.ask(client, key, wanted)
        if no_wait:
            return {"request": number}
        return told(await requests.wait(client, number))

    show(on_node(url, work_), as_json)


def _hash_of(path: Path) -> bytes:
    try:
        return blake2_256(path.read_bytes())
    except OSError as e:
        raise EncodeError(f"{path} cannot be read: {e.strerror}") from e


@app.command("show")
def show_(number: Number, at: At = "", url: Url = URL_DEFAULT, as_json: Json = False) -> None:
    """Show a request: who sits, and the answer when there is one."""

    async def look(client: Client) -> dict[str, Any]:
        view = await view_at(client, at)
        found = await requests.result(view, number)
        if found is not None:
            return told(found)
        pending = await requests.read(view, number)
        if pending is None:
            raise UnknownName(f"request {number} is unknown, or is over and was cleared")
        reveal = int(await client.constant(PALLET, "RevealWindow"))
        return pending_told(pending, int(await view.query("System", "Number")), reveal)

    show(on_node(url, look), as_json)


def told(found: ResultFacts) -> dict[str, Any]:
    """An answer as it is shown."""
    return {
        "request": found.number,
        "model": found.model,
        "requester": found.requester,
        "answer": found.text,
        "decided": found.decided,
        "started": found.started,
        "order": "0x" + found.order.hex(),
        "miners": [
            {"hotkey": part.hotkey, "verdict": part.verdict, "exact": part.exact}
            for part in found.parts
        ],
    }


def pending_told(found: RequestFacts, block: int, reveal: int) -> dict[str, Any]:
    """A request without an answer as it is shown."""
    return {
        "request": found.number,
        "model": found.model,
        "requester": ss58.encode(found.requester),
        "state": state_of(found, block, reveal),
        "until": found.last_block(reveal),
        "mode": found.mode,
        "price": f"{format_amount(found.price)} TAO",
        "weights": None if found.weights is None else "0x" + found.weights.hex(),
        "requirement": found.requirement,
        "seats": f"{len(found.seats)} of {found.miners}",
        "miners": [
            {
                "hotkey": ss58.encode(seat.hotkey),
                "committed": seat.commitment is not None,
                "shown": seat.output is not None,
            }
            for seat in found.seats
        ],
    }


def state_of(found: RequestFacts, block: int, reveal: int) -> str:
    """A word for what a request waits for."""
    if block > found.last_block(reveal):
        return "over"
    if found.started is None:
        return "open"
    return "revealing" if found.is_revealing(block + 1) else "working"


@app.command("list")
def list_(
    done: Annotated[bool, typer.Option("--done", help="Those with an answer.")] = False,
    at: At = "",
    url: Url = URL_DEFAULT,
    as_json: Json = False,
) -> None:
    """List the requests that wait for answers, or the answers that are kept."""

    async def look(client: Client) -> tuple[list[dict[str, Any]], int]:
        view = await view_at(client, at)
        block = int(await view.query("System", "Number"))
        if done:
            return [told(found) for found in await requests.results(view)], block
        reveal = int(await client.constant(PALLET, "RevealWindow"))
        every = await requests.every(view)
        return [pending_told(found, block, reveal) for found in every], block

    found, block = on_node(url, look)
    if as_json:
        show(found, as_json)
        return
    if done:
        columns: tuple[str, ...] = ("request", "model", "decided", "requester", "answer")
        rows = [
            (r["request"], r["model"], r["decided"], brief(r["requester"]), _short(r["answer"]))
            for r in found
        ]
    else:
        columns = ("request", "model", "state", "until", "price", "seats", "requester")
        rows = [(*(r[c] for c in columns[:-1]), brief(r["requester"])) for r in found]
    table(f"{len(found)} requests at block {block}", columns, rows)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 48 else line[:45] + "..."


@app.command()
@sending
def cancel(number: Number, how: How) -> None:
    """Take a request back for which no miner has come."""
    send(how, lambda r: r.call(PALLET, "cancel", id=number))


@app.command()
@sending
def expire(number: Number, how: How) -> None:
    """End a request whose time is over: what was shown decides, or the money goes back."""
    send(how, lambda r: r.call(PALLET, "expire", id=number))


@app.command()
@sending
def clear(number: Number, how: How) -> None:
    """Forget an answer of yours; its deposit comes back."""
    send(how, lambda r: r.call(PALLET, "clear", id=number))


@app.command()
def inbox(
    account: Annotated[str, typer.Argument(help="An address, a //URI or a wallet's name.")],
    at: At = "",
    url: Url = URL_DEFAULT,
    root: Root = ROOT_DEFAULT,
    as_json: Json = False,
) -> None:
    """List what callbacks have put into an account's inbox."""
    who = account_of(account, root)

    async def look(client: Client) -> list[dict[str, Any]]:
        view = await view_at(client, at)
        found = await view.query_map(PALLET, "Inbox", who)
        return [{"key": key} | entry for key, entry in found]

    show(on_node(url, look), as_json)


@app.command()
@sending
def remove(
    key: Annotated[str, typer.Argument(help="The key, as `request inbox` shows it.")], how: How
) -> None:
    """Remove an entry of your inbox; its deposit comes back."""
    try:
        raw = bytes.fromhex(key[2:]) if key.startswith("0x") else key.encode()
    except ValueError as e:
        raise EncodeError(f"{key} is no hexadecimal text") from e
    send(how, lambda r: r.call(PALLET, "remove", key=raw))


@app.command()
def proof(
    number: Number,
    out: Annotated[Path, typer.Option(dir_okay=False, help="Where it goes.")] = Path("proof.json"),
    at: At = "",
    url: Url = URL_DEFAULT,
) -> None:
    """Write down the proof of an answer: whoever trusts the block's hash needs nothing else."""

    async def look(client: Client) -> StateProof:
        block = at or await client.finalized_hash()
        if await requests.result(client.at(block), number) is None:
            raise UnknownName(f"block {block} holds no answer to request {number}")
        key = client.runtime.storage_key(PALLET, "Results", number)
        return await state_proof.fetch(client, key, block)

    found = on_node(url, look)
    found.value(found.header.hash)
    out.write_bytes(orjson.dumps(found.to_json(), option=orjson.OPT_INDENT_2))
    show({"file": str(out), "block": found.header.hash, "number": found.header.number}, False)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="From `proof`.")],
    block: Annotated[str, typer.Argument(help="The hash of a block that you trust.")],
    number: Annotated[int | None, typer.Option(help="The request it must be about.")] = None,
    as_json: Json = False,
) -> None:
    """Check the proof of an answer, without a node."""
    try:
        found = StateProof.from_json(orjson.loads(file.read_bytes()))
    except (OSError, orjson.JSONDecodeError) as e:
        raise BadProof(f"{file} holds no proof: {e}") from e
    about, result = proven(found, block)
    if number not in (None, about):
        raise BadProof(f"the proof is about request {about}, not {number}")
    show(
        {
            "request": about,
            "block": found.header.number,
            "model": result.model,
            "requester": ss58.encode(result.requester),
            "answer": result.output.decode(errors="replace"),
            "order": "0x" + result.order.hex(),
            "miners": [
                {
                    "hotkey": ss58.encode(part.hotkey),
                    "verdict": part.verdict.name,
                    "exact": part.exact,
                    "receipt": None if part.receipt is None else "0x" + part.receipt.hex(),
                }
                for part in result.parts
            ],
        },
        as_json,
    )


def proven(found: StateProof, block: str) -> tuple[int, Result]:
    """The number and the answer that a proof shows; BadProof if it shows none."""
    number = requests.number_of(found.key)
    if number is None:
        raise BadProof("the proof is about something else than an answer")
    try:
        result: Result = RESULT.decode(found.value(block))
    except DecodeError as e:
        raise BadProof(f"what is stored there is no answer: {e}") from e
    return number, result
