"""A real miner over HTTP: honest answers hold, and every improper request is refused clearly."""

import asyncio
import os

import aiohttp
import numpy as np
import orjson
import pytest
from running_miner import GENESIS, NETUID, Running, serving

from ganglion import btauth
from ganglion.hashing import blake2_256
from ganglion.keys import Keypair
from ganglion.wire import vectors as embedding
from ganglion.wire.call import Caller, CallFailed, Patience, Target
from ganglion.wire.receipts import Expected
from ganglion.wire.text import PATH, Sampling, TextRequest
from ganglion.wire.through import GatewayCaller
from neurons.engine.base import prefill
from neurons.engine.load import Loaded
from neurons.engine.tinyembed import MeanEmbedder
from neurons.miner.textgen import prompt_tokens
from subnets.embedding import judge as embed_judge
from subnets.proofs.sampling import margins
from subnets.textgen.judge import Facts, check_form, judge_computation
from subnets.verdict import Reason

ALICE = Keypair.from_uri("//Alice")


def ask(limit: int = 40, **more: object) -> TextRequest:
    prompt = {"messages": (("user", "What does json.dumps do?"),)} | more
    return TextRequest(os.urandom(16), "ganglion/tiny", Sampling(os.urandom(32)), limit, **prompt)  # type: ignore[arg-type]


def facts_of(loaded: Loaded, miner: Running, request: TextRequest, body: bytes) -> Facts:
    card = loaded.model.card
    expected = Expected(
        GENESIS,
        NETUID,
        blake2_256(body),
        ALICE.public_key,
        miner.identity.hotkey.public_key,
        card.weights_hash,
        request.sampling.seed,
        len(request.resume),
    )
    prompt = prompt_tokens(request, loaded.tokenizer)
    return Facts(
        request, expected, prompt, card.vocab, card.context, card.stops, loaded.tokenizer.decode
    )


@pytest.mark.parametrize("stop", [(), ("e",)])
async def test_an_honest_answer_passes_every_check(
    tiny: Loaded, miner: Running, stop: tuple[str, ...]
) -> None:
    request = ask(70, stop=stop)
    async with Caller(ALICE) as caller:
        timed = await caller.text(miner.target, request)

    facts = facts_of(tiny, miner, request, timed.body)
    limits = tiny.entry.thresholds(exact=True)
    assert limits is not None
    check_form(facts, timed.answer)
    own = prefill(tiny.model, facts.checked_tokens(timed.answer), len(timed.answer.tokens))
    gaps = margins(own.logits, timed.answer.tokens, request.sampling)
    verdict = judge_computation(timed.answer, limits, gaps, own.states)
    assert verdict.reason is Reason.OK, verdict.detail
    assert verdict.mismatches == 0


async def test_an_honest_embedding_passes(tiny: Loaded, miner: Running) -> None:
    request = embedding.EmbedRequest(os.urandom(16), "ganglion/tiny", ("one text", "Ω another"))
    body = request.to_bytes()
    async with Caller(ALICE) as caller:
        reply = await caller.fetch(miner.target, "POST", embedding.PATH, body)
    answer = embedding.EmbedAnswer.from_bytes(reply, 2, tiny.model.card.hidden)
    embedder = MeanEmbedder(tiny.model, tiny.tokenizer)
    own = embedder.embed(request.texts).astype(np.float32)
    expected = Expected(
        GENESIS,
        NETUID,
        blake2_256(body),
        ALICE.public_key,
        miner.identity.hotkey.public_key,
        tiny.model.card.weights_hash,
        bytes(32),
    )
    tokens = sum(map(embedder.count, request.texts))
    verdict = embed_judge.judge(embed_judge.EmbedFacts(expected, own, tokens, True), answer)
    assert verdict.reason is Reason.OK, verdict.detail
    assert np.abs(np.linalg.norm(answer.vectors, axis=1) - 1).max() < 1e-6


async def refusal(
    target: Target, method: str, path: str, body: bytes, headers: dict[str, str]
) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, target.url + path, data=body, headers=headers) as reply,
    ):
        value = orjson.loads(await reply.read())
        assert value["message"]
        return reply.status, value["reason"]


async def test_unsigned_and_forged_requests_are_refused_everywhere(miner: Running) -> None:
    body, target = ask().to_bytes(), miner.target
    for method, path in (("POST", PATH), ("GET", "/status"), ("POST", "/v1/embed"), ("GET", "/x")):
        assert await refusal(target, method, path, body, {}) == (401, "unsigned")
    good = btauth.sign(ALICE, "POST", PATH, body, receiver=target.hotkey)
    empty = good | {btauth.HEADER_SIGNATURE: ""}
    assert await refusal(target, "POST", PATH, body, empty) == (401, "malformed-auth")
    assert await refusal(target, "POST", PATH, body + b" ", good) == (401, "bad-signature")
    other = btauth.sign(ALICE, "POST", PATH, body, receiver=ALICE.address)
    assert await refusal(target, "POST", PATH, body, other) == (401, "wrong-receiver")
    old = btauth.sign(ALICE, "POST", PATH, body, receiver=target.hotkey, nonce=10**18)
    assert await refusal(target, "POST", PATH, body, old) == (401, "stale")


async def test_a_replayed_request_is_refused(miner: Running) -> None:
    headers = btauth.sign(ALICE, "GET", "/status", receiver=miner.target.hotkey)
    async with (
        aiohttp.ClientSession() as session,
        session.get(miner.target.url + "/status", headers=headers) as reply,
    ):
        assert (await reply.json())["text"]["model"] == "ganglion/tiny"
    assert await refusal(miner.target, "GET", "/status", b"", headers) == (401, "replayed")


async def test_a_request_signed_before_the_start_is_refused(tiny: Loaded) -> None:
    port_owner = Keypair.from_uri("//Bob").address
    headers = btauth.sign(ALICE, "GET", "/status", receiver=port_owner)
    async with serving(tiny) as late:
        assert await refusal(late.target, "GET", "/status", b"", headers) == (401, "stale")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "no JSON"),
        (b"[]", "no JSON object"),
        (b'{"prompt":"x"}', "seed"),
        (ask(prompt="x").to_bytes().replace(b"temperature", b"temprature"), "temprature"),
        (ask(prompt="x", messages=()).to_bytes().replace(b"tiny", b"huge"), "serves ganglion/tiny"),
        (ask(prompt="x" * 2000, messages=()).to_bytes(), "reads 1024 tokens"),
    ],
)
async def test_bad_requests_get_one_clear_sentence(miner: Running, body: bytes, said: str) -> None:
    async with Caller(ALICE) as caller:
        with pytest.raises(CallFailed, match=said) as caught:
            await caller.fetch(miner.target, "POST", PATH, body)
    assert caught.value.status == 400


async def test_work_stops_when_the_caller_leaves(miner: Running) -> None:
    async with Caller(ALICE) as caller:
        async for _ in caller.events(miner.target, ask(900, prompt="x", messages=()).to_bytes()):
            break
    for _ in range(200):
        if miner.worker.load == (0, 0):
            break
        await asyncio.sleep(0.01)
    assert miner.worker.load == (0, 0)
    assert miner.worker.tokens_made < 800


async def test_strangers_get_few_places_and_staked_callers_many(tiny: Loaded) -> None:
    async with serving(tiny, width=1) as miner, Caller(Keypair.from_uri("//Mallory")) as stranger:
        bodies = [ask(300).to_bytes() for _ in range(6)]
        calls = [stranger.fetch(miner.target, "POST", PATH, body) for body in bodies]
        results = await asyncio.gather(*calls, return_exceptions=True)
    refused = [r for r in results if isinstance(r, CallFailed)]
    assert len(refused) == 2
    assert {r.reason for r in refused} == {"busy"}


async def test_a_full_queue_says_busy(tiny: Loaded) -> None:
    async with serving(tiny, width=1, queue_limit=1) as miner, Caller(ALICE) as caller:
        calls = [caller.fetch(miner.target, "POST", PATH, ask(200).to_bytes()) for _ in range(8)]
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert any(isinstance(r, CallFailed) and r.status == 503 for r in results)
    assert any(isinstance(r, bytes) for r in results)


async def test_a_dead_miner_is_unreachable_not_wrong() -> None:
    async with Caller(ALICE, Patience(connect=1.0)) as caller:
        with pytest.raises(CallFailed) as caught:
            await caller.text(Target(ALICE.address, "127.0.0.1", 1), ask())
    assert caught.value.reason == "unreachable"


async def exchange(target: Target, *requests: bytes) -> bytes:
    """What the server sends back to these bytes until it closes the connection."""
    reader, writer = await asyncio.open_connection(target.host, target.port)
    writer.write(b"".join(requests))
    reply = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return reply


def raw_request(
    target: Target, method: str = "GET", path: str = "/status", version: str = "1.1", more: str = ""
) -> bytes:
    headers = btauth.sign(ALICE, method, path, receiver=target.hotkey)
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    return f"{method} {path} HTTP/{version}\r\nHost: x\r\n{''.join(lines)}{more}\r\n".encode()


async def test_replies_keep_to_the_callers_wish_about_the_connection(miner: Running) -> None:
    target, close = miner.target, "Connection: close\r\n"
    kept, closed = raw_request(target), raw_request(target, more=close)
    both = await exchange(target, kept, closed)  # sent ahead in one piece
    first, second = both.split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert b"Connection" not in first
    assert b"Connection: close\r\n" in second
    for reply in (first, second):
        head, _, body = reply.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}\r\n".encode() in head + b"\r\n"
        assert orjson.loads(body)["text"]["model"] == "ganglion/tiny"
    old = await exchange(target, raw_request(target, version="1.0"))
    assert b"Connection: close\r\n" in old
    assert orjson.loads(old.partition(b"\r\n\r\n")[2])["text"]
    stay = "Connection: keep-alive\r\n"
    older = await exchange(
        target, raw_request(target, version="1.0", more=stay), raw_request(target, more=close)
    )
    assert b"Connection: keep-alive\r\n" in older
    assert older.count(b"HTTP/1.1 200 OK\r\n") == 2
    head = await exchange(target, raw_request(target, "HEAD", "/nothing", more=close))
    assert head.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert head.endswith(b"\r\n\r\n")


async def test_a_neuron_cannot_send_its_callers_elsewhere(miner: Running) -> None:
    """A redirection would make a gateway ask, and pass on, what only its own machine can reach."""
    asked = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        place = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/inside"
        head = f"HTTP/1.1 307 Go\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n"
        writer.write(head.encode())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    target = Target(miner.target.hotkey, "127.0.0.1", server.sockets[0].getsockname()[1])
    async with Caller(ALICE) as caller:
        with pytest.raises(CallFailed, match="status 307"):
            await caller.fetch(target, "GET", "/v1/seal")
        with pytest.raises(CallFailed, match="status 307"):
            await caller.text(target, ask())
    async with GatewayCaller(target.url, "gk-1-2") as way:
        with pytest.raises(CallFailed):
            await way.signer()
    server.close()
    assert len(asked) == 3
    assert not any(b"/inside" in head.splitlines()[0] for head in asked)
