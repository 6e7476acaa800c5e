"""Headers from JSON, and what is no header."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganglion.header import ZERO_HASH, Header
from ganglion.scale import DecodeError

GOOD: dict[str, Any] = {
    "parentHash": ZERO_HASH,
    "number": "0x2a",
    "stateRoot": ZERO_HASH,
    "extrinsicsRoot": ZERO_HASH,
    "digest": {"logs": []},
}


def test_a_header() -> None:
    header = Header.from_json(GOOD)
    assert header.number == 42
    assert header.hash == Header.from_json(GOOD).hash
    assert header.hash != Header.from_json(GOOD | {"number": "0x2b"}).hash


@pytest.mark.parametrize(
    "change",
    [
        {"number": 5},
        {"number": "x"},
        {"number": "-0x1"},
        {"parentHash": "0x00"},
        {"stateRoot": None},
        {"digest": {}},
        {"digest": {"logs": ["zz"]}},
        {"digest": {"logs": 5}},
    ],
)
def test_malformed_headers(change: dict[str, Any]) -> None:
    with pytest.raises(DecodeError, match="no block header"):
        Header.from_json(GOOD | change)


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), st.text() | st.integers() | st.none()))
def test_any_json(change: dict[str, Any]) -> None:
    try:
        header = Header.from_json(GOOD | change)
    except DecodeError:
        return
    assert len(header.hash) == 66
