"""docs/upstream.toml: for every test of upstream's suites, that it passes or why it fails.

A test's value is `passes`, `skips`, or the name of a reason from the `[reasons]` table. What a
run saw is compared with the list, so that a change for the worse or the better is told.
"""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PASSES, SKIPS, UNKNOWN = "passes", "skips", "unexplained"


@dataclass
class Listing:
    """The whole file: reasons by name, suites by name, each test with its value."""

    reasons: dict[str, str] = field(default_factory=dict)
    suites: dict[str, dict[str, str]] = field(default_factory=dict)


def read(path: Path) -> Listing:
    """The list as it is; an empty one when there is no file."""
    if not path.is_file():
        return Listing()
    made = tomllib.loads(path.read_text())
    return Listing(made.pop("reasons", {}), made)


def write(path: Path, listing: Listing) -> None:
    """Write the list, tests in the order of their files."""
    lines = [
        "# Upstream's tests against our node; docs/upstream.md says how this list is made.",
        "",
    ]
    lines += ["[reasons]", *(_pair(k, v) for k, v in listing.reasons.items())]
    for suite, tests in listing.suites.items():
        lines += ["", f"[{suite}]", *(_pair(k, v) for k, v in sorted(tests.items()))]
    path.write_text("\n".join(lines) + "\n")


def _pair(key: str, value: str) -> str:
    plain = key.replace("-", "").replace("_", "").isalnum()
    return f"{key if plain else json.dumps(key)} = {json.dumps(value, ensure_ascii=False)}"


def outcomes(rows: Iterable[dict[str, Any]]) -> dict[str, str]:
    """What became of each test: passed, skipped or failed; a failure of any phase counts."""
    found: dict[str, str] = {}
    for row in rows:
        if found.get(row["test"]) != "failed":
            found[row["test"]] = row["outcome"]
    return found


def merged(tests: dict[str, str], seen: dict[str, str]) -> dict[str, str]:
    """A suite's list after a run: a failure keeps the reason that it has."""
    made = dict(tests)
    for test, outcome in seen.items():
        if outcome == "failed":
            known = made.get(test, UNKNOWN)
            made[test] = UNKNOWN if known in (PASSES, SKIPS) else known
        else:
            made[test] = PASSES if outcome == "passed" else SKIPS
    return made


def differences(tests: dict[str, str], seen: dict[str, str]) -> list[str]:
    """One line for each test that went otherwise than the list says."""
    after = merged(tests, seen)
    return [
        f"{test}: the list says {tests.get(test, 'nothing')}, now {after[test]}"
        for test in seen
        if tests.get(test) != after[test] or after[test] == UNKNOWN
    ]


def counts(tests: dict[str, str]) -> tuple[int, int]:
    """How many pass, and of how many."""
    return Counter(tests.values())[PASSES], len(tests)
