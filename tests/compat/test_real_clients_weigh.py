"""Unmodified SDKs and btcli 11 set weights on our node, in the open and by commit and reveal.

btcli 9 can do neither on any chain: its command asks for a storage item that none has.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BEFORE = "connect,sudo_hyperparameter,transfer,register_subnet,register_neuron,stake"


@pytest.mark.compat
@pytest.mark.parametrize("client", ["bittensor-11", "bittensor-10", "bittensor-9", "btcli-11"])
def test_weights_are_set_and_revealed(client: str) -> None:
    cells = f"{BEFORE},set_weights,commit_reveal"
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/lib/compat.py"), client, "--cells", cells],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == "passed 8 of 8"
