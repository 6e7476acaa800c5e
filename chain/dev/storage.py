"""Storage by name: `{"System": {"Account": [[["5Grw.."], {"data": {"free": 1}}]]}}`.

The forms are Chopsticks': a plain item takes its value; a map takes a list of
`[[key, ...], value]`; null deletes; `"$removePrefix": ["Item", ...]` empties maps first. The
other form is a list of raw `[key, value or null]` pairs.
"""

from __future__ import annotations

from typing import Any

from chain.dev.values import BadValue, from_json, to_json
from chain.runtime.runtime import Runtime
from chain.runtime.state import State, clear_prefix
from chain.runtime.storage import Item
from ganglion.scale import DecodeError

REMOVE = "$removePrefix"


def set_storage(s: State, runtime: Runtime, values: Any) -> None:
    """Write values given by name or as raw pairs. Raises BadValue before or after any write."""
    if isinstance(values, list):
        for pair in values:
            _set_pair(s, pair)
        return
    if not isinstance(values, dict):
        raise BadValue("expected an object by pallet and item, or a list of raw pairs")
    for pallet_name, items in values.items():
        pallet = runtime.by_name.get(pallet_name)
        if pallet is None or not isinstance(items, dict):
            raise BadValue(f"no pallet {pallet_name!r}; there are {', '.join(runtime.by_name)}")
        for name in items.get(REMOVE, ()):
            clear_prefix(s, find_item(runtime, pallet_name, name))
        for name, value in items.items():
            if name != REMOVE:
                _set_item(s, find_item(runtime, pallet_name, name), value)


def find_item(runtime: Runtime, pallet: str, name: Any) -> Item:
    """A storage item by names; raises BadValue."""
    found = runtime.by_name.get(pallet)
    item = None if found is None or not isinstance(name, str) else found.items.get(name)
    if item is None:
        raise BadValue(f"no storage item {pallet}.{name}")
    return item


def _set_pair(s: State, pair: Any) -> None:
    if not isinstance(pair, list) or len(pair) != 2:
        raise BadValue('a raw pair is ["0x<key>", "0x<value>" or null]')
    key, value = from_json(bytes, pair[0]), from_json(bytes | None, pair[1])
    try:
        s.write_raw(key, value)
    except DecodeError as error:
        raise BadValue(str(error)) from None


def _set_item(s: State, item: Item, value: Any) -> None:
    if not item.hashers:
        _write(s, item, item, value)
        return
    if not isinstance(value, list):
        raise BadValue(f"{item!r} is a map: give a list of [[key, ...], value]")
    for entry in value:
        if not isinstance(entry, list) or len(entry) != 2 or not isinstance(entry[0], list):
            raise BadValue(f"{item!r} is a map: each entry is [[key, ...], value]")
        keys, new = entry
        if len(keys) != len(item.key_types):
            raise BadValue(f"{item!r} takes {len(item.key_types)} keys, not {len(keys)}")
        try:
            parsed = [from_json(t, k) for t, k in zip(item.key_types, keys, strict=True)]
        except BadValue as error:
            raise BadValue(f"{item!r}, key: {error}") from None
        _write(s, item, (item, *parsed), new)


def _write(s: State, item: Item, ref: Any, value: Any) -> None:
    if value is None:
        del s[ref]
        return
    try:
        s[ref] = from_json(item.value_type, value, s[ref])
    except BadValue as error:
        raise BadValue(f"{item!r}: {error}") from None


def describe(runtime: Runtime, key: bytes, value: bytes | None) -> dict[str, Any]:
    """A raw entry with its names and decoded value where the runtime declares it."""
    entry: dict[str, Any] = {
        "key": "0x" + key.hex(),
        "value": None if value is None else "0x" + value.hex(),
    }
    item = runtime.by_prefix.get(key[:32])
    if item is None:
        return entry
    entry["item"] = f"{item.pallet}.{item.name}"
    try:
        ref = item.ref_of(key)
        entry["keys"] = to_json(list(ref[1:])) if isinstance(ref, tuple) else []
        entry["decoded"] = None if value is None else to_json(item.codec.decode(value))
    except DecodeError:
        pass  # a hasher that cannot be read back: the raw form says it all
    return entry
