"""Tokens to text as they stream, without ever sending half a character."""

from __future__ import annotations

from neurons.engine.base import Tokenizer

BROKEN = "\ufffd"


class TextStream:
    """Feed tokens, get the text they settle; the pieces add up to `decode` of all tokens."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._tokens: list[int] = []
        self._sent = 0

    def push(self, token: int) -> str:
        """The new text that can no longer change."""
        self._tokens.append(token)
        settled = self._tokenizer.decode(self._tokens).rstrip(BROKEN)
        new, self._sent = settled[self._sent :], max(self._sent, len(settled))
        return new

    def finish(self) -> str:
        """What was held back."""
        whole = self._tokenizer.decode(self._tokens)
        new, self._sent = whole[self._sent :], len(whole)
        return new
