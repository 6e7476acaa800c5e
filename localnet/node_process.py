"""A node in a process of its own: start it, wait until it answers, ask it, measure it, stop it.

    with NodeProcess("--dev", "--tmp", "--sealing", "instant") as node:
        node.rpc("chain_getHeader")

With `command` it may be any other server of JSON-RPC over HTTP. Only the standard library is
needed here, so that whoever starts a node need not load more than that first.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self

from localnet.processes import Process

START_SECONDS = 60.0
POLL_SECONDS = 0.005
TICKS = os.sysconf("SC_CLK_TCK")
PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")


class CallFailed(RuntimeError):
    """The server answered with an error."""


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def call(port: int, method: str, *params: Any, timeout: float = 30.0) -> Any:
    """The result of one call over HTTP; raises CallFailed, or OSError while nobody listens."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    connection = HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("POST", "/", body, {"Content-Type": "application/json"})
        answer = json.load(connection.getresponse())
    finally:
        connection.close()
    if "error" in answer:
        raise CallFailed(f"{method}: {answer['error']}")
    return answer["result"]


class NodeProcess(Process):
    """A node with the given flags; `start` and `stop` again keep its port and its log.

    Without `log`, what it says is kept until the end of the `with` block only.
    """

    def __init__(
        self,
        *flags: str,
        port: int = 0,
        log: Path | None = None,
        command: Sequence[str] | None = None,
    ) -> None:
        self.port = port or free_port()
        own = (sys.executable, "-m", "chain", "--rpc-port", str(self.port))
        self._scratch = None if log else Path(tempfile.mkdtemp(prefix="ganglion-log-"))
        where = log or (self._scratch or Path()) / "log"
        super().__init__("node", [*(command or own), *flags], where)
        self.started = 0.0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self.__exit__)
            self.start()
            self.wait()
            stack.pop_all()  # it answers: the end of the `with` block stops it
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    @property
    def url(self) -> str:
        """Where its WebSocket is."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process's number."""
        assert self.child is not None, "start it first"
        return self.child.pid

    def start(self) -> None:
        """Start it without waiting."""
        self.started = time.perf_counter()
        super().start()

    def wait(self, seconds: float = START_SECONDS) -> None:
        """Until it takes connections; raises ProcessFailed if it ends, TimeoutError if it hangs."""
        deadline = time.monotonic() + seconds
        while not self.is_listening():
            if time.monotonic() > deadline:
                raise TimeoutError(f"no answer after {seconds:g} seconds:\n{self.tail()}")
            time.sleep(POLL_SECONDS)

    def is_listening(self) -> bool:
        """Whether it takes connections yet; raises ProcessFailed when it has ended."""
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except OSError:
            self.check()
            return False
        return True

    def rpc(self, method: str, *params: Any) -> Any:
        """One call over HTTP; raises as `call`."""
        return call(self.port, method, *params)

    def cpu_s(self) -> float:
        """Processor seconds used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss_mb(self) -> float:
        """Memory in MB."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE_SIZE / 1e6
