"""`neuron-validator`: look who serves, check everyone, score, set weights; again and again."""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import secrets
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from ganglion.client import Client
from ganglion.errors import GanglionError
from ganglion.wire.call import Caller, Patience, Target
from neurons import program
from neurons.chainlink import ChainLink, View
from neurons.disputes.accuser import begin_disputes
from neurons.engine.base import EngineError
from neurons.engine.load import load, load_embedder
from neurons.engine.worker import Worker
from neurons.http import Gate, Server
from neurons.identity import Identity
from neurons.validator.book import Book
from neurons.validator.chain_answers import ChainChecks
from neurons.validator.examiner import EmbedExaminer, Examiner, TextExaminer
from neurons.validator.hardware import HardwareChecks
from neurons.validator.load import LoadChecks
from neurons.validator.options import read_options
from neurons.validator.proving import WeightProver, wanted_prover
from neurons.validator.reporting import Reporter
from neurons.validator.rounds import Miner, run_round
from neurons.validator.server import StatusApp
from neurons.validator.thresholds import AgreedThresholds
from neurons.validator.trusting import Trust
from neurons.validator.weights import WeightWriter
from subnets.scoring import ONE, Policy, Record, apply_loads, apply_round, compute_weights
from subnets.verdict import Verdict
from subnets.zk.bundle import Place

if TYPE_CHECKING:
    from neurons.validator.organic import OrganicChecks

log = logging.getLogger("validator")

READY = "neuron-validator is ready"


class Validator:
    """One validator on one subnet."""

    def __init__(
        self, chain: ChainLink, examiner: Examiner, book: Book, policy: Policy, sample: int
    ) -> None:
        self.chain, self.examiner, self.book, self.policy = chain, examiner, book, policy
        self.writer = WeightWriter(chain, book)
        self.organic: OrganicChecks | None = None
        self.answers: ChainChecks | None = None
        self.thresholds: AgreedThresholds | None = None
        self.hardware: HardwareChecks | None = None
        self.load: LoadChecks | None = None
        self.status: StatusApp | None = None
        self.prover: WeightProver | None = None
        self.trust: Trust | None = None
        self.reporter: Reporter | None = None
        self._sample = sample
        self._random = random.Random(secrets.randbits(256))

    def miners(self, view: View) -> list[Miner]:
        """The neurons to check: all that serve but ourselves, or a random sample of them."""
        found = [
            Miner(n.uid, Target.of(n), view.registered_at(n.uid))
            for n in view.serving
            if n.hotkey != self.chain.hotkey.address
        ]
        return found if len(found) <= self._sample else self._random.sample(found, self._sample)

    async def round(self) -> None:
        """Check the miners once, then set weights if it is time."""
        view = await self.chain.view()
        if self.thresholds is not None:
            await self.thresholds.refresh(view)
        miners = self.miners(view)
        self.book.keep_only({n.hotkey for n in view.graph.neurons})
        if not miners:
            log.info("block %d: nobody serves on subnet %d yet", view.block, self.chain.netuid)
        if self.status is not None:
            self.status.block = view.block
        if self.hardware is not None:  # alone, because its answers are timed
            await self.hardware.round(view)
        verdicts = await run_round(miners, self.examiner, self._random)
        apply_round(self.book.records, verdicts, self.policy, view.block)
        for miner in miners:
            verdict = verdicts[miner.target.hotkey]
            log.info(
                "block %d uid %d: %s %d tokens in %d ms %s",
                view.block,
                miner.uid,
                verdict.reason,
                verdict.tokens,
                verdict.total_ms,
                verdict.detail,
            )
        if self.load is not None and self.load.due:
            rates, found = await self.load.round(miners, verdicts)
            apply_loads(self.book.records, rates)
            self._take_away(view, "under load", found)
        await self._judge_others(view)
        view = await self.chain.view()
        records = self.records(view)
        weights = compute_weights(records.items(), self.policy)
        if self.trust is not None:
            await self.trust.refresh(view)
            weights = self.trust.applied(weights, view)
        if await self.writer.step(view, weights):
            self._begin_proof(view, records)
        self.book.save()
        if self.reporter is not None:
            await self.reporter.step(view)

    def _begin_proof(self, view: View, records: dict[int, Record]) -> None:
        if self.prover is not None:
            chain = self.chain
            place = Place(chain.genesis, chain.netuid, chain.hotkey.address, view.block)
            self.prover.start(place, records)

    async def _judge_others(self, view: View) -> None:
        """Judge a gateway's sampled answers, and those on the chain."""
        for name, source in (("organic", self.organic), ("on the chain", self.answers)):
            if source is not None:
                self._take_away(view, name, await source.round())

    def _take_away(self, view: View, name: str, verdicts: list[tuple[str, Verdict]]) -> None:
        """Note verdicts on what miners did for others. They can only take away: a right answer is
        no more than what is paid for, and a wrong one costs as much as a failed probe."""
        registered = {n.hotkey for n in view.graph.neurons}
        for hotkey, verdict in verdicts:
            log.info(
                "block %d %s %s: %s %s", view.block, name, hotkey, verdict.reason, verdict.detail
            )
            if verdict.hard and hotkey in registered:
                apply_round(self.book.records, {hotkey: verdict}, self.policy, view.block)

    def records(self, view: View) -> dict[int, Record]:
        """The book's records by uid, of whoever is registered now."""
        records = self.book.records
        return {n.uid: records[n.hotkey] for n in view.graph.neurons if n.hotkey in records}

    async def run(self, interval: float) -> None:
        """Rounds until cancelled; a chain that is away is waited for."""
        while True:
            started = asyncio.get_running_loop().time()
            try:
                await self.round()
            except GanglionError as e:
                log.warning("this round is lost: %s", e)
            spent = asyncio.get_running_loop().time() - started
            await asyncio.sleep(max(0.05, interval - spent))


def make_examiner(
    options: argparse.Namespace, caller: Caller, identity: Identity, stack: AsyncExitStack
) -> Examiner:
    """The examiner of the subnet's task, its engine running."""
    if options.task == "embedding":
        return EmbedExaminer(caller, identity, load_embedder(options.engine, options.model))
    loaded = load(options.engine, options.model)
    worker = Worker(loaded.model, pages=1)
    worker.start()
    stack.callback(worker.stop)
    return TextExaminer(caller, identity, loaded, worker, options.tokens)


def organic_checks(
    url: str, examiner: TextExaminer, netuid: int, stack: AsyncExitStack
) -> OrganicChecks:
    """Open a gateway's database. EngineError without the packages it needs."""
    try:
        from neurons.gateway.store import Store
        from neurons.validator.organic import OrganicChecks
    except ImportError as e:
        raise EngineError(f"--organic needs {e.name}: pip install 'ganglion[gateway]'") from e
    store = Store(url)
    stack.callback(store.close)
    return OrganicChecks(store, examiner, netuid)


async def chain_checks(chain: ChainLink, examiner: TextExaminer) -> ChainChecks:
    """Checks of what miners answer on the chain. EngineError or ChainProblem if there are none."""
    service = examiner.service(chain.genesis)
    if not service.card.exact:
        raise EngineError("--chain-answers makes answers again, which takes --engine exact")
    checks = ChainChecks(chain, service)
    await checks.check_chain()
    return checks


def open_book(path: Path | None, identity: Identity) -> Book:
    """The scores of this hotkey on this subnet, where they were left. BookProblem if they cannot
    be kept: without them a restart would forgive every cheat and lose what was committed."""
    hotkey, netuid = identity.hotkey.address, identity.netuid
    file = path or Path(f"ganglion-scores-{netuid}-{hotkey}.json")
    book = Book(file, f"{netuid} of 0x{identity.genesis.hex()}")
    book.save()
    log.info("scores are kept in %s", file)
    return book


async def serve_status(
    validator: Validator, options: argparse.Namespace, stack: AsyncExitStack, identity: Identity
) -> int:
    """Open the status port; which one it is."""
    status = StatusApp(
        Gate(identity.hotkey.address),
        validator.book,
        validator.writer,
        identity,
        validator.trust,
        validator.reporter,
    )
    validator.status = status
    server = Server(status.app, options.status_host, options.status_port)
    await server.start()
    stack.push_async_callback(server.stop)
    return server.port


async def validate(options: argparse.Namespace) -> None:
    """Register, then validate until cancelled."""
    hotkey = program.hotkey_of(options)
    policy = Policy(speed=round(options.speed * ONE), exponent=options.exponent)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(options.network))
        chain = ChainLink(client, options.netuid, hotkey)
        identity = Identity(hotkey, chain.genesis, options.netuid)
        patience = Patience(total=options.timeout)
        caller = await stack.enter_async_context(Caller(hotkey, patience))
        examiner = make_examiner(options, caller, identity, stack)
        book = open_book(options.state, identity)
        validator = Validator(chain, examiner, book, policy, options.sample)
        if isinstance(examiner, TextExaminer):
            validator.thresholds = AgreedThresholds(chain, examiner)
        if isinstance(examiner, TextExaminer) and options.load:
            rng = random.Random(secrets.randbits(256))
            validator.load = LoadChecks(examiner, options.load_interval, options.load, rng)
        if options.organic is not None and isinstance(examiner, TextExaminer):
            validator.organic = organic_checks(options.organic, examiner, options.netuid, stack)
        if options.chain_answers and isinstance(examiner, TextExaminer):
            validator.answers = await chain_checks(chain, examiner)
        if options.dispute and isinstance(examiner, TextExaminer):
            examiner.accuse = (await begin_disputes(chain, examiner.loaded, stack)).note
        if options.trust:
            validator.trust = Trust(chain, options.trust)
        if not options.no_hardware:
            validator.hardware = HardwareChecks(
                caller, identity, book.hardware, options.hardware_interval
            )
        validator.prover = wanted_prover(options.prove_weights, options.exponent)
        if validator.prover is not None:
            stack.push_async_callback(validator.prover.stop)
        if options.report is not None:
            validator.reporter = Reporter(chain, caller, book, identity)
            await validator.reporter.check_chain()
        if options.status_port is not None:
            port = await serve_status(validator, options, stack, identity)
        # Nothing is paid for before everything else that can fail has been tried.
        uid = await chain.register(lambda: program.coldkey_of(options))
        if options.report is not None:
            await chain.publish_status(options.report, port)
        log.info("%s uid=%d hotkey=%s", READY, uid, hotkey.address)
        await validator.run(options.interval)


def main(argv: Sequence[str]) -> int:
    """Run a validator; the exit code."""
    options = read_options(argv)
    program.set_up(options)
    return program.run_program(validate(options))


def run() -> None:
    """The console script."""
    program.limit_threads()
    sys.exit(main(sys.argv[1:]))
