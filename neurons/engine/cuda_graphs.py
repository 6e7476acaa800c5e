"""Decoding passes as CUDA graphs: one launch for a whole model instead of a thousand.

A pass of single tokens has few shapes: rows and pages are rounded up to powers, and each shape is
captured once for a cache, when it has been asked for a few times. Spare rows write to the cache's
last page, which belongs to nobody. On a processor the same passes run without graphs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from neurons.engine import device_sampling, paged_attention
from neurons.engine.base import PAGE, Row, pages_for
from neurons.engine.paged_attention import Pass, TorchCache

log = logging.getLogger(__name__)

PAGES = 64
"""The smallest page table; larger ones are four, sixteen, ... times as wide."""
WORTHWHILE = 3
"""Passes of a shape before it is captured: a verifier's cache lives for one pass only."""

Net = Callable[[torch.Tensor, Pass], tuple[torch.Tensor, torch.Tensor]]
"""Token ids [1, n] and where they lie, to logits [n, vocab] and the states before them."""


class Kernels(NamedTuple):
    """What a device computes in its own way; see `cuda_kernels`."""

    attention: paged_attention.Kernel
    draw: device_sampling.Kernel


class Shape:
    """The tensors of one shape of pass, and its graph once it is captured.

    Ids, positions and slots of all tokens and their page tables lie behind one another, so that
    one copy moves them to the device.
    """

    def __init__(
        self, cache: TorchCache, kernel: paged_attention.Kernel, count: int, pages: int
    ) -> None:
        device, size = cache.keys[0].device, count * (3 + pages)
        on_cuda = device.type == "cuda"
        self._host = torch.zeros(size, dtype=torch.int64, pin_memory=on_cuda)
        self._plan = torch.zeros(size, dtype=torch.int64, device=device)
        self._spare = len(cache.keys[0]) // PAGE - 1
        parts = [count, count, count, count * pages]
        self._lines = [part.numpy() for part in self._host.split(parts)]
        ids, positions, slots, table = self._plan.split(parts)
        self.ids = ids[None]
        self.layout = Pass.of_singles(cache, positions, slots, table.view(count, pages), kernel)
        self.seen = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.results: tuple[torch.Tensor, torch.Tensor] | None = None

    def fill(self, rows: Sequence[Row]) -> None:
        """Say what the next pass is about; the copy to the device is only ordered, not awaited."""
        ids, positions, slots, table = self._lines
        used = len(rows)
        table = table.reshape(len(ids), -1)
        ids[used:], positions[used:], slots[used:] = 0, 0, self._spare * PAGE
        table[used:, 0] = self._spare
        ids[:used] = [row.tokens[0] for row in rows]
        starts = [row.start for row in rows]
        positions[:used] = starts
        slots[:used] = [r.pages[at // PAGE] * PAGE + at % PAGE for r, at in zip(rows, starts)]
        for line, row, at in zip(table, rows, starts):
            line[: pages_for(at + 1)] = row.pages[: pages_for(at + 1)]
        self._plan.copy_(self._host, non_blocking=True)


@dataclass(slots=True)
class Decoder:
    """Runs passes of single tokens of one network over one cache."""

    net: Net
    kernel: paged_attention.Kernel
    cache: TorchCache
    capture: bool
    shapes: dict[tuple[int, int], Shape] = field(default_factory=dict)

    def run(self, rows: Sequence[Row], at_least: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and states [rows, ...] of single-token rows; overwritten by the next call.

        `at_least` pads the pass to so many rows.
        """
        shape = self._shape(rows, at_least)
        shape.fill(rows)
        shape.seen += 1
        if self.capture and shape.graph is None and shape.seen > WORTHWHILE:
            self._capture(shape)
        if shape.graph is not None and shape.results is not None:
            shape.graph.replay()
            logits, states = shape.results
        else:
            logits, states = self.net(shape.ids, shape.layout)
        return logits[: len(rows)], states[: len(rows)]

    def _shape(self, rows: Sequence[Row], at_least: int) -> Shape:
        count, pages = 1, PAGES
        while count < max(len(rows), at_least):
            count *= 2
        while pages < pages_for(max(row.start for row in rows) + 1):
            pages *= 4
        if (count, pages) not in self.shapes:
            self.shapes[count, pages] = Shape(self.cache, self.kernel, count, pages)
        return self.shapes[count, pages]

    def _capture(self, shape: Shape) -> None:
        """Capture one pass; a network that cannot be captured runs on as it is."""
        graph = torch.cuda.CUDAGraph()
        try:
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                self.net(shape.ids, shape.layout)
            torch.cuda.current_stream().wait_stream(side)
            # what other threads do on the card meanwhile, a chain of the proof of hardware, say,
            # does not spoil the capture
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                shape.results = self.net(shape.ids, shape.layout)
        except RuntimeError as e:
            log.warning("passes cannot be captured as graphs (%s): decoding is slower", e)
            self.capture, shape.results = False, None
        else:
            shape.graph = graph
