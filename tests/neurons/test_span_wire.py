"""Frames between fronts and span servers: round trips, and nothing that a stranger sends breaks."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganglion.hashing import blake2_256
from ganglion.keys import CryptoType, Keypair
from ganglion.wire import spans
from ganglion.wire.fields import BadMessage
from ganglion.wire.spans import Announcement, Claim, Hop, HopRow, Kind

KEY = Keypair.from_uri("//Span")
HIDDEN = 4
NOW = 1_800_000_000_000


def hop(kind: Kind = Kind.FLOAT64, **changes: object) -> Hop:
    made = Hop(spans.VERSION, b"w" * 32, b"s" * 16, 9, True, 8, 1, 3, kind,
               (HopRow(0, 2, 1, (4,)), HopRow(16, 3, 3, (0, 7))))  # fmt: skip
    return replace(made, **changes)


def rows(kind: Kind, count: int) -> np.ndarray:  # type: ignore[type-arg]
    return (np.arange(count * HIDDEN).reshape(count, HIDDEN) * 3).astype(kind.dtype)


def claim(of: Hop, body: bytes, y: np.ndarray) -> Claim:  # type: ignore[type-arg]
    return Claim(spans.VERSION, b"g" * 32, of.weights, KEY.public_key, b"f" * 32, of.session,
                 of.step, of.first, of.last, of.kind, blake2_256(body),
                 blake2_256(y.tobytes()))  # fmt: skip


def announcement(**changes: object) -> Announcement:
    made = Announcement(spans.VERSION, b"g" * 32, 2, b"w" * 32, Kind.FLOAT64, HIDDEN, 4, 0, 2,
                        KEY.public_key, 100, 8, NOW, NOW + 60_000)  # fmt: skip
    return replace(made, **changes)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_hop_and_its_answer_come_back_as_they_went(kind: Kind) -> None:
    asked, x = hop(kind), rows(kind, 5)
    body = spans.pack_hop(asked, x)
    found, given_ = spans.unpack_hop(body, HIDDEN)
    assert found == asked
    assert (given_ == x).all()
    y = rows(kind, 4)
    signed = spans.sign_claim(claim(asked, body, y), KEY)
    said, back = spans.unpack_answer(spans.pack_answer(signed, y), asked, HIDDEN)
    assert said == signed
    assert said.holds()
    assert (back == y).all()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": 2}, "version 1"),
        ({"first": 3}, "blocks 3:3 are none"),
        ({"rows": ()}, "1 to 1024 rows"),
        ({"rows": (HopRow(0, 0, 0, ()),)}, "one position or more"),
        ({"rows": (HopRow(0, 5, 6, (0,)),)}, "keeps at most those"),
        ({"rows": (HopRow(0, 5, 1, (0, 1)),)}, "and no others"),
        ({"rows": (HopRow(0, 5, 1, (8,)),)}, "does not have"),
        ({"rows": (HopRow(0, 70_000, 1, (0,)),)}, "at most 65536 positions"),
        ({"room": 0}, "1 to 1048576 pages"),
        ({"kind": Kind.FLOAT32}, "of type float32 have"),
    ],
)
def test_what_is_wrong_with_a_hop_is_said(changes: dict[str, object], said: str) -> None:
    body = spans.pack_hop(hop(), rows(Kind.FLOAT64, 5))
    size = int.from_bytes(body[:4], "little")
    header = spans.HOP.encode(hop(**changes))
    with pytest.raises(BadMessage, match=said):
        spans.unpack_hop(len(header).to_bytes(4, "little") + header + body[4 + size :], HIDDEN)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e16])
def test_values_that_are_no_activations_are_refused(bad: float) -> None:
    for kind in (Kind.FLOAT64, Kind.FLOAT32):
        x = rows(kind, 5)
        x[3, 1] = bad
        with pytest.raises(BadMessage, match="infinite, not a number, or larger"):
            spans.unpack_hop(spans.pack_hop(hop(kind), x), HIDDEN)
    x = rows(Kind.BFLOAT16, 5)
    x[0, 0] = 0x7F80 if bad > 0 else 0xFFC1
    with pytest.raises(BadMessage, match="infinite"):
        spans.unpack_hop(spans.pack_hop(hop(Kind.BFLOAT16), x), HIDDEN)


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 255))
def test_strange_frames_give_one_sentence(raw: bytes, at: int, value: int) -> None:
    asked, x = hop(), rows(Kind.FLOAT64, 5)
    true = spans.pack_hop(asked, x)
    answer = spans.pack_answer(spans.sign_claim(claim(asked, true, x[:4]), KEY), x[:4])
    changed = [bytearray(true), bytearray(answer)]
    for body in changed:
        body[at % len(body)] ^= value
    bodies = [raw, len(raw).to_bytes(4, "little") + raw, true[:at], *map(bytes, changed)]
    for body in bodies:
        with suppress(BadMessage):
            spans.unpack_hop(body, HIDDEN)
        with suppress(BadMessage):
            spans.unpack_answer(body, asked, HIDDEN)
        with suppress(BadMessage):
            spans.read_span(body, b"g" * 32, KEY.public_key, NOW)


def test_an_answer_to_another_hop_is_refused() -> None:
    asked, y = hop(), rows(Kind.FLOAT64, 4)
    body = spans.pack_hop(asked, rows(Kind.FLOAT64, 5))
    right = claim(asked, body, y)
    wrong = (replace(right, step=8), replace(right, first=0), replace(right, session=b"x" * 16))
    for other in wrong:
        with pytest.raises(BadMessage, match="another hop"):
            spans.unpack_answer(spans.pack_answer(spans.sign_claim(other, KEY), y), asked, HIDDEN)
    flipped = y.copy()
    flipped.view(np.uint64)[0, 0] ^= 1
    with pytest.raises(BadMessage, match="not those of the claim"):
        spans.unpack_answer(spans.pack_answer(spans.sign_claim(right, KEY), flipped), asked, HIDDEN)


def test_a_claim_is_its_signers_alone() -> None:
    signed = spans.sign_claim(claim(hop(), b"", rows(Kind.FLOAT64, 4)), KEY)
    assert signed.holds()
    assert not replace(signed, signature=bytes(64)).holds()
    assert not replace(signed, crypto=7).holds()
    assert not replace(signed, crypto=int(CryptoType.ED25519)).holds()
    nobody = replace(signed.claim, server=bytes(32))
    assert not replace(signed, claim=nobody).holds()


def test_announcements() -> None:
    body = spans.sign_span(announcement(), KEY).to_bytes()
    place = (b"g" * 32, KEY.public_key)
    assert spans.read_span(body, *place, NOW) == announcement()
    assert len(body) < spans.MAX_ANNOUNCEMENT
    with pytest.raises(BadMessage, match="expired"):
        spans.read_span(body, *place, NOW + 60_001)
    with pytest.raises(BadMessage, match="clocks differ"):
        spans.read_span(body, *place, NOW - 60_000)
    with pytest.raises(BadMessage, match="another chain"):
        spans.read_span(body, b"h" * 32, KEY.public_key, NOW)
    with pytest.raises(BadMessage, match="not signed by its server"):
        forged = spans.sign_span(announcement(), Keypair.from_uri("//Other"))
        spans.read_span(forged.to_bytes(), *place, NOW)
    for changes in ({"last": 5}, {"first": 2}, {"hidden": 0}):
        with pytest.raises(BadMessage, match="no span"):
            spans.read_span(spans.sign_span(announcement(**changes), KEY).to_bytes(), *place, NOW)
    with pytest.raises(BadMessage, match="times make no sense"):
        long = spans.sign_span(announcement(expires=NOW + 10**9), KEY)
        spans.read_span(long.to_bytes(), *place, NOW)


def test_spans_are_spelt_short() -> None:
    assert spans.spelt([3, 2, 7, 0]) == "0:1, 2:4, 7:8"
    assert spans.tokens_a_frame(10**7, Kind.FLOAT64) == 1
