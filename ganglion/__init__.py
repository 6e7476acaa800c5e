"""Ganglion: a Bittensor-style network in one readable package; this part is the SDK.

    from ganglion import Balance, Client, Keypair, Wallet

Names are loaded when first used, so that importing a part of the package loads no more than it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganglion.attest.attestor import Attestor as Attestor
    from ganglion.attest.call import Trust as Trust
    from ganglion.attest.policy import AttestPolicy as AttestPolicy
    from ganglion.attest.verdict import Verdict as Verdict
    from ganglion.balance import Balance as Balance
    from ganglion.client import Client as Client
    from ganglion.errors import GanglionError as GanglionError
    from ganglion.keys import CryptoType as CryptoType
    from ganglion.keys import Keypair as Keypair
    from ganglion.receipt import Receipt as Receipt
    from ganglion.sync import SyncClient as SyncClient
    from ganglion.wallet import Wallet as Wallet

_HOME = {
    "AttestPolicy": "attest.policy",
    "Attestor": "attest.attestor",
    "Balance": "balance",
    "Client": "client",
    "CryptoType": "keys",
    "GanglionError": "errors",
    "Keypair": "keys",
    "Receipt": "receipt",
    "SyncClient": "sync",
    "Trust": "attest.call",
    "Verdict": "attest.verdict",
    "Wallet": "wallet",
}

__all__ = [  # noqa: PLE0604 - the names are those of the table
    *_HOME,
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'ganglion' has no attribute {name!r}")
    return getattr(import_module(f"ganglion.{home}"), name)
