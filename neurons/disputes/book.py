"""A loaded model as disputes see it: its program and the tiles of its weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ganglion.exact.players import Book
from ganglion.exact.program import (
    MATRICES,
    ByteTokens,
    Layout,
    Program,
    bits_of,
    cell_bytes,
    encode_matrix,
    encode_plain,
    fault_of,
    layout_of,
)
from neurons.engine.base import EngineError, LanguageModel, Tokenizer
from neurons.engine.bytes import ByteTokenizer
from neurons.engine.llama import ExactLlama

TILE_BITS = 15
"""At most 32,768 weights in a tile: 128 KB of the last move."""

BLOCK_BYTES = 1 << 16
"""What the positions of a key-value head that are kept together take up at most."""


def book_of(
    model: LanguageModel,
    tokenizer: Tokenizer | None = None,
    tile_bits: int = TILE_BITS,
    block_bits: int | None = None,
) -> Book:
    """The program of a model of the exact engine, and its tiles in their order.

    The sizes of tiles and blocks are part of the program: all who dispute must have the same.
    EngineError for another engine, or a model that is too large to be refereed.
    """
    if not isinstance(model, ExactLlama):
        raise EngineError("only models of the exact engine can be refereed: use --engine exact")
    text = tokenizer.special if isinstance(tokenizer, ByteTokenizer) else None
    if block_bits is None:
        block_bits = max((BLOCK_BYTES // cell_bytes(model.shape.head)).bit_length() - 1, 0)
    program = replace(_program(model, text), tile_bits=tile_bits, block_bits=block_bits)
    fault = fault_of(program)
    if fault is not None:
        raise EngineError(f"{model.card.name} cannot be refereed: {fault}")
    book = Book(program, tuple(_tiles(model, layout_of(program))))
    return Book(replace(program, root=book.tree.root), book.tiles)


def _program(model: ExactLlama, text: ByteTokens | None) -> Program:
    shape = model.shape
    return Program(
        weights=model.card.weights_hash,
        layers=shape.layers,
        hidden=shape.hidden,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        head=shape.head,
        inner=model.layers[0].down.terms,
        vocab=shape.vocab,
        context=shape.context,
        epsilon=bits_of(shape.epsilon),
        theta=bits_of(shape.theta),
        tile_bits=TILE_BITS,
        block_bits=0,
        text=text,
        root=bytes(32),
    )


def _tiles(model: ExactLlama, layout: Layout) -> Iterator[bytes]:
    for layer in model.layers:
        for name in MATRICES:
            yield from encode_matrix(getattr(layer, name).columns, layout.layer[name])
    yield from encode_matrix(model.head.columns, layout.head)
    yield encode_plain(model.norm)
    for row in model.embedding:
        yield encode_plain(row)
