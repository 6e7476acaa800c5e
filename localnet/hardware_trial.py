"""`scripts/hardware`: honest miners and class cheaters against the real clock, idle and loaded.

The machine is measured first. Then every miner is a process of its own that claims a class, and
this process is the validator, with the same code as in `neuron-validator`. The load is one process
a core that works half of the time.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, replace
from statistics import median

import numpy as np

from ganglion.keys import Keypair
from ganglion.wire.call import Caller, Target
from neurons import program
from neurons.http import Gate, Server
from neurons.identity import Identity
from neurons.miner.hardware import HardwareService, machines
from neurons.miner.server import MinerApp
from neurons.validator.hardware import Committed, HardwareChecks, is_busy
from subnets.hardware.chain import SLOWEST
from subnets.hardware.judge import Outcome, Result, deadline
from subnets.hardware.measure import claim_of, measure

MINER, VALIDATOR = Keypair.from_uri("//miner"), Keypair.from_uri("//validator")
GENESIS, NETUID = b"\1" * 32, 1
BURST = 0.05
RUNS = 4
HONEST, CHEAT = "honest", "class-cheat"
FACTORS = {HONEST: 1.0, CHEAT: 2.0}


@dataclass(frozen=True, slots=True)
class Row:
    """How one kind of miner fared under one load. Rates in multiply-adds a second; `others` is
    the share of all cores that processes of somebody else took meanwhile."""

    kind: str
    loaded: bool
    measured: int
    claimed: int
    tries: int
    passed: int
    excused: int
    median_ms: int
    slowest_ms: int
    deadline_ms: int
    outcomes: dict[str, int]
    others: float = 0.0

    @property
    def as_it_should(self) -> bool:
        """An honest miner passes every try, a cheater none; what was excused shows nothing."""
        wanted = self.tries - self.excused if self.kind == HONEST else 0
        return self.passed == wanted and self.excused < self.tries


async def serve(options: argparse.Namespace) -> None:
    """A miner's process: measure, claim, tell the port, take challenges until ended."""
    if options.engine == "hf":
        importlib.import_module("torch")
    machine = next(m for m in machines() if m.name == options.machine)
    claimed = claim_of(int(options.rate * FACTORS[options.serve]))
    service = HardwareService(
        Identity(MINER, GENESIS, NETUID),
        machine,
        lambda caller: caller == VALIDATOR.public_key,
        claimed,
        rest=0.0,
        caller_seconds=0.0,
    )
    app = MinerApp(Gate(MINER.address), lambda caller: 1.0)
    app.take_challenges(service)
    server = Server(app.app, "127.0.0.1", 0)
    await server.start()
    print(json.dumps({"port": server.port, "claimed": claimed}), flush=True)
    await asyncio.Event().wait()


def burn() -> None:
    """Work half of the time, as long as who asked for it is there."""
    parent = os.getppid()
    a = np.random.default_rng(0).normal(size=(512, 512)).astype(np.float32)
    while os.getppid() == parent:
        until = time.monotonic() + BURST
        while time.monotonic() < until:
            a @ a
        time.sleep(BURST)


@asynccontextmanager
async def child(*argv: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """This module in a process of its own, ended with the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "localnet.hardware_trial", *argv, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@asynccontextmanager
async def load(cores: int) -> AsyncIterator[None]:
    """Every core busy for half of the time."""
    if not cores:
        yield
        return
    async with child("--burn"), load(cores - 1):
        yield


async def trial(kind: str, loaded: bool, tries: int, options: argparse.Namespace) -> Row:
    """One kind of miner under one load."""
    argv = ["--serve", kind, "--machine", options.machine, "--rate", str(options.rate)]
    argv += ["--engine", options.engine]
    async with child(*argv) as process, Caller(VALIDATOR) as caller:
        assert process.stdout is not None
        said = json.loads(await process.stdout.readline())
        target = Target(MINER.address, "127.0.0.1", said["port"])
        checker = HardwareChecks(caller, Identity(VALIDATOR, GENESIS, NETUID), {}, 0.0)
        async with load(os.cpu_count() or 1 if loaded else 0):
            results = [await attempt(checker, target) for _ in range(tries)]
    return row(kind, loaded, options.rate, said["claimed"], results)


class Others:
    """The share of all cores that neither this process nor its children use, in a block."""

    share = 0.0

    def __enter__(self) -> Others:
        self._before = self._now()
        return self

    def __exit__(self, *_: object) -> None:
        busy, whole, own = (after - before for after, before in zip(self._now(), self._before))
        self.share = max(0.0, busy - own) / whole if whole > 0 else 0.0

    @staticmethod
    def _now() -> tuple[float, float, float]:
        """Seconds: busy, in all, our own; zeros where the system does not tell."""
        try:
            with open("/proc/stat") as stat:
                spent = [
                    int(word) / os.sysconf("SC_CLK_TCK") for word in stat.readline().split()[1:9]
                ]
        except OSError:
            return 0.0, 0.0, 0.0
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return (
            sum(spent) - spent[3] - spent[4],
            sum(spent),
            sum(u.ru_utime + u.ru_stime for u in used),
        )


async def attempt(checker: HardwareChecks, target: Target) -> Result:
    """One challenge and its check, when the chain before it is over."""
    while True:
        answer = (await checker.challenge([target], os.urandom(32)))[target.hotkey]
        if not is_busy(answer):
            return await checker.check(answer) if isinstance(answer, Committed) else answer
        await asyncio.sleep(1.0)


def row(kind: str, loaded: bool, measured: int, claimed: int, results: Sequence[Result]) -> Row:
    """The line of a table."""
    times = [r.milliseconds for r in results if r.milliseconds] or [0]
    return Row(
        kind,
        loaded,
        measured,
        claimed,
        len(results),
        sum(r.outcome is Outcome.OK for r in results),
        sum(r.outcome is Outcome.OURS for r in results),
        round(median(times)),
        max(times),
        round(deadline(claimed, 0.0) * 1000),
        dict(Counter(str(r.outcome) for r in results)),
    )


def show(rows: Sequence[Row]) -> str:
    """The table as text."""
    head = f"{'miner':12} {'load':>5} {'others':>6} {'rate':>7} {'class':>7}"
    lines = [f"{head} {'passed':>9} {'median':>8} {'slowest':>8} {'deadline':>9}  outcomes"]
    for r in rows:
        said = ", ".join(f"{name} {count}" for name, count in r.outcomes.items())
        load = f"{'50 %' if r.loaded else 'none':>5} {r.others * 100:4.0f} %"
        lines.append(
            f"{r.kind:12} {load} {r.measured / 1e9:6.1f}G "
            f"{r.claimed / 1e9:6.1f}G {r.passed:5} / {r.tries:<3} {r.median_ms:5} ms "
            f"{r.slowest_ms:5} ms {r.deadline_ms:6} ms  {said}"
        )
    return "\n".join(lines)


async def report(options: argparse.Namespace) -> list[Row]:
    """Everything, one after the other. A cheat claims twice what the machine can at its best."""
    if options.engine == "hf":
        importlib.import_module("torch")
    machine, options.rate = max(
        (
            (machine, options.rate or measure(machine))
            for machine in machines()
            for _ in range(RUNS)
        ),
        key=lambda one: one[1],
    )
    options.machine = machine.name
    few, rows = max(1, options.tries // 4), []
    for kind, loaded, tries in (
        (HONEST, False, few),
        (HONEST, True, options.tries),
        (CHEAT, False, few),
        (CHEAT, True, few),
    ):
        with Others() as others:
            found = await trial(kind, loaded, tries, options)
        rows.append(replace(found, others=round(others.share, 3)))
    return rows


def main(argv: Sequence[str]) -> int:
    """Print the table; exit code 1 if an honest miner failed or a cheater passed."""
    parser = argparse.ArgumentParser("scripts/hardware", description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=program.whole(1, 10_000), default=100)
    parser.add_argument("--engine", choices=("exact", "hf"), default="exact")
    parser.add_argument(
        "--rate", type=program.whole(0, SLOWEST * 10**6), default=0, help="0: measure"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", choices=tuple(FACTORS), help=argparse.SUPPRESS)
    parser.add_argument("--machine", help=argparse.SUPPRESS)
    parser.add_argument("--burn", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.burn:
        burn()
        return 0
    if options.serve:
        asyncio.run(serve(options))
    rows = asyncio.run(report(options))
    print(json.dumps([asdict(r) for r in rows]) if options.json else show(rows))
    return 0 if all(r.as_it_should for r in rows) else 1


if __name__ == "__main__":
    program.limit_threads()
    sys.exit(main(sys.argv[1:]))
