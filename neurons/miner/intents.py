"""`neuron-miner --fill-intents`: quote for intents that payers bring, and deliver on those won.

A payer brings its signed intent and the task. If this miner can do the task and its price is not
above the payer's, it quotes its price on the chain, once; a cheaper quote of somebody else ends
the matter. When the deadline has come and the quote stands, the task is done, and the hash of its
result delivered. What was quoted for is in the file of tasks, so a restart breaks no promise.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from ganglion import intents, ss58
from ganglion.client import Client
from ganglion.errors import GanglionError, TransactionFailed
from ganglion.hashing import blake2_256
from ganglion.header import Header
from ganglion.intents import PALLET, Standing
from ganglion.keys import CryptoType
from ganglion.view import Reads
from ganglion.wire import fields
from ganglion.wire.fields import BadMessage
from ganglion.wire.intents import Intent, SignedIntent
from ganglion.wire.tasks import INTENT_PATH, MAX_TASK, request_of
from neurons import program
from neurons.chainlink import ChainLink, ChainProblem
from neurons.http import Answer, Handler, Refusal, Reply, Signed, json_response
from neurons.miner.tasks import Overloaded, TaskFile, compute
from neurons.miner.textgen import TextService

log = logging.getLogger("miner")

AGAIN_SECONDS = 3.0
MOST_OPEN, MOST_OF_PAYER = 64, 4
LEAST_DELIVER = 5
"""Blocks that the winner must have at the least."""
MOST_AHEAD = 600
"""Blocks for which a quote's deposit may be bound before the deadline."""
MILLION = 1_000_000
FEES = 10_000_000
"""Rao that the hotkey should have beside the deposits of its quotes."""


@dataclass(slots=True)
class Offered:
    """An intent that was brought, and what this miner asks for it."""

    signed: SignedIntent
    least: int
    quoted: bool = False
    acted: int = 0  # the block of what this miner did last; older ones tell nothing

    @property
    def intent(self) -> Intent:
        """The intent itself."""
        return self.signed.intent


class IntentFiller:
    """Fills intents of one subnet with one service.

    `price` is rao per million tokens, `least` what is asked whatever the size.
    """

    def __init__(
        self, chain: ChainLink, service: TextService, file: TaskFile, price: int, least: int
    ) -> None:
        self._chain, self._service, self._file = chain, service, file
        self._price, self._least = price, least
        self._me = chain.hotkey.address
        self._open: dict[bytes, Offered] = {}
        self._tasks: dict[bytes, asyncio.Task[None]] = {}
        self._block = 0
        self.filled = 0
        for kept in file.with_terms():
            signed = SignedIntent.from_hex(kept.terms.decode())
            if signed.intent.genesis != chain.genesis:
                continue
            try:
                least = self._asks(signed.intent, kept.task)
            except BadMessage as e:
                log.warning("intent 0x%s cannot be filled any more: %s", kept.name.hex(), e)
            else:
                self._open[kept.name] = Offered(signed, least, True)

    @property
    def _client(self) -> Client:
        return self._chain.client

    def _asks(self, intent: Intent, task: bytes) -> int:
        """What this miner asks for a task, in rao; BadMessage if it cannot do it."""
        asked = request_of(task, self._service.card.name, intent.id())
        order = self._service.accept(asked.to_bytes(), intent.payer)
        tokens = len(order.job.prompt) + asked.max_tokens
        return max(self._least, -(-self._price * tokens // MILLION))

    # -- the chain --------------------------------------------------------------------------------

    async def keep(self) -> None:
        """Look at every block, for ever."""
        while True:
            try:
                async for header in self._client.blocks():
                    await self.on_block(header)
            except GanglionError as e:
                log.warning("intents wait until the chain is back: %s", e)
            await asyncio.sleep(AGAIN_SECONDS)

    async def on_block(self, header: Header) -> None:
        """What is to be done as of a block, for every intent that was brought."""
        self._block, view = header.number, self._client.at(header.hash)
        open_ = list(self._open.items())
        await asyncio.gather(*(self._one(view, header.number, *one) for one in open_))

    async def _one(self, view: Reads, block: int, name: bytes, offered: Offered) -> None:
        """The same for one intent, whatever goes wrong with it."""
        try:
            await self._look(view, block, name, offered)
        except TransactionFailed as e:
            log.info("intent 0x%s is left to others: %s", name.hex(), e)
            self._forget(name)
        except GanglionError as e:
            log.warning("intent 0x%s waits for the next block: %s", name.hex(), e)

    def _forget(self, name: bytes) -> None:
        """An intent is over, or another's."""
        self._open.pop(name, None)
        kept = self._file.get(name)
        if kept is not None and kept.result is None:
            self._file.drop(name)

    async def _look(self, view: Reads, block: int, name: bytes, offered: Offered) -> None:
        if block < offered.acted:
            return
        intent, standing = offered.intent, await intents.read(view, name)
        is_mine = standing is not None and standing.hotkey == self._me
        if block < intent.deadline - 1 and not is_mine:
            await self._quote(view, name, offered, standing)
        elif block >= intent.deadline and is_mine:
            self._start(name)
        elif block > intent.deadline and not is_mine:
            self._forget(name)

    async def _quote(
        self, view: Reads, name: bytes, offered: Offered, standing: Standing | None
    ) -> None:
        """Quote if that can be the cheapest and the payer has the money; at most once."""
        intent, price = offered.intent, offered.least
        beaten = standing is not None and (standing.hotkey is None or standing.price <= price)
        if beaten or (offered.quoted and standing is not None):
            self._forget(name)
            return
        payer = ss58.encode(intent.payer)
        if (await view.balance(payer)).as_rao() < price:
            log.info("intent 0x%s waits: %s has not the money", name.hex(), payer)
            return
        kind = "Ed25519" if offered.signed.crypto == CryptoType.ED25519 else "Sr25519"
        said = {field: getattr(intent, field) for field in Intent.__slots__}
        signature = {kind: offered.signed.signature}
        how = {"signature": signature, "hotkey": self._me, "price": price}
        at = await self._send("quote", intent=said, **how)
        offered.quoted, offered.acted = True, at
        log.info("intent 0x%s: quoted %d rao", name.hex(), price)

    async def _send(self, call_name: str, **args: Any) -> int:
        """Send a call; the block that it is in."""
        call = await self._client.compose(PALLET, call_name, **args)
        receipt = (await self._client.submit(call, self._chain.hotkey)).check()
        return receipt.block_number or 0

    # -- the work ---------------------------------------------------------------------------------

    def _start(self, name: bytes) -> None:
        """Do a task that was won, once at a time."""
        task = self._tasks.get(name)
        if task is None or task.done():
            self._tasks = {n: t for n, t in self._tasks.items() if not t.done()}
            self._tasks[name] = asyncio.create_task(self._do(name))

    async def _do(self, name: bytes) -> None:
        kept = self._file.get(name)
        if kept is None:
            return
        try:
            if kept.result is None:
                made = await compute(self._service, name, kept.payer, kept.task)
                self._file.put_result(name, made)
            result = self._file.get(name)
            assert result is not None
            await self._send("deliver", intent=name, result=result.digest)
            self._open.pop(name, None)
            self.filled += 1
            log.info("intent 0x%s is delivered", name.hex())
        except (GanglionError, Overloaded, BadMessage) as e:
            log.warning("intent 0x%s goes on with the next block: %s", name.hex(), e)

    # -- payers -----------------------------------------------------------------------------------

    def routes(self) -> dict[tuple[str, str], Handler]:
        """What payers may ask."""
        return {("POST", INTENT_PATH): self.hand, ("GET", INTENT_PATH): self.give}

    async def hand(self, request: web.BaseRequest, signed: Signed) -> Answer:
        """POST /v1/intent: an intent and its task, from its payer."""
        try:
            given = fields.load_object(signed.body)
            fields.only(given, frozenset({"intent", "task"}))
            text = fields.text(given, "task", MAX_TASK)
            found = SignedIntent.from_hex(fields.text(given, "intent", 2048))
            least = self._checked(found, text.encode(), signed.caller)
        except ValueError as e:  # BadMessage and DecodeError are ones
            raise Refusal(400, "intent", f"this intent is not for us: {e}") from e
        name = found.intent.id()
        if name not in self._open:
            self._file.put(name, signed.caller, text.encode(), found.to_hex().encode())
            self._open[name] = Offered(found, least)
        return json_response({"intent": "0x" + name.hex(), "price": least})

    def _checked(self, found: SignedIntent, task: bytes, caller: bytes) -> int:
        """What this miner asks for an intent; ValueError or Refusal if it does not want it."""
        intent = found.intent
        if intent.payer != caller or not found.is_by_payer():
            raise BadMessage("only its payer may bring it, with its signature")
        where = (self._chain.genesis, self._chain.netuid, self._service.card.name.encode())
        if (intent.genesis, intent.netuid, intent.model) != where:
            raise BadMessage("it is for another chain, subnet or model")
        if blake2_256(task) != intent.content:
            raise BadMessage("the task is not the one whose hash it names")
        ahead = intent.deadline - self._block
        if not 1 < ahead <= MOST_AHEAD or intent.deliver < LEAST_DELIVER:
            raise BadMessage(
                f"its deadline must be 2 to {MOST_AHEAD} blocks ahead, the delivery "
                f"{LEAST_DELIVER} blocks or more"
            )
        count = Counter(offered.intent.payer for offered in self._open.values())
        is_new = intent.id() not in self._open
        if is_new and (len(self._open) >= MOST_OPEN or count[caller] >= MOST_OF_PAYER):
            raise Refusal(429, "busy", "enough of your intents are open here", 12)
        least = self._asks(intent, task)
        if least > intent.max_price:
            raise BadMessage(f"it pays {intent.max_price} rao, and {least} are asked")
        return least

    async def give(self, request: web.BaseRequest, signed: Signed) -> Answer:
        """GET /v1/intent?name=0xNAME: the result, for its payer."""
        try:
            name = fields.hexadecimal(request.query, "name", 32)
        except BadMessage as e:
            raise Refusal(400, "intent", str(e)) from e
        kept = self._file.get(name)
        if kept is None or kept.payer != signed.caller or kept.result is None:
            raise Refusal(404, "intent", "there is no result of such an intent of yours here")
        return Reply(kept.result)


# -- the program ----------------------------------------------------------------------------------


def intent_options(made: program.Options) -> None:
    """The options of a miner that fills intents."""
    made.add_argument(
        "--fill-intents",
        action="store_true",
        help="quote for intents that payers bring, and deliver on those won; the hotkey reserves "
        "0.1 TAO for each; see docs/markets.md",
    )
    made.add_argument(
        "--intent-least",
        type=program.whole(0, 1 << 62),
        default=1_000_000,
        metavar="RAO",
        help="the least that is asked for an intent, whatever --price says (default: %(default)s)",
    )


async def watch_intents(
    options: argparse.Namespace,
    chain: ChainLink,
    service: TextService,
    file: TaskFile,
    stack: AsyncExitStack,
) -> IntentFiller:
    """Fill intents until the stack unwinds."""
    try:
        deposit = int(await chain.client.constant(PALLET, "QuoteDeposit"))
    except LookupError as e:
        raise ChainProblem("this chain has no intents: leave out --fill-intents") from e
    if (await chain.client.balance(chain.hotkey.address)).as_rao() < deposit + FEES:
        log.warning("%s needs TAO for deposits and fees: send it 0.5 TAO", chain.hotkey.address)
    filler = IntentFiller(chain, service, file, options.price, options.intent_least)
    keeping = asyncio.create_task(filler.keep())
    stack.callback(keeping.cancel)
    return filler
