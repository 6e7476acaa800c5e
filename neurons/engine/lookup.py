"""Guessing what comes next from what was said before. Sans-IO.

Texts repeat themselves: names, code, quotations of the prompt. When the last few tokens occurred
earlier, what followed them then is guessed to follow again. A guess is checked by the model in the
same pass that continues the text, so it can cost time and never change a token.
"""

from __future__ import annotations

from collections.abc import Sequence

LENGTHS = (8, 5, 3)  # of the endings that are looked up, the longest first
FIRST, LONGEST = 4, 16  # tokens guessed at a time
LONGEST_REST = 64


class Lookup:
    """The repetitions of one sequence. Guesses grow while they are right and pause while wrong."""

    def __init__(self) -> None:
        self._next: list[dict[tuple[int, ...], int]] = [{} for _ in LENGTHS]
        self._read = 1
        self._size, self._misses, self._rest_until = FIRST, 0, 0

    def guess(self, known: Sequence[int], most: int) -> list[int]:
        """Up to `most` tokens that may follow `known`, which only ever grows."""
        end = len(known)
        for at in range(self._read, end):
            for length, following in zip(LENGTHS, self._next):
                if at >= length:
                    following[tuple(known[at - length : at])] = at
        self._read = max(self._read, end)
        if end < self._rest_until:
            return []
        for length, following in zip(LENGTHS, self._next):
            found = following.get(tuple(known[end - length : end])) if end >= length else None
            if found is not None:
                return list(known[found : found + min(self._size, most)])
        return []

    def learn(self, known: int, guessed: int, right: int) -> None:
        """Of `guessed` tokens the first `right` were; the sequence has `known` tokens now."""
        if right:
            self._misses = 0
            self._size = min(2 * self._size, LONGEST) if right == guessed else max(right, FIRST)
        else:
            self._misses += 1
            self._rest_until = known + min(1 << self._misses, LONGEST_REST)
