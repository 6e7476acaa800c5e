"""What paying costs: the same questions to a free and to a paid miner in turn."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import orjson
from benchmark import Row, run

from chain.dev.devnode import DevNode
from ganglion.wire import vouchers
from ganglion.wire.paid import VOUCHER_PATH, VoucherMessage
from localnet.paid_market import Market, Plan, market
from localnet.settle import run as settle
from neurons.engine.load import load
from neurons.program import limit_threads


async def asked(m: Market, tokens: int, seed: int) -> tuple[float, float]:
    """Milliseconds to a whole answer, and of processor time until its last voucher is taken."""
    start, spent = time.perf_counter(), time.process_time()
    await m.complete(0, "Explain json", max_tokens=tokens, seed=seed)
    wall = time.perf_counter() - start
    await m.settled()
    return wall * 1e3, (time.process_time() - spent) * 1e3


async def vouchers_alone(m: Market, times: int) -> Row:
    """A voucher from the gateway's database to the miner's disk."""
    gateway, miner = m.gateways[0], m.miners[0]
    (purse,) = gateway.payer.purses.values()
    kept, caller, found = gateway.payer.kept, gateway.text.caller, []
    for _ in range(times):
        start, spent = time.perf_counter(), time.process_time()
        purse.lane = purse.lane.raised(1)
        assert await kept.promise(purse.lane, []) is not None
        signed = vouchers.sign(purse.lane.voucher(kept.genesis), m.payer)
        body = orjson.dumps(VoucherMessage(signed.to_json()).to_json())
        await caller.fetch(miner.target, "POST", VOUCHER_PATH, body)
        wall = time.perf_counter() - start
        found.append((wall * 1e3, (time.process_time() - spent) * 1e3))
    return row("a voucher: keep, sign, send, verify, keep", [], found)


def row(what: str, free: list[tuple[float, float]], paid: list[tuple[float, float]]) -> Row:
    """Medians side by side."""
    wall, spent = (statistics.median(t[n] for t in paid) for n in (0, 1))
    before = [statistics.median(t[n] for t in free) for n in (0, 1)] if free else None
    return {
        "what": what,
        "free p50, ms": None if before is None else before[0],
        "paid p50, ms": wall,
        "overhead, ms": wall if before is None else wall - before[0],
        "free processor, ms": None if before is None else before[1],
        "paid processor, ms": spent,
    }


async def measured(url: str, times: int) -> list[Row]:
    """All rows but the settlement's."""
    loaded, rows = load("exact", "tiny"), []
    async with AsyncExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2)]
        plans = Plan(1, 1, is_paid=False, payer="Ferdie"), Plan(1, 1, payer="Eve")
        both = [
            await stack.enter_async_context(market(url, folder, loaded, plan))
            for folder, plan in zip(folders, plans)
        ]
        for m in both:
            await asked(m, 2, 1)
        for tokens in (1, 16, 64):
            found = [
                [await asked(m, tokens, seed) for m in both] for seed in range(1, 2 * times, 2)
            ]
            what = f"an answer of up to {tokens} tokens, one caller"
            rows.append(row(what, [pair[0] for pair in found], [pair[1] for pair in found]))
        rows.append(await vouchers_alone(both[1], 4 * times))
    return rows


def rows(quick: bool) -> list[Row]:
    limit_threads()  # as the programs do
    with DevNode() as node:
        made = asyncio.run(measured(node.url, 15 if quick else 100))
    count = 500 if quick else 5000
    spent = time.process_time()
    result = settle(count, False)
    assert result.is_exact
    each = (time.process_time() - spent) / count * 1e3
    text = f"a request of {count:,} settled at full speed, answers made up"
    return [*made, row(text, [], [(result.seconds / count * 1e3, each)])]


run(
    "payments",
    "The same questions to a free and to a paid miner (exact engine, tiny model), each behind a "
    "gateway of its own, in turn, one at a time; both sides' work in one process. Vouchers leave "
    "beside the answer, so its time is not theirs; processor time counts until the last is taken.",
    rows,
)
