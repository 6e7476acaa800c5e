"""Tokens per second of the transformers engine on a GPU, beside transformers' own ways to run.

Without a CUDA device only --quick runs, on a small model, to see that everything works.
"""

from __future__ import annotations

import platform
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import benchmark
import torch
from benchmark import Row, run
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from ganglion.wire.text import Sampling
from neurons.engine.batch import Job, Scheduler
from neurons.engine.hf import HfModel
from neurons.engine.paged_attention import TorchCache
from neurons.engine.pages import PagePool

PROMPT = 128
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SIZES = {
    "1.2B": dict(hidden_size=2048, intermediate_size=8192, num_hidden_layers=16,
                 num_attention_heads=32, num_key_value_heads=8, head_dim=64,
                 vocab_size=128_256, tie_word_embeddings=True),
    "small": dict(hidden_size=64, intermediate_size=128, num_hidden_layers=2,
                  num_attention_heads=4, num_key_value_heads=2, head_dim=16,
                  vocab_size=128_256, tie_word_embeddings=True),
}  # fmt: skip


def synchronize() -> None:
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def make_model(folder: Path, size: str) -> Path:
    """A Llama of that size with random weights: speed does not depend on what they say."""
    config = LlamaConfig(
        max_position_embeddings=8192, bos_token_id=0, eos_token_id=1, **SIZES[size]
    )
    with torch.device(DEVICE):
        torch.set_default_dtype(torch.bfloat16)
        net = LlamaForCausalLM(config)
        torch.set_default_dtype(torch.float32)
    net.save_pretrained(folder)
    (folder / "tokenizer.json").write_text("{}")
    return folder


def prompt(number: int) -> tuple[int, ...]:
    return tuple(2 + (number * 7919 + i * 104_729) % 120_000 for i in range(PROMPT))


def batcher(model: HfModel, cache: TorchCache, width: int, tokens: int, top_p: float) -> float:
    """Tokens per second of wall time: paged cache, seeded sampling, states kept for proofs."""
    pages = width * (2 + (PROMPT + tokens) // 16)
    scheduler = Scheduler(
        PagePool(pages), model.card.vocab, model.card.context, budget=4096, width=width
    )
    for number in range(width):
        sampling = Sampling(bytes([number]) * 32, 0.8, 0, top_p)
        scheduler.submit(Job(str(number), prompt(number), sampling, tokens))
    synchronize()
    start, made = time.perf_counter(), 0
    while rows := scheduler.plan():
        made += len(scheduler.absorb(model.forward(cache, rows)))
    return made / (time.perf_counter() - start)


def static_batch(net: LlamaForCausalLM, width: int, tokens: int, **more: object) -> float:
    """Tokens per second of transformers' `generate` on one batch of equal lengths."""
    ids = torch.tensor([prompt(n) for n in range(width)], device=DEVICE)
    synchronize()
    start = time.perf_counter()
    net.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=tokens,
        min_new_tokens=tokens,
        do_sample=True,
        temperature=0.8,
        top_k=0,
        **more,
    )
    synchronize()
    return width * tokens / (time.perf_counter() - start)


def continuous(net: LlamaForCausalLM, width: int, tokens: int) -> float:
    """Tokens per second of transformers' own continuous batching."""
    from transformers import GenerationConfig

    settings = GenerationConfig(max_new_tokens=tokens, do_sample=True, temperature=0.8, top_k=0,
                                eos_token_id=-1, pad_token_id=0)  # fmt: skip
    start = time.perf_counter()
    made = net.generate_batch([list(prompt(n)) for n in range(width)], generation_config=settings,
                              progress_bar=False)  # fmt: skip
    count = sum(len(answer.generated_tokens) for answer in made.values())
    return count / (time.perf_counter() - start)


def line(engine: str, rates: dict[int, float], peers: dict[int, float]) -> Row:
    widths = sorted(peers)
    row: Row = {"engine": engine}
    row |= {f"{w} at once, tok/s": round(rates[w]) if w in rates else None for w in widths}
    row |= {f"{w} / best peer": rates[w] / peers[w] if w in rates else None for w in widths}
    return row


def guarded(work: Callable[[], float]) -> float | None:
    """The rate, or None with its reason on the screen: not every version has every way."""
    try:
        work()
        return max(work() for _ in range(2))
    except (AttributeError, ImportError, RuntimeError, TypeError, ValueError) as error:
        print(f"  not measured: {type(error).__name__}: {str(error)[:300]}", flush=True)
        return None


def peers_of(folder: Path, widths: tuple[int, ...], tokens: int) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}

    def note(name: str, width: int, work: Callable[[], float]) -> None:
        rate = guarded(work)
        print(f"  {name}, {width}: {rate}", flush=True)
        if rate is not None:
            found.setdefault(name, {})[width] = rate

    net = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).to(DEVICE).eval()
    for width in widths:
        note("peer: generate", width, lambda w=width: static_batch(net, w, tokens))  # type: ignore[misc]
        note("peer: generate, static cache, compiled", width, lambda w=width: static_batch(  # type: ignore[misc]
            net, w, tokens, cache_implementation="static"))  # fmt: skip
    for width in widths if DEVICE == "cuda" else ():  # it takes half of a machine's memory
        note("peer: continuous batching", width, lambda w=width: continuous(net, w, tokens))  # type: ignore[misc]
    return found


def rows(quick: bool) -> list[Row]:
    if DEVICE == "cpu" and not quick:
        raise SystemExit("inference_gpu needs a CUDA device; --quick tries it out on a small model")
    widths, tokens = ((1, 16), 64) if quick else ((1, 16, 32), 256)
    result: list[Row] = []
    with tempfile.TemporaryDirectory() as place:
        folder = make_model(Path(place), "1.2B" if DEVICE == "cuda" else "small")
        ours: dict[str, dict[int, float]] = {}
        ways = {"hf engine": {}, "hf engine, one shape": {"fixed": True}}
        for name, options in list(ways.items())[: 2 if DEVICE == "cuda" else 1]:
            model = HfModel(folder, "bench", **options)
            cache = model.new_cache(max(widths) * (2 + (PROMPT + tokens) // 16))
            for top_p in (1.0, 0.95):
                label = name + ("" if top_p == 1.0 else ", top_p 0.95")
                for width in widths:
                    work = partial(batcher, model, cache, width, tokens, top_p)
                    work()
                    ours.setdefault(label, {})[width] = max(work() for _ in range(2))
                    print(f"  {label}, {width}: {ours[label][width]:.0f}", flush=True)
            del model, cache, work
            torch.cuda.empty_cache()
        found = peers_of(folder, widths, tokens)
    best = {w: max(rates[w] for rates in found.values() if w in rates) for w in widths}
    result += [line(name, rates, best) for name, rates in {**ours, **found}.items()]
    return result


def gpu_machine() -> str:
    card = torch.cuda.get_device_name() if DEVICE == "cuda" else "no GPU"
    return f"{card}, torch {torch.__version__}, Python {platform.python_version()}"


if __name__ == "__main__":
    benchmark.machine = gpu_machine
    run(
        "inference_gpu",
        f"A Llama of 1.2 billion random weights in bfloat16, prompts of {PROMPT} tokens, sampled "
        "answers, wall time, the better of two runs after a first. Our rows include the prefill, "
        "seeded sampling and the states for proofs.",
        rows,
    )
