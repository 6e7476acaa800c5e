"""Answering text requests: prompt to tokens, tokens to events, and the signed receipt at the end.

The service takes any engine worker and any tokenizer; it neither knows the network nor the chain.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ganglion.exact.ieee import exp
from ganglion.hashing import blake2_256
from ganglion.wire import receipts
from ganglion.wire.fields import BadMessage
from ganglion.wire.receipts import Finish, Receipt, SignedReceipt
from ganglion.wire.text import TextRequest, done_event, error_event, tokens_event
from neurons.engine.base import EngineError, Patterns, Tokenizer, Unavailable
from neurons.engine.batch import Job, Overloaded, Token
from neurons.engine.worker import TextEngine
from neurons.identity import Identity
from subnets.proofs import toploc
from subnets.textgen.spelling import Speller, StopWatch

Event = tuple[str, bytes]

SHORT = 128
"""Tokens whose fingerprints are made at once; those of more take milliseconds, in which other
callers' tokens would wait."""

SignAnswer = Callable[[Receipt, str], bytes]
"""The signature of an attested key over a receipt and the text it is about."""


def prompt_tokens(request: TextRequest, tokenizer: Tokenizer) -> tuple[int, ...]:
    """The prompt that a request means; BadMessage if the model has no such chat."""
    if request.messages:
        try:
            return tuple(tokenizer.chat(request.messages))
        except ValueError as e:
            raise BadMessage(f"this model cannot render the chat: {e}") from e
    if request.prompt is not None:
        return tuple(tokenizer.complete(request.prompt))
    return request.tokens


def stop_rule(request: TextRequest, tokenizer: Tokenizer) -> Callable[[Sequence[int]], bool]:
    """Whether an answer so far contains one of the request's stop strings; it only ever grows."""
    if not request.stop:
        return lambda tokens: False
    watch, seen = StopWatch(request.stop, tokenizer.decode, request.resume), 0

    def ended(tokens: Sequence[int]) -> bool:
        nonlocal seen
        for token in tokens[seen:]:
            watch.push(token)
        seen = len(tokens)
        return watch.found

    return ended


def warm_up(hidden: int) -> None:
    """Make the tables that proofs and sampling need, so that no request waits for them."""
    states = np.arange(toploc.CHUNK * hidden, dtype=np.uint16).reshape(-1, hidden) % 0x7F00
    toploc.compare(toploc.build(states), states)
    exp(np.zeros(1))


@dataclass(slots=True)
class Order:
    """One accepted request: what was asked, by whom, and the hash of the body as received."""

    request: TextRequest
    caller: bytes
    digest: bytes
    job: Job


class TextService:
    """One model offered by one identity. Subclass or wrap nothing: hand it another worker."""

    def __init__(self, worker: TextEngine, tokenizer: Tokenizer, identity: Identity) -> None:
        self.worker, self.tokenizer, self.identity = worker, tokenizer, identity
        self.card = worker.model.card
        self.answers = 0
        self.sign_answer: SignAnswer | None = None
        warm_up(self.card.hidden)

    def accept(
        self, body: bytes, caller: bytes, priority: float = 0.0, sealed: bool = False
    ) -> Order:
        """Parse a request and make its job; BadMessage says what is wrong with it. Of `sealed`
        ones many askers may share a caller, so they share a cache only if they say so."""
        request = TextRequest.from_bytes(body)
        if request.model not in (self.card.name, "default"):
            raise BadMessage(f"this miner serves {self.card.name}, not {request.model[:80]}")
        prompt = prompt_tokens(request, self.tokenizer)
        if len(prompt) + len(request.resume) >= self.card.context:
            raise BadMessage(
                f"the model reads {self.card.context} tokens, the prompt has "
                f"{len(prompt) + len(request.resume)}"
            )
        job = Job(
            key=caller.hex() + request.id.hex(),
            prompt=prompt,
            sampling=request.sampling,
            limit=request.max_tokens,
            resume=request.resume,
            stops=self.card.stops,
            ended=stop_rule(request, self.tokenizer),
            priority=priority,
            owner=caller + (request.cache or (request.id if sealed else b"")),
        )
        return Order(request, caller, blake2_256(body), job)

    async def answer(self, order: Order) -> AsyncIterator[Event]:
        """The events of an answer. Overloaded before the first event if there is no room,
        Unavailable if the engine cannot work now."""
        speller, tokens, states = Speller(self.tokenizer.decode, order.request.resume), [], []
        said = ""
        try:
            async for made in self.worker.generate(order.job):
                tokens.append(made.token)
                states.append(made.state)
                piece = speller.push(made.token)
                if made.finish is not None:
                    piece += speller.held
                said += piece
                billed = len(order.job.prompt) if len(tokens) == 1 else None
                yield tokens_event([made.token], piece, billed, made.cached)
                if made.finish is None:
                    continue
                closing = (order, tokens, np.stack(states), made, said)
                if len(tokens) <= SHORT:
                    yield self.finish(*closing)
                else:
                    yield await asyncio.to_thread(self.finish, *closing)
        except Unavailable as e:
            if not tokens:  # nothing is on its way yet: the server can refuse
                raise
            yield error_event("engine", str(e))
        except (EngineError, toploc.BadProof) as e:
            yield error_event("engine", str(e))
        except ValueError as e:
            yield error_event("request", str(e))

    def finish(
        self, order: Order, tokens: list[int], states: Patterns, last: Token, said: str
    ) -> Event:
        """The closing event: fingerprints made, receipt signed, by the attested key too if any."""
        self.answers += 1
        signed = self.receipt(order, tokens, states, last.finish or Finish.LENGTH)
        if self.sign_answer is not None:
            signed = replace(signed, attested=self.sign_answer(signed.receipt, said))
        return done_event(signed, last.cached)

    def receipt(
        self, order: Order, tokens: list[int], states: Patterns, finish: Finish
    ) -> SignedReceipt:
        """The signed receipt of an answer with its fingerprints."""
        proofs = toploc.build(states)
        receipt = Receipt(
            version=receipts.VERSION,
            genesis=self.identity.genesis,
            netuid=self.identity.netuid,
            request=order.digest,
            caller=order.caller,
            miner=self.identity.hotkey.public_key,
            weights=self.card.weights_hash,
            exact=self.card.exact,
            seed=order.request.sampling.seed,
            prompt_tokens=len(order.job.prompt),
            first=len(order.request.resume),
            tokens=tuple(tokens),
            finish=finish,
            evidence=receipts.evidence_of(proofs),
        )
        return receipts.sign(receipt, self.identity.hotkey, proofs)


__all__ = ["Order", "Overloaded", "TextService", "prompt_tokens", "stop_rule"]
