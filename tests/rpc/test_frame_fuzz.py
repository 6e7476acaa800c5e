"""A small run of scripts/fuzz: random frames at a node's port."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/lib/fuzz.py"
SPEC = importlib.util.spec_from_file_location("fuzz_script", SCRIPT)
fuzz = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(fuzz)


def test_every_frame_is_answered_properly():
    report = fuzz.fire(60, 1500, seed=1)
    assert report["frames"] == 1500
    assert report["codes"][0] > 100, "some requests must get through"
    assert {-32700, -32600, -32602} <= set(report["codes"])


@pytest.mark.parametrize(
    "reply",
    [
        "text",
        {"id": 1, "result": 1},
        {"jsonrpc": "2.0", "id": 1},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": -32603, "message": "Internal error"}},
        {"jsonrpc": "2.0", "id": 1, "result": 1, "error": {"code": 1, "message": ""}},
        [{"jsonrpc": "2.0", "id": 1, "result": 1}, 5],
    ],
)
def test_an_improper_answer_is_noticed(reply):
    with pytest.raises(AssertionError):
        fuzz.check(b"", reply)


def test_dry_runs_on_unknown_blocks_are_refused():
    with fuzz.DevNode("manual") as node:
        request = {"jsonrpc": "2.0", "id": 1, "method": "system_dryRunAt"}
        reply = node.post(request | {"params": ["0x0504", "0x" + "de" * 32]})
        assert reply["error"]["code"] == 4003
