"""Attacks on the server itself: what is not signed or not finished gets nowhere."""

import pytest

from localnet import doors
from localnet.splitting import earned
from neurons.engine.load import load


async def test_requests_without_a_good_signature_are_refused() -> None:
    async with doors.served(load("exact", "tiny")) as target:
        tries = await doors.signatures(target)
    assert len(tries) == 5
    assert all(one.held for one in tries), tries


@pytest.mark.slow  # 20 seconds of waiting
async def test_a_request_that_dribbles_in_is_cut() -> None:
    async with doors.served(load("exact", "tiny")) as target:
        tries = await doors.slow_requests(target)
    assert all(one.held for one in tries), tries


def test_many_names_earn_less_than_one_unless_each_carries_as_much() -> None:
    assert earned({"rival": 400, "a": 100, "b": 100, "c": 100, "d": 100}, "rival") < 0.5
    assert earned({"rival": 400, "a": 400}, "rival") == pytest.approx(1.0, rel=0.05)
    assert earned({"rival": 400, "a": 400, "b": 400}, "rival") > 1.5


async def test_the_report_of_a_dribble_can_fail() -> None:
    async with doors.served(load("exact", "tiny")) as target:
        one = await doors.dribbled(target, "patient", doors.HEAD, b"X: y\r\n", -doors.GRACE + 1)
    assert not one.held
    assert "still open" in one.outcome
