"""The start of every block: prices of registration, the coinbase, and what follows from it.

Upstream: pallets/subtensor/src/coinbase/block_step.rs
"""

from __future__ import annotations

from chain.pallets.subtensor.beta_pricing import advance_index
from chain.pallets.subtensor.children import apply_pending_children
from chain.pallets.subtensor.coinbase import (
    get_deferred_epochs,
    get_user_subnets,
    run_coinbase,
    update_prices,
)
from chain.pallets.subtensor.emission import mint_block_emission
from chain.pallets.subtensor.fund_deposits import flush_next
from chain.pallets.subtensor.hotkey_swap import forget_old_swaps
from chain.pallets.subtensor.registration import update_registration_prices
from chain.pallets.subtensor.root_claim import run_automatic_claims
from chain.pallets.subtensor.timelocked import reveal_timelocked
from chain.pallets.system import ParentHash
from chain.runtime.pallet import on_initialize
from chain.runtime.state import State
from ganglion.units import BlockNumber, Rao


@on_initialize
def block_step(s: State, now: BlockNumber) -> None:
    """Run the economy for one block."""
    run_coinbase(s, before_coinbase(s))
    flush_next(s)
    update_prices(s)
    apply_pending_children(s)
    run_automatic_claims(s, s[ParentHash])
    advance_index(s)


def before_coinbase(s: State) -> Rao:
    """What a block begins with; the TAO that its coinbase gives out."""
    forget_old_swaps(s)
    update_registration_prices(s)
    credit = mint_block_emission(s)
    deferred = get_deferred_epochs(s)
    reveal_timelocked(s, (n for n in get_user_subnets(s) if n not in deferred))
    return credit
