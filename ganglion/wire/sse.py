"""Server-sent events, both ways, without IO."""

from __future__ import annotations

MAX_EVENT = 4 << 20


class StreamError(ValueError):
    """The peer's stream is no server-sent event stream, or an event is larger than allowed."""


def encode(event: str, data: bytes) -> bytes:
    """One event; `data` must be a single line, which JSON is."""
    return b"event: %b\ndata: %b\n\n" % (event.encode(), data)


class Decoder:
    """Bytes in, (event, data) out; comments and unknown fields are skipped as the format asks."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, piece: bytes) -> list[tuple[str, bytes]]:
        """The events that `piece` completes. StreamError if one grows beyond MAX_EVENT bytes."""
        self._buffer += piece.replace(b"\r\n", b"\n")
        *blocks, rest = bytes(self._buffer).split(b"\n\n")
        if len(rest) > MAX_EVENT:
            raise StreamError(f"an event of the stream exceeds {MAX_EVENT} bytes")
        self._buffer = bytearray(rest)
        return [event for event in map(_parse, blocks) if event is not None]


def _parse(block: bytes) -> tuple[str, bytes] | None:
    name, lines = "message", []
    for line in block.split(b"\n"):
        key, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if key == b"event":
            name = value.decode("utf-8", "replace")
        elif key == b"data":
            lines.append(value)
    return (name, b"\n".join(lines)) if lines else None
