"""Self-weighting: validators who also mine, badly, and rate themselves.

The chain drops what a validator says of itself, unless it owns the subnet.
"""

from dataclasses import replace

from localnet.lab.scenario import Scenario
from localnet.lab.scenarios import honest as base
from localnet.lab.validators import Validators, self_weighting, stakes


def build(
    share: float = 0.2, pushed: float = 0.5, selfish: int = 3, drift: float = 0.2
) -> Scenario:
    """`share`: their part of the stake; `pushed`: the part of the weight on themselves."""
    world = base.build(drift=drift)
    vain = Validators(
        "selfish", stakes(1_000 * share / (1 - share), selfish), self_weighting(pushed)
    )
    return replace(
        world, name="self_weight", validators=(*world.validators, vain), attackers=("selfish",)
    )
