"""The pytest plugin, used as a subnet's own suite would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = """
from ganglion.keys import dev_key

def test_one(ganglion):
    assert ganglion.rpc("chain_getHeader")["number"] == "0x0"
    ganglion.rpc("dev_faucet", dev_key("Alice").address)
    assert ganglion.rpc("chain_getHeader")["number"] == "0x1"

def test_two(ganglion):
    assert ganglion.rpc("chain_getHeader")["number"] == "0x0"
    assert ganglion.url.startswith("ws://127.0.0.1:")
"""


@pytest.mark.parametrize(("flags", "words"), [(["--ganglion"], "2 passed"), ([], "2 skipped")])
def test_every_test_gets_a_fresh_chain(tmp_path: Path, flags: list[str], words: str):
    (tmp_path / "test_subnet.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-p", "chain.dev.pytest_plugin", *flags]
    # Without autoload, so that it does not matter whether the package is installed.
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [*command, "-o", "addopts=", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stdout
    assert words in done.stdout


def test_the_suite_of_the_documentation_passes(tmp_path: Path):
    text = (Path(__file__).parents[2] / "docs/testing-subnets.md").read_text()
    (tmp_path / "test_my_subnet.py").write_text(text.split("```python\n")[1].split("```")[0])
    command = [sys.executable, "-m", "pytest", "-p", "chain.dev.pytest_plugin", "--ganglion"]
    done = subprocess.run(
        [*command, "-o", "addopts=", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
    assert "2 passed" in done.stdout, done.stdout
