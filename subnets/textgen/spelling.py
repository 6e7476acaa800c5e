"""What tokens spell, one after the other: the rule for the text of a streamed answer.

A token's text is what the decoder says of it behind the few tokens before it, so it costs the same
at the end of a long answer as at its start, and miner and judge, who both go by this rule, agree
for any tokenizer. Half characters are held back until they are whole. For tokenizers that decode
byte by byte or word by word this is `decode` of all tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

BROKEN = "\ufffd"
LONGEST = 64
"""Tokens that are held back at most; no character has so many."""

RECALLED = 4 * LONGEST
"""Tokens of an earlier part that are looked at: what comes hangs on the last few, and whoever
resumes a long answer should not spell all of it again."""

Decode = Callable[[list[int]], str]


class Speller:
    """Feed tokens, get the text they settle. `before` were spelt already, perhaps by another."""

    def __init__(self, decode: Decode, before: Sequence[int] = ()) -> None:
        self._decode = decode
        self._window: list[int] = []  # the tokens that settled last, and those after them
        self._behind = 0  # how many of them are settled
        self._sent = 0  # characters of the window's text that were handed out
        for token in before[-RECALLED:]:
            self.push(token)

    def push(self, token: int) -> str:
        """The new text that can no longer change."""
        self._window.append(token)
        text = self._decode(self._window)
        whole = text.rstrip(BROKEN)
        if len(whole) == len(text) or len(self._window) - self._behind >= LONGEST:
            new = text[self._sent :]
            self._window = self._window[self._behind :]
            self._behind = len(self._window)
            self._sent = len(self._decode(self._window))
            return new
        new, self._sent = whole[self._sent :], max(self._sent, len(whole))
        return new

    @property
    def held(self) -> str:
        """What is held back."""
        return self._decode(self._window)[self._sent :]


def spell(decode: Decode, tokens: Sequence[int], before: Sequence[int] = ()) -> str:
    """All text of an answer's tokens, behind those that were spelt before."""
    speller = Speller(decode, before)
    return "".join([speller.push(token) for token in tokens]) + speller.held


class StopWatch:
    """Tells when the text of an answer holds one of the stop strings. Feed all tokens, in order.

    `before` is a part that was judged already: only its end counts, which may begin a stop string.
    """

    def __init__(self, stops: Sequence[str], decode: Decode, before: Sequence[int] = ()) -> None:
        self._stops, self._speller = stops, Speller(decode)
        self._keep = max(map(len, stops), default=0)
        self._tail, self.found = "", False
        for token in before[-RECALLED:]:
            self.push(token)

    def push(self, token: int) -> bool:
        """Whether one has come by now."""
        if self._stops and not self.found:
            self._tail = self._tail[-self._keep :] + self._speller.push(token)
            text = self._tail + self._speller.held
            self.found = any(stop in text for stop in self._stops)
        return self.found
