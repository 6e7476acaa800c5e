"""The text of a streamed answer: what the decoder says of the whole, at a token's cost a token."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganglion.wire.receipts import Expected, Finish
from ganglion.wire.text import Sampling, TextAnswer, TextRequest
from neurons.engine.bytes import ByteTokenizer
from neurons.engine.folder import TINY
from subnets.textgen.judge import Facts, Failure, check_finish
from subnets.textgen.spelling import LONGEST, RECALLED, Speller, StopWatch, spell

BYTES = ByteTokenizer(TINY)
TEXT = "Ärger im Café ☃ — 東京, 3.14 « naïve » \t\n  two  spaces; don't stop . , ! 🙂👩‍👩‍👧\r\n" * 3


def decoders() -> dict[str, tuple[Callable[[str], list[int]], Callable[[list[int]], str]]]:
    """Small tokenizers of the three families that models use, by name: encode and decode."""
    tokenizers = pytest.importorskip("tokenizers")
    kinds = tokenizers.models, tokenizers.pre_tokenizers, tokenizers.decoders, tokenizers.trainers
    models, before, after, trainers = kinds
    byte_bpe = tokenizers.Tokenizer(models.BPE())
    byte_bpe.pre_tokenizer = before.ByteLevel(add_prefix_space=False)
    byte_bpe.decoder = after.ByteLevel()
    alphabet = before.ByteLevel.alphabet()
    byte_bpe.train_from_iterator(
        [TEXT], trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet)
    )
    pieces = [f"<0x{i:02X}>" for i in range(256)] + ["▁", "▁the", "a", "é", "▁two", "stop", "☃"]
    sentence = tokenizers.Tokenizer(
        models.Unigram([("<unk>", 0.0), *((p, -2.0) for p in pieces)], 0, byte_fallback=True)
    )
    sentence.pre_tokenizer = before.Metaspace()
    sentence.decoder = after.Sequence(
        [after.Replace("▁", " "), after.ByteFallback(), after.Fuse(), after.Strip(" ", 1, 0)]
    )
    return {
        "bytes": (BYTES.encode, BYTES.decode),
        "byte-level BPE": (lambda t: byte_bpe.encode(t).ids, byte_bpe.decode),
        "sentence pieces": (lambda t: sentence.encode(t).ids, sentence.decode),
    }


@pytest.mark.parametrize("kind", ["bytes", "byte-level BPE", "sentence pieces"])
def test_pieces_add_up_to_the_decoded_whole(kind: str) -> None:
    encode, decode = decoders()[kind]
    tokens = encode(TEXT)
    assert spell(decode, tokens) == decode(tokens)


@pytest.mark.parametrize("kind", ["bytes", "byte-level BPE", "sentence pieces"])
def test_any_cut_gives_the_same_text(kind: str) -> None:
    encode, decode = decoders()[kind]
    tokens = encode(TEXT)
    for cut in random.Random(3).sample(range(len(tokens)), 40):
        first = Speller(decode)
        said = "".join(map(first.push, tokens[:cut]))
        assert said + spell(decode, tokens[cut:], tokens[:cut]) == decode(tokens)


@given(st.lists(st.integers(0, 263), max_size=LONGEST - 1))
def test_noise_is_spelt_as_it_decodes(tokens: list[int]) -> None:
    assert spell(BYTES.decode, tokens) == BYTES.decode(tokens)


@given(st.lists(st.integers(0, 263), max_size=300), st.integers(0, 300))
def test_who_continues_says_what_is_left(tokens: list[int], cut: int) -> None:
    first = Speller(BYTES.decode)
    said = "".join(map(first.push, tokens[:cut]))
    assert said + spell(BYTES.decode, tokens[cut:], tokens[:cut]) == spell(BYTES.decode, tokens)


def test_half_a_character_waits_for_its_other_half() -> None:
    speller, snow = Speller(BYTES.decode), list("☃".encode())
    assert [speller.push(t) for t in (*b"a", *snow, *b"b")] == ["a", "", "", "☃", "b"]
    speller.push(snow[0])
    assert speller.held == "�"


def test_a_flood_of_half_characters_is_let_go() -> None:
    speller = Speller(BYTES.decode)
    said = [speller.push(0x80) for _ in range(3 * LONGEST)]
    assert sum(map(len, said)) >= 2 * LONGEST
    assert speller.push(ord("x")).endswith("x")


def test_a_token_costs_the_same_at_the_end_of_a_long_answer() -> None:
    looked: list[int] = []

    def decode(tokens: list[int]) -> str:
        looked.append(len(tokens))
        return BYTES.decode(tokens)

    assert spell(decode, list(b"word " * 2000)) == "word " * 2000
    assert max(looked) <= 2


@given(st.text(max_size=60), st.lists(st.text(min_size=1, max_size=4), max_size=3))
def test_stops_are_found_with_their_last_token(text: str, stops: list[str]) -> None:
    watch, tokens = StopWatch(stops, BYTES.decode), list(text.encode())
    for at, token in enumerate(tokens, 1):
        now = BYTES.decode(tokens[:at])
        assert watch.push(token) == any(stop in now for stop in stops)
        if watch.found:
            break


def test_who_resumes_a_long_answer_looks_at_its_end_alone() -> None:
    looked: list[int] = []

    def decode(tokens: list[int]) -> str:
        looked.append(len(tokens))
        return BYTES.decode(tokens)

    before = list("long ☃ ago ".encode() * 1000)
    assert spell(decode, list("☃!".encode()), before) == "☃!"
    watch = StopWatch([" ago ☃"], decode, before)
    assert [watch.push(token) for token in "☃".encode()] == [False, False, True]
    assert len(looked) < 12 * RECALLED


def facts(stop: str, resume: bytes = b"") -> Facts:
    asked = TextRequest(
        b"i" * 16, "m", Sampling(b"s" * 32), 40, prompt="x", resume=tuple(resume), stop=(stop,)
    )
    expected = Expected(b"g", 1, b"r", b"c", b"m", b"w", b"s")
    return Facts(asked, expected, (1,), 300, 1000, frozenset({299}), BYTES.decode)


def stopped(said: bytes) -> TextAnswer:
    return TextAnswer(list(said), [said.decode()], Finish.STOP)


def test_an_answer_ends_with_the_token_that_brings_a_stop_text() -> None:
    check_finish(facts("end"), stopped(b"the end"))
    check_finish(facts("end", b"the en"), stopped(b"d"))
    check_finish(facts("end", b"the end"), stopped(b"s"))  # the miner learns it with its first
    for resume, said in ((b"", b"the end!"), (b"the en", b"d!"), (b"the end", b"s!")):
        with pytest.raises(Failure, match="goes on after a stop text"):
            check_finish(facts("end", resume), stopped(said))
    with pytest.raises(Failure, match="stops early"):
        check_finish(facts("end"), stopped(b"the en"))
