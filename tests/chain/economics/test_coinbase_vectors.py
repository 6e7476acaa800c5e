"""The coinbase's pallets against whole states computed by the reference itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chain.replay import replay
from chain.replay.coinbase import YUMA, _sim, with_epochs
from consensus.replay.difference import Engine, integers
from consensus.yuma import reference
from consensus.yuma.types import EpochOutcome, SubnetEpoch

VECTORS = Path(__file__).parents[2] / "vectors"
FILES = ("emit", "distribute", "parent-child", "root-claim", "schedule", "sim", "mechanisms")


def cases(name: str) -> list[Any]:
    lines = (VECTORS / f"coinbase-{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("engine", YUMA)
@pytest.mark.parametrize("name", FILES)
def test_the_pallets_reproduce_every_recorded_state(name: str, engine: Engine) -> None:
    found = cases(name)
    assert len(found) >= 12
    for number, case in enumerate(found, 1):
        assert next(iter(replay(case, engine)), None) is None, f"{name}:{number}"


@pytest.mark.parametrize("engine", YUMA)
def test_the_engine_asked_for_is_the_one_that_runs_the_epochs(engine: Engine) -> None:
    asked = []
    check = with_epochs(lambda given, yuma: asked.append(yuma) or given)
    assert not list(check({"in": {}, "out": {}}, engine))
    assert asked == [YUMA[engine]]


def test_the_pallets_run_the_engine_they_are_given() -> None:
    case = next(case for case in cases("sim"))
    inputs = []

    def noting(subnet: SubnetEpoch) -> EpochOutcome:
        inputs.append(subnet)
        return reference.epoch(subnet)

    _sim(integers(case)["in"], noting)
    assert inputs


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
