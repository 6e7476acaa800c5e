"""Replay of recorded vectors on the real pallets, beside the pure ones of `consensus.replay`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from chain.replay import coinbase, market
from consensus.replay import KINDS as PURE_KINDS
from consensus.replay import Case, Check, Difference, Engine, integers, kind_of

__all__ = ["KINDS", "replay"]

KINDS: Mapping[str, Check] = {**PURE_KINDS, **coinbase.KINDS, **market.KINDS}
"""Checkers by kind; where both know a kind, the pallets decide."""


def replay(case: Case, engine: Engine = "reference") -> Iterable[Difference]:
    """The differences of one case, first first; KeyError when no checker knows its kind."""
    return KINDS[kind_of(case)](integers(case), engine)
