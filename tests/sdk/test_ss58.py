"""SS58 addresses: known ones, all networks, and clear refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganglion import ss58
from ganglion.errors import InvalidAddress

ALICE = bytes.fromhex("d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d")
ADDRESS = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"


@pytest.mark.parametrize(
    ("prefix", "address"),
    [
        (42, ADDRESS),
        (0, "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5"),
        (2, "HNZata7iMYWmk5RvZRTiAsSDhV8366zq2YGb3tLH5Upf74F"),
    ],
)
def test_known_addresses(prefix: int, address: str) -> None:
    assert ss58.encode(ALICE, prefix) == address
    assert ss58.decode(address, prefix) == ALICE


@given(st.binary(min_size=32, max_size=32), st.integers(0, ss58.MAX_PREFIX))
def test_every_network_round_trips(account: bytes, prefix: int) -> None:
    address = ss58.encode(account, prefix)
    assert ss58.split(address) == (prefix, account)
    assert ss58.decode(address, None) == account


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "non-empty"),
        ("5Grw0aEF", "'0'"),
        (ADDRESS[:-1], "length|checksum"),
        (ADDRESS[:-1] + "Z", "checksum"),
        (ADDRESS + "1" * 40, "too long"),
        ("15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5", "network 0"),
    ],
)
def test_a_bad_address_says_why(text: str, says: str) -> None:
    assert not ss58.is_address(text)
    with pytest.raises(InvalidAddress, match=says):
        ss58.decode(text)


@pytest.mark.parametrize(("account", "prefix"), [(b"short", 42), (ALICE, 16_384), (ALICE, -1)])
def test_encode_refuses(account: bytes, prefix: int) -> None:
    with pytest.raises(InvalidAddress):
        ss58.encode(account, prefix)


@given(st.text(max_size=60))
def test_arbitrary_text_never_crashes(text: str) -> None:
    assert ss58.is_address(text, None) in (True, False)


@given(st.integers(0, 47), st.sampled_from("123456789ABCDEFGHJKLMNPQRSTUVWXYZ"))
def test_one_wrong_character_is_caught(at: int, char: str) -> None:
    wrong = ADDRESS[:at] + char + ADDRESS[at + 1 :]
    assert wrong == ADDRESS or not ss58.is_address(wrong)
