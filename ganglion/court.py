"""The court on the chain, as parties, jurors and onlookers see it; see docs/court.md.

view = await client.at_head()
for case in await court.cases(view):
    print(case.number, case.phase, case.until)
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from ganglion import ss58
from ganglion.errors import EncodeError, UnknownName
from ganglion.view import Reads
from ganglion.wire.votes import Side, Vote

PALLET = "Court"


class NoSeat(UnknownName):
    """There is no such case, or the juror does not sit in its jury."""


@dataclass(frozen=True, slots=True)
class Bond:
    """Money for a side, in rao."""

    side: Side
    who: str
    amount: int


@dataclass(frozen=True, slots=True)
class Seat:
    """A juror, its votes, whether it has committed to one, and for whom it has shown them."""

    hotkey: str
    votes: int
    committed: bool
    shown: Side | None


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """A case that goes on. `phase` is Bonding, Drawing, Voting, Revealing or Appealing, until the
    block `until`; `job` is that whose delivery it is about, if it is; `juries` are those that it
    has had, and `ruling` is that of the first."""

    number: int
    netuid: int
    claimant: str
    respondent: str
    job: int | None
    evidence: bytes
    reference: str
    phase: str
    until: int
    bonds: tuple[Bond, ...]
    juries: tuple[tuple[Seat, ...], ...]
    ruling: Side | None
    appealed: bool

    @property
    def round(self) -> int:
        """0 for the first jury, 1 for that of the appeal."""
        return int(self.appealed)

    @property
    def people(self) -> frozenset[str]:
        """The parties, who has put a bond, and the jurors."""
        sits = (seat.hotkey for jury in self.juries for seat in jury)
        backers = (bond.who for bond in self.bonds)
        return frozenset((self.claimant, self.respondent, *backers, *sits))

    @property
    def price(self) -> int:
        """What the next bond is, in rao."""
        return 2 * self.bonds[-1].amount


@dataclass(frozen=True, slots=True)
class JurorFacts:
    """Who stands ready on a subnet; `leaves` is the block from which on it is drawn no more."""

    hotkey: str
    payer: str
    amount: int
    locked: int
    leaves: int


async def cases(view: Reads) -> list[CaseFacts]:
    """All cases that are not over, by number."""
    found = [(int(n), one) for n, one in await view.query_map(PALLET, "Cases")]
    return [await _facts(view, number, one) for number, one in sorted(found, key=lambda e: e[0])]


async def read(view: Reads, number: int) -> CaseFacts | None:
    """A case; None if it is over or never was."""
    found = await view.query(PALLET, "Cases", number)
    return None if found is None else await _facts(view, number, found)


async def jurors(view: Reads, netuid: int) -> list[JurorFacts]:
    """Who stands ready on a subnet."""
    return [
        JurorFacts(
            str(hotkey), str(one["payer"]), int(one["amount"]), int(one["locked"]),
            int(one["leaves"]),
        )
        for hotkey, one in await view.query_map(PALLET, "Jurors", netuid)
    ]  # fmt: skip


async def new_vote(view: Reads, genesis: bytes, number: int, hotkey: str, side: Side) -> Vote:
    """A vote of a juror in the jury that sits now, with a fresh salt; raises NoSeat."""
    case = await read(view, number)
    sits = case.juries[-1] if case is not None and case.juries else ()
    if case is None or hotkey not in {seat.hotkey for seat in sits}:
        raise NoSeat(f"{hotkey} does not sit in a jury of case {number} now")
    juror = ss58.decode(hotkey, prefix=None)
    return Vote(genesis, number, case.round, juror, side, secrets.token_bytes(32))


def write_vote(path: Path, vote: Vote) -> None:
    """Keep a vote until it is shown, readable by its owner alone; EncodeError if the file is there
    already, since without it a vote cannot be shown any more."""
    value = {
        "genesis": vote.genesis.hex(),
        "case": vote.id,
        "round": vote.round,
        "juror": ss58.encode(vote.juror),
        "side": vote.side.name.lower(),
        "salt": vote.salt.hex(),
    }
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as e:
        raise EncodeError(f"the vote was not sent, as {path} cannot be written: {e}") from e
    with os.fdopen(handle, "wb") as file:
        file.write(orjson.dumps(value))


def read_vote(path: Path) -> Vote:
    """A vote from its file; EncodeError says what is wrong with it."""
    try:
        value = orjson.loads(path.read_bytes())
        return Vote(
            bytes.fromhex(value["genesis"]),
            int(value["case"]),
            int(value["round"]),
            ss58.decode(value["juror"], prefix=None),
            side_of(value["side"]),
            bytes.fromhex(value["salt"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise EncodeError(
            f"{path} is no vote ({e}): take the file that `ganglion court vote` wrote"
        ) from e


def side_of(text: str) -> Side:
    """A side by its name; ValueError for none."""
    for side in Side:
        if side.name.lower() == str(text).lower():
            return side
    raise ValueError(f"{text!r} is neither claimant nor respondent")


async def _facts(view: Reads, number: int, found: dict[str, Any]) -> CaseFacts:
    about = found["question"]
    both = await view.query_many([(PALLET, "Juries", number, round_) for round_ in (0, 1)])
    return CaseFacts(
        number,
        int(about["netuid"]),
        str(about["claimant"]),
        str(about["respondent"]),
        _job(about["subject"]),
        _bytes(about["evidence"]),
        _text(about["reference"]),
        str(found["phase"]),
        int(found["until"]),
        tuple(Bond(Side[b["side"]], str(b["who"]), int(b["amount"])) for b in found["bonds"]),
        tuple(tuple(map(_seat, jury)) for jury in both if jury),
        _side(found["ruling"]),
        bool(found["appealed"]),
    )


def _seat(found: dict[str, Any]) -> Seat:
    committed = found["commitment"] is not None
    return Seat(str(found["hotkey"]), int(found["votes"]), committed, _side(found["shown"]))


def _side(value: Any) -> Side | None:
    return None if value is None else Side[value]


def _job(subject: Any) -> int | None:
    if isinstance(subject, dict) and "Delivery" in subject:
        inner = subject["Delivery"]
        return int(inner["job"] if isinstance(inner, dict) else inner)
    return None


def _bytes(value: Any) -> bytes:
    return bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else bytes(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else bytes(value).decode(errors="replace")
