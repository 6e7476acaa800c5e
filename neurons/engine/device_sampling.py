"""The seeded draw where the logits lie: the tokens that `subnets.proofs.sampling` demands.

Logits of a large vocabulary are megabytes a pass; moving them to the host and drawing there would
take longer than the pass. Everything here equals the numpy rule bit for bit: single float64
operations in its order, integers for the probability mass.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch

from ganglion.exact import ieee
from ganglion.exact.noise import stream_words
from neurons.engine.base import Draw
from subnets.proofs.sampling import MASS_BITS, SHARE_BITS, Sampling

Kernel = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""What draws from logits, seeds, positions and temperatures; see `cuda_kernels.draw`."""

seed_words = lru_cache(4096)(stream_words)


def drawn(kernel: Kernel, logits: torch.Tensor, draws: Sequence[Draw]) -> list[int]:
    """The token of every row of logits [n, vocab]; ArithmeticError if a row has no number."""
    device, vocab = logits.device, logits.shape[1]
    words = [(*seed_words(d.sampling.seed), d.position, heat_bits(d)) for d in draws]
    plan = torch.tensor(words).to(device, non_blocking=True)
    seeds, positions, heat = plan[:, :4].contiguous(), plan[:, 4].contiguous(), plan[:, 5]
    heat = heat.contiguous().view(torch.float64)
    logits = logits.contiguous()
    picked = [i for i, d in enumerate(draws) if is_filtered(d.sampling, vocab)]
    tokens = kernel(logits, seeds, positions, heat)
    if picked:
        at = torch.tensor(picked, device=device)
        some = filtered(logits[at].double(), [draws[i] for i in picked])
        tokens[at] = kernel(some, seeds[at], positions[at], heat[at])
    result: list[int] = tokens.cpu().tolist()
    if max(result) >= vocab:
        raise ArithmeticError("the model's scores are not numbers")
    return result


def heat_bits(d: Draw) -> int:
    """The temperature's float64 as an integer, so that one tensor carries a whole draw."""
    bits: int = struct.unpack("<q", struct.pack("<d", d.sampling.temperature))[0]
    return bits


def is_filtered(s: Sampling, vocab: int) -> bool:
    """Whether top-k or top-p can take tokens away."""
    return s.temperature > 0 and (0 < s.top_k < vocab or s.top_p < 1.0)


@dataclass(frozen=True, slots=True)
class Ranking:
    """Rows [n, vocab] by rank: ids, logits, who is within top-k and within top-p.

    `before` is the integer mass ahead of every token, `limits` [n, 1] what may be, `totals` [n, 1]
    the whole.
    """

    order: torch.Tensor
    ranked: torch.Tensor
    few: torch.Tensor
    inside: torch.Tensor
    before: torch.Tensor
    limits: torch.Tensor
    totals: torch.Tensor


def ranking(logits: torch.Tensor, samplings: Sequence[Sampling]) -> Ranking:
    """Rank float64 logits [n, vocab], for one setting or for one a row.

    The rule is `sampling.allowed`: ranks by logit, ties by id, mass in integers.
    """
    vocab, device = logits.shape[1], logits.device

    def column(values: list[float] | list[int]) -> torch.Tensor:
        kind = torch.float64 if isinstance(values[0], float) else torch.int64
        return torch.tensor(values, dtype=kind, device=device)[:, None]

    warm = column([float(s.temperature) for s in samplings])
    cut = column([s.top_k if 0 < s.top_k < vocab else vocab for s in samplings])
    share = column([round(min(s.top_p, 1.0) * (1 << SHARE_BITS)) for s in samplings])
    # zero minus the logits, not their negative: both zeros must be one value to the sort
    order = torch.argsort(0.0 - logits, dim=1, stable=True)
    ranked = logits.gather(1, order)
    few = torch.arange(vocab, device=device)[None] < cut
    mass = torch.round(exp((ranked - ranked[:, :1]) / warm) * 2.0**MASS_BITS) * few
    counts = mass.long()
    before = counts.cumsum(1) - counts
    totals = counts.sum(1, keepdim=True)
    # total * share would leave 64 bits: the upper and lower parts are multiplied apart
    upper, lower = totals >> SHARE_BITS, totals & ((1 << SHARE_BITS) - 1)
    limits = upper * share + (lower * share >> SHARE_BITS)
    inside = before <= limits
    inside[:, 0] = True
    return Ranking(order, ranked, few, inside, before, limits, totals)


def filtered(logits: torch.Tensor, draws: Sequence[Draw]) -> torch.Tensor:
    """Float64 logits [n, vocab] with -inf where top-k or top-p take a token away."""
    found = ranking(logits, [d.sampling for d in draws])
    survives = torch.zeros_like(found.inside)
    survives = survives.scatter(1, found.order, found.few & found.inside)
    return logits.masked_fill(~survives, float("-inf"))


def exp(x: torch.Tensor) -> torch.Tensor:
    """`ieee.exp`, operation by operation."""
    entries, per_unit, unit = ieee.exp_table()
    table = torch.from_numpy(entries).to(x.device)
    rest = x.clamp(-700.0, 700.0)
    steps = rest * per_unit + ieee.ROUND
    n = steps.view(torch.int64)
    scale = table[n & (ieee.STEPS - 1)]
    scale = scale + ((n & -ieee.STEPS) << (53 - ieee.STEPS.bit_length()))
    rest = rest - (steps - ieee.ROUND) * unit
    series = (rest * 0.5 + 1.0) * rest + 1.0
    return series * scale.view(torch.float64)
