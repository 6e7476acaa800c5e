"""A scenario: groups, subnet settings, and who the attackers are. And where scenarios live."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

from localnet.lab.market import Miners
from localnet.lab.validators import Validators, honest

SHIPPED = Path(__file__).parent / "scenarios"
Option = bool | int | float | str


class ScenarioError(Exception):
    """A scenario cannot be found, loaded or set up; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Subnet:
    """Settings of the subnet; names and units are the chain's."""

    tempo: int = 360
    kappa: int = 32_767
    bonds_penalty: int = 65_535
    bonds_moving_average: int = 900_000
    yuma3_on: bool = True
    liquid_alpha_on: bool = False
    alpha_low: int = 45_875
    alpha_high: int = 58_982
    commit_reveal_on: bool = True
    reveal_period: int = 1
    """Epochs between a commit and its reveal."""
    emission: int = 148_000_000_000
    """Rao per epoch for miners and validators together."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One set-up of the laboratory."""

    name: str
    validators: tuple[Validators, ...]
    miners: tuple[Miners, ...]
    subnet: Subnet = field(default_factory=Subnet)
    drift: float = 0.1
    turnover: float = 0.002
    attackers: tuple[str, ...] = ()
    """Groups, of validators or miners, whose joint gain the report weighs up."""
    cost: float = 0.0
    """TAO the attack costs once, beside what it forgoes."""
    watch: str = ""
    """Group of miners to which bonds are followed; the first when empty."""

    def baseline(self) -> Scenario:
        """The same world with every attacking validator honest."""
        return replace(
            self,
            cost=0.0,
            validators=tuple(
                replace(v, think=honest if v.group in self.attackers else v.think, memory=None)
                for v in self.validators
            ),
        )


Build = Callable[..., Scenario]


def names() -> list[str]:
    """The scenarios that come with the laboratory."""
    return sorted(p.stem for p in SHIPPED.glob("*.py") if p.stem != "__init__")


def find(name: str) -> Path:
    """Where a scenario is, by the name of a shipped one or the path of a file. ScenarioError."""
    path = Path(name) if name.endswith(".py") else SHIPPED / f"{name}.py"
    if not path.is_file():
        raise ScenarioError(f"no scenario {name!r}: name one of {', '.join(names())} or a .py file")
    return path


def load(name: str, source: str | None = None) -> ModuleType:
    """A scenario's module, from its text where that is at hand. Raises ScenarioError."""
    if source is None:
        source = find(name).read_text()
    module = ModuleType(f"lab_scenario_{Path(name).stem}")
    try:
        exec(compile(source, name, "exec"), vars(module))
    except (SyntaxError, ImportError) as e:
        raise ScenarioError(f"{name} cannot be loaded: {e}") from e
    if not callable(getattr(module, "build", None)):
        raise ScenarioError(f"{name} has no function build(...) that returns a Scenario")
    return module


def options(module: ModuleType) -> dict[str, Option]:
    """What a scenario's `build` can be told, with its defaults."""
    return {p.name: p.default for p in inspect.signature(module.build).parameters.values()}


def build(
    name: str, given: Mapping[str, str | Option] | None = None, source: str | None = None
) -> Scenario:
    """Set a scenario up; `given` options may be text. Raises ScenarioError."""
    module = load(name, source)
    known = options(module)
    chosen: dict[str, Option] = {}
    for key, value in (given or {}).items():
        if key not in known:
            raise ScenarioError(f"{name} has no option {key!r}: it knows {', '.join(known)}")
        chosen[key] = _like(key, known[key], value)
    try:
        scenario: Scenario = module.build(**chosen)
    except ArithmeticError as e:
        said = ", ".join(f"{key}={value}" for key, value in chosen.items())
        raise ScenarioError(f"{name} cannot be built with {said or 'its defaults'}: {e}") from e
    flaw = flaw_of(scenario)
    if flaw:
        raise ScenarioError(f"{name} cannot be played: {flaw}")
    return scenario


def flaw_of(scenario: Scenario) -> str:
    """Why a scenario cannot be played; empty when it can."""
    for group in scenario.validators:
        if not group.stakes:
            return f"there are no validators in the group {group.group}"
        if not all(0 < stake < math.inf for stake in group.stakes):
            return f"the stakes of {group.group} must be above 0 (a share lies between 0 and 1)"
        if not 0 <= group.noise < math.inf:
            return "noise is 0 or more"
    if any(group.count < 0 for group in scenario.miners) or not any(
        group.count for group in scenario.miners
    ):
        return "it needs one miner at the least, and no group of fewer than none"
    if not (0 <= scenario.drift < math.inf and 0 <= scenario.turnover <= 1):
        return "drift is 0 or more, turnover from 0 to 1"
    if scenario.subnet.reveal_period < 1:
        return "the reveal period is 1 epoch or more"
    return ""


def _like(key: str, default: Option, value: str | Option) -> Option:
    """Text as the kind of value the default is."""
    if not isinstance(value, str) or isinstance(default, str):
        return value
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False, "1": True, "0": False}[value.lower()]
        return int(value) if isinstance(default, int) else float(value)
    except (KeyError, ValueError):
        kind = {bool: "true or false", int: "a whole number"}.get(type(default), "a number")
        raise ScenarioError(f"option {key} must be {kind}, not {value!r}") from None
