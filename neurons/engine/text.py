"""Tokens to text as they stream, without ever sending half a character."""

from __future__ import annotations

from collections.abc import Sequence

from neurons.engine.base import Tokenizer
from subnets.textgen.judge import settled


class TextStream:
    """Feed tokens, get the text they settle; the pieces add up to `decode` of all tokens.

    `before` are tokens whose settled text was delivered already, perhaps by another miner.
    """

    def __init__(self, tokenizer: Tokenizer, before: Sequence[int] = ()) -> None:
        self._tokenizer = tokenizer
        self._tokens = list(before)
        self._sent = len(settled(tokenizer.decode(self._tokens))) if before else 0

    def push(self, token: int) -> str:
        """The new text that can no longer change."""
        self._tokens.append(token)
        text = settled(self._tokenizer.decode(self._tokens))
        new, self._sent = text[self._sent :], max(self._sent, len(text))
        return new

    def finish(self) -> str:
        """What was held back."""
        whole = self._tokenizer.decode(self._tokens)
        new, self._sent = whole[self._sent :], len(whole)
        return new
