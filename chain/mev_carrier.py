"""Unpacking encrypted extrinsics as a block's author: `MevShield.submit_encrypted`.

A carrier waits in the pool for the block whose author holds its key (`CurrentKey`). That author
puts the carrier into the block and the extrinsic it carries right behind it, in the clear, so
every importer executes both like any other. An extrinsic that turns out not to be valid stays
out; its carrier has paid its fee by then.
"""

from __future__ import annotations

from chain.executive import Executive
from chain.extrinsics import decode_extrinsic
from chain.mev import KEM_LENGTH, ShieldKeys
from chain.pallets import mev_shield
from chain.pallets.nested import name_of
from chain.runtime.state import State
from chain.runtime.validity import InvalidTransaction
from ganglion.scale import DecodeError

CARRIER = ("MevShield", "submit_encrypted")


class Waits(Exception):
    """A carrier that is for another block, or that this author cannot open."""


def carried(raw: bytes) -> bytes | None:
    """The ciphertext in a signed submit_encrypted; None for all other extrinsics."""
    if len(raw) < KEM_LENGTH or bytes((mev_shield.pallet.index,)) not in raw:
        return None
    extrinsic = decode_extrinsic(raw)
    if extrinsic.signature is None or name_of(extrinsic.call) != CARRIER:
        return None
    ciphertext: bytes = extrinsic.call.args[0]
    return ciphertext


def unpack(s: State, raw: bytes, keys: ShieldKeys | None) -> bytes | None:
    """What a pool transaction carries; None when it is no carrier. Raises Waits.

    `s` must have this block's announcement behind it.
    """
    ciphertext = carried(raw)
    if ciphertext is None:
        return None
    if keys is None or not mev_shield.is_for_this_block(s, ciphertext):
        raise Waits
    inner = keys.open(ciphertext)
    if inner is None:
        raise Waits
    return inner


def apply_inner(executive: Executive, s: State, inner: bytes) -> bool:
    """Run what was carried; False when it may not be in the block (nothing is written)."""
    try:
        if decode_extrinsic(inner).signature is None:
            return False
        executive.apply_extrinsic(s, inner)
    except (DecodeError, InvalidTransaction):
        return False
    return True
