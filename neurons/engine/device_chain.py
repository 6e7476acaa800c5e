"""Walking chains of the proof of hardware with torch: on a card, or on a processor in int8.

Products of int8 with int32 sums run on the units that serve quantised models; where a device has
none, float32 gives the same bits. On a card everything runs in a stream of high priority, so that
an engine's passes delay it little.
"""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager

import torch

from subnets.hardware.chain import HALF, PRIME, EngineTrouble, Material, Matrix

LEAST_COLUMNS = 32
"""Kernels for int8 want so many columns; narrower matrices are padded."""


class TorchMachine:
    """Walks chains on one device."""

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)
        self._int8 = self._has_int8()
        self.name = f"torch {device} {'int8' if self._int8 else 'float32'}"

    def _has_int8(self) -> bool:
        """Whether the device multiplies int8 matrices, and rightly so."""
        rows = torch.arange(64 * 64, dtype=torch.int32).reshape(64, 64) % PRIME - HALF
        there = rows.to(torch.int8).to(self._device)
        try:
            product = torch._int_mm(there, there).cpu()
        except (AttributeError, RuntimeError):
            return False
        return bool(torch.equal(product, rows @ rows))

    def _priority(self) -> AbstractContextManager[object]:
        if self._device.type != "cuda":
            return contextlib.nullcontext()
        stream = torch.cuda.Stream(self._device, priority=-1)
        made: AbstractContextManager[object] = torch.cuda.stream(stream)
        return made

    def walk(self, material: Material, start: Matrix) -> Matrix:
        """The end of the chain; see `subnets.hardware.chain.Machine`."""
        try:
            with torch.inference_mode(), self._priority():
                return self._walk(material, start)
        except RuntimeError as e:  # torch.cuda.OutOfMemoryError is one
            raise EngineTrouble(f"{self.name} cannot do it now: {str(e).splitlines()[0]}") from e

    def _walk(self, material: Material, start: Matrix) -> Matrix:
        words = torch.from_numpy(material.words.astype("i8")).to(self._device)
        orders = torch.sort(words, dim=1, stable=True).indices
        columns = start.shape[1]
        a = torch.from_numpy(material.matrix).to(self._device)
        z = torch.zeros(
            len(start), max(columns, LEAST_COLUMNS), dtype=torch.int8, device=self._device
        )
        z[:, :columns] = torch.from_numpy(start.copy()).to(self._device)
        step = self._int8_step if self._int8 else self._float_step
        if not self._int8:
            a = a.to(torch.float32)
        for order in orders:
            z = step(a, z.index_select(0, order))
        z = torch.where(z > HALF, z.to(torch.int16) - PRIME, z)
        result: Matrix = z[:, :columns].to(torch.int8).cpu().numpy()
        return result

    @staticmethod
    def _int8_step(a: torch.Tensor, turned: torch.Tensor) -> torch.Tensor:
        """A product as residues from 0 to 126: one pass less than centred ones, and as good."""
        return torch._int_mm(a, turned).remainder_(PRIME).to(torch.int8)

    @staticmethod
    def _float_step(a: torch.Tensor, turned: torch.Tensor) -> torch.Tensor:
        """A product as residues from -63 to 63, so that the next sums stay within 2**24."""
        product = a @ turned.to(torch.float32)
        for _ in range(2):  # the first quotient may be rounded to a neighbour
            product -= torch.round(product * (1.0 / PRIME)) * PRIME
        return product.to(torch.int8)
