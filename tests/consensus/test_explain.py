"""The account of one miner's epoch adds up and can be read."""

import json
from random import Random

import pytest
import yuma_cases
from hypothesis import given
from hypothesis import strategies as st

from consensus.explain import as_json, explain, table
from consensus.yuma import reference
from consensus.yuma.types import SubnetEpoch

subnets = st.integers(0, 10**9).map(lambda seed: yuma_cases.subnet(Random(seed)))


@given(subnets)
def test_attributions_stay_within_what_was_paid(subnet: SubnetEpoch) -> None:
    result = reference.epoch(subnet)
    earned = [0] * subnet.n
    for uid in range(subnet.n):
        e = explain(subnet, uid)
        assert sum(v.paid for v in e.voices) <= result.server_emission[uid]
        for v in e.voices:
            assert v.weight == v.clipped + v.lost
            earned[v.uid] += v.earned
    if any(result.incentive):
        assert all(a <= b for a, b in zip(earned, result.validator_emission))


def test_text_and_json_tell_the_same() -> None:
    for seed in range(40):
        subnet = yuma_cases.subnet(Random(seed), n=6)
        explanation = explain(subnet, 2)
        told = json.loads(json.dumps(as_json(explanation)))
        lines = table(explanation).splitlines()
        assert lines[0].startswith(f"uid 2: consensus {told['consensus']}, ")
        for line, voice in zip(lines[2:], told["voices"]):
            assert line.split() == [str(x) for x in voice.values()]


def test_a_stranger_has_no_epoch() -> None:
    subnet = yuma_cases.subnet(Random(1), n=3)
    with pytest.raises(ValueError, match="uid 3 is not on this subnet, which has uids 0 to 2"):
        explain(subnet, 3)
