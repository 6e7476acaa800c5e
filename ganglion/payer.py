"""A program that pays miners by itself, while their answers stream.

    async with Inference(2, key, payer=Payer("0.1")) as subnet:
        answer = await subnet.ask("What does json.dumps do?")

A channel of `deposit` TAO is opened from the key's balance to every paid miner that is asked;
those that there are already are used. What is promised is on the disk before it is sent, so keep
the file: a program that forgets it starts anew with other channels. One program a file. Many
programs, or many requests at once, are what a gateway is for.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from ganglion import channels, ss58
from ganglion.balance import Balance
from ganglion.client import Client
from ganglion.errors import GanglionError
from ganglion.keys import Keypair
from ganglion.voucher_file import VoucherFile
from ganglion.wire import vouchers
from ganglion.wire.call import Caller, CallFailed, Target
from ganglion.wire.fields import BadMessage, load_object
from ganglion.wire.lanes import ChannelFacts, PayerLane
from ganglion.wire.paid import CHUNK, VOUCHER_PATH, Offer, PayTerms, VoucherMessage
from ganglion.wire.text import TextAnswer, TextRequest, most_prompt

log = logging.getLogger(__name__)

BLOCKS = 50_400
LEAST_BLOCKS = 100
LANE = 0


@dataclass(slots=True)
class _Lane:
    """What is promised to one miner, and who may promise more at a time."""

    target: Target
    offer: Offer
    channel: ChannelFacts
    state: PayerLane
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Payer:
    """Pays from one file of promises. `max_price`: rao per million tokens, None: any."""

    def __init__(
        self,
        deposit: str,
        file: Path | str = "ganglion-payments.db",
        max_price: int | None = None,
    ) -> None:
        self.deposit, self.max_price = Balance.tao(deposit).as_rao(), max_price
        self._file = VoucherFile(Path(file))
        self._lanes: dict[str, _Lane] = {}
        self._genesis = b""

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    async def payment(
        self, client: Client, caller: Caller, target: Target, request: TextRequest, known: int
    ) -> Payment | None:
        """The account of an answer about to be asked for; None if the miner is free.

        CallFailed if it cannot be paid: too dear, no funds, or a channel that does not do.
        """
        lane = self._lanes.get(target.hotkey)
        if lane is None or lane.target != target:
            offer = await self._offer(caller, target)
            if offer is None:
                return None
            try:
                lane = await self._lane(client, caller.hotkey, target, offer)
            except GanglionError as e:
                raise CallFailed("refused", f"it cannot be paid: {e}") from e
            self._lanes[target.hotkey] = lane
        terms = PayTerms(lane.channel.number, LANE, lane.offer.prices, known)
        return Payment(self, client, caller, lane, terms, request)

    async def _offer(self, caller: Caller, target: Target) -> Offer | None:
        try:
            said = load_object(await caller.fetch(target, "GET", "/status")).get("text")
            if not isinstance(said, dict) or "pay" not in said:
                return None
            offer = Offer.from_json(said["pay"])
        except BadMessage as e:
            raise CallFailed("bad-format", f"its status is malformed: {e}") from e
        if self.max_price is not None and offer.prices.highest > self.max_price:
            dearest = offer.prices.highest
            raise CallFailed("refused", f"it asks {dearest} rao per million tokens: too dear")
        return offer

    async def _lane(self, client: Client, key: Keypair, target: Target, offer: Offer) -> _Lane:
        """The channel to a miner, found or opened, and what was promised on it."""
        self._genesis = bytes.fromhex(client.genesis_hash.removeprefix("0x"))
        promised = {
            signed.voucher.channel: signed.voucher
            for signed in self._file.load()
            if signed.voucher.genesis == self._genesis
        }
        now = await client.block_number()
        for channel in await channels.of_payee(await client.at_head(), ss58.encode(offer.payee)):
            known = promised.get(channel.number)
            is_ours = channel.signer == key.public_key and (known is not None or not channel.lanes)
            if is_ours and channel.ends_at - now > LEAST_BLOCKS:
                state = PayerLane(channel.number, LANE)
                if known is not None:
                    state = PayerLane(channel.number, LANE, known.nonce, known.cumulative)
                return _Lane(target, offer, channel, state)
        payee = ss58.encode(offer.payee)
        number = await channels.open_channel(client, key, payee, self.deposit, now + BLOCKS, 1)
        opened = await channels.read(client, number)
        if opened is None:
            raise GanglionError(f"channel {number} was opened and is gone again")
        return _Lane(target, offer, opened, PayerLane(number, LANE))

    def forget(self, target: Target) -> None:
        """Look the channel to a miner up again before the next answer."""
        self._lanes.pop(target.hotkey, None)

    async def promise(
        self, client: Client, caller: Caller, lane: _Lane, request: bytes, due: int, paid: int
    ) -> None:
        """Raise a lane by what an answer owes beyond what was paid, keep it, send it."""
        async with lane.lock:
            total = lane.state.cumulative + due - paid
            if total > lane.channel.deposit:
                amount = max(self.deposit, total - lane.channel.deposit)
                await channels.top_up(client, caller.hotkey, lane.channel.number, amount)
                fresh = await channels.read(client, lane.channel.number)
                lane.channel = fresh or lane.channel
            lane.state = lane.state.raised(due - paid)
            signed = vouchers.sign(lane.state.voucher(self._genesis), caller.hotkey)
            await asyncio.to_thread(self._file.put, [signed])
            message = VoucherMessage(signed.to_json(), ((request, due),))
            body = orjson.dumps(message.to_json())
            await caller.fetch(lane.target, "POST", VOUCHER_PATH, body)


class Payment:
    """One answer's account: pays whenever half the credit has arrived, and the rest at the end."""

    def __init__(
        self,
        payer: Payer,
        client: Client,
        caller: Caller,
        lane: _Lane,
        terms: PayTerms,
        request: TextRequest,
    ) -> None:
        self._payer, self._client, self._caller, self._lane = payer, client, caller, lane
        self.terms, self._request = terms, request
        self._half = terms.prices.cost(0, lane.offer.credit * CHUNK // 2)
        self.paid = 0

    async def arrived(self, answer: TextAnswer, ended: bool) -> None:
        """So much is here. BadMessage if it is more than there can be; CallFailed if it cannot
        be paid while there is more to come."""
        prompt, tokens, request = answer.prompt_tokens, len(answer.tokens), self._request
        if prompt > most_prompt(request) or tokens > request.max_tokens - len(request.resume):
            raise BadMessage("it counts more tokens than the request can have")
        prompt, cached = prompt + len(request.resume), answer.cached_tokens
        if cached > prompt:
            raise BadMessage("it counts more tokens as cached than it had to read")
        due = self.terms.due(prompt, tokens, cached)
        step = 1 if ended else max(self._half, 1)
        if due - self.paid < step:
            return
        paid, self.paid = self.paid, due
        try:
            await self._payer.promise(self._client, self._caller, self._lane, request.id, due, paid)
        except GanglionError as e:
            if isinstance(e, CallFailed) and e.status in (402, 404, 409):
                self._payer.forget(self._lane.target)  # look for the channel anew next time
            log.info("a voucher did not reach %s: %s", self._lane.target.url, e)
            if not ended:
                raise CallFailed("refused", f"it cannot be paid: {e}") from e
