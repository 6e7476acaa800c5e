# ruff: noqa: E402 - optional packages decide first whether this file runs
"""What callers and miners of a gateway may try: to crash it, not to pay, to have others pay."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import orjson
import pytest
from running_miner import Running, serving

openai = pytest.importorskip("openai")
pytest.importorskip("sqlalchemy")
from test_gateway_confirm import network
from test_gateway_openai import CHAT, MODEL, Gatewayed, gateways

from neurons.engine.load import Loaded

ASK = {"model": MODEL, "messages": CHAT, "max_tokens": 4}


@pytest.fixture
async def gateway(tiny: Loaded, miner: Running, tmp_path: Path) -> AsyncIterator[Gatewayed]:
    async for made in gateways(tiny, tmp_path, miner):
        yield made


async def raw(gateway: Gatewayed, path: str, header: bytes) -> bytes:
    """The reply to a GET or POST of ASK with bytes in a header that no good client sends."""
    address, body = urlsplit(gateway.url), orjson.dumps(ASK)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    method = "GET" if path.startswith("/receipts") else "POST"
    head = f"{method} /v1{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    if not header.startswith(b"Authorization"):
        head += f"Authorization: Bearer {gateway.key}\r\n"
    head += f"Content-Length: {len(body)}\r\n"
    writer.write(head.encode() + header + b"\r\n\r\n" + body)
    said = await reader.read()
    writer.close()
    return said


async def settled(gateway: Gatewayed) -> tuple[int, int]:
    """What was spent, once nothing is reserved any more."""
    for _ in range(300):
        if gateway.spent()[1] == 0:
            break
        await asyncio.sleep(0.01)
    return gateway.spent()


@pytest.mark.parametrize(
    ("path", "header", "status"),
    [
        ("/chat/completions", b"Authorization: Bearer gk-1-\xff", b"401"),
        ("/chat/completions", b"Authorization: Bearer gk-\xff-1", b"401"),
        ("/chat/completions", b"Idempotency-Key: \xff", b"400"),
        ("/chat/completions", b"X-Ganglion-Max-Price: \xff", b"400"),
        ("/chat/completions", b"X-Ganglion-Confirm: \xff", b"400"),
        ("/receipts/%00", b"X-Nothing: 1", b"404"),
        ("/receipts/%ED%B3%BF", b"X-Nothing: 1", b"404"),
        ("/receipts/%FF", b"X-Nothing: 1", b"404"),
    ],
)
async def test_what_is_no_text_is_refused(
    gateway: Gatewayed, path: str, header: bytes, status: bytes
) -> None:
    said = await raw(gateway, path, header)
    assert said.split(maxsplit=2)[1] == status
    assert b'{"error":' in said


async def test_an_answer_that_fails_whole_costs_nothing(tiny: Loaded, tmp_path: Path) -> None:
    """Nothing is delivered of a whole response that cannot be finished."""
    async with serving(tiny, "//Bob") as miner:
        async for gateway in gateways(tiny, tmp_path, miner):
            chat = gateway.client.chat.completions
            asking = asyncio.create_task(chat.create(model=MODEL, messages=CHAT, max_tokens=900))
            while not miner.worker.tokens_made > 3:
                await asyncio.sleep(0.005)
            miner.worker.stop()
            with pytest.raises(openai.InternalServerError):
                await asking
            assert await settled(gateway) == (0, 0)


async def test_an_answer_that_fails_verification_costs_nothing(
    tiny: Loaded, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        net = await network(stack, tiny, ["wrong-model"])
        async for gateway in gateways(tiny, tmp_path, *net.running):
            with pytest.raises(openai.InternalServerError, match="no answer passed"):
                await gateway.client.chat.completions.create(
                    **ASK, extra_headers={"X-Ganglion-Verify": "before"}
                )
            assert gateway.spent() == (0, 0)


async def test_a_key_used_again_for_another_kind_of_request_is_a_conflict(
    gateway: Gatewayed,
) -> None:
    both = {"model": MODEL, "prompt": "x", "messages": CHAT, "max_tokens": 3, "stream": True}
    headers = {"Authorization": f"Bearer {gateway.key}", "Idempotency-Key": "k"}
    verified = headers | {"X-Ganglion-Verify": "before"}
    found = []
    async with aiohttp.ClientSession() as session:
        for path, said in (
            ("completions", headers),
            ("completions", headers),
            ("completions", verified),
            ("chat/completions", headers),
        ):
            url = f"{gateway.url}/{path}"
            async with session.post(url, json=both, headers=said) as reply:
                found.append(reply.status)
                await reply.read()
                await settled(gateway)
    assert found == [200, 200, 422, 422]


async def test_embeddings_that_nobody_waits_for_hold_nothing(
    gateway: Gatewayed, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, embed = asyncio.Event(), gateway.embed

    async def hangs(*_: object) -> None:
        entered.set()
        await asyncio.sleep(60)

    monkeypatch.setattr(embed, "_one", hangs)
    asking = asyncio.create_task(gateway.client.embeddings.create(model=MODEL, input="a word"))
    await entered.wait()
    assert gateway.spent()[1] > 0
    asking.cancel()
    assert await settled(gateway) == (0, 0)
