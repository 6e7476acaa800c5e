"""When weights are set, committed and revealed."""

from dataclasses import replace

import pytest

from ganglion.hashing import blake2_256
from neurons.validator.schedule import (
    Clock,
    Committed,
    CommitWeights,
    RevealWeights,
    SetWeights,
    draw_salt,
    due,
)

WEIGHTS = ((0, 65535), (3, 100))
OPEN = Clock(500, 7, 400, 100, 9, commit_reveal=False)
HIDDEN = replace(OPEN, commit_reveal=True, reveal_period=2)
ENTRY = Committed((0, 3), (65535, 100), (1, 2), 9)
HOTKEY = b"h" * 32


def test_open_weights_wait_for_the_rate_limit() -> None:
    assert due(OPEN, WEIGHTS, {}, ()) == [SetWeights(WEIGHTS)]
    assert due(replace(OPEN, last_update=401), WEIGHTS, {}, ()) == []
    assert due(replace(OPEN, block=5, last_update=0), WEIGHTS, {}, ()) == [SetWeights(WEIGHTS)]
    assert due(OPEN, (), {}, ()) == []


def test_one_commitment_an_epoch() -> None:
    assert due(HIDDEN, WEIGHTS, {}, (1, 2)) == [CommitWeights(ENTRY)]
    assert due(replace(HIDDEN, queue=((b"x", 7),)), WEIGHTS, {}, (1, 2)) == []
    assert due(replace(HIDDEN, queue=((b"x", 6),)), WEIGHTS, {}, (1, 2)) == [CommitWeights(ENTRY)]


@pytest.mark.parametrize(("epoch", "reveals"), [(6, 0), (7, 0), (8, 1), (9, 0)])
def test_reveals_come_exactly_at_their_epoch(epoch: int, reveals: int) -> None:
    commit = ENTRY.hash(HOTKEY, 2)
    clock = replace(HIDDEN, epoch=epoch, last_update=500, queue=((commit, 6),))
    assert due(clock, WEIGHTS, {commit: ENTRY}, ()) == [RevealWeights(ENTRY)] * reveals
    assert due(clock, WEIGHTS, {}, ()) == []


def test_the_hash_is_what_the_chain_computes() -> None:
    vectors = b"\x08\x00\x00\x03\x00" + b"\x08\xff\xff\x64\x00" + b"\x08\x01\x00\x02\x00"
    preimage = HOTKEY + b"\x02\x00" + vectors + (9).to_bytes(8, "little")
    assert ENTRY.hash(HOTKEY, 2) == blake2_256(preimage)
    assert Committed.from_json(ENTRY.to_json()) == ENTRY


def test_salts_differ() -> None:
    assert draw_salt() != draw_salt()
