"""The transformers engine keeps its tensors on its device: a pretended one minds as CUDA does."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")


def test_no_pass_mixes_the_devices_and_all_give_the_hosts_bits():
    script = Path(__file__).with_name("other_device.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split("\n")[-2] == "as on the host"
