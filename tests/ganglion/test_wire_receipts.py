"""Receipts: what one answer commits to, and every way to spoil it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganglion.keys import Keypair
from ganglion.wire import receipts
from ganglion.wire.receipts import BadReceipt, Expected, Finish, Receipt, SignedReceipt

MINER, CALLER = Keypair.from_uri("//Bob"), Keypair.from_uri("//Alice")
PROOFS = (b"\1" * 258, b"\2" * 258)


def receipt() -> Receipt:
    return Receipt(
        version=receipts.VERSION,
        genesis=b"g" * 32,
        netuid=2,
        request=b"r" * 32,
        caller=CALLER.public_key,
        miner=MINER.public_key,
        weights=b"w" * 32,
        exact=True,
        seed=b"s" * 32,
        prompt_tokens=7,
        first=0,
        tokens=(1, 2, 300),
        finish=Finish.STOP,
        evidence=receipts.evidence_of(PROOFS),
    )


def expected() -> Expected:
    public = (CALLER.public_key, MINER.public_key)
    return Expected(b"g" * 32, 2, b"r" * 32, *public, b"w" * 32, b"s" * 32)


def test_an_honest_receipt_travels_and_holds() -> None:
    signed = receipts.sign(receipt(), MINER, PROOFS)
    received = SignedReceipt.from_json(signed.to_json())
    assert received == signed
    receipts.check(received, expected())


@pytest.mark.parametrize(
    "change",
    [
        {"genesis": b"x" * 32},
        {"netuid": 3},
        {"request": b"x" * 32},
        {"caller": MINER.public_key},
        {"miner": CALLER.public_key},
        {"weights": b"x" * 32},
        {"seed": b"x" * 32},
        {"first": 1},
        {"version": 9},
    ],
)
def test_a_receipt_about_something_else_is_refused(change: dict[str, object]) -> None:
    signed = receipts.sign(replace(receipt(), **change), MINER)  # type: ignore[arg-type]
    with pytest.raises(BadReceipt, match="another|unknown"):
        receipts.check(signed, expected())


def test_any_change_after_signing_breaks_the_signature() -> None:
    signed = receipts.sign(receipt(), MINER)
    for change in ({"tokens": (1, 2)}, {"prompt_tokens": 8}, {"evidence": bytes(32)}):
        forged = replace(signed, receipt=replace(signed.receipt, **change))  # type: ignore[arg-type]
        with pytest.raises(BadReceipt, match="signature"):
            receipts.check(forged, expected())


def test_another_hotkey_cannot_sign_for_the_miner() -> None:
    with pytest.raises(BadReceipt, match="signature"):
        receipts.check(receipts.sign(receipt(), CALLER), expected())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)


@given(
    st.one_of(
        json_values,
        st.fixed_dictionaries(
            {
                "receipt": st.one_of(
                    json_values, st.binary(max_size=400).map(lambda b: "0x" + b.hex())
                ),
                "signature": json_values,
                "crypto": st.sampled_from(["sr25519", "ed25519", "x", 5]),
                "proofs": st.lists(json_values, max_size=3),
            }
        ),
    )
)
def test_malformed_receipts_are_refused_in_a_sentence(value: object) -> None:
    with pytest.raises(BadReceipt):
        SignedReceipt.from_json(value)
