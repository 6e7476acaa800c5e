"""What one epoch reads and what it decides: plain values, no chain state.

Units: stakes and emissions in rao, blocks as block numbers, the u16 parameters over 65535.
Vectors are indexed by uid and have `n` entries; shorter ones count as padded with zeros and
longer ones are cut. Rows are packed pairs (see `rows`), one per uid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class SubnetEpoch:
    """Everything the epoch of one mechanism of one subnet depends on."""

    n: int
    current_block: int
    last_update: Sequence[int]
    block_at_registration: Sequence[int]
    alpha_stake: Sequence[int]
    """Alpha on this subnet after inheritance from parents and to children."""
    tao_stake: Sequence[int]
    """Root TAO after inheritance."""
    validator_permits: Sequence[bool]
    """Permits as the previous epoch stored them."""
    weights: Sequence[bytes]
    bonds: Sequence[bytes]
    tempo: int = 360
    activity_cutoff_factor_milli: int = 13_889
    last_mechanism_step_block: int = 0
    """Block of the last epoch that ran, 0 for never."""
    tao_weight: int = 0
    """Worth of one TAO in alpha, over 2^64 - 1."""
    stake_threshold: int = 0
    owner_uid: int | None = None
    max_allowed_validators: int = 128
    kappa: int = 32_767
    bonds_penalty: int = 65_535
    bonds_moving_average: int = 900_000
    """Parts per million."""
    yuma3_on: bool = False
    liquid_alpha_on: bool = False
    alpha_low: int = 45_875
    alpha_high: int = 58_982
    alpha_sigmoid_steepness: int = 1_000
    liquid_consensus: Sequence[int] | None = None
    """The consensus that liquid alpha compares weights with, over 65535; None is this epoch's."""
    commit_blocks: Sequence[int] | None = None
    """Block of each uid's earliest unrevealed commit (`NO_COMMIT`: none); None without
    commit-reveal."""
    rao_emission: int = 1_000_000_000


NO_COMMIT = (1 << 64) - 1
"""Stands for "this validator has no pending commit"."""


@dataclass(frozen=True, slots=True)
class EpochOutcome:
    """What the epoch decided. Every field but `bonds` is a tuple of n plain integers or booleans.

    The first group are I32F32 raw bits, for whoever wants to look closer; the second group is
    what the chain stores or pays.
    """

    stake: tuple[int, ...]
    active_stake: tuple[int, ...]
    consensus: tuple[int, ...]
    validator_trust: tuple[int, ...]
    incentive: tuple[int, ...]
    dividends: tuple[int, ...]

    stake_weight_u16: tuple[int, ...]
    consensus_u16: tuple[int, ...]
    validator_trust_u16: tuple[int, ...]
    incentive_u16: tuple[int, ...]
    dividends_u16: tuple[int, ...]
    active: tuple[bool, ...]
    new_permits: tuple[bool, ...]
    server_emission: tuple[int, ...]
    validator_emission: tuple[int, ...]
    combined_emission: tuple[int, ...]
    stake_raw: tuple[int, ...]
    """Total stake weight in whole rao."""
    bonds: tuple[bytes, ...]
    """The row of every uid; empty for one without a new permit."""
    fallback: str | None = field(default=None, compare=False)
    """Why the fast engine left this epoch to the reference; None when it did not."""
