"""Disputes on the chain, as their parties and onlookers see them; see docs/disputes.md."""

from __future__ import annotations

from dataclasses import asdict, dataclass, is_dataclass
from enum import IntEnum
from typing import Any, get_args

from ganglion.client import Client
from ganglion.errors import UnknownName
from ganglion.exact.case import Case
from ganglion.exact.game import Game
from ganglion.exact.players import Choose, Commit, Move, Open, Prove
from ganglion.exact.program import Program
from ganglion.keys import CryptoType, Keypair
from ganglion.receipt import Receipt as Done
from ganglion.scale import field_types
from ganglion.view import Reads
from ganglion.wire.receipts import Receipt, SignedReceipt

PALLET = "Disputes"


@dataclass(frozen=True, slots=True)
class DisputeFacts:
    """An open dispute: who against whom, by which program, and how the game stands."""

    number: int
    netuid: int
    hotkey: str
    challenger: str
    deposit: int
    about: bytes
    request: bytes
    program: bytes
    game: Game
    deadline: int


async def are_judged(chain: Reads) -> bool:
    """Whether the chain judges disputes at all; upstream's does not."""
    try:
        await chain.constant(PALLET, "MaxOpen")
    except UnknownName:
        return False
    return True


async def disputes(chain: Reads) -> list[DisputeFacts]:
    """All disputes that are not over, by number."""
    found = [_facts(int(n), one) for n, one in await chain.query_map(PALLET, "Disputes")]
    return sorted(found, key=lambda one: one.number)


async def read(chain: Reads, number: int) -> DisputeFacts | None:
    """A dispute; None if it is over or never was."""
    found = await chain.query(PALLET, "Disputes", number)
    return None if found is None else _facts(number, found)


async def case_of_dispute(chain: Reads, number: int) -> Case | None:
    """What a dispute is about; None if it is over."""
    found = await chain.query(PALLET, "Cases", number)
    return None if found is None else _made(Case, found)


async def programs(chain: Reads) -> list[tuple[bytes, str, int, Program]]:
    """Name, publisher, users and program of all that are published."""
    return [
        (_bytes(name), str(one["owner"]), int(one["users"]), _made(Program, one["program"]))
        for name, one in await chain.query_map(PALLET, "Programs")
    ]


async def accepted(chain: Reads, netuid: int, hotkey: str, weights: bytes) -> bytes | None:
    """The name of the program that a miner has accepted for a model."""
    found = await chain.query(PALLET, "Accepted", netuid, hotkey, weights)
    return None if found is None else _bytes(found["program"])


async def is_moot(chain: Reads, one: DisputeFacts) -> bool:
    """Whether the miner has been slashed for this request already."""
    return bool(await chain.query("Bonds", "Punished", one.about))


async def stand_by(
    client: Client, key: Keypair, netuid: int, hotkey: str, program: Program
) -> bool:
    """Publish a program unless it is, and accept it for a hotkey unless it has; whether anything
    was to do. TransactionFailed if the hotkey has no bond or has accepted another program."""
    if await accepted(client, netuid, hotkey, program.weights) == program.name():
        return False
    if await client.query(PALLET, "Programs", program.name()) is None:
        await _send(client, key, "publish", program=asdict(program))
    await _send(client, key, "accept", netuid=netuid, hotkey=hotkey, program=program.name())
    return True


async def open_dispute(client: Client, key: Keypair, signed: SignedReceipt, body: bytes) -> int:
    """Say that a receipt's tokens are wrong; the dispute's number. TransactionFailed if the chain
    does not take it up."""
    done = await _send(client, key, "open", **_claim(signed, body))
    opened = next(e for e in done.events if (e.pallet, e.name) == (PALLET, "DisputeOpened"))
    return int(opened.args["id"])


async def report_usage(client: Client, key: Keypair, signed: SignedReceipt, body: bytes) -> Done:
    """Show that a receipt counts wrongly: the miner is slashed. TransactionFailed if it does not,
    or no bond stands behind it."""
    return await _send(client, key, "report_usage", **_claim(signed, body))


def _claim(signed: SignedReceipt, body: bytes) -> dict[str, Any]:
    kind = "Ed25519" if signed.crypto is CryptoType.ED25519 else "Sr25519"
    receipt = fields_of(signed.receipt)
    return {"receipt": receipt, "signature": {kind: signed.signature}, "body": body}


async def make_move(client: Client, key: Keypair, number: int, move: Move) -> Done:
    """Send a move; TransactionFailed if the game does not allow it."""
    match move:
        case Commit(root):
            return await _send(client, key, "commit", id=number, root=root)
        case Open(hashes):
            return await _send(client, key, "split", id=number, hashes=list(hashes))
        case Choose(which):
            return await _send(client, key, "choose", id=number, which=which)
        case Prove(proof):
            return await _send(client, key, "prove", id=number, proof=asdict(proof))


async def resolve(client: Client, key: Keypair, number: int) -> Done:
    """End a dispute whose deadline is over; TransactionFailed if it is not."""
    return await _send(client, key, "resolve", id=number)


def fields_of(receipt: Receipt) -> dict[str, Any]:
    """A receipt as calls take it."""
    found: dict[str, Any] = {name: getattr(receipt, name) for name in Receipt.__slots__}
    return found | {"tokens": list(receipt.tokens), "finish": receipt.finish.name}


async def _send(client: Client, key: Keypair, name: str, **args: Any) -> Done:
    call = await client.compose(PALLET, name, **args)
    return (await client.submit(call, key)).check()


def _facts(number: int, found: dict[str, Any]) -> DisputeFacts:
    return DisputeFacts(
        number,
        int(found["netuid"]),
        found["hotkey"],
        found["challenger"],
        int(found["deposit"]),
        _bytes(found["about"]),
        _bytes(found["request"]),
        _bytes(found["program"]),
        _made(Game, found["game"]),
        int(found["deadline"]),
    )


def _made(tp: Any, value: Any) -> Any:
    """A value of one of the shared types from what the node's metadata makes of it."""
    inner = next((part for part in get_args(tp) if is_dataclass(part)), tp)  # of an optional one
    if value is not None and is_dataclass(inner) and isinstance(inner, type):
        return inner(**{name: _made(part, value[name]) for name, part in field_types(inner)})
    if isinstance(tp, type) and issubclass(tp, IntEnum):
        return tp[value]
    if isinstance(value, list | tuple):
        return tuple(_made(None, one) for one in value)
    return _bytes(value) if isinstance(value, str) else value


def _bytes(text: str | bytes) -> bytes:
    return bytes.fromhex(text.removeprefix("0x")) if isinstance(text, str) else bytes(text)
