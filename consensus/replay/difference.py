"""What a checker says when a value is not the recorded one, and how values are compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Engine = Literal["reference", "numpy"]
Case = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that is not as recorded: where, what was recorded, what we got."""

    path: str
    expected: object
    actual: object

    def __str__(self) -> str:
        return f"{self.path}: recorded {self.expected!r}, computed {self.actual!r}"


def integers(value: Any) -> Any:
    """The same JSON value with every decimal string turned into an integer, all the way down."""
    if isinstance(value, str):
        digits = value[1:] if value[:1] == "-" else value
        return int(value) if digits.isascii() and digits.isdigit() else value
    if isinstance(value, list):
        return [integers(v) for v in value]
    if isinstance(value, dict):
        return {k: integers(v) for k, v in value.items()}
    return value


def compare(expected: Any, actual: Any, path: str = "") -> Iterator[Difference]:
    """Walk two JSON values side by side; tuples equal lists, booleans equal 0 and 1.

    Keys that only `actual` has are no difference: vectors may hold less than we compute.
    """
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        for key, value in expected.items():
            here = f"{path}.{key}" if path else str(key)
            if key in actual:
                yield from compare(value, actual[key], here)
            else:
                yield Difference(here, value, None)
    elif isinstance(expected, (list, tuple)) and isinstance(actual, (list, tuple)):
        for i, (left, right) in enumerate(zip(expected, actual)):
            yield from compare(left, right, f"{path}[{i}]")
        if len(expected) != len(actual):
            yield Difference(f"{path} length", len(expected), len(actual))
    elif expected != actual:
        yield Difference(path, expected, actual)
