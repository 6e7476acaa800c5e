"""The coinbase's pallets against whole states computed by the reference itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chain.replay import replay

VECTORS = Path(__file__).parents[2] / "vectors"
FILES = ("emit", "distribute", "parent-child", "root-claim", "schedule", "sim", "mechanisms")


def cases(name: str) -> list[Any]:
    lines = (VECTORS / f"coinbase-{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("name", FILES)
def test_the_pallets_reproduce_every_recorded_state(name: str) -> None:
    found = cases(name)
    assert len(found) >= 12
    for number, case in enumerate(found, 1):
        assert next(iter(replay(case)), None) is None, f"{name}:{number}"


def changed(value: Any) -> Any:
    """The same JSON with the first number in it, in reading order, one higher."""
    if isinstance(value, dict):
        for key, inner in value.items():
            other = changed(inner)
            if other != inner:
                return {**value, key: other}
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            other = changed(inner)
            if other != inner:
                return [*value[:at], other, *value[at + 1 :]]
    elif isinstance(value, str) and value.isdigit():
        return str(int(value) + 1)
    elif isinstance(value, int) and not isinstance(value, bool):
        return value + 1
    return value


@pytest.mark.parametrize("name", FILES)
def test_a_wrong_state_is_found(name: str) -> None:
    for case in cases(name)[:5]:
        assert list(replay({**case, "out": changed(case["out"])}))
