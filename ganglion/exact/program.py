"""What a model of the exact class computes, as a chain keeps it: its numbers and its weights' root.

Weights are committed as the engine uses them: rounded to integers of 21 bits times a power of two,
in tiles of whole rows that share an input, so that one tile is all that one step of a dispute
needs. Tiles and root follow from the model's files, so whoever has those can tell whether a
program is the model's; the registered hash of the files is named beside.

The order of tiles: for every layer the rows of queries, keys and values, of the output, of gate and
up, of down; then those of the head; the last norm; and the embedding, a row a tile.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ganglion.exact.arithmetic import WEIGHT_BITS, ceil_log2
from ganglion.exact.ieee import Floats
from ganglion.hashing import blake2_256
from ganglion.scale import codec, u8, u32, u64
from ganglion.wire.receipts import Digest
from ganglion.wire.text import TextRequest

MOST_VALUES = 1 << 17
"""Values that an activation has at most: a megabyte."""
MOST_TILE_BITS = 17
MOST_TILES = 1 << 12
"""Tiles of a matrix, and so about the cells that a step is made from."""
MOST_LAYERS = 1 << 10
MOST_HEAD = 1 << 9
MOST_HIDDEN = 1 << 12
"""Beyond this a normed row times a row of weights may need more than 53 bits."""
MOST_BLOCK = 1 << 17
"""Bytes of the cached positions of one key-value head that are kept together."""
MOST_EXPONENT = 900


class BadTile(ValueError):
    """Bytes that are no tile of the form that a program has at that place."""


@dataclass(frozen=True, slots=True)
class ByteTokens:
    """How a byte-level model's text becomes tokens: a byte is its own, and these are special."""

    bos: u32
    eos: u32
    system: u32
    user: u32
    assistant: u32

    def complete(self, text: str) -> list[int]:
        """The prompt that asks to continue a text."""
        return [self.bos, *text.encode("utf-8", "replace")]

    def chat(self, messages: Sequence[tuple[str, str]]) -> list[int]:
        """The prompt that asks for the assistant's next turn."""
        roles = {"system": self.system, "user": self.user, "assistant": self.assistant}
        prompt = [self.bos]
        for role, content in messages:
            prompt += [roles[role], *content.encode("utf-8", "replace")]
            prompt += [self.eos] if role == "assistant" else []
        return [*prompt, self.assistant]


@dataclass(frozen=True, slots=True)
class Program:
    """A Llama of the exact class. `epsilon` and `theta` are the bits of float64; `tile_bits` says
    that a tile has at most 2**tile_bits values, where a row has no more; `block_bits` that
    2**block_bits positions of a key-value head are kept together; `root` commits to all weights."""

    weights: Digest
    layers: u32
    hidden: u32
    heads: u32
    kv_heads: u32
    head: u32
    inner: u32
    vocab: u32
    context: u32
    epsilon: u64
    theta: u64
    tile_bits: u8
    block_bits: u8
    text: ByteTokens | None
    root: Digest

    def name(self) -> bytes:
        """The hash that names this program."""
        return blake2_256(b"ganglion/program/1" + PROGRAM.encode(self))

    @property
    def group(self) -> int:
        """Query heads that share a key-value head."""
        return self.heads // self.kv_heads

    @property
    def block(self) -> int:
        """Positions of a key-value head that are kept together."""
        return 1 << self.block_bits

    def rows(self, width: int) -> int:
        """Rows of a tile of a matrix so wide."""
        return max(1, (1 << self.tile_bits) // width)

    def prompt_of(self, request: TextRequest) -> tuple[int, ...] | None:
        """The prompt's tokens; None where this program does not know how text becomes tokens."""
        if request.tokens:
            return request.tokens
        if self.text is None:
            return None
        if request.messages:
            return tuple(self.text.chat(request.messages))
        return tuple(self.text.complete(request.prompt or ""))


PROGRAM = codec(Program)


def floats_of(program: Program) -> tuple[float, float]:
    """Epsilon and theta."""
    found: tuple[float, float] = struct.unpack(
        "<2d", struct.pack("<2Q", program.epsilon, program.theta)
    )
    return found


def bits_of(value: float) -> int:
    """The bits of a float64, as programs and cases carry them."""
    return int(struct.unpack("<Q", struct.pack("<d", value))[0])


def cell_bytes(head: int) -> int:
    """What one cached position of a key-value head takes up: its key, its value and a scale."""
    return 8 * (2 * head + 1)


def fault_of(program: Program) -> str | None:
    """Why a program cannot be refereed: numbers that no model has, or steps that are too large."""
    p, (epsilon, theta) = program, floats_of(program)
    sizes = (p.layers, p.hidden, p.heads, p.kv_heads, p.head, p.inner, p.vocab, p.context)
    if min(sizes) < 1 or max(*sizes, p.heads * p.head, 2 * p.inner) > MOST_VALUES:
        return f"its sizes are from 1 to {MOST_VALUES}"
    if p.layers > MOST_LAYERS or p.tile_bits > MOST_TILE_BITS or p.heads % p.kv_heads or p.head % 2:
        return "its layers, tiles or heads are not those of a model"
    if p.head > MOST_HEAD or p.block_bits > 16 or cell_bytes(p.head) << p.block_bits > MOST_BLOCK:
        return "its blocks or its heads are too large"
    if not 0.0 < epsilon <= 1.0 or not 1.0 < theta <= 1e12:
        return "its epsilon or theta is out of range"
    if p.text is not None and max(p.text.bos, p.text.eos, p.text.system, p.text.user,
                                  p.text.assistant, 255) >= p.vocab:  # fmt: skip
        return "its special tokens are none"
    if p.hidden > MOST_HIDDEN or ceil_log2(p.context) > 22:
        return "its rows or its context are too long for exact sums"
    layout = layout_of(p)
    if max(p.kv_heads, *(x.tiles for x in (layout.head, *layout.layer.values()))) > MOST_TILES:
        return "its tiles or its heads are too many"
    return None


@dataclass(frozen=True, slots=True)
class Place:
    """Where the tiles of a matrix [out, width] begin, and how many rows each has."""

    first: int
    out: int
    width: int
    rows: int

    @property
    def tiles(self) -> int:
        """How many there are."""
        return -(-self.out // self.rows)

    def span(self, tile: int) -> tuple[int, int]:
        """The rows of a tile."""
        return tile * self.rows, min((tile + 1) * self.rows, self.out)


MATRICES = ("qkv", "out", "gate_up", "down")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything lies: the matrices of layer 0 by name, the tiles of a layer, the rest."""

    layer: dict[str, Place]
    per_layer: int
    head: Place
    norm: int
    embedding: int
    count: int

    def tile(self, layer: int, name: str, index: int) -> int:
        """The number of a layer's tile."""
        return layer * self.per_layer + self.layer[name].first + index


@lru_cache(64)
def layout_of(program: Program) -> Layout:
    """The places of a program's tiles."""
    p, at, layer = program, 0, {}
    wide = (p.heads + 2 * p.kv_heads) * p.head
    shapes = ((wide, p.hidden), (p.hidden, p.heads * p.head), (2 * p.inner, p.hidden),
              (p.hidden, p.inner))  # fmt: skip
    for name, (out, width) in zip(MATRICES, shapes):
        layer[name] = Place(at, out, width, p.rows(width))
        at += layer[name].tiles
    head = Place(at * p.layers, p.vocab, p.hidden, p.rows(p.hidden))
    norm = head.first + head.tiles
    return Layout(layer, at, head, norm, norm + 1, norm + 1 + p.vocab)


def encode_plain(values: Floats) -> bytes:
    """A tile of values that are not rounded: the norm, or a row of the embedding."""
    return np.ascontiguousarray(values, "<f8").tobytes()


def decode_plain(tile: bytes, size: int) -> Floats:
    """Its values; BadTile unless there are `size` finite ones."""
    if len(tile) != 8 * size:
        raise BadTile(f"a row has {size} values of 8 bytes")
    values = np.frombuffer(tile, "<f8").astype(np.float64)
    if not np.isfinite(values).all():
        raise BadTile("a row holds numbers only")
    return values


def encode_matrix(columns: Floats, place: Place) -> Iterator[bytes]:
    """The tiles of a rounded matrix, given transposed [width, out]."""
    most = float(np.abs(columns).max())
    exponent = int(np.frexp(most)[1]) - WEIGHT_BITS if most else 0
    # what was rounded up to a power of two has its grid one lower than that suggests
    for step in (exponent, exponent - 1):
        whole = np.ldexp(columns, -step)
        if (whole == np.rint(whole)).all():
            break
    head = struct.pack("<h", step)
    for tile in range(place.tiles):
        a, b = place.span(tile)
        yield head + np.ascontiguousarray(whole[:, a:b].T).astype("<i4").tobytes()


def decode_matrix(tile: bytes, rows: int, width: int) -> Floats:
    """The weights [rows, width] of a tile; BadTile unless sums of them are exact."""
    if len(tile) != 2 + 4 * rows * width:
        raise BadTile(f"a tile has {rows} rows of {width} weights of 4 bytes")
    exponent = struct.unpack_from("<h", tile)[0]
    whole = np.frombuffer(tile, "<i4", offset=2).astype(np.float64)
    if abs(exponent) > MOST_EXPONENT or np.abs(whole).max() > 1 << WEIGHT_BITS:
        raise BadTile(f"weights have {WEIGHT_BITS} bits")
    weights: Floats = np.ldexp(whole.reshape(rows, width), exponent)
    return weights
