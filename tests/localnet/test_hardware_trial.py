"""The trial of `scripts/hardware`: its table, and a small run over real processes."""

from __future__ import annotations

import argparse

from localnet import hardware_trial
from localnet.hardware_trial import CHEAT, HONEST, Row, row, show
from subnets.hardware.chain import SLOWEST
from subnets.hardware.judge import Outcome, Result
from subnets.hardware.measure import claim_of

OK, LATE, OURS = (
    Result(o, milliseconds=ms)
    for o, ms in zip((Outcome.OK, Outcome.LATE, Outcome.OURS), (400, 1200, 1100))
)


def made(kind: str, *results: Result) -> Row:
    return row(kind, True, 10**9, 10**9, results)


def test_what_counts_as_it_should() -> None:
    assert made(HONEST, OK, OK, OURS).as_it_should
    assert not made(HONEST, OK, LATE).as_it_should
    assert not made(HONEST, OURS, OURS).as_it_should  # shows nothing
    assert made(CHEAT, LATE, LATE).as_it_should
    assert not made(CHEAT, LATE, OK).as_it_should


def test_the_table_names_every_outcome() -> None:
    table = show([made(HONEST, OK, OK, LATE)])
    assert "2 / 3" in table
    assert "ok 2, late 1" in table
    assert "400 ms" in table


async def test_a_run_over_processes_ends_with_outcomes() -> None:
    """How fast this machine is at the moment is not asked."""
    options = argparse.Namespace(engine="exact", machine="numpy", rate=SLOWEST, tries=1)
    (found,) = [await hardware_trial.trial(HONEST, True, 1, options)]
    assert found.tries == 1
    assert set(found.outcomes) <= {str(o) for o in (Outcome.OK, Outcome.LATE, Outcome.OURS)}
    assert found.claimed == claim_of(SLOWEST)
