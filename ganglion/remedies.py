"""What helps against each error that a call can fail with; the sentences are in remedies.toml."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

DISPATCH = "Dispatch"
"""The table's section for errors outside any pallet, such as BadOrigin."""


@cache
def remedies() -> dict[str, dict[str, str]]:
    """All sentences, by pallet and error."""
    text = files("ganglion").joinpath("remedies.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def remedy(pallet: str, name: str) -> str:
    """Why an error usually happens and what helps; empty for one that is not in the table.

    Without a pallet the name is that of a dispatch error, with or without its detail
    (`Token.FundsUnavailable`).
    """
    section = remedies().get(pallet or DISPATCH, {})
    return section.get(name if pallet else name.partition(".")[0], "")
