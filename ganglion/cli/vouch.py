"""`ganglion vouch`: say of whom you know that he is a person of his own, and see who says so."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ganglion import vouching
from ganglion.cli.common import (
    ROOT_DEFAULT,
    URL_DEFAULT,
    At,
    Json,
    Root,
    Url,
    account_of,
    ask,
    brief,
    new_app,
    show,
    table,
    view_at,
)
from ganglion.cli.sending import How, send, sending

app = new_app("Vouch for accounts whose owners you know; validators may ask for it.")

Account = Annotated[str, typer.Argument(help="An address, a wallet's name, or //Bob.")]


@app.command("for")
@sending
def for_(account: Account, how: How) -> None:
    """Vouch for an account; it counts once that account vouches for yours."""
    _send("vouch", account, how)


@app.command()
@sending
def withdraw(account: Account, how: How) -> None:
    """Vouch for an account no more; the deposit comes back."""
    _send("withdraw_vouch", account, how)


def _send(name: str, account: str, how: How) -> None:
    other = account_of(account, how.root)
    send(how, lambda r: r.call(vouching.PALLET, name, other=other))


@app.command("show")
def show_(
    account: Account,
    at: At = "",
    url: Url = URL_DEFAULT,
    root: Root = ROOT_DEFAULT,
    as_json: Json = False,
) -> None:
    """List for whom an account vouches and who vouches for it."""
    own = account_of(account, root)

    async def look(client: Any) -> list[tuple[str, str]]:
        return await vouching.vouches(await view_at(client, at))

    given = ask(url, look)
    mine, theirs = {b for a, b in given if a == own}, {a for a, b in given if b == own}
    rows = [(other, other in mine, other in theirs) for other in sorted(mine | theirs)]
    if as_json:
        names = ("account", "vouched_for", "vouches_for_it")
        show([dict(zip(names, row)) for row in rows], as_json)
        return
    marks = [(brief(other), *("yes" if is_so else "-" for is_so in said)) for other, *said in rows]
    both = len(mine & theirs)
    title = f"{brief(own)}: {both} mutual vouches"
    table(title, ("account", "it vouches for", "vouches for it"), marks)
