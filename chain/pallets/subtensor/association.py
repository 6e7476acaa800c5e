"""Making a free hotkey one's own.

Upstream: pallets/subtensor/src/staking/account.rs
"""

from __future__ import annotations

from chain.pallets.subtensor.accounts import do_create_account
from chain.runtime.origin import Signed
from chain.runtime.pallet import call
from chain.runtime.state import State
from ganglion.units import AccountId


@call(91, weight=25_337_000, reads=3, writes=3)
def try_associate_hotkey(s: State, coldkey: Signed, hotkey: AccountId) -> None:
    """Make a hotkey belong to the signer unless it belongs to somebody already."""
    do_create_account(s, coldkey, hotkey)
