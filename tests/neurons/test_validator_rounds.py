"""Rounds over real miners: honest ones pass, a dead one is unreachable, twins are found."""

import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from running_miner import GENESIS, NETUID, Running, serving

from ganglion.keys import Keypair
from ganglion.wire.call import Caller, Patience, Target
from ganglion.wire.text import CACHE_SIZE, TextRequest
from localnet import faults
from neurons.engine.bytes import ByteTokenizer
from neurons.engine.folder import TINY
from neurons.engine.llama import ExactLlama
from neurons.engine.load import Loaded
from neurons.engine.tinyembed import MeanEmbedder
from neurons.engine.worker import Worker
from neurons.identity import Identity
from neurons.miner.textgen import Event, Order, TextService
from neurons.validator.book import Book, BookProblem
from neurons.validator.examiner import EmbedExaminer, TextExaminer
from neurons.validator.main import Validator, open_book
from neurons.validator.rounds import Miner, mark_duplicates, run_round
from subnets.scoring import Policy, apply_round
from subnets.verdict import Reason, Verdict

ALICE = Keypair.from_uri("//Alice")
NOWHERE = Target(Keypair.from_uri("//Dave").address, "127.0.0.1", 1)


@pytest.fixture
async def examiner(tiny: Loaded) -> AsyncIterator[TextExaminer]:
    worker = Worker(tiny.model, pages=1)
    worker.start()
    async with Caller(ALICE, Patience(connect=1.0)) as caller:
        yield TextExaminer(caller, Identity(ALICE, GENESIS, NETUID), tiny, worker)
    worker.stop()


async def test_honest_miners_pass_and_a_dead_one_is_unreachable(
    tiny: Loaded, miner: Running, examiner: TextExaminer
) -> None:
    async with serving(tiny, "//Charlie") as other:
        miners = [Miner(i, t, 5) for i, t in enumerate((miner.target, other.target, NOWHERE))]
        for seed in range(4):
            verdicts = await run_round(miners, examiner, random.Random(seed))
            reasons = [verdicts[m.target.hotkey].reason for m in miners]
            assert reasons == [Reason.OK, Reason.OK, Reason.UNREACHABLE], verdicts


async def test_vectors_are_checked(tiny: Loaded, miner: Running) -> None:
    embedder = MeanEmbedder(tiny.model, tiny.tokenizer)
    async with Caller(ALICE) as caller:
        checker = EmbedExaminer(caller, Identity(ALICE, GENESIS, NETUID), embedder)
        verdicts = await run_round([Miner(0, miner.target, 0)], checker, random.Random(1))
    assert [v.reason for v in verdicts.values()] == [Reason.OK]


async def test_a_miner_of_another_subnet_or_chain_fails_by_its_receipt(
    tiny: Loaded, miner: Running, examiner: TextExaminer
) -> None:
    async with Caller(ALICE) as caller:
        for identity in (Identity(ALICE, b"x" * 32, NETUID), Identity(ALICE, GENESIS, 3)):
            checker = TextExaminer(caller, identity, tiny, examiner._worker)
            verdict = await checker.examine(miner.target, random.Random(2))
            assert verdict.reason is Reason.RECEIPT


def test_two_identities_at_one_address_are_one_miner() -> None:
    keys = [Keypair.from_uri(f"//{i}").address for i in range(3)]
    miners = [Miner(i, Target(key, "10.0.0.1", 80), 100 - i) for i, key in enumerate(keys)]
    good = dict.fromkeys(keys, Verdict(Reason.OK))
    reasons = [v.reason for v in mark_duplicates(miners, good).values()]
    assert reasons == [Reason.DUPLICATE, Reason.DUPLICATE, Reason.OK]


def test_publishing_anothers_address_does_not_harm_it() -> None:
    thief, victim = (Keypair.from_uri(uri).address for uri in ("//t", "//v"))
    miners = [Miner(i, Target(k, "10.0.0.1", 80), i) for i, k in enumerate((thief, victim))]
    verdicts = {thief: Verdict(Reason.REFUSED), victim: Verdict(Reason.OK)}
    assert mark_duplicates(miners, verdicts) == verdicts


def test_the_book_survives_a_restart_and_a_broken_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "book.json"
    book = Book(path)
    apply_round(book.records, {"a": Verdict(Reason.OK, tokens=3, total_ms=5)}, Policy(), 1)
    book.commits.append({"epoch": 4})
    book.save()
    again = Book(path)
    assert (again.records, again.commits) == (book.records, book.commits)
    again.keep_only({"b"})
    assert again.records == {}
    path.write_text('{"records": 5')
    assert Book(path).records == {}
    assert path.with_suffix(".broken").exists()


def test_scores_of_another_chain_are_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    book = open_book(None, Identity(ALICE, GENESIS, NETUID))
    apply_round(book.records, {"a": Verdict(Reason.OK)}, Policy(), 1)
    book.save()
    assert open_book(None, Identity(ALICE, GENESIS, NETUID)).records == book.records
    assert open_book(None, Identity(ALICE, GENESIS, 77)).records == {}
    assert open_book(book.path, Identity(ALICE, b"x" * 32, NETUID)).records == {}
    assert len(list(tmp_path.glob("ganglion-scores-*.broken"))) == 1


def test_a_book_that_cannot_be_kept_says_where(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(BookProblem, match="Is a directory.*--state"):
        Book(tmp_path)
    with pytest.raises(BookProblem, match="file/book.json .*--state"):
        Book(tmp_path / "file" / "book.json").save()


class TwoFaced(TextService):
    """Honest to short questions, and a smaller model for whatever looks like a caller's."""

    suspicion: Callable[[TextRequest], bool]
    small: Worker

    async def answer(self, order: Order) -> AsyncIterator[Event]:
        honest = self.worker
        if self.suspicion(order.request):
            self.worker = self.small
        try:
            async for event in super().answer(order):
                yield event
        finally:
            self.worker = honest


SIGNS: dict[str, Callable[[TextRequest], bool]] = {
    "long answers": lambda r: r.max_tokens > 64,
    "long prompts": lambda r: len(r.prompt or "") + sum(len(c) for _, c in r.messages) > 200,
    "continuations": lambda r: bool(r.resume),
}


@pytest.mark.parametrize("sign", SIGNS)
async def test_probes_come_in_all_shapes_so_none_can_be_cheated_alone(
    tiny: Loaded, miner: Running, examiner: TextExaminer, sign: str
) -> None:
    assert isinstance(tiny.model, ExactLlama)
    two_faced = TwoFaced(miner.worker, tiny.tokenizer, miner.identity)
    two_faced.suspicion = SIGNS[sign]
    two_faced.small = Worker(faults.fewer_layers(tiny.model, (0, 3)), pages=256)
    two_faced.small.start()
    miner.app.text = two_faced
    rng, reasons = random.Random(sign), []
    while len(reasons) < 60 and Reason.SAMPLING not in reasons:
        reasons.append((await examiner.examine(miner.target, rng)).reason)
    assert Reason.SAMPLING in reasons
    assert set(reasons[:-1]) <= {Reason.OK}
    two_faced.small.stop()


async def test_probes_have_the_fields_that_gateways_send(examiner: TextExaminer) -> None:
    requests = [examiner._draw(random.Random(i)) for i in range(50)]
    assert all(len(r.cache) == CACHE_SIZE for r in requests)
    assert len({r.cache for r in requests}) < 50


async def test_models_without_chats_get_other_probes(tiny: Loaded) -> None:
    class Plain(ByteTokenizer):
        def chat(self, messages: Sequence[tuple[str, str]]) -> list[int]:
            raise ValueError("no template")

    plain = replace(tiny, tokenizer=Plain(TINY))
    async with Caller(ALICE) as caller:
        one = TextExaminer(
            caller, Identity(ALICE, GENESIS, NETUID), plain, Worker(tiny.model, pages=1)
        )
        assert all(one._draw(random.Random(i)).prompt for i in range(20))


@pytest.mark.parametrize("source", ["organic", "answers"])
async def test_what_callers_got_is_held_against_a_miner(tmp_path: Path, source: str) -> None:
    """An answer sampled from a gateway, or given on the chain, zeroes a miner that its probes
    never caught."""

    class Sampled:
        async def round(self) -> list[tuple[str, Verdict]]:
            right, wrong = Verdict(Reason.OK), Verdict(Reason.SAMPLING)
            return [("a", right), ("b", wrong), ("gone", wrong), ("a", Verdict(Reason.OURS))]

    book = Book(tmp_path / "book.json")
    for block in range(9):
        good = Verdict(Reason.OK, tokens=9, total_ms=9)
        apply_round(book.records, {"a": good, "b": good}, Policy(), block)
    before = book.records["a"].to_json()
    validator = Validator(None, None, book, Policy(), 9)  # type: ignore[arg-type]
    setattr(validator, source, Sampled())
    neurons = [SimpleNamespace(hotkey=name) for name in "ab"]
    view = SimpleNamespace(block=10, graph=SimpleNamespace(neurons=neurons))
    await validator._judge_others(view)  # type: ignore[arg-type]
    assert book.records["a"].to_json() == before
    assert (book.records["b"].average, book.records["b"].debt) == (0, Policy().lookback)
    assert "gone" not in book.records
