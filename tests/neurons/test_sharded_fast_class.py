"""Sharded serving in the fast class: within 1e-4 of one machine, through failures too."""

from __future__ import annotations

from pathlib import Path
from shutil import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from running_spans import Swarm, swarm  # noqa: E402 - optional packages decide first

from neurons.engine.base import EngineError, Row, prefill  # noqa: E402
from neurons.engine.batch import Job, run_alone  # noqa: E402
from neurons.engine.folder import TINY  # noqa: E402
from neurons.engine.hf import HfModel  # noqa: E402
from neurons.engine.hf_parts import HfParts, tensor_of, values_of  # noqa: E402
from neurons.engine.parts import open_parts, run_once  # noqa: E402
from neurons.shards.audit import case_of, judged, truth  # noqa: E402
from subnets.proofs.sampling import Sampling  # noqa: E402

TEXT = "Three machines and one model, in floats. "
KINDS = {
    "LlamaConfig": {},
    "MistralConfig": {"sliding_window": 8},
    "Qwen2Config": {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
    "Qwen3Config": {"head_dim": 16},
}


@pytest.fixture(scope="module")
def whole() -> HfModel:
    return HfModel(TINY, "ganglion/tiny")


@pytest.fixture(scope="module")
def tokens() -> list[int]:
    return open_parts("hf", "tiny")[1].encode(TEXT * 2)


def kill_after(servers: Swarm, passes: int) -> list[str]:
    """Kill the last server of the way when so many passes have gone it; who it was."""
    front, true, seen, killed = servers.fronts[0], servers.fronts[0].forward, 0, []

    def forward(cache: object, rows: list[Row]) -> object:
        nonlocal seen
        if seen == passes:
            last = front.pipeline._ways[cache.ident][-1].peer.key  # type: ignore[attr-defined]
            for span in servers.spans.values():
                if span.identity.hotkey.address == last:
                    span.kill()
                    killed.append(last)
        seen += 1
        return true(cache, rows)  # type: ignore[arg-type]

    front.forward = forward  # type: ignore[assignment, method-assign]
    return killed


def test_generation_goes_on_through_a_failure(whole: HfModel, tokens: list[int]) -> None:
    job = Job("x", tuple(tokens), Sampling(b"\5" * 32), 48)
    want, _, _ = run_alone(whole, job)
    with swarm("hf") as servers:
        front = servers.front()
        killed = kill_after(servers, 18)
        got, _, _ = run_alone(front, job)
        assert got == want
        assert len(killed) == 1


def test_logits_are_within_a_ten_thousandth(whole: HfModel, tokens: list[int]) -> None:
    with swarm("hf") as servers:
        front = servers.front(audit=1.0)
        cache, alone = front.new_cache(12), whole.new_cache(12)
        rows = [Row(tokens[:30], 0, (3, 1, 2), 4), Row(tokens[5:22], 0, (5, 4), 1)]
        later = [Row(tokens[30:31], 30, (3, 1, 2)), Row(tokens[22:26], 17, (5, 4), 2)]
        for pass_ in (rows, later):
            for ours, theirs in zip(front.forward(cache, pass_), whole.forward(alone, pass_)):
                assert np.abs(ours.logits - theirs.logits).max() < 1e-4
        assert not front.findings


def test_rows_that_are_far_off_are_found(tokens: list[int]) -> None:
    with swarm("hf") as servers:
        front = servers.front()
        cache = front.new_cache(12)
        front.forward(cache, [Row(tokens, 0, range(12))])
        leg = front.pipeline._ways[cache.ident][0]
        case = case_of(cache, leg, 0)
        assert case is not None
        true = truth(front.parts, case)
        assert judged(case, true) == []
        case.y[3] += 0.01 * np.abs(case.y[3]).max()
        (finding,) = judged(case, true)
        assert finding.position == 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_other_architectures_in_parts(kind: str, dtype: str, tmp_path: Path) -> None:
    config = getattr(transformers, kind)(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
        tie_word_embeddings=kind == "Qwen2Config", **KINDS[kind],
    )  # fmt: skip
    torch.manual_seed(1)
    made = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for value in made.parameters():
            value += 0.05 * torch.randn_like(value)
    made.save_pretrained(tmp_path)
    copy(TINY / "tokenizer.json", tmp_path)
    precision = getattr(torch, dtype)
    whole, parts = HfModel(tmp_path, "t", precision), HfParts(tmp_path, "t", precision)
    tokens = [(7 * i) % 64 for i in range(40)]
    want, ends = prefill(whole, tokens, 40), parts.load_ends()
    x = ends.embed(tokens)
    assert x.dtype == parts.kind.dtype
    for span in (range(1), range(1, 3)):
        x = run_once(parts.load_blocks(span), x)
    (got,) = ends.outputs(x, [40])
    assert parts.card == whole.card
    assert np.abs(got.logits - want.logits).max() < 1e-4
    blocks = parts.load_blocks(range(3))
    cache = blocks.new_cache(3)
    y = ends.embed(tokens)
    for first, last in ((0, 1), (1, 2), (2, 3)):  # some of the blocks that are held
        y = blocks.run(cache, [Row(range(40), 0, range(3), 40)], y, first, last)
    assert np.abs(ends.outputs(y, [40])[0].logits - want.logits).max() < 1e-4


def test_values_travel_unchanged() -> None:
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.randn(3, 5).to(dtype)
        assert torch.equal(tensor_of(values_of(x), torch.device("cpu")), x)


def test_what_does_not_run_in_parts_is_said(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="0:4, so 2:5 is no span"):
        HfParts(TINY, "t").load_blocks(range(2, 5))
    with pytest.raises(EngineError, match="does not run in parts"):
        open_parts("hf-fixed", "tiny")
    transformers.GPT2Config().save_pretrained(tmp_path)
    with pytest.raises(EngineError, match="in parts the hf engine runs llama"):
        HfParts(tmp_path, "t")
