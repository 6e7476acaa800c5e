"""The till of a paying miner: who may ask, what each answer owes, and the vouchers that pay it.

A token is sent only while what is unpaid of its answer stays within the credit, one chunk of 32
tokens by default; the prompt is read on credit as well, until the first voucher. A voucher is on
the disk before it counts. What a caller leaves unpaid when it goes is forgiven to a degree: answers
break off without anybody's fault, and what was sent then need not have arrived.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import orjson

from ganglion import ss58
from ganglion.errors import GanglionError
from ganglion.voucher_file import VoucherFile, VoucherFileProblem
from ganglion.wire.fields import BadMessage
from ganglion.wire.lanes import BadVoucher, ChannelFacts, PayeeLedger
from ganglion.wire.paid import CHUNK, Offer, PayTerms, VoucherMessage
from ganglion.wire.text import error_event
from ganglion.wire.vouchers import SignedVoucher
from neurons.http import Refusal, Reply, Signed, json_response
from neurons.miner.textgen import Event, Order

log = logging.getLogger("miner")

PATIENCE_SECONDS = 10.0
"""How long a stream waits for a voucher, and an answer that has ended for its last one."""
LAST_BLOCKS = 10
"""A channel that ends so soon buys nothing more: its vouchers must reach the chain."""
LEFT_UNPAID = 4.0
LEFT_SHARE = 8
"""Credits that a channel may leave unpaid: so many, and one more for every so many answers."""
ASK_AGAIN_SECONDS = 2.0
MOST_ASKED = 1024
MOST_LOOKUPS = 50
"""Channels that are looked up on the chain within a second."""

Find = Callable[[int], Coroutine[Any, Any, ChannelFacts | None]]


@dataclass(slots=True, eq=False)
class Bill:
    """One answer's account: tokens sent, rao paid; `cached` of the prompt's were in the cache."""

    name: tuple[bytes, bytes]
    terms: PayTerms
    prompt: int
    credit: int
    sent: int = 0
    paid: int = 0
    cached: int = 0
    ended: bool = False
    paid_more: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def due(self) -> int:
        """Rao owed for what was sent, whether paid or not."""
        return self.terms.due(self.prompt, self.sent, self.cached)

    def may_send(self, tokens: int) -> bool:
        """Whether so many more tokens stay within the credit."""
        prices = self.terms.prices
        read, cached = self.prompt, self.cached
        if self.paid >= prices.cost(read, 0, cached):
            read = cached = 0
        limit = self.paid + prices.cost(read, self.credit * CHUNK, cached)
        return self.terms.due(self.prompt, self.sent + tokens, self.cached) <= limit


class Till:
    """One miner's. `find` asks the chain for a channel; `is_free` tells who need not pay."""

    def __init__(
        self,
        genesis: bytes,
        offer: Offer,
        kept: VoucherFile,
        find: Find,
        is_free: Callable[[bytes], bool] = lambda caller: False,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self.offer, self.kept, self.patience = offer, kept, patience
        self._find, self._is_free = find, is_free
        self.ledger = PayeeLedger(genesis)
        for signed in kept.load():
            self.ledger.take(signed)
        self.channels: dict[int, ChannelFacts] = {}
        self.now = 0
        self._bills: dict[tuple[bytes, bytes], Bill] = {}
        self._allocated = {key: v.voucher.cumulative for key, v in self.ledger.best.items()}
        self._left: defaultdict[int, float] = defaultdict(float)
        self._settled: Counter[int] = Counter()
        self._payers: Counter[bytes] = Counter()
        self._asked: dict[int, tuple[float, asyncio.Future[ChannelFacts | None] | None]] = {}
        self._one_at_a_time = asyncio.Lock()
        self._second, self._lookups = 0, 0

    # --- channels ---

    def update(self, now: int, channels: Iterable[ChannelFacts]) -> None:
        """Take over the channels that name this miner, as of block `now`."""
        self.now, self.channels = now, {channel.number: channel for channel in channels}

    async def _channel(self, number: int, fresh: bool = False) -> ChannelFacts:
        """A channel that pays this miner; Refusal if there is none. `fresh`: as of now."""
        known = self.channels.get(number)
        if known is None or fresh:
            known = await self._looked_up(number) or known
        if known is None:
            payee = ss58.encode(self.offer.payee)
            raise _owed(f"no channel {number} pays {payee}: open one with `ganglion channel open`")
        return known

    async def _looked_up(self, number: int) -> ChannelFacts | None:
        """A channel as the chain has it, asked for once by all who wait, and not again at once."""
        asked, looking = self._asked.get(number, (-ASK_AGAIN_SECONDS, None))
        if time.monotonic() - asked > ASK_AGAIN_SECONDS:
            if len(self._asked) >= MOST_ASKED:
                self._asked.clear()
            self._pace()
            looking = asyncio.ensure_future(self._find(number))
            self._asked[number] = time.monotonic(), looking
        if looking is None:
            return None
        try:
            found = await asyncio.shield(looking)
        except GanglionError as e:
            log.warning("channel %d cannot be looked up: %s", number, e)
            return None
        if found is None or found.payee != self.offer.payee:
            return None
        self.channels[number] = found
        return found

    def _pace(self) -> None:
        """Refusal when strangers make this miner ask the chain too often."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._lookups = second, 0
        self._lookups += 1
        if self._lookups > MOST_LOOKUPS:
            raise Refusal(503, "busy", "too many new channels at once: try again", 1)

    async def _admitted(self, terms: PayTerms, caller: bytes, prompt: int) -> ChannelFacts:
        """The channel of a request that may run; Refusal with status 402 if it may not."""
        channel, number = await self._channel(terms.channel), terms.channel
        asked = self.offer.prices
        if not terms.prices.covers(asked):
            raise _owed(f"this miner asks {asked.to_json()} rao a million tokens: agree to that")
        if caller not in (channel.signer, channel.payer):
            raise _owed(f"channel {number} is another caller's: open one of your own")
        if terms.lane >= channel.lane_limit:
            raise _owed(f"channel {number} has lanes 0 to {channel.lane_limit - 1}: use one")
        if channel.closes_at is not None:
            raise _owed(f"channel {number} is closing: open another")
        if channel.ends_at - self.now <= LAST_BLOCKS:
            raise _owed(f"channel {number} ends at block {channel.ends_at}: open another")
        if self._left[number] > LEFT_UNPAID + self._settled[number] // LEFT_SHARE:
            raise _owed(f"channel {number} has left too many answers unpaid: open another")
        least = terms.prices.cost(prompt, CHUNK)
        if self._room(channel) < least:
            channel = await self._channel(number, fresh=True)
        if self._room(channel) < least:
            left = max(self._room(channel), 0)
            raise _owed(f"channel {number} has {left} rao left and this may cost more: top it up")
        return channel

    def _room(self, channel: ChannelFacts) -> int:
        """Rao of a deposit that are neither promised nor owed."""
        owed = sum(
            bill.due - bill.paid
            for bill in self._bills.values()
            if bill.terms.channel == channel.number and bill.due > bill.paid
        )
        return channel.deposit - self.ledger.promised(channel) - owed

    def closed(self, number: int) -> None:
        """Forget a channel that is no more; its vouchers are worth nothing now."""
        self.channels.pop(number, None)
        self.ledger.forget(number)
        self.kept.drop(number)
        for table in (self._left, self._settled):
            table.pop(number, None)
        for key in [key for key in self._allocated if key[0] == number]:
            del self._allocated[key]

    def paid_by(self, caller: bytes) -> int:
        """How many answers a caller has paid in full since this miner started."""
        return self._payers[caller]

    # --- answers ---

    async def metered(self, order: Order, events: AsyncIterator[Event]) -> AsyncIterator[Event]:
        """The events of an answer, held back where they are not paid for; Refusal with status 402
        if the caller may not ask."""
        # what another miner wrote before has to be read like a prompt
        terms, prompt = order.request.pay, len(order.job.prompt) + len(order.request.resume)
        if terms is None:
            if self._is_free(order.caller):
                return events
            raise _owed(
                "this miner is paid: open a channel to the payee in its /status and name it in "
                "the field pay"
            )
        await self._admitted(terms, order.caller, prompt)
        bill = Bill((order.caller, order.request.id), terms, prompt, self.offer.credit)
        if bill.name in self._bills:
            raise Refusal(400, "request", "an answer with this id is not paid yet: use a new id")
        self._bills[bill.name] = bill
        return self._held_back(bill, events)

    async def _held_back(self, bill: Bill, events: AsyncIterator[Event]) -> AsyncIterator[Event]:
        try:
            async with aclosing(events) as stream:  # type: ignore[type-var]
                async for name, data in stream:
                    if name == "tokens":
                        said = orjson.loads(data)
                        tokens = len(said["tokens"])
                        bill.cached = said.get("cached_tokens", bill.cached)
                        if not (bill.may_send(tokens) or await self._paid(bill, tokens)):
                            yield error_event("payment", self._wanted(bill))
                            return
                        bill.sent += tokens
                    yield name, data
        finally:
            self._ended(bill)

    async def _paid(self, bill: Bill, tokens: int) -> bool:
        """Wait until so many more tokens may be sent; False if no voucher came in time."""
        try:
            async with asyncio.timeout(self.patience):
                while not bill.may_send(tokens):
                    bill.paid_more.clear()
                    await bill.paid_more.wait()
        except TimeoutError:
            return False
        return True

    def _wanted(self, bill: Bill) -> str:
        terms = bill.terms
        return (
            f"{bill.due - bill.paid} rao of this answer are unpaid: post a voucher on channel "
            f"{terms.channel}, lane {terms.lane}, to /v1/voucher while the answer runs"
        )

    def _ended(self, bill: Bill) -> None:
        """The last voucher may still be on its way."""
        bill.ended = True
        if bill.paid >= bill.due:
            self._judge(bill)
        else:
            asyncio.get_running_loop().call_later(self.patience, self._judge, bill)

    def _judge(self, bill: Bill) -> None:
        if self._bills.get(bill.name) is not bill:
            return
        del self._bills[bill.name]
        channel, unpaid = bill.terms.channel, bill.due - bill.paid
        self._settled[channel] += 1
        if unpaid <= 0 < bill.paid:
            self._payers[bill.name[0]] += 1
        elif unpaid > 0:
            self._left[channel] += unpaid / bill.terms.prices.cost(bill.prompt, bill.credit * CHUNK)
            log.info("channel %d leaves %d rao of an answer unpaid", channel, unpaid)

    # --- vouchers ---

    async def voucher(self, signed: Signed) -> Reply:
        """POST /v1/voucher: keep it, then let the answers go on that it pays."""
        try:
            message = VoucherMessage.from_bytes(signed.body)
            voucher = SignedVoucher.from_json(message.voucher)
        except BadMessage as e:
            raise Refusal(400, "voucher", str(e)) from e
        async with self._one_at_a_time:
            await self._take(voucher, message.paid, signed.caller)
        held = voucher.voucher
        return json_response({"lane": held.lane, "nonce": held.nonce})

    async def _take(
        self, signed: SignedVoucher, paid: tuple[tuple[bytes, int], ...], caller: bytes
    ) -> None:
        voucher = signed.voucher
        channel, key = await self._channel(voucher.channel), (voucher.channel, voucher.lane)
        if caller not in (channel.signer, channel.payer):
            raise _owed(f"channel {voucher.channel} is another caller's")
        held = self.ledger.best.get(key)
        is_again = held is not None and held.voucher == voucher  # our reply to it was lost
        if not is_again:
            await self._check(channel, signed)
        bills = [(self._bills.get((caller, identity)), amount) for identity, amount in paid]
        more = [(bill, amount) for bill, amount in bills if bill and amount > bill.paid]
        given = sum(amount - bill.paid for bill, amount in more)
        free = voucher.cumulative - self._allocated.get(key, 0)
        if given > free:
            raise Refusal(400, "voucher", f"it adds {free} rao and is to pay {given} of answers")
        if not is_again:
            await self._keep(signed)
        self._allocated[key] = voucher.cumulative - free + given
        for bill, amount in more:
            bill.paid = max(bill.paid, amount)
            bill.paid_more.set()
            if bill.ended and bill.paid >= bill.due:
                self._judge(bill)

    async def _keep(self, signed: SignedVoucher) -> None:
        """On the disk first; Refusal if it does not get there."""
        try:
            await asyncio.to_thread(self.kept.put, [signed])
        except VoucherFileProblem as e:
            log.error("%s", e)
            raise Refusal(503, "voucher", "this miner cannot keep vouchers now", 5) from e
        self.ledger.take(signed)

    async def _check(self, channel: ChannelFacts, signed: SignedVoucher) -> None:
        """Refusal unless the chain would take the voucher."""
        try:
            self.ledger.check(channel, signed)
        except BadVoucher:  # the deposit may have been topped up since
            fresh = await self._channel(channel.number, fresh=True)
            try:
                self.ledger.check(fresh, signed)
            except BadVoucher as e:
                raise Refusal(409, "voucher", str(e)) from e


def _owed(message: str) -> Refusal:
    return Refusal(402, "payment", message)
