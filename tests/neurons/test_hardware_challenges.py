"""Challenges over real HTTP, with real chains; how long those take is for the tests to say."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from running_miner import GENESIS, NETUID

from ganglion.keys import Keypair
from ganglion.subnet_views import Axon
from ganglion.wire import hardware as wire
from ganglion.wire import performance
from ganglion.wire.call import Caller, CallFailed, Target
from ganglion.wire.fields import BadMessage
from localnet.hardware_faults import HalfChain, OtherEnd, Sleeper
from neurons.http import Gate, Server
from neurons.identity import Identity
from neurons.miner.hardware import REST, HardwareService
from neurons.miner.main import main as miner_main
from neurons.miner.server import MinerApp
from neurons.validator.book import Book
from neurons.validator.hardware import MOST, Committed, HardwareChecks
from neurons.validator.server import StatusApp
from neurons.validator.stall import StallMeter
from subnets.hardware.chain import FASTEST, Machine, NumpyMachine, shape_of
from subnets.hardware.judge import TRIES, Capability, Outcome, Result
from subnets.hardware.measure import claim_of

ALICE, EVE = Keypair.from_uri("//Alice"), Keypair.from_uri("//Eve")
MINERS = [Keypair.from_uri(f"//miner{i}") for i in range(4)]
TRUE = 400_000_000
"""The rate that the tests' clock gives an honest machine: chains of 10 products of size 256."""
CLASS = claim_of(TRUE)
BLOCK_HASH = b"\3" * 32


@dataclass
class Clock:
    """Time that passes when a machine works, or when a test says so."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


class Paced(NumpyMachine):
    """A machine whose real work takes the time that its rate says, by the tests' clock."""

    def __init__(self, clock: Clock, rate: float = TRUE) -> None:
        self.clock, self.rate = clock, rate

    def walk(self, material, start):  # type: ignore[no-untyped-def]
        self.clock.now += len(material.words) * start.size * len(start) / self.rate
        return super().walk(material, start)


@asynccontextmanager
async def serving(
    service: HardwareService,
) -> AsyncIterator[Target]:
    hotkey = service.identity.hotkey
    app = MinerApp(Gate(hotkey.address), lambda caller: 1.0)
    app.take_challenges(service)
    server = Server(app.app, "127.0.0.1", 0)
    await server.start()
    try:
        yield Target(hotkey.address, "127.0.0.1", server.port)
    finally:
        await server.stop()


def permitted(caller: bytes) -> bool:
    return caller == ALICE.public_key


def miner(
    clock: Clock, rate: int = CLASS, machine: Machine | None = None, key: Keypair = MINERS[0]
) -> HardwareService:
    """A miner that rests no time, so that tests need not wait for it."""
    identity = Identity(key, GENESIS, NETUID)
    made = machine or Paced(clock)
    return HardwareService(identity, made, permitted, rate, clock, rest=0.0, caller_seconds=0.0)


@pytest.fixture
async def alice() -> AsyncIterator[Caller]:
    async with Caller(ALICE) as caller:
        yield caller


class NoStalls(StallMeter):
    """Standing still is for the tests' clock alone; that of the machine they run on is not."""

    async def _watch(self) -> None:
        self.worst = 0.0


def checks(caller: Caller, clock: Clock) -> HardwareChecks:
    identity = Identity(ALICE, GENESIS, NETUID)
    return HardwareChecks(caller, identity, {}, 3600.0, NumpyMachine(), clock, clock, NoStalls)


async def verdict(checker: HardwareChecks, target: Target) -> Result:
    answer = (await checker.challenge([target], BLOCK_HASH))[target.hotkey]
    return await checker.check(answer) if isinstance(answer, Committed) else answer


async def test_an_honest_miner_passes_100_of_100_under_load_and_a_class_cheater_none(
    alice: Caller,
) -> None:
    """By a clock of our own: the machine is at three fifths of its speed in every other run."""
    clock = Clock()
    machine = Paced(clock)
    liar = miner(clock, claim_of(2 * TRUE), Paced(clock), MINERS[1])
    checker, passes, caught = checks(alice, clock), 0, 0
    async with serving(miner(clock, machine=machine)) as honest, serving(liar) as cheater:
        for run in range(100):
            machine.rate = TRUE * (0.62 if run % 2 else 1.0)
            result = await verdict(checker, honest)
            passes += result.outcome is Outcome.OK
            if run % 10 == 0:
                result = await verdict(checker, cheater)
                caught += result.outcome is Outcome.LATE
    assert (passes, caught) == (100, 10)


@pytest.mark.parametrize(
    ("cheat", "outcome", "words"),
    [
        (HalfChain, Outcome.WRONG, "not the end of this chain"),
        (OtherEnd, Outcome.WITHHELD, "not the one that was committed to"),
    ],
)
async def test_work_that_was_not_done_is_found(
    alice: Caller, cheat: type, outcome: Outcome, words: str
) -> None:
    clock = Clock()
    liar = miner(clock)
    liar.machine = cheat(liar.machine) if cheat is HalfChain else liar.machine
    if cheat is OtherEnd:
        liar = cheat(liar.identity, Paced(clock), permitted, CLASS, clock, 0.0, 0.0)
    async with serving(liar) as target:
        result = await verdict(checks(alice, clock), target)
    assert result.outcome is outcome
    assert words in result.detail


async def test_who_claims_nothing_and_who_cannot_be_reached(alice: Caller) -> None:
    clock = Clock()
    checker = checks(alice, clock)
    async with serving(miner(clock, rate=0)) as target:
        assert (await verdict(checker, target)).outcome is Outcome.NONE
    nowhere = replace(target, port=1)
    assert (await verdict(checker, nowhere)).outcome is Outcome.UNREACHABLE
    plain = Server(MinerApp(Gate(MINERS[0].address), lambda caller: 1.0).app, "127.0.0.1", 0)
    await plain.start()
    assert (await verdict(checker, replace(target, port=plain.port))).outcome is Outcome.NONE
    await plain.stop()


async def test_an_absurd_class_is_never_asked_for(alice: Caller) -> None:
    clock = Clock()
    service = miner(clock)
    service.rate = FASTEST + 1
    async with serving(service) as target:
        result = await verdict(checks(alice, clock), target)
    assert result.outcome is Outcome.FORMAT
    assert service.challenges == 0


async def test_a_late_answer_is_told_how_late_it_was(alice: Caller) -> None:
    clock = Clock()
    async with serving(miner(clock, machine=Paced(clock, TRUE / 3))) as target:
        result = await verdict(checks(alice, clock), target)
    assert result.outcome is Outcome.LATE
    assert "took 1636 ms; class 459000000 has 950 ms: claim less" in result.detail
    assert result.measured == pytest.approx(TRUE / 3, rel=0.05)


async def ask(
    caller: Caller, target: Target, nonce: bytes = b"\1" * 32, rate: int = CLASS
) -> bytes:
    body = wire.ChallengeRequest(nonce, BLOCK_HASH, rate).to_bytes()
    return await caller.fetch(target, "POST", wire.PATH, body)


async def refused(asking: object) -> tuple[int, str]:
    with pytest.raises(CallFailed) as caught:
        await asking  # type: ignore[misc]
    return caught.value.status, str(caught.value)


async def test_strangers_and_other_classes_are_refused(alice: Caller) -> None:
    service = miner(Clock())
    async with serving(service) as target, Caller(EVE) as eve:
        assert await refused(ask(eve, target)) == (
            403,
            "status 403: only validators with a permit on this subnet may challenge",
        )
        assert (await refused(ask(alice, target, rate=CLASS + 1)))[0] == 409
        await ask(alice, target)
        stolen = eve.fetch(target, "POST", wire.OPEN_PATH, wire.open_request(b"\1" * 32))
        assert (await refused(stolen))[0] == 404  # the end is for who asked for it
        end = await alice.fetch(target, "POST", wire.OPEN_PATH, wire.open_request(b"\1" * 32))
        assert len(end) == shape_of(CLASS).size ** 2
        again = alice.fetch(target, "POST", wire.OPEN_PATH, wire.open_request(b"\1" * 32))
        assert (await refused(again))[0] == 404
    assert service.challenges == 1


async def test_challenges_are_no_lever(alice: Caller) -> None:
    """A validator waits between its challenges, and all together take a tenth of the time."""
    clock = Clock()
    identity = Identity(MINERS[0], GENESIS, NETUID)
    service = HardwareService(
        identity, Paced(clock), lambda caller: True, CLASS, clock, REST, 100.0
    )
    async with serving(service) as target, Caller(EVE) as eve:
        before = clock.now
        await ask(alice, target)
        spent = clock.now - before
        status, words = await refused(ask(eve, target))
        assert status == 429
        assert "another challenge runs, or ran just now" in words
        for _ in range(TRIES - 1):  # she may try again while her turn lasts
            await ask(alice, target)
        assert (await refused(ask(alice, target)))[0] == 429
        clock.now += REST * spent + 0.001
        assert (await refused(ask(eve, target)))[0] == 429  # several tries need a longer rest
        clock.now += (TRIES - 1) * REST * spent
        await ask(eve, target)
        clock.now += REST * spent + 0.001
        assert (await refused(ask(alice, target)))[0] == 429
        clock.now += 100.0
        await ask(alice, target)
    assert service.challenges == TRIES + 2


class Recovering(Paced):
    """Too slow, but for its third chain."""

    walks = 0

    def walk(self, material, start):  # type: ignore[no-untyped-def]
        self.walks += 1
        self.rate = TRUE if self.walks == TRIES else TRUE / 3
        return super().walk(material, start)


async def test_who_is_late_may_try_again(alice: Caller) -> None:
    clock = Clock()
    identity = Identity(MINERS[0], GENESIS, NETUID)
    service = HardwareService(identity, Recovering(clock), permitted, CLASS, clock)
    async with serving(service) as target:
        assert (await verdict(checks(alice, clock), target)).outcome is Outcome.OK
    assert service.challenges == TRIES


async def test_a_late_chain_that_still_runs_is_late_not_busy(
    alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neurons.validator.hardware.PATIENCE", 0.05)
    service = miner(Clock(), machine=Sleeper(0.5))
    async with serving(service) as target:
        result = await verdict(checks(alice, Clock()), target)
        while service._busy:
            await asyncio.sleep(0.01)
    assert result.outcome is Outcome.LATE
    assert "no commitment within" in result.detail


async def test_one_chain_at_a_time_also_when_the_asker_leaves() -> None:
    clock = Clock()
    machine = Sleeper(0.3)
    service = miner(clock, machine=machine)
    async with serving(service) as target:
        async with Caller(ALICE) as leaving:
            asking = asyncio.create_task(ask(leaving, target))
            while not machine.began:
                await asyncio.sleep(0.01)
            asking.cancel()
        async with Caller(ALICE) as caller:
            assert (await refused(ask(caller, target)))[0] == 429
            while service._busy:
                await asyncio.sleep(0.01)
            await ask(caller, target)
    assert machine.began == 2


async def test_a_busy_card_says_so_and_answers_go_on(alice: Caller) -> None:
    """While a chain is walked the server answers other requests."""
    service = miner(Clock(), machine=Sleeper(0.5))
    async with serving(service) as target:
        asking = asyncio.create_task(ask(alice, target))
        while not service._busy:
            await asyncio.sleep(0.01)
        status = await alice.fetch(target, "GET", "/status")
        assert not asking.done()
        await asking
    assert b'"hardware":{"rate":' in status


async def test_the_meter_tells_how_long_the_loop_stood_still() -> None:
    async with StallMeter() as stalls:
        await asyncio.sleep(0.02)
        time.sleep(0.2)
        await asyncio.sleep(0.02)
    assert stalls.worst >= 0.19


def target_of(i: int, host: str = "10.0.0.1") -> Target:
    return Target(Keypair.from_uri(f"//{i}").address, host, 8000 + i)


async def test_who_is_due(alice: Caller) -> None:
    clock = Clock()
    checker = checks(alice, clock)
    clock.now = 100_000.0
    targets = [target_of(i) for i in range(5)]
    ages = {0: 10, 1: 3601, 2: 5000, 3: 20, 4: 60}
    for i, age in ages.items():
        known = Capability(at=100_000 - age, busy=1 if i > 2 else 0)
        checker.records[targets[i].hotkey] = known
    assert checker.due(targets) == [targets[2], targets[1], targets[4]]
    assert checker.due([*targets, target_of(9)])[0] == target_of(9)


async def test_those_of_one_host_are_asked_together(alice: Caller) -> None:
    checker = checks(alice, Clock(100_000.0))
    hosts = ["10.0.0.1", "10.0.0.2"] * 20
    picked = checker.due([target_of(i, host) for i, host in enumerate(hosts)])
    assert len(picked) == MOST
    assert len({t.host for t in picked}) == 1


def view_of(*targets: Target, permit: bool = True) -> SimpleNamespace:
    """What a View would say, without a chain."""
    serving = [
        SimpleNamespace(hotkey=t.hotkey, axon=Axon(t.host, t.port, 4, 1, 0)) for t in targets
    ]
    me = SimpleNamespace(hotkey=ALICE.address, validator_permit=permit)
    return SimpleNamespace(
        serving=serving, block=7, block_hash="0x" + "03" * 32, neuron=lambda address: me
    )


async def settled(checker: HardwareChecks) -> None:
    assert checker._settling is not None
    await checker._settling


async def test_a_round_writes_down_what_a_report_then_tells(alice: Caller, tmp_path: Path) -> None:
    clock = Clock()
    book = Book(tmp_path / "book.json")
    identity = Identity(ALICE, GENESIS, NETUID)
    checker = HardwareChecks(alice, identity, book.hardware, 60.0, NumpyMachine(), clock, clock)
    async with serving(miner(clock)) as honest:
        await checker.round(view_of(honest, permit=False))  # type: ignore[arg-type]
        assert checker._settling is None  # miners would refuse a validator without a permit
        await checker.round(view_of(honest))  # type: ignore[arg-type]
        await settled(checker)
        await checker.round(view_of(honest))  # type: ignore[arg-type]
        assert book.hardware[honest.hotkey].checks == 1  # not due yet
        clock.now += 61
        await checker.round(view_of(honest))  # type: ignore[arg-type]
        await settled(checker)
    book.save()
    again = Book(book.path)
    assert again.hardware == book.hardware
    known = again.hardware[honest.hotkey]
    assert (known.checks, known.passes, known.rate) == (2, 2, CLASS)
    assert known.proven == pytest.approx(TRUE, rel=0.05)
    again.keep_only(set())
    assert again.hardware == {}

    status = StatusApp(Gate(ALICE.address), book, SimpleNamespace(), identity)  # type: ignore[arg-type]
    server = Server(status.app, "127.0.0.1", 0)
    await server.start()
    async with Caller(EVE) as anybody:
        target = Target(ALICE.address, "127.0.0.1", server.port)
        body = await anybody.fetch(target, "GET", performance.PATH)
    await server.stop()
    (line,) = performance.read(body).miners
    assert (line.hotkey, line.hardware_proven) == (honest.hotkey, known.proven)
    assert line.reasons == {"hardware ok": 2}


SEED, GOOD = b"\5" * 32, wire.Commitment.make(b"\5" * 32, b"\6" * 32, MINERS[0])


def test_a_commitment_fits_one_challenge_of_one_miner() -> None:
    mine = MINERS[0].public_key
    assert wire.Commitment.from_bytes(GOOD.to_bytes(), SEED, mine) == GOOD
    for seed, key in ((b"\4" * 32, mine), (SEED, MINERS[1].public_key)):
        with pytest.raises(BadMessage, match="not signed by the miner's hotkey"):
            wire.Commitment.from_bytes(GOOD.to_bytes(), seed, key)


def test_every_part_of_a_challenge_is_in_its_seed() -> None:
    whole = wire.Bound(GENESIS, 2, b"\1" * 32, b"\2" * 32, b"\3" * 32, b"\4" * 32, 5)
    changes: list[dict[str, object]] = [
        {name: b"\x09" * 32} for name in ("genesis", "validator", "miner", "nonce", "block_hash")
    ]
    others = [replace(whole, **change) for change in [*changes, {"netuid": 3}, {"rate": 6}]]  # type: ignore[arg-type]
    assert len({bound.seed() for bound in [whole, *others]}) == 8


def readers() -> list[Callable[[bytes], object]]:
    return [
        wire.ChallengeRequest.from_bytes,
        wire.read_open_request,
        wire.read_class,
        lambda body: wire.Commitment.from_bytes(body, SEED, MINERS[0].public_key),
    ]


@given(st.binary(max_size=120), st.integers(0, 3))
def test_noise_is_refused(body: bytes, which: int) -> None:
    with pytest.raises(BadMessage):
        readers()[which](body)


@given(
    st.dictionaries(
        st.sampled_from(["nonce", "rate", "block_hash", "commitment", "signature", "crypto", "x"]),
        st.one_of(
            st.none(), st.integers(-5, 1 << 62), st.text(max_size=9), st.just("0x" + "ab" * 32)
        ),
    ),
    st.integers(0, 3),
)
def test_objects_are_read_or_refused(given_: dict[str, object], which: int) -> None:
    try:
        readers()[which](orjson.dumps(given_))
    except BadMessage:
        return
    names = [{"nonce", "block_hash", "rate"}, {"nonce"}, {"rate"}][which]
    assert given_.keys() == names


class Starved(NumpyMachine):
    """Has no memory left."""

    def walk(self, material, start):  # type: ignore[no-untyped-def]
        raise MemoryError("no room for 64 MiB")


async def test_want_of_memory_is_told_on_either_side(alice: Caller) -> None:
    clock = Clock()
    async with serving(miner(clock, machine=Starved())) as target:
        result = await verdict(checks(alice, clock), target)
        assert result.outcome is Outcome.BUSY
        assert "cannot be walked now: no room" in result.detail
    identity = Identity(ALICE, GENESIS, NETUID)
    poor = HardwareChecks(alice, identity, {}, 1.0, Starved(), clock, clock, NoStalls)
    async with serving(miner(clock)) as target:
        assert (await verdict(poor, target)).outcome is Outcome.OURS


async def test_small_requests_that_dribble_do_not_hold_up_a_round(
    alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neurons.validator.hardware.CLAIM_SECONDS", 0.1)

    class Dribbling(HardwareService):
        async def tell(self, request, signed):  # type: ignore[no-untyped-def]
            await asyncio.sleep(0.05)
            return await super().tell(request, signed)

    made = miner(Clock())
    slow = Dribbling(made.identity, made.machine, permitted, CLASS)
    async with serving(slow) as target:
        result = await verdict(checks(alice, Clock()), target)
    assert result.outcome is Outcome.UNREACHABLE
    assert "5 small requests took more than 0.1 s" in result.detail


def test_a_machine_is_measured_before_it_is_claimed(capsys: pytest.CaptureFixture[str]) -> None:
    assert miner_main(["hardware"]) == 0
    said = capsys.readouterr().out
    found = re.search(r"--hardware-rate (\d+): 1.15 times the best; a challenge is (\d+) ", said)
    assert found is not None
    shape = shape_of(int(found[1]))
    assert shape.steps == int(found[2])
    assert "billion multiply-adds a second" in said


@pytest.mark.parametrize("rate", ["0", "5", "1e9", str(FASTEST + 1)])
def test_a_class_that_cannot_be_is_refused_at_the_start(
    rate: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        miner_main(["--netuid", "1", "--hardware-rate", rate])
    assert f"{rate!r} does not do: give a whole number from" in capsys.readouterr().err
