"""Attention over pages for any transformers model: rows of different sequences in one pass.

Registered with transformers under the name `ganglion_paged`. The pass arrives flattened, as one
batch row of all new tokens; `Pass` says which tokens belong to which sequence and where its keys
and values lie. Single-token rows attend together, longer ones one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface

from neurons.engine.base import PAGE, Row, pages_for

NAME = "ganglion_paged"


@dataclass(slots=True)
class TorchCache:
    """Keys and values [layer][page * PAGE + slot, kv_head, head] of one model."""

    keys: list[torch.Tensor]
    values: list[torch.Tensor]


class Pass:
    """Where everything of one forward pass lies; built once, used by every layer."""

    def __init__(self, cache: TorchCache, rows: Sequence[Row], device: torch.device) -> None:
        self.cache = cache
        counts = [len(row.tokens) for row in rows]
        positions = [p for row, n in zip(rows, counts) for p in range(row.start, row.start + n)]
        slots = [
            row.pages[p // PAGE] * PAGE + p % PAGE
            for row, n in zip(rows, counts)
            for p in range(row.start, row.start + n)
        ]
        self.positions = torch.tensor([positions], device=device)
        self.slots = torch.tensor(slots, device=device)
        starts = [sum(counts[:i]) for i in range(len(counts))]
        self.long = [
            (start, n, row.start, self._where(row, n, device))
            for row, n, start in zip(rows, counts, starts)
            if n > 1
        ]
        singles = [(row, start) for row, n, start in zip(rows, counts, starts) if n == 1]
        self.single = torch.tensor([start for _, start in singles], device=device)
        if singles:
            self._stack([row for row, _ in singles], device)

    def _where(self, row: Row, count: int, device: torch.device) -> torch.Tensor:
        length = row.start + count
        pages = torch.tensor(row.pages[: pages_for(length)], device=device)
        slots = pages[:, None] * PAGE + torch.arange(PAGE, device=device)
        return slots.flatten()[:length]

    def _stack(self, rows: list[Row], device: torch.device) -> None:
        """Slots [rows, longest] of the rows that decode, and which of them count."""
        longest = pages_for(max(row.start for row in rows) + 1)
        table = [[*row.pages[:longest], *[0] * (longest - len(row.pages))] for row in rows]
        pages = torch.tensor(table, device=device)
        slots = pages[:, :, None] * PAGE + torch.arange(PAGE, device=device)
        self.single_slots = slots.flatten(1)
        last = torch.tensor([row.start for row in rows], device=device)
        self.single_ages = last[:, None] - torch.arange(longest * PAGE, device=device)
        self.single_seen = (self.single_ages >= 0)[:, None, None]


def attend(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor,
    attention_mask: Any, scaling: float | None = None, sliding_window: int | None = None,
    paged: Pass | None = None, **_: Any,
) -> tuple[torch.Tensor, None]:  # fmt: skip
    """What transformers calls: [1, heads, n, head] in, [1, n, heads, head] out."""
    if paged is None:
        raise RuntimeError("paged attention runs only inside the engine's forward pass")
    layer, sdpa = module.layer_idx, torch.nn.functional.scaled_dot_product_attention
    keys, values = paged.cache.keys[layer], paged.cache.values[layer]
    keys.index_copy_(0, paged.slots, key[0].transpose(0, 1))
    values.index_copy_(0, paged.slots, value[0].transpose(0, 1))
    window = sliding_window or 1 << 60
    singles = None
    if len(paged.single):
        k, v = (gathered(part, paged.single_slots) for part in (keys, values))
        q = query[0].transpose(0, 1)
        q = q[:, :, None] if not paged.long else q[paged.single][:, :, None]
        seen = paged.single_seen
        if sliding_window:
            seen = seen & (paged.single_ages < window)[:, None, None]
        singles = sdpa(q, k, v, attn_mask=seen, scale=scaling, enable_gqa=True)[:, :, 0]
        if not paged.long:
            return singles[None], None
    result = torch.empty_like(query[0].transpose(0, 1))
    if singles is not None:
        result[paged.single] = singles
    for at, count, start, where in paged.long:
        k, v = (part[where].transpose(0, 1)[None] for part in (keys, values))
        q = query[:, :, at : at + count]
        ages = torch.arange(start, start + count, device=q.device)[:, None] - torch.arange(
            start + count, device=q.device
        )
        seen = (ages >= 0) & (ages < window)
        mixed = sdpa(q, k, v, attn_mask=seen, scale=scaling, enable_gqa=True)
        result[at : at + count] = mixed[0].transpose(0, 1)
    return result[None], None


def gathered(stored: torch.Tensor, slots: torch.Tensor) -> torch.Tensor:
    """Slots [rows, positions] of a cache as [rows, kv_head, positions, head]."""
    taken = stored.index_select(0, slots.flatten())
    return taken.view(*slots.shape, *stored.shape[1:]).transpose(1, 2)


def no_mask(*_: Any, **__: Any) -> None:
    """`attend` makes its own masks."""


def register() -> None:
    """Make the name known to transformers; harmless when repeated."""
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, no_mask)
