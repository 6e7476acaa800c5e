"""The processes of a local network: start, watch, stop; one log file each."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

GRACE_SECONDS = 5.0


class ProcessFailed(Exception):
    """A process of the network ended by itself; the text carries the end of its log."""


@dataclass
class Process:
    """One child process whose output goes to `log`."""

    name: str
    command: list[str]
    log: Path
    child: subprocess.Popen[bytes] | None = None
    env: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches only us."""
        with self.log.open("ab") as out:
            self.child = subprocess.Popen(
                self.command,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **self.env},
                start_new_session=True,
            )

    def stop(self, grace: float = GRACE_SECONDS) -> int:
        """Ask it to end, kill it if it does not; the exit code, 0 if it was never started."""
        if self.child is None:
            return 0
        _signal(self, signal.SIGTERM)
        try:
            return self.child.wait(grace)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """End it at once; the exit code."""
        if self.child is None:
            return 0
        _signal(self, signal.SIGKILL)
        return self.child.wait()

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.child is not None and self.child.poll() is None

    def tail(self, lines: int = 12) -> str:
        """The end of the log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def check(self) -> None:
        """Raise ProcessFailed when it has ended."""
        if self.child is not None and self.child.poll() is not None:
            raise ProcessFailed(
                f"{self.name} ended with code {self.child.returncode}; the end of {self.log}:\n"
                f"{self.tail()}"
            )


@dataclass
class Group:
    """All processes of a network, stopped together in reverse order."""

    folder: Path
    members: list[Process] = field(default_factory=list)

    def start(self, name: str, command: list[str], env: dict[str, str] | None = None) -> Process:
        """Start a process and remember it."""
        process = Process(name, command, self.folder / f"{name}.log", env=env or {})
        process.start()
        return self.add(process)

    def add(self, process: Process) -> Process:
        """Remember a process that has been started."""
        self.members.append(process)
        return process

    def check(self) -> None:
        """Raise ProcessFailed for the first process that has ended."""
        for process in self.members:
            process.check()

    def stop(self) -> None:
        """Ask all to end, wait a little, then kill those that did not."""
        alive = [p for p in reversed(self.members) if p.running]
        for process in alive:
            _signal(process, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        while any(p.running for p in alive) and time.monotonic() < deadline:
            time.sleep(0.02)
        for process in alive:
            if process.running:
                _signal(process, signal.SIGKILL)
        for process in alive:
            if process.child is not None:
                process.child.wait()


def _signal(process: Process, number: int) -> None:
    if process.child is not None:
        try:
            os.killpg(process.child.pid, number)
        except ProcessLookupError:
            return
