"""Sybil miners: one machine under many uids, each paid as if it were another miner.

Validators who only look at answers cannot tell. Weights that favour the best (`sharpness`) do not
help either: the twins are equally good. What holds them back is the price of uids.
"""

from dataclasses import replace

from localnet.lab.market import Miners
from localnet.lab.scenario import Scenario
from localnet.lab.scenarios import honest as base


def build(
    uids: int = 16,
    miners: int = 48,
    skill: float = 0.0,
    registration: float = 0.5,
    drift: float = 0.2,
    turnover: float = 0.005,
) -> Scenario:
    """`uids`: how many the machine holds, all but one too many; `registration`: TAO for each."""
    world = base.build(miners=miners, drift=drift, turnover=turnover)
    return replace(
        world,
        name="sybil",
        miners=(*world.miners, Miners("sybil", uids, skill=skill, spread=0.0, twins=True)),
        attackers=("sybil",),
        cost=registration * (uids - 1),
        watch="sybil",
    )
