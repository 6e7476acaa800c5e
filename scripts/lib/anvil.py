"""Anvil, the developers' node of another ecosystem: installed from npm once, for comparison."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / ".cache/anvil"
PACKAGES = ("@foundry-rs/anvil", "@foundry-rs/anvil-linux-amd64")


def program() -> Path | None:
    """The binary; None where npm is missing or cannot get it."""
    binary = FOLDER / "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
    npm = shutil.which("npm")
    if not binary.exists() and npm is not None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / "package.json").write_text('{"private": true}')
        install = [npm, "install", "--silent", "--no-audit", "--no-fund", *PACKAGES]
        subprocess.run(install, cwd=FOLDER, check=False, stdout=subprocess.DEVNULL)
    return binary if binary.exists() else None
