"""Pallets of our own through clients that never heard of them: metadata is all they have."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from chain.dev.devnode import DevNode

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(__file__).parent / "clients"
CACHE = ROOT / ".cache/clients"


@pytest.mark.localnet
@pytest.mark.parametrize("client", ["substrate-interface", "polkadot-js"])
def test_asks_leases_and_bonds_need_no_special_client(
    client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, script = CACHE / client, SCRIPTS / f"market_{client.replace('-', '_')}.py"
    interpreter = str(folder / "bin/python")
    if client == "polkadot-js":  # node looks for packages beside the script
        interpreter, script = "node", folder / "market_polkadot_js.mjs"
        if not (folder / ".packages").is_file() or shutil.which(interpreter) is None:
            pytest.skip(f"{client} is not prepared: `scripts/compat {client}` does that")
        shutil.copy(SCRIPTS / script.name, script)
    else:
        monkeypatch.syspath_prepend(str(ROOT / "scripts" / "lib"))
        import compat

        try:
            compat.prepare(next(c for c in compat.CLIENTS if c.name == client))
        except compat.Unprepared as e:
            pytest.skip(str(e))
    with DevNode() as node:
        command = (interpreter, str(script), node.url)
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=120
        )
    assert done.stdout.splitlines()[-1:] == ["all well"], done.stdout + done.stderr
