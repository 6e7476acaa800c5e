"""What every engine offers: one ragged forward pass over a paged cache.

Prefill, decoding and a validator's check are the same operation: append tokens to sequences
whose keys and values lie in pages, and return, for the last `keep` of them, the next-token
logits and the final hidden state. Schedulers, samplers and judges are built on that alone and
never learn which engine runs below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ganglion.exact.ieee import Floats as Floats
from subnets.proofs.sampling import Sampling, margins

Patterns = npt.NDArray[np.uint16]

KINDS = ("exact", "hf", "hf-fixed")
"""The kinds of engine that a command line can name; see `load.py`."""

PAGE = 16
"""Positions that share one page of the cache."""


class EngineError(Exception):
    """An engine cannot be loaded or cannot serve a request; the message says why."""


class Unavailable(EngineError):
    """The engine cannot work now, and may be able to soon: not the request's fault."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model is: names, hashes and sizes that requests, receipts and judges refer to.

    `exact` marks the deterministic class: the same tokens give the same bits on every machine,
    in every batch, from the cache or from scratch.
    """

    name: str
    weights_hash: bytes
    tokenizer_hash: bytes
    vocab: int
    hidden: int
    context: int
    stops: frozenset[int]
    exact: bool


# Draws, rows and outputs are made for every token of every sequence: a frozen dataclass takes
# twice as long to make, so these are only by custom never changed.


@dataclass(slots=True)
class Draw:
    """How the tokens after the kept ones are drawn; the first has output position `position`."""

    sampling: Sampling
    position: int


@dataclass(frozen=True, slots=True)
class Claim:
    """Tokens that are said to follow the kept ones, the first at output position `position`."""

    sampling: Sampling
    position: int
    tokens: Sequence[int]


@dataclass(slots=True)
class Row:
    """Tokens to append to one sequence: `start` positions are already cached in `pages`.

    `pages` must have room for `start + len(tokens)` positions. `keep` counts the trailing
    tokens whose logits and states are wanted. With `draw` an engine may draw the next tokens
    itself, as `subnets.proofs.sampling.choose` does, instead of handing out logits; with
    `claim`, it may say by how much the claimed tokens miss, as `margins` there does.
    """

    tokens: Sequence[int]
    start: int
    pages: Sequence[int]
    keep: int = 1
    draw: Draw | None = None
    claim: Claim | None = None


@dataclass(slots=True)
class Output:
    """`logits` is float64 [keep, vocab]; `states` holds bfloat16 patterns [keep, hidden].

    An engine that drew the tokens itself gives those, [keep], and no logits; so does one that
    worked out the `margins` [keep] of a claim.
    """

    logits: Floats
    states: Patterns
    tokens: Sequence[int] | None = None
    margins: Floats | None = None


class LanguageModel(Protocol):
    """A causal language model behind a paged cache; not safe for concurrent calls."""

    @property
    def card(self) -> ModelCard: ...

    def new_cache(self, pages: int) -> Any:
        """Room for `pages * PAGE` positions, in whatever form this engine likes."""
        ...

    def forward(self, cache: Any, rows: Sequence[Row]) -> list[Output]:
        """Append every row's tokens to its sequence; one output a row, in order."""
        ...


class Tokenizer(Protocol):
    """Text to token ids and back."""

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text; text that spells a special token stays plain."""
        ...

    def complete(self, text: str) -> list[int]:
        """The prompt that asks to continue the text, opened the way the model was trained."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of tokens; special tokens vanish, broken UTF-8 becomes U+FFFD."""
        ...

    def chat(self, messages: Sequence[tuple[str, str]]) -> list[int]:
        """The prompt for (role, content) turns that asks for the assistant's next turn."""
        ...


class Embedder(Protocol):
    """Texts to unit vectors."""

    @property
    def card(self) -> ModelCard: ...

    def embed(self, texts: Sequence[str]) -> Floats:
        """One unit-length row a text."""
        ...

    def count(self, text: str) -> int:
        """Tokens that `text` is billed for."""
        ...


def pages_for(positions: int) -> int:
    """Pages that hold `positions` positions."""
    return -(-positions // PAGE)


def prefill(
    model: LanguageModel, tokens: Sequence[int], keep: int, claim: Claim | None = None
) -> Output:
    """One forward pass over `tokens` in a cache of its own; what a verifier needs."""
    cache = model.new_cache(pages_for(len(tokens)))
    row = Row(tokens, 0, range(pages_for(len(tokens))), keep, claim=claim)
    return model.forward(cache, [row])[0]


def missed(output: Output, claim: Claim) -> Floats:
    """By how much the claimed tokens miss, by the engine itself or from its logits."""
    if output.margins is not None:
        return output.margins
    return margins(output.logits, claim.tokens, claim.sampling, claim.position)


def bfloat16_patterns(values: npt.NDArray[Any]) -> Patterns:
    """The bfloat16 bit patterns nearest to `values`, ties to even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
