"""`scripts/facts`: the numbered behaviours of the chain, and the tests that carry their numbers."""

from __future__ import annotations

import argparse
import ast
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TITLES = ROOT / "tests" / "vectors" / "facts.toml"
DOCS = ROOT / "docs" / "facts.md"
NUMBER = re.compile(r"_([A-I]\d{2,3})(?=_|$)")
HEAD = """# Facts

The behaviours of the reference that this chain must show, by number, and the tests that carry
their numbers in their names. Written by `scripts/facts --write`; a title does not list all that its
tests check.
"""


@dataclass(frozen=True)
class Fact:
    """A numbered behaviour: its tests as `file::name`, or why it has none."""

    number: str
    title: str
    tests: tuple[str, ...]
    reason: str | None


def tests_by_number(folder: Path) -> dict[str, list[str]]:
    """Every test function whose name carries numbers, by number."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for number in NUMBER.findall(node.name):
                    where = f"{path.relative_to(ROOT)}::{node.name}"
                    found.setdefault(number, []).append(where)
    return found


def facts() -> list[Fact]:
    """All facts; ValueError for a test or a reason that names an unknown one."""
    data = tomllib.loads(TITLES.read_text(encoding="utf-8"))
    titles, reasons = data["titles"], data["left_out"]
    tests = tests_by_number(ROOT / "tests")
    unknown = sorted((tests.keys() | reasons.keys()) - titles.keys())
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: no such fact in {TITLES.relative_to(ROOT)}")
    return [
        Fact(number, title, tuple(tests.get(number, ())), reasons.get(number))
        for number, title in titles.items()
    ]


def page(all_facts: list[Fact]) -> str:
    """docs/facts.md."""
    covered = sum(bool(fact.tests) for fact in all_facts)
    lines = [HEAD, f"{covered} of {len(all_facts)} have a test.", ""]
    lines += ["| fact | what | tested in |", "| ---- | ---- | --------- |"]
    for fact in all_facts:
        files = sorted({test.partition("::")[0] for test in fact.tests})
        told = ", ".join(f"`{name}`" for name in files) or f"none: {fact.reason}"
        lines.append(f"| {fact.number} | {fact.title} | {told} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Print the list, or renew the page; 1 when a fact has neither test nor reason."""
    parser = argparse.ArgumentParser(prog="scripts/facts", description=__doc__)
    parser.add_argument("--missing", action="store_true", help="only facts without a test")
    parser.add_argument("--write", action="store_true", help=f"renew {DOCS.relative_to(ROOT)}")
    args = parser.parse_args()
    try:
        found = facts()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if args.write:
        DOCS.write_text(page(found), encoding="utf-8")
    for fact in found:
        if not (args.missing and fact.tests):
            print(f"{fact.number:5} {len(fact.tests):2} tests  {fact.title}")
    covered = sum(bool(fact.tests) for fact in found)
    print(f"{covered} of {len(found)} facts have a test")
    return 0 if all(fact.tests or fact.reason for fact in found) else 1


if __name__ == "__main__":
    sys.exit(main())
