"""What a network stands on: a folder and the chain's node running in it.

The node is started before anything else is loaded: it has most to load itself.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from localnet.node_process import NodeProcess
from localnet.plan import Options, PlanError
from localnet.processes import Group


@dataclass(frozen=True)
class Ground:
    """The folder with keys, logs and chain; its processes; and of these, the node."""

    folder: Path
    group: Group
    node: NodeProcess


@contextmanager
def standing(options: Options) -> Iterator[Ground]:
    """Start a node; at the end all processes stop, and a folder that nobody asked for goes."""
    folder = options.folder or Path(tempfile.mkdtemp(prefix="ganglion-localnet-"))
    try:
        for name in ("logs", "wallets", "books"):
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise PlanError(f"--base-path {folder} cannot be used: {e.strerror}") from e
    group = Group(folder / "logs")
    flags = ("--dev", "--sealing", str(options.sealing), "--base-path", str(folder / "chain"))
    node = NodeProcess(*flags, port=options.rpc_port, log=folder / "logs" / "node.log")
    try:
        node.start()
        group.add(node)
        yield Ground(folder, group, node)
    finally:
        group.stop()
        if options.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
