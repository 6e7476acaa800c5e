"""Text to ask about: passages that nobody can list beforehand.

Callers paste code and prose into their questions. What lies at hand on every machine is Python's
own library; a passage begins at any line of it and has any length, so answers to questions about
it cannot be kept in stock. Only ASCII, so that a passage has as many bytes as characters.
"""

from __future__ import annotations

import random
import sysconfig
from functools import cache
from importlib import import_module
from pathlib import Path

LARGEST = 1 << 18
"""Bytes of a file beyond which it is left alone."""


@cache
def sources() -> tuple[Path, ...]:
    """Files of the standard library, none where it comes without its sources."""
    root = Path(sysconfig.get_path("stdlib"))
    found = [*root.glob("*.py"), *root.glob("[a-z]*/*.py")]
    return tuple(sorted(f for f in found if f.parent.name not in ("site-packages", "test")))


@cache
def topics() -> tuple[str, ...]:
    """Chapters of the language's reference, none where they are not installed."""
    try:
        found: dict[str, str] = import_module("pydoc_data.topics").topics
    except ImportError:
        return ()
    return tuple(found[name].encode("ascii", "ignore").decode() for name in sorted(found))


def draw_code(rng: random.Random, size: int) -> str:
    """About `size` characters of a program; empty where there are no sources."""
    if not sources():
        return ""
    file = rng.choice(sources())
    try:
        text = file.read_bytes()[:LARGEST].decode("ascii", "ignore")
    except OSError:
        return ""
    lines = text.splitlines(keepends=True) or [""]
    first = rng.randrange(len(lines))
    return "".join(lines[first : first + 1 + size // 20])[:size].strip("\n")


def draw_prose(rng: random.Random, size: int) -> str:
    """About `size` characters of English; empty where there are none."""
    if not topics():
        return ""
    text = rng.choice(topics())
    start = rng.randrange(len(text))
    words = text[start : start + size].split()
    return " ".join(words[1:])
