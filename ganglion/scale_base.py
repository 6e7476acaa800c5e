"""What every SCALE codec is made of: the codec object, its error and compact integers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast, dataclass_transform

T = TypeVar("T")
C = TypeVar("C")

MAX_DEPTH = 64
"""The deepest nesting of self-referring types that is decoded; upstream's extrinsics stop at 256,
but Python's own stack would end the node long before a hostile 10 MB batch of batches did."""


class DecodeError(ValueError):
    """The bytes are no encoding of the expected type."""


class Codec(Generic[T]):
    """Two functions and a name. `size` is the width in bytes when it is the same for all values."""

    __slots__ = ("encode", "name", "read", "size")

    def __init__(
        self,
        name: str,
        encode: Callable[[T], bytes],
        read: Callable[[bytes, int], tuple[T, int]],
        size: int | None = None,
    ) -> None:
        self.name = name
        self.encode = encode
        self.read = read
        self.size = size

    def decode(self, data: bytes) -> T:
        """The value of all of `data`; raises DecodeError, also for bytes left over."""
        value, end = self.read(data, 0)
        if end != len(data):
            raise DecodeError(f"{self.name}: {len(data) - end} bytes too many")
        return value

    def __repr__(self) -> str:
        return f"Codec({self.name})"


def compact_encode(value: int) -> bytes:
    """Compact form of a non-negative integer below 2**536."""
    if value < 0:
        raise ValueError(f"a compact integer cannot be negative: {value}")
    if value < 1 << 6:
        return bytes((value << 2,))
    if value < 1 << 14:
        return (value << 2 | 1).to_bytes(2, "little")
    if value < 1 << 30:
        return (value << 2 | 2).to_bytes(4, "little")
    width = max(4, (value.bit_length() + 7) // 8)
    if width > 67:
        raise ValueError("a compact integer holds at most 536 bits")
    return bytes(((width - 4) << 2 | 3,)) + value.to_bytes(width, "little")


def compact_read(data: bytes, at: int) -> tuple[int, int]:
    """Read a compact integer; only the shortest form is valid, as upstream."""
    if at >= len(data):
        raise DecodeError("compact integer: the data ends before it")
    first = data[at]
    mode = first & 3
    if mode == 0:
        return first >> 2, at + 1
    width = 2 if mode == 1 else 4 if mode == 2 else (first >> 2) + 4
    start = at if mode < 3 else at + 1
    end = start + width
    if end > len(data):
        raise DecodeError("compact integer: the data ends inside it")
    value = int.from_bytes(data[start:end], "little")
    if mode < 3:
        value >>= 2
    smallest = (0, 1 << 6, 1 << 14)[mode] if mode < 3 else max(1 << 30, 1 << 8 * (width - 1))
    if value < smallest:
        raise DecodeError("compact integer: longer than it need be")
    return value, end


@dataclass_transform(frozen_default=True)
def slotted(cls: type[C]) -> type[C]:
    """A slotted dataclass of what is made by the thousand in a block, as balances and shares.

    To mypy it is frozen. Python's own frozen classes set each field through `object.__setattr__`,
    which makes them five times as slow to make.
    """
    made: Any = dataclass(slots=True, unsafe_hash=True)(cls)
    made.__eq__ = _compare(made.__match_args__)
    return cast(type[C], made)


def _compare(names: tuple[str, ...]) -> Callable[[Any, object], bool]:
    """Equality field by field up to the first that differs, where Python's own makes two tuples."""
    fields = " and ".join(f"a.{name} == b.{name}" for name in names)
    namespace: dict[str, Any] = {}
    exec(f"def same(a, b): return a is b or (type(a) is type(b) and {fields or True})", namespace)
    return cast(Callable[[Any, object], bool], namespace["same"])


def record(cls: Any) -> Any:
    """A slotted dataclass whose equality, hash and text are shared, not generated per class.

    The chain declares hundreds of events and variants, and Python's own dataclass spends half a
    millisecond on each. Nothing assigns to their fields: mypy treats them as frozen.
    """
    cls.__eq__, cls.__hash__, cls.__repr__ = _same, _hash, _text
    return dataclass(eq=False, repr=False, slots=True, match_args=True)(cls)


def _values(self: Any) -> tuple[Any, ...]:
    return tuple(getattr(self, name) for name in self.__match_args__)


def _same(self: Any, other: object) -> bool:
    return type(other) is type(self) and _values(self) == _values(other)


def _hash(self: Any) -> int:
    return hash((type(self), _values(self)))


def _text(self: Any) -> str:
    pairs = zip(self.__match_args__, _values(self), strict=True)
    return f"{type(self).__qualname__}({', '.join(f'{k}={v!r}' for k, v in pairs)})"
