"""`neuron-miner --chain-requests`: take seats at requests from the chain, and answer them.

Every request that this miner may answer is followed by a task of its own, which looks at each new
block and does what is next: take a seat, compute when the seed is there, commit where several
answer, show the answer when nobody can commit any more, and end what others left open. Nothing has
to survive a restart: an exact engine makes the same answer again, and salts follow from the key.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganglion import requests
from ganglion.client import Client
from ganglion.errors import GanglionError, TransactionFailed
from ganglion.hashing import blake2_256
from ganglion.header import Header
from ganglion.requests import PALLET, RequestFacts, Seat, text_request
from ganglion.wire.fields import BadMessage
from ganglion.wire.receipts import SignedReceipt
from ganglion.wire.requests import commitment, cut, derive_salt
from neurons import program
from neurons.chain_answers import make_answer
from neurons.chainlink import ChainLink, ChainProblem
from neurons.miner.textgen import Overloaded, TextService

log = logging.getLogger("miner")

AGAIN_SECONDS = 3.0
MOST_FOLLOWED = 64
"""Requests that are followed at once; others are for other miners."""
SPARE_BLOCKS = 3
"""Blocks that committing and showing may take beside the computation."""
PRIORITY = 1e14
"""A deposit stands for these answers: they go before all others but those of lessees."""
LEAST_FUNDS = 300_000_000
"""Rao for a deposit and fees, below which a warning is due."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What this miner answers for: rao per million tokens and at least so much an answer, so many
    tokens a block, and the folder of inputs that are on the chain by their hash alone."""

    price: int
    least: int
    pace: int
    inputs: Path | None

    def text_of(self, facts: RequestFacts) -> str | None:
        """The text that is to be answered; None if this miner cannot know or read it."""
        raw = facts.text
        if raw is None and self.inputs is not None:
            path = self.inputs / facts.content.hex()
            raw = path.read_bytes() if path.is_file() else None
        if raw is None or blake2_256(raw) != facts.content:
            return None
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return None


@dataclass(frozen=True, slots=True)
class Made:
    """An answer under the seed it was made for."""

    seed: bytes
    text: str
    signed: SignedReceipt

    @property
    def output(self) -> bytes:
        """What is shown on the chain."""
        return cut(self.text)

    def commitment(self, salt: bytes) -> bytes:
        """What is committed to."""
        return commitment(salt, self.signed.receipt.signing_hash(), self.output)

    def fields(self) -> dict[str, Any]:
        """The answer as the chain's call takes it."""
        receipt = self.signed.receipt
        return {
            "output": self.output,
            "tokens": list(receipt.tokens),
            "prompt_tokens": receipt.prompt_tokens,
            "finish": receipt.finish.name,
            "exact": receipt.exact,
            "weights": receipt.weights,
            "evidence": receipt.evidence,
        }

    @property
    def signature(self) -> dict[str, bytes]:
        """The receipt's signature as the chain's call takes it."""
        return {self.signed.crypto.name.capitalize(): self.signed.signature}


class GaveUp(GanglionError):
    """This request is not for this miner any more; the message says why."""


class RequestWatcher:
    """Answers requests of one subnet with one service."""

    def __init__(self, chain: ChainLink, service: TextService, terms: Terms) -> None:
        self._chain, self._service, self._terms = chain, service, terms
        self._me = chain.hotkey.public_key
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._acted: dict[int, int] = {}
        self._next = 0
        self._head: Header | None = None
        self._changed = asyncio.Condition()
        self.answered = 0

    @property
    def _client(self) -> Client:
        return self._chain.client

    async def keep(self) -> None:
        """Watch for ever; after an interruption all that waits is looked at again."""
        try:
            while True:
                try:
                    await self._start()
                    async for header in self._client.blocks():
                        await self._on_block(header)
                except GanglionError as e:
                    log.warning("requests are not watched until the chain is back: %s", e)
                await asyncio.sleep(AGAIN_SECONDS)
        finally:
            for task in self._tasks.values():
                task.cancel()

    async def _start(self) -> None:
        """Take up all requests that wait."""
        head = await self._client.at_head()
        self._next = int(await head.query(PALLET, "NextRequestId"))
        await self._tell(await self._client.header(head.at_hash))
        for facts in await requests.every(head):
            self._consider(facts)

    async def _on_block(self, header: Header) -> None:
        await self._tell(header)
        view = self._client.at(header.hash)
        after = int(await view.query(PALLET, "NextRequestId"))
        for number in range(self._next, after):
            facts = await requests.read(view, number)
            if facts is not None:
                self._consider(facts)
        self._next = max(after, self._next)

    async def _tell(self, header: Header) -> None:
        async with self._changed:
            self._head = header
            self._changed.notify_all()

    def _consider(self, facts: RequestFacts) -> None:
        """Follow a request in which this miner sits, or may."""
        self._tasks = {n: task for n, task in self._tasks.items() if not task.done()}
        sits = facts.seat(self._me) is not None
        if facts.number in self._tasks or not sits and len(self._tasks) >= MOST_FOLLOWED:
            return
        reason = None if sits else self.refusal(facts)
        if reason is None:
            task = asyncio.create_task(self._follow(facts.number))
            self._tasks[facts.number] = task
        else:
            log.debug("request %d is left to others: %s", facts.number, reason)

    def refusal(self, facts: RequestFacts) -> str | None:
        """Why this miner does not want a seat at a request; None if it does."""
        card, terms = self._service.card, self._terms
        if (facts.netuid, facts.model) != (self._chain.netuid, card.name):
            return "it is for another subnet or model"
        if facts.started is not None:
            return "its seats are taken"
        if facts.wants_exact and not card.exact:
            return "it wants the exact class, and this engine is not exact"
        if facts.weights is not None and facts.weights != card.weights_hash:
            return "it is for other weights"
        if facts.max_tokens > terms.pace * (facts.work - SPARE_BLOCKS):
            return f"{facts.work} blocks are too few for {facts.max_tokens} tokens"
        text = terms.text_of(facts)
        if text is None:
            return "its input is not here, or is no text"
        try:
            body = text_request(facts.order(self._chain.genesis), text, bytes(32)).to_bytes()
            order = self._service.accept(body, facts.requester)
        except BadMessage as e:
            return str(e)
        tokens = len(order.job.prompt) + facts.max_tokens
        if len(order.job.prompt) + facts.max_tokens > card.context:
            return "prompt and answer together are longer than the model reads"
        least = max(terms.least, -(-terms.price * tokens // 1_000_000))
        return None if facts.price >= least else f"it pays {facts.price} rao, {least} are asked"

    # -- one request --------------------------------------------------------------------------

    async def _follow(self, number: int) -> None:
        """Do what is next for a request in every block, until it is over."""
        seen, made = "", None
        while True:
            header = await self._newer(seen)
            seen = header.hash
            if header.number < self._acted.get(number, 0):
                continue  # what this miner did last is not in that block
            try:
                facts = await requests.read(self._client.at(seen), number)
                if facts is None:
                    break
                made = await self._step(facts, header.number, made)
            except TransactionFailed as e:
                if not await self._is_open(number):
                    break  # another miner, or anybody, was quicker
                log.warning("request %d is left alone: %s", number, e)
                break
            except GaveUp as e:
                log.info("request %d is left alone: %s", number, e)
                break
            except GanglionError as e:
                log.warning("request %d waits: %s", number, e)
        self._acted.pop(number, None)

    async def _newer(self, seen: str) -> Header:
        """The newest block, if it is another than was seen; else the next."""
        async with self._changed:
            while self._head is None or self._head.hash == seen:
                await self._changed.wait()
            return self._head

    async def _is_open(self, number: int) -> bool:
        return await requests.read(await self._client.at_head(), number) is not None

    async def _step(self, facts: RequestFacts, block: int, made: Made | None) -> Made | None:
        """What is next as of a block; the answer, when there is one."""
        seat = facts.seat(self._me)
        if seat is None:
            await self._sit(facts, block)
            return made
        reveal = int(await self._client.constant(PALLET, "RevealWindow"))
        place = [s.hotkey for s in facts.seats].index(self._me)
        if block > facts.last_block(reveal) + place:  # one after the other, not all at once
            await self._send("expire", facts.number)
            return made
        if facts.started is None or block > facts.last_block(reveal):
            return made
        made = await self._answer(facts, made)
        if facts.miners > 1 and seat.commitment is None:
            await self._commit(facts, block, made)
        elif seat.output is None and facts.is_revealing(block + 1):
            await self._show(facts, seat, made)
        return made

    async def _sit(self, facts: RequestFacts, block: int) -> None:
        reason = "no seats are taken any more" if block >= facts.deadline else self.refusal(facts)
        if reason is not None:
            raise GaveUp(reason)
        await self._send("accept", facts.number, hotkey=self._chain.hotkey.address)
        log.info("request %d: took a seat for %d rao", facts.number, facts.price)

    async def _commit(self, facts: RequestFacts, block: int, made: Made) -> None:
        if facts.started is None or block >= facts.started + facts.work:
            return
        digest = made.commitment(self._salt(facts))
        await self._send(
            "commit", facts.number, hotkey=self._chain.hotkey.address, commitment=digest
        )

    async def _show(self, facts: RequestFacts, seat: Seat, made: Made) -> None:
        salt = self._salt(facts)
        if seat.commitment is not None and seat.commitment != made.commitment(salt):
            raise GaveUp("the answer is not the one that this miner committed to before it stopped")
        await self._send(
            "fulfil",
            facts.number,
            hotkey=self._chain.hotkey.address,
            answer=made.fields(),
            salt=salt,
            signature=made.signature,
        )
        self.answered += 1
        log.info("request %d: showed an answer of %d bytes", facts.number, len(made.output))

    def _salt(self, facts: RequestFacts) -> bytes:
        secret = self._chain.hotkey.secret
        assert secret is not None  # a miner signs with it
        return derive_salt(secret, facts.order(self._chain.genesis).digest())

    async def _answer(self, facts: RequestFacts, made: Made | None) -> Made:
        """The answer under the seed that the chain gives now; made once."""
        assert facts.started is not None
        block_hash = bytes.fromhex((await self._client.block_hash(facts.started))[2:])
        seed = facts.seed(self._chain.genesis, block_hash, self._me)
        if made is not None and made.seed == seed:
            return made
        text = self._terms.text_of(facts)
        if text is None:
            raise GaveUp("its input is gone")
        try:
            return await self.compute(facts, text, seed)
        except (BadMessage, Overloaded) as e:
            raise ChainProblem(f"no answer yet: {e}") from e

    async def compute(self, facts: RequestFacts, text: str, seed: bytes) -> Made:
        """Run the engine; the receipt is about the order on the chain. BadMessage or Overloaded."""
        order = facts.order(self._chain.genesis)
        return Made(seed, *await make_answer(self._service, order, text, seed, PRIORITY))

    async def _send(self, name: str, number: int, /, **args: Any) -> None:
        call = await self._client.compose(PALLET, name, id=number, **args)
        receipt = (await self._client.submit(call, self._chain.hotkey)).check()
        self._acted[number] = receipt.block_number or 0


# -- the program ----------------------------------------------------------------------------------


def request_options(made: program.Options) -> None:
    """The options of a miner that answers requests from the chain."""
    made.add_argument(
        "--chain-requests",
        action="store_true",
        help="answer requests that are made on the chain; the hotkey reserves a deposit for each; "
        "see docs/requests.md",
    )
    made.add_argument(
        "--request-least",
        type=program.whole(0, 1 << 62),
        default=5_000_000,
        metavar="RAO",
        help="the least that an answer must pay, whatever --price says (default: %(default)s)",
    )
    made.add_argument(
        "--request-pace",
        type=program.whole(1, 1 << 20),
        default=60,
        metavar="TOKENS",
        help="output tokens a block that are promised when a seat is taken (default: %(default)s)",
    )
    made.add_argument(
        "--request-inputs",
        type=Path,
        metavar="DIR",
        help="inputs that the chain knows by their hash: files named by it, in hex",
    )


async def watch_requests(
    options: argparse.Namespace,
    chain: ChainLink,
    service: TextService | None,
    stack: AsyncExitStack,
) -> RequestWatcher | None:
    """Answer requests until the stack unwinds, if the options want it."""
    if not options.chain_requests or service is None:
        return None
    address = chain.hotkey.address
    try:
        await chain.client.constant(PALLET, "SeatDeposit")
    except LookupError as e:
        raise ChainProblem("this chain takes no requests: leave out --chain-requests") from e
    if (await chain.client.balance(address)).as_rao() < LEAST_FUNDS:
        log.warning("%s needs TAO for deposits and fees of requests: send it 0.5 TAO", address)
    terms = Terms(
        options.price, options.request_least, options.request_pace, options.request_inputs
    )
    watcher = RequestWatcher(chain, service, terms)
    watching = asyncio.create_task(watcher.keep())
    stack.callback(watching.cancel)
    return watcher
