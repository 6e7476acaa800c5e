# ruff: noqa: E402 - optional packages decide first whether this file runs
"""The gateway, driven by the unmodified openai client over real HTTP and real miners."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import orjson
import pytest
from running_miner import GENESIS, NETUID, Running, serving

openai = pytest.importorskip("openai")
pytest.importorskip("sqlalchemy")

from ganglion.keys import Keypair
from ganglion.subnet_views import Axon, Neuron
from ganglion.wire import receipts
from ganglion.wire.call import Caller
from ganglion.wire.receipts import SignedReceipt
from localnet.faults import faulty_service
from neurons.engine.load import Loaded
from neurons.engine.worker import Worker
from neurons.gateway.app import GatewayApp
from neurons.gateway.directory import Directory
from neurons.gateway.embeddings import EmbedGateway
from neurons.gateway.router import Router
from neurons.gateway.service import Prices, TextGateway
from neurons.gateway.store import Store
from neurons.http import Gate, Server
from neurons.identity import Identity
from neurons.miner.server import MinerApp
from neurons.validator.examiner import TextExaminer
from neurons.validator.organic import OrganicChecks
from subnets.verdict import Reason

ALICE = Keypair.from_uri("//Alice")
IDENTITY = Identity(ALICE, GENESIS, NETUID)
MODEL = "ganglion/tiny"
CHAT = [{"role": "user", "content": "What does json.dumps do?"}]
ONE_TOKEN = {"model": MODEL, "messages": CHAT, "max_tokens": 1}
PRICES = Prices(1_000_000, 2_000_000)  # one rao a prompt token, two an output token


class Chain:
    """A subnet with these miners: what a ChainLink would read, without a chain."""

    hotkey = ALICE

    def __init__(self, *miners: Running) -> None:
        axons = [Axon(m.target.host, m.target.port, 4, 1, 0) for m in miners]
        self.serving = tuple(
            Neuron(i, m.target.hotkey, "", True, axon, 0, 0, 0, 0, 0, 0, 0, False, 0)
            for i, (m, axon) in enumerate(zip(miners, axons))
        )
        self.block_hash = "0x" + "11" * 32

    async def view(self) -> "Chain":
        return self

    async def asks(self, view: "Chain") -> dict[tuple[str, str], object]:
        return {}


@dataclass
class Gatewayed:
    """A gateway that serves, a key for it and the openai client that uses the key."""

    url: str
    store: Store
    text: TextGateway
    embed: EmbedGateway
    key: str
    client: openai.AsyncOpenAI

    def spent(self) -> tuple[int, int]:
        return self.spent_by(self.key)

    def spent_by(self, key: str) -> tuple[int, int]:
        row = next(r for r in self.store.list_keys() if r["id"] in key)
        return row["spent"], row["reserved"]


@pytest.fixture
async def gateway(tiny: Loaded, miner: Running, tmp_path: Path) -> AsyncIterator[Gatewayed]:
    async for made in gateways(tiny, tmp_path, miner):
        yield made


async def gateways(tiny: Loaded, folder: Path, *miners: Running) -> AsyncIterator[Gatewayed]:
    store = Store(f"sqlite:///{folder}/gw.db")
    verifier = Worker(tiny.model, pages=1)
    verifier.start()
    async with Caller(ALICE) as caller:
        found = [Directory(Chain(*miners), caller, Router(), s) for s in ("text", "embedding")]  # type: ignore[arg-type]
        for directory in found:
            await directory.refresh()
        examiner = TextExaminer(caller, IDENTITY, tiny, verifier)
        text = TextGateway(caller, IDENTITY, found[0], store, PRICES, 1.0, examiner)
        embed = EmbedGateway(caller, IDENTITY, found[1], store, PRICES)
        server = Server(GatewayApp(store, text, embed).app, "127.0.0.1", 0)
        await server.start()
        key, url = store.add_key("test", 100_000), f"http://127.0.0.1:{server.port}/v1"
        async with openai.AsyncOpenAI(api_key=key, base_url=url, max_retries=0) as client:
            yield Gatewayed(url, store, text, embed, key, client)
        await server.stop()
    verifier.stop()
    store.close()


async def test_chat_completion_and_its_bill(gateway: Gatewayed) -> None:
    made = await gateway.client.chat.completions.create(model=MODEL, messages=CHAT, max_tokens=20)
    assert made.choices[0].message.content
    usage = made.usage
    assert usage.prompt_tokens == 24 + 3
    assert usage.completion_tokens == 20 or made.choices[0].finish_reason == "stop"
    assert gateway.spent() == (usage.prompt_tokens + 2 * usage.completion_tokens, 0)


async def test_streaming_gives_the_same_text_and_usage(gateway: Gatewayed) -> None:
    ask = {"model": MODEL, "messages": CHAT, "max_tokens": 30, "seed": 7}
    whole = await gateway.client.chat.completions.create(**ask)
    stream = await gateway.client.chat.completions.create(
        **ask, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content  # the caller's seed names the stream
    assert chunks[0].choices[0].delta.role == "assistant"
    told, before = chunks[-1].usage, whole.usage
    assert before.prompt_tokens_details.cached_tokens == 0
    assert told.prompt_tokens_details.cached_tokens == 16  # a page of the same prompt
    assert told.total_tokens == before.total_tokens == before.prompt_tokens + told.completion_tokens
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason


async def test_completions_stop_strings_and_developer_role(gateway: Gatewayed) -> None:
    ask = {"model": MODEL, "prompt": "import os\n", "max_tokens": 60, "seed": 3}
    whole = (await gateway.client.completions.create(**ask)).choices[0].text
    stop = whole[20:22]
    cut = await gateway.client.completions.create(**ask, stop=[stop])
    assert cut.choices[0].text == whole[: whole.index(stop)]
    assert cut.choices[0].finish_reason == "stop"
    stream = await gateway.client.completions.create(**ask, stop=[stop], stream=True)
    assert "".join([c.choices[0].text async for c in stream]) == cut.choices[0].text
    turns = [{"role": "developer", "content": "Be brief."}, *CHAT]
    assert await gateway.client.chat.completions.create(model=MODEL, messages=turns, max_tokens=3)


async def test_models_embeddings_and_receipts(gateway: Gatewayed, miner: Running) -> None:
    assert [m.id async for m in gateway.client.models.list()] == [MODEL]
    assert (await gateway.client.models.retrieve(MODEL)).id == MODEL
    made = await gateway.client.embeddings.create(model=MODEL, input=["one", "two"])
    plain = await gateway.client.embeddings.create(
        model=MODEL, input="one", encoding_format="float"
    )
    assert len(made.data) == 2
    assert made.data[0].embedding == pytest.approx(plain.data[0].embedding)
    answer = await gateway.client.chat.completions.create(model=MODEL, messages=CHAT, max_tokens=5)
    headers = {"Authorization": f"Bearer {gateway.key}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{gateway.url}/receipts/{answer.id}") as reply,
    ):
        parts = (await reply.json())["data"]
    signed = SignedReceipt.from_json(parts[0]["signed"])
    assert parts[0]["miner"] == miner.target.hotkey
    assert len(signed.receipt.tokens) == answer.usage.completion_tokens
    signer = Keypair.from_public(signed.receipt.miner)
    assert signer.verify(signed.receipt.signing_hash(), signed.signature)
    assert signed.receipt.evidence == receipts.evidence_of(signed.proofs)


@pytest.mark.parametrize(
    ("change", "error", "param"),
    [
        ({"model": "gpt-9"}, openai.NotFoundError, "model"),
        (
            {"tools": [{"type": "function", "function": {"name": "x"}}]},
            openai.BadRequestError,
            "tools",
        ),
        ({"n": 3}, openai.BadRequestError, "n"),
        ({"logprobs": True}, openai.BadRequestError, "logprobs"),
        ({"temperature": 3}, openai.BadRequestError, "temperature"),
        ({"messages": []}, openai.BadRequestError, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, openai.BadRequestError, "messages"),
        ({"max_tokens": 0}, openai.BadRequestError, "max_tokens"),
        ({"extra_body": {"temprature": 1}}, openai.BadRequestError, "temprature"),
    ],
)
async def test_errors_have_openais_shape(
    gateway: Gatewayed, change: dict[str, object], error: type[Exception], param: str
) -> None:
    ask = {"model": MODEL, "messages": CHAT, "max_tokens": 5} | change
    with pytest.raises(error) as caught:
        await gateway.client.chat.completions.create(**ask)
    assert caught.value.param == param  # type: ignore[attr-defined]
    assert gateway.spent() == (0, 0)


async def test_keys_budgets_and_idempotency(gateway: Gatewayed) -> None:
    stranger = gateway.client.with_options(api_key="gk-1-2")
    with pytest.raises(openai.AuthenticationError):
        await stranger.chat.completions.create(model=MODEL, messages=CHAT)
    poor = gateway.client.with_options(api_key=gateway.store.add_key("poor", 60))
    with pytest.raises(openai.APIStatusError) as broke:
        await poor.chat.completions.create(model=MODEL, messages=CHAT, max_tokens=300)
    assert (broke.value.status_code, broke.value.code) == (402, "insufficient_quota")
    headers = {"Idempotency-Key": "once"}
    ask = {"model": MODEL, "messages": CHAT, "max_tokens": 9, "extra_headers": headers}
    first = await gateway.client.chat.completions.create(**ask)
    before = gateway.spent()
    again = await gateway.client.chat.completions.create(**ask)
    assert again == first
    assert gateway.spent() == before


async def test_a_dying_miner_is_invisible_to_the_caller(tiny: Loaded, tmp_path: Path) -> None:
    async with serving(tiny, "//Bob") as first, serving(tiny, "//Charlie") as second:
        async for gateway in gateways(tiny, tmp_path, first, second):
            ask = {"model": MODEL, "messages": CHAT, "max_tokens": 200, "seed": 5}
            whole = await gateway.client.chat.completions.create(**ask)
            stream = await gateway.client.chat.completions.create(**ask, stream=True)
            text, busy = "", None
            async for chunk in stream:
                text += chunk.choices[0].delta.content or ""
                busy = busy or next((m for m in (first, second) if m.worker.load[0]), None)
                if busy is not None and len(text) > 8:
                    busy.worker.stop()
            assert text == whole.choices[0].message.content


async def test_the_latency_tier_keeps_to_the_fast_class(tiny: Loaded, tmp_path: Path) -> None:
    async with serving(tiny, "//Bob") as fast, serving(tiny, "//Charlie") as slow:
        async for gateway in gateways(tiny, tmp_path, fast, slow):
            known = gateway.text.router.miners
            for running, gap, price in ((fast, 0.01, 100.0), (slow, 9.0, 1.0)):
                one = known[running.target.hotkey]
                one.gap, one.price = gap, price
                one.recent.extend([5.0] * 8)  # no rival is called for meanwhile
            ask = {**ONE_TOKEN, "extra_headers": {"X-Ganglion-Tier": "latency"}}
            send = gateway.client.chat.completions.with_raw_response.create
            served = [(await send(**ask)).headers["X-Ganglion-Miner"] for _ in range(12)]
            assert set(served) == {str(known[fast.target.hotkey].uid)}


async def test_leaving_early_is_billed_for_what_was_delivered(gateway: Gatewayed) -> None:
    stream = await gateway.client.chat.completions.create(
        model=MODEL, messages=CHAT, max_tokens=900, stream=True
    )
    async for _ in stream:
        break
    await stream.close()
    for _ in range(300):
        if gateway.spent()[1] == 0:
            break
        await asyncio.sleep(0.01)
    spent, reserved = gateway.spent()
    assert reserved == 0
    assert 27 < spent < 27 + 2 * 800


async def test_samples_reach_a_validator(gateway: Gatewayed) -> None:
    await gateway.client.chat.completions.create(model=MODEL, messages=CHAT, max_tokens=5)
    samples = await gateway.store.take_samples(NETUID, 5)
    assert len(samples) == 1
    assert samples[0]["answer"]["completion_tokens"] >= 1


async def test_a_validator_judges_what_the_gateway_delivered(gateway: Gatewayed) -> None:
    assert gateway.text.examiner is not None
    checks = OrganicChecks(gateway.store, gateway.text.examiner, NETUID)
    for _ in range(2):
        await gateway.client.chat.completions.create(model=MODEL, messages=CHAT, max_tokens=9)
    honest = await checks.round()
    assert [v.reason for _, v in honest] == [Reason.OK, Reason.OK]
    assert await checks.round() == []
    await gateway.client.chat.completions.create(model=MODEL, messages=CHAT, max_tokens=9)
    [row] = await gateway.store.take_samples(NETUID, 1)
    row["answer"]["tokens"][0] ^= 1
    await gateway.store.add_sample(NETUID, row["miner"], row["body"], row["answer"], 1)
    await gateway.store.add_sample(NETUID, row["miner"], b"{}", {}, 1)
    other = orjson.loads(row["body"]) | {"model": "another"}
    await gateway.store.add_sample(NETUID, row["miner"], orjson.dumps(other), row["answer"], 1)
    [(_, foreign), (_, unreadable), (hotkey, forged)] = await checks.round()
    assert foreign.reason is Reason.OURS
    assert hotkey == row["miner"]
    assert forged.hard
    assert unreadable.reason is Reason.OURS


async def test_verified_before_delivery(tiny: Loaded, tmp_path: Path) -> None:
    """A cheat is found before the caller sees a word, and gets no more traffic."""
    cheat = Identity(Keypair.from_uri("//Eve"), GENESIS, NETUID)
    service = faulty_service("wrong-model", tiny, cheat)
    service.worker.start()
    app = MinerApp(Gate(cheat.hotkey.address), lambda caller: 1.0, service)
    server = Server(app.app, "127.0.0.1", 0)
    await server.start()
    async with serving(tiny, "//Bob") as honest:
        target = honest.target.__class__(cheat.hotkey.address, "127.0.0.1", server.port)
        liar = Running(app, target, cheat, service.worker)
        async for gateway in gateways(tiny, tmp_path, liar, honest):
            headers = {"X-Ganglion-Verify": "before"}
            ask = {"model": MODEL, "messages": CHAT, "max_tokens": 40, "seed": 11}
            texts = set()
            for _ in range(6):
                made = await gateway.client.chat.completions.create(**ask, extra_headers=headers)
                texts.add(made.choices[0].message.content)
            assert len(texts) == 1
            banned = [
                m for m in gateway.text.router.miners.values() if m.banned_until > time.monotonic()
            ]
            assert [m.target.hotkey for m in banned] in ([], [cheat.hotkey.address])
    await server.stop()
    service.worker.stop()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_trusted_key_that_is_refused_gets_nothing(gateway: Gatewayed, stream: bool) -> None:
    """The miner is asked before the database has decided; nothing is delivered before it has."""
    secret = gateway.store.add_key("limited", 250)  # a request may cost 248
    limited = gateway.client.with_options(api_key=secret)
    ask = {"model": MODEL, "messages": CHAT, "max_tokens": 100, "stream": stream}
    first = await limited.chat.completions.create(**ask)
    if stream:
        async for _ in first:
            pass
    assert secret in gateway.text._trusted
    for _ in range(2):  # trusted, and then not any more
        with pytest.raises(openai.APIStatusError) as broke:
            await limited.chat.completions.create(**ask)
        assert (broke.value.status_code, broke.value.code) == (402, "insufficient_quota")
        assert secret not in gateway.text._trusted
    row = next(r for r in gateway.store.list_keys() if r["id"] in secret)
    assert row["reserved"] == 0
    assert 0 < row["spent"] <= 248


async def test_several_gateways_behind_one_name(
    tiny: Loaded, miner: Running, tmp_path: Path
) -> None:
    """One database, any number of gateways: a caller cannot tell which one answers."""
    async for one in gateways(tiny, tmp_path, miner):
        async for other in gateways(tiny, tmp_path, miner):
            elsewhere = one.client.with_options(base_url=other.url)
            ask = {"model": MODEL, "messages": CHAT, "max_tokens": 9, "seed": 3}
            once = {"extra_headers": {"Idempotency-Key": "k"}}
            first = await one.client.chat.completions.create(**ask, **once)
            spent = one.spent()
            again = await elsewhere.chat.completions.create(**ask, **once)
            assert (again, one.spent()) == (first, spent)
            repeated = await elsewhere.chat.completions.create(**ask)
            assert repeated.choices[0].message.content == first.choices[0].message.content
            assert other.store.list_keys() == one.store.list_keys()
            async with aiohttp.ClientSession(
                headers={"Authorization": f"Bearer {one.key}"}
            ) as http:
                for made in (first, repeated):
                    for url in (one.url, other.url):
                        async with http.get(f"{url}/receipts/{made.id}") as reply:
                            assert reply.status == 200
            one.store.disable_key(one.key.split("-")[1])
            with pytest.raises(openai.AuthenticationError):
                await elsewhere.chat.completions.create(**ask)


async def bill_of_one_token(gateway: Gatewayed) -> int:
    """What a request for one token costs, and is reserved at the most."""
    before = gateway.spent()[0]
    await gateway.client.chat.completions.create(**ONE_TOKEN)
    return gateway.spent()[0] - before


async def test_an_agent_spends_exactly_its_cap_and_then_gets_402(
    gateway: Gatewayed, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Output alone costs, so that the most a request can cost is what it does cost.
    monkeypatch.setattr(gateway.text, "prices", Prices(0, 3_000_000))
    cost = await bill_of_one_token(gateway)
    key = gateway.store.add_key("agent", 5 * cost, [MODEL])
    agent, bought = gateway.client.with_options(api_key=key), 0
    with pytest.raises(openai.APIStatusError) as broke:
        while True:
            await agent.chat.completions.create(**ONE_TOKEN)
            bought += 1
    assert (broke.value.status_code, broke.value.code) == (402, "insufficient_quota")
    assert (cost, bought) == (3, 5)
    assert gateway.spent_by(key) == (5 * cost, 0)


async def test_sixteen_calls_at_once_do_not_overdraw_an_agent(
    gateway: Gatewayed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway.text, "prices", Prices(0, 3_000_000))
    key = gateway.store.add_key("agent", 5 * 3)
    agent = gateway.client.with_options(api_key=key)
    calls = [agent.chat.completions.create(**ONE_TOKEN) for _ in range(16)]
    got = await asyncio.gather(*calls, return_exceptions=True)
    refused = [e.status_code for e in got if isinstance(e, openai.APIStatusError)]
    assert refused == [402] * 11
    assert sum(isinstance(one, BaseException) for one in got) == 11
    assert gateway.spent_by(key) == (15, 0)


async def test_an_agents_key_has_its_own_models_and_highest_price(
    gateway: Gatewayed,
) -> None:
    for router in (gateway.text.router, gateway.embed.router):
        for one in router.miners.values():
            one.price = 10
    other = gateway.client.with_options(api_key=gateway.store.add_key("m", models=["gpt-9"]))
    with pytest.raises(openai.PermissionDeniedError):
        await other.chat.completions.create(**ONE_TOKEN)
    poor = gateway.client.with_options(api_key=gateway.store.add_key("p", max_price=9))
    ample = gateway.client.with_options(api_key=gateway.store.add_key("a", max_price=10))
    await ample.chat.completions.create(**ONE_TOKEN)
    await ample.embeddings.create(model=MODEL, input=["one"])
    less = {"X-Ganglion-Max-Price": "9"}
    for refused in (
        poor.chat.completions.create(**ONE_TOKEN),
        poor.embeddings.create(model=MODEL, input=["one"]),
        poor.chat.completions.create(**ONE_TOKEN, extra_headers={"X-Ganglion-Max-Price": "99"}),
        ample.chat.completions.create(**ONE_TOKEN, extra_headers=less),
    ):
        with pytest.raises(openai.InternalServerError, match="relax the price"):
            await refused
    with pytest.raises(openai.BadRequestError, match="number from 0 up"):
        await ample.chat.completions.create(
            **ONE_TOKEN, extra_headers={"X-Ganglion-Max-Price": "nan"}
        )


@pytest.mark.parametrize("path", ["/", "/v1"])
async def test_a_browser_is_told_what_this_is(gateway: Gatewayed, path: str) -> None:
    url = gateway.url.removesuffix("/v1")
    async with aiohttp.ClientSession() as session, session.get(url + path) as reply:
        assert reply.status == 200
        assert gateway.url in await reply.text()
