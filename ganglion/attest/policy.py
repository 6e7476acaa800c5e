"""Which evidence somebody accepts: a TOML file, read strictly.

kinds = ["tdx-v4"]               # any one of these machines
statuses = ["UpToDate"]          # of the firmware; this is the default
gpu = true                       # and all its GPUs in confidential mode
max_age_blocks = 50              # a verdict's life; at most one epoch of 360 blocks

[[measurements]]                 # which programs: one table must match as a whole
kind = "tdx-v4"
mrtd = "91eb..."
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganglion.attest.evidence import KINDS, MACHINES, MOCK, NVIDIA, SNP, BadEvidence
from ganglion.attest.verdict import Verdict
from ganglion.errors import GanglionError

EPOCH_BLOCKS = 360
DEFAULT_AGE_BLOCKS = 50
KNOWN = frozenset(
    {
        "kinds",
        "statuses",
        "reject_advisories",
        "gpu",
        "max_age_blocks",
        "measurements",
        "any_software",
        "minimum_tcb",
        "test_only_mock",
    }
)
TCB_PARTS = ("bootloader", "tee", "snp", "microcode")
_HEX = re.compile(r"(?:[0-9a-f]{2})+")


class BadPolicy(GanglionError, ValueError):
    """A policy file that cannot be read or would accept anything; the message says what to do."""


@dataclass(frozen=True, slots=True)
class AttestPolicy:
    """Accepted kinds, firmware states and programs; how many blocks a verdict lives.

    `minimum_tcb` holds the least versions of AMD's firmware, by the names of `TCB_PARTS`.
    """

    kinds: frozenset[str]
    measurements: tuple[Mapping[str, str], ...] = ()
    statuses: frozenset[str] = frozenset({"UpToDate"})
    reject_advisories: frozenset[str] = frozenset()
    gpu: bool = False
    max_age_blocks: int = DEFAULT_AGE_BLOCKS
    any_software: bool = False
    minimum_tcb: Mapping[str, int] = field(default_factory=dict)
    test_only_mock: bool = False

    def __post_init__(self) -> None:
        for kind in self.kinds - MACHINES:
            raise BadPolicy(f"{kind!r} is no kind of machine: kinds are {sorted(MACHINES)}")
        if not self.kinds and not self.test_only_mock:
            raise BadPolicy(f"the policy accepts nothing: list kinds, of {sorted(MACHINES)}")
        if not 1 <= self.max_age_blocks <= EPOCH_BLOCKS:
            raise BadPolicy(f"max_age_blocks goes from 1 to {EPOCH_BLOCKS}, one epoch")
        named = {table["kind"] for table in self.measurements}
        for kind in sorted(self.kinds - named):
            if not self.any_software:
                raise BadPolicy(
                    f"the policy says not which programs of kind {kind} it trusts, and hardware "
                    "attests whatever runs: add [[measurements]] of that kind"
                )
        if SNP in self.kinds and set(self.minimum_tcb) != set(TCB_PARTS):
            raise BadPolicy(
                f"AMD's reports state versions, not a status: give [minimum_tcb] with {TCB_PARTS}"
            )

    @classmethod
    def load(cls, path: Path) -> AttestPolicy:
        """The policy in a TOML file; BadPolicy if there is none that holds water."""
        try:
            given = tomllib.loads(path.read_text())
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
            raise BadPolicy(f"the policy {path} cannot be read: {e}") from e
        try:
            return cls.of(given)
        except BadPolicy as e:
            raise BadPolicy(f"{path}: {e}") from e

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> AttestPolicy:
        """The policy in a mapping; BadPolicy for what is unknown or has the wrong type."""
        unknown = sorted(given.keys() - KNOWN)
        if unknown:
            raise BadPolicy(f"unknown setting {unknown[0]!r}; known are {sorted(KNOWN)}")
        age = given.get("max_age_blocks", DEFAULT_AGE_BLOCKS)
        if type(age) is not int:
            raise BadPolicy("max_age_blocks is a whole number")
        return cls(
            kinds=_names(given, "kinds", ()),
            measurements=_tables(given.get("measurements", [])),
            statuses=_names(given, "statuses", ("UpToDate",)),
            reject_advisories=_names(given, "reject_advisories", ()),
            gpu=_flag(given, "gpu"),
            max_age_blocks=age,
            any_software=_flag(given, "any_software"),
            minimum_tcb=_tcb(given.get("minimum_tcb", {})),
            test_only_mock=_flag(given, "test_only_mock"),
        )

    def check(self, verdict: Verdict) -> Verdict:
        """The verdict, or BadEvidence if this policy does not trust what was found."""
        if verdict.kind in MACHINES and verdict.status not in self.statuses:
            raise BadEvidence(
                f"the firmware's status is {verdict.status}; accepted are {sorted(self.statuses)}"
            )
        bad = sorted(self.reject_advisories.intersection(verdict.advisories))
        if bad:
            raise BadEvidence(f"the machine has the known weakness {bad[0]}")
        self.check_program(verdict.kind, verdict.measurements)
        return verdict

    def check_program(self, kind: str, found: Mapping[str, str]) -> None:
        """BadEvidence unless the measurements are those of a trusted program."""
        tables = [t for t in self.measurements if t["kind"] == kind]
        if not tables or kind == MOCK:
            return  # only for GPUs, mocks and `any_software`: see __post_init__
        for table in tables:
            if all(found.get(name) == value for name, value in table.items() if name != "kind"):
                return
        raise BadEvidence(f"the measurements of kind {kind} are not those of a trusted program")


STATUSES = frozenset(
    {
        "UpToDate",
        "SWHardeningNeeded",
        "ConfigurationNeeded",
        "ConfigurationAndSWHardeningNeeded",
        "OutOfDate",
        "OutOfDateConfigurationNeeded",
    }
)
ANYTHING = AttestPolicy(
    MACHINES,
    statuses=STATUSES,
    any_software=True,
    minimum_tcb=dict.fromkeys(TCB_PARTS, 0),
    test_only_mock=True,
)
"""What shows all that there is to see; nobody should trust by it."""


def _names(given: Mapping[str, Any], name: str, default: tuple[str, ...]) -> frozenset[str]:
    value = given.get(name, list(default))
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise BadPolicy(f"{name} is a list of names")
    return frozenset(value)


def _flag(given: Mapping[str, Any], name: str) -> bool:
    value = given.get(name, False)
    if type(value) is not bool:
        raise BadPolicy(f"{name} is true or false")
    return value


def _tables(value: object) -> tuple[Mapping[str, str], ...]:
    if not isinstance(value, list):
        raise BadPolicy("measurements are [[measurements]] tables")
    return tuple(_table(table) for table in value)


def _table(value: object) -> Mapping[str, str]:
    kind = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(value, dict) or kind not in KINDS:
        raise BadPolicy(f"every [[measurements]] names its kind, one of {list(KINDS)}")
    if len(value) < 2:
        raise BadPolicy(f"a table of [[measurements]] of kind {kind} names no measurement")
    made = {}
    for name, text in value.items():
        if not isinstance(text, str):
            raise BadPolicy(f"the measurement {name} must be text")
        plain = text.lower().removeprefix("0x")
        if name != "kind" and kind != NVIDIA and not _HEX.fullmatch(plain):
            raise BadPolicy(f"the measurement {name} must be hex, {text[:20]!r} is not")
        made[name] = text if name == "kind" or kind == NVIDIA else plain
    return made


def _tcb(value: object) -> Mapping[str, int]:
    if not isinstance(value, dict):
        raise BadPolicy("minimum_tcb is a table")
    for name, least in value.items():
        if name not in TCB_PARTS or type(least) is not int or not 0 <= least <= 255:
            raise BadPolicy(f"minimum_tcb has versions from 0 to 255 for {TCB_PARTS}")
    return dict(value)
