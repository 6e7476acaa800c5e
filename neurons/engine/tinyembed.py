"""Sentence vectors from a causal model's own states: the embedder that needs nothing but numpy.

A text's vector is the mean of the final hidden states of its tokens, scaled to unit length. With
the exact engine the vectors are the same bits everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, sqrt

import numpy as np

from ganglion.exact.ieee import Floats
from neurons.engine.base import LanguageModel, ModelCard, Tokenizer, prefill


class MeanEmbedder:
    """An Embedder over any language model; texts longer than its context are cut."""

    def __init__(self, model: LanguageModel, tokenizer: Tokenizer) -> None:
        self._model, self._tokenizer = model, tokenizer

    @property
    def card(self) -> ModelCard:
        """The card of the model below."""
        return self._model.card

    def _tokens(self, text: str) -> list[int]:
        return self._tokenizer.complete(text)[: self.card.context]

    def count(self, text: str) -> int:
        """Tokens that `text` is billed for."""
        return len(self._tokens(text))

    def embed(self, texts: Sequence[str]) -> Floats:
        """One unit-length row a text."""
        return np.stack([self._embed(self._tokens(text)) for text in texts])

    def _embed(self, tokens: list[int]) -> Floats:
        patterns = prefill(self._model, tokens, len(tokens)).states
        states = (patterns.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
        # fsum rounds once, whatever the order, so the mean is the same on every machine
        mean = np.array([fsum(column) for column in states.T.tolist()]) / len(tokens)
        length = sqrt(fsum((mean * mean).tolist())) or 1.0
        unit: Floats = mean / length
        return unit
