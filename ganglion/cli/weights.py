"""`ganglion weights`: what a validator thinks of a subnet's neurons."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ganglion.cli.common import URL_DEFAULT, At, Json, Netuid, Url, ask, new_app, show, table
from ganglion.cli.sending import How, send, sending
from ganglion.cli.subnet import nothing_of
from ganglion.client import Client
from ganglion.errors import EncodeError
from ganglion.weights import MECHANISM_STRIDE, commit_hash, new_salt, to_u16

app = new_app("Show, set, commit and reveal weights; the hot key signs.")

Weights = Annotated[list[str], typer.Argument(help="UID=WEIGHT, any scale: 0=1 5=0.25.")]
Mechanism = Annotated[int, typer.Option(min=0, max=15, help="The mechanism (sub-subnet).")]
VersionKey = Annotated[int, typer.Option(min=0, help="The subnet's weights version key.")]
Salt = Annotated[str, typer.Option(help="Numbers below 65536, separated by commas.")]


def parse_weights(pairs: list[str]) -> tuple[list[int], list[int]]:
    """Uids and 16-bit values of `UID=WEIGHT` texts; raises EncodeError."""
    found = {}
    for pair in pairs:
        uid, equals, weight = pair.partition("=")
        if not equals or not uid.isdecimal() or int(uid) > 65_535:
            raise EncodeError(f"{pair!r}: write weights as UID=WEIGHT, for example 3=0.5")
        if int(uid) in found:
            raise EncodeError(f"uid {uid} is given twice")
        found[int(uid)] = weight
    return to_u16(found)


def parse_salt(text: str) -> list[int]:
    """The numbers of a salt; raises EncodeError."""
    parts = text.split(",")
    if not all(p.strip().isdecimal() and int(p) < 1 << 16 for p in parts):
        raise EncodeError(f"{text!r} is no salt: give numbers below 65536 separated by commas")
    return [int(p) for p in parts]


@app.command("show")
def show_weights(
    netuid: Netuid,
    mechanism: Mechanism = 0,
    at: At = "",
    url: Url = URL_DEFAULT,
    as_json: Json = False,
) -> None:
    """Show who weighs whom: one line a validator."""
    index = mechanism * MECHANISM_STRIDE + netuid

    async def look(client: Client) -> list[Any]:
        view = client.at(at) if at else client
        found = await view.query_map("SubtensorModule", "Weights", index)
        return found or await nothing_of(view, netuid)

    found = ask(url, look)
    if as_json:
        show([{"uid": uid, "weights": row} for uid, row in found], as_json)
        return
    rows = [
        (uid, "  ".join(f"{to}={value / 65_535:.4f}" for to, value in row)) for uid, row in found
    ]
    table(f"subnet {netuid}: weights of {len(rows)} validators", ("uid", "weights"), rows)


@app.command("set")
@sending
def set_weights(
    netuid: Netuid,
    weights: Weights,
    how: How,
    mechanism: Mechanism = 0,
    version_key: VersionKey = 0,
) -> None:
    """Set weights in the open: `weights set 1 0=1 2=0.5 -s mine/validator`."""
    uids, values = parse_weights(weights)
    send(
        how.by_hotkey(),
        lambda r: r.call(
            "SubtensorModule",
            "set_mechanism_weights",
            netuid=netuid,
            mecid=mechanism,
            dests=uids,
            weights=values,
            version_key=version_key,
        ),
    )


@app.command()
@sending
def commit(
    netuid: Netuid,
    weights: Weights,
    how: How,
    salt: Salt = "",
    mechanism: Mechanism = 0,
    version_key: VersionKey = 0,
) -> None:
    """Commit to weights; print the salt that revealing them needs."""
    uids, values = parse_weights(weights)
    chosen = parse_salt(salt) if salt else new_salt()
    hotkey = how.by_hotkey().key()
    digest = commit_hash(hotkey.public_key, netuid, uids, values, chosen, version_key, mechanism)
    # Standard error, and first: the salt must not be lost when submitting fails half-way.
    typer.echo(f"salt: {','.join(map(str, chosen))}", err=True)
    send(
        how.by_hotkey(),
        lambda r: r.call(
            "SubtensorModule",
            "commit_mechanism_weights",
            netuid=netuid,
            mecid=mechanism,
            commit_hash=digest,
        ),
    )


@app.command()
@sending
def reveal(
    netuid: Netuid,
    weights: Weights,
    salt: Salt,
    how: How,
    mechanism: Mechanism = 0,
    version_key: VersionKey = 0,
) -> None:
    """Reveal committed weights: the same weights, the salt that `commit` printed."""
    uids, values = parse_weights(weights)
    numbers = parse_salt(salt)
    send(
        how.by_hotkey(),
        lambda r: r.call(
            "SubtensorModule",
            "reveal_mechanism_weights",
            netuid=netuid,
            mecid=mechanism,
            uids=uids,
            values=values,
            salt=numbers,
            version_key=version_key,
        ),
    )
