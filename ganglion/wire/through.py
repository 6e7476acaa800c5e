"""Sealed requests by way of a gateway: it is paid by API key and reads no more than a relay.

`GatewayCaller` stands in for `Caller` where requests are sealed: it asks the same miners the same
things, but the gateway signs for the connection, so the receipts name the gateway as the caller.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import orjson

from ganglion import ss58
from ganglion.errors import InvalidAddress
from ganglion.wire import fields
from ganglion.wire.call import CallFailed, Patience, Target, bounded, events_of
from ganglion.wire.fields import MAX_BODY, BadMessage
from ganglion.wire.sealed import PATH

SLACK = 16


class GatewayCaller:
    """Passes sealed orders on through one gateway. Use as an async context manager.

    `url` is the base that OpenAI clients use too: http://host:8080/v1.
    """

    def __init__(self, url: str, key: str, patience: Patience | None = None) -> None:
        self.url, self._key = url.rstrip("/"), key
        self._timeout = (patience or Patience()).timeout()
        self._session: aiohttp.ClientSession | None = None
        self._caller: bytes | None = None

    async def __aenter__(self) -> GatewayCaller:
        headers = {"Authorization": f"Bearer {self._key}"}
        self._session = aiohttp.ClientSession(headers=headers)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def signer(self) -> bytes:
        """The public key of the hotkey that the gateway signs with; CallFailed without one."""
        if self._caller is None:
            said = b"".join([piece async for piece in self._pieces("GET", "/sealed", b"")])
            try:
                hotkey = fields.text(fields.load_object(said), "hotkey", 64)
                self._caller = ss58.decode(hotkey, prefix=None)
            except (BadMessage, InvalidAddress) as e:
                raise CallFailed("bad-format", f"the gateway does not say who it is: {e}") from e
        return self._caller

    async def fetch(
        self,
        target: Target,
        method: str,
        path: str,
        body: bytes = b"",
        patience: Patience | None = None,
        most: int = MAX_BODY,
    ) -> bytes:
        """The miner's whole reply to a short call: its sealing key, its evidence."""
        path = f"/sealed/{target.hotkey}{path.removeprefix('/v1')}"
        return b"".join([p async for p in self._pieces(method, path, body, patience, most)])

    async def events(
        self, target: Target, body: bytes, path: str = PATH
    ) -> AsyncIterator[tuple[str, bytes]]:
        """The events of the answer to a sealed order; only such are passed on."""
        if path != PATH:
            raise CallFailed("refused", "only sealed requests go through a gateway like this")
        async for event in events_of(self._pieces("POST", "/sealed", body)):
            yield event

    async def _pieces(
        self,
        method: str,
        path: str,
        body: bytes,
        patience: Patience | None = None,
        most: int = SLACK * MAX_BODY,
    ) -> AsyncIterator[bytes]:
        if self._session is None:
            raise RuntimeError("use GatewayCaller in an `async with` block")
        url = self.url + path
        timeout = self._timeout if patience is None else patience.timeout()
        try:
            async with self._session.request(
                method, url, data=body or None, timeout=timeout, allow_redirects=False
            ) as reply:
                if reply.status != 200:
                    raise _refusal(reply.status, await reply.content.read(4096))
                async for piece in bounded(reply, most):
                    yield piece
        except TimeoutError as e:
            raise CallFailed("timeout", f"{self.url} did not answer in time") from e
        except (aiohttp.ClientError, OSError) as e:
            raise CallFailed("unreachable", f"the gateway {self.url} cannot be used: {e}") from e


def _refusal(status: int, raw: bytes) -> CallFailed:
    """What the gateway said, or passed on from the miner."""
    try:
        said = str(orjson.loads(raw)["error"]["message"])[:300]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        said = "no reason given"
    return CallFailed("busy" if status in (429, 503) else "refused", said, status)
