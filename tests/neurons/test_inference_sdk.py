"""The SDK against real miners; the neurons it would read from the chain are handed to it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from running_miner import GENESIS, NETUID, Running, serving

from ganglion.hashing import blake2_256
from ganglion.inference import Inference, NoAnswer, Style
from ganglion.keys import Keypair
from ganglion.subnet_views import Axon, Neuron
from ganglion.wire.call import Target
from ganglion.wire.receipts import SignedReceipt, sign
from neurons.engine.load import Loaded
from neurons.miner.textgen import Order

ALICE = Keypair.from_uri("//Alice")


def neuron(uid: int, target: Target, incentive: int = 0) -> Neuron:
    axon = Axon(target.host, target.port, 4, 1, 0)
    return Neuron(uid, target.hotkey, "", True, axon, 0, 0, incentive, 0, 0, 0, 0, False, 0)


@asynccontextmanager
async def asking(*neurons: Neuron) -> AsyncIterator[Inference]:
    """An Inference that believes these neurons are what the chain says."""
    subnet = Inference(NETUID, ALICE)
    subnet._neurons, subnet._read_at = list(neurons), time.monotonic() + 1e6
    subnet._client.genesis_hash = "0x" + GENESIS.hex()
    async with subnet._caller:
        yield subnet


async def test_an_answer_comes_with_its_miner_and_receipt(miner: Running) -> None:
    async with asking(neuron(3, miner.target)) as subnet:
        answer = await subnet.ask("What does json.dumps do?", Style(max_tokens=20))
    assert answer.miner == miner.target.hotkey
    assert answer.receipt.receipt.tokens == answer.tokens
    assert answer.text
    assert len(answer.tokens) == 20 or answer.finish == "stop"


async def test_a_receipt_about_another_seed_is_not_taken(miner: Running) -> None:
    service = miner.app.text
    assert service is not None
    honest = service.receipt

    def receipt(order: Order, *rest: object) -> SignedReceipt:
        made = honest(order, *rest).receipt  # type: ignore[arg-type]
        return sign(replace(made, seed=b"\1" * 32), service.identity.hotkey)

    service.receipt = receipt  # type: ignore[method-assign]
    async with asking(neuron(3, miner.target)) as subnet:
        with pytest.raises(NoAnswer, match="about another seed"):
            await subnet.ask("What does json.dumps do?", Style(max_tokens=4))


async def test_vectors_come_with_their_receipt(miner: Running) -> None:
    async with asking(neuron(3, miner.target)) as subnet:
        made = await subnet.embed(["one", "two"])
    assert made.vectors.shape == (2, 128)
    assert made.uid == 3


async def test_a_dead_miner_is_passed_over(miner: Running) -> None:
    dead = Target(Keypair.from_uri("//Dave").address, "127.0.0.1", 1)
    async with asking(neuron(0, dead, 65535), neuron(1, miner.target)) as subnet:
        answer = await subnet.ask("Hi", Style(max_tokens=5))
    assert answer.miner == miner.target.hotkey


async def test_another_miner_finishes_what_a_dying_one_began(tiny: Loaded) -> None:
    style = Style(max_tokens=200, temperature=1.0, seed=b"\3" * 32)
    async with serving(tiny, "//Bob") as first, serving(tiny, "//Charlie") as second:
        async with asking(neuron(1, second.target)) as subnet:
            unbroken = await subnet.ask("Explain lambda.", style)
        async with asking(neuron(0, first.target, 10**9), neuron(1, second.target)) as subnet:
            asked = asyncio.create_task(subnet.ask("Explain lambda.", style))
            while first.worker.tokens_made < 10:
                await asyncio.sleep(0.001)
            first.worker.stop()  # the engine dies in the middle of the answer
            answer = await asked
    assert [part.miner for part in answer.parts] == [first.target.hotkey, second.target.hotkey]
    assert answer.tokens == unbroken.tokens
    assert answer.text == unbroken.text
    assert answer.receipt.receipt.first == len(answer.parts[0].tokens) > 5
    assert blake2_256(answer.parts[1].body) == answer.receipt.receipt.request  # what disputes need


async def test_no_miner_means_a_clear_sentence() -> None:
    async with asking() as subnet:
        with pytest.raises(NoAnswer, match="nobody serves on subnet 2"):
            await subnet.ask("x")
    dead = Target(Keypair.from_uri("//Dave").address, "127.0.0.1", 1)
    async with asking(neuron(5, dead)) as subnet:
        with pytest.raises(NoAnswer, match="uid 5"):
            await subnet.ask("x")
