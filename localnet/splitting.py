"""One engine under many names, beside a rival like it: what their weights come to under load."""

from __future__ import annotations

import random
from contextlib import AsyncExitStack

from ganglion.keys import Keypair
from ganglion.wire.call import Caller, Patience, Target
from localnet.adversaries import GENESIS, NETUID, VALIDATOR
from localnet.doors import Try
from neurons.engine.load import Loaded
from neurons.engine.worker import Worker
from neurons.http import Gate, Server
from neurons.identity import Identity
from neurons.miner.server import MinerApp
from neurons.miner.textgen import TextService
from neurons.validator.examiner import TextExaminer
from neurons.validator.load import LoadChecks
from neurons.validator.rounds import Miner
from neurons.validator.stall import StallMeter
from subnets.scoring import Policy, Record, apply_loads, apply_round, compute_weights
from subnets.verdict import Reason, Verdict

NAMES = 4
COUNT = 32
"""Probes that every name gets at once: fewer than validators send, for a machine without a card."""
RIGHT = Verdict(Reason.OK, tokens=100, total_ms=100)


class Unmetered(StallMeter):
    """Miners and validator are one process here, so it stands still for the miners' work."""

    async def __aenter__(self) -> StallMeter:
        return self


async def named(name: str, engine: Worker, loaded: Loaded, stack: AsyncExitStack) -> Target:
    """A server for one hotkey on an engine that others may share."""
    hotkey = Keypair.from_uri(f"//{name}")
    service = TextService(engine, loaded.tokenizer, Identity(hotkey, GENESIS, NETUID))
    server = Server(MinerApp(Gate(hotkey.address), lambda _: 1.0, service).app, "127.0.0.1", 0)
    await server.start()
    stack.push_async_callback(server.stop)
    return Target(hotkey.address, "127.0.0.1", server.port)


def earned(rates: dict[str, int], rival: str) -> float:
    """The weight of all names but the rival's, in parts of the rival's, once averages settled."""
    records: dict[str, Record] = {}
    for block in range(60):
        apply_round(records, dict.fromkeys(rates, RIGHT), Policy(), block)
        apply_loads(records, rates)
    uids = dict(enumerate(rates))
    weights = {
        uids[uid]: weight
        for uid, weight in compute_weights(
            ((uid, records[name]) for uid, name in uids.items()), Policy()
        )
    }
    return sum(w for name, w in weights.items() if name != rival) / weights[rival]


async def split(loaded: Loaded) -> Try:
    """Load an engine under one name, then under many, as a validator does: would it have earned
    more beside a rival like itself? One after the other, because all share this machine."""
    async with AsyncExitStack() as stack:
        engine, verifier = (Worker(loaded.model, pages=1024, width=COUNT) for _ in range(2))
        for worker in (engine, verifier):
            worker.start()
            stack.callback(worker.stop)
        names = ("rival", *(f"name{i}" for i in range(NAMES)))
        targets = [await named(name, engine, loaded, stack) for name in names]
        caller = await stack.enter_async_context(Caller(VALIDATOR, Patience(idle=60)))
        judge = TextExaminer(caller, Identity(VALIDATOR, GENESIS, NETUID), loaded, verifier)
        checks = LoadChecks(judge, 1.0, COUNT, random.Random(1), meter=Unmetered)
        rates: dict[str, int] = {}
        for group in (targets[:1], targets[1:]):
            miners = [Miner(i, target, i) for i, target in enumerate(group)]
            rates |= (await checks.round(miners, {t.hotkey: RIGHT for t in group}))[0]
    ratio = earned(rates, targets[0].hotkey)
    carried = ", ".join(f"{rate / 1000:.0f}" for rate in rates.values())
    outcome = f"earns {ratio:.2f} of what one name would; tokens/s carried: {carried}"
    return Try(f"one engine, {NAMES} names", outcome, ratio < 0.9)
