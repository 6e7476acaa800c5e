"""What neurons say when the chain under them changes."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

import pytest

from ganglion.client import Client
from ganglion.errors import NodeUnreachable
from ganglion.keys import Keypair
from ganglion.rpc import RpcOptions
from localnet.node_process import NodeProcess
from neurons.chainlink import ChainLink
from neurons.miner.main import Standings

ALICE, BOB = Keypair.from_uri("//Alice"), Keypair.from_uri("//Bob")


@dataclass
class Seats:
    """A subnet whose seats the test gives and takes."""

    hotkey: Keypair = ALICE
    netuid: int = 2
    seated: set[str] = field(default_factory=lambda: {ALICE.address})
    stakes: dict[bytes, float] = field(default_factory=lambda: {BOB.public_key: 7.0})
    permitted: frozenset[bytes] = frozenset()

    async def view(self) -> Seats:
        return self

    def neuron(self, hotkey: str) -> str | None:
        return hotkey if hotkey in self.seated else None


async def test_a_miner_tells_once_that_its_seat_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    chain = Seats()
    standings = Standings(chain)  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING):
        await standings.refresh()
        assert caplog.messages == []
        chain.seated.clear()
        for _ in range(3):
            await standings.refresh()
    assert len(caplog.messages) == 1
    assert "lost its seat on subnet 2" in caplog.messages[0]
    assert standings(BOB.public_key) == 7.0


@pytest.mark.localnet
async def test_a_chain_that_was_replaced_by_another_is_noticed() -> None:
    """As when somebody ends a local network and starts the next one on the same port."""
    flags = "--dev", "--tmp", "--sealing", "manual"
    options = RpcOptions(timeout_s=20, reconnect_s=20)
    with NodeProcess(*flags) as node:
        async with Client(node.url, options=options) as client:
            link = ChainLink(client, 1, ALICE)
            assert (await link.view()).block == 0
            node.stop()
            node.start()
            await asyncio.to_thread(node.wait)
            with pytest.raises(NodeUnreachable, match="another chain .*start again"):
                await link.view()
