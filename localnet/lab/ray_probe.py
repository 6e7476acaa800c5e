"""Whether something that could be a Ray cluster answers at an address, within seconds.

Ray itself tries an address that answers nothing for minutes. Its head speaks gRPC, and a gRPC
server greets whoever opens HTTP/2 with a SETTINGS frame: that greeting is all that is asked for.
"""

from __future__ import annotations

import os
import socket

PATIENCE = 5.0
"""Seconds for the connection, and again for the greeting."""
OPENING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""The start of HTTP/2 and an empty SETTINGS frame (RFC 9113)."""
FRAME_HEADER, SETTINGS = 9, 4


def complaint(address: str, patience: float = PATIENCE) -> str | None:
    """Why no Ray cluster can be at the address, in words; None when one may be.

    "auto" and "local" are Ray's to find, and a cluster with TLS greets nobody without its keys.
    """
    if address in ("auto", "local") or os.environ.get("RAY_USE_TLS", "0") != "0":
        return None
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 1 << 16:
        return "write auto, local, host:port or ray://host:port"
    try:
        with socket.create_connection((host.strip("[]"), int(port)), patience) as link:
            link.sendall(OPENING)
            greeting = _read(link, FRAME_HEADER)
    except TimeoutError:
        return f"nothing within {patience:g} s"
    except OSError as error:
        return error.strerror or str(error)
    if len(greeting) < FRAME_HEADER or greeting[3] != SETTINGS:
        return "what answers there is no Ray head"
    return None


def _read(link: socket.socket, size: int) -> bytes:
    """So many bytes, or fewer if the other side ends before."""
    data = b""
    while len(data) < size and (more := link.recv(size - len(data))):
        data += more
    return data
