"""TaggedTransactionQueue_validate_transaction: papi asks it before it submits anything."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chain.executive import Executive
from chain.extensions import implicit_bytes
from chain.extrinsics import bare, signing_payload
from chain.genesis import Genesis, build_genesis
from chain.runtime.call import RuntimeCall
from chain.runtime.state import DictBackend, State
from chain.runtime.types import Id
from chain.runtime_spec import make_runtime
from ganglion.keys import dev_key
from ganglion.metadata import decode_metadata
from ganglion.runtime import Runtime as ClientRuntime
from ganglion.scale import DecodeError, codec, compact_encode
from ganglion.units import Rao

METHOD = "TaggedTransactionQueue_validate_transaction"
LOCAL = b"\1"
ALICE, BOB = dev_key("Alice"), dev_key("Bob")
RUNTIME = make_runtime()
GENESIS = b"\x07" * 32
EXECUTIVE = Executive(RUNTIME, GENESIS)
CLIENT = ClientRuntime(decode_metadata(EXECUTIVE.metadata(15) or b""))


def state() -> State:
    keys = (ALICE.account_id,)
    genesis = Genesis(((ALICE.account_id, Rao(10**15)),), keys, keys, ALICE.account_id)
    return State(DictBackend(build_genesis(RUNTIME, genesis)))


def transfer(nonce: int = 0, key: Any = ALICE, genesis: bytes = GENESIS) -> bytes:
    call = RUNTIME.call("Balances", "transfer_keep_alive", Id(BOB.account_id), 10**6)
    body = codec(RuntimeCall).encode(call)
    extra = b"\0" + compact_encode(nonce) + b"\0\0"
    implicit = implicit_bytes(RUNTIME.version.spec_version, 1, genesis, genesis)
    signature = key.sign(signing_payload(body, extra, implicit))
    out = b"\x84\0" + key.account_id + b"\1" + signature + extra + body
    return compact_encode(len(out)) + out


def ask(raw: bytes, block_hash: bytes = GENESIS) -> bytes:
    s = state()
    before = s.changes()
    answer = EXECUTIVE.call_api(s, METHOD, LOCAL + raw + block_hash)
    assert s.changes() == before
    return answer


def test_what_the_pool_would_take_is_valid() -> None:
    answer = ask(transfer())
    assert answer[0] == 0
    priority = int.from_bytes(answer[1:9], "little")
    pool = EXECUTIVE.validate_transaction(state(), transfer())
    assert priority == pool.priority
    assert answer[9:] == (
        codec(tuple[bytes, ...]).encode(pool.requires)
        + codec(tuple[bytes, ...]).encode(pool.provides)
        + pool.longevity.to_bytes(8, "little")
        + b"\1"
    )


def test_a_later_nonce_waits_for_the_one_before() -> None:
    answer = ask(transfer(nonce=3))
    assert answer[0] == 0
    assert answer[9] != 0, "it requires a tag"


def test_what_the_pool_refuses_is_named_by_its_kind() -> None:
    assert ask(transfer(key=BOB)) == b"\1\0\1", "no funds: Invalid.Payment"
    assert ask(transfer(genesis=bytes(32))) == b"\1\0\4", "another chain: Invalid.BadProof"
    assert ask(transfer(), block_hash=bytes(32)) == b"\1\0\4"


def test_a_bare_call_that_nobody_vouches_for_is_unknown() -> None:
    call = RUNTIME.call("Balances", "transfer_keep_alive", Id(BOB.account_id), 1)
    assert ask(bare(call)) == b"\1\1\1"


def test_metadata_shows_it() -> None:
    inputs = CLIENT.metadata.apis["TaggedTransactionQueue"]["validate_transaction"].inputs
    assert [name for name, _ in inputs] == ["source", "tx", "block_hash"]


@given(st.binary(max_size=200))
def test_malformed_arguments_are_decode_errors(data: bytes) -> None:
    try:
        EXECUTIVE.call_api(state(), METHOD, data)
    except DecodeError:
        return
