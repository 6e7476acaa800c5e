"""The price of a new subnet: doubles with each registration, then falls block by block.

Upstream: pallets/subtensor/src/coinbase/root.rs
"""

from __future__ import annotations

from consensus.economics.issuance import BASE_EMISSION
from ganglion.fixed import I64F64, U64_MAX


def reduction_interval(interval: int, emission: int) -> int:
    """Blocks in which the price falls by its own amount; shortens as emission halves."""
    share = I64F64.safe_div(I64F64.from_int(emission), I64F64.from_int(BASE_EMISSION))
    return I64F64.to_u64(I64F64.mul(I64F64.from_int(interval), share))


def lock_cost(last_lock: int, min_lock: int, last_block: int, block: int, interval: int) -> int:
    """What the next subnet costs in rao.

    `last_block` 0 means that no subnet was ever registered: then the last price is not doubled.
    `interval` 0 stops the decay.
    """
    raised = min(last_lock * (1 if last_block == 0 else 2), U64_MAX)
    rate = last_lock // interval if interval else 0
    fallen = min(rate * max(block - last_block, 0), U64_MAX)
    return max(raised - fallen, min_lock, 0)
