"""`ganglion job`: single jobs at a fixed price, first come, first served."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

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
from ganglion.client import Client
from ganglion.hashing import blake2_256

app = new_app("Markets of jobs: open one, list jobs, work on them, deliver.")

PALLET = "Jobs"
STATES = {
    "Running": "run",
    "Review": "delivered",
    "Rejected": "rejected, delivered",
    "Contested": "in court, delivered",
    "RejectionContested": "in court, rejected, delivered",
}
U32 = (1 << 32) - 1
Market = Annotated[int, typer.Argument(min=0, max=U32, help="The market's number.")]
Number = Annotated[int, typer.Argument(min=0, help="The job's number.")]
Hotkey = Annotated[str, typer.Argument(help="The miner: an address, WALLET/HOTKEY, or //Bob.")]
Priority = Annotated[bool, typer.Option("--priority", help="Twice the price, before all others.")]
TaskFile = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, help="What is wanted, as JSON.")
]
ResultFile = Annotated[Path, typer.Argument(dir_okay=False, help="Where the result goes.")]
File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Its hash is sent.")]


def _send(how: How, name: str, /, **args: Any) -> None:
    send(how, lambda r: r.call(PALLET, name, **args))


@app.command("open")
@sending
def open_(
    netuid: Netuid,
    model: Annotated[str, typer.Argument(help="The model's name, as miners serve it.")],
    price: Annotated[str, typer.Argument(help="TAO a block, exact decimal, as in 0.0001.")],
    how: How,
    timeout: Annotated[int, typer.Option(min=1, help="Blocks to finish a job.")] = 50,
    expiration: Annotated[int, typer.Option(min=1, help="Blocks a job may wait.")] = 300,
    minimum: Annotated[str, typer.Option(help="TAO that a node must have bonded.")] = "0",
    review: Annotated[int, typer.Option(min=0, help="Blocks to reject a result; 0: none.")] = 0,
) -> None:
    """Open a market for jobs of one kind."""
    terms = {
        "netuid": netuid,
        "model": model.encode(),
        "job_price": Balance.tao(price).as_rao(),
        "job_timeout": timeout,
        "job_expiration": expiration,
        "node_minimum": Balance.tao(minimum).as_rao(),
        "review": review,
    }
    _send(how, "open_market", terms=terms)


@app.command("close")
@sending
def close(market: Market, how: How) -> None:
    """Close a market of yours in which nothing waits or runs."""
    _send(how, "close_market", market=market)


@app.command("post")
@sending
def post(
    market: Market,
    content: File,
    how: How,
    priority: Priority = False,
) -> None:
    """Put a job into a market: the file says what is to be done, its hash goes on the chain."""
    tier = "Priority" if priority else "Economy"
    _send(how, "list", market=market, content=blake2_256(content.read_bytes()), tier=tier)


@app.command("run")
def run(
    market: Market,
    task: TaskFile,
    result: ResultFile,
    signer: Signer = "",
    url: Url = URL_DEFAULT,
    root: Root = ROOT_DEFAULT,
    priority: Priority = False,
    as_json: Json = False,
) -> None:
    """Have a task done: list it, hand it to the miner that takes it, fetch and check the result."""
    from ganglion import jobs  # only this command calls neurons

    key, content = signer_of(signer, root), task.read_bytes()
    done = ask(url, lambda client: jobs.run(client, key, market, content, priority))
    result.write_bytes(done.raw)
    said = {"job": done.number, "miner": done.hotkey, "text": done.result.text}
    show(said | {"tokens": len(done.result.signed.receipt.tokens)}, as_json)


@app.command("work")
@sending
def work(market: Market, hotkey: Hotkey, how: How) -> None:
    """Take the oldest job of a market, or wait for one."""
    _send(how, "work", market=market, hotkey=hotkey_of(hotkey, how.root))


@app.command("finish")
@sending
def finish(number: Number, result: File, how: How) -> None:
    """Deliver a job: the hash of its result goes on the chain, and the node is paid."""
    _send(how, "finish", job=number, result=blake2_256(result.read_bytes()))


@app.command("quit")
@sending
def quit_(number: Number, how: How) -> None:
    """Give a job back unpaid."""
    _send(how, "quit", job=number)


@app.command("stop")
@sending
def stop(market: Market, hotkey: Hotkey, how: How) -> None:
    """Wait for jobs no more."""
    _send(how, "stop", market=market, hotkey=hotkey_of(hotkey, how.root))


@app.command("delist")
@sending
def delist(number: Number, how: How) -> None:
    """Take a waiting job of yours back, with its money."""
    _send(how, "delist", job=number)


@app.command("approve")
@sending
def approve(number: Number, how: How) -> None:
    """Accept what a node delivered for a job of yours; it is paid at once."""
    _send(how, "approve", job=number)


@app.command("reject")
@sending
def reject(number: Number, how: How) -> None:
    """Refuse what a node delivered for a job of yours; another node is to do it."""
    _send(how, "reject", job=number)


@app.command("contest")
@sending
def contest(
    number: Number,
    evidence: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="What jurors read; its hash goes.")
    ],
    how: How,
    reference: Annotated[str, typer.Option(help="Where jurors find it: 96 bytes.")] = "",
) -> None:
    """Go to court about a delivery: its payer in review, its node when it was rejected."""
    said = {"evidence": blake2_256(evidence.read_bytes()), "reference": reference.encode()}
    _send(how, "contest", job=number, **said)


@app.command("court")
@sending
def court(
    market: Market,
    blocks: Annotated[int, typer.Argument(min=0, help="Blocks to contest a rejection; 0: none.")],
    how: How,
) -> None:
    """Let rejections in an idle market of yours be contested before the court."""
    _send(how, "set_court", market=market, blocks=blocks)


@app.command("markets")
def markets(at: At = "", url: Url = URL_DEFAULT, as_json: Json = False) -> None:
    """List the markets, and what waits in each."""

    async def look(client: Client) -> list[tuple[int, Any, int, int]]:
        view = await view_at(client, at)
        found = sorted(await view.query_map(PALLET, "Markets"), key=lambda entry: int(entry[0]))
        waiting = []
        for number, market in found:
            both = [(PALLET, item, number) for item in ("JobQueue", "NodeQueue")]
            here = sum(map(len, await view.query_many(both)))
            court = int(await view.query(PALLET, "ContestBlocks", number))
            waiting.append((number, market, here, court))
        return waiting

    found = ask(url, look)
    if as_json:
        show([{"market": n} | m | {"waiting": w, "court": c} for n, m, w, c in found], as_json)
        return
    columns = ("market", "model", "TAO/block", "timeout", "minimum", "waiting", "running", "court")
    rows = [
        (
            number,
            f"{m['terms']['netuid']} {_text(m['terms']['model'])}",
            format_amount(m["terms"]["job_price"]),
            m["terms"]["job_timeout"],
            format_amount(m["terms"]["node_minimum"]),
            f"{waiting} {m['queue_type'].lower()}" if waiting else "-",
            m["running"],
            contest_blocks or "-",
        )
        for number, m, waiting, contest_blocks in found
    ]
    table(f"{len(found)} markets", columns, rows)


@app.command("list")
def list_(
    market: Annotated[int | None, typer.Argument(min=0, max=U32, help="One market.")] = None,
    at: At = "",
    url: Url = URL_DEFAULT,
    as_json: Json = False,
) -> None:
    """List the jobs that wait or run."""

    async def look(client: Client) -> list[tuple[int, Any]]:
        view = await view_at(client, at)
        return sorted(await view.query_map(PALLET, "Jobs"), key=lambda entry: int(entry[0]))

    found = [(n, job) for n, job in ask(url, look) if market in (None, job["market"])]
    if as_json:
        show([{"job": number} | job for number, job in found], as_json)
        return
    columns = ("job", "market", "TAO", "until", "state", "content")
    rows = [
        (
            number,
            job["market"],
            format_amount(job["deposit"]),
            job["due"],
            _state(job),
            brief(job["content"]),
        )
        for number, job in found
    ]
    table(f"{len(found)} jobs", columns, rows)


def _state(job: Any) -> str:
    if job["node"] is None:
        return "waits"
    return f"{STATES[job['state']]} by {brief(job['node']['hotkey'])}"


def _text(raw: Any) -> str:
    return raw if isinstance(raw, str) else bytes(raw).decode(errors="replace")
