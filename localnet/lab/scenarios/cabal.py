"""A cabal: validators with some share of the stake who push their own, poor miners.

Below a majority, consensus clips what they claim: they lose trust and dividends. Above it, they
are the consensus.
"""

from dataclasses import replace

from localnet.lab.market import Miners
from localnet.lab.scenario import Scenario
from localnet.lab.scenarios import honest as base
from localnet.lab.validators import Validators, favouring, stakes


def build(
    share: float = 0.3,
    pushed: float = 0.9,
    members: int = 4,
    own_miners: int = 4,
    skill: float = -1.0,
    validators: int = 12,
    miners: int = 60,
    drift: float = 0.2,
) -> Scenario:
    """`share`: the cabal's part of all stake; `pushed`: the part of its weight on its miners."""
    world = base.build(validators=validators, miners=miners, drift=drift)
    members_stake = stakes(1_000 * share / (1 - share), members)
    cabal = Validators("cabal", members_stake, favouring("cabal miners", pushed))
    return replace(
        world,
        name="cabal",
        validators=(*world.validators, cabal),
        miners=(*world.miners, Miners("cabal miners", own_miners, skill=skill)),
        attackers=("cabal", "cabal miners"),
        watch="cabal miners",
    )
