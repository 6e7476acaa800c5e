"""Three validators report together over HTTP and a chain; one of them lies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from chain.dev.devnode import DevNode
from ganglion.cli.main import main
from ganglion.client import Client
from ganglion.keys import Keypair
from ganglion.wire.call import Caller, CallFailed, Patience, Target
from ganglion.wire.observations import PATH
from neurons.chainlink import ChainLink
from neurons.http import Gate, Server
from neurons.identity import Identity
from neurons.validator.book import Book
from neurons.validator.main import main as validate
from neurons.validator.reporting import Reporter, leader
from neurons.validator.server import StatusApp
from neurons.validator.weights import WeightWriter
from subnets.performance import quality_of
from subnets.scoring import Policy, Record, apply_round, compute_weights
from subnets.verdict import Reason, Verdict

NETUID = 1
HERE = "127.0.0.2"
"""An address of this machine that the chain takes: it refuses 127.0.0.1."""
QUICK, SLOW = Verdict(Reason.OK, "", 64, 0, 40, 1_000), Verdict(Reason.OK, "", 64, 0, 400, 8_000)


@dataclass
class One:
    """A validator without an engine: a book, a status port, a reporter."""

    key: Keypair
    book: Book
    chain: ChainLink
    reporter: Reporter


@dataclass
class Town:
    node: DevNode
    validators: list[One]
    miners: list[dict[str, Any]]
    caller: Caller

    async def report(self) -> Any:
        """Everybody takes a step until somebody has brought a report."""
        before = await self.stored()
        for _ in range(4):
            for one in self.validators:
                await one.reporter.step(await one.chain.view())
            found = await self.stored()
            if found != before:
                return found
        problems = [one.reporter.last_problem for one in self.validators]
        raise AssertionError(f"nobody brought a report: {problems}")

    async def stored(self) -> Any:
        return await self.validators[0].chain.client.query("Reports", "Reports", NETUID)

    def see(self, *verdicts: Verdict) -> None:
        """The honest see the first miner so and the second so; the liar says the reverse."""
        for number, one in enumerate(self.validators):
            told = verdicts if number else verdicts[::-1]
            hotkeys = [miner["hotkey"] for miner in self.miners]
            for _ in range(8):
                apply_round(one.book.records, dict(zip(hotkeys, told)), Policy(), 1)


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack:
        node = stack.enter_context(DevNode())
        found = node.rpc("dev_registerNeurons", NETUID, 3, 1000 * 10**9)
        miners = node.rpc("dev_registerNeurons", NETUID, 2)
        off = {"CommitRevealWeightsEnabled": [[[NETUID], False]], "Tempo": [[[NETUID], 1000]]}
        node.rpc("dev_setStorage", {"SubtensorModule": off})
        node.rpc("dev_runEpoch", NETUID)
        node.rpc("dev_skipRateLimits", NETUID)
        validators = []
        for neuron in found:
            key = Keypair.from_uri(neuron["uri"])
            node.rpc("dev_faucet", key.address, 10**9)
            client = await stack.enter_async_context(Client(node.url))
            caller = await stack.enter_async_context(Caller(key, Patience(connect=1.0)))
            chain = ChainLink(client, NETUID, key)
            identity, book = Identity(key, chain.genesis, NETUID), Book(None)
            reporter = Reporter(chain, caller, book, identity)
            writer = WeightWriter(chain, book)
            app = StatusApp(Gate(key.address), book, writer, identity, None, reporter).app
            server = Server(app, "0.0.0.0", 0)
            await server.start()
            stack.push_async_callback(server.stop)
            await chain.publish_status(HERE, server.port)
            validators.append(One(key, book, chain, reporter))
        yield Town(node, validators, miners, caller)


async def test_one_of_three_lies_and_the_medians_do_not_move(town: Town) -> None:
    town.see(QUICK, SLOW)
    found = await town.report()
    assert found["observers"] == 3
    quick, slow = found["miners"]
    assert (quick["first_token_ms"], quick["speed"]) == (40, 64_000)
    assert (slow["first_token_ms"], slow["speed"]) == (400, 8_000)
    assert {m["uid"] for m in found["miners"]} == {m["uid"] for m in town.miners}
    assert sum(one.reporter.brought for one in town.validators) == 1


async def test_the_liars_vtrust_falls_within_two_epochs(town: Town) -> None:
    """Weights follow from what a validator says that it saw; Yuma judges those who stand alone."""
    uids = {m["hotkey"]: m["uid"] for m in town.miners}
    policy = Policy(speed=1 << 16)
    trust = []
    for epoch in range(3):
        town.see(*(QUICK, SLOW) if epoch else (SLOW, SLOW))
        for one in town.validators:
            records = [(uids[hotkey], record) for hotkey, record in one.book.records.items()]
            chosen, weights = zip(*compute_weights(records, policy))
            await one.chain.set_weights(chosen, weights, 0)
        town.node.rpc("dev_runEpoch", NETUID)
        town.node.rpc("dev_skipRateLimits", NETUID)
        chain = town.validators[0].chain
        raw = await chain.client.query("SubtensorModule", "ValidatorTrust", NETUID)
        graph = (await chain.view()).graph
        trust.append([raw[graph.uid_of(one.key.address) or 0] for one in town.validators])
    assert min(trust[0]) == max(trust[0]) > 0
    liar, *honest = zip(*trust)
    assert liar[2] < liar[1] < liar[0]
    assert liar[2] * 10 < liar[0] * 9
    assert all(theirs[2] * 100 > theirs[0] * 95 for theirs in honest), honest


async def test_a_validator_that_is_away_delays_a_report_only(town: Town) -> None:
    """Four hold permits then, of which three are there: more than two thirds of the stake."""
    (away,) = town.node.rpc("dev_registerNeurons", NETUID, 1, 1000 * 10**9)
    town.node.rpc("dev_runEpoch", NETUID)
    town.see(QUICK, SLOW)
    for _ in range(8):
        view = await town.validators[0].chain.view()
        if leader(view) != away["hotkey"]:
            break
        for _ in range(10):
            town.node.rpc("dev_newBlock")
    assert (await town.report())["observers"] == 3


async def test_too_few_validators_bring_nothing(town: Town) -> None:
    town.node.rpc("dev_registerNeurons", NETUID, 2, 1000 * 10**9)
    town.node.rpc("dev_runEpoch", NETUID)
    town.see(QUICK, SLOW)
    with pytest.raises(AssertionError, match="two thirds"):
        for _ in range(6):
            for _ in range(10):
                town.node.rpc("dev_newBlock")
            await town.report()


async def test_observations_are_signed_for_rounds_of_now_only(town: Town) -> None:
    town.see(QUICK, SLOW)
    one = town.validators[1]
    view = await one.chain.view()
    await one.reporter.step(view)
    (where,) = [t for t in await one.chain.status_addresses() if t.hotkey == one.key.address]
    assert where == Target(one.key.address, HERE, where.port)
    for body in (b"{}", b"[]", b'{"round": -1}', b'{"round": 1, "more": 2}', b'{"round": 4000}'):
        with pytest.raises(CallFailed) as caught:
            await town.caller.fetch(where, "POST", PATH, body)
        assert caught.value.status == 400
        assert caught.value.said


def test_a_report_needs_a_port(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        validate(["--netuid", "1", "--wallet", "x", "--report", "203.0.113.7"])
    assert "give --status-port" in capsys.readouterr().err


def test_records_without_answers_make_no_figures() -> None:
    record = Record()
    apply_round({"a": record}, {"a": Verdict(Reason.TIMEOUT, "", 0)}, Policy(), 1)
    assert (quality_of(3, record, 7).answered, quality_of(3, record, 7).speed) == (0, 0)


async def test_the_command_line_shows_the_medians(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    async def ganglion(*argv: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, ["report", "show", *argv, "--url", town.node.url])
        said = capsys.readouterr()
        return code, said.out, said.err

    code, _, err = await ganglion("1")
    assert (code, err.count("\n")) == (1, 1)
    assert "no report yet" in err
    town.see(QUICK, SLOW)
    await town.report()
    code, out, _ = await ganglion("1")
    assert code == 0
    assert "3 validators, fresh" in out
    assert "100.0 %" in out
    code, out, _ = await ganglion("1", "--json")
    assert json.loads(out)["miners"][0]["speed"] == 64_000
    assert (await ganglion("77"))[0] == 1
