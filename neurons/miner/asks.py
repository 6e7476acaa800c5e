"""`neuron-miner --post-ask`: the miner's price and capacity on the chain, renewed in time."""

from __future__ import annotations

import argparse
import asyncio
import logging
from contextlib import AsyncExitStack

from ganglion import market
from ganglion.balance import Balance
from ganglion.errors import GanglionError
from ganglion.market import AskFacts
from neurons import program
from neurons.chainlink import ChainLink, ChainProblem

log = logging.getLogger("miner")

ASK_BLOCKS = 1_200
"""Blocks for which an ask is posted; it is renewed when half of them are over."""
LOOK_SECONDS = 30.0
FEES = 10_000_000
"""Rao that the hotkey should have for fees beside the deposit."""


def ask_options(made: program.Options) -> None:
    """The options of a miner that asks on the chain."""
    made.add_argument(
        "--post-ask",
        action="store_true",
        help="publish --price and --capacity on the chain, where leases are bid for; the hotkey "
        "reserves a deposit; see docs/markets.md",
    )
    made.add_argument(
        "--capacity",
        type=program.whole(1, (1 << 32) - 1),
        default=1_000,
        metavar="TOKENS",
        help="output tokens a block that --post-ask offers",
    )


class AskKeeper:
    """Keeps one ask of a hotkey on the chain."""

    def __init__(
        self, chain: ChainLink, model: str, price: int, capacity: int, cached: int | None = None
    ) -> None:
        self._chain, self._model = chain, model
        self._price, self._capacity = price, capacity
        self._cached = price if cached is None else cached

    async def standing(self) -> AskFacts | None:
        """This miner's ask, if it has one."""
        hotkey = self._chain.hotkey.address
        asks = await market.asks(await self._chain.client.at_head(), self._chain.netuid)
        return next((a for a in asks if (a.hotkey, a.model) == (hotkey, self._model)), None)

    async def renew(self) -> bool:
        """Post the ask if there is none like it, or half of its time is over; whether it was.

        ChainProblem if the hotkey cannot back it.
        """
        client = self._chain.client
        ask, price = await self.standing(), await self._least()
        late = await client.block_number() + ASK_BLOCKS // 2
        wanted = self._price, self._cached, self._capacity
        # that the base fee has moved is no reason: an ask that stands may stay
        if (
            ask is not None
            and (ask.prompt, ask.cached, ask.capacity) == wanted
            and ask.expires > late
        ):
            return False
        if ask is None:
            await self._ensure_funds()
        call = await client.compose(
            market.MARKET,
            "post_ask",
            netuid=self._chain.netuid,
            model=self._model.encode(),
            hotkey=self._chain.hotkey.address,
            prices={"prompt": self._price, "cached": self._cached, "completion": price},
            capacity=max(self._capacity, ask.leased if ask else 0),
            blocks=ASK_BLOCKS,
        )
        (await client.submit(call, self._chain.hotkey)).check()
        log.info("the chain says that we ask %d rao for a million tokens of answers", price)
        return True

    async def _least(self) -> int:
        """The asked price, or the base fee if that is higher."""
        least = await market.base_fee(self._chain.client, self._chain.netuid, self._model)
        return max(self._price, least)

    async def _ensure_funds(self) -> None:
        client, hotkey = self._chain.client, self._chain.hotkey.address
        flat = await client.constant(market.MARKET, "AskDeposit")
        each = await client.constant(market.MARKET, "CapacityDeposit")
        need = Balance(int(flat) + int(each) * self._capacity + FEES)
        funds = await client.balance(hotkey)
        if funds.as_rao() < need.as_rao():
            raise ChainProblem(
                f"--post-ask needs {need} on the hotkey for a deposit and fees, and {hotkey} has "
                f"{funds}: send it some TAO, or offer less --capacity"
            )

    async def keep(self) -> None:
        """Renew for ever; the ask stands for a while without us."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.renew()
            except GanglionError as e:
                log.warning("the ask on the chain could not be renewed: %s", e)


async def post_ask(
    options: argparse.Namespace, chain: ChainLink, model: str, stack: AsyncExitStack
) -> None:
    """Post the ask if the options want it, and renew it until the stack unwinds."""
    if not options.post_ask:
        return
    if not await market.has_market(chain.client):
        raise ChainProblem("this chain has no market to ask on: leave out --post-ask")
    price, cached = options.price, options.price_cached
    keeper = AskKeeper(chain, model, price, options.capacity, cached)
    await keeper.renew()
    keeping = asyncio.create_task(keeper.keep())
    stack.callback(keeping.cancel)
