"""A model in parts: blocks that one machine can hold, and the two ends around them.

`open_parts` reads sizes and hashes alone; blocks and ends are loaded when they are asked for, and
then nothing else is. All files of the model must lie on the disk, since its hash names them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ganglion.wire.spans import Kind, Values
from neurons.engine.base import EngineError, ModelCard, Output, Row, Tokenizer, pages_for
from neurons.engine.bytes import ByteTokenizer
from neurons.engine.llama import described, load_blocks, load_ends
from neurons.engine.load import resolve


class Blocks(Protocol):
    """Some consecutive blocks; not safe for concurrent calls."""

    @property
    def blocks(self) -> range: ...

    def new_cache(self, pages: int) -> Any:
        """Room for `pages` pages of these blocks' keys and values."""
        ...

    def run(self, cache: Any, rows: Sequence[Row], x: Values, first: int, last: int) -> Values:
        """What blocks [first, last) make of rows x, of which only the kept ones are left."""
        ...


class Ends(Protocol):
    """Embedding in front, final norm and output layer behind."""

    def embed(self, tokens: Sequence[int]) -> Values:
        """The rows that enter block 0."""
        ...

    def outputs(self, x: Values, keeps: Sequence[int]) -> list[Output]:
        """An output a row of a pass; x holds the kept positions of all."""
        ...


class Parts(Protocol):
    """A model that is on the disk, whole."""

    @property
    def card(self) -> ModelCard: ...

    @property
    def layers(self) -> int: ...

    @property
    def kind(self) -> Kind: ...

    def load_blocks(self, blocks: range) -> Blocks:
        """Blocks of this model; EngineError if it has no such."""
        ...

    def load_ends(self) -> Ends:
        """Its two ends."""
        ...


class ExactParts:
    """The parts of a model of the exact class."""

    kind = Kind.FLOAT64

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.shape, self.card = described(folder, name)
        self.layers = self.shape.layers

    def load_blocks(self, blocks: range) -> Blocks:
        """See `Parts`."""
        return load_blocks(self.folder, self.shape, self.card, blocks)

    def load_ends(self) -> Ends:
        """See `Parts`."""
        return load_ends(self.folder, self.shape, self.card)


def open_parts(kind: str, name: str) -> tuple[Parts, Tokenizer, Path]:
    """A model in parts, its tokenizer, its folder; EngineError says what is missing."""
    public, folder = resolve(name)
    if kind == "exact":
        if folder is None:
            raise EngineError(f"{name} is no folder here; the exact engine needs a local Llama")
        return ExactParts(folder, public), ByteTokenizer(folder), folder
    if kind == "hf":
        try:
            from neurons.engine.hf import load_tokenizer
            from neurons.engine.hf_parts import HfParts
        except ImportError as e:
            raise EngineError(f"the hf engine needs {e.name}: pip install 'ganglion[miner]'") from e
        tokenizer, folder = load_tokenizer(public, folder)
        return HfParts(folder, public), tokenizer, folder
    raise EngineError(f"the engine {kind!r} does not run in parts: use --engine exact or hf")


def run_once(blocks: Blocks, x: Values) -> Values:
    """What all of some blocks make of one sequence from its start; every row is kept."""
    pages = pages_for(len(x))
    row = Row(range(len(x)), 0, range(pages), len(x))
    span = blocks.blocks
    return blocks.run(blocks.new_cache(pages), [row], np.array(x), span.start, span.stop)
