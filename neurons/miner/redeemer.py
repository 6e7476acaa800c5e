"""Bringing vouchers to the chain: seldom, but before a channel ends; and the options of --paid."""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from ganglion import channels, ss58
from ganglion.client import Client
from ganglion.errors import GanglionError, InvalidAddress
from ganglion.keys import Keypair
from ganglion.voucher_file import VoucherFile
from ganglion.wire.lanes import ChannelFacts
from ganglion.wire.paid import Offer, UnitPrices
from ganglion.wire.vouchers import SignedVoucher
from neurons import program
from neurons.identity import Identity
from neurons.miner.till import LAST_BLOCKS, Till

log = logging.getLogger("miner")

WATCH_SECONDS = 3.0
"""How often the chain is looked at for channels that begin to close."""
SECONDS_A_CHANNEL = 0.05
AHEAD_BLOCKS = 5 * LAST_BLOCKS
"""How long before its end a channel's vouchers are redeemed."""
WORTH_FEES = 10
"""How many times the fee a redemption must bring while there is still time."""
LAST_SECONDS = 30.0


class Redeemer:
    """Watches the channels that pay one account and redeems what its till holds."""

    def __init__(self, client: Client, hotkey: Keypair, till: Till, every: int) -> None:
        self._client, self._hotkey, self._till, self._every = client, hotkey, till, every
        self._last = 0
        self._said = ""

    async def refresh(self) -> None:
        """Read the channels; those that are gone are forgotten."""
        head = await self._client.at_head()
        number = (await self._client.header(head.at_hash)).number
        found = await channels.of_payee(head, ss58.encode(self._till.offer.payee))
        known = {channel.number for channel in found}
        for gone in {channel for channel, _ in self._till.ledger.best} - known:
            if await channels.read(head, gone) is None:
                self._till.closed(gone)
        self._last = self._last or number
        self._till.update(number, found)

    async def redeem_due(self) -> int:
        """Redeem what must not wait, and all that is worth it every so many blocks; how many
        vouchers that were."""
        till = self._till
        urgent: list[SignedVoucher] = []
        rest: list[SignedVoucher] = []
        for channel in till.channels.values():
            is_urgent = channel.ends_at - till.now <= AHEAD_BLOCKS or channel.closes_at is not None
            (urgent if is_urgent else rest).extend(self._of(channel))
        if till.now - self._last >= self._every:
            self._last = till.now
            urgent += await self._worth(rest, WORTH_FEES)
        return await self._redeem(await self._worth(urgent, 1))

    async def redeem_all(self) -> int:
        """Redeem whatever brings more than its fee; how many vouchers that were."""
        await self.refresh()
        held = [signed for channel in self._till.channels.values() for signed in self._of(channel)]
        return await self._redeem(await self._worth(held, 1))

    def _of(self, channel: ChannelFacts) -> list[SignedVoucher]:
        return self._till.ledger.redeemable(channel)

    async def _worth(self, vouchers: list[SignedVoucher], fees: int) -> list[SignedVoucher]:
        """The vouchers, if together they bring so many times the fee."""
        if not vouchers:
            return []
        args = [signed.call_args() for signed in vouchers[: channels.MOST_VOUCHERS]]
        call = await self._client.compose(channels.PALLET, "redeem", vouchers=args)
        fee = (await self._client.fee(call, self._hotkey)).as_rao()
        return vouchers if sum(map(self._new, vouchers)) > fees * fee else []

    def _new(self, signed: SignedVoucher) -> int:
        voucher = signed.voucher
        lanes = self._till.channels[voucher.channel].lanes
        return voucher.cumulative - lanes.get(voucher.lane, (0, 0))[1]

    async def _redeem(self, vouchers: list[SignedVoucher]) -> int:
        if not vouchers:
            return 0
        amount = sum(map(self._new, vouchers))
        await channels.redeem(self._client, self._hotkey, vouchers)
        log.info("redeemed %d vouchers, %d rao", len(vouchers), amount)
        await self.refresh()
        return len(vouchers)

    async def keep(self) -> None:
        """Watch and redeem for ever; the vouchers wait while the chain is away."""
        while True:
            many = len(self._till.channels) * SECONDS_A_CHANNEL
            await asyncio.sleep(max(WATCH_SECONDS, many))
            try:
                await self.refresh()
                await self.redeem_due()
                self._said = ""
            except GanglionError as e:
                if str(e) != self._said:
                    log.warning("vouchers are kept, and redeemed later: %s", e)
                self._said = str(e)

    async def last(self) -> None:
        """At the end of the program: redeem what is worth it, or say where it is kept."""
        try:
            async with asyncio.timeout(LAST_SECONDS):
                await self.redeem_all()
        except (GanglionError, TimeoutError) as e:
            log.warning("vouchers are kept for the next start: %s", e or "the chain took too long")


def pay_options(made: program.Options) -> None:
    """The options of a miner that is paid by the chunk."""
    made.add_argument(
        "--paid",
        action="store_true",
        help="serve only who pays, at --price, through a payment channel; see docs/payments.md",
    )
    made.add_argument(
        "--payee", type=_address, metavar="ADDRESS", help="who earns; default: the hotkey"
    )
    made.add_argument(
        "--credit",
        type=program.whole(1, 1024),
        default=1,
        metavar="CHUNKS",
        help="chunks of 32 tokens that an answer may be ahead of its vouchers",
    )
    made.add_argument(
        "--redeem-every",
        type=program.whole(1, 1 << 30),
        default=300,
        metavar="BLOCKS",
        help="bring vouchers to the chain so often, and before a channel ends (default: "
        "%(default)s)",
    )
    made.add_argument(
        "--vouchers",
        type=Path,
        metavar="FILE",
        help="where vouchers are kept; default: ganglion-vouchers-HOTKEY.db",
    )
    made.add_argument("--charge-validators", action="store_true", help="let validators pay as well")


def cached_price(options: argparse.Namespace) -> int:
    """What a token of a prompt costs that is in the cache, in rao per million."""
    return int(options.price if options.price_cached is None else options.price_cached)


def _address(text: str) -> bytes:
    try:
        return ss58.decode(text)
    except InvalidAddress as e:
        raise argparse.ArgumentTypeError(str(e)) from None


async def open_till(
    options: argparse.Namespace,
    identity: Identity,
    client: Client,
    is_free: Callable[[bytes], bool],
    stack: AsyncExitStack,
) -> Till | None:
    """The till that the options ask for, watched and emptied until the stack closes."""
    if not options.paid:
        return None
    hotkey = identity.hotkey
    file = options.vouchers or Path(f"ganglion-vouchers-{hotkey.address}.db")
    kept = VoucherFile(file)
    stack.callback(kept.close)
    prices = UnitPrices(options.price, cached_price(options), options.price)
    offer = Offer(options.payee or hotkey.public_key, prices, options.credit)

    async def find(number: int) -> ChannelFacts | None:
        return await channels.read(await client.at_head(), number)

    till = Till(identity.genesis, offer, kept, find, is_free)
    redeemer = Redeemer(client, hotkey, till, options.redeem_every)
    await redeemer.refresh()
    if not (await client.balance(hotkey.address)).as_rao():
        log.warning("%s has no TAO for the fees of redeeming: send it 0.1 TAO", hotkey.address)
    watching = asyncio.create_task(redeemer.keep())
    stack.push_async_callback(redeemer.last)
    stack.callback(watching.cancel)
    log.info("paid %d rao a million tokens; vouchers are kept in %s", options.price, file)
    return till
