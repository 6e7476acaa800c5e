"""A bill is a copy of the signed receipt: who is billed refuses one that says anything else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganglion.keys import Keypair
from ganglion.wire import receipts, vectors
from ganglion.wire.receipts import BadReceipt, Finish, Receipt, SignedReceipt
from ganglion.wire.sealed import BadSeal, KeyRing, Opener
from ganglion.wire.text import TextAnswer, done_event, tokens_event
from ganglion.wire.vectors import EmbedAnswer, answer_json, vector_bytes

MINER = Keypair.from_uri("//Miner")
COUNTS = st.integers(0, 1 << 20)


def receipt(tokens: tuple[int, ...] = (5, 6, 7), prompt: int = 9) -> SignedReceipt:
    made = Receipt(
        1, b"g" * 32, 2, b"r" * 32, b"c" * 32, MINER.public_key, b"w" * 32, True, b"s" * 32,
        prompt, 0, tokens, Finish.LENGTH, b"e" * 32,
    )  # fmt: skip
    return receipts.sign(made, MINER)


def answer(signed: SignedReceipt, usage: dict[str, int] | None = None) -> TextAnswer:
    """What came back: tokens as signed, and this usage instead of the receipt's own."""
    name, data = done_event(signed)
    if usage is not None:
        data = orjson.dumps({**orjson.loads(data), "usage": usage})
    made = TextAnswer()
    made.take(*tokens_event(list(signed.receipt.tokens), "x", signed.receipt.prompt_tokens))
    assert made.take(name, data)
    return made


@given(st.lists(st.integers(0, 99), min_size=1, max_size=9), COUNTS, COUNTS, COUNTS)
def test_no_bill_but_the_receipts_own_is_taken(
    tokens: list[int], prompt: int, billed_prompt: int, billed: int
) -> None:
    signed = receipt(tuple(tokens), prompt)
    answer(signed).check_bill()
    usage = {"prompt_tokens": billed_prompt, "completion_tokens": billed}
    if (billed_prompt, billed) == (prompt, len(tokens)):
        answer(signed, usage).check_bill()
    else:
        with pytest.raises(BadReceipt):
            answer(signed, usage).check_bill()


def test_other_tokens_another_end_and_no_receipt_are_no_bill() -> None:
    signed = receipt()
    for change in ({"tokens": [5, 6]}, {"finish": Finish.STOP}, {"signed": None}):
        with pytest.raises(BadReceipt):
            replace(answer(signed), **change).check_bill()  # type: ignore[arg-type]


def test_a_receipt_has_no_count_of_its_tokens_that_could_differ() -> None:
    """So no signed statement can contradict the signed tokens: there is nothing to slash for."""
    counts = [name for name in Receipt.__annotations__ if "tokens" in name]
    assert counts == ["prompt_tokens", "tokens"]
    for tokens in ((), (1,), (1, 2, 3)):
        usage = orjson.loads(done_event(receipt(tokens))[1])["usage"]
        assert usage["completion_tokens"] == len(tokens)


def test_a_bill_for_vectors_is_the_receipts() -> None:
    parts = vector_bytes(np.ones((1, 4), np.float32))
    body = answer_json(parts, receipt(()))
    read = EmbedAnswer.from_bytes(orjson.dumps(body), 1)
    read.check_bill()
    assert vectors.evidence(parts)
    with pytest.raises(BadReceipt, match="other tokens than the bill"):
        replace(read, prompt_tokens=10).check_bill()


@pytest.mark.parametrize("at", [0, 2])
@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens", "cached"])
def test_outside_of_a_seal_no_other_counts_are_billed_than_inside(at: int, name: str) -> None:
    """A gateway bills by what it can read, and the asker compares that with what it unseals."""
    ring = KeyRing(MINER, b"g" * 32, 2, lambda: 0.0)
    opener = Opener(ring.announced().key, "m", 8, b"{}")
    answerer, signed = ring.open(opener.envelope), receipt((5, 6))
    events = [
        tokens_event([5], "a", 9, 4),
        tokens_event([6], "b"),
        done_event(signed, 4),
    ]
    for index, event in enumerate(events):
        kind, data = answerer.seal(*event)
        given = orjson.loads(data)
        assert ("usage" in given) == (index != 1)
        if index < at:
            inside, content = opener.open(kind, data)
            assert (inside, content.strip()) == event
        elif index == at:
            if name == "cached":
                given["usage"]["prompt_tokens_details"]["cached_tokens"] -= 1
            else:
                given["usage"][name] += 1
            with pytest.raises(BadSeal, match="bills other counts"):
                opener.open(kind, orjson.dumps(given))
