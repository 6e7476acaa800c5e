"""Replay of recorded vectors: which checker a line belongs to, and what differed.

A vector is one JSON object a line. Its shape names its kind:

    {"k": "exp", ...}                 -> "economy/exp"
    {"f": "mul", ...}                 -> "math/mul"
    {"in": {"f": "emit", ...}, ...}   -> "coinbase/emit"
    {"in": {...}, "out": {...}}       -> "epoch"

Every family is a module of this package with a table `KINDS` from such a name to a checker.
To add a family: write the module and name it in `FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from consensus.replay import coinbase, economy, yuma
from consensus.replay.difference import Case, Difference, Engine, compare, integers

__all__ = [
    "KINDS",
    "Case",
    "Check",
    "Difference",
    "Engine",
    "compare",
    "integers",
    "kind_of",
    "replay",
]

Check = Callable[[Case, Engine], Iterable[Difference]]

FAMILIES = (yuma, coinbase, economy)

KINDS: Mapping[str, Check] = {
    kind: check for family in FAMILIES for kind, check in family.KINDS.items()
}


def kind_of(case: Case) -> str:
    """The name of a case's kind, read from its shape."""
    inner = case.get("in")
    if "k" in case:
        return f"economy/{case['k']}"
    if isinstance(inner, dict):
        return f"coinbase/{inner['f']}" if "f" in inner else "epoch"
    return f"math/{case.get('f')}"


def replay(case: Case, engine: Engine) -> Iterable[Difference]:
    """The differences of one case, first first; KeyError when no checker knows its kind."""
    return KINDS[kind_of(case)](integers(case), engine)
