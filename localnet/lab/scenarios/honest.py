"""Everybody is honest: what the others are measured against."""

from localnet.lab.market import Miners
from localnet.lab.scenario import Scenario, Subnet
from localnet.lab.validators import Validators, honest, stakes


def build(
    validators: int = 12,
    miners: int = 64,
    stake: float = 1_000.0,
    noise: float = 0.1,
    drift: float = 0.2,
    turnover: float = 0.005,
    commit_reveal: bool = True,
    reveal_period: int = 1,
) -> Scenario:
    """`noise` is the error of one measurement, `drift` the change of quality in an epoch."""
    return Scenario(
        name="honest",
        validators=(Validators("honest", stakes(stake, validators), honest, noise=noise),),
        miners=(Miners("miners", miners),),
        subnet=Subnet(commit_reveal_on=commit_reveal, reveal_period=reveal_period),
        drift=drift,
        turnover=turnover,
    )
