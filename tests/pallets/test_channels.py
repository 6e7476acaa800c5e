"""Payment channels: deposits, vouchers, lanes, and what each party ends with."""

from __future__ import annotations

from dataclasses import replace

import pytest
from coincurve import PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from world import (
    ALICE,
    BOB,
    CHARLIE,
    DAVE,
    ROOT,
    TAO,
    address,
    at_block,
    fails,
    last,
    names,
    ok,
    run,
    world,
)

from chain.pallets.balances_ops import set_free
from chain.pallets.balances_store import Error as BalancesError
from chain.pallets.balances_store import TotalIssuance
from chain.pallets.channels_store import (
    ByPayee,
    ByPayer,
    ChallengeWindow,
    Channels,
    Closed,
    Error,
    Lane,
    Lanes,
    MaxLanes,
    MaxVouchers,
    MinimumDeposit,
    SignedVoucher,
)
from chain.pallets.model_registry import PriceHint
from chain.pallets.system import Account, BlockHash
from chain.runtime.errors import BadOrigin, ModuleError, TokenError
from chain.runtime.state import State, iter_items
from chain.runtime.types import Ecdsa, Ed25519, Sr25519
from ganglion.hashing import blake2_256
from ganglion.keys import CryptoType, Keypair, dev_key
from ganglion.units import AccountId, BlockNumber, Hash, Rao
from ganglion.wire.vouchers import Voucher

GENESIS = Hash(b"\x67" * 32)
ROOT_HASH = Hash(b"\x52" * 32)
PAYER, GATE = dev_key("Alice"), dev_key("Dave")
EXPIRY = BlockNumber(1000)


def chain(tao: int = 1000) -> State:
    s = world(tao=tao)
    s[BlockHash, BlockNumber(0)] = GENESIS
    return s


def opened(s: State, deposit: int = 10 * TAO, lanes: int = 4, signer: AccountId | None = None):
    ok(s, ALICE, "Channels.open", BOB, Rao(deposit), EXPIRY, lanes, signer)


def voucher(cumulative: int, nonce: int = 1, lane: int = 0, channel: int = 0) -> Voucher:
    return Voucher(GENESIS, channel, lane, nonce, cumulative, ROOT_HASH)


def signed(v: Voucher, key: Keypair = PAYER) -> SignedVoucher:
    kind = Sr25519 if key.crypto is CryptoType.SR25519 else Ed25519
    return SignedVoucher(v, kind(key.sign(v.signing_bytes())))


def redeem(s: State, *vouchers: Voucher) -> None:
    ok(s, BOB, "Channels.redeem", tuple(map(signed, vouchers)))


def refused(s: State, failure: type, v: Voucher, key: Keypair = PAYER) -> None:
    fails(s, failure, BOB, "Channels.redeem", (signed(v, key),))


def free(s: State, who: AccountId) -> int:
    return s[Account, who].data.free


def reserved(s: State, who: AccountId) -> int:
    return s[Account, who].data.reserved


def test_a_channel_reserves_its_deposit():
    s = chain()
    opened(s)
    assert names(s) == ["Balances.Reserved", "Channels.Opened"]
    assert reserved(s, ALICE) == 10 * TAO
    assert (s[ByPayee, BOB, 0], s[ByPayer, ALICE, 0]) == (ALICE, BOB)
    opened(s)
    assert [number for number, _ in iter_items(s, ByPayee, BOB)] in ([0, 1], [1, 0])


@pytest.mark.parametrize(
    ("failure", "args"),
    [
        (Error.DepositTooLow, (MinimumDeposit.value - 1, EXPIRY, 1)),
        (Error.BadExpiry, (TAO, 1, 1)),
        (Error.BadLaneLimit, (TAO, EXPIRY, 0)),
        (Error.BadLaneLimit, (TAO, EXPIRY, MaxLanes.value + 1)),
        (BalancesError.InsufficientBalance, (1000 * TAO, EXPIRY, 1)),
    ],
)
def test_odd_channels_are_refused(failure, args):
    fails(chain(), failure, ALICE, "Channels.open", BOB, *args, None)
    fails(chain(), BadOrigin, ROOT, "Channels.open", BOB, TAO, EXPIRY, 1, None)


def test_a_voucher_pays_what_is_new():
    s = chain()
    opened(s)
    redeem(s, voucher(3 * TAO, nonce=7))
    assert free(s, BOB) == 1003 * TAO
    assert s[Lanes, 0, 0] == Lane(7, Rao(3 * TAO), ROOT_HASH)
    redeem(s, voucher(5 * TAO, nonce=8), voucher(TAO, nonce=1, lane=3))
    assert free(s, BOB) == 1006 * TAO
    assert s[Channels, 0].redeemed == 6 * TAO
    assert reserved(s, ALICE) == 4 * TAO


def test_wrong_vouchers_are_refused():
    s = chain()
    opened(s)
    redeem(s, voucher(TAO, nonce=5))
    refused(s, Error.StaleNonce, voucher(TAO, nonce=5))
    refused(s, Error.StaleNonce, voucher(TAO - 1, nonce=4))
    refused(s, Error.NothingToPay, voucher(TAO, nonce=6))
    refused(s, Error.OverDeposit, voucher(10 * TAO + 1, nonce=6))
    refused(s, Error.OverDeposit, voucher(10 * TAO + 1, lane=1))
    refused(s, Error.OverDeposit, voucher((1 << 128) - 1, lane=1))
    refused(s, Error.UnknownLane, voucher(TAO, lane=4))
    refused(s, Error.UnknownChannel, voucher(TAO, channel=1))
    refused(s, Error.WrongGenesis, replace(voucher(TAO, lane=1), genesis=Hash(bytes(32))))
    refused(s, Error.BadSignature, voucher(TAO, lane=1), dev_key("Bob"))
    changed = replace(signed(voucher(TAO, lane=1)), voucher=voucher(2 * TAO, lane=1))
    fails(s, Error.BadSignature, BOB, "Channels.redeem", (changed,))
    fails(s, Error.NoVouchers, BOB, "Channels.redeem", ())


def test_a_payer_cannot_kill_what_it_signed_by_redeeming_a_later_nonce_for_little():
    s = chain()
    opened(s)
    held = signed(voucher(8 * TAO, nonce=57))
    ok(s, ALICE, "Channels.redeem", (signed(voucher(1, nonce=(1 << 64) - 1)),))
    ok(s, ALICE, "Channels.close", 0)
    ok(s, BOB, "Channels.redeem", (held,))
    assert free(s, BOB) == 1008 * TAO
    assert s[Lanes, 0, 0] == Lane((1 << 64) - 1, Rao(8 * TAO), ROOT_HASH)


def test_a_payer_cannot_kill_what_it_signed_by_using_the_deposit_up_on_another_lane():
    s = chain()
    opened(s)
    held = signed(voucher(9 * TAO))
    ok(s, ALICE, "Channels.redeem", (signed(voucher(TAO + 1, lane=1)),))
    ok(s, BOB, "Channels.redeem", (held,))
    assert (free(s, BOB), reserved(s, ALICE)) == (1010 * TAO, 0)
    assert s[Lanes, 0, 0] == Lane(1, Rao(9 * TAO - 1), ROOT_HASH)
    refused(s, Error.OverDeposit, voucher(9 * TAO))
    ok(s, ALICE, "Channels.top_up", 0, Rao(TAO))
    redeem(s, voucher(9 * TAO))
    assert free(s, BOB) == 1010 * TAO + 1


def test_what_root_has_taken_is_neither_paid_nor_said_to_be_returned():
    s = chain()
    opened(s)
    ok(s, ROOT, "Balances.force_unreserve", address(ALICE), 7 * TAO)
    before = free(s, ALICE) + free(s, BOB) + reserved(s, ALICE)
    refused(s, Error.NotCovered, voucher(4 * TAO))
    redeem(s, voucher(TAO))
    ok(s, BOB, "Channels.close", 0)
    assert free(s, ALICE) + free(s, BOB) + reserved(s, ALICE) == before
    assert last(s, Closed) == Closed(0, Rao(TAO), Rao(2 * TAO))


def test_what_is_malformed_fails_a_bundle():
    s = chain()
    opened(s)
    for failure, bad in (
        (Error.BadSignature, signed(voucher(TAO, lane=1), dev_key("Bob"))),
        (Error.UnknownLane, signed(voucher(TAO, lane=4))),
        (Error.WrongGenesis, signed(replace(voucher(TAO, lane=1), genesis=Hash(bytes(32))))),
    ):
        fails(s, failure, BOB, "Channels.redeem", (signed(voucher(6 * TAO)), bad))
    assert free(s, BOB) == 1000 * TAO


def test_a_payer_that_overtakes_its_own_voucher_does_not_hold_up_the_others():
    s = chain()
    opened(s)
    opened(s, deposit=TAO)
    held = signed(voucher(8 * TAO))
    small = signed(voucher(1, channel=1))
    ok(s, ALICE, "Channels.redeem", (small,))
    ok(s, BOB, "Channels.redeem", (small, signed(voucher(TAO, channel=9)), held, held))
    assert free(s, BOB) == 1008 * TAO + 1
    fails(s, Error.StaleNonce, BOB, "Channels.redeem", (small, held))


def test_as_many_lanes_as_there_are_fit_into_one_call():
    s = chain()
    opened(s, lanes=MaxLanes.value)
    redeem(s, *(voucher(1000 + n, lane=n) for n in range(MaxVouchers.value)))
    assert free(s, BOB) == 1000 * TAO + sum(1000 + n for n in range(64))
    ok(s, BOB, "Channels.close", 0)
    assert not list(iter_items(s, Lanes, 0))


@pytest.mark.parametrize("crypto", list(CryptoType))
def test_a_key_of_the_payers_choice_signs(crypto):
    key, s = Keypair.from_uri("//Gate//1", crypto), chain()
    opened(s, signer=key.account_id)
    refused(s, Error.BadSignature, voucher(TAO))
    ok(s, DAVE, "Channels.redeem", (signed(voucher(TAO), key),))
    assert (free(s, BOB), free(s, DAVE)) == (1001 * TAO, 1000 * TAO)


def test_an_ecdsa_key_signs_too():
    key, s = PrivateKey(b"\x07" * 32), chain()
    opened(s, signer=AccountId(blake2_256(key.public_key.format())))
    v = voucher(TAO)
    raw = key.sign_recoverable(blake2_256(v.signing_bytes()), hasher=None)
    ok(s, BOB, "Channels.redeem", (SignedVoucher(v, Ecdsa(raw)),))
    assert free(s, BOB) == 1001 * TAO


def test_a_payee_without_an_account_gets_one():
    s, nobody = chain(), AccountId(b"\x99" * 32)
    ok(s, ALICE, "Channels.open", nobody, Rao(TAO), EXPIRY, 1, None)
    error = run(s, BOB, "Channels.redeem", (signed(voucher(499)),)).error
    assert isinstance(error, TokenError)
    redeem(s, voucher(500))
    assert free(s, nobody) == 500


def test_the_payer_tops_up_and_extends():
    s = chain()
    opened(s)
    fails(s, Error.NotPayer, BOB, "Channels.top_up", 0, Rao(TAO))
    ok(s, ALICE, "Channels.top_up", 0, Rao(TAO))
    assert reserved(s, ALICE) == s[Channels, 0].deposit == 11 * TAO
    fails(s, Error.BadExpiry, ALICE, "Channels.extend", 0, EXPIRY)
    fails(s, Error.NotPayer, CHARLIE, "Channels.extend", 0, BlockNumber(2000))
    ok(s, ALICE, "Channels.extend", 0, BlockNumber(2000))
    at_block(s, 1500)
    fails(s, Error.NotClosable, CHARLIE, "Channels.force_close", 0)


def test_the_payee_closes_at_once():
    s = chain()
    opened(s)
    redeem(s, voucher(3 * TAO))
    ok(s, BOB, "Channels.close", 0)
    assert last(s, Closed) == Closed(0, Rao(3 * TAO), Rao(7 * TAO))
    assert (free(s, ALICE), reserved(s, ALICE), free(s, BOB)) == (997 * TAO, 0, 1003 * TAO)
    assert not list(iter_items(s, Channels)) + list(iter_items(s, Lanes))
    assert not list(iter_items(s, ByPayee)) + list(iter_items(s, ByPayer))
    refused(s, Error.UnknownChannel, voucher(4 * TAO, nonce=2))


def test_a_payer_that_closes_on_a_stale_state_is_overridden():
    s = chain()
    opened(s)
    redeem(s, voucher(TAO, nonce=1))
    ok(s, ALICE, "Channels.close", 0)
    closes_at = s[Channels, 0].closes_at
    assert closes_at == 1 + ChallengeWindow.value
    for step in (("close", 0), ("top_up", 0, Rao(TAO)), ("extend", 0, BlockNumber(5000))):
        fails(s, Error.ChannelClosing, ALICE, f"Channels.{step[0]}", *step[1:])
    at_block(s, closes_at - 1)
    fails(s, Error.NotClosable, ALICE, "Channels.force_close", 0)
    redeem(s, voucher(8 * TAO, nonce=2))
    at_block(s, closes_at)
    ok(s, CHARLIE, "Channels.force_close", 0)
    assert (free(s, ALICE), free(s, BOB)) == (992 * TAO, 1008 * TAO)


def test_strangers_close_only_what_has_expired():
    s = chain()
    opened(s)
    fails(s, Error.NotParty, CHARLIE, "Channels.close", 0)
    at_block(s, EXPIRY - 1)
    fails(s, Error.NotClosable, CHARLIE, "Channels.force_close", 0)
    at_block(s, EXPIRY)
    ok(s, CHARLIE, "Channels.force_close", 0)
    assert (free(s, ALICE), reserved(s, ALICE)) == (1000 * TAO, 0)


def test_other_reserves_of_the_payer_are_not_touched():
    s = chain()
    entry = b"m", b"w" * 32, b"t" * 32, None, PriceHint(1, 1)
    ok(s, ALICE, "ModelRegistry.register_model", *entry)
    opened(s)
    redeem(s, voucher(10 * TAO))
    ok(s, BOB, "Channels.close", 0)
    assert reserved(s, ALICE) == TAO


PEOPLE = (ALICE, BOB, CHARLIE)
AMOUNTS = st.sampled_from((0, 1, 499, TAO, 3 * TAO, 10 * TAO, 900 * TAO)) | st.integers(0, 12 * TAO)
NUMBERS = st.integers(0, 2)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("open"), st.sampled_from(PEOPLE), st.sampled_from(PEOPLE), AMOUNTS),
        st.tuples(st.just("top_up"), st.sampled_from(PEOPLE), NUMBERS, AMOUNTS),
        st.tuples(st.just("extend"), st.sampled_from(PEOPLE), NUMBERS, st.integers(0, 400)),
        st.tuples(
            st.just("redeem"), st.sampled_from(PEOPLE), NUMBERS, NUMBERS, st.integers(0, 4), AMOUNTS
        ),
        st.tuples(st.just("close"), st.sampled_from(PEOPLE), NUMBERS),
        st.tuples(st.just("force_close"), st.sampled_from(PEOPLE), NUMBERS),
        st.tuples(st.just("wait"), st.integers(1, 150)),
    ),
    max_size=40,
)


def reserved_for(s: State, channel: int) -> int:
    return s[Channels, channel].deposit - s[Channels, channel].redeemed


class Play:
    """Random steps; `due` is what each payee could show vouchers for, by channel and lane."""

    def __init__(self) -> None:
        self.s, self.block, self.due = chain(), 1, {}
        self.terms: dict[int, tuple[AccountId, AccountId, int]] = {}
        self.closed: dict[int, int] = {}

    def call(self, who: AccountId, name: str, *args) -> bool:
        return run(self.s, who, f"Channels.{name}", *args).error is None

    def step(self, kind: str, *args) -> None:
        if kind == "wait":
            self.block += args[0]
            at_block(self.s, self.block)
        elif kind == "open":
            payer, payee, deposit = args
            expiry = BlockNumber(self.block + 300)
            if self.call(payer, "open", payee, Rao(deposit), expiry, 2, GATE.account_id):
                self.terms[len(self.terms)] = payer, payee, deposit
        elif kind == "redeem":
            who, channel, lane, nonce, amount = args
            v = voucher(amount, nonce, lane, channel)
            if self.call(who, "redeem", (signed(v, GATE),)):
                paid = self.s[Lanes, channel, lane].redeemed
                assert amount >= paid > self.due.get((channel, lane), 0)
                assert paid == amount or reserved_for(self.s, channel) == 0
                self.due[channel, lane] = paid
        else:
            who, channel, *rest = args
            is_done = self.call(who, kind, channel, *rest)
            if is_done and kind == "top_up":
                payer, payee, deposit = self.terms[channel]
                assert who == payer
                self.terms[channel] = payer, payee, deposit + rest[0]


@given(STEPS)
def test_whoever_does_what_the_money_adds_up(steps):
    play = Play()
    s, issuance = play.s, play.s[TotalIssuance]
    for step in steps:
        play.step(*step)
        assert s[TotalIssuance] == issuance
        held = {who: 0 for who in PEOPLE}
        for number, channel in iter_items(s, Channels):
            paid = sum(lane.redeemed for _, lane in iter_items(s, Lanes, number))
            assert channel.redeemed == paid <= channel.deposit == play.terms[number][2]
            held[channel.payer] += channel.deposit - channel.redeemed
        assert all(reserved(s, who) == amount for who, amount in held.items())
    # nothing is stuck: the latest expiry lets anybody close what is left
    at_block(s, 100_000)
    for number, _ in list(iter_items(s, Channels)):
        ok(s, CHARLIE, "Channels.force_close", number)
    ends = {who: 1000 * TAO for who in PEOPLE}
    for number, (payer, payee, deposit) in play.terms.items():
        paid = sum(amount for (channel, _), amount in play.due.items() if channel == number)
        assert paid <= deposit
        ends[payer] -= paid
        ends[payee] += paid
    assert {who: free(s, who) for who in PEOPLE} == ends
    assert sum(reserved(s, who) for who in PEOPLE) == 0
    assert s[TotalIssuance] == issuance
    for item in (Channels, Lanes, ByPayee, ByPayer):
        assert not list(iter_items(s, item))


def test_the_poor_open_nothing():
    s = chain(tao=0)
    set_free(s, ALICE, TAO)
    result = run(s, ALICE, "Channels.open", BOB, Rao(TAO), EXPIRY, 1, None)
    assert isinstance(result.error, ModuleError)
