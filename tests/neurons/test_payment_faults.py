"""Payments under faults: lost vouchers, lost replies, restarts of either side; to the last rao."""

# ruff: noqa: E402 - optional packages decide first whether this file runs

from __future__ import annotations

import asyncio
import random
import tempfile
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("sqlalchemy")

from ganglion.keys import dev_key
from ganglion.voucher_file import VoucherFile
from ganglion.wire.call import Caller, CallFailed, Target
from ganglion.wire.lanes import ChannelFacts
from ganglion.wire.paid import Offer, UnitPrices
from ganglion.wire.text import Sampling, TextRequest
from localnet.settle import Direct, made_up
from neurons.engine.batch import Job
from neurons.gateway import purse as purse_module
from neurons.gateway.lane_store import LaneStore
from neurons.gateway.purse import Purse
from neurons.gateway.store import Store
from neurons.miner.textgen import Order
from neurons.miner.till import Till

GENESIS = b"g" * 32
ALICE, BOB = dev_key("Alice"), dev_key("Bob")
OFFER = Offer(BOB.public_key, UnitPrices(3_000_001, 3_000_001, 7_000_003))
CHANNEL = ChannelFacts(1, ALICE.public_key, BOB.public_key, ALICE.public_key, 10**9, 0, 10**6, 8)
TARGET = Target(BOB.address, "127.0.0.1", 1)


class Unsure(Direct):
    """A network that loses requests and replies, by turns that the test draws."""

    def __init__(self, tills: dict[str, Till], faults: list[str]) -> None:
        super().__init__(ALICE, tills)
        self.faults = faults

    async def fetch(self, target: Target, method: str, path: str, body: bytes) -> bytes:
        fault = self.faults.pop() if self.faults else ""
        if fault == "request":
            raise CallFailed("unreachable", "lost on its way")
        reply = await super().fetch(target, method, path, body)
        if fault == "reply":
            raise CallFailed("timeout", "the reply was lost")
        return reply


class World:
    """One gateway, one miner, and what each has on disk."""

    def __init__(self, folder: Path, faults: list[str]) -> None:
        self.folder, self.tills = folder, {}
        self.store = Store(f"sqlite:///{folder}/g.db")
        self.network = Unsure(self.tills, faults)
        self.purse: Purse
        self.restart_miner()

    def restart_miner(self) -> None:
        async def find(number: int) -> ChannelFacts | None:
            return CHANNEL if number == 1 else None

        kept = VoucherFile(self.folder / "v.db")
        self.till = self.tills[BOB.address] = Till(GENESIS, OFFER, kept, find, patience=0.05)

    async def restart_gateway(self) -> None:
        async def refill(purse: Purse, total: int) -> None:
            raise AssertionError("the deposit is large")

        kept = LaneStore(self.store, GENESIS, "one gateway")
        await kept.release()
        lane = await kept.take(1, 8)
        assert lane is not None
        caller = cast(Caller, self.network)
        self.kept, self.purse = kept, Purse(TARGET, OFFER, CHANNEL, lane, kept, caller, refill)

    async def ask(self, drawn: random.Random, breaks_at: int) -> int:
        """An answer, given up by the gateway after so many tokens; how many arrived."""
        output = [drawn.randrange(1000) for _ in range(drawn.randint(1, 120))]
        plain = TextRequest(drawn.randbytes(16), "m", Sampling(bytes(32)), 120, tokens=(1, 2, 3))
        tab = self.purse.tab(plain, 0)
        paying = TextRequest(plain.id, "m", plain.sampling, 120, tokens=(1, 2, 3), pay=tab.terms)
        job = Job(plain.id.hex(), (1, 2, 3), plain.sampling, 120)
        order = Order(paying, ALICE.public_key, bytes(32), job)
        got: list[int] = []
        async for name, _ in await self.till.metered(order, made_up(output)):
            if name != "tokens" or len(got) >= breaks_at:
                break
            got += output[len(got) : len(got) + 8]
            tab.arrived(3, got)
            await asyncio.sleep(0)
        tab.close(None)
        await self.purse.drained()
        return len(got)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "ask", "again", "miner", "gateway"]), st.integers(1, 130)
    ),
    min_size=1,
    max_size=8,
)
FAULTS = st.lists(st.sampled_from(["", "", "", "request", "reply"]), max_size=30)


@settings(max_examples=25, deadline=None)
@given(STEPS, FAULTS, st.integers(0, 2**32))
def test_both_sides_end_with_what_was_delivered(
    steps: list[tuple[str, int]], faults: list[str], seed: int
) -> None:
    async def play(folder: Path) -> None:
        w, drawn, arrived = World(folder, faults), random.Random(seed), []
        await w.restart_gateway()
        for kind, number in steps:
            if kind == "miner":
                w.restart_miner()
            elif kind == "gateway":
                await w.restart_gateway()
            elif kind == "again":
                w.purse.deliver()
                await w.purse.drained()
            else:
                arrived.append(await w.ask(drawn, number))
            promised = await w.kept.promised(1)
            assert not w.purse.broken
            assert w.till.ledger.promised(CHANNEL) <= promised
            assert promised == sum(OFFER.prices.cost(3, count) for count in arrived if count)
        w.network.faults.clear()
        await w.ask(drawn, 1)  # the next voucher brings what earlier ones did not
        promised, answers = await w.kept.promised(1), await w.kept.answers(1, 0)
        assert w.till.ledger.promised(CHANNEL) == promised == sum(one.amount for one in answers)
        assert not w.purse.broken
        assert {v.voucher.cumulative for v in VoucherFile(folder / "v.db").load()} == {promised}
        w.store.close()

    purse_module.AGAIN_SECONDS = 0.0
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder)))
