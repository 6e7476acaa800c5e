"""The weight limits of a block, as the network's own runtime states them.

Reference time in picoseconds, proof size in bytes. 4 s of reference time; Normal extrinsics may
fill three quarters, a quarter is kept for Operational ones, and one extrinsic may take at most
13/20 (Normal) or 9/10 (Operational) of the whole proof size.
"""

from __future__ import annotations

from chain.pallets.system_types import BlockWeights, ClassWeights, WeightsPerClass
from chain.runtime.call import Weight

BASE_BLOCK = 431_614_000
BASE_EXTRINSIC = 108_157_000
MAX_BLOCK = 4_000_000_000_000
MAX_PROOF = (1 << 64) - 1

_BASE = Weight(BASE_EXTRINSIC, 0)

BLOCK_WEIGHTS = BlockWeights(
    Weight(BASE_BLOCK, 0),
    Weight(MAX_BLOCK, MAX_PROOF),
    ClassWeights(
        WeightsPerClass(
            _BASE,
            Weight(2_599_891_843_000, 11_990_383_647_911_208_550),
            Weight(MAX_BLOCK * 3 // 4, 13_835_058_055_282_163_711),
            Weight(0, 0),
        ),
        WeightsPerClass(
            _BASE,
            Weight(3_599_891_843_000, 16_602_069_666_338_596_454),
            Weight(MAX_BLOCK, MAX_PROOF),
            Weight(MAX_BLOCK // 4, 1 << 62),
        ),
        WeightsPerClass(_BASE, None, None, None),
    ),
)
"""System.BlockWeights."""
