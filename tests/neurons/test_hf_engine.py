# ruff: noqa: E402 - torch decides first whether this file runs
"""The transformers engine: paged attention equals the model's own, in any company."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from neurons.calibration.measure import Distances, calibrate, draw_requests, generate, measure
from neurons.engine.base import EngineError, Row, pages_for, prefill
from neurons.engine.batch import Job, run_alone
from neurons.engine.bytes import ByteTokenizer
from neurons.engine.folder import TINY
from neurons.engine.hf import HfModel, HfTokenizer, load_hf
from neurons.engine.llama import ExactLlama
from neurons.engine.load import load
from neurons.engine.worker import Worker
from subnets.proofs.sampling import Sampling

TOKENS = [256, *b"def open(file, mode='r', buffering=-1): raise ValueError  # The quick brown fox"]


@pytest.fixture(scope="module")
def model() -> HfModel:
    return HfModel(TINY, "ganglion/tiny", torch.float32)


def test_logits_equal_the_models_own(model: HfModel) -> None:
    plain = transformers.LlamaForCausalLM.from_pretrained(TINY, dtype=torch.float32)
    with torch.no_grad():
        theirs = plain(torch.tensor([TOKENS])).logits[0].double().numpy()
    ours = prefill(model, TOKENS, len(TOKENS))
    assert np.abs(ours.logits - theirs).max() < 1e-4
    exact = prefill(ExactLlama.load(TINY, "t"), TOKENS, len(TOKENS))
    assert (ours.states != exact.states).mean() < 0.01


def test_mixed_passes_equal_single_ones(model: HfModel) -> None:
    cache = model.new_cache(30)
    whole = prefill(model, TOKENS, len(TOKENS)).logits
    model.forward(cache, [Row(TOKENS[:40], 0, range(6), 1), Row(TOKENS[:30], 0, range(6, 12), 1)])
    mixed = model.forward(
        cache,
        [
            Row(TOKENS[40:41], 40, range(6), 1),
            Row(TOKENS[:20], 0, range(12, 14), 20),
            Row(TOKENS[30:31], 30, range(6, 12), 1),
        ],
    )
    assert np.abs(mixed[0].logits[0] - whole[40]).max() < 1e-4
    assert np.abs(mixed[1].logits - whole[:20]).max() < 1e-4
    assert np.abs(mixed[2].logits[0] - whole[30]).max() < 1e-4
    singles = [Row(TOKENS[41:42], 41, range(6), 1), Row(TOKENS[31:32], 31, range(6, 12), 1)]
    for output, position in zip(model.forward(cache, singles), (41, 31)):
        assert np.abs(output.logits[0] - whole[position]).max() < 1e-4


def test_float32_answers_equal_the_exact_engines(model: HfModel) -> None:
    order = Job("x", tuple(TOKENS[:30]), Sampling(b"1" * 32), 40)
    assert run_alone(model, order)[0] == run_alone(ExactLlama.load(TINY, "t"), order)[0]


async def test_a_prompt_of_several_passes_equals_one_of_one(model: HfModel) -> None:
    """The passes before its last keep nothing."""
    order = Job("x", tuple(TOKENS * 8)[:600], Sampling(b"1" * 32), 4)
    worker = Worker(model, pages=64)
    worker.start()
    made = [token.token async for token in worker.generate(order)]
    worker.stop()
    assert made == run_alone(model, order)[0]


def test_honest_bfloat16_stays_within_the_shipped_thresholds() -> None:
    verifier, tokenizer = ExactLlama.load(TINY, "t"), ByteTokenizer(TINY)
    miner, found = HfModel(TINY, "t", torch.bfloat16), Distances()
    requests = draw_requests(random.Random(99), "t", 6, 64)
    for sample in generate(miner, tokenizer, requests, 6):
        measure(verifier, sample, found)
    limits = load("exact", "tiny").entry.fast
    assert limits is not None
    assert max(c.exponents for c in found.chunks) <= limits.exponents
    assert max(c.mantissa_mean for c in found.chunks) <= limits.mantissa_mean
    assert max(found.misses, default=0) <= limits.margin


def test_a_missing_model_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(EngineError, match="neither a folder nor in the local hub cache"):
        load_hf("nobody/nothing-at-all", None)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(EngineError, match="cannot load"):
        HfModel(tmp_path, "x")


def test_pages_hold_what_they_say() -> None:
    assert [pages_for(n) for n in (0, 1, 16, 17)] == [0, 1, 1, 2]


def test_a_model_without_chats_is_calibrated_on_passages() -> None:
    class Plain(ByteTokenizer):
        def chat(self, messages: object) -> list[int]:
            raise ValueError("no template")

    true = ExactLlama.load(TINY, "t")
    limits, found = calibrate(true, Plain(TINY), {"exact": (lambda: true, 4)}, 8)
    assert len(found["exact"].chunks) == 8
    assert limits.exponents == 1


def test_a_template_that_refuses_a_chat_is_one_sentence(tmp_path: Path) -> None:
    """Callers choose the turns; a miner that broke on them would look like one that is down."""
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"x": 0, "?": 1}, unk_token="?"))
    made.save(str(tmp_path / "tokenizer.json"))
    said = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "chat_template": "{{ raise_exception('roles must alternate') }}",
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(said))
    with pytest.raises(ValueError, match="roles must alternate"):
        HfTokenizer(tmp_path).chat([("user", "x"), ("user", "x")])
