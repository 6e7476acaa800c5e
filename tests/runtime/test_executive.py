"""Blocks from the inside: fees, nonces, eras, signatures, inherents, events, refusals."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from coincurve import PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from chain.executive import Executive, InvalidBlock, UnknownMethod
from chain.extensions import implicit_bytes
from chain.extrinsics import DecodedOnce, bare, decode_extrinsic, signing_payload
from chain.genesis import Genesis, build_genesis
from chain.pallets import aura, system
from chain.pallets.balances_ops import free_balance
from chain.pallets.transaction_payment import TransactionFeePaid
from chain.runtime.call import RuntimeCall
from chain.runtime.signatures import verify_signature
from chain.runtime.state import DictBackend, State
from chain.runtime.types import Ecdsa, Id, PreRuntime, Raw
from chain.runtime.validity import Invalid, InvalidTransaction, UnknownTransaction
from chain.runtime_spec import make_runtime
from ganglion import ss58
from ganglion.era import Era
from ganglion.hashing import blake2_256
from ganglion.keys import CryptoType, Keypair, dev_key
from ganglion.metadata import decode_metadata
from ganglion.runtime import Runtime as ClientRuntime
from ganglion.scale import DecodeError, codec, compact_encode
from ganglion.units import AccountId, BlockNumber, Rao

ALICE, BOB, EVE = dev_key("Alice"), dev_key("Bob"), dev_key("Eve")
RUNTIME = make_runtime()
START = 1_750_000_000_000
GENESIS_HASH = b"\x07" * 32


@dataclass(frozen=True)
class EcdsaKey:
    """A key on secp256k1: its account is the hash of the public key."""

    secret: PrivateKey
    crypto: int = 2

    @property
    def account_id(self) -> AccountId:
        return AccountId(blake2_256(self.secret.public_key.format()))

    def sign(self, payload: bytes) -> bytes:
        return self.secret.sign_recoverable(blake2_256(payload), hasher=None)


ECDSA_ALICE = EcdsaKey(
    PrivateKey.from_hex("cb6df9de1efca7a3998a8ead4e02159d5fa99c3e0d4fd6432667390bb4726854")
)
"""What subkey makes of //Alice under the scheme ecdsa."""


@dataclass
class Chain:
    """A chain in memory that runs one block at a time."""

    executive: Executive = field(default_factory=lambda: Executive(RUNTIME, GENESIS_HASH))
    number: int = 0
    now: int = START

    def __post_init__(self) -> None:
        keys = (EVE.account_id,)
        funds = ((ALICE.account_id, Rao(10**15)), (BOB.account_id, Rao(10**12)))
        raw = build_genesis(RUNTIME, Genesis(funds, keys, keys, ALICE.account_id))
        self.backend = DictBackend(raw)
        self.best = State(self.backend)

    def begin(self) -> State:
        """The next block, inherents applied."""
        self.now += aura.SlotDuration.value
        state = self.best.child()
        slot = (self.now // aura.SlotDuration.value).to_bytes(8, "little")
        parent = bytes([self.number]) * 32
        self.executive.initialize_block(state, self.number + 1, parent, [PreRuntime(b"aura", slot)])
        for raw in self.executive.inherents(state, self.now):
            self.executive.apply_extrinsic(state, raw)
        return state

    def end(self, state: State) -> None:
        self.executive.finalize_block(state)
        self.backend.apply(state.changes())
        self.best.absorb(state)
        self.number += 1

    def block(self, *extrinsics: bytes) -> list[Any]:
        state = self.begin()
        results = [self.executive.apply_extrinsic(state, raw) for raw in extrinsics]
        self.end(state)
        return results


def transfer(amount: int = 1_000_000) -> RuntimeCall:
    return RUNTIME.call("Balances", "transfer_keep_alive", Id(BOB.account_id), amount)


def sign(
    call: RuntimeCall,
    nonce: int = 0,
    key: Keypair | EcdsaKey = ALICE,
    era: bytes = b"\0",
    birth: bytes = GENESIS_HASH,
    mode: bytes = b"\0",
    spec: int = 0,
) -> bytes:
    body = codec(RuntimeCall).encode(call)
    extra = era + compact_encode(nonce) + b"\0" + mode
    spec = spec or RUNTIME.version.spec_version
    payload = signing_payload(body, extra, implicit_bytes(spec, 1, GENESIS_HASH, birth))
    kind = bytes((key.crypto,))  # MultiSignature and CryptoType count alike
    out = b"\x84\0" + key.account_id + kind + key.sign(payload) + extra + body
    return compact_encode(len(out)) + out


def refused(chain: Chain, raw: bytes) -> InvalidTransaction:
    state = chain.begin()
    before = state.changes()
    with pytest.raises(InvalidTransaction) as e:
        chain.executive.apply_extrinsic(state, raw)
    assert state.changes() == before, "a refused extrinsic changed state"
    return e.value


def test_a_transfer_pays_its_fee_to_the_author() -> None:
    chain = Chain()
    raw = sign(transfer())
    (result,) = chain.block(raw)
    assert result.error is None
    fee = [e for e in [*chain.best.events] if isinstance(e, TransactionFeePaid)]
    assert fee == [], "events belong to the block's own state"
    paid = 10**15 - 1_000_000 - free_balance(chain.best, ALICE.account_id)
    assert free_balance(chain.best, BOB.account_id) == 10**12 + 1_000_000
    assert paid == free_balance(chain.best, EVE.account_id) > len(raw)


def test_events_are_stored_as_clients_decode_them() -> None:
    chain = Chain()
    chain.block(sign(transfer()))
    blob = chain.executive.metadata(15)
    assert blob is not None
    client = ClientRuntime(decode_metadata(blob))
    raw = chain.backend[system.Events.key_of(system.Events)]  # type: ignore[attr-defined]
    events = client.events(raw)
    last = max(e.extrinsic for e in events if e.extrinsic is not None)
    names = [f"{e.pallet}.{e.name}" for e in events if e.extrinsic == last]
    assert names == [
        "Balances.Withdraw",
        "Balances.Transfer",
        "Balances.Deposit",
        "System.NewAccount",
        "Balances.Endowed",
        "Balances.Deposit",
        "TransactionPayment.TransactionFeePaid",
        "System.ExtrinsicSuccess",
    ]


def test_a_failed_call_keeps_fee_and_nonce_and_nothing_else() -> None:
    chain = Chain()
    (result,) = chain.block(sign(transfer(2 * 10**15)))
    assert result.error is not None
    assert free_balance(chain.best, BOB.account_id) == 10**12
    assert free_balance(chain.best, ALICE.account_id) < 10**15
    assert chain.best[system.Account, ALICE.account_id].nonce == 1


@pytest.mark.parametrize(("nonce", "kind"), [(0, Invalid.Stale), (2, Invalid.Future)])
def test_nonces_run_in_order(nonce: int, kind: Invalid) -> None:
    chain = Chain()
    chain.block(sign(transfer()))
    assert refused(chain, sign(transfer(), nonce)).kind is kind


def test_the_pool_takes_later_nonces_with_what_they_require() -> None:
    chain = Chain()
    validity = chain.executive.validate_transaction(chain.best, sign(transfer(), 3))
    assert len(validity.requires) == 1
    assert validity.provides != validity.requires
    assert validity.priority == 1


@pytest.mark.parametrize(
    "raw",
    [
        sign(transfer(), key=BOB)[:-3] + b"abc",
        sign(transfer(), spec=1),
        sign(transfer(), birth=b"\x01" * 32),
        sign(transfer(), mode=b"\1"),
    ],
    ids=["another call", "another runtime", "another chain", "metadata hash"],
)
def test_what_was_not_signed_is_refused(raw: bytes) -> None:
    assert refused(Chain(), raw).kind is Invalid.BadProof


def test_ed25519_signatures_count() -> None:
    chain = Chain()
    key = Keypair.from_uri("//Ed", CryptoType.ED25519)
    call = RUNTIME.call("Balances", "transfer_keep_alive", Id(key.account_id), 10**10)
    chain.block(sign(call))
    (result,) = chain.block(sign(transfer(), key=key))
    assert result.error is None


def test_an_ecdsa_account_is_the_hash_of_its_compressed_key() -> None:
    account = ECDSA_ALICE.account_id
    assert ss58.encode(account) == "5C7C2Z5sWbytvHpuLTvzKunnnRwQxft1jiqrLD5rhucQ5S9X"
    signature = bytes.fromhex(
        "cd5b21c12f1ac0d6c4539f182d1648e83cd0a8fb3eebcc90215abe050154e837"
        "3bead0079e94655a37a83e00213414a7cb15aafc84b360170296a06ae6c6232600"
    )
    assert ECDSA_ALICE.sign(b"hello") == signature
    assert verify_signature(Ecdsa(signature), b"hello", account)
    assert verify_signature(Ecdsa(signature[:64] + b"\x1b"), b"hello", account)
    assert not verify_signature(Ecdsa(signature), b"hallo", account)
    assert not verify_signature(Ecdsa(signature[:64] + b"\1"), b"hello", account)
    assert not verify_signature(Ecdsa(signature), b"hello", ALICE.account_id)


def test_an_extrinsic_is_decoded_once_and_a_large_one_is_not_kept() -> None:
    once = DecodedOnce(limit=600)
    small = [sign(transfer(n)) for n in range(1, 6)]
    first = once.decode(small[0])
    assert once.decode(bytes(bytearray(small[0]))) is first
    assert first == decode_extrinsic(small[0])
    for raw in small[1:]:
        once.decode(raw)
    assert once.decode(small[0]) is not first, "the oldest makes room"
    large = sign(RUNTIME.call("System", "remark", bytes(5_000)))
    assert once.decode(large) is not once.decode(large)


def test_ecdsa_signatures_count() -> None:
    chain = Chain()
    call = RUNTIME.call("Balances", "transfer_keep_alive", Id(ECDSA_ALICE.account_id), 10**10)
    chain.block(sign(call))
    (result,) = chain.block(sign(transfer(), key=ECDSA_ALICE))
    assert result.error is None
    raw = bytearray(sign(transfer(), nonce=1, key=ECDSA_ALICE))
    raw[80] ^= 1
    assert refused(chain, bytes(raw)).kind is Invalid.BadProof


@given(st.binary(min_size=65, max_size=65), st.binary(max_size=300))
def test_no_ecdsa_signature_of_a_stranger_raises(raw: bytes, payload: bytes) -> None:
    assert not verify_signature(Ecdsa(raw), payload, ALICE.account_id)


def test_mortal_eras_begin_and_end() -> None:
    chain = Chain()
    for _ in range(5):
        chain.block()
    era = Era.mortal(4, chain.number - 1)
    birth = chain.best[system.BlockHash, BlockNumber(era.birth(chain.number - 1))]
    raw = sign(transfer(), era=era.encode(), birth=birth)
    assert chain.executive.validate_transaction(chain.best, raw).longevity <= 4
    (result,) = chain.block(raw)
    assert result.error is None
    late = sign(transfer(), 1, era=era.encode(), birth=birth)
    for _ in range(4):
        chain.block()
    assert refused(chain, late).kind in (Invalid.BadProof, Invalid.AncientBirthBlock)


def test_someone_without_an_account_cannot_pay() -> None:
    stranger = Keypair.from_uri("//Nobody")
    assert refused(Chain(), sign(transfer(), key=stranger)).kind is Invalid.Payment


def test_an_address_that_is_no_account_cannot_sign() -> None:
    raw = bytearray(sign(transfer()))
    body = bytes(raw[2:])
    moved = body[:1] + codec(type(Raw(b"")).__mro__[1]).encode(Raw(b"x" * 32)) + body[34:]
    assert refused(Chain(), compact_encode(len(moved)) + moved).kind is Invalid.BadSigner


def test_inherents_come_once_and_only_from_authors() -> None:
    chain = Chain()
    again = bare(RUNTIME.call("Timestamp", "set", chain.now + 300))
    assert refused(chain, again).kind is Invalid.BadMandatory
    with pytest.raises(InvalidTransaction):
        chain.executive.validate_transaction(chain.best, again)
    signed = sign(RUNTIME.call("Timestamp", "set", chain.now))
    assert refused(chain, signed).kind is Invalid.BadMandatory
    with pytest.raises(UnknownTransaction):
        chain.executive.validate_transaction(chain.best, bare(transfer()))


def test_a_block_without_its_time_is_invalid() -> None:
    chain = Chain()
    state = chain.best.child()
    chain.executive.initialize_block(state, 1, bytes(32), [PreRuntime(b"aura", b"\1" * 8)])
    with pytest.raises(InvalidBlock, match="Timestamp must be updated"):
        chain.executive.finalize_block(state)


def test_the_slot_must_rise() -> None:
    chain = Chain()
    chain.block()
    state = chain.best.child()
    with pytest.raises(InvalidBlock, match="Slot must increase"):
        chain.executive.initialize_block(state, 2, bytes(32), [PreRuntime(b"aura", bytes(8))])


def test_runtime_apis_answer_and_refuse() -> None:
    chain = Chain()
    executive = chain.executive
    nonce = executive.call_api(chain.best, "AccountNonceApi_account_nonce", ALICE.account_id)
    assert nonce == bytes(4)
    with pytest.raises(UnknownMethod, match="Exported method Nope_no is not found"):
        executive.call_api(chain.best, "Nope_no", b"")
    with pytest.raises(DecodeError):
        executive.call_api(chain.best, "AccountNonceApi_account_nonce", b"short")


def test_the_estimate_of_a_fee_is_the_fee() -> None:
    chain = Chain()
    raw = sign(transfer())
    data = raw + len(raw).to_bytes(4, "little")
    answer = chain.executive.call_api(chain.best, "TransactionPaymentApi_query_info", data)
    chain.block(raw)
    fee = int.from_bytes(answer[-8:], "little")
    assert fee == free_balance(chain.best, EVE.account_id)


def test_a_transfer_costs_what_was_recorded_on_the_network_s_own_localnet() -> None:
    """The recorded block of bittensor 11.3.0's fixtures: 144 bytes, 166247 rao."""
    chain = Chain()
    raw = sign(transfer(10**9))
    assert len(raw) == 144
    chain.block(raw)
    assert free_balance(chain.best, ALICE.account_id) == 10**15 - 10**9 - 166_247


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_pool_or_a_block(raw: bytes) -> None:
    chain = CHAIN
    for data in (raw, compact_encode(len(raw)) + raw, compact_encode(len(raw) + 1) + b"\x84" + raw):
        with pytest.raises((DecodeError, InvalidTransaction, UnknownTransaction)):
            chain.executive.validate_transaction(chain.best, data)


CHAIN = Chain()


@given(st.data())
def test_a_flipped_byte_never_passes(data: st.DataObject) -> None:
    raw = bytearray(sign(transfer()))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises((DecodeError, InvalidTransaction, UnknownTransaction)):
        CHAIN.executive.validate_transaction(CHAIN.best, bytes(raw))


def test_nested_calls_are_bounded() -> None:
    call = codec(RuntimeCall).encode(RUNTIME.call("System", "remark", b""))
    for _ in range(200):
        call = b"\x0b\x00\x04" + call
    with pytest.raises(DecodeError, match="nested deeper"):
        decode_extrinsic(compact_encode(len(call) + 1) + b"\x04" + call)
