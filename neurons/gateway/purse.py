"""One lane that pays one miner: what answers owe, and the vouchers that say so.

Payments of answers under way gather while a voucher is on its way, so that a busy lane sends one
voucher for many. What a voucher promises is in the database before it is signed. Only what has
arrived is ever paid, and that whenever it is half of the miner's credit: the stream never waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import orjson

from ganglion.errors import GanglionError
from ganglion.keys import Keypair
from ganglion.wire import vouchers
from ganglion.wire.call import Caller, CallFailed, Target
from ganglion.wire.fields import BadMessage
from ganglion.wire.lanes import ChannelFacts, PayerLane
from ganglion.wire.paid import (
    CHUNK,
    MOST_PAID,
    VOUCHER_PATH,
    Offer,
    PaidAnswer,
    PayTerms,
    VoucherMessage,
    output_hash,
)
from ganglion.wire.receipts import SignedReceipt
from ganglion.wire.text import TextRequest, most_prompt
from neurons.gateway.lane_store import LaneStore

log = logging.getLogger("gateway")

TRIES = 3
AGAIN_SECONDS = 0.5
REFILL_SECONDS = 30.0


@dataclass(slots=True, eq=False)
class Tab:
    """What one answer owes its miner. `most_prompt` and `most_tokens` bound what it may claim;
    `resumed` tokens that another miner made are read like a prompt."""

    purse: Purse
    request: bytes
    terms: PayTerms
    most_prompt: int
    most_tokens: int
    resumed: int = 0
    prompt: int = 0
    count: int = 0
    tokens: Sequence[int] = ()
    signed: SignedReceipt | None = None
    promised: int = 0
    ended: bool = False
    cached: int = 0

    @property
    def due(self) -> int:
        """Rao for what has arrived."""
        return self.terms.due(self.prompt, self.count, self.cached)

    def arrived(self, prompt: int, tokens: Sequence[int], cached: int = 0) -> None:
        """So much of the answer is here, and so much of what was read was in the miner's cache.
        BadMessage if that is more than there can be."""
        if prompt > self.most_prompt or len(tokens) > self.most_tokens:
            raise BadMessage("it counts more tokens than the request can have")
        if cached > prompt + self.resumed:
            raise BadMessage("it counts more tokens as cached than it had to read")
        self.cached = cached
        self.prompt, self.tokens, self.count = prompt + self.resumed, tokens, len(tokens)
        half = self.terms.prices.cost(0, self.purse.offer.credit * CHUNK // 2)
        if self.due - self.promised >= max(half, 1):
            self.purse.want(self)

    def close(self, signed: SignedReceipt | None) -> None:
        """Nothing more will come; pay what is left."""
        if not self.ended:
            self.ended, self.signed = True, signed
            if self.due:
                self.purse.want(self)

    def answer(self) -> PaidAnswer:
        """What was paid for, as it enters the tree."""
        terms, receipt = self.terms, None if self.signed is None else self.signed.receipt
        return PaidAnswer(
            self.request,
            bytes(32) if receipt is None else receipt.weights,
            self.prompt,
            self.cached,
            max(self.count - terms.known, 0),
            terms.prices.prompt,
            terms.prices.cached,
            terms.prices.completion,
            output_hash(self.tokens[: self.count]),
            bytes(32) if receipt is None else receipt.signing_hash(),
            self.due,
        )


class Purse:
    """Pays one miner from one lane.

    `refill(total)` is asked before more is promised than the deposit, and when less than `low_at`
    rao are left of it. `broken` says why the lane pays no more, if it does not, and `is_lost` that
    no other purse should go on with it.
    """

    def __init__(
        self,
        target: Target,
        offer: Offer,
        channel: ChannelFacts,
        lane: PayerLane,
        kept: LaneStore,
        caller: Caller,
        refill: Callable[[Purse, int], Awaitable[None]],
    ) -> None:
        self.target, self.offer, self.channel, self.lane = target, offer, channel, lane
        self._kept, self._caller, self._refill = kept, caller, refill
        self.total, self.low_at, self.told = lane.cumulative, 0, False
        self.broken, self.is_lost = "", False
        self.vouchers = 0
        self._wanting: dict[Tab, None] = {}
        self._undelivered: dict[bytes, int] = {}
        self._is_behind = False
        self._pumping: asyncio.Task[None] | None = None
        self._refilling: asyncio.Task[None] | None = None
        self._refill_after = 0.0

    @property
    def is_low(self) -> bool:
        """Whether more should be deposited soon."""
        return self.channel.deposit - self.total < self.low_at

    def tab(self, request: TextRequest, known: int) -> Tab:
        """The account of a new answer at the miner's present prices."""
        terms = PayTerms(self.channel.number, self.lane.lane, self.offer.prices, known)
        resumed = len(request.resume)
        left = request.max_tokens - resumed
        return Tab(self, request.id, terms, most_prompt(request), left, resumed)

    def want(self, tab: Tab) -> None:
        """Pay what a tab owes, soon."""
        self._wanting[tab] = None
        self._start()

    def deliver(self) -> None:
        """Try again to deliver what the miner has not got."""
        if self._is_behind:
            self._start()

    def _start(self) -> None:
        if self._pumping is None or self._pumping.done():
            self._pumping = asyncio.create_task(self._pump())

    async def drained(self) -> None:
        """Wait until nothing is on its way."""
        if self._pumping is not None:
            await asyncio.wait([self._pumping])

    async def _pump(self) -> None:
        is_first = True
        while not self.broken and (self._wanting or (is_first and self._is_behind)):
            is_first = False
            batch, self._wanting = list(self._wanting), {}
            try:
                if await self._promise(batch):
                    await self._deliver()
            except GanglionError as e:  # the database or the chain, when more is deposited
                self._break(str(e))

    async def _promise(self, batch: list[Tab]) -> bool:
        """Raise the lane by what these tabs owe and keep that; False if nothing is to be sent."""
        dues = [(tab, tab.due) for tab in batch]
        amount = sum(due - tab.promised for tab, due in dues)
        answers = [tab.answer() for tab in batch if tab.ended and tab.due]
        if not amount and not answers:
            return self._is_behind
        if self.total + amount > self.channel.deposit:
            await self._refill(self, self.total + amount)
        if self.total + amount > self.channel.deposit:
            self._break("its deposit is used up")
            return False
        raised = self.lane.raised(amount, [answer.leaf() for answer in answers])
        total = await self._kept.promise(raised, answers)
        if total is None:
            self.is_lost = True
            self._break("another gateway has taken its lane over")
            return False
        self.lane, self.total, self._is_behind = raised, total, True
        now = asyncio.get_running_loop().time()
        if self.is_low and now > self._refill_after:
            self._refill_after = now + REFILL_SECONDS
            self._refilling = asyncio.create_task(self._refilled())
        for tab, due in dues:
            tab.promised = due
            self._undelivered[tab.request] = due
        return True

    async def _refilled(self) -> None:
        """More for the time to come; answers go on meanwhile."""
        try:
            await self._refill(self, self.total + 2 * self.low_at)
        except GanglionError as e:
            log.warning("channel %d cannot be topped up: %s", self.channel.number, e)

    async def _deliver(self) -> None:
        """Send the lane's voucher; what cannot be delivered now goes with the next one."""
        key: Keypair = self._caller.hotkey
        signed = vouchers.sign(self.lane.voucher(self._kept.genesis), key)
        paid = tuple(islice(self._undelivered.items(), MOST_PAID))
        body = orjson.dumps(VoucherMessage(signed.to_json(), paid).to_json())
        for attempt in range(TRIES):
            try:
                await self._caller.fetch(self.target, "POST", VOUCHER_PATH, body)
            except CallFailed as e:
                if e.status in (400, 402, 404, 409):
                    self.is_lost = True
                    self._break(f"the miner does not take its vouchers: {e}")
                    return
                if attempt + 1 < TRIES:
                    await asyncio.sleep(AGAIN_SECONDS * attempt)
                continue
            self.vouchers += 1
            self._is_behind = len(paid) < len(self._undelivered)
            for request, amount in paid:
                if self._undelivered.get(request) == amount:
                    del self._undelivered[request]
            return
        log.info("uid at %s has not got its voucher: it is sent again later", self.target.url)

    def _break(self, why: str) -> None:
        self.broken = why
        log.warning("channel %d pays no more for now: %s", self.channel.number, why)
