"""Strict reading of JSON from strangers: the right type within bounds, or one clear sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

MAX_BODY = 4 << 20
"""Bytes of the largest request or answer anyone here reads."""

_HEX = re.compile(r"0x(?:[0-9a-f]{2})*")


class BadMessage(ValueError):
    """A message that does not follow the protocol; the text says which field and why."""


def load_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`; BadMessage if it is none."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as e:
        raise BadMessage(f"the body is no JSON: {e}") from e
    if not isinstance(value, dict):
        raise BadMessage("the body is no JSON object")
    return value


def only(fields: Mapping[str, Any], known: frozenset[str]) -> None:
    """Refuse fields that nobody would read: a misspelt option must not be ignored."""
    unknown = sorted(str(k) for k in fields.keys() - known)
    if unknown:
        raise BadMessage(f"unknown field {unknown[0][:40]!r}; known are {', '.join(sorted(known))}")


def integer(fields: Mapping[str, Any], name: str, low: int, high: int, default: int | None) -> int:
    """An integer within bounds."""
    value = fields.get(name, default)
    if type(value) is not int or not low <= value <= high:
        raise BadMessage(f"{name} must be an integer from {low} to {high}")
    return value


def number(fields: Mapping[str, Any], name: str, low: float, high: float, default: float) -> float:
    """A number within bounds, as float."""
    value = fields.get(name, default)
    if type(value) not in (int, float) or not low <= value <= high:
        raise BadMessage(f"{name} must be a number from {low:g} to {high:g}")
    return float(value)


def text(fields: Mapping[str, Any], name: str, longest: int) -> str:
    """A string of at most `longest` characters."""
    value = fields.get(name)
    if not isinstance(value, str) or len(value) > longest:
        raise BadMessage(f"{name} must be a string of at most {longest} characters")
    return value


def hexadecimal(fields: Mapping[str, Any], name: str, size: int) -> bytes:
    """Exactly `size` bytes written as 0x and lower-case hex."""
    value = fields.get(name)
    if not isinstance(value, str) or len(value) != 2 + 2 * size or not _HEX.fullmatch(value):
        raise BadMessage(f"{name} must be 0x and {2 * size} lower-case hex digits")
    return bytes.fromhex(value[2:])


def token_ids(fields: Mapping[str, Any], name: str, most: int) -> tuple[int, ...]:
    """A list of at most `most` token ids below 2**31; absent counts as empty."""
    value = fields.get(name, [])
    if not isinstance(value, list) or len(value) > most:
        raise BadMessage(f"{name} must be a list of at most {most} token ids")
    if not all(type(t) is int and 0 <= t < 1 << 31 for t in value):
        raise BadMessage(f"{name} must hold token ids: integers from 0 to {(1 << 31) - 1}")
    return tuple(value)


def strings(fields: Mapping[str, Any], name: str, most: int, longest: int) -> tuple[str, ...]:
    """A list of at most `most` strings, none empty or longer than `longest`; absent is empty."""
    value = fields.get(name, [])
    if not isinstance(value, list) or len(value) > most:
        raise BadMessage(f"{name} must be a list of at most {most} strings")
    if not all(isinstance(s, str) and 0 < len(s) <= longest for s in value):
        raise BadMessage(f"{name} must hold non-empty strings of at most {longest} characters")
    return tuple(value)
