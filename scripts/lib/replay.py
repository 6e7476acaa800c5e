"""`scripts/replay`: run every vector of some files and count the cases that differ."""

from __future__ import annotations

import argparse
import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from chain.replay import KINDS, replay
from consensus.explain import as_json, explain, table
from consensus.replay import integers, kind_of
from consensus.replay.difference import Case, Difference, Engine
from consensus.replay.yuma import subnet_of

VECTOR_FAULTS = (KeyError, TypeError, ValueError, IndexError, AttributeError, struct.error)
"""What a checker raises on a case that lacks a field or holds the wrong type."""


class Malformed(Exception):
    """A file or line that is no vector; the message says which and why."""


def cases(source: str) -> Iterator[tuple[str, Case]]:
    """The cases of a file (`-` is standard input), each with a label `file:line`."""
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except OSError as error:
        raise Malformed(f"{source}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise Malformed(
            f"{source}: not UTF-8 text ({error.reason} at byte {error.start})"
        ) from None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        label = f"{source}:{number}"
        try:
            case = json.loads(line)
        except ValueError as error:
            raise Malformed(
                f"{label}: not JSON ({error}); a vector file has one JSON object a line"
            ) from None
        if not isinstance(case, dict) or kind_of(case) not in KINDS:
            kind = kind_of(case) if isinstance(case, dict) else type(case).__name__
            raise Malformed(
                f"{label}: no checker for kind {kind!r}; known: {', '.join(sorted(KINDS))}"
            )
        yield label, case


def name_of(case: Case) -> str:
    """What a reader calls the case: its recorded name, id or note, else nothing."""
    inner = case.get("in")
    for holder in (case, inner if isinstance(inner, dict) else {}):
        for key in ("id", "name", "note"):
            if holder.get(key):
                return f" ({holder[key]})"
    return ""


def first_difference(label: str, case: Case, engine: Engine) -> Difference | None:
    """The first difference of a case, None for none."""
    try:
        return next(iter(replay(case, engine)), None)
    except VECTOR_FAULTS as error:
        what = f"{type(error).__name__}: {error}"
        raise Malformed(
            f"{label}: not a complete vector of kind {kind_of(case)!r} ({what})"
        ) from error


def explain_all(files: list[str], uid: int, *, as_lines: bool) -> int:
    """Print one uid's epoch for every epoch vector of the files that has it; 0 when any did."""
    shown = 0
    for label, case in (pair for source in files for pair in cases(source)):
        if kind_of(case) != "epoch":
            continue
        try:
            subnet = subnet_of(integers(case["in"]))
            if uid >= subnet.n:
                continue
            explanation = explain(subnet, uid)
        except VECTOR_FAULTS as error:
            raise Malformed(f"{label}: not a complete epoch vector ({error!r})") from error
        shown += 1
        if as_lines:
            print(json.dumps({"case": label} | as_json(explanation)))
        else:
            print(f"{label}{name_of(case)}\n{table(explanation)}\n")
    if not shown:
        raise Malformed(f"no epoch vector in {', '.join(files)} has uid {uid}")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Replay the named files; 0 when nothing differs, 1 when something does, 2 on bad input."""
    parser = argparse.ArgumentParser(prog="scripts/replay", description=__doc__)
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="vector file, one JSON object a line; - for stdin"
    )
    parser.add_argument("--engine", choices=("reference", "numpy"), default="reference")
    parser.add_argument(
        "--explain", type=int, metavar="UID", help="show what made this uid's pay in each epoch"
    )
    parser.add_argument("--json", action="store_true", help="explanations as one JSON line each")
    args = parser.parse_args(argv)

    total = mismatches = 0
    try:
        if args.explain is not None:
            return explain_all(args.files, args.explain, as_lines=args.json)
        for source in args.files:
            for label, case in cases(source):
                total += 1
                first = first_difference(label, case, args.engine)
                if first is not None:
                    mismatches += 1
                    print(f"{label}{name_of(case)}: {first}")
    except Malformed as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{total} cases, {mismatches} mismatches")
    return 1 if mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
