"""Miners that do jobs and fill intents by themselves, on a node of developers, and their payers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.dev.devnode import DevNode
from ganglion import intents, jobs
from ganglion.balance import Balance
from ganglion.cli.main import main
from ganglion.client import Client
from ganglion.errors import EncodeError, GanglionError
from ganglion.hashing import blake2_256
from ganglion.intents import Wish
from ganglion.jobs import NoResult
from ganglion.keys import Keypair, dev_key
from ganglion.wire.call import Caller, CallFailed, Target
from ganglion.wire.fields import BadMessage
from ganglion.wire.intents import Intent, sign
from ganglion.wire.receipts import BadReceipt
from ganglion.wire.tasks import INTENT_PATH, JOB_PATH, KNOWN, Result, job_name, request_of
from neurons.chainlink import ChainLink, ChainProblem
from neurons.engine.load import Loaded
from neurons.engine.worker import Worker
from neurons.http import Gate, Server
from neurons.identity import Identity
from neurons.miner import jobs as runner_module
from neurons.miner.intents import IntentFiller
from neurons.miner.jobs import JobRunner, checked_market
from neurons.miner.options import contradiction, parser
from neurons.miner.server import MinerApp
from neurons.miner.tasks import TaskFile, TaskFileProblem
from neurons.miner.textgen import TextService

ALICE, BOB, CHARLIE, DAVE, EVE, FERDIE = (
    dev_key(name) for name in ("Alice", "Bob", "Charlie", "Dave", "Eve", "Ferdie")
)
MODEL, NET, PRICE = "ganglion/tiny", 1, 1_000_000
TASK = b'{"prompt": "Name a colour.", "max_tokens": 12, "temperature": 0.0}'
NAME = b"n" * 32


async def send(client: Client, signer: Keypair, pallet: str, name: str, /, **args: object) -> Any:
    return (await client.submit(await client.compose(pallet, name, **args), signer)).check()


async def blocks(client: Client, count: int) -> None:
    """Let so many blocks pass: every extrinsic makes one."""
    for _ in range(count):
        await send(client, FERDIE, "System", "remark", remark=b"")


async def ticking(client: Client) -> None:
    """Blocks without end, as on a chain that lives."""
    while True:
        await blocks(client, 1)
        await asyncio.sleep(0.02)


@asynccontextmanager
async def town(ticks: bool = True) -> AsyncIterator[tuple[Client, DevNode]]:
    with DevNode() as node:
        async with Client(node.url) as client, Client(node.url) as other:
            tick = asyncio.create_task(ticking(other)) if ticks else None
            try:
                yield client, node
            finally:
                if tick is not None:
                    tick.cancel()


async def open_market(client: Client, timeout: int = 20, review: int = 0, minimum: int = 0) -> None:
    terms = {
        "netuid": NET,
        "model": MODEL.encode(),
        "job_price": PRICE,
        "job_timeout": timeout,
        "job_expiration": 200,
        "node_minimum": minimum,
        "review": review,
    }
    await send(client, ALICE, "Jobs", "open_market", terms=terms)


class Working:
    """A seated miner with an HTTP server, and what it does for the chain."""

    def __init__(self, client: Client, tiny: Loaded, key: Keypair, folder: Path) -> None:
        self.client, self.key, self.path = client, key, folder / f"{key.address}.db"
        self.link = ChainLink(client, NET, key)
        self.worker = Worker(tiny.model, pages=128)
        self.identity = Identity(key, self.link.genesis, NET)
        self.service = TextService(self.worker, tiny.tokenizer, self.identity)

    async def start(self, owner: Keypair) -> None:
        self.worker.start()
        await self.link.register(lambda: owner)
        self.app = MinerApp(Gate(self.key.address), lambda caller: 0.0, self.service)
        self.server = Server(self.app.app, "127.0.0.1", 0)
        await self.server.start()
        await self.link.publish("0.0.0.0", self.server.port)
        self.target = Target(self.key.address, "127.0.0.1", self.server.port)

    async def stop(self) -> None:
        await self.server.stop()
        self.worker.stop()

    @asynccontextmanager
    async def jobs(self, *markets: int) -> AsyncIterator[JobRunner]:
        file = TaskFile(self.path)
        runner = JobRunner(self.link, self.service, file, list(markets))
        self.app.add_routes(runner.routes())
        keeping = asyncio.create_task(runner.keep())
        try:
            yield runner
        finally:
            keeping.cancel()
            file.close()

    @asynccontextmanager
    async def intents(self, price: int = 1000, least: int = 0) -> AsyncIterator[IntentFiller]:
        file = TaskFile(self.path)
        filler = IntentFiller(self.link, self.service, file, price, least)
        self.app.add_routes(filler.routes())
        keeping = asyncio.create_task(filler.keep())
        try:
            yield filler
        finally:
            keeping.cancel()
            file.close()


@asynccontextmanager
async def working(
    node: DevNode, tiny: Loaded, folder: Path, key: Keypair = CHARLIE, owner: Keypair = BOB
) -> AsyncIterator[Working]:
    async with Client(node.url) as client:
        made = Working(client, tiny, key, folder)
        await made.start(owner)
        try:
            yield made
        finally:
            await made.stop()


async def until(client: Client, said: Any) -> None:
    """Wait until something is so; the test's time limit ends it otherwise."""
    async with asyncio.timeout(60):
        while not await said():
            await asyncio.sleep(0.02)


# -- tasks and results -----------------------------------------------------------------------------


def test_a_task_makes_one_request_whoever_reads_it() -> None:
    one = request_of(TASK, MODEL, NAME)
    assert one == request_of(TASK, MODEL, NAME)
    assert one.sampling.seed != request_of(TASK, MODEL, b"m" * 32).sampling.seed
    assert one.id == NAME[:16]
    own = request_of(b'{"prompt":"x","max_tokens":1,"seed":"0x%s"}' % (b"11" * 32), MODEL, NAME)
    assert own.sampling.seed == b"\x11" * 32
    assert job_name(b"g" * 32, 1) != job_name(b"g" * 32, 2)


@given(
    st.dictionaries(
        st.sampled_from([*sorted(KNOWN), "model", "id", "pay"]),
        st.none() | st.integers() | st.text() | st.lists(st.integers(0, 9), max_size=3),
        max_size=5,
    )
)
def test_a_stranger_s_task_is_a_request_or_one_sentence(given_: dict[str, object]) -> None:
    try:
        raw = orjson.dumps(given_)
    except TypeError:
        return
    try:
        made = request_of(raw, MODEL, NAME)
    except BadMessage:
        return
    assert made.model == MODEL


@given(st.binary(max_size=60))
def test_a_stranger_s_result_is_read_or_refused(raw: bytes) -> None:
    with pytest.raises(BadMessage):
        Result.from_bytes(raw)


def test_the_file_keeps_tasks_and_the_first_result(tmp_path: Path) -> None:
    file = TaskFile(tmp_path / "t.db")
    file.put(NAME, b"p", b"task")
    file.put(NAME, b"q", b"another")
    file.put_result(NAME, b"one")
    file.put_result(NAME, b"two")
    file.put(b"i" * 32, b"p", b"task", b"terms")
    file.close()
    again = TaskFile(tmp_path / "t.db")
    kept = again.get(NAME)
    assert kept is not None
    assert (kept.payer, kept.task, kept.result) == (b"p", b"task", b"one")
    assert kept.digest == blake2_256(b"one")
    assert [one.name for one in again.with_terms()] == [b"i" * 32]
    again.drop(NAME)
    assert again.get(NAME) is None
    again.close()
    (tmp_path / "bad.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(TaskFileProblem, match="cannot be opened"):
        TaskFile(tmp_path / "bad.db")


# -- jobs ------------------------------------------------------------------------------------------


async def test_jobs_are_done_in_turn_paid_and_checked(tiny: Loaded, tmp_path: Path) -> None:
    """One finds a waiting miner, others wait for it; the payer has each checked result."""
    async with town() as (client, node), working(node, tiny, tmp_path) as miner:
        await open_market(client)
        before = await client.balance(CHARLIE.address)
        async with miner.jobs(0) as runner, Client(node.url) as payer:
            first = await jobs.run(payer, DAVE, 0, TASK)
            assert first.hotkey == CHARLIE.address
            assert first.result.text
            both = await asyncio.gather(
                jobs.run(payer, DAVE, 0, TASK),
                jobs.run(client, EVE, 0, TASK.replace(b"colour", b"number"), priority=True),
            )
            assert {done.number for done in both} == {1, 2}
            assert runner.finished == 3
            assert first.result.signed.receipt.caller == DAVE.public_key
            with pytest.raises(CallFailed, match="no result of a job 0 of yours"):
                async with Caller(EVE) as stranger:
                    await stranger.fetch(miner.target, "GET", f"{JOB_PATH}?number=0")
        after = await client.balance(CHARLIE.address)
        assert after.as_rao() > before.as_rao() - 20 * PRICE  # fees; a block's price came for each
        assert await client.query("Jobs", "Jobs", 0) is None


async def test_a_reviewed_job_is_fetched_before_it_is_paid(tiny: Loaded, tmp_path: Path) -> None:
    async with town() as (client, node), working(node, tiny, tmp_path) as miner:
        await open_market(client, review=100)
        async with miner.jobs(0):
            done = await jobs.run(client, DAVE, 0, TASK)
            facts = await jobs.read(await client.at_head(), done.number)
            assert facts is not None
            assert (facts.state, facts.result) == ("Review", blake2_256(done.raw))
            await send(client, DAVE, "Jobs", "approve", job=done.number)


async def test_a_restart_in_the_middle_loses_nothing(tiny: Loaded, tmp_path: Path) -> None:
    """The first runner takes the job and gets its task; the second does it."""
    async with town(ticks=False) as (client, node), working(node, tiny, tmp_path) as miner:
        await open_market(client, timeout=30)
        number = await jobs.post(client, DAVE, 0, TASK, "Economy")
        terms = await jobs.market(await client.at_head(), 0)
        assert terms is not None
        async with miner.jobs(0) as runner, Caller(DAVE) as caller:
            miner.worker.generate, generate = _never, miner.worker.generate  # type: ignore[method-assign,assignment]
            await until(client, lambda: _runs(client, number))
            await blocks(client, 1)
            await until(client, lambda: _true(number in runner._running))
            await caller.fetch(miner.target, "POST", f"{JOB_PATH}?number={number}", TASK)
        miner.worker.generate = generate  # type: ignore[method-assign]
        async with miner.jobs(0) as runner:
            await blocks(client, 1)
            await until(client, lambda: _true(runner.finished == 1))
        assert await jobs.read(await client.at_head(), number) is None


class Line:
    """The way to a node, which can be cut and mended."""

    def __init__(self, url: str) -> None:
        self._to = url.rpartition(":")
        self._open: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self.port = 0

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, onward = await asyncio.open_connection("127.0.0.1", int(self._to[2].rstrip("/")))
        self._open += [writer, onward]

        async def copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                while data := await source.read(1 << 16):
                    to.write(data)
                    await to.drain()

        await asyncio.gather(copy(reader, onward), copy(back, writer))


async def test_an_outage_of_the_chain_is_outlived(tiny: Loaded, tmp_path: Path) -> None:
    """The line breaks when the job is taken, its task comes meanwhile, and it is delivered."""
    async with town(ticks=False) as (client, node):
        line = Line(node.url)
        await line.mend()
        async with Client(f"ws://127.0.0.1:{line.port}") as wire:
            miner = Working(wire, tiny, CHARLIE, tmp_path)
            await miner.start(BOB)
            await open_market(client, timeout=500)
            number = await jobs.post(client, DAVE, 0, TASK, "Economy")
            async with miner.jobs(0) as runner, Caller(DAVE) as caller:
                await until(client, lambda: _true(number in runner._running))
                await line.cut()
                await caller.fetch(miner.target, "POST", f"{JOB_PATH}?number={number}", TASK)
                name = job_name(miner.link.genesis, number)
                await until(client, lambda: _true(_has_result(runner, name)))
                await blocks(client, 3)
                assert runner.finished == 0
                await line.mend()
                while not runner.finished:
                    await blocks(client, 1)
                    await asyncio.sleep(0.1)
            await miner.stop()
        assert await jobs.read(await client.at_head(), number) is None
        await line.cut()


def _has_result(runner: JobRunner, name: bytes) -> bool:
    kept = runner._file.get(name)
    return kept is not None and kept.result is not None


async def _never(job: object) -> AsyncIterator[object]:
    await asyncio.sleep(3600)
    yield job


async def _true(said: bool) -> bool:
    return said


async def _runs(client: Client, number: int) -> bool:
    facts = await jobs.read(await client.at_head(), number)
    return facts is not None and facts.hotkey is not None


async def _is_free(client: Client, number: int) -> bool:
    return not await _runs(client, number)


async def test_who_brings_no_task_is_given_back_and_not_worked_for_again(
    tiny: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "PATIENCE_BLOCKS", 2)
    async with town(ticks=False) as (client, node), working(node, tiny, tmp_path) as miner:
        await open_market(client)
        number = await jobs.post(client, DAVE, 0, TASK, "Economy")
        async with miner.jobs(0) as runner, Caller(DAVE) as caller:
            await until(client, lambda: _runs(client, number))
            await until(client, lambda: _true(number in runner._running))
            path = f"{JOB_PATH}?number={number}"
            for signer, body, why in (
                (caller, b"another task", "not the task whose hash"),
                (caller, b"x" * (1 << 21), "not the task whose hash"),
            ):
                with pytest.raises(CallFailed, match=why):
                    await signer.fetch(miner.target, "POST", path, body)
            async with Caller(EVE) as stranger:
                with pytest.raises(CallFailed, match="no job 0 of yours"):
                    await stranger.fetch(miner.target, "POST", path, TASK)
                for bad in ("", "?number=-1", "?number=x", "?number=" + "9" * 30):
                    with pytest.raises(CallFailed, match="say which job"):
                        await stranger.fetch(miner.target, "GET", JOB_PATH + bad)
            while number not in runner._given_up:
                await blocks(client, 1)
            await until(client, lambda: _is_free(client, number))
            nonce = await client.nonce(CHARLIE.address)
            await blocks(client, 4)
            assert await client.nonce(CHARLIE.address) == nonce  # it does not come for that again
            facts = await jobs.read(await client.at_head(), number)
            assert facts is not None
            assert (facts.state, facts.tried) == ("Waiting", ())
        record = await client.query("Jobs", "NodeRecords", NET, CHARLIE.address)
        assert record["rejected"] == 0  # giving back costs no reputation


async def test_a_task_that_cannot_be_done_and_a_miner_that_stops_give_jobs_back(
    tiny: Loaded, tmp_path: Path
) -> None:
    async with town(ticks=False) as (client, node), working(node, tiny, tmp_path) as miner:
        await open_market(client)
        bad = b'{"prompt": "", "max_tokens": 1}'
        number = await jobs.post(client, DAVE, 0, bad, "Economy")
        async with miner.jobs(0) as runner, Caller(DAVE) as caller:
            await until(client, lambda: _true(number in runner._running))
            await caller.fetch(miner.target, "POST", f"{JOB_PATH}?number={number}", bad)
            await until(client, lambda: _true(number in runner._given_up))
            await until(client, lambda: _is_free(client, number))
            await send(client, DAVE, "Jobs", "delist", job=number)
            await until(client, lambda: _waits(client))
            await blocks(client, 1)
            await until(client, lambda: _true(0 in runner._waits))
            await runner.last()
            assert not await _waits(client)


async def _waits(client: Client) -> bool:
    return bool(await client.query("Jobs", "NodeQueue", 0))


async def test_markets_that_cannot_be_worked_in_are_told_at_the_start(tiny: Loaded) -> None:
    async with town(ticks=False) as (client, _):
        link = ChainLink(client, NET, CHARLIE)
        with pytest.raises(ChainProblem, match="there is no market 0"):
            await checked_market(link, 0, MODEL)
        await open_market(client, minimum=2 * 10**9)
        with pytest.raises(ChainProblem, match=r"wants a bond of 2 TAO: `ganglion bond add 1 "):
            await checked_market(link, 0, MODEL)
        with pytest.raises(ChainProblem, match="and this miner serves other on subnet 1"):
            await checked_market(link, 0, "other")
        with pytest.raises(NoResult, match="there is no market 7"):
            await jobs.run(client, DAVE, 7, TASK)
        for bad in (b"\xff\xfe", b"[]", b'{"prompt": "x"}', b'{"prompt": "x", "modle": 1}'):
            with pytest.raises(EncodeError, match="this is no task"):
                await jobs.run(client, DAVE, 0, bad)
            with pytest.raises(EncodeError, match="this is no task"):
                await intents.fill(client, DAVE, Wish(NET, MODEL, 10**7), bad)
    options = parser().parse_args(["--netuid", "1", "--jobs", "3", "--jobs", "4"])
    assert options.jobs == [3, 4]
    options.task = "embedding"
    assert "are for text" in str(contradiction(options))


# -- intents ---------------------------------------------------------------------------------------


async def test_the_cheapest_of_two_fills_an_intent(tiny: Loaded, tmp_path: Path) -> None:
    async with (
        town() as (client, node),
        working(node, tiny, tmp_path) as dear,
        working(node, tiny, tmp_path, EVE) as cheap,
        dear.intents(least=3_000_000),
        cheap.intents(least=2_000_000) as winner,
    ):
        before = await client.balance(DAVE.address)
        wish = Wish(NET, MODEL, 10**7, 12, 30)
        found = await asyncio.gather(*(intents.fill(client, DAVE, wish, TASK) for _ in range(3)))
        assert {(done.hotkey, done.price) for done in found} == {(EVE.address, 2_000_000)}
        assert len({done.name for done in found}) == 3
        assert all(done.result.text for done in found)
        lost = before.as_rao() - (await client.balance(DAVE.address)).as_rao()
        assert lost == 6_000_000  # the payer sends nothing to the chain, so there is no fee
        await until(client, lambda: _true(winner.filled == 3))
        assert await client.query("Intents", "Intents", found[0].name) is None


async def test_an_intent_that_nobody_wants_costs_nothing(tiny: Loaded, tmp_path: Path) -> None:
    async with town() as (client, node), working(node, tiny, tmp_path) as miner:
        before = await client.balance(DAVE.address)
        async with miner.intents(least=3_000_000):
            with pytest.raises(NoResult, match="it pays 2999999 rao, and 3000000 are asked"):
                await intents.fill(client, DAVE, Wish(NET, MODEL, 2_999_999), TASK)
        assert await client.balance(DAVE.address) == before


async def test_only_a_payer_with_money_and_its_own_signature_gets_a_quote(
    tiny: Loaded, tmp_path: Path
) -> None:
    async with town(ticks=False) as (client, node), working(node, tiny, tmp_path) as miner:
        now = await client.block_number()
        genesis = miner.link.genesis
        base = Intent(
            genesis, DAVE.public_key, NET, MODEL.encode(), blake2_256(TASK), 10**7, now + 20, 30, 1
        )
        poor = Keypair.from_uri("//Nobody")
        async with miner.intents(least=1_000_000) as filler, Caller(DAVE) as dave:
            await blocks(client, 1)
            await until(client, lambda: _true(filler._block > 0))

            async def refused(caller: Caller, body: bytes) -> str:
                with pytest.raises(CallFailed) as caught:
                    await caller.fetch(miner.target, "POST", INTENT_PATH, body)
                return str(caught.value)

            body = intents.message(sign(base, DAVE), TASK)
            async with Caller(EVE) as eve:
                assert "only its payer" in await refused(eve, body)
            for change, why in (
                ({"netuid": 2}, "another chain, subnet or model"),
                ({"genesis": b"x" * 32}, "another chain"),
                ({"model": b"other"}, "another chain, subnet or model"),
                ({"deadline": filler._block + 1}, "its deadline must be"),
                ({"deadline": filler._block + 700}, "its deadline must be"),
                ({"deliver": 4}, "its deadline must be"),
                ({"content": b"y" * 32}, "not the one whose hash"),
            ):
                changed = sign(replace(base, **change), DAVE)  # type: ignore[arg-type]
                assert why in await refused(dave, intents.message(changed, TASK))
            assert "not for us" in await refused(dave, b"{}")
            assert "not for us" in await refused(dave, b'{"intent": "0x00", "task": "x"}')
            bad = b'{"prompt": "", "max_tokens": 3}'
            odd = sign(replace(base, content=blake2_256(bad)), DAVE)
            assert "nothing to continue" in await refused(dave, intents.message(odd, bad))
            nonce = await client.nonce(CHARLIE.address)
            async with Caller(poor) as caller:
                mine = replace(base, payer=poor.public_key)
                message = intents.message(sign(mine, poor), TASK)
                await caller.fetch(miner.target, "POST", INTENT_PATH, message)
                await blocks(client, 3)
                for n in range(2, 6):
                    more = intents.message(sign(replace(mine, nonce=n), poor), TASK)
                    if n < 5:
                        await caller.fetch(miner.target, "POST", INTENT_PATH, more)
                assert "enough of your intents" in await refused(caller, more)
            assert await client.nonce(CHARLIE.address) == nonce  # no fee for who cannot pay
            with pytest.raises(CallFailed, match="no result of such an intent"):
                await dave.fetch(miner.target, "GET", f"{INTENT_PATH}?name=0x{'00' * 32}")


async def test_a_quote_is_delivered_on_after_a_restart(tiny: Loaded, tmp_path: Path) -> None:
    async with town(ticks=False) as (client, node), working(node, tiny, tmp_path) as miner:
        now = await client.block_number()
        intent = Intent(
            miner.link.genesis, DAVE.public_key, NET, MODEL.encode(), blake2_256(TASK),
            10**7, now + 12, 30, 1,
        )  # fmt: skip
        async with miner.intents(least=1_000_000) as filler, Caller(DAVE) as dave:
            await blocks(client, 1)
            await until(client, lambda: _true(filler._block > 0))
            body = intents.message(sign(intent, DAVE), TASK)
            await dave.fetch(miner.target, "POST", INTENT_PATH, body)
            await dave.fetch(miner.target, "POST", INTENT_PATH, body)  # twice is once
            while (standing := await intents.read(await client.at_head(), intent.id())) is None:
                await blocks(client, 1)
            assert standing.hotkey == CHARLIE.address
        async with miner.intents() as filler, Caller(DAVE) as dave:
            while not filler.filled:
                await blocks(client, 1)
                await asyncio.sleep(0.02)
            path = f"{INTENT_PATH}?name=0x{intent.id().hex()}"
            raw = await dave.fetch(miner.target, "GET", path)
        asked = request_of(TASK, MODEL, intent.id())
        result, who = Result.from_bytes(raw), (DAVE.public_key, CHARLIE.public_key)
        result.check(miner.link.genesis, NET, *who, asked)
        with pytest.raises(BadReceipt):
            result.check(miner.link.genesis, NET, who[1], who[1], asked)
        with pytest.raises(BadReceipt):
            other = request_of(TASK.replace(b"12", b"13"), MODEL, intent.id())
            result.check(miner.link.genesis, NET, *who, other)
        lie = replace(result, signed=replace(result.signed, signature=bytes(64)))
        with pytest.raises(BadReceipt):
            lie.check(miner.link.genesis, NET, *who, asked)
        with pytest.raises(NoResult, match="no answer to this task"):
            jobs.checked(lie.to_bytes(), miner.link.genesis, NET, who[0], CHARLIE.address, asked)


# -- the command line ------------------------------------------------------------------------------


async def test_both_from_the_command_line(
    tiny: Loaded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task, out = tmp_path / "task.json", tmp_path / "result.json"
    task.write_bytes(TASK)

    async def ganglion(node: DevNode, *argv: str) -> dict[str, Any]:
        code = await asyncio.to_thread(main, [*argv, "--url", node.url, "--json"])
        said = capsys.readouterr()
        assert code == 0, said.err
        return json.loads(said.out)  # type: ignore[no-any-return]

    async with town() as (client, node), working(node, tiny, tmp_path) as miner:
        await open_market(client)
        async with miner.jobs(0):
            run = ("job", "run", "0", str(task), str(out), "-s", "//Dave")
            said = await ganglion(node, *run)
            assert said["miner"] == CHARLIE.address
            assert Result.from_bytes(out.read_bytes()).text == said["text"]
        async with miner.intents():
            fill = ("intent", "fill", "1", MODEL, str(task), str(out), "0.1", "-s", "//Dave")
            said = await ganglion(node, *fill)
            assert said["paid"] == f"{Balance(1).as_rao() / 10**9:.9f} TAO"
            assert Result.from_bytes(out.read_bytes()).text == said["text"]
    assert issubclass(NoResult, GanglionError)
