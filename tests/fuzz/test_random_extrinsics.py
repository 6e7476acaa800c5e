"""Random extrinsics in random blocks: refused without a trace or applied, and the chain goes on.

Every field that the extensions read is drawn: nonce, tip, era, mode, version, and broken bytes.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from populated import BLOCK, HOTKEYS, NAMES, PEOPLE, RUNTIME, amounts, calls, populated, some
from test_random_calls_of_all_pallets import changed

from chain.executive import Executive
from chain.extensions import implicit_bytes
from chain.extrinsics import bare, signing_payload
from chain.pallets import aura, system
from chain.pallets.timestamp import Now
from chain.runtime.call import CALLS, RuntimeCall
from chain.runtime.state import State
from chain.runtime.types import PreRuntime
from chain.runtime.validity import InvalidTransaction, UnknownTransaction
from ganglion.keys import Keypair, dev_key
from ganglion.scale import DecodeError, compact_encode
from ganglion.units import BlockNumber

GENESIS = b"\x07" * 32
KEYS = {dev_key(n).account_id: dev_key(n) for n in (*NAMES, *(f"{n}_hot" for n in NAMES))}
assert set(KEYS) == {*PEOPLE, *HOTKEYS}
REFUSALS = (InvalidTransaction, UnknownTransaction, DecodeError)


@dataclass(frozen=True)
class Draft:
    """An extrinsic to be; `nonce` is relative to the account's."""

    key: Keypair | None
    call: RuntimeCall
    nonce: int
    tip: int
    era: bytes
    mode: int
    spec: int
    breaks: tuple[tuple[int, int], ...]

    def raw(self, s: State) -> bytes:
        """Its bytes, signed for the present state, then broken."""
        body = CALLS.encode(self.call)
        if self.key is None:
            out = bare(self.call)
        else:
            nonce = max(s[system.Account, self.key.account_id].nonce + self.nonce, 0)
            extra = (
                self.era + compact_encode(nonce) + compact_encode(self.tip) + bytes((self.mode,))
            )
            implicit = implicit_bytes(self.spec, 1, GENESIS, GENESIS)
            signature = self.key.sign(signing_payload(body, extra, implicit))
            signed = b"\x84\0" + self.key.account_id + b"\1" + signature + extra + body
            out = compact_encode(len(signed)) + signed
        raw = bytearray(out)
        for place, value in self.breaks:
            raw[place % len(raw)] = value
        return bytes(raw)


def mostly(value: Any, *others: Any) -> st.SearchStrategy[Any]:
    """One value most of the time."""
    return st.one_of(*[st.just(value)] * 6, st.sampled_from(others))


SPEC = RUNTIME.version.spec_version
drafts = st.builds(
    Draft,
    st.one_of(*[st.sampled_from(list(KEYS.values()))] * 6, st.none()),
    calls,
    mostly(0, -1, 1, 2**32),
    st.one_of(st.just(0), st.just(0), amounts),
    mostly(b"\0", b"\x01\x00", b"\x15\x00", b"\xff\xff", b"\x02\xf0"),
    mostly(0, 1),
    mostly(SPEC, SPEC + 1),
    st.one_of(
        *[st.just(())] * 6,
        st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=3).map(tuple),
    ),
)


def begin(executive: Executive, s: State) -> None:
    """The next block with its inherents."""
    now = s[Now] + aura.SlotDuration.value
    slot = (now // aura.SlotDuration.value).to_bytes(8, "little")
    number = s[system.Number] + 1
    parent = number.to_bytes(32, "little")
    executive.initialize_block(s, number, parent, [PreRuntime(b"aura", slot)])
    for raw in executive.inherents(s, now):
        executive.apply_extrinsic(s, raw)


@some
@given(st.lists(drafts, min_size=1, max_size=12))
def test_whatever_comes_the_chain_goes_on(block: list[Draft]) -> None:
    executive = Executive(RUNTIME, GENESIS)
    s = populated().child()
    begin(executive, s)
    for draft in block:
        raw = draft.raw(s)
        before, events = changed(s), len(s.events)
        try:
            executive.apply_extrinsic(s, raw)
        except InvalidTransaction:
            assert changed(s) == before
            assert len(s.events) == events
    executive.finalize_block(s)
    for _ in range(2):
        begin(executive, s)
        executive.finalize_block(s)
    assert s[system.Number] == BlockNumber(BLOCK + 3)


@some
@given(drafts)
def test_the_pool_looks_without_touching(draft: Draft) -> None:
    executive = Executive(RUNTIME, GENESIS)
    s = populated().child()
    raw = draft.raw(s)
    try:
        validity = executive.validate_transaction(s, raw)
    except REFUSALS:
        pass
    else:
        assert validity.provides
    assert changed(s) == {}
    try:
        executive.dispatch_info(raw)
    except DecodeError:
        return


@some
@given(st.sampled_from(sorted(RUNTIME.methods)), st.binary(max_size=80))
def test_runtime_apis_take_any_bytes(name: str, data: bytes) -> None:
    s = populated().child()
    with contextlib.suppress(DecodeError):
        Executive(RUNTIME, GENESIS).call_api(s, name, data)
    assert changed(s) == {}
