"""Vouchers and the two ends of a lane: what travels, what is refused, what is proven."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganglion.keys import CryptoType, Keypair
from ganglion.units import Hash
from ganglion.voucher_file import VoucherFile, VoucherFileProblem
from ganglion.wire import vouchers
from ganglion.wire.fields import BadMessage
from ganglion.wire.lanes import BadVoucher, ChannelFacts, PayeeLedger, PayerLane
from ganglion.wire.paid import Offer, PaidAnswer, PayTerms, UnitPrices, VoucherMessage, output_hash
from ganglion.wire.receipt_tree import Frontier, path_of, root_of
from ganglion.wire.text import Sampling, TextRequest
from ganglion.wire.vouchers import VOUCHER, SignedVoucher, Voucher

GENESIS = b"g" * 32
PAYER, OTHER = Keypair.from_uri("//Alice"), Keypair.from_uri("//Bob")
CHANNEL = ChannelFacts(7, b"p" * 32, b"m" * 32, PAYER.public_key, 1000, 0, 500, 4)
HEX = st.binary(max_size=120).map(lambda raw: "0x" + raw.hex())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text() | HEX,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def voucher(cumulative: int = 10, nonce: int = 1, lane: int = 0) -> Voucher:
    return Voucher(Hash(GENESIS), 7, lane, nonce, cumulative, Hash(b"r" * 32))


def signed(cumulative: int = 10, nonce: int = 1, lane: int = 0) -> SignedVoucher:
    return vouchers.sign(voucher(cumulative, nonce, lane), PAYER)


def test_the_bytes_are_those_of_the_design() -> None:
    raw = VOUCHER.encode(Voucher(Hash(b"g" * 32), 1, 2, 3, 4, Hash(b"r" * 32)))
    fixed = (1).to_bytes(8, "little") + (2).to_bytes(2, "little") + (3).to_bytes(8, "little")
    assert raw == b"g" * 32 + fixed + (4).to_bytes(16, "little") + b"r" * 32


@pytest.mark.parametrize("crypto", list(CryptoType))
def test_a_signed_voucher_travels_and_holds(crypto: CryptoType) -> None:
    key = Keypair.from_uri("//Gate", crypto)
    one = vouchers.sign(voucher(), key)
    again = SignedVoucher.from_json(orjson.loads(orjson.dumps(one.to_json())))
    assert again == one
    assert again.is_by(key.public_key)
    assert not again.is_by(OTHER.public_key)
    assert not replace(again, voucher=voucher(11)).is_by(key.public_key)


@given(JSON, st.sampled_from(["voucher", "signature", "crypto"]))
def test_malformed_vouchers_are_refused_in_words(value: object, name: str) -> None:
    for bad in (value, signed().to_json() | {name: value}):
        with pytest.raises(BadMessage, match=r"\w+ \w+"):
            SignedVoucher.from_json(bad)


@given(JSON, st.binary(max_size=60))
def test_malformed_messages_and_terms_are_refused_in_words(value: object, raw: bytes) -> None:
    with pytest.raises(BadMessage):
        VoucherMessage.from_bytes(raw)
    for bad in ({"paid": [value]}, {"paid": value} if value != [] else {"paid": 1}):
        with pytest.raises(BadMessage):
            VoucherMessage.from_bytes(
                orjson.dumps(bad, option=orjson.OPT_NON_STR_KEYS) if _fits(bad) else b"{"
            )
    for read in (PayTerms.from_json, UnitPrices.from_json, Offer.from_json):
        with pytest.raises(BadMessage):
            read(value)


def _fits(value: object) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:  # an integer beyond 64 bits
        return False
    return True


def test_messages_and_terms_travel() -> None:
    message = VoucherMessage(signed().to_json(), ((b"i" * 16, 5),))
    assert VoucherMessage.from_bytes(orjson.dumps(message.to_json())) == message
    terms = PayTerms(3, 1, UnitPrices(2, 1, 4), known=1)
    offer = Offer(b"p" * 32, UnitPrices.flat(7), 2)
    assert Offer.from_json(offer.to_json()) == offer
    sampling = Sampling(b"\4" * 32)
    request = TextRequest(b"i" * 16, "m", sampling, 8, prompt="x", pay=terms)
    assert TextRequest.from_bytes(request.to_bytes()) == request
    assert b"pay" not in replace(request, pay=None).to_bytes()
    shared = replace(request, cache=b"12345678")
    assert TextRequest.from_bytes(shared.to_bytes()) == shared
    assert b"cache" not in replace(request, pay=None).to_bytes()


def test_prices_round_up_an_answer_not_a_token() -> None:
    prices = UnitPrices(1_000_000, 500_000, 3)
    assert prices.cost(10, 0) == 10
    assert prices.cost(10, 1) == 11
    assert prices.cost(10, 0, cached=4) == 8
    assert UnitPrices.flat(1).cost(40, 60) == 1
    terms = PayTerms(0, 0, UnitPrices.flat(1_000_000), known=1)
    assert [terms.due(5, sent) for sent in (0, 1, 2)] == [0, 5, 6]
    assert prices.covers(prices)
    assert not prices.covers(replace(prices, cached=500_001))


@given(*[st.integers(0, 10**6)] * 6)
def test_what_is_cached_never_costs_more(
    read: int, cached: int, sent: int, price: int, less: int, answer: int
) -> None:
    prices, cached = UnitPrices(price, min(less, price), answer), min(cached, read)
    assert UnitPrices.from_json(prices.to_json()) == prices
    terms = PayTerms(0, 0, prices)
    assert 0 <= terms.due(read, sent, cached) <= terms.due(read, sent)
    if price < less:
        with pytest.raises(BadMessage, match="cannot cost more"):
            UnitPrices.from_json(UnitPrices(price, less, answer).to_json())


def test_the_payee_believes_what_the_chain_would() -> None:
    ledger = PayeeLedger(GENESIS)
    one = signed(10, nonce=5)
    assert ledger.check(CHANNEL, one) == 10
    ledger.take(one)
    for bad, why in [
        (one, "nonce 5"),
        (signed(20, nonce=4), "nonce 5"),
        (signed(9, nonce=6), "10 rao already"),
        (signed(1001, nonce=6), "top it up"),
        (signed(991, lane=1), "top it up"),
        (signed(1, lane=4), "lanes 0 to 3"),
        (vouchers.sign(replace(voucher(), genesis=Hash(bytes(32))), PAYER), "another chain"),
        (vouchers.sign(voucher(11, 6), OTHER), "not signed"),
    ]:
        with pytest.raises(BadVoucher, match=why):
            ledger.check(CHANNEL, bad)
    assert ledger.check(CHANNEL, signed(990, lane=1)) == 990
    assert ledger.check(CHANNEL, signed(10, nonce=6)) == 0  # the last answer's leaf, no more money
    assert ledger.redeemable(CHANNEL) == [one]
    paid = replace(CHANNEL, redeemed=10, lanes={0: (5, 10)})
    assert ledger.redeemable(paid) == []
    empty = replace(CHANNEL, redeemed=CHANNEL.deposit, lanes={1: (9, CHANNEL.deposit)})
    assert ledger.redeemable(empty) == []
    ledger.forget(7)
    with pytest.raises(BadVoucher, match="nonce 5"):  # the chain remembers what the disk lost
        ledger.check(paid, signed(20, nonce=5))
    assert ledger.check(paid, signed(30, nonce=6)) == 20


def answer(number: int, amount: int) -> PaidAnswer:
    tokens = tuple(range(number))
    return PaidAnswer(
        *(number.to_bytes(16, "little"), b"w" * 32, 5, 0, number, 1, 1, 2),
        *(output_hash(tokens), b"r" * 32, amount),
    )


def test_any_answer_is_proven_against_the_root_of_the_last_voucher() -> None:
    lane, answers = PayerLane(7, 0), [answer(n, n + 1) for n in range(37)]
    assert lane.raised(3).voucher(GENESIS).receipts_root == bytes(32)
    for one in answers:
        lane = lane.raised(one.amount, [one.leaf()])
    last, leaves = lane.voucher(GENESIS), [one.leaf() for one in answers]
    assert (last.nonce, last.cumulative) == (37, sum(one.amount for one in answers))
    for n, one in enumerate(answers):
        assert one.is_under(last.receipts_root, path_of(leaves, n))
        assert not replace(one, price_prompt=9).is_under(last.receipts_root, path_of(leaves, n))


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=70))
def test_a_growing_tree_has_the_root_of_the_whole(hashes: list[bytes]) -> None:
    frontier = Frontier()
    for n, one in enumerate(hashes, 1):
        frontier = frontier.add(one)
        assert frontier.root() == root_of(hashes[:n])


def test_vouchers_survive_on_disk(tmp_path: Path) -> None:
    kept = VoucherFile(tmp_path / "deep" / "v.db")
    kept.put([signed(10), signed(20, lane=1)])
    kept.put([signed(30, nonce=2)])
    again = VoucherFile(tmp_path / "deep" / "v.db")  # while the other still holds it: a crash
    assert {v.voucher.lane: v.voucher.cumulative for v in again.load()} == {0: 30, 1: 20}
    again.drop(7)
    assert kept.load() == []
    (tmp_path / "no.db").write_bytes(b"not a database, for sure" * 50)
    with pytest.raises(VoucherFileProblem, match="cannot be opened"):
        VoucherFile(tmp_path / "no.db")
    base = sqlite3.connect(tmp_path / "deep" / "v.db")
    base.execute("INSERT INTO vouchers VALUES ('1', 0, '{}')")
    base.commit()
    with pytest.raises(VoucherFileProblem, match="cannot be read"):
        kept.load()
