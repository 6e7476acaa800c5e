"""Another node's state as a backend of ours, read over JSON-RPC as it is asked for.

Small items are fetched whole at their first use, large ones value by value. Reads only.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

Ask = Callable[[Sequence[tuple[str, Sequence[Any]]]], list[Any]]
"""The results of several RPC requests, sent together, in their order."""

ITEM = 32
"""Bytes that all keys of one storage item begin with."""

PAGE = 1000
"""Keys that a node lists in one answer; an item with as many counts as large."""

BATCH = 50
"""Values asked for together: nodes in the open refuse large batches."""


class RemoteState:
    """The state after one block, at a node elsewhere; raises what `ask` raises."""

    def __init__(self, ask: Ask, block_hash: str) -> None:
        self._ask, self._at = ask, block_hash
        self._known: dict[bytes, bytes | None] = {}
        self._whole: dict[bytes, list[bytes]] = {}
        self._large: set[bytes] = set()
        self.reads = 0
        """Values fetched so far."""

    def get(self, key: bytes) -> bytes | None:
        """The value under a raw key, or None."""
        if key not in self._known:
            self._meet(key[:ITEM])
            if key not in self._known:
                if key[:ITEM] in self._whole:
                    return None
                self._fetch([key])
        return self._known[key]

    def keys(self, prefix: bytes, start: bytes | None = None) -> Iterator[bytes]:
        """Raw keys under a prefix, ascending, strictly after `start`; their values come along."""
        self._meet(prefix[:ITEM])
        whole = self._whole.get(prefix[:ITEM])
        if whole is not None:
            first = 0 if start is None else bisect_right(whole, start)
            yield from (key for key in whole[first:] if key.startswith(prefix))
            return
        while page := self._page(prefix, start):
            self._fetch([key for key in page if key not in self._known])
            yield from page
            start = page[-1]

    def _meet(self, item: bytes) -> None:
        """At an item's first use, fetch it whole if it is small."""
        if item in self._whole or item in self._large:
            return
        page = self._page(item, None)
        if len(page) >= PAGE:
            self._large.add(item)
            return
        self._fetch(page)
        self._whole[item] = page

    def _page(self, prefix: bytes, after: bytes | None) -> list[bytes]:
        params = [_hex(prefix), PAGE, None if after is None else _hex(after), self._at]
        (found,) = self._ask([("state_getKeysPaged", params)])
        return [bytes.fromhex(key[2:]) for key in found]

    def _fetch(self, keys: list[bytes]) -> None:
        waiting = iter(keys)
        while batch := list(islice(waiting, BATCH)):
            found = self._ask([("state_getStorage", [_hex(key), self._at]) for key in batch])
            for key, value in zip(batch, found, strict=True):
                self._known[key] = None if value is None else bytes.fromhex(value[2:])
            self.reads += len(batch)


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
