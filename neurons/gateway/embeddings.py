"""Embedding requests through the gateway: one miner after the other until one is right."""

from __future__ import annotations

import asyncio
import secrets
import time

from aiohttp import web

from ganglion import ss58
from ganglion.hashing import blake2_256
from ganglion.wire import receipts
from ganglion.wire import vectors as wire
from ganglion.wire.call import Caller, CallFailed
from ganglion.wire.fields import BadMessage
from ganglion.wire.receipts import BadReceipt, Expected
from ganglion.wire.vectors import EmbedAnswer, EmbedRequest, vector_bytes
from neurons.gateway import openai_api as api
from neurons.gateway.directory import Directory
from neurons.gateway.openai_api import ApiError
from neurons.gateway.refusals import Refusals, refusal
from neurons.gateway.router import Miner, Router, Wanted
from neurons.gateway.service import Prices, Wish, capability_of, denied, nobody_fits, refused
from neurons.gateway.store import Denied, Opened, Order, Outcome, PartRow, Store
from neurons.identity import Identity

NO_SEED = bytes(32)
ATTEMPTS = 4


class EmbedGateway:
    """Vectors from one subnet."""

    def __init__(
        self, caller: Caller, identity: Identity, directory: Directory, store: Store, prices: Prices
    ) -> None:
        self._caller, self._identity, self.directory = caller, identity, directory
        self._store, self._prices = store, prices

    @property
    def router(self) -> Router:
        """The router of the subnet."""
        return self.directory.router

    async def answer(
        self, model: str, texts: tuple[str, ...], packed: bool, wish: Wish, body: bytes
    ) -> web.Response:
        """The whole response; ApiError if there is none."""
        limit = wish.price_limit(await self._store.price_limit(wish.key))
        least = capability_of(wish, self.router)
        wanted = Wanted(model, 0, limit, wish.exact, quick=wish.quick, capability=least)
        ranked = self.router.rank(wanted, time.monotonic())
        if not ranked and model in self.router.models():
            raise nobody_fits()
        if not ranked:
            raise ApiError(
                404,
                "invalid_request_error",
                f"nobody serves {model} here",
                "model_not_found",
                "model",
            )
        bound = sum(len(text.encode()) + 8 for text in texts)
        order = Order(
            "embd-" + secrets.token_hex(12),
            model,
            wish.digest("embd-", body),
            self._prices.cost(bound, 0),
            wish.idempotency,
        )
        try:
            opened = await self._store.open(wish.key, order)
        except Denied as e:
            raise denied(e) from e
        if opened.replay is not None:
            return web.Response(body=opened.replay, content_type="application/json")
        try:
            return await self._ask(ranked, EmbedRequest(b"", model, texts), packed, order, opened)
        except asyncio.CancelledError:  # the caller left: nothing stays reserved for it
            closed = self._store.fail_request(order, opened.key_id)
            await asyncio.shield(asyncio.ensure_future(closed))
            raise

    async def _ask(
        self,
        ranked: list[Miner],
        request: EmbedRequest,
        packed: bool,
        order: Order,
        opened: Opened,
    ) -> web.Response:
        failures, refusals = [], Refusals(0)  # no miner refuses texts for their length
        left = ranked[:ATTEMPTS]
        while left:
            miner = left.pop(0)
            try:
                answer = await self._one(miner, request)
            except CallFailed as e:
                failures.append(f"uid {miner.uid}: {e}")
                said = refusal(e)
                if said is None:
                    self.router.on_failure(miner, time.monotonic())
                    continue
                refusals.take([(miner, said)])
                refusals.sort(left)
                bad = refusals.believed(left, len(failures) > len(refusals.said))
                if bad is not None:
                    await self._store.fail_request(order, opened.key_id)
                    raise refused(bad) from e
            except (BadMessage, BadReceipt) as e:
                self.router.on_failure(miner, time.monotonic(), hard=True)
                failures.append(f"uid {miner.uid}: {e}")
            else:
                self.router.on_success(miner)
                for liar in refusals.disproved_by(miner):
                    self.router.on_failure(liar, time.monotonic())
                made = api.embeddings(request.model, answer.vectors, answer.prompt_tokens, packed)
                cost = min(self._prices.cost(answer.prompt_tokens, 0), order.reserve)
                part = PartRow(
                    self._identity.netuid,
                    miner.uid,
                    miner.target.hotkey,
                    0,
                    answer.signed.to_json(),
                )
                outcome = Outcome(answer.prompt_tokens, 0, cost, [part], made)
                await self._store.close_request(order, opened.key_id, outcome)
                return web.Response(
                    body=made, content_type="application/json", headers={"X-Request-Id": order.id}
                )
        await self._store.fail_request(order, opened.key_id)
        raise ApiError(503, "server_error", "no miner answered: " + "; ".join(failures), "no_miner")

    async def _one(self, miner: Miner, request: EmbedRequest) -> EmbedAnswer:
        fresh = EmbedRequest(secrets.token_bytes(wire.ID_SIZE), request.model, request.texts)
        body, began = fresh.to_bytes(), time.monotonic()
        miner.open += 1
        try:
            reply = await self._caller.fetch(miner.target, "POST", wire.PATH, body)
        finally:
            miner.open -= 1
        answer = EmbedAnswer.from_bytes(reply, len(fresh.texts))
        receipts.check(
            answer.signed,
            Expected(
                self._identity.genesis,
                self._identity.netuid,
                blake2_256(body),
                self._identity.hotkey.public_key,
                ss58.decode(miner.target.hotkey, prefix=None),
                answer.signed.receipt.weights,
                NO_SEED,
            ),
        )
        answer.check_bill()
        if answer.signed.receipt.evidence != wire.evidence(vector_bytes(answer.vectors)):
            raise BadReceipt("the receipt commits to other vectors")
        self.router.on_first_token(miner, time.monotonic() - began)
        return answer
