"""Sealed orders against a real miner: directly, through a relay, from the SDK, and as probes."""

import os
import random

import orjson
import pytest
from aiohttp import web
from running_miner import GENESIS, NETUID, Running, serving
from test_inference_sdk import asking, neuron

from ganglion.inference import NoAnswer, Style
from ganglion.keys import Keypair
from ganglion.wire import sealed
from ganglion.wire.call import Caller, CallFailed, Target
from ganglion.wire.sealed import Opener, padded
from ganglion.wire.sealed_call import SealedCaller
from ganglion.wire.text import PATH, Sampling, TextRequest
from neurons.engine.load import Loaded
from neurons.http import Server
from neurons.identity import Identity
from neurons.validator import examiner
from neurons.validator.examiner import TextExaminer
from subnets.verdict import Reason

ALICE = Keypair.from_uri("//Alice")
SECRET = "What does json.dumps do?"


def order(limit: int = 12, **more: object) -> TextRequest:
    return TextRequest(
        os.urandom(16), "ganglion/tiny", Sampling(b"\5" * 32), limit, prompt=SECRET, **more
    )  # type: ignore[arg-type]


async def test_a_sealed_answer_is_the_plain_one(miner: Running) -> None:
    async with Caller(ALICE) as caller:
        plain = await caller.text(miner.target, order())
        under_seal = await SealedCaller(caller, GENESIS, NETUID).text(miner.target, order())
    assert under_seal.answer.tokens == plain.answer.tokens
    assert under_seal.answer.text == plain.answer.text


async def test_a_relay_sees_only_the_header_and_the_usage(miner: Running) -> None:
    """A relay signs with its own key and passes bytes on; the asker trusts the miner alone."""
    seen: list[bytes] = []
    async with Caller(Keypair.from_uri("//Relay")) as relay_caller, Caller(ALICE) as caller:

        async def pass_on(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            path, target = request.path, Target(miner.target.hotkey, "127.0.0.1", miner.target.port)
            reply = await relay_caller.fetch(target, request.method, path, body)
            seen.extend((body, reply))
            return web.Response(body=reply, content_type="text/event-stream")

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", pass_on)
        relay = Server(app, "127.0.0.1", 0)
        await relay.start()
        try:
            through = Target(miner.target.hotkey, "127.0.0.1", relay.port)
            timed = await SealedCaller(caller, GENESIS, NETUID).text(through, order())
        finally:
            await relay.stop()
    assert len(timed.answer.tokens) == timed.answer.completion_tokens == 12
    assert timed.answer.signed is not None
    assert timed.answer.signed.receipt.caller == Keypair.from_uri("//Relay").public_key
    everything = b"".join(seen)
    assert b"dumps" not in everything
    assert timed.answer.text.encode() not in everything
    assert b'"completion_tokens":12' in everything


async def test_the_sdk_asks_under_seal(miner: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    async with asking(neuron(3, miner.target)) as subnet:
        subnet.sealed = True
        answer = await subnet.ask(SECRET, Style(max_tokens=10))
    assert len(answer.tokens) == 10 or answer.finish == "stop"
    assert answer.miner == miner.target.hotkey


async def test_a_miner_without_seals_is_passed_over(tiny: Loaded) -> None:
    async with serving(tiny, seals=False) as plain, asking(neuron(3, plain.target)) as subnet:
        subnet.sealed = True
        with pytest.raises(NoAnswer, match="404"):
            await subnet.ask(SECRET, Style(max_tokens=4))


async def test_after_a_restart_the_key_is_fetched_again(tiny: Loaded) -> None:
    async with Caller(ALICE) as caller:
        seals = SealedCaller(caller, GENESIS, NETUID)
        async with serving(tiny) as before:
            await seals.text(before.target, order())
        async with serving(tiny) as after:
            timed = await seals.text(after.target, order())
    assert timed.answer.completion_tokens == 12


async def test_what_is_wrong_inside_is_said_under_the_seal(miner: Running) -> None:
    async with Caller(ALICE) as caller:
        seals = SealedCaller(caller, GENESIS, NETUID)
        key = await seals.key(miner.target)
        opener = Opener(key, "ganglion/tiny", 12, b'{"my secret field": 1}')
        events = [e async for e in caller.events(miner.target, opener.envelope, sealed.PATH)]
        assert [name for name, _ in events] == ["sealed"]
        assert b"secret" not in events[0][1]
        name, said = opener.open(*events[0])
    assert name == "error"
    assert "my secret field" in orjson.loads(said)["message"]


async def test_a_header_that_lies_is_refused(miner: Running) -> None:
    async with Caller(ALICE) as caller:
        key = await SealedCaller(caller, GENESIS, NETUID).key(miner.target)
        opener = Opener(key, "ganglion/tiny", 4, padded(order(200).to_bytes()))
        with pytest.raises(CallFailed, match="another model or limit"):
            await caller.fetch(miner.target, "POST", sealed.PATH, opener.envelope)
        with pytest.raises(CallFailed, match="unknown field"):
            await caller.fetch(miner.target, "POST", sealed.PATH, order().to_bytes())
        with pytest.raises(CallFailed):
            await caller.fetch(miner.target, "POST", PATH, opener.envelope)


@pytest.mark.parametrize("share", [0.0, 1.0])
async def test_probes_come_under_seal_too(
    tiny: Loaded, miner: Running, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    monkeypatch.setattr(examiner, "SEALED_SHARE", share)
    async with Caller(ALICE) as caller:
        identity = Identity(ALICE, GENESIS, NETUID)
        judge = TextExaminer(caller, identity, tiny, miner.worker, 24)
        verdict = await judge.examine(miner.target, random.Random(3))
    assert verdict.reason is Reason.OK, verdict.detail
    assert miner.app.seals is not None
    assert bool(miner.app.seals._secrets) is bool(share)
