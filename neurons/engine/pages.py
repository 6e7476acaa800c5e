"""Pages of the key-value cache: who holds which, and which prefixes can be used again. Sans-IO.

A full page is named by the chain hash of its owner and all tokens up to its end, so two prompts
of one owner that begin alike share their pages; nobody can find out by trying, from bills or
from times, what another owner has asked. Pages that nobody holds keep their contents until their
room is needed; the one unused for longest goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b

from neurons.engine.base import PAGE, pages_for


def page_names(tokens: Sequence[int], owner: bytes = b"") -> list[bytes]:
    """The chain hashes of the full pages of an owner's token sequence."""
    names, last = [], owner
    for at in range(0, len(tokens) - PAGE + 1, PAGE):
        words = b"".join(t.to_bytes(4, "little") for t in tokens[at : at + PAGE])
        last = blake2b(last + words, digest_size=16).digest()
        names.append(last)
    return names


class PagePool:
    """Reference-counted pages. Invariant: every page is free, held, or idle with a name."""

    def __init__(self, pages: int) -> None:
        self.size = pages
        self._free = list(range(pages))[::-1]
        self._holders: dict[int, int] = {}
        self._page_of: dict[bytes, int] = {}
        self._name_of: dict[int, bytes] = {}
        self._idle: OrderedDict[int, None] = OrderedDict()
        self.reused = 0

    @property
    def available(self) -> int:
        """Pages that could be handed out now."""
        return len(self._free) + len(self._idle)

    def take_prefix(self, tokens: Sequence[int], owner: bytes = b"") -> list[int]:
        """Hold and return the owner's pages that already contain a prefix of `tokens`.

        The last token is never covered, because its logits have to be computed.
        """
        pages = []
        for name in page_names(tokens[:-1], owner):
            page = self._page_of.get(name)
            if page is None:
                break
            self._hold(page)
            pages.append(page)
        self.reused += len(pages) * PAGE
        return pages

    def take(self, count: int) -> list[int] | None:
        """Hold `count` fresh pages, forgetting idle contents if needed; None without room."""
        if count > self.available:
            return None
        return [self._fresh() for _ in range(count)]

    def give_back(self, pages: Sequence[int], tokens: Sequence[int], owner: bytes = b"") -> None:
        """Let go of a sequence's pages; `tokens` are those whose keys and values are in them."""
        names = page_names(tokens[: len(pages) * PAGE], owner)
        for page, name in zip(pages, names):
            if name not in self._page_of and page not in self._name_of:
                self._page_of[name], self._name_of[page] = page, name
        for page in pages:
            self._holders[page] -= 1
            if not self._holders[page]:
                del self._holders[page]
                if page in self._name_of:
                    self._idle[page] = None
                else:
                    self._free.append(page)

    def _hold(self, page: int) -> None:
        self._holders[page] = self._holders.get(page, 0) + 1
        self._idle.pop(page, None)

    def _fresh(self) -> int:
        if self._free:
            page = self._free.pop()
        else:
            page, _ = self._idle.popitem(last=False)
            del self._page_of[self._name_of.pop(page)]
        self._hold(page)
        return page


def needed(prompt: int, new_tokens: int) -> int:
    """Pages of a whole answer: the last new token is never fed back."""
    return pages_for(prompt + max(new_tokens - 1, 0))
