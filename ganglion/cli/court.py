"""`ganglion court`: cases that bonds and juries decide; stand ready, open, double, vote, appeal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ganglion import court, ss58
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
from ganglion.cli.subnet import nothing_of
from ganglion.client import Client
from ganglion.court import CaseFacts, JurorFacts, NoSeat
from ganglion.hashing import blake2_256
from ganglion.wire.votes import Side, Vote

app = new_app("Settle by bonds and a jury of validators what no computation decides.")

Number = Annotated[int, typer.Argument(min=0, help="The case's number.")]
Hotkey = Annotated[str, typer.Argument(help="The juror: an address, WALLET/HOTKEY, or //Bob.")]
Amount = Annotated[str, typer.Argument(help="TAO, exact decimal, as in 7.5.")]
Evidence = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, help="What jurors read; its hash is sent.")
]
Reference = Annotated[str, typer.Option(help="Where jurors find it: 96 bytes at the most.")]
VoteFile = Annotated[Path, typer.Argument(dir_okay=False, help="Where the vote is kept.")]


def _send(how: How, name: str, /, **args: Any) -> None:
    send(how, lambda r: r.call(court.PALLET, name, **args))


def _said(evidence: Path, reference: str) -> dict[str, bytes]:
    return {"evidence": blake2_256(evidence.read_bytes()), "reference": reference.encode()}


# -- jurors ----------------------------------------------------------------------------------------


@app.command()
@sending
def stand(netuid: Netuid, hotkey: Hotkey, amount: Amount, how: How) -> None:
    """Stand ready as a juror with a validator of yours, or add to its deposit; 1 TAO a seat."""
    who, rao = hotkey_of(hotkey, how.root), Balance.tao(amount).as_rao()
    _send(how, "stand", netuid=netuid, hotkey=who, amount=rao)


@app.command()
@sending
def leave(netuid: Netuid, hotkey: Hotkey, how: How) -> None:
    """Be drawn no more, from the block on that the chain says."""
    _send(how, "leave", netuid=netuid, hotkey=hotkey_of(hotkey, how.root))


@app.command()
@sending
def withdraw(netuid: Netuid, hotkey: Hotkey, how: How) -> None:
    """Take a juror's deposit back, after it has left and its cases are over."""
    _send(how, "withdraw", netuid=netuid, hotkey=hotkey_of(hotkey, how.root))


@app.command()
def jurors(netuid: Netuid, at: At = "", url: Url = URL_DEFAULT, as_json: Json = False) -> None:
    """List who stands ready on a subnet."""

    async def look(client: Client) -> list[JurorFacts]:
        view = await view_at(client, at)
        return await court.jurors(view, netuid) or await nothing_of(view, netuid)

    found = ask(url, look)
    if as_json:
        show(found, as_json)
        return
    columns = ("juror", "TAO", "in seats", "leaves", "deposit of")
    rows = [
        (
            brief(one.hotkey),
            format_amount(one.amount),
            format_amount(one.locked),
            one.leaves or "-",
            brief(one.payer),
        )
        for one in found
    ]
    table(f"subnet {netuid}: {len(found)} jurors", columns, rows)


# -- parties ---------------------------------------------------------------------------------------


@app.command("open")
@sending
def open_(
    netuid: Netuid,
    respondent: Annotated[str, typer.Argument(help="Against whom: an address, a wallet, //Bob.")],
    evidence: Evidence,
    how: How,
    bond: Annotated[str, typer.Option(help="TAO, 1 to 1000; 0.05 more burn.")] = "1",
    reference: Reference = "",
) -> None:
    """Open a case against an account; who does not answer by twice the bond has lost."""
    rao, who = Balance.tao(bond).as_rao(), account_of(respondent, how.root)
    said = _said(evidence, reference)
    _send(how, "open", netuid=netuid, respondent=who, bond=rao, **said)


@app.command()
@sending
def double(number: Number, how: How) -> None:
    """Put twice the last bond for the other side; `court show` says how much that is."""
    _send(how, "double", id=number)


@app.command()
@sending
def appeal(number: Number, how: How) -> None:
    """Put twice the last bond for the side that the jury has found against."""
    _send(how, "appeal", id=number)


@app.command()
@sending
def evidence(number: Number, evidence: Evidence, how: How, reference: Reference = "") -> None:
    """Point the jurors to something more."""
    _send(how, "give_evidence", id=number, **_said(evidence, reference))


# -- votes -----------------------------------------------------------------------------------------


@app.command()
@sending
def vote(
    number: Number,
    hotkey: Hotkey,
    side: Annotated[str, typer.Argument(help="claimant or respondent.")],
    file: VoteFile,
    how: How,
) -> None:
    """Vote as a juror, hidden: the file that this writes is needed to show the vote later."""
    try:
        chosen = court.side_of(side)
    except ValueError as e:
        raise typer.BadParameter(str(e)) from None
    who = hotkey_of(hotkey, how.root)

    async def make(client: Client) -> Vote:
        genesis = bytes.fromhex(client.genesis_hash.removeprefix("0x"))
        return await court.new_vote(await client.at_head(), genesis, number, who, chosen)

    made = ask(how.url, make)
    if not how.dry_run:
        court.write_vote(file, made)
    _send(how, "commit", id=number, hotkey=who, commitment=made.commitment())


@app.command()
@sending
def reveal(file: VoteFile, how: How) -> None:
    """Show the vote in a file, when all jurors have voted or their time is over."""
    made = court.read_vote(file)
    args = {"id": made.id, "hotkey": ss58.encode(made.juror), "side": made.side.name}
    _send(how, "reveal", **args, salt=made.salt)


# -- looking ---------------------------------------------------------------------------------------


@app.command("list")
def list_(
    netuid: Annotated[int | None, typer.Argument(min=0, max=65_535, help="One subnet.")] = None,
    account: Annotated[str, typer.Option(help="Only those of this party, backer or juror.")] = "",
    at: At = "",
    url: Url = URL_DEFAULT,
    root: Root = ROOT_DEFAULT,
    as_json: Json = False,
) -> None:
    """List the cases that go on, and what each waits for."""
    who = account_of(account, root) if account else None

    async def look(client: Client) -> list[CaseFacts]:
        return await court.cases(await view_at(client, at))

    here = [case for case in ask(url, look) if netuid in (None, case.netuid)]
    found = [case for case in here if who is None or who in case.people]
    if as_json:
        show([_plain(case) for case in found], as_json)
        return
    columns = ("case", "subnet", "claimant", "respondent", "about", "waits for", "until")
    rows = [
        (
            case.number,
            case.netuid,
            brief(case.claimant),
            brief(case.respondent),
            "-" if case.job is None else f"job {case.job}",
            _waits(case),
            case.until,
        )
        for case in found
    ]
    table(f"{len(found)} cases", columns, rows)


@app.command("show")
def show_(number: Number, at: At = "", url: Url = URL_DEFAULT, as_json: Json = False) -> None:
    """Show a case: its bonds, who sits in its jury, who has voted."""

    async def look(client: Client) -> CaseFacts | None:
        return await court.read(await view_at(client, at), number)

    found = ask(url, look)
    if found is None:
        raise NoSeat(f"there is no case {number}, or it is over: its events say how")
    show(_plain(found), as_json)


def _plain(case: CaseFacts) -> dict[str, Any]:
    return {
        "case": case.number,
        "netuid": case.netuid,
        "claimant": case.claimant,
        "respondent": case.respondent,
        "job": case.job,
        "evidence": "0x" + case.evidence.hex(),
        "reference": case.reference,
        "waits_for": case.phase,
        "until": case.until,
        "bonds": [
            {"for": _name(bond.side), "by": bond.who, "tao": format_amount(bond.amount)}
            for bond in case.bonds
        ],
        "next_bond": format_amount(case.price),
        "juries": [
            [
                {
                    "juror": seat.hotkey,
                    "votes": seat.votes,
                    "has_voted": seat.committed,
                    "for": _name(seat.shown),
                }
                for seat in jury
            ]
            for jury in case.juries
        ],
        "ruling": _name(case.ruling),
        "appealed": case.appealed,
    }


def _name(side: Side | None) -> str | None:
    return None if side is None else side.name.lower()


def _waits(case: CaseFacts) -> str:
    last = case.bonds[-1].side
    match case.phase:
        case "Bonding":
            return f"{format_amount(case.price)} TAO for the {_name(last.other)}"
        case "Drawing":
            return "a jury"
        case "Voting":
            return "votes"
        case "Revealing":
            return "votes to be shown"
        case _:
            return f"an appeal against the {_name(case.ruling)}"
