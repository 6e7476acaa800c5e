"""The Triton kernels on machines without a GPU: interpreted, and compiled for cards."""

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


@pytest.mark.parametrize("generation", [80, 90])
def test_they_compile_for_a_card_and_the_draw_rounds_as_numpy_does(generation, tmp_path):
    done = subprocess.run(
        [sys.executable, "-P", HERE / "compiled_kernels.py", str(generation)],
        env={**os.environ, "TRITON_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(HERE.parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "add.rn.f64 div.rn.f64 mul.rn.f64 sub.rn.f64" in done.stdout
