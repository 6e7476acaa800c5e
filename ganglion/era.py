"""Eras: how long a transaction stays valid.

A mortal era of period P (a power of two, 4 to 65,536) and phase F holds from the block
`birth(now)` up to, not including, `death(now)`. It travels in two bytes, so periods above 4,096
keep the phase only in steps of P / 4,096. Rule: Substrate's `sp_runtime::generic::Era`.
"""

from __future__ import annotations

from dataclasses import dataclass

from ganglion.errors import EncodeError
from ganglion.scale import DecodeError

MIN_PERIOD, MAX_PERIOD = 4, 65_536


@dataclass(frozen=True, slots=True)
class Era:
    """When a transaction is valid; period 0 means forever (immortal)."""

    period: int = 0
    phase: int = 0

    @classmethod
    def mortal(cls, period: int, current: int) -> Era:
        """An era of about `period` blocks that holds at block `current`.

        The period is rounded up to a power of two within 4..65,536 and the phase down to what
        two bytes can say, so the birth block may lie a little before `current`.
        """
        if period < 1 or current < 0:
            raise EncodeError("an era needs a positive period and a block number from 0 up")
        width = min(max(1 << (period - 1).bit_length(), MIN_PERIOD), MAX_PERIOD)
        step = _step(width)
        return cls(width, current % width // step * step)

    @property
    def is_immortal(self) -> bool:
        return self.period == 0

    def birth(self, current: int) -> int:
        """First block of the era that holds at `current`; 0 if immortal."""
        if self.is_immortal:
            return 0
        return (max(current, self.phase) - self.phase) // self.period * self.period + self.phase

    def death(self, current: int) -> int:
        """First block after the era; 2**64 - 1 if immortal."""
        return 2**64 - 1 if self.is_immortal else self.birth(current) + self.period

    def encode(self) -> bytes:
        """One zero byte for an immortal era, else two bytes; raises EncodeError if malformed."""
        if self.is_immortal:
            return b"\0"
        step = _step(self.period)
        if (
            not MIN_PERIOD <= self.period <= MAX_PERIOD
            or self.period & (self.period - 1)
            or not 0 <= self.phase < self.period
            or self.phase % step
        ):
            raise EncodeError(f"no era has period {self.period} and phase {self.phase}")
        low = min(max(self.period.bit_length() - 2, 1), 15)
        return (low | self.phase // step << 4).to_bytes(2, "little")

    @classmethod
    def read(cls, buf: bytes, i: int = 0) -> tuple[Era, int]:
        """The era at offset `i` and the offset after it; raises DecodeError."""
        if i >= len(buf):
            raise DecodeError("an era is missing: the input ended")
        if buf[i] == 0:
            return IMMORTAL, i + 1
        if i + 2 > len(buf):
            raise DecodeError("an era of two bytes is cut short")
        word = buf[i] | buf[i + 1] << 8
        period = 2 << (word & 15)
        phase = (word >> 4) * _step(period)
        if period < MIN_PERIOD or phase >= period:
            raise DecodeError(f"era bytes {buf[i : i + 2].hex()} name no period and phase")
        return cls(period, phase), i + 2


IMMORTAL = Era()


def _step(period: int) -> int:
    return max(period >> 12, 1)
