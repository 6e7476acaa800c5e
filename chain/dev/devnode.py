"""A developers' node inside this process, for tests: real RPC on a real port, state in memory.

    with DevNode(sealing="instant") as node:
        node.rpc("chain_getHeader")

It starts in well under a second and costs a thread; several may run side by side.
"""

from __future__ import annotations

import asyncio
import http.client
import threading
from concurrent.futures import Future
from types import TracebackType
from typing import Any

import orjson
import uvloop

from chain.chainspec import ChainSpec, preset
from chain.node import FullNode, NodeConfig
from chain.rpc.errors import RpcError
from chain.rpc.server import RpcConfig
from chain.runtime_spec import make_runtime
from chain.sealing import parse_sealing
from chain.store.chain import ChainStore
from ganglion.keys import dev_key


class DevNode:
    """Use as a context manager; `url` and `port` are known inside."""

    def __init__(
        self,
        sealing: str | None = "instant",
        *,
        port: int = 0,
        keys: tuple[str, ...] = ("Alice",),
        spec: ChainSpec | None = None,
    ) -> None:
        self._config = NodeConfig(
            rpc=RpcConfig(ports=(port,)),
            sealing=parse_sealing(sealing),
            keys=tuple(dev_key(name) for name in keys),
            dev=True,
        )
        self._spec = spec
        self._up: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="dev-node", daemon=True)
        self._connection: http.client.HTTPConnection | None = None
        self.node: FullNode
        self.port = 0

    @property
    def url(self) -> str:
        """The WebSocket address."""
        return f"ws://127.0.0.1:{self.port}"

    def __enter__(self) -> DevNode:
        self._thread.start()
        self._up.result(timeout=30)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._connection is not None:
            self._connection.close()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=30)

    def rpc(self, method: str, *params: Any) -> Any:
        """Call a method over HTTP; its result. Raises RpcError."""
        answer = self.post({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
        if "error" in answer:
            error = answer["error"]
            raise RpcError(error["code"], error["message"], error.get("data"))
        return answer["result"]

    def post(self, body: Any) -> Any:
        """Post any JSON value (or bytes, as they are) and return the decoded answer."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        self._connection.request("POST", "/", raw, {"Content-Type": "application/json"})
        reply = self._connection.getresponse().read()
        return orjson.loads(reply) if reply else None

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        finally:
            if not self._up.done():
                self._up.set_exception(RuntimeError("the node did not start; see above"))

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        runtime = make_runtime()
        spec = self._spec or preset("dev", runtime)
        self.node = FullNode(runtime, spec, ChainStore.open(None, spec.genesis), self._config)
        await self.node.start()
        self.port = self.node.server.ports[0]
        self._up.set_result(None)
        await self._stop.wait()
        await self.node.stop()
