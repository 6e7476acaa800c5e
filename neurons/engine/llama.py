"""A Llama in numpy, bit for bit the same from the cache, from scratch, alone or in a batch.

It needs nothing but numpy, so a network with real miners runs where torch is not installed.
Keys and values are cached as the integers they were rounded to. Every product goes through
`exact.py`; nothing here depends on which other rows share the pass.

Architecture: `LlamaForCausalLM` (grouped-query attention, rotary positions in halves, SiLU
gate, RMS norms), loaded from the transformers folder format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neurons.engine import exact
from neurons.engine.base import (
    PAGE,
    EngineError,
    Floats,
    ModelCard,
    Output,
    Row,
    bfloat16_patterns,
    pages_for,
)
from neurons.engine.exact import Matrix, quantise
from neurons.engine.folder import (
    read_json,
    read_model,
    tokenizer_hash,
    weights_hash,
)

KEY_BITS = 20
BLOCK = 64  # queries that attend together
NEVER = -1e300  # a score that has no weight
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

    norm_in: Floats
    norm_mlp: Floats
    qkv: Matrix
    out: Matrix
    gate_up: Matrix
    down: Matrix

    @classmethod
    def of(cls, tensors: Mapping[str, Floats], index: int) -> Layer:
        at = f"model.layers.{index}."
        q, k, v, o, gate, up, down = (tensors[f"{at}{name}.weight"] for name in PROJECTIONS)
        return cls(
            tensors[at + NAMES[0]],
            tensors[at + NAMES[1]],
            Matrix(np.concatenate([q, k, v])),
            Matrix(o),
            Matrix(np.concatenate([gate, up])),
            Matrix(down),
        )


class Cache:
    """Pages of rounded keys and values: integers [layer, kv_head, page, PAGE, head] and scales."""

    def __init__(self, shape: Shape, pages: int) -> None:
        room = (shape.layers, shape.kv_heads, pages, PAGE)
        self.keys, self.values = np.zeros((2, *room, shape.head))
        self.key_scales, self.value_scales = np.zeros((2, *room))
        self.parts = (self.keys, self.values, self.key_scales, self.value_scales)


class Crowd:
    """Rows of one token each: their places in the pass, pages [rows, pages] and what is padding."""

    def __init__(self, rows: Sequence[Row], places: Sequence[int]) -> None:
        self.places = np.asarray(places, np.int64)
        lengths = [row.start + 1 for row in rows]
        longest = pages_for(max(lengths, default=0))
        self.pages = np.zeros((len(rows), longest), np.int64)
        for table, row, length in zip(self.pages, rows, lengths):
            used = pages_for(length)
            table[:used] = row.pages[:used]
        self.absent = np.arange(longest * PAGE) >= np.array(lengths, np.int64)[:, None]


class ExactLlama:
    """The deterministic engine, made of tensors under their transformers names."""

    def __init__(self, shape: Shape, tensors: Mapping[str, Floats], card: ModelCard) -> None:
        self.shape, self._card = shape, card
        self.embedding = tensors["model.embed_tokens.weight"]
        self.layers = [Layer.of(tensors, i) for i in range(shape.layers)]
        self.norm = tensors["model.norm.weight"]
        self.head = Matrix(self.embedding if shape.tied else tensors["lm_head.weight"])
        self.cosines, self.sines = exact.rotary_tables(shape.context, shape.head, shape.theta)

    @classmethod
    def load(cls, folder: Path, name: str) -> ExactLlama:
        """The model in a folder; EngineError if it is not a plain Llama."""
        shape = Shape.read(folder)
        tensors = read_model(folder)
        card = ModelCard(
            name, weights_hash(folder), tokenizer_hash(folder), shape.vocab, shape.hidden,
            shape.context, shape.stops, exact=True,
        )  # fmt: skip
        try:
            return cls(shape, tensors, card)
        except KeyError as e:
            raise EngineError(f"{folder}: the weights lack the tensor {e.args[0]}") from e

    @property
    def card(self) -> ModelCard:
        """Names, hashes and sizes of this model."""
        return self._card

    def new_cache(self, pages: int) -> Cache:
        """An empty cache of `pages` pages."""
        return Cache(self.shape, pages)

    def forward(self, cache: Cache, rows: Sequence[Row]) -> list[Output]:
        """See `LanguageModel.forward`."""
        counts = [len(row.tokens) for row in rows]
        ends = np.cumsum(counts).tolist()
        spans = [slice(end - count, end) for end, count in zip(ends, counts)]
        positions = np.concatenate([np.arange(r.start, r.start + n) for r, n in zip(rows, counts)])
        x = self.embedding[np.concatenate([np.asarray(r.tokens, np.int64) for r in rows])]
        tables = [np.asarray(r.pages[: pages_for(r.start + n)]) for r, n in zip(rows, counts)]
        slots = [
            t[np.arange(r.start, r.start + n) // PAGE] for t, r, n in zip(tables, rows, counts)
        ]
        where = (np.concatenate(slots), positions % PAGE)
        singles = [i for i, n in enumerate(counts) if n == 1]
        crowd = Crowd([rows[i] for i in singles], [spans[i].start for i in singles])
        longer = [i for i, n in enumerate(counts) if n > 1]
        for index, layer in enumerate(self.layers):
            normed = exact.rms_norm(x, layer.norm_in, self.shape.epsilon)
            query = self._remember(cache, index, layer.qkv.apply(normed), positions, where)
            mixed = np.empty((len(x), self.shape.heads * self.shape.head))
            if singles:
                mixed[crowd.places] = self._attend_crowd(cache, index, query[crowd.places], crowd)
            for i in longer:
                mixed[spans[i]] = self._attend(
                    cache, index, query[spans[i]], tables[i], rows[i].start
                )
            x = x + layer.out.apply(mixed)
            gate, up = np.split(
                layer.gate_up.apply(exact.rms_norm(x, layer.norm_mlp, self.shape.epsilon)), 2, -1
            )
            x = x + layer.down.apply(exact.silu(gate) * up)
        kept = np.concatenate([np.arange(e - r.keep, e) for e, r in zip(ends, rows)])
        return self._outputs(x[kept], [row.keep for row in rows])

    def _remember(
        self, cache: Cache, index: int, qkv: Floats, positions: Any, where: tuple[Any, Any]
    ) -> Floats:
        """Store this pass's keys and values; give back the turned queries [n, heads, head]."""
        s, n = self.shape, len(qkv)
        heads = qkv.reshape(n, s.heads + 2 * s.kv_heads, s.head)
        turned, values = heads[:, : -s.kv_heads], heads[:, -s.kv_heads :]
        cosine, sine = self.cosines[positions, None], self.sines[positions, None]
        first, second = np.split(turned, 2, -1)
        turned = np.concatenate(
            [first * cosine - second * sine, second * cosine + first * sine], -1
        )
        page, slot = where
        for part, scales, fresh in (
            (cache.keys, cache.key_scales, turned[:, s.heads :]),
            (cache.values, cache.value_scales, values),
        ):
            q, scale = quantise(fresh.swapaxes(0, 1), KEY_BITS)
            part[index][:, page, slot], scales[index][:, page, slot] = q, scale[..., 0]
        return turned[:, : s.heads]

    def _attend(self, cache: Cache, index: int, query: Floats, table: Any, start: int) -> Floats:
        """Causal attention of one sequence's new queries over its pages: [n, heads * head]."""
        stored = [self._gathered(part[index], table) for part in cache.parts]
        return np.concatenate(
            [self._attend_block(query[at : at + BLOCK], stored, start + at)
             for at in range(0, len(query), BLOCK)]
        )  # fmt: skip

    def _gathered(self, stored: Floats, table: Any) -> Floats:
        """The pages of one sequence joined: [kv_head, positions, ...]."""
        taken = stored[:, table]
        joined: Floats = taken.reshape(self.shape.kv_heads, -1, *taken.shape[3:])
        return joined

    def _attend_block(self, query: Floats, stored: list[Floats], start: int) -> Floats:
        """Attention of a few consecutive queries, the first at position `start`."""
        s, n = self.shape, len(query)
        length, groups = start + n, s.heads // s.kv_heads
        keys, values, key_scales, value_scales = (part[:, :length] for part in stored)
        q, scale = quantise(query, exact.MANTISSA - KEY_BITS - exact.ceil_log2(s.head))
        q = q.reshape(n, s.kv_heads, groups, s.head).transpose(1, 2, 0, 3)
        scale = scale.reshape(n, s.kv_heads, groups).transpose(1, 2, 0).reshape(s.kv_heads, -1, 1)
        scores = q.reshape(s.kv_heads, groups * n, s.head) @ keys.transpose(0, 2, 1)
        scores *= scale * (1.0 / np.sqrt(s.head))
        scores *= key_scales[:, None]
        if n > 1:
            ahead = np.arange(n) > np.arange(n)[:, None]
            scores.reshape(s.kv_heads, groups, n, length)[:, :, :, start:][:, :, ahead] = NEVER
        p, total = exact.softmax_parts(scores)
        p *= value_scales[:, None]
        p, scale = quantise(p, exact.MANTISSA - KEY_BITS - exact.ceil_log2(s.context))
        mixed = (p @ values) * scale / total
        return mixed.reshape(s.kv_heads, groups, n, s.head).transpose(2, 0, 1, 3).reshape(n, -1)

    def _attend_crowd(self, cache: Cache, index: int, query: Floats, crowd: Crowd) -> Floats:
        """Attention of one new query each of many sequences: [rows, heads * head].

        Shorter sequences are padded with whatever page 0 holds, at no weight: every sum here is
        exact, so the padding changes nothing.
        """
        s, n = self.shape, len(query)
        keys, values, key_scales, value_scales = (
            taken.reshape(s.kv_heads, n, -1, *taken.shape[4:])
            for taken in (part[index].take(crowd.pages, 1) for part in cache.parts)
        )
        q, scale = quantise(query, exact.MANTISSA - KEY_BITS - exact.ceil_log2(s.head))
        shape = (n, s.kv_heads, s.heads // s.kv_heads, -1)
        q, scale = (part.reshape(shape).swapaxes(0, 1) for part in (q, scale))
        scores = q @ keys.swapaxes(2, 3)
        scores *= scale * (1.0 / np.sqrt(s.head))
        scores *= key_scales[:, :, None]
        np.copyto(scores, NEVER, where=crowd.absent[:, None])
        p, total = exact.softmax_parts(scores)
        p *= value_scales[:, :, None]
        p, scale = quantise(p, exact.MANTISSA - KEY_BITS - exact.ceil_log2(s.context))
        mixed: Floats = (p @ values) * scale / total
        return mixed.swapaxes(0, 1).reshape(n, -1)

    def _outputs(self, x: Floats, keeps: list[int]) -> list[Output]:
        if not len(x):
            empty = Output(np.empty((0, self.shape.vocab)), np.empty((0, self.shape.hidden), "u2"))
            return [empty for _ in keeps]
        states = exact.rms_norm(x, self.norm, self.shape.epsilon)
        logits, patterns = self.head.apply(states), bfloat16_patterns(states)
        ends = np.cumsum(keeps).tolist()
        return [Output(logits[e - k : e], patterns[e - k : e]) for e, k in zip(ends, keeps)]
