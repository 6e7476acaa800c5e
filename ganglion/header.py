"""Block headers as the JSON-RPC shows them, and their hash."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ganglion.hashing import blake2_256
from ganglion.scale import DecodeError, compact_encode

ZERO_HASH = "0x" + "00" * 32


@dataclass(frozen=True)
class Header:
    """A block header; hashes as 0x hex, `logs` the encoded digest items."""

    parent: str
    number: int
    state_root: str
    extrinsics_root: str
    logs: tuple[bytes, ...]

    @classmethod
    def from_json(cls, found: Any) -> Header:
        """A header from a node's JSON; raises DecodeError for any other shape."""
        try:
            return cls(
                parent=_hash(found["parentHash"]),
                number=_number(found["number"]),
                state_root=_hash(found["stateRoot"]),
                extrinsics_root=_hash(found["extrinsicsRoot"]),
                logs=tuple(_raw(log) for log in found["digest"]["logs"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as e:
            raise DecodeError("the node sent something that is no block header") from e

    @cached_property
    def hash(self) -> str:
        """The block's hash: blake2b-256 of the encoded header."""
        encoded = (
            _raw(self.parent)
            + compact_encode(self.number)
            + _raw(self.state_root)
            + _raw(self.extrinsics_root)
            + compact_encode(len(self.logs))
            + b"".join(self.logs)
        )
        return "0x" + blake2_256(encoded).hex()


def _raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _number(text: str) -> int:
    number = int(text, 16)
    if not 0 <= number < 1 << 64:
        raise ValueError("no block has this number")
    return number


def _hash(text: str) -> str:
    if len(_raw(text)) != 32:
        raise ValueError("a hash has 32 bytes")
    return text
