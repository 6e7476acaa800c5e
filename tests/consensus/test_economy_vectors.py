"""The economy's arithmetic against values computed by the reference itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chain.replay import replay

VECTORS = Path(__file__).parents[1] / "vectors"
FILES = (
    "economy-swap",
    "economy-sharepool",
    "economy-curves",
    "coinbase-block-emission",
    "coinbase-price",
    "coinbase-terms",
    "coinbase-shares",
    "coinbase-split",
    "coinbase-share-pool",
    "coinbase-dividend-distribution",
    "coinbase-hash-indices",
)


def cases(name: str) -> list[Any]:
    lines = (VECTORS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("name", FILES)
def test_every_recorded_value_is_reproduced(name: str) -> None:
    found = cases(name)
    assert len(found) >= 60
    for number, case in enumerate(found, 1):
        assert next(iter(replay(case)), None) is None, f"{name}:{number}"


def with_one_number_changed(value: Any) -> tuple[Any, bool]:
    """The same JSON with its last number (or number in a string) one higher."""
    if isinstance(value, bool) or value is None:
        return value, False
    if isinstance(value, int):
        return value + 1, True
    if isinstance(value, str):
        return (str(int(value) + 1), True) if value.isdigit() else (value, False)
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in reversed(list(keys)):
        changed, done = with_one_number_changed(value[key])
        if done:
            if isinstance(value, dict):
                return {**value, key: changed}, True
            return [*value[:key], changed, *value[key + 1 :]], True
    return value, False


@pytest.mark.parametrize("name", FILES)
def test_a_wrong_number_is_found(name: str) -> None:
    tried = 0
    for case in cases(name)[:40]:
        result = "out" if "out" in case else "ops"
        changed, done = with_one_number_changed(case[result])
        if done:
            tried += 1
            assert list(replay({**case, result: changed}))
    assert tried > 5
