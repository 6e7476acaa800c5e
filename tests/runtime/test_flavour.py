"""The three builds: fast, slow, and slow with the waits of upstream's local networks."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SHOW = """
from chain.pallets.aura import SlotDuration
from chain.pallets.subtensor.rate_limits import SET_CHILDREN_LIMIT
from chain.pallets.subtensor.storage_delegation import PendingChildKeyCooldown
from chain.runtime.flavour import LOCAL
waits = LOCAL, PendingChildKeyCooldown.default, SET_CHILDREN_LIMIT
print(SlotDuration.value, *waits)
"""


@pytest.mark.parametrize(
    ("asked", "shown"),
    [("0", "250 True 15 15"), ("1", "12000 False 7200 150"), ("local", "12000 True 15 15")],
)
def test_waits_of_each_build(asked: str, shown: str) -> None:
    env = os.environ | {"GANGLION_SLOW_BLOCKS": asked}
    done = subprocess.run([sys.executable, "-c", SHOW], env=env, capture_output=True, text=True)
    assert done.stdout.strip() == shown, done.stderr
