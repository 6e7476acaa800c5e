"""What every benchmark shares: timing, the machine's name, the table and its place in the docs.

A benchmark is a file `scripts/benches/NAME.py` that ends with

    run("NAME", "What is measured, in a sentence.", rows)

where `rows(quick)` returns the rows as dictionaries with the same keys.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

Row = dict[str, Any]
DOCS = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Written by `scripts/bench`; every section names the machine and day of its figures.
"""


def median_ms(work: Callable[[], object], *, seconds: float = 1.0, least: int = 5) -> float:
    """Median wall time of `work` in milliseconds: at least `least` runs, about `seconds`."""
    work()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def machine() -> str:
    """Processor, cores and Python of this machine in a line."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip()
            for line in info.read_text().splitlines()
            if line.startswith("model name")
        ]
        model = names[0] if names else model
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    )


def table(rows: Sequence[Row]) -> str:
    """Rows as a Markdown table."""
    keys = list(rows[0])
    cells = [[_text(row[key]) for key in keys] for row in rows]
    widths = [max(len(key), *(len(line[i]) for line in cells)) for i, key in enumerate(keys)]
    lines = [keys, ["-" * w for w in widths], *cells]
    return "\n".join(
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths)) + " |" for line in lines
    )


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
    return str(value)


def record(name: str, section: str) -> None:
    """Put a section into docs/benchmarks.md in place of the last one of that name."""
    text = DOCS.read_text(encoding="utf-8") if DOCS.exists() else HEAD
    head, *sections = text.split("\n## ")
    kept = [s for s in sections if s.split("\n", 1)[0].strip() != name]
    kept.append(f"{name}\n{section}")
    kept.sort()
    DOCS.write_text(
        "\n## ".join([head.rstrip() + "\n", *(s.strip() + "\n" for s in kept)]), encoding="utf-8"
    )


def run(name: str, about: str, rows: Callable[[bool], list[Row]]) -> None:
    """Parse the options, measure, print, and record unless --json or --quick."""
    parser = argparse.ArgumentParser(prog=f"scripts/bench {name}", description=about)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--quick", action="store_true", help="fewer cases, nothing written to docs")
    args = parser.parse_args()
    result = rows(args.quick)
    if args.json:
        print(json.dumps({"benchmark": name, "machine": machine(), "rows": result}))
        return
    text = f"{about}\n\n{date.today()}, {machine()}.\n\n{table(result)}\n"
    print(f"{name}: {text}")
    if not args.quick:
        record(name, "\n" + text)
