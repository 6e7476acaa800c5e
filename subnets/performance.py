"""What is told of a miner, out of a validator's memory of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from statistics import median_low

from ganglion.wire.observations import WHOLE, Quality
from ganglion.wire.performance import MinerPerformance
from subnets.hardware.judge import Capability
from subnets.scoring import Record
from subnets.verdict import Reason

U32_MAX = (1 << 32) - 1


def typical(values: Iterable[int]) -> int:
    """The lower median of what is not zero, 0 if that is nothing."""
    known = [value for value in values if value > 0]
    return median_low(known) if known else 0


def summarise(hotkey: str, record: Record, hardware: Capability) -> MinerPerformance:
    """One miner's line of a report."""
    right = [entry for entry in record.recent if entry["reason"] == Reason.OK]
    reasons = Counter(str(entry["reason"]) for entry in record.recent)
    reasons.update(f"hardware {entry['reason']}" for entry in hardware.recent)
    return MinerPerformance(
        hotkey=hotkey,
        checks=record.checks,
        verified=record.verified,
        speed=typical(e["tokens"] * 1_000_000 // e["ms"] for e in right if e["ms"] > 0),
        first_token_ms=typical(int(e.get("first_token_ms", 0)) for e in right),
        hardware_rate=hardware.rate,
        hardware_proven=hardware.proven,
        hardware_checks=hardware.checks,
        hardware_passes=hardware.passes,
        reasons=dict(sorted(reasons.items())),
    )


def quality_of(uid: int, record: Record, price: int) -> Quality:
    """One miner's line of an observation, from its latest checks; `price` is what it asks."""
    counted = [entry for entry in record.recent if entry["reason"] != Reason.OURS]
    right = sum(entry["reason"] == Reason.OK for entry in counted)
    known = summarise("", record, Capability())
    return Quality(
        uid=uid,
        answered=right * WHOLE // len(counted) if counted else 0,
        first_token_ms=min(known.first_token_ms, U32_MAX),
        speed=min(known.speed, U32_MAX),
        price=price,
    )
