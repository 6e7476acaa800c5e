"""The numpy engine against the reference on random subnets; EPOCH_FUZZ sets how many."""

import os
from collections import Counter
from dataclasses import replace
from random import Random

import pytest
import yuma_cases

from consensus.yuma import engine, reference

CASES = int(os.environ.get("EPOCH_FUZZ", "20000"))
PARTS = 8


@pytest.mark.parametrize("part", range(PARTS))
def test_engines_agree(part: int) -> None:
    seen: Counter[str] = Counter()
    for i in range(CASES // PARTS):
        subnet = yuma_cases.subnet(Random(f"{part}/{i}"))
        expected, got = reference.epoch(subnet), engine.epoch(subnet)
        assert got == expected, f"case {part}/{i}: {subnet}"
        seen["fallback"] += got.fallback is not None
        seen["paid"] += any(got.incentive)
    assert seen["fallback"] == 0
    assert seen["paid"] > CASES // PARTS // 4


def test_engines_agree_on_larger_subnets() -> None:
    """Several blocks of miners and more than one word of validators."""
    for i in range(12):
        subnet = yuma_cases.subnet(Random(f"large/{i}"), n=(200, 260)[i % 2])
        assert engine.epoch(subnet) == reference.epoch(subnet), f"case large/{i}"


def test_what_the_fast_path_cannot_hold_goes_to_the_reference() -> None:
    subnet = yuma_cases.subnet(Random("fallback"), n=4)
    twice = replace(
        subnet,
        validator_permits=[True] * 4,
        weights=[bytes.fromhex("0100010001000200")] * 4,
    )
    steep = replace(subnet, bonds_moving_average=1_000_001)
    for odd, why in ((twice, "twice"), (steep, "moving average")):
        outcome = engine.epoch(odd)
        assert outcome == reference.epoch(odd)
        assert outcome.fallback is not None
        assert why in outcome.fallback


@pytest.mark.parametrize("run", [engine.epoch, reference.epoch])
def test_a_torn_row_is_refused(run) -> None:
    subnet = replace(yuma_cases.subnet(Random("torn"), n=3), bonds=[b"\1\0\2"])
    with pytest.raises(ValueError, match="3 bytes is not made of four-byte pairs"):
        run(subnet)
