"""What the scripts of SDK 9 and 10 share: wallets on disk, amounts, and cells that are the same."""

from __future__ import annotations

import bittensor as bt
from bittensor_wallet import Keypair, Wallet
from kit import cell

SALT = [18, 179, 107, 0]


def wallet(cold, hot):
    """A wallet folder with two development keys."""
    made = Wallet(name=cold.strip("/"), path="wallets")
    key, hotkey = Keypair.create_from_uri(cold), Keypair.create_from_uri(hot)
    made.set_coldkey(keypair=key, encrypt=False, overwrite=True)
    made.set_coldkeypub(keypair=key, encrypt=False, overwrite=True)
    made.set_hotkey(keypair=hotkey, encrypt=False, overwrite=True)
    return made


def tao(amount):
    """An amount of TAO."""
    return bt.Balance.from_tao(amount)


@cell
def subscribe(ctx):
    start = ctx.node.block
    assert ctx.node.wait_for_block(start + 3)
    assert ctx.node.wait_for_block()
    return f"blocks {start} to {ctx.node.block}"
