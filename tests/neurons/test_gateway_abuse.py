# ruff: noqa: E402 - optional packages decide first whether this file runs
"""What callers and miners of a gateway may try: to crash it, not to pay, to have others pay."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import orjson
import pytest
from running_miner import GENESIS, NETUID, Running, serving

openai = pytest.importorskip("openai")
pytest.importorskip("sqlalchemy")
from test_gateway_confirm import network
from test_gateway_openai import CHAT, MODEL, PRICES, Gatewayed, gateways

from ganglion.wire.call import CallFailed, Patience
from ganglion.wire.sealed import KeyRing, padded
from ganglion.wire.sealed_call import SealedCaller
from ganglion.wire.text import MOST_COUNTED, Sampling, TextRequest
from ganglion.wire.through import GatewayCaller
from neurons.engine.load import Loaded
from neurons.gateway.passing import EVIDENCE_A_MINUTE
from neurons.identity import Identity
from neurons.miner.attest import AttestService, mock_evidence
from neurons.miner.textgen import Event, Order, TextService

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


async def test_a_miner_cannot_bill_more_prompt_than_there_can_be(
    gateway: Gatewayed, miner: Running
) -> None:
    class Dear(TextService):
        async def answer(self, order: Order) -> AsyncIterator[Event]:
            async for name, data in super().answer(order):
                given = orjson.loads(data)
                yield name, orjson.dumps(given | {"prompt_tokens": MOST_COUNTED})

    miner.app.text = Dear(miner.worker, miner.app.text.tokenizer, miner.identity)  # type: ignore[union-attr]
    stream = await gateway.client.chat.completions.create(
        model=MODEL, messages=CHAT, max_tokens=900, stream=True
    )
    async for _ in stream:
        break
    await stream.close()
    spent, _ = await settled(gateway)
    made = gateway.text.router.miners[miner.target.hotkey]
    assert made.open == 0
    assert 0 < spent < PRICES.cost(100, 800)


# --- sealed orders ------------------------------------------------------------------------------


def order(limit: int) -> TextRequest:
    prompt = "import os\n" * 20
    return TextRequest(os.urandom(16), MODEL, Sampling(b"\5" * 32), limit, prompt=prompt)


def way(gateway: Gatewayed, key: str = "") -> GatewayCaller:
    return GatewayCaller(gateway.url, key or gateway.key)


async def test_who_leaves_a_sealed_answer_pays_for_its_prompt(
    gateway: Gatewayed, miner: Running
) -> None:
    request = order(600)
    async with way(gateway) as through:
        events = SealedCaller(through, GENESIS, NETUID).events(
            miner.target, request, padded(request.to_bytes())
        )
        await anext(events)
        await events.aclose()
    spent, reserved = await settled(gateway)
    assert reserved == 0
    assert spent >= PRICES.cost(len(request.prompt or ""), 1)


async def test_a_sealed_order_keeps_to_its_keys_price_and_the_miners_model(
    gateway: Gatewayed, miner: Running
) -> None:
    gateway.text.router.miners[miner.target.hotkey].price = 10.0
    cheap = gateway.store.add_key("cheap", max_price=9)
    for key, model, said in ((cheap, MODEL, "relax the price"), ("", "other", "serves")):
        async with way(gateway, key) as through:
            seals = SealedCaller(through, GENESIS, NETUID)
            with pytest.raises(CallFailed, match=said):
                await seals.text(miner.target, replace(order(4), model=model))
    assert gateway.spent_by(cheap) == gateway.spent() == (0, 0)


@pytest.mark.parametrize(
    ("path", "header"),
    [
        ("sealed", {"X-Ganglion-Confirm": "2"}),
        ("sealed", {"Idempotency-Key": "k"}),
        ("sealed", {"X-Ganglion-Confidential": "required"}),
        ("embeddings", {"X-Ganglion-Verify": "before"}),
        ("embeddings", {"X-Ganglion-Confirm": "2"}),
    ],
)
async def test_a_promise_that_nobody_keeps_is_refused(
    gateway: Gatewayed, path: str, header: dict[str, str]
) -> None:
    headers = {"Authorization": f"Bearer {gateway.key}"} | header
    body = {"model": MODEL, "input": "x"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{gateway.url}/{path}", json=body) as reply,
    ):
        assert reply.status == 400
        assert next(iter(header)) in await reply.text()


async def test_callers_cannot_use_up_the_evidence_that_a_gateway_needs(
    tiny: Loaded, tmp_path: Path
) -> None:
    async def behind(block_hash: bytes) -> int | None:
        return 0

    def service(identity: Identity, ring: KeyRing) -> AttestService:
        return AttestService(identity, ring, "mock", mock_evidence, behind)

    async with serving(tiny, attest=service) as miner:
        async for gateway in gateways(tiny, tmp_path, miner):
            found = []
            async with aiohttp.ClientSession() as session:
                for n in (*range(EVIDENCE_A_MINUTE), 0, EVIDENCE_A_MINUTE, 0):
                    url = f"{gateway.url}/sealed/{miner.target.hotkey}/attestation"
                    headers = {"Authorization": f"Bearer {gateway.key}"}
                    asked = {"nonce": "0x" + bytes([n]).hex() * 32}
                    async with session.get(url, params=asked, headers=headers) as reply:
                        found.append(reply.status)
            assert found == [200] * (EVIDENCE_A_MINUTE + 1) + [429, 200]


@pytest.mark.parametrize(("before", "failures"), [(0, 1), (3, 0)])
async def test_time_that_runs_out_in_a_sealed_answer_is_not_laid_to_the_miner(
    gateway: Gatewayed, miner: Running, before: int, failures: int
) -> None:
    class Stalling(TextService):
        async def answer(self, order: Order) -> AsyncIterator[Event]:
            count = 0
            async for event in super().answer(order):
                if count == before:
                    await asyncio.sleep(60)
                count += 1
                yield event

    miner.app.text = Stalling(miner.worker, miner.app.text.tokenizer, miner.identity)  # type: ignore[union-attr]
    gateway.text.caller._timeout = Patience(total=0.5).timeout()
    async with way(gateway) as through:
        with pytest.raises(CallFailed):
            await SealedCaller(through, GENESIS, NETUID).text(miner.target, order(40))
    await settled(gateway)
    assert gateway.text.router.miners[miner.target.hotkey].failures == failures
