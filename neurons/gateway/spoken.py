"""The text of an answer as it grows, and how far it had come after each token.

A long answer is a hundred thousand characters; whoever copied it at every token would spend most
of its time on that. Here a token costs what its own text costs.
"""

from __future__ import annotations

from bisect import bisect_right


class Spoken:
    """Pieces of text by token count. `ends` are characters after 0, 1, 2, ... tokens.

    `resumable` is the number of tokens before the newest piece: where that begins is known, while
    nobody knows which of its characters belong to which of its tokens.
    """

    __slots__ = ("_begins", "_pieces", "ends", "resumable")

    def __init__(self) -> None:
        self.ends = [0]
        self.resumable = 0
        self._pieces: list[str] = []
        self._begins: list[int] = []

    @property
    def length(self) -> int:
        """Characters so far."""
        return self.ends[-1]

    def add(self, tokens: int, piece: str) -> None:
        """Text that came with so many tokens; it counts to each of them."""
        begin = self.ends[-1]
        if piece:
            self._begins.append(begin)
            self._pieces.append(piece)
            if not tokens:
                self.ends[-1] = begin + len(piece)
        if tokens:
            self.resumable = len(self.ends) - 1
        self.ends += [begin + len(piece)] * tokens

    def cut(self, begin: int, end: int) -> str:
        """The characters from `begin` up to `end`."""
        if begin >= end:
            return ""
        first = max(bisect_right(self._begins, begin) - 1, 0)
        last = bisect_right(self._begins, end - 1)
        text = "".join(self._pieces[first:last])
        offset = self._begins[first] if self._begins else 0
        return text[begin - offset : end - offset]

    def whole(self) -> str:
        """All of it."""
        return "".join(self._pieces)
