"""Who gets an epoch's validator alpha and root alpha, and what a validator keeps of it.

The dividends of the epoch only set proportions; the amounts are the pending ones.

Upstream: pallets/subtensor/src/coinbase/run_coinbase.rs
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from consensus.economics.children import Stake
from consensus.economics.fixed import Fx32
from ganglion.fixed import U96F32

Key = TypeVar("Key")


def distribution(
    dividends: Mapping[Key, Fx32],
    stakes: Mapping[Key, Stake],
    *,
    validator_alpha: int,
    root_alpha: int,
    tao_weight: Fx32,
) -> tuple[dict[Key, Fx32], dict[Key, Fx32]]:
    """Alpha for alpha stakers and alpha for root stakers, per hotkey, in U96F32 bits.

    A hotkey's dividend counts as root dividend by the root part of its weighted stake. If nobody
    has a dividend of one kind, the pending amount of that kind goes to nobody.
    """
    alpha_parts: dict[Key, Fx32] = {}
    root_parts: dict[Key, Fx32] = {}
    for hotkey, dividend in dividends.items():
        stake = stakes.get(hotkey)
        if stake is None:
            continue
        if not dividend:
            root_parts[hotkey] = alpha_parts[hotkey] = 0
            continue
        root = U96F32.mul(U96F32.from_int(stake.root), tao_weight)
        share = U96F32.safe_div(root, U96F32.add(U96F32.from_int(stake.alpha), root))
        root_parts[hotkey] = U96F32.mul(dividend, share)
        alpha_parts[hotkey] = U96F32.sub(dividend, root_parts[hotkey])
    return _in_proportion(alpha_parts, validator_alpha), _in_proportion(root_parts, root_alpha)


def _in_proportion(parts: Mapping[Key, Fx32], amount: int) -> dict[Key, Fx32]:
    total = U96F32.clamp(sum(parts.values()))
    gross = U96F32.from_int(amount)
    return {
        key: U96F32.mul(gross, U96F32.safe_div(part, total)) if part else 0
        for key, part in parts.items()
    }


def after_take(take: Fx32, amount: Fx32) -> tuple[int, int]:
    """Whole units for the validator's owner and for its nominators; dust is nobody's."""
    own = U96F32.mul(take, amount)
    return U96F32.to_u64(own), U96F32.to_u64(U96F32.sub(amount, own))


def withheld_part(withheld: int, total: int) -> Fx32:
    """The part of the miners' alpha that went to owner hotkeys; 0 without any miner alpha."""
    return U96F32.safe_div(U96F32.from_int(withheld), U96F32.from_int(total))
