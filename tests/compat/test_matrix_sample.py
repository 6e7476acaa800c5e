"""A small part of the client matrix in every test run; `scripts/compat` is the whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CELLS = "connect,read,subscribe,transfer,sudo_hyperparameter,register_subnet,register_neuron"
NO_CLIENT = 75


@pytest.mark.localnet
@pytest.mark.parametrize("client", ["substrate-interface", "bittensor-11"])
def test_a_real_client_reads_pays_and_registers(client: str) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/lib/compat.py"), client, "--cells", CELLS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if done.returncode == NO_CLIENT:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "passed 7 of 7"
