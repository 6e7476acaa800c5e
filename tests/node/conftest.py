"""Engines without sockets or threads, on a clock that the test moves."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from chain.chainspec import ChainSpec, preset
from chain.dev.signing import signed_call, transfer
from chain.engine import Clock, Engine
from chain.executive import Executive
from chain.importer import Importer
from chain.pool import Limits, Pool
from chain.runtime_spec import make_runtime
from chain.store.chain import ChainStore
from ganglion.keys import dev_key
from ganglion.units import Hash


@dataclass
class Time:
    """A clock that stands still until told."""

    ms: int = 1_800_000_000_000

    def clock(self) -> Clock:
        return Clock(lambda: self.ms / 1000, lambda: self.ms)


@dataclass
class Bench:
    """An engine with its clock, and short ways to drive it."""

    engine: Engine
    time: Time
    seen: list = field(default_factory=list)

    def block(self, **options):
        """Make a block now and finalise nothing; its header."""
        self.time.ms += 250
        header = self.engine.seal(wait=False, budget_s=10, lag=None, **options)
        assert header is not None
        return header

    def statuses(self, raw_hash: bytes) -> list[str]:
        """What was said about a transaction since the last call."""
        change = self.engine.take_change()
        return [e.status for e in change.transactions if e.tx == raw_hash]

    def pay(
        self, nonce: int, amount: int = 10**6, signer: str = "Alice", to: str = "Dave", **options
    ) -> bytes:
        """A signed transfer."""
        executive = self.engine.executive
        call = transfer(executive, dev_key(to).account_id, amount)
        return signed_call(executive, dev_key(signer), call, nonce, **options)

    def best(self) -> Hash:
        return self.engine.store.best()[0]


@pytest.fixture(scope="session")
def spec() -> ChainSpec:
    return preset("dev", make_runtime(), nonce=b"test")


@pytest.fixture
def bench(spec):
    """`bench()` makes an engine of the same chain each time; `keys` are whose blocks it makes."""

    def make(keys=("Alice",)) -> Bench:
        runtime, time = make_runtime(), Time()
        store = ChainStore.open(None, spec.genesis)
        executive = Executive(runtime, store.genesis_hash)
        held = {dev_key(k).public_key: dev_key(k) for k in keys}
        engine = Engine(
            store, executive, Importer(store, executive), Pool(Limits()), time.clock(), held
        )
        return Bench(engine, time)

    return make
