"""A stand-in for the one service of the internet that upstream's tests ask: what is my address.

An HTTPS proxy that answers for checkip.amazonaws.com with a certificate of its own and passes
everything else on, so that the tests give the same result with and without the internet.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
from pathlib import Path

HOST = "checkip.amazonaws.com"
PUBLIC = "198.51.100.7"
"""The address that a test's machine is told it has; one of those kept for documentation."""


def certificate(folder: Path) -> Path:
    """A self-signed certificate with its key in one file, made by openssl."""
    out = folder / "standin.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650"]
    command += ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
    key = folder / "standin.key"
    subprocess.run([*command, "-keyout", key, "-out", out], check=True, stderr=subprocess.DEVNULL)
    out.write_text(out.read_text() + key.read_text())
    return out


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()


class StandIn:
    """The proxy; `async with StandIn(pem, address) as port`."""

    def __init__(self, pem: Path, address: str = PUBLIC) -> None:
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(pem)
        self._address = address

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).split()
            host, _, port = head[1].decode().rpartition(":")
            if head[0] != b"CONNECT":
                writer.write(b"HTTP/1.1 405 Only CONNECT\r\n\r\n")
            elif host == HOST:
                await self._answer(reader, writer)
            else:
                await self._pass_on(host, int(port), reader, writer)
        except (OSError, ValueError, IndexError, asyncio.IncompleteReadError):
            writer.write(b"HTTP/1.1 502 Not reached\r\n\r\n")
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        await writer.drain()
        await writer.start_tls(self._tls)
        await reader.readuntil(b"\r\n\r\n")
        body = self._address.encode() + b"\n"
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    async def _pass_on(
        self, host: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        far_reader, far_writer = await asyncio.open_connection(host, port)
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
