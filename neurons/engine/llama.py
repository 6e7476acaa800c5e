"""A Llama in numpy, bit for bit the same from the cache, from scratch, alone or in a batch.

It needs nothing but numpy, so a network with real miners runs where torch is not installed.
Every product goes through `ganglion.exact.arithmetic` and `exact_attention.py`; nothing here
depends on which other rows share the pass.

Architecture: `LlamaForCausalLM` (grouped-query attention, rotary positions in halves, SiLU
gate, RMS norms), loaded from the transformers folder format.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ganglion.exact import arithmetic as exact
from ganglion.exact.arithmetic import Matrix, NormedMatrix
from neurons.engine import exact_fused
from neurons.engine.base import (
    PAGE,
    EngineError,
    Floats,
    ModelCard,
    Output,
    Row,
    bfloat16_patterns,
)
from neurons.engine.exact_attention import Cache, Heads, Plan
from neurons.engine.folder import (
    read_json,
    read_model,
    tokenizer_hash,
    weights_hash,
)

NAMES = ("input_layernorm.weight", "post_attention_layernorm.weight")
PROJECTIONS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
               "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shape:
    """The numbers of config.json that the arithmetic needs."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head: int
    context: int
    vocab: int
    epsilon: float
    theta: float
    tied: bool
    stops: frozenset[int]

    @classmethod
    def read(cls, folder: Path) -> Shape:
        """The shape in `folder/config.json`; EngineError for another architecture."""
        config = read_json(folder / "config.json")
        if config.get("model_type") != "llama" or config.get("hidden_act", "silu") != "silu":
            raise EngineError(
                f"{folder} holds a {config.get('model_type')!r} model; the exact engine computes "
                "Llama models only: use --engine hf"
            )
        rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
        if rope.get("rope_type", "default") != "default" or config.get("attention_bias"):
            raise EngineError(f"{folder} scales its positions or has biases: use --engine hf")
        try:
            return cls._of(config, rope)
        except (KeyError, TypeError, ValueError) as e:
            raise EngineError(f"{folder}/config.json lacks or garbles a field: {e}") from e

    @classmethod
    def _of(cls, config: dict[str, Any], rope: dict[str, Any]) -> Shape:
        heads = int(config["num_attention_heads"])
        stops = config.get("eos_token_id")
        return cls(
            layers=int(config["num_hidden_layers"]),
            hidden=int(config["hidden_size"]),
            heads=heads,
            kv_heads=int(config.get("num_key_value_heads") or heads),
            head=int(config.get("head_dim") or int(config["hidden_size"]) // heads),
            context=int(config["max_position_embeddings"]),
            vocab=int(config["vocab_size"]),
            epsilon=float(config["rms_norm_eps"]),
            theta=float(rope.get("rope_theta") or config["rope_theta"]),
            tied=bool(config.get("tie_word_embeddings")),
            stops=frozenset(stops if isinstance(stops, list) else [] if stops is None else [stops]),
        )


@dataclass(frozen=True, slots=True)
class Layer:
    """The weights of one block, with the matrices that share an input laid side by side."""

    qkv: NormedMatrix
    out: Matrix
    gate_up: NormedMatrix
    down: Matrix

    @classmethod
    def of(cls, tensors: Mapping[str, Floats], index: int, epsilon: float) -> Layer:
        at = f"model.layers.{index}."
        q, k, v, o, gate, up, down = (tensors[f"{at}{name}.weight"] for name in PROJECTIONS)
        norm_in, norm_mlp = (tensors[at + name] for name in NAMES)
        return cls(
            NormedMatrix(norm_in, np.concatenate([q, k, v]), epsilon),
            Matrix(o),
            NormedMatrix(norm_mlp, np.concatenate([gate, up]), epsilon),
            Matrix(down),
        )


class ExactBlocks:
    """Some consecutive blocks of a model: all that lies between embedding and final norm."""

    def __init__(
        self, shape: Shape, tensors: Mapping[str, Floats], card: ModelCard,
        blocks: range | None = None,
    ) -> None:  # fmt: skip
        self.shape, self._card = shape, card
        self.blocks = range(shape.layers) if blocks is None else blocks
        self.layers = [Layer.of(tensors, i, shape.epsilon) for i in self.blocks]
        self.heads = Heads(shape.heads, shape.kv_heads, shape.head, shape.context)
        self.cosines, self.sines = exact.rotary_tables(shape.context, shape.head, shape.theta)
        exact.exp_of_steps(np.zeros(1))  # makes its table
        self.fused = exact_fused.BUILT

    @property
    def card(self) -> ModelCard:
        """Names, hashes and sizes of the whole model."""
        return self._card

    def new_cache(self, pages: int) -> Cache:
        """An empty cache of `pages` pages for the blocks that are here."""
        return Cache(len(self.blocks), self.shape.kv_heads, self.shape.head, pages)

    def run(self, cache: Cache, rows: Sequence[Row], x: Floats, first: int, last: int) -> Floats:
        """What blocks [first, last), held here, make of hidden rows x, which may be overwritten.

        Every row's tokens go into the cache; of the result only the kept ones are left, in order.
        Of a row's `tokens` only their number counts.
        """
        counts, keeps = [len(row.tokens) for row in rows], [row.keep for row in rows]
        positions = np.concatenate([np.arange(r.start, r.start + n) for r, n in zip(rows, counts)])
        slots = [np.asarray(r.pages)[np.arange(r.start, r.start + n) // PAGE]
                 for r, n in zip(rows, counts)]  # fmt: skip
        turn = self.cosines[positions, None], self.sines[positions, None]
        where = np.concatenate(slots), positions % PAGE
        plan = Plan(rows, counts)
        for index in range(first - self.blocks.start, last - self.blocks.start):
            query = self._remember(cache, index, x, turn, where)
            # The last block is asked for nothing else.
            if index == last - self.blocks.start - 1 and keeps != counts:
                ends = np.cumsum(counts).tolist()
                kept = np.concatenate([np.arange(e - keep, e) for e, keep in zip(ends, keeps)])
                x, query, plan = x[kept], query[kept], Plan(rows, keeps)
                if not len(x):
                    break
            self._finish(cache, index, x, query, plan)
        return x

    def _remember(
        self, cache: Cache, index: int, x: Floats, turn: tuple[Floats, Floats],
        where: tuple[Any, Any],
    ) -> Floats:  # fmt: skip
        """Store this pass's keys and values; give back its rounded queries [n, heads, head]."""
        layer = self.layers[index]
        if self.fused:
            return exact_fused.remember(self.heads, cache, index, layer.qkv, x, turn, where)
        qkv = layer.qkv.apply(x).reshape(len(x), -1, self.shape.head)
        self.heads.rotate(qkv, turn)
        return self.heads.remember(cache, index, where, qkv)

    def _finish(self, cache: Cache, index: int, x: Floats, query: Floats, plan: Plan) -> None:
        """Add to the rows x what attention and the gated network make of them."""
        layer, heads = self.layers[index], self.heads
        if self.fused:
            mixed = plan.attend(cache, index, query, heads, exact_fused.attend)
            x += exact_fused.product(layer.out, mixed)
            x += exact_fused.feed_forward(layer.gate_up, layer.down, x)
        else:
            x += layer.out.apply(plan.attend(cache, index, query, heads))
            x += layer.down.apply(exact.gated(layer.gate_up.apply(x)))


class ExactEnds:
    """What comes before and after a model's blocks: embedding, final norm and output layer."""

    def __init__(self, shape: Shape, tensors: Mapping[str, Floats], card: ModelCard) -> None:
        self.shape, self._card = shape, card
        self.embedding = tensors["model.embed_tokens.weight"]
        self.norm = tensors["model.norm.weight"]
        self.head = Matrix(self.embedding if shape.tied else tensors["lm_head.weight"])
        self.fused = exact_fused.BUILT

    @property
    def card(self) -> ModelCard:
        """Names, hashes and sizes of this model."""
        return self._card

    def embed(self, tokens: Sequence[int]) -> Floats:
        """The rows [n, hidden] that enter the first block; they are the caller's own."""
        return self.embedding[np.asarray(tokens, np.int64)]

    def outputs(self, x: Floats, keeps: Sequence[int]) -> list[Output]:
        """An output for every row of a pass, of which x holds the kept positions."""
        if not len(x):
            empty = Output(np.empty((0, self.shape.vocab)), np.empty((0, self.shape.hidden), "u2"))
            return [empty for _ in keeps]
        norm, head = exact.rms_norm, self.head.apply
        if self.fused:
            norm, head = exact_fused.rms_norm, partial(exact_fused.product, self.head)
        states = norm(x, self.norm, self.shape.epsilon)
        patterns, logits = bfloat16_patterns(states), head(states)
        ends = np.cumsum(keeps).tolist()
        return [Output(logits[e - k : e], patterns[e - k : e]) for e, k in zip(ends, keeps)]


class ExactLlama(ExactBlocks, ExactEnds):
    """The deterministic engine, made of tensors under their transformers names."""

    def __init__(self, shape: Shape, tensors: Mapping[str, Floats], card: ModelCard) -> None:
        ExactEnds.__init__(self, shape, tensors, card)
        ExactBlocks.__init__(self, shape, tensors, card)

    @classmethod
    def load(cls, folder: Path, name: str) -> ExactLlama:
        """The model in a folder; EngineError if it is not a plain Llama."""
        shape, card = described(folder, name)
        tensors = read_model(folder)
        with complete(folder):
            return cls(shape, tensors, card)

    def forward(self, cache: Cache, rows: Sequence[Row]) -> list[Output]:
        """See `LanguageModel.forward`."""
        x = self.embed([token for row in rows for token in row.tokens])
        first = self.blocks.start
        x = self.run(cache, rows, x, first, first + len(self.layers))
        return self.outputs(x, [row.keep for row in rows])


def described(folder: Path, name: str) -> tuple[Shape, ModelCard]:
    """The sizes and the card of the model in a folder; EngineError if it is not a plain Llama."""
    shape = Shape.read(folder)
    card = ModelCard(
        name, weights_hash(folder), tokenizer_hash(folder), shape.vocab, shape.hidden,
        shape.context, shape.stops, exact=True,
    )  # fmt: skip
    return shape, card


@contextmanager
def complete(folder: Path) -> Iterator[None]:
    """EngineError for a tensor that is looked for in vain."""
    try:
        yield
    except KeyError as e:
        raise EngineError(f"{folder}: the weights lack the tensor {e.args[0]}") from e


def load_blocks(folder: Path, shape: Shape, card: ModelCard, blocks: range) -> ExactBlocks:
    """Some blocks of a `described` folder; no other tensors are read."""
    if not 0 <= blocks.start < blocks.stop <= shape.layers:
        raise EngineError(
            f"{folder} has blocks 0:{shape.layers}, so {blocks.start}:{blocks.stop} is no span"
        )
    heads = tuple(f"model.layers.{i}." for i in blocks)
    tensors = read_model(folder, lambda tensor: tensor.startswith(heads))
    with complete(folder):
        return ExactBlocks(shape, tensors, card, blocks)


def load_ends(folder: Path, shape: Shape, card: ModelCard) -> ExactEnds:
    """Embedding, final norm and output layer of a `described` folder, and nothing else."""
    tensors = read_model(folder, lambda tensor: not tensor.startswith("model.layers."))
    with complete(folder):
        return ExactEnds(shape, tensors, card)
