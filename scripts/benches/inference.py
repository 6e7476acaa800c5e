# ruff: noqa: E402 - the thread limits come before numpy
"""Tokens per second of the engines, alone and in a batch, and what verifying costs."""

from __future__ import annotations

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import time
from collections.abc import Callable

import torch
from benchmark import Row, run
from transformers import LlamaForCausalLM

from ganglion.wire.text import Sampling
from neurons.engine.base import LanguageModel, prefill
from neurons.engine.batch import Job, Scheduler, run_alone
from neurons.engine.folder import TINY
from neurons.engine.load import load
from neurons.engine.pages import PagePool
from subnets.proofs import toploc
from subnets.proofs.sampling import margins

NEW = 64
PROMPT = (256, *b"def foo(x, y): ")


def job(number: int, tokens: int) -> Job:
    prompt = (*PROMPT, 65 + number)
    return Job(str(number), prompt, Sampling(bytes([number]) * 32), tokens)


def batcher(model: LanguageModel, width: int, tokens: int) -> float:
    """Tokens per second of the batcher: paged cache, seeded sampling, states kept for proofs."""
    pages = width * (2 + (len(PROMPT) + tokens) // 16)
    scheduler = Scheduler(PagePool(pages), model.card.vocab, model.card.context)
    cache = model.new_cache(pages)
    for number in range(width):
        scheduler.submit(job(number, tokens))
    start, made = time.process_time(), 0
    while rows := scheduler.plan():
        made += len(scheduler.absorb(model.forward(cache, rows)))
    return made / (time.process_time() - start)


def static_batch(net: LlamaForCausalLM, width: int, tokens: int) -> float:
    """Tokens per second of transformers' own `generate` on a static batch."""
    ids = torch.tensor([[*PROMPT, 65 + n] for n in range(width)])
    start = time.process_time()
    net.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens,
                 min_new_tokens=tokens, do_sample=True)  # fmt: skip
    return width * tokens / (time.process_time() - start)


def verification(model: LanguageModel) -> tuple[float, float]:
    """Milliseconds to generate 128 tokens alone, and to verify them from scratch."""
    order = job(1, 128)
    start = time.process_time()
    tokens, states, _ = run_alone(model, order)
    made = time.process_time() - start
    proofs = toploc.build(states)
    start = time.process_time()
    own = prefill(model, (*order.prompt, *tokens[:-1]), len(tokens))
    margins(own.logits, tokens, order.sampling)
    toploc.compare(proofs, own.states)
    return made * 1e3, (time.process_time() - start) * 1e3


def best(work: Callable[[], float], rounds: int) -> float:
    return max(work() for _ in range(rounds))


def rows(quick: bool) -> list[Row]:
    torch.set_num_threads(1)
    rounds, tokens = (2, 16) if quick else (7, NEW)
    engines = {name: load(kind, "tiny").model
               for name, kind in (("exact engine", "exact"), ("hf engine", "hf"))}  # fmt: skip
    net = LlamaForCausalLM.from_pretrained(TINY, dtype=torch.float32).eval()
    peer = {w: best(lambda w=w: static_batch(net, w, tokens), rounds) for w in (1, 16)}  # type: ignore[misc]
    result = []
    for name, model in engines.items():
        rates = {w: best(lambda w=w, m=model: batcher(m, w, tokens), rounds) for w in (1, 16)}  # type: ignore[misc]
        times = [verification(model) for _ in range(rounds)]
        made, checked = min(t[0] for t in times), min(t[1] for t in times)
        result.append(
            {
                "engine": name,
                "alone, tok/s": round(rates[1]),
                "batch of 16, tok/s": round(rates[16]),
                "batch of 16 / peer": rates[16] / peer[16],
                "128 tokens made, ms": made,
                "verified, ms": checked,
                "made / verified": made / checked,
            }
        )
    result.append(
        {
            "engine": "peer: transformers generate",
            "alone, tok/s": round(peer[1]),
            "batch of 16, tok/s": round(peer[16]),
            "batch of 16 / peer": 1.0,
            "128 tokens made, ms": None,
            "verified, ms": None,
            "made / verified": None,
        }
    )
    return result


run(
    "inference",
    "The shipped model (0.8 million parameters) on one thread, float32 for torch, in processor "
    "time; the best of several runs. Our rows include seeded sampling and the states for proofs; "
    "verifying is one prefill, the sampling check and the fingerprints.",
    rows,
)
