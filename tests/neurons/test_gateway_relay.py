"""The relay over real miners: continuation to the bit, rivals for quiet miners, honest billing."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from running_miner import GENESIS, NETUID, Running, serving

from ganglion.keys import Keypair
from ganglion.wire.call import Caller, Target
from ganglion.wire.text import Sampling, TextRequest
from neurons.engine.load import Loaded
from neurons.gateway.refusals import NoMiner
from neurons.gateway.relay import Relay
from neurons.gateway.router import Miner, Router
from neurons.identity import Identity

ALICE = Keypair.from_uri("//Alice")
IDENTITY = Identity(ALICE, GENESIS, NETUID)


def as_miner(uid: int, target: Target) -> Miner:
    return Miner(uid, target, "ganglion/tiny", True, 1024)


def request(limit: int = 60, stop: tuple[str, ...] = ()) -> TextRequest:
    sampling = Sampling(b"\4" * 32)
    return TextRequest(b"i" * 16, "ganglion/tiny", sampling, limit, prompt="Explain ☃", stop=stop)


def relay(caller: Caller, *targets: Target, limit: int = 60) -> Relay:
    miners = [as_miner(i, t) for i, t in enumerate(targets)]
    return Relay(caller, IDENTITY, Router(), miners, request(limit))


@asynccontextmanager
async def mute(status: bytes = b"HTTP/1.1 200 OK\r\n\r\n") -> AsyncIterator[Target]:
    """A server that takes requests and then says nothing more than a status line."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(status)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield Target(
        Keypair.from_uri("//Mute").address, "127.0.0.1", server.sockets[0].getsockname()[1]
    )
    server.close()


async def collected(one: Relay) -> str:
    return "".join([delta.text async for delta in one.stream()])


@pytest.mark.parametrize("after", [1, 7, 31])
async def test_a_killed_miner_is_replaced_to_the_bit(tiny: Loaded, after: int) -> None:
    bob, charlie = serving(tiny, "//Bob"), serving(tiny, "//Charlie")
    async with bob as first, charlie as second, Caller(ALICE) as caller:
        unbroken = relay(caller, second.target)
        whole = await collected(unbroken)
        broken, said = relay(caller, first.target, second.target), ""
        async for delta in broken.stream():
            said += delta.text
            if len(broken.tokens) == after:
                first.worker.stop()
    assert said == whole == broken.text
    assert broken.tokens == unbroken.tokens
    assert sum(part.tokens for part in broken.parts) == len(broken.tokens)
    final = broken.parts[-1]
    assert final.signed is not None
    if len(broken.parts) == 2:  # on a quick machine the first may have been done already
        assert broken.parts[0].signed is None
        assert final.signed.receipt.first == broken.parts[0].tokens - 1


async def test_a_quiet_miner_gets_a_rival_and_the_loser_is_let_go(miner: Running) -> None:
    async with mute() as quiet, Caller(ALICE) as caller:
        one = relay(caller, quiet, miner.target)
        started = time.monotonic()
        await collected(one)
        assert time.monotonic() - started < 10  # its own patience would be 15 s
    assert [part.miner.uid for part in one.parts] == [1]
    assert one.attempts == 2


@asynccontextmanager
async def falling_silent(miner: Target, after: int, hang: bool = True) -> AsyncIterator[Target]:
    """The miner's answers, of which only the first `after` events come through."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, onward = await asyncio.open_connection(miner.host, miner.port)
        onward.write(await reader.readuntil(b"\r\n\r\n") + await reader.read(1 << 16))
        for _ in range(after):
            writer.write(await back.readuntil(b"\n\n"))
        if hang:
            await reader.read()
        onward.close()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield Target(miner.hotkey, "127.0.0.1", server.sockets[0].getsockname()[1])
    server.close()


async def test_silence_in_mid_answer_is_noticed_and_rivals_follow(tiny: Loaded) -> None:
    """No connection breaks: the stalled miner is found by its silence, so is who should resume."""
    bob, charlie = serving(tiny, "//Bob"), serving(tiny, "//Charlie")
    async with bob as first, charlie as second, mute() as quiet, Caller(ALICE) as caller:
        whole = await collected(relay(caller, second.target))
        async with falling_silent(first.target, 7) as stalling:
            one = relay(caller, stalling, quiet, second.target)
            started = time.monotonic()
            assert await collected(one) == whole
            assert time.monotonic() - started < 10  # its own patience would be 15 s
    assert [(part.miner.uid, part.signed is not None) for part in one.parts] == [
        (0, False),
        (2, True),
    ]
    assert one.attempts == 3


async def test_dead_miners_are_passed_over_and_counted(miner: Running) -> None:
    dead = Target(Keypair.from_uri("//Dave").address, "127.0.0.1", 1)
    async with Caller(ALICE) as caller:
        one = relay(caller, dead, dead, miner.target)
        assert await collected(one)
    assert len(one.failures) == 2


async def test_nobody_left_is_said_with_the_reasons() -> None:
    dead = Target(Keypair.from_uri("//Dave").address, "127.0.0.1", 1)
    async with Caller(ALICE) as caller:
        with pytest.raises(NoMiner, match="uid 0: .*cannot be reached"):
            await collected(relay(caller, dead))
        with pytest.raises(NoMiner, match="none serves"):
            await collected(relay(caller))


async def test_a_miner_that_contradicts_what_was_delivered_is_dropped(
    tiny: Loaded, miner: Running
) -> None:
    async with (
        falling_silent(miner.target, 6, hang=False) as first,
        serving(tiny, "//Charlie") as second,
        Caller(ALICE) as caller,
    ):
        one = relay(caller, first, second.target)
        with pytest.raises(NoMiner, match="differ"):
            async for _ in one.stream():
                if one.tokens:  # as if the first miner had delivered another token
                    one.tokens[-1] ^= 1


async def test_leaving_early_frees_the_miner(miner: Running) -> None:
    async with Caller(ALICE) as caller:
        one = relay(caller, miner.target, limit=900)
        stream = one.stream()
        async for _ in stream:
            break
        await stream.aclose()
        for _ in range(300):
            if miner.worker.load == (0, 0):
                break
            await asyncio.sleep(0.01)
    assert miner.worker.load == (0, 0)
    assert [part.tokens for part in one.parts] == [len(one.tokens)]
