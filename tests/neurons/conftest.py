"""Fixtures of the neurons' tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from running_miner import Running, serving

from neurons.engine.load import Loaded, load


@pytest.fixture(scope="session")
def tiny() -> Loaded:
    return load("exact", "tiny")


@pytest.fixture
async def miner(tiny: Loaded) -> AsyncIterator[Running]:
    async with serving(tiny) as running:
        yield running
