"""Attention over pages for any transformers model: rows of different sequences in one pass.

Registered with transformers under the name `ganglion_paged`. The pass arrives flattened, as one
batch row of all new tokens; `Pass` says which tokens belong to which sequence and where its keys
and values lie. Single-token rows attend together, longer ones one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface

from neurons.engine.base import PAGE, Row, pages_for

NAME = "ganglion_paged"


@dataclass(slots=True)
class TorchCache:
    """Keys and values [layer][page * PAGE + slot, kv_head, head] of one model."""

    keys: list[torch.Tensor]
    values: list[torch.Tensor]
    decoder: object = None
    """What the engine keeps for this cache between passes."""


Kernel = Callable[..., torch.Tensor]
"""Attention of single tokens over their pages; see `cuda_kernels.attention`."""


class Pass:
    """Where everything of one forward pass lies; built once, used by every layer.

    With a `kernel` single-token rows attend through it, else through gathered copies.
    """

    def __init__(
        self, cache: TorchCache, rows: Sequence[Row], device: torch.device,
        kernel: Kernel | None = None,
    ) -> None:  # fmt: skip
        self.cache, self.kernel = cache, kernel
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

    @classmethod
    def of_singles(
        cls, cache: TorchCache, positions: torch.Tensor, slots: torch.Tensor,
        table: torch.Tensor, kernel: Kernel,
    ) -> Pass:  # fmt: skip
        """A pass of single tokens whose whereabouts are tensors, to be filled before it runs."""
        made = cls(cache, (), positions.device, kernel)
        made.positions, made.slots, made.single = positions[None], slots, positions
        made.table, made.last = table, positions
        made.row_of = torch.arange(len(positions), device=positions.device)
        return made

    def _where(self, row: Row, count: int, device: torch.device) -> torch.Tensor:
        length = row.start + count
        pages = torch.tensor(row.pages[: pages_for(length)], device=device)
        slots = pages[:, None] * PAGE + torch.arange(PAGE, device=device)
        return slots.flatten()[:length]

    def _stack(self, rows: list[Row], device: torch.device) -> None:
        """Page tables [rows, longest] and positions of the rows that decode."""
        longest = pages_for(max(row.start for row in rows) + 1)
        table = [[*row.pages[:longest], *[0] * (longest - len(row.pages))] for row in rows]
        self.table = torch.tensor(table, device=device)
        self.last = torch.tensor([row.start for row in rows], device=device)
        self.row_of = torch.arange(len(rows), device=device)
        if self.kernel is None:
            slots = self.table[:, :, None] * PAGE + torch.arange(PAGE, device=device)
            self.single_slots = slots.flatten(1)
            self.single_ages = self.last[:, None] - torch.arange(longest * PAGE, device=device)
            self.single_seen = (self.single_ages >= 0)[:, None, None]

    def attend_singles(
        self, q: torch.Tensor, keys: torch.Tensor, values: torch.Tensor,
        scaling: float | None, window: int | None,
    ) -> torch.Tensor:  # fmt: skip
        """Attention [n, heads, head] of the single-token rows' queries, of the same shape."""
        if self.kernel is not None:
            scale = scaling if scaling is not None else q.shape[-1] ** -0.5
            return self.kernel(q, keys, values, self.table, self.row_of, self.last, scale, window)
        k, v = (gathered(part, self.single_slots) for part in (keys, values))
        seen = self.single_seen
        if window:
            seen = seen & (self.single_ages < window)[:, None, None]
        sdpa = torch.nn.functional.scaled_dot_product_attention
        mixed = sdpa(q[:, :, None], k, v, attn_mask=seen, scale=scaling, enable_gqa=True)
        return mixed[:, :, 0]


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
        q = query[0].transpose(0, 1)
        q = q.contiguous() if not paged.long else q[paged.single]
        singles = paged.attend_singles(q, keys, values, scaling, sliding_window)
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


def register(compiled: bool = False) -> None:
    """Make the name known to transformers; harmless when repeated.

    It gets no mask function: transformers then makes none, and `attend` has its own. Compiled
    layers leave `attend` as it is: it differs from layer to layer, and they do not.
    """
    AttentionInterface.register(NAME, torch.compiler.disable(attend) if compiled else attend)
