"""Signing extrinsics against an executive at hand: for tests, benchmarks and tools."""

from __future__ import annotations

from typing import Any

from chain.executive import Executive
from chain.runtime.call import RuntimeCall
from chain.runtime.types import Id
from ganglion.era import IMMORTAL, Era
from ganglion.extrinsic import SigningContext, sign_extrinsic
from ganglion.keys import Keypair
from ganglion.scale import codec
from ganglion.units import AccountId, Hash

_CALL = codec(RuntimeCall)


def signed_call(
    executive: Executive,
    signer: Keypair,
    call: RuntimeCall,
    nonce: int,
    *,
    tip: int = 0,
    era: Era = IMMORTAL,
    birth: Hash | None = None,
) -> bytes:
    """An extrinsic of `call`, ready to submit; `birth` is the hash of the era's first block."""
    version: Any = executive.version
    context = SigningContext(
        genesis_hash=executive.genesis_hash,
        spec_version=version.spec_version,
        transaction_version=version.transaction_version,
        nonce=nonce,
        era=era,
        birth_hash=birth,
        tip=tip,
    )
    return sign_extrinsic(_CALL.encode(call), context, signer)


def transfer(executive: Executive, to: AccountId, amount: int) -> RuntimeCall:
    """Balances.transfer_keep_alive."""
    return executive.runtime.call("Balances", "transfer_keep_alive", Id(to), amount)


def remark(executive: Executive, text: bytes) -> RuntimeCall:
    """System.remark."""
    return executive.runtime.call("System", "remark", text)
