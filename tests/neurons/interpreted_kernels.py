"""Checks of the Triton kernels for a process of their own, which Triton's interpreter needs.

It must be asked for before Triton is first imported: run with TRITON_INTERPRET=1.
"""

import sys

import numpy as np
import torch

from ganglion.exact.noise import noise, stream_words
from neurons.engine import cuda_kernels as kernels
from neurons.engine.base import PAGE


def draw(vocab: int) -> None:
    rng = np.random.default_rng(vocab)
    seeds, at = [rng.bytes(32) for _ in range(6)], [0, 3, 9, 77, 500, 1000]
    heat = [0.0, 0.05, 0.7, 1.0, 1.9, 4.0]
    logits = torch.tensor(rng.normal(size=(6, vocab)) * 3).to(torch.bfloat16)
    wanted = [
        int((row + warm * noise(seed, position, 1, vocab)[0]).argmax())
        for row, warm, seed, position in zip(logits.double().numpy(), heat, seeds, at)
    ]
    words = torch.tensor([stream_words(seed) for seed in seeds])
    warm = torch.tensor(heat, dtype=torch.float64)
    assert kernels.draw(logits, words, torch.tensor(at), warm).tolist() == wanted


def attention(window: int | None) -> None:
    heads, shared, width, pages = 8, 2, 32, 40
    torch.manual_seed(1)
    table = torch.randperm(3 * pages).view(3, pages)
    keys, values = (torch.randn(3 * pages * PAGE, shared, width) for _ in range(2))
    query = torch.randn(5, heads, width)
    rows, last = torch.tensor([0, 1, 2, 1, 1]), torch.tensor([0, 300, 600, 15, 255])
    ours = kernels.attention(query, keys, values, table, rows, last, width**-0.5, window)
    for i, (row, end) in enumerate(zip(rows.tolist(), last.tolist())):
        at = torch.arange(max(0, end + 1 - (window or 1 << 30)), end + 1)
        slots = table[row, at // PAGE] * PAGE + at % PAGE
        k, v = (part[slots].repeat_interleave(heads // shared, 1) for part in (keys, values))
        weights = (query[i][None] * k).sum(-1).mul(width**-0.5).softmax(0)
        assert (ours[i] - (weights[:, :, None] * v).sum(0)).abs().max() < 1e-5


if __name__ == "__main__":
    {"draw": draw, "attention": attention}[sys.argv[1]](int(sys.argv[2]) or None)
