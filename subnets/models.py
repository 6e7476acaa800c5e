"""What the network knows of a model: its hashes and how far honest miners stray.

A model's entry holds one set of thresholds a service class. The exact class tolerates nothing.
The fast class tolerates what calibration measured over kernels, precisions and batch sizes.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cache
from math import comb, exp, isqrt, log1p
from pathlib import Path
from typing import Any

FALSE_ALARM = 1e-5
"""The chance that an honest miner's count of mismatches is called too high, per judgement."""

FULL = 128  # values in the fingerprint of a full chunk
SPREAD = 10_000  # thousandths that the mean of one value may stray; sqrt(n) less for n values


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The largest honest values, per chunk of 32 tokens and per token.

    `exponents` counts; mantissa errors are thousandths; `mismatch_ppm` is the honest share of
    tokens other than the demanded one; `margin` is the largest honest miss, in millionths of a
    logit. `samples` chunks were measured.
    """

    exponents: int = 0
    mantissa_mean: int = 0
    mantissa_median: int = 0
    mismatch_ppm: int = 0
    margin: int = 0
    samples: int = 0

    def chunk_limits(self, points: int) -> tuple[int, int, int]:
        """Exponents, mean and median allowed for a fingerprint of `points` values.

        The limits are those of full chunks; the fewer values, the wider their averages spread.
        """
        if not self.samples:
            return 0, 0, 0
        part = min(points, FULL)
        spread = isqrt(SPREAD * SPREAD // part) - isqrt(SPREAD * SPREAD // FULL)
        exponents = -(-(self.exponents * part + 3 * (FULL - part)) // FULL)
        median = self.mantissa_median + (2000 if part < FULL // 2 else 0)
        return exponents, self.mantissa_mean + spread, median


EXACT = Thresholds()


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model as registered; hashes are those of `ModelCard`. `fast` is None if not calibrated."""

    name: str
    weights_hash: bytes
    tokenizer_hash: bytes
    fast: Thresholds | None = None

    def thresholds(self, exact: bool) -> Thresholds | None:
        """What to tolerate of a miner that claims this class; None if it may not serve it."""
        return EXACT if exact else self.fast

    def to_json(self) -> dict[str, Any]:
        """The form of a calibration file."""
        return {
            "name": self.name,
            "weights_hash": "0x" + self.weights_hash.hex(),
            "tokenizer_hash": "0x" + self.tokenizer_hash.hex(),
            "fast": asdict(self.fast) if self.fast else None,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ModelEntry:
        """Parse a calibration file; ValueError if it is not one."""
        try:
            return cls(
                str(value["name"]),
                bytes.fromhex(value["weights_hash"].removeprefix("0x")),
                bytes.fromhex(value["tokenizer_hash"].removeprefix("0x")),
                Thresholds(**value["fast"]) if value["fast"] else None,
            )
        except (AttributeError, KeyError, TypeError) as e:
            raise ValueError(f"this is no calibration entry of a model: {e!r}") from e


def load_entry(path: Path) -> ModelEntry:
    """The entry in a calibration file; ValueError or OSError if there is none."""
    return ModelEntry.from_json(json.loads(path.read_text("utf-8")))


@cache
def mismatches_allowed(tokens: int, ppm: int) -> int:
    """The least k such that an honest miner exceeds k mismatches in `tokens` with p < FALSE_ALARM.

    Mismatches are taken as independent at the honest rate of `ppm` millionths.
    """
    if ppm == 0:
        return 0
    p = min(ppm, 999_999) / 1e6
    below, k = 0.0, 0
    while True:
        below += comb(tokens, k) * p**k * exp((tokens - k) * log1p(-p))
        if 1.0 - below < FALSE_ALARM or k >= tokens:
            return k
        k += 1
