"""`ganglion report`: what validators together have measured of a subnet's miners."""

from __future__ import annotations

from typing import Any

from ganglion.cli.common import URL_DEFAULT, At, Json, Netuid, Url, ask, new_app, show, view_at
from ganglion.cli.common import table as print_table
from ganglion.cli.subnet import nothing_of
from ganglion.errors import UnknownName

app = new_app("What validators together have measured of a subnet's miners.")


@app.callback()
def group() -> None:
    """Keeps the command's name: a group of one would do without it."""


@app.command("show")
def show_(netuid: Netuid, at: At = "", url: Url = URL_DEFAULT, as_json: Json = False) -> None:
    """Print the medians of the latest report."""

    async def look(client: Any) -> dict[str, Any]:
        view = await view_at(client, at)
        found = await view.api("ReportsRuntimeApi", "standing", netuid)
        if found is None:
            await nothing_of(view, netuid)
            raise UnknownName(
                f"validators of subnet {netuid} have brought no report yet: "
                "`neuron-validator --report` does"
            )
        return {**found["report"], "stale": found["stale"]}

    found = ask(url, look)
    if as_json:
        show(found, as_json)
        return
    rows = [
        (m["uid"], f"{m['answered'] / 100:.1f} %", m["first_token_ms"],
         f"{m['speed'] / 1000:.1f}", m["price"])
        for m in found["miners"]
    ]  # fmt: skip
    state = "stale" if found["stale"] else "fresh"
    print_table(
        f"subnet {netuid}, round {found['round']}, {found['observers']} validators, {state}",
        ("uid", "answered right", "first token ms", "tokens/s", "price"),
        rows,
    )
