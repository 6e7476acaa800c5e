"""The Triton kernels in Triton's interpreter: their arithmetic, on machines without a GPU."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

needed = [name for name in ("torch", "triton") if find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(needed), reason=f"not installed: {needed}")
HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("check", "number"), [("draw", 264), ("draw", 5003), ("attention", 0), ("attention", 100)]
)
def test_in_the_interpreter(check, number):
    done = subprocess.run(
        [sys.executable, "-P", HERE / "interpreted_kernels.py", check, str(number)],
        env={**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": str(HERE.parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
