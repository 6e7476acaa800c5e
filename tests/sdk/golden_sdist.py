"""Recorded chain data that ships in the source archive of bittensor 11.3.0 (Apache-2.0).

Fetched with pip into .cache/ when a test first asks for it; nothing of it is part of this
repository. Tests that need it skip with the reason when it cannot be had.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

VERSION = "11.3.0"
CACHE = Path(__file__).parents[2] / ".cache" / "sdist"
ARCHIVE = CACHE / f"bittensor-{VERSION}.tar.gz"


def _download() -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        command = [sys.executable, "-m", "pip", "download", "-q", f"bittensor=={VERSION}"]
        command += ["--no-deps", "--no-binary", ":all:", "-d", folder]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        except subprocess.TimeoutExpired:
            pytest.skip(f"pip took over 300 s to fetch bittensor {VERSION}")
        found = Path(folder) / ARCHIVE.name
        if done.returncode or not found.exists():
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            pytest.skip(f"bittensor {VERSION} cannot be fetched with pip: {last}")
        os.replace(found, ARCHIVE)


@cache
def fixture(name: str) -> Any:
    """A JSON file below tests/fixtures of the archive, or a skip with the reason."""
    if not ARCHIVE.exists():
        _download()
    with tarfile.open(ARCHIVE) as archive:
        member = archive.extractfile(f"bittensor-{VERSION}/tests/fixtures/{name}")
        assert member is not None
        return json.load(member)
