# ruff: noqa: E402 - the thread limits come before numpy
"""Tokens per second of the engines, alone and in a batch, and what verifying costs."""

from __future__ import annotations

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import time
from collections import defaultdict

import torch
from benchmark import Row, run
from transformers import LlamaForCausalLM

from ganglion.wire.text import Sampling
from neurons.engine.base import LanguageModel, prefill
from neurons.engine.batch import Job, Scheduler, run_alone
from neurons.engine.folder import TINY
from neurons.engine.llama import ExactLlama
from neurons.engine.load import load
from neurons.engine.pages import PagePool
from subnets.proofs import toploc
from subnets.proofs.sampling import margins

NEW = 64
PEER = "peer: transformers generate"
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
    """Milliseconds to generate 128 tokens alone with their proofs, and to verify them."""
    order = job(1, 128)
    start = time.process_time()
    tokens, states, _ = run_alone(model, order)
    proofs = toploc.build(states)
    made, checked = time.process_time() - start, []
    for _ in range(4):
        start = time.process_time()
        own = prefill(model, (*order.prompt, *tokens[:-1]), len(tokens))
        margins(own.logits, tokens, order.sampling)
        toploc.compare(proofs, own.states)
        checked.append(time.process_time() - start)
    return made * 1e3, min(checked) * 1e3


def measured(quick: bool) -> dict[str, dict[str, list[float]]]:
    """Every figure of every engine, taken in turns so that all see the same neighbours."""
    rounds, tokens = (2, 16) if quick else (9, NEW)
    plain = ExactLlama.load(TINY, "tiny")
    plain.fused = False
    engines: dict[str, LanguageModel] = {
        "exact engine": load("exact", "tiny").model,
        "exact engine, numpy alone": plain,
        "hf engine": load("hf", "tiny").model,
    }
    net = LlamaForCausalLM.from_pretrained(TINY, dtype=torch.float32).eval()
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for _ in range(rounds):
        for width, key in ((1, "alone"), (16, "batch")):
            found[PEER][key].append(static_batch(net, width, tokens))
            for name, model in engines.items():
                found[name][key].append(batcher(model, width, tokens))
        for name, model in engines.items():
            made, checked = verification(model)
            found[name]["made"].append(made)
            found[name]["checked"].append(checked)
    return found


def rows(quick: bool) -> list[Row]:
    torch.set_num_threads(1)
    found = measured(quick)
    peer = {key: max(found[PEER][key]) for key in ("alone", "batch")}
    result = []
    for name, figures in sorted(found.items()):
        made, checked = min(figures["made"], default=None), min(figures["checked"], default=None)
        result.append(
            {
                "engine": name,
                "alone, tok/s": round(max(figures["alone"])),
                "batch of 16, tok/s": round(max(figures["batch"])),
                "batch of 16 / peer": max(figures["batch"]) / peer["batch"],
                "128 tokens made, ms": made,
                "verified, ms": checked,
                "made / verified": made / checked if made and checked else None,
                "made by peer / verified": 128e3 / peer["alone"] / checked if checked else None,
            }
        )
    return result


run(
    "inference",
    "The shipped model (0.8 million parameters) on one thread, float32 for torch, in processor "
    "time; the best of several runs in turns. Our rows include seeded sampling and fingerprints; "
    "verifying is one prefill, the sampling check and the comparison of fingerprints.",
    rows,
)
