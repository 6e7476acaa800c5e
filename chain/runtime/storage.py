"""Storage declarations: `Tempo: Map[Identity[NetUid], u16] = storage(default=10)`.

A declaration knows its key layout (pallet and item prefix, one hasher a key), its value codec
and its default, and is itself the first part of a reference into `State`: `s[Tempo, netuid]`.
`T | None` as the value type means OptionQuery (absent reads as None); otherwise ValueQuery
(absent reads as the default).
"""

from __future__ import annotations

import types
from itertools import islice
from typing import Annotated, Any, Generic, TypeVar, TypeVarTuple, Union, get_args, get_origin

from ganglion import hashing
from ganglion.hashing import Hasher
from ganglion.scale import Codec, DecodeError, codec

Ks = TypeVarTuple("Ks")
V = TypeVar("V")
T = TypeVar("T")

Identity = Annotated[T, hashing.IDENTITY]
Twox = Annotated[T, hashing.TWOX_64_CONCAT]
Blake2 = Annotated[T, hashing.BLAKE2_128_CONCAT]

_KEY_CACHE = 1 << 16

ITEMS: dict[bytes, Item] = {}
"""Every sealed declaration by its 32-byte prefix; constant once the pallets are imported."""


class Item:
    """What `Value` and `Map` share. Filled in when the pallet is sealed."""

    __slots__ = (
        "_hash_keys",
        "_keys",
        "absent_value",
        "codec",
        "default",
        "hashers",
        "key_codecs",
        "key_types",
        "name",
        "optional",
        "pallet",
        "prefix",
        "value_type",
    )

    pallet: str
    name: str
    prefix: bytes
    codec: Codec[Any]
    optional: bool
    value_type: Any
    key_types: tuple[Any, ...]
    hashers: tuple[Hasher, ...]
    key_codecs: tuple[Codec[Any], ...]

    def __init__(self, default: Any = None) -> None:
        self.default = default

    def bind(self, pallet: str, name: str, args: tuple[Any, ...]) -> None:
        """Work out prefix, hashers and codecs; a default of the wrong type fails here."""
        *keys, value = args
        self.pallet, self.name = pallet, name
        self.prefix = hashing.twox_128(pallet.encode()) + hashing.twox_128(name.encode())
        self.optional = get_origin(value) in (Union, types.UnionType) and type(None) in get_args(
            value
        )
        if self.optional:
            value = next(a for a in get_args(value) if a is not type(None))
        self.value_type, self.codec = value, codec(value)
        self.hashers = tuple(
            next(m for m in get_args(k)[1:] if isinstance(m, Hasher)) for k in keys
        )
        self.key_types = tuple(_without_hasher(k) for k in keys)
        self.key_codecs = tuple(codec(k) for k in self.key_types)
        self._hash_keys = tuple(
            (h.hash, c.encode) for h, c in zip(self.hashers, self.key_codecs, strict=True)
        )
        self._keys: dict[Any, bytes] = {}
        if not self.optional:
            self.codec.encode(self.default)

    def key_of(self, ref: Any) -> bytes:
        """The raw storage key of a reference: the item itself, or `(item, *keys)`."""
        if type(ref) is not tuple:
            return self.prefix
        key = self._keys.get(ref)
        if key is None:
            if len(ref) != len(self._hash_keys) + 1:
                raise TypeError(f"{self!r} takes {len(self._hash_keys)} keys, not {len(ref) - 1}")
            key = self.prefix_of(*ref[1:])
            if len(self._keys) >= _KEY_CACHE:
                for old in list(islice(self._keys, _KEY_CACHE // 4)):
                    del self._keys[old]
            self._keys[ref] = key
        return key

    def prefix_of(self, *keys: Any) -> bytes:
        """The raw key prefix shared by all entries under the first few keys."""
        out = self.prefix
        for (hash_, encode), key in zip(self._hash_keys, keys, strict=False):
            out += hash_(encode(key))
        return out

    def ref_of(self, raw: bytes) -> Any:
        """The reference of a raw key of this item; DecodeError when it is none."""
        if not self.hashers:
            if raw != self.prefix:
                raise DecodeError(f"{self!r}: a plain value has no longer keys")
            return self
        keys, at = [], len(self.prefix)
        for hasher, key_codec in zip(self.hashers, self.key_codecs, strict=True):
            if not hasher.reversible:
                raise DecodeError(f"{self!r}: keys under {hasher.name} cannot be read back")
            start = at + hasher.prefix
            key, end = key_codec.read(raw, start)
            if hasher.hash(raw[start:end]) != raw[at:end]:
                raise DecodeError(f"{self!r}: the key's hash does not match the key")
            keys.append(key)
            at = end
        if at != len(raw):
            raise DecodeError(f"{self!r}: {len(raw) - at} bytes too many in the key")
        return (self, *keys)

    def __repr__(self) -> str:
        return f"{self.pallet}.{self.name}" if hasattr(self, "name") else "unsealed storage"


class Value(Item, Generic[V]):
    """A single value: `s[Number]`."""

    __slots__ = ()


class Map(Item, Generic[*Ks, V]):
    """A map of one or more keys: `s[Uids, netuid, hotkey]`."""

    __slots__ = ()


def storage(default: Any = None) -> Any:
    """Declare a storage item; the annotation beside it says Value or Map and its types."""
    return Item(default)


def seal_item(item: Item, pallet: str, name: str, annotation: Any) -> None:
    """Bind a declaration to its pallet, in place so that earlier imports stay valid."""
    item.__class__ = get_origin(annotation)
    item.bind(pallet, name, get_args(annotation))
    ITEMS[item.prefix] = item


def _without_hasher(key: Any) -> Any:
    inner, *marks = get_args(key)
    rest = [m for m in marks if not isinstance(m, Hasher)]
    for mark in rest:
        inner = Annotated[inner, mark]
    return inner
