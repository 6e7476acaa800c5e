"""Weight copiers: they measure nothing and repeat what the others have said.

Where weights are public at once, a copy of everybody's mean is better than one's own noisy
measurement, and pays better. Commit-reveal makes the copy old.
"""

from dataclasses import replace

from localnet.lab.scenario import Scenario, Subnet
from localnet.lab.scenarios import honest as base
from localnet.lab.validators import Validators, copying, stakes


def build(
    commit_reveal: bool = True,
    reveal_period: int = 1,
    copiers: int = 1,
    share: float = 0.1,
    validators: int = 12,
    miners: int = 64,
    noise: float = 0.1,
    drift: float = 0.3,
    turnover: float = 0.005,
    yuma3: bool = True,
    liquid_alpha: bool = False,
) -> Scenario:
    """`share` is the copiers' part of all stake."""
    world = base.build(
        validators=validators, miners=miners, noise=noise, drift=drift, turnover=turnover
    )
    copies = Validators(
        "copiers", stakes(1_000 * share / (1 - share), copiers), copying, noise=noise, late=True
    )
    return replace(
        world,
        name="copier",
        validators=(*world.validators, copies),
        attackers=("copiers",),
        subnet=Subnet(
            commit_reveal_on=commit_reveal,
            reveal_period=reveal_period,
            yuma3_on=yuma3,
            liquid_alpha_on=liquid_alpha,
        ),
    )
