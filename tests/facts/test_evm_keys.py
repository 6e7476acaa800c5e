"""Ethereum addresses of neurons: who may claim one, and when it is forgotten."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st
from network_lab import ALICE, NET, at, emitted, fails, get, has, key, lab, neuron, ok, put, subnet

from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_reserved import EvmKeyAssociated
from chain.pallets.subtensor.evm_keys import MOST_UIDS, signed_message
from chain.pallets.subtensor.trimming import do_trim_uids
from chain.pallets.subtensor.uids import do_replace_neuron
from chain.runtime.state import State
from ganglion.secp256k1 import address_of, keccak_256, message_hash, recover
from ganglion.units import Uid

HOT, OTHER = key(100), key(101)
KEYS = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""How many there are: secrets are below it."""


def wallet(secret: int) -> Any:
    return ec.derive_private_key(secret, ec.SECP256K1())


def public_of(secret: int) -> tuple[int, int]:
    numbers = wallet(secret).public_key().public_numbers()
    return numbers.x, numbers.y


def sign(secret: int, digest: bytes, offset: int = 0) -> bytes:
    """r, s and v of a wallet's signature over a digest."""
    made = wallet(secret).sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))
    r, s = decode_dss_signature(made)
    raw = r.to_bytes(32) + s.to_bytes(32)
    v = next(v for v in range(2) if recover(digest, raw + bytes((v,))) == public_of(secret))
    return raw + bytes((v + offset,))


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (b"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
    ],
)
def test_keccak_is_that_of_ethereum(text: bytes, digest: str) -> None:
    assert keccak_256(text).hex() == digest


def test_keccak_of_whole_blocks() -> None:
    hashes_ = {keccak_256(bytes(n)) for n in range(130, 280)}
    assert len(hashes_) == 150


def test_the_address_of_key_one() -> None:
    assert address_of(public_of(1)).hex() == "7e5f4552091a69125d5dfcb7b8c2659029395bdf"


@given(st.integers(1, KEYS - 1), st.binary(min_size=32, max_size=32))
def test_a_signature_names_its_key(secret: int, digest: bytes) -> None:
    signature = sign(secret, digest)
    assert recover(digest, signature) == public_of(secret)
    assert recover(keccak_256(digest), signature) != public_of(secret)


@given(st.binary(min_size=65, max_size=65), st.binary(min_size=32, max_size=32))
def test_any_bytes_are_a_signature_or_none(signature: bytes, digest: bytes) -> None:
    found = recover(digest, signature)
    assert found is None or (found[1] ** 2 - found[0] ** 3 - 7) % (2**256 - 2**32 - 977) == 0


@pytest.fixture
def s() -> State:
    s = lab(block=10)
    subnet(s)
    neuron(s, NET, ALICE, HOT)
    neuron(s, NET, ALICE, OTHER)
    return s


def claim(secret: int, hotkey: Any = HOT, offset: int = 27) -> tuple[Any, ...]:
    """netuid, address, block and signature of a claim."""
    digest = message_hash(signed_message(hotkey, 7))
    return NET, address_of(public_of(secret)), 7, sign(secret, digest, offset)


@pytest.mark.parametrize("offset", [0, 27])
def test_a_neuron_claims_an_address(s: State, offset: int) -> None:
    args = claim(5, offset=offset)
    ok(s, HOT, "associate_evm_key", *args)
    assert emitted(s, EvmKeyAssociated) == [EvmKeyAssociated(NET, HOT, args[1], 10)]
    assert get(s, "AssociatedEvmAddress", NET, 0) == (args[1], 10)
    assert get(s, "AssociatedUidsByEvmAddress", NET, args[1]) == ((0, 10),)


def test_a_new_claim_replaces_the_old_one(s: State) -> None:
    ok(s, HOT, "associate_evm_key", *claim(5))
    fails(s, Error.EvmKeyAssociateRateLimitExceeded, HOT, "associate_evm_key", *claim(6))
    at(s, 11)
    ok(s, HOT, "associate_evm_key", *claim(6))
    assert not has(s, "AssociatedUidsByEvmAddress", NET, claim(5)[1])
    assert get(s, "AssociatedEvmAddress", NET, 0) == (claim(6)[1], 11)


def test_whose_claims_fail(s: State) -> None:
    netuid, address, block, signature = claim(5)
    name = "associate_evm_key"
    fails(s, Error.InvalidRecoveredPublicKey, OTHER, name, netuid, address, block, signature)
    fails(s, Error.InvalidRecoveredPublicKey, HOT, name, netuid, address, 8, signature)
    fails(s, Error.InvalidIdentity, HOT, name, netuid, address, block, bytes(65))
    fails(s, Error.HotKeyNotRegisteredInSubNet, key(9), name, netuid, address, block, signature)


def test_an_address_stands_for_a_limited_number(s: State) -> None:
    args = claim(5)
    taken = tuple((Uid(n), 1) for n in range(100, 100 + MOST_UIDS))
    put(s, "AssociatedUidsByEvmAddress", NET, args[1], taken)
    fails(s, Error.EvmKeyAssociationLimitExceeded, HOT, "associate_evm_key", *args)
    put(s, "AssociatedUidsByEvmAddress", NET, args[1], taken[1:])
    ok(s, HOT, "associate_evm_key", *args)


def test_who_takes_the_seat_does_not_take_the_address(s: State) -> None:
    ok(s, HOT, "associate_evm_key", *claim(5))
    do_replace_neuron(s, NET, Uid(0), key(102))
    assert not has(s, "AssociatedEvmAddress", NET, 0)
    assert not has(s, "AssociatedUidsByEvmAddress", NET, claim(5)[1])


def test_the_address_follows_a_renumbered_neuron(s: State) -> None:
    ok(s, OTHER, "associate_evm_key", *claim(5, OTHER))
    put(s, "MinAllowedUids", NET, 1)
    put(s, "ImmunityPeriod", NET, 0)
    put(s, "Emission", NET, (0).to_bytes(8, "little") + (9).to_bytes(8, "little"))
    do_trim_uids(s, NET, 1)
    assert get(s, "Keys", NET, 0) == OTHER
    assert get(s, "AssociatedEvmAddress", NET, 0) == (claim(5)[1], 10)
    assert get(s, "AssociatedUidsByEvmAddress", NET, claim(5)[1]) == ((0, 10),)
