"""`ganglion explain-error`: what a refusal or a failure means."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Annotated, Any

import typer

from ganglion.cli.common import URL_DEFAULT, Json, Url, ask, show
from ganglion.client import Client
from ganglion.errors import UnknownName
from ganglion.pool_errors import explain, explain_custom
from ganglion.remedies import remedy
from ganglion.runtime import ModuleError, Runtime

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_MODULE = re.compile(r"(\d+)[ ,:.]+(\d+)")


@app.command()
def explain_error(
    what: Annotated[
        list[str],
        typer.Argument(
            help="A custom number (8), a code (1010), a node's words, PALLET.ERROR, or "
            "PALLET_INDEX ERROR_INDEX."
        ),
    ],
    url: Url = URL_DEFAULT,
    as_json: Json = False,
) -> None:
    """Say what an error of the chain or of its pool means.

    Pool errors need no node; errors of pallets are read from the node's metadata.
    """
    text = " ".join(what).strip()
    if text.isdecimal():
        custom = explain_custom(int(text))
        if custom is None:
            raise UnknownName(
                f"the pool knows no custom error {text}: an error of a pallet has two numbers, "
                "as in `explain-error 7 15`"
            )
        show({"name": custom[0], "meaning": custom[1]}, as_json)
        return
    meaning = explain(text)
    if meaning:
        show({"meaning": meaning}, as_json)
        return

    async def look(client: Client) -> Any:
        return _find(client.runtime, text)

    helps = remedy("", text)
    if helps:
        show({"name": text, "remedy": helps}, as_json)
        return
    found: ModuleError = ask(url, look)
    answer = {"pallet": found.pallet, "name": found.name, "meaning": found.doc or "(no text)"}
    show(answer | {"remedy": remedy(found.pallet, found.name) or "(none known)"}, as_json)


def _find(runtime: Runtime, text: str) -> ModuleError:
    numbers = _MODULE.search(text)
    if numbers:
        return runtime.error(int(numbers[1]), int(numbers[2]))
    pallet, _, name = text.rpartition(".")
    pallets = [pallet] if pallet else list(runtime.metadata.pallets)
    for candidate in pallets:
        for error in runtime.errors(candidate):
            if error.name.lower() == name.lower():
                return error
    names = [error.name for candidate in pallets for error in runtime.errors(candidate)]
    near = get_close_matches(name, names, n=1)
    hint = f": did you mean {near[0]}?" if near else ""
    raise UnknownName(f"neither the pool nor any pallet of this chain has an error {text!r}{hint}")
