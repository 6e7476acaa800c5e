"""Dishonest and broken miners, by name: each changes one thing and leaves the rest honest.

They serve demonstrations and tests; no production module imports this. Every fault keeps claiming
the true model's hashes, as a cheat would.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson

from ganglion.keys import Keypair
from ganglion.wire.receipts import Finish, SignedReceipt, evidence_of, sign
from ganglion.wire.text import done_event, tokens_event
from neurons.engine.base import Floats, Patterns, Tokenizer, prefill
from neurons.engine.batch import Job, Token
from neurons.engine.exact_attention import Cache
from neurons.engine.folder import TINY, read_model
from neurons.engine.llama import ExactLlama
from neurons.engine.load import Loaded
from neurons.engine.worker import TextEngine, Worker
from neurons.identity import Identity
from neurons.miner.textgen import Event, Order, TextService

# --- weights and arithmetic ---------------------------------------------------------------------


def rounded(weights: Floats, bits: int, group: int = 0) -> Floats:
    """Weights rounded to `bits`-bit integers, one scale a row or a group of columns."""
    grouped = weights.reshape(-1, group or weights.shape[1])
    scale = np.abs(grouped).max(1, keepdims=True) / (2 ** (bits - 1) - 1)
    scale[scale == 0] = 1.0
    result: Floats = (np.rint(grouped / scale) * scale).reshape(weights.shape)
    return result


def float8(values: Floats) -> Floats:
    """Values rounded to the float8 format with 4 exponent and 3 mantissa bits, unscaled range."""
    mantissa, exponent = np.frexp(values)
    exponent = np.maximum(exponent, -5)
    step = np.ldexp(1.0, exponent - 4)
    result: Floats = np.clip(np.rint(values / step) * step, -448.0, 448.0)
    return result


def float8_rows(weights: Floats) -> Floats:
    """float8 with one scale a row, as serving engines store weights."""
    scale = np.abs(weights).max(1, keepdims=True) / 448.0
    scale[scale == 0] = 1.0
    result: Floats = float8(weights / scale) * scale
    return result


def changed_model(true: ExactLlama, change: Callable[[Floats], Floats]) -> ExactLlama:
    """The shipped model with every matrix of its layers changed."""
    tensors = {
        name: change(t) if t.ndim == 2 and "layers" in name else t
        for name, t in read_model(TINY).items()
    }
    return ExactLlama(true.shape, tensors, true.card)


def fine_tuned(weights: Floats) -> Floats:
    """Weights with what a light fine-tuning adds: rank 4, 5 % of the matrix's own norm."""
    rng = np.random.default_rng(weights.shape)
    added = rng.normal(size=(len(weights), 4)) @ rng.normal(size=(4, weights.shape[1]))
    result: Floats = weights + added * (0.05 * np.linalg.norm(weights) / np.linalg.norm(added))
    return result


def fewer_layers(true: ExactLlama, keep: Sequence[int]) -> ExactLlama:
    """The shipped model with only some of its layers."""
    model = ExactLlama(true.shape, read_model(TINY), true.card)
    model.layers = [model.layers[i] for i in keep]
    return model


class SmallCacheLlama(ExactLlama):
    """Keeps keys and values in float8, one scale a head and position (the largest below 256)."""

    def _remember(
        self, cache: Cache, index: int, x: Floats, turn: tuple[Floats, Floats],
        where: tuple[Any, Any],
    ) -> Floats:  # fmt: skip
        query = super()._remember(cache, index, x, turn, where)
        kept = cache.stored[index][where]
        _, exponent = np.frexp(np.abs(kept).max(-1, keepdims=True))
        cache.stored[index][where] = np.ldexp(float8(np.ldexp(kept, 8 - exponent)), exponent - 8)
        return query


WEIGHT_FAULTS: Mapping[str, Callable[[ExactLlama], ExactLlama]] = {
    "int8": lambda true: changed_model(true, lambda w: rounded(w, 8)),
    "int6": lambda true: changed_model(true, lambda w: rounded(w, 6)),
    "int4": lambda true: changed_model(true, lambda w: rounded(w, 4, 32)),
    "fp8": lambda true: changed_model(true, float8_rows),
    "fp8-kv": lambda true: SmallCacheLlama(true.shape, read_model(TINY), true.card),
    "fine-tune": lambda true: changed_model(true, fine_tuned),
    "layer-skip": lambda true: fewer_layers(true, (0, 1, 3)),
    "wrong-model": lambda true: fewer_layers(true, (0, 3)),
}

# --- services -----------------------------------------------------------------------------------


class AlteredPrompt(TextService):
    """Answers a prompt with one byte changed."""

    def accept(
        self, body: bytes, caller: bytes, priority: float = 0.0, sealed: bool = False
    ) -> Order:
        order = super().accept(body, caller, priority, sealed)
        prompt = list(order.job.prompt)
        prompt[len(prompt) // 2] ^= 1
        order.job = replace(order.job, prompt=tuple(prompt))
        return order


class OwnTemperature(TextService):
    """Samples at 0.3 whatever was asked (at 1.0 where 0.3 or less was)."""

    def accept(
        self, body: bytes, caller: bytes, priority: float = 0.0, sealed: bool = False
    ) -> Order:
        order = super().accept(body, caller, priority, sealed)
        asked = order.request.sampling
        other = replace(asked, temperature=0.3 if asked.temperature > 0.3 else 1.0)
        order.job = replace(order.job, sampling=other)
        return order


class OwnSeed(TextService):
    """Samples with a seed of its own choice."""

    def accept(
        self, body: bytes, caller: bytes, priority: float = 0.0, sealed: bool = False
    ) -> Order:
        order = super().accept(body, caller, priority, sealed)
        other = replace(order.job.sampling, seed=secrets.token_bytes(32))
        order.job = replace(order.job, sampling=other)
        return order


class EarlyStop(TextService):
    """Stops after half of the tokens and calls it the end."""

    def accept(
        self, body: bytes, caller: bytes, priority: float = 0.0, sealed: bool = False
    ) -> Order:
        order = super().accept(body, caller, priority, sealed)
        order.job = replace(order.job, limit=max(1, order.job.limit // 2))
        return order


class InflatedUsage(TextService):
    """Bills twice the prompt."""

    def receipt(
        self, order: Order, tokens: list[int], states: Patterns, finish: Finish
    ) -> SignedReceipt:
        order.job = replace(order.job, prompt=order.job.prompt * 2)
        return super().receipt(order, tokens, states, finish)


class Relay(TextService):
    """Sells a smaller model's text with fingerprints from a prefill of the true model."""

    def __init__(self, worker: Worker, loaded: Loaded, identity: Identity) -> None:
        super().__init__(worker, loaded.tokenizer, identity)
        self._true = loaded.model

    def receipt(
        self, order: Order, tokens: list[int], states: Patterns, finish: Finish
    ) -> SignedReceipt:
        whole = (*order.job.prompt, *order.job.resume, *tokens[:-1])
        return super().receipt(
            order, tokens, prefill(self._true, whole, len(tokens)).states, finish
        )


class MalformedProofs(TextService):
    """Signs fingerprints that crash careless verifiers: modulus zero, nothing else."""

    def receipt(
        self, order: Order, tokens: list[int], states: Patterns, finish: Finish
    ) -> SignedReceipt:
        good = super().receipt(order, tokens, states, finish)
        bad = [bytes(len(proof)) for proof in good.proofs]
        stated = replace(good.receipt, evidence=evidence_of(bad))
        return sign(stated, self.identity.hotkey, bad)


class SwappedProofs(TextService):
    """Sends other fingerprints than those that it signed."""

    def receipt(
        self, order: Order, tokens: list[int], states: Patterns, finish: Finish
    ) -> SignedReceipt:
        good = super().receipt(order, tokens, states, finish)
        return replace(good, proofs=good.proofs[::-1] + good.proofs[:1])


class BorrowedReceipt(TextService):
    """Passes on an answer with the receipt of the miner that made it."""

    def __init__(self, worker: TextEngine, tokenizer: Tokenizer, identity: Identity) -> None:
        maker = replace(identity, hotkey=Keypair.from_uri("//maker"))
        super().__init__(worker, tokenizer, maker)


class InflatedAnswer(TextService):
    """Bills twice the tokens that it made."""

    def finish(
        self, order: Order, tokens: list[int], states: Patterns, last: Token, said: str
    ) -> Event:
        name, data = super().finish(order, tokens, states, last, said)
        given = orjson.loads(data)
        given["usage"]["completion_tokens"] *= 2
        return name, orjson.dumps(given)


class WithheldReceipt(TextService):
    """Never signs, so that nothing can be held against it."""

    async def answer(self, order: Order) -> AsyncIterator[Event]:
        async for event in super().answer(order):
            if event[0] != "done":
                yield event


class Endless(TextService):
    """Says its last token again and again."""

    async def answer(self, order: Order) -> AsyncIterator[Event]:
        last: Event = tokens_event([0], "")
        async for event in super().answer(order):
            while event[0] == "done":
                yield last
                await asyncio.sleep(0)
            yield (last := event)


class LateSwitch(Worker):
    """Lets the true model begin, and a smaller one make all that comes after."""

    honest = 16

    def __init__(self, true: ExactLlama, pages: int, width: int) -> None:
        super().__init__(true, pages, width)
        self._small = Worker(fewer_layers(true, (0, 3)), pages, width)

    def start(self) -> None:
        super().start()
        self._small.start()

    def stop(self) -> None:
        super().stop()
        self._small.stop()

    async def generate(self, job: Job) -> AsyncIterator[Token]:
        done, made = len(job.resume), list[int]()
        most = min(job.limit, self.model.card.context - len(job.prompt))
        begun = replace(job, limit=min(most, done + self.honest))
        async for token in super().generate(begun):
            made.append(token.token)
            over = token.finish is not Finish.LENGTH or begun.limit == most
            yield token if over else replace(token, finish=None)
            if token.finish is not None and over:
                return
        rest = replace(
            job, resume=(*job.resume, *made), ended=lambda more: job.ended([*made, *more])
        )
        async for token in self._small.generate(rest):
            yield token


class ReplayedReceipt(TextService):
    """Sends the first receipt it ever signed with every later answer."""

    _first: SignedReceipt | None = None

    def receipt(
        self, order: Order, tokens: list[int], states: Patterns, finish: Finish
    ) -> SignedReceipt:
        signed = super().receipt(order, tokens, states, finish)
        self._first = self._first or signed
        return self._first


class CachedAnswers(TextService):
    """Computes one answer and gives its tokens to everybody, signed afresh."""

    _kept: tuple[list[int], list[Patterns], Finish] | None = None

    async def answer(self, order: Order) -> AsyncIterator[Event]:
        if self._kept is None:
            tokens, states = [], []
            async for made in self.worker.generate(order.job):
                tokens.append(made.token)
                states.append(made.state)
                self._kept = (tokens, states, made.finish or Finish.LENGTH)
        assert self._kept is not None
        tokens, states, finish = self._kept
        yield tokens_event(tokens, self.tokenizer.decode(tokens))
        yield done_event(self.receipt(order, tokens, np.stack(states), finish))


class Stalling(TextService):
    """Right answers, far too late."""

    seconds = 600.0

    async def answer(self, order: Order) -> AsyncIterator[Event]:
        async for event in super().answer(order):
            await asyncio.sleep(self.seconds)
            yield event


SERVICE_FAULTS: Mapping[str, type[TextService]] = {
    "prompt": AlteredPrompt,
    "temperature": OwnTemperature,
    "seed": OwnSeed,
    "early-stop": EarlyStop,
    "usage": InflatedUsage,
    "answer-usage": InflatedAnswer,
    "endless": Endless,
    "malformed-proofs": MalformedProofs,
    "swapped-proofs": SwappedProofs,
    "replayed-receipt": ReplayedReceipt,
    "borrowed-receipt": BorrowedReceipt,
    "withheld-receipt": WithheldReceipt,
    "cached": CachedAnswers,
    "stalling": Stalling,
}
KINDS = (*WEIGHT_FAULTS, *SERVICE_FAULTS, "late-switch", "relay")


class UnknownFault(ValueError):
    """There is no fault of that name."""


@dataclass(frozen=True, slots=True)
class WorkerSize:
    """Cache pages and batch width of a faulty miner's engine."""

    pages: int = 256
    width: int = 16


def faulty_service(
    kind: str, loaded: Loaded, identity: Identity, size: WorkerSize | None = None
) -> TextService:
    """A text service with the named fault on the shipped model. UnknownFault if there is none."""
    size, true = size or WorkerSize(), loaded.model
    if kind not in KINDS or not isinstance(true, ExactLlama):
        raise UnknownFault(f"there is no fault {kind!r}; there are {', '.join(KINDS)}")
    if kind == "relay":
        small = Worker(fewer_layers(true, (0, 3)), size.pages, size.width)
        return Relay(small, loaded, identity)
    if kind == "late-switch":
        return TextService(LateSwitch(true, size.pages, size.width), loaded.tokenizer, identity)
    model = WEIGHT_FAULTS[kind](true) if kind in WEIGHT_FAULTS else true
    service = SERVICE_FAULTS.get(kind, TextService)
    return service(Worker(model, size.pages, size.width), loaded.tokenizer, identity)
