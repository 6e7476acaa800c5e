"""A WebSocket client for benchmarks that costs next to nothing."""

from __future__ import annotations

import base64
import os
import socket
import struct


class RawSocket:
    """Sends and reads whole frames, so that the server is what is measured."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            (
                "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
            ).encode()
        )
        self._buffer = b""
        while b"\r\n\r\n" not in self._buffer:
            self._buffer += self.socket.recv(4096)
        self._buffer = self._buffer.split(b"\r\n\r\n", 1)[1]

    @staticmethod
    def frame(payload: bytes) -> bytes:
        """A masked text frame (mask zero)."""
        size = len(payload)
        if size < 126:
            head = bytes((0x81, 0x80 | size))
        elif size < 1 << 16:
            head = b"\x81\xfe" + struct.pack(">H", size)
        else:
            head = b"\x81\xff" + struct.pack(">Q", size)
        return head + bytes(4) + payload

    def send(self, payload: bytes) -> None:
        """Send one message."""
        self.socket.sendall(self.frame(payload))

    def receive(self) -> bytes:
        """The next message."""
        while True:
            taken = self._take()
            if taken is not None:
                return taken
            self._fill()

    def skip(self, size: int) -> None:
        """Read `size` bytes of frames, whatever they say."""
        size -= len(self._buffer)
        self._buffer = b""
        while size > 0:
            size -= len(self.socket.recv(1 << 20))

    def _fill(self) -> None:
        data = self.socket.recv(1 << 20)
        if not data:
            raise ConnectionError("the server closed the connection")
        self._buffer += data

    def _take(self) -> bytes | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, at = buffer[1] & 127, 2
        if size == 126:
            size, at = int.from_bytes(buffer[2:4], "big"), 4
        elif size == 127:
            size, at = int.from_bytes(buffer[2:10], "big"), 10
        if len(buffer) < at + size:
            return None
        self._buffer = buffer[at + size :]
        return buffer[at : at + size]
