"""ShieldApi: what a block's author asks the runtime about encrypted extrinsics.

Our author has the keys at hand and opens them itself (`chain.mev_carrier`); this is for others.
A decapsulation key is given as the 64 bytes of its seed, the one form that our library takes;
upstream's expanded form (2400 bytes) opens nothing here. Upstream: stp_shield, pallets/shield.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Annotated

from chain.executive import Executive
from chain.extrinsics import decode_extrinsic
from chain.mev import SEED_LENGTH, ShieldedTransaction, open_with_seed, parse
from chain.mev_carrier import carried
from chain.pallets import system
from chain.pallets.mev_shield_store import PendingKey
from chain.runtime.apis import Api
from chain.runtime.runtime import Runtime
from chain.runtime.state import State
from chain.runtime.types import UncheckedExtrinsic
from chain.runtime.validity import InvalidTransaction
from ganglion.hashing import twox_128
from ganglion.scale import DecodeError, Fixed
from ganglion.units import BlockNumber, Hash


def shield_api(runtime: Callable[[], Runtime]) -> Api:
    """The API, on the runtime that the function returns once it exists."""
    api = Api("ShieldApi", 1)

    @cache
    def executive(genesis: Hash) -> Executive:
        return Executive(runtime(), genesis)

    @api.method
    def try_decode_shielded_tx(s: State, uxt: UncheckedExtrinsic) -> ShieldedTransaction | None:
        """The parts of a well signed submit_encrypted's ciphertext."""
        assert isinstance(uxt, bytes)
        try:
            ciphertext = carried(uxt)
            if ciphertext is not None:
                executive(s[system.BlockHash, BlockNumber(0)]).check_signature(s, uxt)
        except (DecodeError, InvalidTransaction):
            return None
        return None if ciphertext is None else parse(ciphertext)

    @api.method
    def is_shielded_using_current_key(s: State, key_hash: Annotated[bytes, Fixed(16)]) -> bool:
        """Whether a ciphertext is for the block to come: its key is the one that waits."""
        key = s[PendingKey]
        return key is not None and twox_128(key) == key_hash

    @api.method
    def try_unshield_tx(
        s: State, dec_key_bytes: bytes, shielded_tx: ShieldedTransaction
    ) -> UncheckedExtrinsic | None:
        """The extrinsic inside, if the key opens it and it is one."""
        if len(dec_key_bytes) != SEED_LENGTH:
            return None
        plaintext = open_with_seed(dec_key_bytes, shielded_tx)
        try:
            decode_extrinsic(plaintext or b"")
        except DecodeError:
            return None
        return plaintext  # type: ignore[return-value]  # kept as bytes, see UncheckedExtrinsic

    return api
