"""A bribe: a miner pays some validators to rate it above its worth."""

from dataclasses import replace

from localnet.lab.market import Miners
from localnet.lab.scenario import Scenario
from localnet.lab.scenarios import honest as base
from localnet.lab.validators import Validators, favouring, stakes


def build(
    share: float = 0.2,
    pushed: float = 0.1,
    bribed: int = 3,
    validators: int = 12,
    miners: int = 63,
    price: float = 0.0,
    drift: float = 0.2,
) -> Scenario:
    """`share`: bribed part of the stake; `pushed`: weight each gives away; `price`: TAO, once."""
    world = base.build(validators=validators, miners=miners, drift=drift)
    bought = Validators(
        "bribed", stakes(1_000 * share / (1 - share), bribed), favouring("briber", pushed)
    )
    return replace(
        world,
        name="bribe",
        validators=(*world.validators, bought),
        miners=(*world.miners, Miners("briber", 1)),
        attackers=("bribed", "briber"),
        cost=price,
        watch="briber",
    )
