"""The chain's own number and byte types.

They are NewTypes: free at run time, checked by mypy, and erased by arithmetic on purpose, so
that wrapping a result again marks where a unit is asserted. The SCALE form of each is its
primitive (the flat profile: seven upstream one-field composites appear as primitives).
"""

from __future__ import annotations

from typing import NewType

from ganglion.scale import H256, alias_codec, i64, i128, u8, u16, u32, u64, u128

AccountId = NewType("AccountId", bytes)
"""32-byte public key or derived account."""
Hash = NewType("Hash", bytes)
"""32-byte blake2b."""
Rao = NewType("Rao", int)
"""10^-9 TAO (upstream: TaoBalance)."""
Alpha = NewType("Alpha", int)
"""10^-9 of a subnet's own token (upstream: AlphaBalance)."""
NetUid = NewType("NetUid", int)
"""A subnet's number; 0 is root."""
MechId = NewType("MechId", int)
"""A mechanism (sub-subnet) within a subnet."""
NetUidStorageIndex = NewType("NetUidStorageIndex", int)
"""`mecid * 4096 + netuid`: the key of per-mechanism maps."""
Uid = NewType("Uid", int)
"""A neuron's slot in its subnet."""
PerU16 = NewType("PerU16", int)
"""A share in units of 1/65535."""
Percent = NewType("Percent", int)
"""A share in units of 1/100."""
BlockNumber = NewType("BlockNumber", int)
Moment = NewType("Moment", int)
"""Milliseconds since 1970."""
Nonce = NewType("Nonce", int)
U64F64 = NewType("U64F64", int)
"""Raw bits of an unsigned 64.64 fixed-point number."""
I64F64 = NewType("I64F64", int)
"""Raw bits of a signed 64.64 fixed-point number."""
I96F32 = NewType("I96F32", int)
"""Raw bits of a signed 96.32 fixed-point number."""
U96F32 = NewType("U96F32", int)
"""Raw bits of an unsigned 96.32 fixed-point number."""
I32F32 = NewType("I32F32", int)
"""Raw bits of a signed 32.32 fixed-point number."""

RAO_PER_TAO = 1_000_000_000
ROOT_NETUID = NetUid(0)

for _name, _target in (
    (AccountId, H256),
    (Hash, H256),
    (Rao, u64),
    (Alpha, u64),
    (NetUid, u16),
    (MechId, u8),
    (NetUidStorageIndex, u16),
    (Uid, u16),
    (PerU16, u16),
    (Percent, u8),
    (BlockNumber, u32),
    (Moment, u64),
    (Nonce, u32),
    (U64F64, u128),
    (U96F32, u128),
    (I64F64, i128),
    (I96F32, i128),
    (I32F32, i64),
):
    alias_codec(_name, _target)
