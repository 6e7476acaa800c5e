# ruff: noqa: E402 - optional packages decide first whether this file runs
"""One OpenAI endpoint over three miners whose hardware validators have measured: the row io.net."""

import argparse
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from running_miner import GENESIS, NETUID, Running, serving

openai = pytest.importorskip("openai")
pytest.importorskip("sqlalchemy")

from test_gateway_openai import Gatewayed, gateways

from ganglion.keys import Keypair
from ganglion.wire import performance as wire
from ganglion.wire.call import Caller, Target
from ganglion.wire.performance import MinerPerformance, Report
from neurons.engine.load import Loaded
from neurons.gateway.performance import Performance, combined, source
from neurons.gateway.router import Policy, Router
from neurons.http import Gate, Server
from neurons.identity import Identity
from neurons.validator.book import Book
from neurons.validator.server import StatusApp
from subnets.hardware.judge import Outcome, Result

MODEL = "ganglion/tiny"
ASK = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 12}
VALIDATORS = [Keypair.from_uri(f"//validator{i}") for i in range(3)]
SLOW, MIDDLE, FAST = 10**9, 10**10, 10**11


async def validating(
    hotkey: Keypair, rates: dict[str, int], stack: AsyncExitStack, netuid: int = NETUID
) -> Target:
    """A validator's status server whose book holds these proven rates."""
    book = Book(None)
    for miner, rate in rates.items():
        record = book.hardware.setdefault(miner, book.hardware_of(miner))
        record.enter(Result(Outcome.OK, "", rate, rate), 1, 1)
    identity = Identity(hotkey, GENESIS, netuid)
    app = StatusApp(Gate(hotkey.address), book, SimpleNamespace(), identity)  # type: ignore[arg-type]
    server = Server(app.app, "127.0.0.1", 0)
    await server.start()
    stack.push_async_callback(server.stop)
    return Target(hotkey.address, "127.0.0.1", server.port)


@dataclass
class Market:
    """A gateway over three miners, which validators have measured as slow, middle and fast."""

    gateway: Gatewayed
    miners: list[Running]
    sources: list[Target]

    async def tell(self) -> None:
        """Let the gateway read the validators' reports."""
        routers = {NETUID: self.gateway.text.router}
        await Performance(self.gateway.text.caller, GENESIS, routers, self.sources).refresh()

    def answers(self) -> list[int]:
        """How many answers every miner has given."""
        return [m.app.text.answers for m in self.miners if m.app.text is not None]


@pytest.fixture
async def market(tiny: Loaded, tmp_path: Path) -> AsyncIterator[Market]:
    async with AsyncExitStack() as stack:
        miners = [
            await stack.enter_async_context(serving(tiny, uri))
            for uri in ("//Bob", "//Charlie", "//Dave")
        ]
        rates = dict(zip((m.target.hotkey for m in miners), (SLOW, MIDDLE, FAST)))
        lies = dict(zip(rates, (FAST, FAST, SLOW)))  # of one validator of three
        books = [rates, rates, lies]
        sources = [await validating(v, book, stack) for v, book in zip(VALIDATORS, books)]
        async for gateway in gateways(tiny, tmp_path, *miners):
            yield Market(gateway, miners, sources)


async def streamed(gateway: Gatewayed, capability: str) -> str:
    """What the unmodified client streams under this header."""
    headers = {"X-Ganglion-Capability": capability}
    stream = await gateway.client.chat.completions.create(**ASK, stream=True, extra_headers=headers)
    return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])


async def test_the_openai_client_streams_over_three_miners_by_capability(market: Market) -> None:
    await market.tell()
    for _ in range(12):
        assert await streamed(market.gateway, "0")
    everybody = market.answers()
    assert sum(everybody) >= 12
    for _ in range(4):
        assert await streamed(market.gateway, "5e10")
    fast_only = [after - before for before, after in zip(everybody, market.answers())]
    assert fast_only == [0, 0, 4]
    for _ in range(6):
        assert await streamed(market.gateway, str(MIDDLE))
    assert market.answers()[0] == everybody[0]  # the slow one was never asked


async def test_every_miner_gets_a_share(market: Market) -> None:
    """One endpoint, three suppliers: with weights that see no difference, nobody is left out."""
    market.gateway.text.router.policy = Policy(latency=0.0)
    for _ in range(30):
        made = await market.gateway.client.chat.completions.create(**ASK | {"max_tokens": 1})
        assert made.choices
    assert min(market.answers()) > 0


async def test_when_nobody_is_fast_enough_the_client_is_told(market: Market) -> None:
    await market.tell()
    with pytest.raises(openai.APIStatusError, match="class or the capability") as caught:
        await streamed(market.gateway, "1e12")
    assert (caught.value.status_code, caught.value.code) == (503, "no_miner")  # type: ignore[attr-defined]
    with pytest.raises(openai.BadRequestError, match="must be a number from 0 up"):
        await streamed(market.gateway, "fast")
    embedded = market.gateway.client.embeddings
    with pytest.raises(openai.BadRequestError, match="reads no measured performance"):
        await embedded.create(model=MODEL, input="x", extra_headers={"X-Ganglion-Capability": "1"})
    assert sum(market.answers()) == 0


async def test_a_gateway_without_reports_does_not_pretend(market: Market) -> None:
    with pytest.raises(openai.BadRequestError, match="leave out X-Ganglion-Capability"):
        await streamed(market.gateway, "1")


def report(validator: Keypair, rates: dict[str, int], at: int) -> Report:
    lines = (MinerPerformance(h, 1, 1, 1, 1, r, r, 1, 1, {}) for h, r in rates.items())
    return Report(GENESIS, NETUID, validator.address, 1, at, tuple(lines))


def test_one_liar_of_three_moves_nothing() -> None:
    bob, eve = (Keypair.from_uri(uri).address for uri in ("//Bob", "//Eve"))
    honest = [report(v, {bob: SLOW}, 5) for v in VALIDATORS[:2]]
    assert combined([*honest, report(VALIDATORS[2], {bob: FAST, eve: FAST}, 5)])[bob] == SLOW
    assert combined([report(VALIDATORS[0], {bob: FAST}, 5), honest[1]])[bob] == SLOW  # the lower
    assert combined([]) == {}
    only = [report(v, {}, 5) for v in VALIDATORS[:2]]  # what nobody else vouches for is nothing
    assert combined([*only, report(VALIDATORS[2], {eve: FAST}, 5)]) == {eve: 0}


async def test_a_report_that_stays_away_counts_while_it_is_fresh() -> None:
    clock, bob = SimpleNamespace(now=time.time()), Keypair.from_uri("//Bob").address
    router = Router()
    async with AsyncExitStack() as stack, Caller(Keypair.from_uri("//Alice")) as caller:
        target = await validating(VALIDATORS[0], {bob: FAST}, stack)
        reader = Performance(caller, GENESIS, {NETUID: router}, [target], lambda: clock.now)
        await reader.refresh()
        assert router.capability == {bob: FAST}
        await stack.aclose()
        await reader.refresh()
        assert router.capability == {bob: FAST}
        clock.now += wire.FRESH_SECONDS + 2
        await reader.refresh()
        assert router.capability == {}


async def test_reports_of_others_are_not_taken() -> None:
    bob, router = Keypair.from_uri("//Bob").address, Router()
    async with AsyncExitStack() as stack, Caller(Keypair.from_uri("//Alice")) as caller:
        other = await validating(VALIDATORS[0], {bob: FAST}, stack, NETUID + 5)
        mine = await validating(VALIDATORS[1], {bob: SLOW}, stack)
        posing = replace(mine, hotkey=VALIDATORS[2].address)
        await Performance(caller, GENESIS, {NETUID: router}, [other, posing]).refresh()
        assert router.capability == {}


def test_how_a_validator_is_named() -> None:
    address = VALIDATORS[0].address
    assert source(f"http://{address}@10.0.0.1:8092") == Target(address, "10.0.0.1", 8092)
    for text in (
        "",
        "http://10.0.0.1:8092",
        f"https://{address}@h:1",
        f"http://{address}@h",
        "http://nobody@h:1",
        f"http://{address}@h:99999",
    ):
        with pytest.raises(argparse.ArgumentTypeError, match="http://HOTKEY@HOST:PORT"):
            source(text)
