"""What happens to a request between the HTTP routes and the miners: admission, relay, billing.

A request is admitted with the most it can cost, relayed, and billed for the tokens delivered,
also when the caller leaves early. A key whose last request was admitted need not wait: a miner is
asked while the database decides, and nothing is delivered before it has. A share of answers is
kept for a validator to judge.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from hashlib import blake2b

from ganglion.hashing import blake2_256
from ganglion.inference import draw_seed
from ganglion.wire.call import Caller
from ganglion.wire.receipts import Finish
from ganglion.wire.text import CACHE_SIZE, ID_SIZE, TextRequest, most_prompt
from neurons.gateway.confidential import Confidential
from neurons.gateway.confirm import Answering, Confirmed
from neurons.gateway.directory import Directory
from neurons.gateway.openai_api import ApiError, TextCall, invalid
from neurons.gateway.payer import CannotPay, Payer
from neurons.gateway.refusals import BadRequest, NoMiner, Refusals
from neurons.gateway.relay import Delta, Part, Relay
from neurons.gateway.router import PREFIX_ENDS, Miner, Router, Wanted, prefix_names
from neurons.gateway.store import (
    Denied,
    Opened,
    Order,
    Outcome,
    PartRow,
    Store,
    StoreProblem,
)
from neurons.identity import Identity
from neurons.validator.examiner import TextExaminer
from subnets.verdict import Reason

log = logging.getLogger("gateway")

STATUS_OF = {
    "invalid_api_key": (401, "authentication_error"),
    "model_not_allowed": (403, "permission_error"),
    "insufficient_quota": (402, "insufficient_quota"),
    "idempotency_conflict": (422, "invalid_request_error"),
    "in_progress": (409, "invalid_request_error"),
}
MILLION = 1_000_000
KEYS_REMEMBERED = 4096
BYTES_A_TOKEN = 8
"""More than tokens of any language hold on average: who cannot read so many tokens is not asked."""


@dataclass(frozen=True, slots=True)
class Prices:
    """What callers pay, in rao for a million tokens."""

    prompt: int = 0
    completion: int = 0
    cached: int | None = None  # of the prompt's tokens that a miner had in its cache; None: prompt

    def cost(self, prompt: int, completion: int, cached: int = 0) -> int:
        """The price of a request, rounded up to a whole rao."""
        rebate = 0 if self.cached is None else cached * max(self.prompt - self.cached, 0)
        return -(-(prompt * self.prompt + completion * self.completion - rebate) // MILLION)


@dataclass(frozen=True, slots=True)
class Wish:
    """How a caller wants a request handled, from its headers."""

    key: str
    idempotency: str | None = None
    verify_first: bool = False
    exact: bool = False
    max_price: float | None = None
    quick: bool = False
    confidential: bool = False
    capability: float | None = None
    copies: int = 1

    def price_limit(self, of_key: int | None) -> float | None:
        """The lower of what the caller and the key's owner allow a miner to ask."""
        limits = [limit for limit in (self.max_price, of_key) if limit is not None]
        return min(limits, default=None)

    def digest(self, kind: str, body: bytes) -> bytes:
        """What an Idempotency-Key stands for: a body, the kind of request, and what was promised
        about the answer."""
        said = (kind, self.confidential, self.verify_first, self.copies)
        return blake2_256(repr(said).encode() + body)


@dataclass(slots=True)
class Running:
    """A request that was admitted."""

    call: TextCall
    wish: Wish
    order: Order
    opening: asyncio.Task[Opened]
    request: TextRequest
    ranked: list[Miner]
    started: float = field(default_factory=time.monotonic)
    relay: Answering | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    finish: str = "stop"
    was_in_vain: bool = False  # it failed before the caller got anything
    prefix: tuple[bytes, ...] = ()

    async def admitted(self) -> Opened:
        """How the database admitted the request; ApiError if it did not."""
        try:
            return await asyncio.shield(self.opening)
        except Denied as e:
            raise denied(e) from e

    def count(self, relay: Answering, most: int) -> None:
        """Take over what the miner at work says of the prompt, of `most` tokens at the most. What
        is cached is counted once: who goes on with an answer has another cache."""
        if not self.prompt_tokens:
            self.cached_tokens = relay.cached_tokens
        self.prompt_tokens = min(relay.prompt_tokens, most)
        self.cached_tokens = min(self.cached_tokens, self.prompt_tokens)

    @property
    def completion_tokens(self) -> int:
        """Output tokens so far."""
        return len(self.relay.tokens) if self.relay is not None else 0


def cache_of(key: str, call: TextCall) -> bytes:
    """What keeps the conversations of a key apart from others' in miners' caches.

    It tells a miner no more about who asks than the beginning of the conversation does.
    """
    identity, first = key.removeprefix("gk-").partition("-")[0], call.prompt
    if first is None:
        first = call.messages[0][1]
    name = f"{identity}\0{first[: PREFIX_ENDS[0]]}"
    return blake2b(name.encode(), digest_size=CACHE_SIZE).digest()


def denied(error: Denied) -> ApiError:
    """A refusal of the store in OpenAI's shape."""
    status, kind = STATUS_OF[error.code]
    return ApiError(status, kind, error.message, error.code)


def refused(error: BadRequest) -> ApiError:
    """The refusal of a request that miners say is at fault, in their words."""
    return invalid(f"the miners of this model refuse the request: {error}", code="bad_request")


def nobody_fits() -> ApiError:
    """The refusal of a request whose limits no miner meets."""
    problem = (
        "no miner meets what this request asks for: relax the price, the class or the capability"
    )
    return ApiError(503, "server_error", problem, "no_miner")


def capability_of(wish: Wish, router: Router) -> float:
    """The capability that a request asks for; ApiError where nobody measures any."""
    if wish.capability is not None and router.capability is None:
        problem = "this gateway reads no measured performance; leave out X-Ganglion-Capability"
        raise ApiError(400, "invalid_request_error", problem, "unsupported_parameter")
    return wish.capability or 0.0


def nobody_attested() -> ApiError:
    """The refusal of a confidential request while no miner may have it."""
    problem = (
        "no miner has live evidence of trusted hardware that this gateway's policy accepts, so "
        "nobody was asked: try later, or leave out X-Ganglion-Confidential"
    )
    return ApiError(503, "server_error", problem, "no_confidential_miner")


class TextGateway:
    """Text requests to one subnet."""

    def __init__(
        self,
        caller: Caller,
        identity: Identity,
        directory: Directory,
        store: Store,
        prices: Prices,
        sample_share: float = 0.0,
        examiner: TextExaminer | None = None,
        confidential: Confidential | None = None,
        payer: Payer | None = None,
    ) -> None:
        self.caller, self.identity, self.directory = caller, identity, directory
        self.store, self.prices, self.examiner = store, prices, examiner
        self.confidential, self.payer = confidential, payer
        self._share = sample_share
        self._random = random.Random(secrets.randbits(64))
        self._trusted: OrderedDict[str, None] = OrderedDict()  # keys whose last request was fine

    @property
    def router(self) -> Router:
        """The router of the subnet."""
        return self.directory.router

    def model_of(self, name: str) -> str:
        """The served model a caller means; ApiError if nobody serves it."""
        served = self.router.models()
        if name == "default" and served:
            return max(served, key=lambda model: len(served[model]))
        if name not in served:
            raise ApiError(
                404,
                "invalid_request_error",
                f"the model {name} is not served here; "
                f"served are: {', '.join(sorted(served)) or 'none at the moment'}",
                "model_not_found",
                "model",
            )
        return name

    async def admit(self, call: TextCall, wish: Wish, body: bytes) -> Running:
        """Check, price and reserve; ApiError if the request may not run."""
        model = self.model_of(call.model)
        if wish.verify_first and self.examiner is None:
            problem = "this gateway runs no engine to verify with; leave out X-Ganglion-Verify"
            raise ApiError(400, "invalid_request_error", problem, "unsupported_parameter")
        if wish.verify_first and wish.copies > 1:
            problem = (
                "X-Ganglion-Confirm asks other miners, X-Ganglion-Verify an engine: choose one"
            )
            raise ApiError(400, "invalid_request_error", problem, "unsupported_parameter")
        among = self._trusted_miners() if wish.confidential else None
        least_capability = capability_of(wish, self.router)
        # a token is a byte at least, and a turn adds a few: this bounds the prompt from above
        size = len(call.spoken.encode())
        most = self.prices.cost(size + 8 * (len(call.messages) + 2), call.max_tokens)
        reserve = most * wish.copies
        kind = "chatcmpl-" if call.chat else "cmpl-"
        order = Order(
            kind + secrets.token_hex(12), model, wish.digest(kind, body), reserve, wish.idempotency
        )
        least = size // BYTES_A_TOKEN
        limit = wish.price_limit(await self.store.price_limit(wish.key))
        cache = cache_of(wish.key, call)
        prefix = prefix_names(call.spoken, cache)
        exact = wish.exact or wish.copies > 1  # only there do honest miners give the same bits
        wanted = Wanted(model, least, limit, exact, prefix, wish.quick, among, least_capability)
        ranked = self.router.rank(wanted, time.monotonic())
        if not ranked:
            raise nobody_fits()
        ranked = await self._payable(ranked, wish.copies)
        opening = asyncio.create_task(self._open(wish.key, order))
        request = self._request(call, model, ranked[0], cache)
        running = Running(call, wish, order, opening, request, ranked, prefix=prefix)
        try:
            if wish.idempotency is not None or wish.verify_first or wish.key not in self._trusted:
                await running.admitted()
        except asyncio.CancelledError:  # the caller left: nothing stays reserved for it
            await settle_shielded(self, running, None)
            raise
        return running

    async def _payable(self, ranked: Sequence[Miner], least: int) -> list[Miner]:
        """Those that are free or can be paid, `least` of them if possible; ApiError for none."""
        if self.payer is None:
            free = [miner for miner in ranked if miner.pay is None]
            if not free:
                problem = (
                    "every miner of this model wants to be paid, and this gateway does not pay"
                )
                raise ApiError(503, "server_error", problem, "no_miner")
            return free
        try:
            return await self.payer.prepared(ranked, least)
        except CannotPay as e:
            raise ApiError(503, "server_error", str(e), "no_miner") from e

    def _trusted_miners(self) -> frozenset[str]:
        """Who may have a confidential request; ApiError if nobody may."""
        if self.confidential is None:
            problem = "this gateway has no attestation policy; leave out X-Ganglion-Confidential"
            raise ApiError(400, "invalid_request_error", problem, "unsupported_parameter")
        among = self.confidential.trusted()
        if not among:
            raise nobody_attested()
        return among

    async def _open(self, key: str, order: Order) -> Opened:
        """Reserve; a key that is refused waits for the database next time."""
        try:
            opened = await self.store.open(key, order)
        except (Denied, StoreProblem):
            self._trusted.pop(key, None)
            raise
        self._trusted[key] = None
        self._trusted.move_to_end(key)
        while len(self._trusted) > KEYS_REMEMBERED:
            self._trusted.popitem(last=False)
        return opened

    def _request(self, call: TextCall, model: str, first: Miner, cache: bytes) -> TextRequest:
        """The request for the miners; its seed is drawn only now that the first is chosen."""
        nonce, own = secrets.token_bytes(ID_SIZE), self.identity.hotkey.public_key
        seed = call.own_seed() or draw_seed(
            nonce, own, first.target.hotkey.encode(), self.directory.block_hash
        )
        return TextRequest(
            nonce,
            model,
            call.sampling(seed),
            call.max_tokens,
            call.messages,
            call.prompt,
            stop=call.stop,
            cache=cache,
        )

    async def run(self, running: Running) -> AsyncGenerator[Delta, None]:
        """The answer as it comes. ApiError if there is none; billing is the caller's `settle`."""
        try:
            if running.wish.verify_first:
                yield await self._verified(running)
                return
            async for delta in self._relayed(running, running.ranked):
                yield delta
        except BadRequest as e:
            raise refused(e) from e
        except NoMiner as e:
            raise ApiError(503, "server_error", str(e), "no_miner") from e

    async def _relayed(
        self, running: Running, ranked: Sequence[Miner]
    ) -> AsyncGenerator[Delta, None]:
        secret = self.confidential if running.wish.confidential else None
        seal = None if secret is None else secret.caller

        def make(miners: Sequence[Miner], request: TextRequest) -> Relay:
            how = seal, self.payer, running.prefix
            return Relay(self.caller, self.identity, self.router, miners, request, *how)

        copies, request = running.wish.copies, running.request
        relay: Answering = (
            make(ranked, request)
            if copies == 1
            else Confirmed(make, self.router, ranked, request, copies)
        )
        running.relay, most = relay, most_prompt(request)  # whatever a miner counts
        async with aclosing(relay.stream()) as stream:
            async for delta in stream:
                if not running.opening.done() or running.opening.exception() is not None:
                    await running.admitted()
                if not running.prompt_tokens:
                    running.count(relay, most)
                yield delta
        if relay.final is not None:
            running.count(relay, most)
            stopped = relay.final.finish is Finish.STOP
            running.finish = "stop" if stopped else "length"

    async def _verified(self, running: Running) -> Delta:
        """A whole answer of one miner that the judge has passed."""
        said, refusals = [], Refusals(most_prompt(running.request))
        left = running.ranked[:5]
        while left:
            miner = left.pop(0)
            running.prompt_tokens = running.cached_tokens = 0  # each is believed about itself alone
            try:
                pieces = [d async for d in self._relayed(running, [miner])]
            except NoMiner as e:
                said.append(str(e))
                if isinstance(e, BadRequest):
                    refusals.take(e.said)
                    refusals.sort(left)
                    others = len(said) > len(refusals.said)
                    bad = refusals.believed(left, others)
                    if bad is not None:
                        raise bad from e
                continue
            assert running.relay is not None
            assert self.examiner is not None
            part = running.relay.parts[-1]
            verdict = await self.examiner.judge(
                miner.target, running.request, part.body, part.answer
            )
            if verdict.verified:
                for liar in refusals.disproved_by(miner):
                    self.router.on_failure(liar, time.monotonic())
                tokens = tuple(t for d in pieces for t in d.tokens)
                return Delta(tokens, "".join(d.text for d in pieces))
            if verdict.reason is not Reason.OURS:
                self.router.on_failure(miner, time.monotonic(), hard=verdict.hard)
            said.append(f"uid {miner.uid}: {verdict.reason}")
            log.warning("uid %d is not verified: %s", miner.uid, verdict.detail)
        raise ApiError(
            503, "server_error", "no answer passed verification: " + "; ".join(said), "not_verified"
        )

    async def settle(self, running: Running, response: bytes | None) -> None:
        """Bill what was delivered; a request that brought nothing costs nothing."""
        relay, order = running.relay, running.order
        try:
            key = (await running.opening).key_id
        except (Denied, StoreProblem):
            return  # nothing was reserved
        if relay is None or running.was_in_vain or not relay.tokens:
            await self.store.fail_request(order, key)
            return
        prompt, cached, made = running.prompt_tokens, running.cached_tokens, len(relay.tokens)
        cost = self.prices.cost(prompt, made, cached) * running.wish.copies
        parts = [self._part_row(running, part) for part in relay.parts]
        if running.wish.confidential and running.wish.idempotency is None:
            response = None  # kept for nobody
        # a miner's count of the prompt cannot take more than was reserved
        outcome = Outcome(prompt, made, min(cost, order.reserve), parts, response, cached)
        await self.store.close_request(order, key, outcome)
        if running.wish.confidential:
            return
        if response is not None and self._random.random() < self._share:
            await self._sample(running)

    def _part_row(self, running: Running, part: Part) -> PartRow:
        """A miner's part as it is stored, with its badge if it was confidential."""
        hotkey = part.miner.target.hotkey
        signed = part.signed.to_json() if part.signed is not None else None
        if signed is not None and running.wish.confidential and self.confidential is not None:
            badge = self.confidential.badge(hotkey)
            signed |= {} if badge is None else {"confidential": badge}
        return PartRow(self.identity.netuid, part.miner.uid, hotkey, part.tokens, signed)

    async def _sample(self, running: Running) -> None:
        """Hand a finished answer to whoever validates."""
        assert running.relay is not None
        part = running.relay.parts[-1]
        if part.signed is None:
            return
        answer = {
            "tokens": part.answer.tokens,
            "text": part.answer.text,
            "prompt_tokens": part.answer.prompt_tokens,
            "completion_tokens": part.answer.completion_tokens,
            "cached_tokens": part.answer.cached_tokens,
            "receipt": part.signed.to_json(),
        }
        elapsed = round((time.monotonic() - running.started) * 1000)
        await self.store.add_sample(
            self.identity.netuid, part.miner.target.hotkey, part.body, answer, elapsed
        )


async def settle_shielded(gateway: TextGateway, running: Running, response: bytes | None) -> None:
    """Settle even if the caller's departure cancels the handler meanwhile."""
    await asyncio.shield(asyncio.ensure_future(gateway.settle(running, response)))
