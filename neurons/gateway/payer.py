"""The gateway as a payer: a channel for every paid miner it uses, a lane of its own in each.

Channels are found on the chain (those that name this gateway's hotkey as their signer, opened by
a coldkey say) or opened from the hotkey's own balance. Several gateways behind one database share
the channels; each has its own lanes. A channel is topped up when less than half a deposit is left
of it, and extended in time, by whoever notices first.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from ganglion import channels, ss58
from ganglion.client import Client
from ganglion.errors import GanglionError
from ganglion.wire.call import Caller
from ganglion.wire.lanes import ChannelFacts, PayerLane
from ganglion.wire.text import TextRequest
from neurons.gateway.lane_store import LaneStore
from neurons.gateway.purse import Purse, Tab
from neurons.gateway.router import Miner
from neurons.gateway.store import Store, StoreProblem
from neurons.identity import Identity

log = logging.getLogger("gateway")

KEEP_SECONDS = 15.0
FIRST_MINERS = 3
"""How many of those that a request would go to get their channels at once."""
OPEN_SECONDS = 60.0
POLL_SECONDS = 0.25
RETRY_SECONDS = 10.0
LANES = 64
WEEK_BLOCKS = 50_400
LEAST_BLOCKS = 100
"""A channel that ends sooner is extended, or not used."""


class CannotPay(GanglionError):
    """No channel to a miner can be had; the message says why."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How channels are opened: rao of the deposit (0: never), and blocks until the expiry."""

    deposit: int
    blocks: int = WEEK_BLOCKS


class Payer:
    """Use as an async context manager."""

    def __init__(
        self, client: Client, identity: Identity, caller: Caller, store: Store, terms: Terms
    ) -> None:
        self._client, self._identity, self._caller, self.terms = client, identity, caller, terms
        self.kept = LaneStore(store, identity.genesis, secrets.token_hex(8))
        self.purses: dict[str, Purse] = {}
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, tuple[float, str]] = {}
        self._keeping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Payer:
        self._keeping = asyncio.create_task(self._keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Send the last vouchers and leave the lanes to others."""
        for task in (self._keeping, *self._opening.values()):
            if task is not None:
                task.cancel()
        await asyncio.gather(*(purse.drained() for purse in list(self.purses.values())))
        try:
            await self.kept.release()
        except StoreProblem as e:
            log.warning("the lanes stay taken for a minute: %s", e)

    # --- for requests ---

    def is_ready(self, miner: Miner) -> bool:
        """Whether a miner can be asked now: it is free, or there is a purse for it."""
        purse = self.purses.get(miner.target.hotkey)
        return miner.pay is None or (purse is not None and not purse.broken)

    async def prepared(self, ranked: Sequence[Miner], least: int = 1) -> list[Miner]:
        """Those that can be asked and paid, in their order; channels to the first of the others
        are opened meanwhile, and waited for until there are `least`. CannotPay if there is none."""
        first = ranked[: max(FIRST_MINERS, least)]
        missing = [miner for miner in first if not self.is_ready(miner)]
        waiting = [self.begin(miner) for miner in missing]
        ready = [miner for miner in ranked if self.is_ready(miner)]
        while len(ready) < least and waiting:
            done, rest = await asyncio.wait(
                waiting, timeout=OPEN_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            ready, waiting = [m for m in ranked if self.is_ready(m)], list(rest) if done else []
        if not ready:
            said = {self._failed.get(m.target.hotkey, (0.0, "it takes long"))[1] for m in ranked}
            raise CannotPay("no miner can be paid: " + "; ".join(sorted(said)))
        return ready

    def tab(self, miner: Miner, request: TextRequest, known: int) -> Tab | None:
        """The account of a new answer; None if the miner is free. CannotPay without a purse."""
        if miner.pay is None:
            return None
        purse = self.purses.get(miner.target.hotkey)
        if purse is None or purse.broken:
            raise CannotPay(f"uid {miner.uid} cannot be paid now")
        purse.offer, purse.target = miner.pay, miner.target
        return purse.tab(request, known)

    def refused(self, miner: Miner) -> None:
        """A miner says that this channel does not pay it: look at the channel anew."""
        purse = self.purses.get(miner.target.hotkey)
        if purse is not None:
            purse.broken = purse.broken or "the miner refused to serve on it"

    # --- channels ---

    def begin(self, miner: Miner) -> asyncio.Task[None]:
        """Find or open the channel of a miner, once at a time."""
        hotkey = miner.target.hotkey
        task = self._opening.get(hotkey)
        if task is None or task.done():
            task = self._opening[hotkey] = asyncio.create_task(self._open(miner))
        return task

    async def _open(self, miner: Miner) -> None:
        """Find or open a miner's channel and take a lane in it."""
        hotkey, now = miner.target.hotkey, asyncio.get_running_loop().time()
        failed = self._failed.get(hotkey)
        if failed is not None and now - failed[0] < RETRY_SECONDS:
            return
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                self.purses[hotkey] = await self._purse(miner)
            self._failed.pop(hotkey, None)
        except (GanglionError, TimeoutError) as e:
            why = str(e) or "the chain took too long"
            log.warning("uid %d cannot be paid: %s", miner.uid, why)
            self._failed[hotkey] = now, why

    async def _purse(self, miner: Miner) -> Purse:
        assert miner.pay is not None
        old = self.purses.get(miner.target.hotkey)
        if old is not None:
            await old.drained()
        channel = await self._channel(miner)
        if old is not None and old.channel.number == channel.number and not old.is_lost:
            lane: PayerLane | None = old.lane
        else:
            lane = await self.kept.take(channel.number, channel.lane_limit)
        if lane is None:
            raise CannotPay(f"all {channel.lane_limit} lanes of channel {channel.number} are taken")
        purse = Purse(miner.target, miner.pay, channel, lane, self.kept, self._caller, self._refill)
        purse.total = await self.kept.promised(channel.number)
        purse.low_at = self.terms.deposit // 2 if self._is_own(channel) else 0
        log.info("uid %d is paid from channel %d, lane %d", miner.uid, channel.number, lane.lane)
        return purse

    async def _channel(self, miner: Miner) -> ChannelFacts:
        """The channel that pays a miner: known, found on the chain, or opened now."""
        hotkey = miner.target.hotkey
        while True:
            number = await self.kept.channel_of(hotkey)
            if number is not None:
                known = await self._usable(number)
                if known is not None:
                    return known
            if await self.kept.begin(hotkey):
                break
            await asyncio.sleep(POLL_SECONDS)
        channel = None
        try:
            channel = await self._found(miner) or await self._opened(miner)
        finally:
            await self.kept.end(hotkey, None if channel is None else channel.number)
        return channel

    async def _usable(self, number: int) -> ChannelFacts | None:
        found = await channels.read(await self._client.at_head(), number)
        now = await self._client.block_number()
        return found if found is not None and found.ends_at - now > LEAST_BLOCKS else None

    async def _found(self, miner: Miner) -> ChannelFacts | None:
        """The fullest channel on the chain that pays the miner by this gateway's vouchers."""
        assert miner.pay is not None
        head, now = await self._client.at_head(), await self._client.block_number()
        taken = await self.kept.others(miner.target.hotkey)
        fit = [
            channel
            for channel in await channels.of_payee(head, ss58.encode(miner.pay.payee))
            if channel.signer == self._identity.hotkey.public_key
            and channel.ends_at - now > LEAST_BLOCKS
            and channel.number not in taken
            and await self._is_known(channel)
        ]
        return max(fit, key=lambda channel: channel.deposit - channel.redeemed, default=None)

    async def _is_known(self, channel: ChannelFacts) -> bool:
        """Whether our database knows all that was promised on a channel, as far as one can see."""
        if await self.kept.promised(channel.number) >= channel.redeemed:
            return True
        log.warning(
            "channel %d has paid more than this database knows of, and is left alone: "
            "`ganglion channel close %d` gives its deposit back",
            *(channel.number, channel.number),
        )
        return False

    async def _opened(self, miner: Miner) -> ChannelFacts:
        assert miner.pay is not None
        payee = ss58.encode(miner.pay.payee)
        if not self.terms.deposit:
            own = self._identity.hotkey.address
            raise CannotPay(f"no channel to {payee} has {own} as its voucher key: open one")
        expiry = await self._client.block_number() + self.terms.blocks
        number = await channels.open_channel(
            self._client, self._identity.hotkey, payee, self.terms.deposit, expiry, LANES
        )
        log.info("opened channel %d to uid %d", number, miner.uid)
        found = await channels.read(await self._client.at_head(), number)
        if found is None:
            raise CannotPay(f"channel {number} was opened and is gone again")
        return found

    async def _refill(self, purse: Purse, total: int) -> None:
        """See that the deposit covers `total` rao, if this gateway is the payer and may; when
        another gateway is at it, wait for that one."""
        hotkey, number = purse.target.hotkey, purse.channel.number
        for _ in range(round(OPEN_SECONDS / POLL_SECONDS)):
            purse.channel = await channels.read(self._client, number) or purse.channel
            if total <= purse.channel.deposit or not self._is_own(purse.channel):
                return
            if await self.kept.begin(hotkey):
                break
            await asyncio.sleep(POLL_SECONDS)
        else:
            return
        try:
            amount = max(self.terms.deposit, total - purse.channel.deposit)
            await channels.top_up(self._client, self._identity.hotkey, number, amount)
            log.info("topped channel %d up", number)
            purse.channel = await channels.read(self._client, number) or purse.channel
        finally:
            await self.kept.end(hotkey, number)

    def _is_own(self, channel: ChannelFacts) -> bool:
        """Whether this gateway may add to a channel and put its end off."""
        is_payer = channel.payer == self._identity.hotkey.public_key
        return is_payer and self.terms.deposit > 0 and channel.closes_at is None

    # --- in the background ---

    async def _keep(self) -> None:
        """Keep lanes, channels and deliveries fresh for ever."""
        while True:
            await asyncio.sleep(KEEP_SECONDS)
            try:
                await self.keep_once()
            except GanglionError as e:
                log.warning("channels are as of the last block seen: %s", e)

    async def keep_once(self) -> None:
        """One round: tell others that our lanes are ours, look after each channel, deliver."""
        await self.kept.beat()
        now = await self._client.block_number()
        for hotkey, purse in list(self.purses.items()):
            purse.deliver()
            if purse.broken:
                continue
            fresh = await channels.read(await self._client.at_head(), purse.channel.number)
            if fresh is None or fresh.closes_at is not None:
                purse.broken = "its channel is closing"
                continue
            purse.channel, purse.total = fresh, await self.kept.promised(fresh.number)
            await self._look_after(hotkey, purse, now)

    async def _look_after(self, hotkey: str, purse: Purse, now: int) -> None:
        """Top a channel up that is low, extend one whose time is three quarters over."""
        channel = purse.channel
        if not self._is_own(channel):
            if purse.total * 10 > channel.deposit * 9 and not purse.told:
                purse.told = True
                log.warning("channel %d is almost used: its payer should add", channel.number)
            return
        if purse.is_low:
            await self._refill(purse, purse.total + self.terms.deposit)
        if channel.expiry - now < self.terms.blocks // 4 and await self.kept.begin(hotkey):
            try:
                expiry = now + self.terms.blocks
                await channels.extend(self._client, self._identity.hotkey, channel.number, expiry)
            finally:
                await self.kept.end(hotkey, channel.number)
