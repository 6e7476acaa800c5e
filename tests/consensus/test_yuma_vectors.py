"""Recorded epochs and scalar functions, replayed on both engines, and the replay tool itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from consensus.replay import KINDS, Engine, kind_of, replay

VECTORS = Path(__file__).parents[1] / "vectors"
TOOL = Path(__file__).parents[2] / "scripts" / "lib" / "replay.py"


def cases(name: str) -> list[dict]:
    return [json.loads(line) for line in (VECTORS / name).read_text().splitlines()]


@pytest.mark.parametrize("engine", ["reference", "numpy"])
@pytest.mark.parametrize("name", ["yuma-epoch.jsonl", "yuma-math.jsonl"])
def test_recorded_values(name: str, engine: Engine) -> None:
    recorded = cases(name)
    assert len(recorded) in (73, 2068)
    for case in recorded:
        assert list(replay(case, engine)) == []


@pytest.mark.parametrize("engine", ["reference", "numpy"])
def test_a_wrong_value_is_found(engine: Engine) -> None:
    case = cases("yuma-epoch.jsonl")[20]
    case["out"]["incentive_u16"][1] += 1
    next(filter(None, case["out"]["bonds_out"])).pop()
    paths = {d.path for d in replay(case, engine)}
    assert "incentive_u16[1]" in paths
    assert len([path for path in paths if path.endswith(" length")]) == 1
    assert len(paths) == 2


def test_kinds_are_told_by_shape() -> None:
    assert kind_of({"f": "mul"}) == "math/mul"
    assert kind_of({"in": {"n": 1}, "out": {}}) == "epoch"
    assert kind_of({"in": {"f": "emit"}}) == "coinbase/emit"
    assert kind_of({"k": "exp"}) == "economy/exp"
    assert "epoch" in KINDS


def tool(text: str, *options: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(TOOL.parents[2])}
    return subprocess.run(
        [sys.executable, str(TOOL), "-", *options],
        input=text,
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
    )


def test_tool_counts_and_names_the_first_difference() -> None:
    good, bad = cases("yuma-epoch.jsonl")[:2]
    bad["out"]["stake"][0] += 1
    result = tool(f"{json.dumps(good)}\n\n{json.dumps(bad)}\n")
    assert result.returncode == 1
    first, last = result.stdout.splitlines()
    assert first.startswith(f"-:3 ({bad['in']['name']}): stake[0]: recorded")
    assert last == "2 cases, 1 mismatches"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('{"in"', "not JSON"),
        ("[1]", "no checker for kind 'list'"),
        ('{"f": "nonsense"}', "no checker for kind 'math/nonsense'"),
        ('{"f": "mul", "a": 1}', "not a complete vector of kind 'math/mul'"),
        (
            '{"in": {"n": 1, "weights": [[[1]]]}, "out": {}}',
            "not a complete vector of kind 'epoch'",
        ),
        ('{"in": {"n": "x"}, "out": {}}', "not a complete vector of kind 'epoch'"),
    ],
)
def test_tool_says_what_is_wrong_with_a_line(text: str, cause: str) -> None:
    result = tool(text)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("-:1: ")
    assert cause in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_tool_explains_a_uid() -> None:
    lines = [json.dumps(case) for case in cases("yuma-epoch.jsonl")[13:15]]
    shown = tool("\n".join(lines), "--explain", "3")
    assert shown.returncode == 0
    assert shown.stdout.count("uid 3: consensus") == 2
    told = tool(lines[0], "--explain", "3", "--json")
    assert json.loads(told.stdout)["uid"] == 3
    stranger = tool(lines[0], "--explain", "99")
    assert stranger.returncode == 2
    assert stranger.stderr == "no epoch vector in - has uid 99\n"
