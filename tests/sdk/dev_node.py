"""A real development node in a process of its own, for tests of what speaks to it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).parents[2]
_READY = re.compile(r"rpc=(ws://\S+)")


class DevNode:
    """`ganglion node --dev` on a free port; `stop` and `start` keep port and data."""

    def __init__(self, folder: Path, *args: str) -> None:
        self._args, self._folder = args, folder
        self.port = 0
        self.url = ""
        self._process: subprocess.Popen[str] | None = None
        self.log: list[str] = []

    def __enter__(self) -> DevNode:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        command = [sys.executable, "-m", "ganglion.cli", "node", "--dev"]
        command += ["--base-path", str(self._folder), "--rpc-port", str(self.port), *self._args]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        ready = threading.Event()
        threading.Thread(target=self._read, args=(self._process, ready), daemon=True).start()
        if not ready.wait(60) or not self.url:
            self.stop()
            raise RuntimeError("the node did not start:\n" + "".join(self.log[-20:]))

    def _read(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.log.append(line)
            found = _READY.search(line)
            if found:
                self.url = found[1]
                self.port = int(self.url.rpartition(":")[2])
                ready.set()
        ready.set()

    def stop(self) -> int:
        """End it with SIGTERM; the exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
