"""Quotes recorded on real machines, which ship in the source archive of dcap-qvl 0.7.0 (MIT).

Fetched with pip into .cache/ when a test first asks for them; nothing of it is part of this
repository. Tests that need them skip with the reason when they cannot be had.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import venv
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

VERSION = "0.7.0"
CACHE = Path(__file__).parents[2] / ".cache" / "sdist"
ARCHIVE = CACHE / f"dcap_qvl-{VERSION}.tar.gz"

NO_BUILD = f'''"""pip asks an archive's build system for the package's name before it keeps it;
this stands in for one that would want a compiler. Nothing is built."""
import pathlib

def get_requires_for_build_wheel(settings=None):
    return []

def prepare_metadata_for_build_wheel(folder, settings=None):
    made = pathlib.Path(folder) / "dcap_qvl-{VERSION}.dist-info"
    made.mkdir()
    text = "Metadata-Version: 2.1\\nName: dcap-qvl\\nVersion: {VERSION}\\n"
    (made / "METADATA").write_text(text)
    return made.name
'''


def _python_with_pip(folder: str) -> str:
    """This interpreter, or one beside it where this one was set up without pip (uv does that)."""
    if find_spec("pip") is not None:
        return sys.executable
    made = Path(folder) / "venv"
    venv.create(made, with_pip=True)
    return str(made / "bin" / "python")


def _download() -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        (Path(folder) / "maturin.py").write_text(NO_BUILD)
        command = [_python_with_pip(folder), "-m", "pip", "download", "-q", f"dcap-qvl=={VERSION}"]
        command += ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "-d", folder]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=300,
                env=os.environ | {"PYTHONPATH": folder},
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"pip took over 300 s to fetch dcap-qvl {VERSION}")
        found = Path(folder) / ARCHIVE.name
        if done.returncode or not found.exists():
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            pytest.skip(f"dcap-qvl {VERSION} cannot be fetched with pip: {last}")
        os.replace(found, ARCHIVE)


@dataclass(frozen=True)
class Recorded:
    """A quote, its collateral, and a time (seconds since 1970) at which both were good."""

    quote: bytes
    collateral: dict[str, str]
    time: float

    def fields(self, quote: bytes | None = None, **collateral: str) -> dict[str, Any]:
        """The fields of a piece of evidence, with changes."""
        return {
            "quote": "0x" + (quote or self.quote).hex(),
            "collateral": self.collateral | collateral,
        }


@cache
def recorded(name: str) -> Recorded:
    """A recorded quote: sgx_quote or tdx_quote; a skip with the reason."""
    pytest.importorskip("dcap_qvl", reason="quotes are judged by dcap-qvl, which is not here")
    if not ARCHIVE.exists():
        _download()
    with tarfile.open(ARCHIVE) as archive:

        def member(path: str) -> bytes:
            found = archive.extractfile(f"dcap_qvl-{VERSION}/sample/{path}")
            assert found is not None
            return found.read()

        collateral = json.loads(member(f"{name}_collateral.json"))
        issued = max(
            datetime.fromisoformat(json.loads(collateral[part])["issueDate"]).timestamp()
            for part in ("tcb_info", "qe_identity")
        )
        return Recorded(member(name), collateral, issued + 86_400)
