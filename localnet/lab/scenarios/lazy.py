"""Lazy validators: honest, but they look only once in a while."""

from dataclasses import replace

from localnet.lab.scenario import Scenario
from localnet.lab.scenarios import honest as base
from localnet.lab.validators import Validators, lazy, stakes


def build(every: int = 10, share: float = 0.1, lazies: int = 2, drift: float = 0.2) -> Scenario:
    """`every`: epochs between two measurements; `share`: their part of the stake."""
    world = base.build(drift=drift)
    slow = Validators("lazy", stakes(1_000 * share / (1 - share), lazies), lazy(every))
    return replace(world, name="lazy", validators=(*world.validators, slow), attackers=("lazy",))
