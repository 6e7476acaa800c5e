"""Checkers of the Yuma families: whole epochs and the scalar functions under them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from consensus.replay.difference import Case, Difference, Engine

KINDS: dict[str, Callable[[Case, Engine], Iterable[Difference]]] = {}
