"""`neuron-miner --jobs MARKET`: take jobs from markets on the chain, do them, deliver them.

In every block the runner looks at its markets: it comes for work where it neither waits nor works,
asks nothing twice of a chain that has not moved, and delivers what is done. The task of a job
comes from its payer, signed, as soon as the job is this miner's. Who lists a job and brings no
task, or one that cannot be done in time, costs a miner two small fees and no reputation: the job
is given back, and neither it nor, after three such jobs, its payer is worked for again. All that
must survive a restart is on the chain or in the file of tasks.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

from aiohttp import web

from ganglion import jobs, ss58
from ganglion.client import Client
from ganglion.errors import GanglionError, TransactionFailed
from ganglion.hashing import blake2_256
from ganglion.header import Header
from ganglion.jobs import PALLET, JobFacts
from ganglion.view import Reads
from ganglion.wire.fields import BadMessage
from ganglion.wire.tasks import JOB_PATH, MAX_TASK, job_name
from neurons import program
from neurons.chainlink import ChainLink, ChainProblem
from neurons.http import Answer, Handler, Refusal, Reply, Signed, json_response
from neurons.miner.tasks import Overloaded, TaskFile, compute
from neurons.miner.textgen import TextService

log = logging.getLogger("miner")

AGAIN_SECONDS = 3.0
PATIENCE_BLOCKS = 8
"""Blocks for which a payer's task is waited for, though not for more than half of the timeout."""
SPARE_BLOCKS = 2
"""Blocks before its end at which a job without a result is given back."""
REST_BLOCKS = 50
"""Blocks for which a market is left alone that did not let this miner in."""
EMPTY_HANDS = 3
"""Jobs without a task that can be done in time, after which a payer's are not taken any more."""
STOPS = "this miner stops"
LAST_SECONDS = 10.0


class JobRunner:
    """Works in the given markets with one service."""

    def __init__(
        self, chain: ChainLink, service: TextService, file: TaskFile, markets: list[int]
    ) -> None:
        self._chain, self._service, self._file, self.markets = chain, service, file, markets
        self._me = chain.hotkey.address
        self._running: dict[int, JobFacts] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._sending: set[int] = set()
        self._given_up: set[int] = set()
        self._empty: Counter[bytes] = Counter()
        self._acted: dict[int, int] = {}
        self._rests: dict[int, int] = {}
        self._waits: set[int] = set()
        self.finished = 0

    @property
    def _client(self) -> Client:
        return self._chain.client

    def _name(self, number: int) -> bytes:
        return job_name(self._chain.genesis, number)

    # -- the chain --------------------------------------------------------------------------------

    async def keep(self) -> None:
        """Look at every block, for ever; what is under way goes on while the chain is away."""
        while True:
            try:
                async for header in self._client.blocks():
                    await self.on_block(header)
            except GanglionError as e:
                log.warning("jobs wait until the chain is back: %s", e)
            await asyncio.sleep(AGAIN_SECONDS)

    async def on_block(self, header: Header) -> None:
        """What is to be done as of a block, in every market."""
        view, block = self._client.at(header.hash), header.number
        due = [market for market in self.markets if block >= self._acted.get(market, 0)]
        await asyncio.gather(*(self._one(view, block, market) for market in due))

    async def _one(self, view: Reads, block: int, market: int) -> None:
        """The same in one market, whatever goes wrong there."""
        try:
            await self._look(view, block, market)
        except TransactionFailed as e:
            log.warning("no new job of market %d is taken for a while: %s", market, e)
            self._rests[market] = block + REST_BLOCKS
        except GanglionError as e:
            log.warning("market %d waits for the next block: %s", market, e)

    async def _look(self, view: Reads, block: int, market: int) -> None:
        keys = [
            (PALLET, "Busy", market, self._me),
            (PALLET, "JobQueue", market),
            (PALLET, "NodeQueue", market),
        ]
        busy, waiting, nodes = await view.query_many(keys)
        self._running = {
            n: job for n, job in self._running.items() if n == busy or job.market != market
        }
        self._waits.discard(market)
        if busy is not None:
            facts = await jobs.read(view, int(busy))
            if facts is not None and facts.state == "Running":
                await self._go_on(facts, block)
        elif any(str(node["hotkey"]) == self._me for node in nodes or ()):
            self._waits.add(market)
        elif block >= self._rests.get(market, 0) and await self._wants(
            view, [int(n) for n in waiting or ()]
        ):
            await self._send("work", market, hotkey=self._me, of=market)

    async def _wants(self, view: Reads, waiting: list[int]) -> bool:
        """Whether the job that one would get is worth coming for; an empty queue is."""
        for number in waiting:
            facts = await jobs.read(view, number)
            if facts is None or self._me in facts.tried:
                continue
            return number not in self._given_up and self._empty[facts.payer] < EMPTY_HANDS
        return True

    async def _go_on(self, facts: JobFacts, block: int) -> None:
        """Do what is next for the job that this miner has in a market."""
        number, name = facts.number, self._name(facts.number)
        self._running[number] = facts
        kept = self._file.get(name)
        if kept is not None and kept.result is not None:
            await self._finish(facts)
            return
        left, waited = facts.due - block, block - facts.started
        patience = min(PATIENCE_BLOCKS, (facts.due - facts.started) // 2)
        if kept is None and (waited >= patience or left <= SPARE_BLOCKS):
            await self._quit(facts, "its payer has brought no task")
        elif left <= SPARE_BLOCKS:
            await self._quit(facts, "there is no time left")
        elif kept is not None:
            self._start(facts)

    async def _finish(self, facts: JobFacts) -> None:
        kept, number = self._file.get(self._name(facts.number)), facts.number
        if kept is None or number in self._sending:
            return
        self._sending.add(number)
        try:
            await self._send("finish", facts.market, of=number, result=kept.digest)
            self.finished += 1
            log.info("job %d is delivered", number)
        finally:
            self._sending.discard(number)

    async def _quit(self, facts: JobFacts, why: str) -> None:
        """Give a job back, which costs nothing but the fee, and never take it again."""
        task = self._tasks.pop(facts.number, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        self._given_up.add(facts.number)
        self._empty[facts.payer] += why is not STOPS
        self._running.pop(facts.number, None)
        await self._send("quit", facts.market, of=facts.number)
        log.warning("job %d is given back: %s", facts.number, why)

    async def _send(self, name: str, market: int, *, of: int, **args: Any) -> None:
        """Send a call about a market or a job (`of`), and remember when it counted."""
        about = {"market": of} if name in ("work", "stop") else {"job": of}
        call = await self._client.compose(PALLET, name, **about, **args)
        receipt = (await self._client.submit(call, self._chain.hotkey)).check()
        self._acted[market] = max(self._acted.get(market, 0), receipt.block_number or 0)

    # -- the work ---------------------------------------------------------------------------------

    def _start(self, facts: JobFacts) -> None:
        """Compute a job's result, once at a time."""
        task = self._tasks.get(facts.number)
        if task is None or task.done():
            self._tasks = {n: t for n, t in self._tasks.items() if not t.done()}
            self._tasks[facts.number] = asyncio.create_task(self._do(facts))

    async def _do(self, facts: JobFacts) -> None:
        name = self._name(facts.number)
        kept = self._file.get(name)
        if kept is None:
            return
        try:
            try:
                if kept.result is None:
                    made = await compute(self._service, name, kept.payer, kept.task)
                    self._file.put_result(name, made)
                await self._finish(facts)
            except BadMessage as e:
                await self._quit(facts, str(e))
        except (GanglionError, Overloaded) as e:
            log.warning("job %d goes on with the next block: %s", facts.number, e)

    # -- payers -----------------------------------------------------------------------------------

    def routes(self) -> dict[tuple[str, str], Handler]:
        """What payers may ask."""
        return {("POST", JOB_PATH): self.hand, ("GET", JOB_PATH): self.give}

    async def hand(self, request: web.BaseRequest, signed: Signed) -> Answer:
        """POST /v1/job?number=N: the task of a job that this miner has, from its payer."""
        number = number_of(request)
        facts = self._running.get(number)
        if facts is None or facts.payer != signed.caller:
            sentence = f"this miner has no job {number} of yours now: try again in the next block"
            raise Refusal(409, "job", sentence, 1)
        if len(signed.body) > MAX_TASK or blake2_256(signed.body) != facts.content:
            raise Refusal(400, "job", f"this is not the task whose hash job {number} names")
        self._file.put(self._name(number), signed.caller, signed.body)
        self._start(facts)
        return json_response({"job": number})

    async def give(self, request: web.BaseRequest, signed: Signed) -> Answer:
        """GET /v1/job?number=N: the result, for its payer."""
        number = number_of(request)
        kept = self._file.get(self._name(number))
        if kept is None or kept.payer != signed.caller or kept.result is None:
            raise Refusal(404, "job", f"there is no result of a job {number} of yours here")
        return Reply(kept.result)

    async def last(self) -> None:
        """Wait for no more jobs, and give back what is not done: nobody is there to do it."""
        for task in self._tasks.values():
            task.cancel()
        try:
            async with asyncio.timeout(LAST_SECONDS):
                for market in sorted(self._waits):
                    await self._send("stop", market, of=market, hotkey=self._me)
                for facts in list(self._running.values()):
                    kept = self._file.get(self._name(facts.number))
                    if kept is None or kept.result is None:
                        await self._quit(facts, STOPS)
        except (GanglionError, TimeoutError) as e:
            log.warning("jobs could not be given back: %s", e)


def number_of(request: web.BaseRequest) -> int:
    """The job that a request is about; Refusal."""
    said = request.query.get("number", "")
    if not (said.isascii() and said.isdigit() and len(said) < 20):
        raise Refusal(400, "job", "say which job it is: /v1/job?number=7")
    return int(said)


# -- the program ----------------------------------------------------------------------------------


def job_options(made: program.Options) -> None:
    """The options of a miner that does jobs."""
    made.add_argument(
        "--jobs",
        action="append",
        default=[],
        type=program.whole(0, (1 << 32) - 1),
        metavar="MARKET",
        help="do the jobs of this market on the chain (see `ganglion job markets`); may be given "
        "several times; see docs/markets.md",
    )


async def checked_market(chain: ChainLink, number: int, model: str) -> None:
    """ChainProblem if this miner cannot work in a market."""
    view = await chain.client.at_head()
    try:
        found = await jobs.market(view, number)
    except LookupError as e:
        raise ChainProblem("this chain has no markets of jobs: leave out --jobs") from e
    if found is None:
        raise ChainProblem(f"there is no market {number}: see `ganglion job markets`")
    if (found.netuid, found.model) != (chain.netuid, model):
        raise ChainProblem(
            f"market {number} is for {found.model} on subnet {found.netuid}, and this miner "
            f"serves {model} on subnet {chain.netuid}"
        )
    bond = await view.query("Bonds", "Bonds", chain.netuid, chain.hotkey.address)
    have = 0 if bond is None else int(bond["amount"])
    if have < found.minimum:
        need = (found.minimum - have) / 10**9
        raise ChainProblem(
            f"market {number} wants a bond of {found.minimum / 10**9:g} TAO: `ganglion bond add "
            f"{chain.netuid} {ss58.encode(chain.hotkey.public_key)} {need:g}`"
        )


async def watch_jobs(
    options: argparse.Namespace,
    chain: ChainLink,
    service: TextService,
    file: TaskFile,
    stack: AsyncExitStack,
) -> JobRunner:
    """Work in the markets that the options name until the stack unwinds."""
    markets = sorted(set(options.jobs))
    for number in markets:
        await checked_market(chain, number, service.card.name)
    runner = JobRunner(chain, service, file, markets)
    keeping = asyncio.create_task(runner.keep())
    stack.push_async_callback(runner.last)
    stack.callback(keeping.cancel)
    return runner
