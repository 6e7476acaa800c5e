"""A small piece of scripts/chaos: miners die under load, and callers notice nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy")
pytestmark = pytest.mark.localnet
ROOT = Path(__file__).resolve().parents[2]


def test_every_answer_survives_the_miners() -> None:
    script = ROOT / "scripts" / "lib" / "chaos.py"
    flags = ("kills", "--requests", "120", "--every", "3", "--json")
    done = subprocess.run(
        [sys.executable, "-P", script, *flags],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{script.parent}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)["kills"]
    assert (found["requests"], found["failed"], found["other bytes"]) == (120, 0, 0)
    assert found["miners killed"] >= 1
