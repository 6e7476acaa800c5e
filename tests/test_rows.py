"""docs/rows.toml: a row is open, or it names tests that exist (and conftest sees them pass)."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
ROWS: list[dict[str, Any]] = tomllib.loads((ROOT / "docs/rows.toml").read_text())["row"]


def test_there_are_rows() -> None:
    assert len({r["system"] for r in ROWS}) == len(ROWS) >= 29


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r["system"])
def test_row_is_open_or_shown(row: dict[str, Any]) -> None:
    assert row["status"] in ("open", "done")
    assert row["feature"]
    assert row["check"]
    assert all(isinstance(test, str) for test in row["tests"])
    assert bool(row["tests"]) == (row["status"] == "done")
    for test in row["tests"]:
        file, _, name = test.partition("::")
        path = ROOT / file
        assert path.is_file(), f"{row['system']}: {file} does not exist"
        tree = ast.parse(path.read_text())
        names = {
            n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert name in names, f"{row['system']}: {file} has no test {name}"
