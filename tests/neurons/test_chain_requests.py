"""Requests from the chain against a node of developers: real miners, a liar, and the judge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chain.dev.devnode import DevNode
from ganglion import requests
from ganglion.client import Client
from ganglion.errors import EncodeError
from ganglion.hashing import blake2_256
from ganglion.keys import Keypair, dev_key
from ganglion.requests import PALLET, NoResult, RequestFacts, Wanted, text_request
from ganglion.wire import receipts
from ganglion.wire.receipts import Expected, SignedReceipt
from ganglion.wire.text import TextAnswer
from neurons import models_cli
from neurons.chain_answers import (
    OTHER,
    RIGHT,
    SAME_TEXT,
    CannotCheck,
    Checked,
    check_answers,
    service_of,
)
from neurons.chainlink import ChainLink
from neurons.engine.base import Claim, missed
from neurons.engine.load import Loaded
from neurons.engine.worker import Worker
from neurons.identity import Identity
from neurons.miner.main import build_services, serve
from neurons.miner.options import contradiction, parser
from neurons.miner.requests import Made, RequestWatcher, Terms
from neurons.miner.textgen import TextService, prompt_tokens
from neurons.validator.chain_answers import ChainChecks, verdict_on
from subnets.models import EXACT
from subnets.proofs import toploc
from subnets.textgen import judge
from subnets.textgen.judge import Facts
from subnets.verdict import Reason

ALICE, BOB = dev_key("Alice"), dev_key("Bob")
OWNERS = [dev_key(name) for name in ("Charlie", "Dave", "Eve")]
MINERS = [Keypair.from_uri(f"//Miner{n}") for n in range(3)]
MODEL, NET, PRICE = "ganglion/tiny", 1, 5_000_000
TERMS = Terms(1, 1_000_000, 60, None)
KEY = b"oracle"
WANTED = Wanted(NET, MODEL, "What is a nerve?", PRICE, max_tokens=24, inbox=KEY)


class Liar(RequestWatcher):
    """Answers with what it likes, under receipts of its own."""

    async def compute(self, facts: RequestFacts, text: str, seed: bytes) -> Made:
        made = await super().compute(facts, text, seed)
        lie = replace(made.signed.receipt, tokens=(1, 2, 3))
        return Made(seed, "a lie", receipts.sign(lie, self._chain.hotkey))


async def send(client: Client, signer: Keypair, pallet: str, name: str, /, **args: object) -> None:
    (await client.submit(await client.compose(pallet, name, **args), signer)).check()


@asynccontextmanager
async def town(count: int = 1) -> AsyncIterator[tuple[Client, DevNode]]:
    """A node of developers with so many seated miners, each of a cold key of its own."""
    with DevNode() as node:
        async with Client(node.url) as client:
            for owner, miner in zip(OWNERS[:count], MINERS):
                link = ChainLink(client, NET, miner)
                await link.register(lambda: owner)  # noqa: B023
                await send(
                    client,
                    BOB,
                    "Balances",
                    "transfer_keep_alive",
                    dest={"Id": miner.address},
                    value=10**9,
                )
            yield client, node


@asynccontextmanager
async def watching(
    node: DevNode,
    tiny: Loaded,
    miner: Keypair = MINERS[0],
    kind: Callable[..., RequestWatcher] = RequestWatcher,
    terms: Terms = TERMS,
) -> AsyncIterator[RequestWatcher]:
    """A miner that watches the chain with an engine of its own."""
    async with Client(node.url) as client:
        link = ChainLink(client, NET, miner)
        worker = Worker(tiny.model, pages=64)
        worker.start()
        service = TextService(worker, tiny.tokenizer, Identity(miner, link.genesis, NET))
        watcher = kind(link, service, terms)
        task = asyncio.create_task(watcher.keep())
        try:
            yield watcher
        finally:
            task.cancel()
            worker.stop()


async def answered(client: Client, number: int) -> requests.ResultFacts:
    async with asyncio.timeout(30):
        return await requests.wait(client, number)


async def shown(client: Client, number: int) -> dict[str, Any]:
    """The fulfilments in the blocks so far, by hotkey."""
    found = {}
    for height in range(1, await client.block_number() + 1):
        _, raw = await client.extrinsics(await client.block_hash(height))
        for one in raw:
            call = client.runtime.decode_call(one[one.index(bytes((108, 3)), 60) :]) if (
                bytes((108, 3)) + number.to_bytes(8, "little") in one
            ) else None  # fmt: skip
            if call is not None:
                found[call.args["hotkey"]] = call.args
    return found


async def test_an_answer_comes_is_judged_and_changes_storage_at_once(tiny: Loaded) -> None:
    async with town() as (client, node), watching(node, tiny) as watcher:
        before = (await client.account(ALICE.address)).reserved
        number = await requests.ask(client, ALICE, WANTED)
        pending = await requests.read(await client.at_head(), number)
        result = await answered(client, number)
        assert result.parts[0].verdict == "Agreed"
        async with asyncio.timeout(10):
            while not watcher.answered:
                await asyncio.sleep(0.01)
        entry = await client.query(PALLET, "Inbox", ALICE.address, KEY)
        assert bytes(entry["output"]) == result.output
        assert entry["at"] - result.decided <= 3
        assert entry["at"] == result.decided
        assert pending is not None
        await judged(client, tiny, pending, result)
        await send(client, ALICE, PALLET, "clear", id=number)
        await send(client, ALICE, PALLET, "remove", key=KEY)
        assert (await client.account(ALICE.address)).reserved == before


async def judged(
    client: Client, tiny: Loaded, pending: RequestFacts, result: requests.ResultFacts
) -> None:
    """The judge of every validator finds the answer right, from what is public alone."""
    miner = MINERS[0].public_key
    genesis = bytes.fromhex(client.genesis_hash[2:])
    block_hash = bytes.fromhex((await client.block_hash(result.started))[2:])
    seat = requests.Seat(miner, miner, None, None, None)
    facts = replace(pending, seats=(seat,), started=result.started)
    order = facts.order(genesis)
    assert order.digest() == result.order
    assert facts.text is not None
    request = text_request(order, facts.text.decode(), facts.seed(genesis, block_hash, miner))
    (given,) = (await shown(client, result.number)).values()
    body = given["answer"]
    tokens = tuple(body["tokens"])
    card = tiny.model.card
    prompt = prompt_tokens(request, tiny.tokenizer)
    expected = Expected(
        *(genesis, NET, order.digest(), ALICE.public_key, miner),
        *(card.weights_hash, request.sampling.seed),
    )
    checked = Facts(
        *(request, expected, prompt, card.vocab, card.context, card.stops),
        tiny.tokenizer.decode,
    )
    claim = Claim(request.sampling, 0, list(tokens))
    worker = Worker(tiny.model, pages=64)
    worker.start()
    output = await worker.prefill((*prompt, *tokens[:-1]), len(tokens), claim)
    worker.stop()
    # the chain has the root of the fingerprints; in the exact class a judge makes them anew
    proofs = tuple(toploc.build(np.asarray(output.states)))
    made = receipts.Receipt(
        *(receipts.VERSION, genesis, NET, order.digest(), ALICE.public_key, miner),
        *(card.weights_hash, True, request.sampling.seed, len(prompt), 0, tokens),
        receipts.Finish[body["finish"]],
        receipts.evidence_of(proofs),
    )
    assert result.parts[0].receipt == made.signing_hash()
    signed = SignedReceipt(made, raw(given["signature"]["Sr25519"]), MINERS[0].crypto, proofs)
    answer = TextAnswer(list(tokens), [result.text], made.finish, len(prompt), len(tokens), signed)
    judge.check_form(checked, answer)
    gaps = missed(output, claim)
    assert judge.judge_computation(answer, EXACT, gaps, output.states).reason is Reason.OK


def raw(value: Any) -> bytes:
    return bytes.fromhex(value[2:]) if isinstance(value, str) else bytes(value)


async def test_of_three_miners_the_liar_is_recorded_and_unpaid(tiny: Loaded) -> None:
    async with town(3) as (client, node), AsyncExitStack() as stack:
        for miner, kind in zip(MINERS, (RequestWatcher, Liar, RequestWatcher)):
            await stack.enter_async_context(watching(node, tiny, miner, kind))
        number = await requests.ask(client, ALICE, replace(WANTED, miners=3))
        result = await answered(client, number)
        assert result.text != "a lie"
        verdicts = {part.hotkey: part.verdict for part in result.parts}
        honest, liar, other = (miner.address for miner in MINERS)
        assert verdicts == {honest: "Agreed", liar: "Dissented", other: "Agreed"}
        record = await client.query(PALLET, "Records", NET, liar)
        assert record == {"agreed": 0, "dissented": 1, "missed": 0}
        again = {one.hotkey: one.found for one in await check_answers(client, number, tiny)}
        assert again == {honest: RIGHT, liar: OTHER, other: RIGHT}
        paid = [await client.balance(miner.address) for miner in MINERS]
        assert paid[1] < paid[0]


async def test_a_miner_that_restarts_shows_what_it_committed_to(tiny: Loaded) -> None:
    async with town(3) as (client, node):
        number = await requests.ask(client, ALICE, replace(WANTED, miners=3))
        async with watching(node, tiny, MINERS[0]), watching(node, tiny, MINERS[1]):
            await until(client, number, seats=2)
            await send_seat(client, MINERS[2], number)
            await until(client, number, commitments=2)
        async with AsyncExitStack() as stack:
            for miner in MINERS:
                await stack.enter_async_context(watching(node, tiny, miner))
            result = await answered(client, number)
        assert [part.verdict for part in result.parts] == ["Agreed"] * 3


async def send_seat(client: Client, miner: Keypair, number: int) -> None:
    await send(client, miner, PALLET, "accept", id=number, hotkey=miner.address)


async def until(client: Client, number: int, seats: int = 0, commitments: int = 0) -> None:
    """Wait until so many sit, and have committed; blocks go on meanwhile."""
    async with asyncio.timeout(20):
        while True:
            facts = await requests.read(await client.at_head(), number)
            assert facts is not None
            done = sum(seat.commitment is not None for seat in facts.seats)
            if len(facts.seats) >= seats and done >= commitments:
                return
            await send(client, BOB, "System", "remark", remark=b"")
            await asyncio.sleep(0.02)


async def test_inputs_by_hash_are_answered_by_who_has_them(tiny: Loaded, tmp_path: Path) -> None:
    text = "x" * 5000
    digest = blake2_256(text.encode())
    (tmp_path / digest.hex()).write_text("not it")
    wanted = replace(WANTED, text=digest)
    async with town() as (client, node):
        terms = replace(TERMS, inputs=tmp_path)
        async with watching(node, tiny, terms=terms) as watcher:
            number = await requests.ask(client, ALICE, wanted)
            facts = await requests.read(await client.at_head(), number)
            assert facts is not None
            assert facts.content == digest
            assert watcher.refusal(facts) == "its input is not here, or is no text"
            (tmp_path / digest.hex()).write_text(text)
            assert "the model reads" in str(watcher.refusal(facts))
            short = blake2_256(b"Short?")
            (tmp_path / short.hex()).write_text("Short?")
            number = await requests.ask(client, ALICE, replace(wanted, text=short))
            assert (await answered(client, number)).output
            with pytest.raises(CannotCheck, match="only the hash"):
                await check_answers(client, number, tiny)
            (one,) = await check_answers(client, number, tiny, b"Short?")
            assert one.found == RIGHT


async def test_a_miner_takes_what_fits_and_pays(tiny: Loaded) -> None:
    async with town() as (client, node), watching(node, tiny) as watcher:
        number = await requests.ask(client, ALICE, replace(WANTED, price=1))
        facts = await requests.read(await client.at_head(), number)
        assert facts is not None
        assert watcher.refusal(facts) == "it pays 1 rao, 1000000 are asked"
        good = replace(facts, price=PRICE)
        assert watcher.refusal(good) is None
        for change, reason in (
            ({"netuid": 2}, "another subnet"),
            ({"model": "other"}, "another subnet or model"),
            ({"started": 3}, "seats are taken"),
            ({"weights": bytes(32)}, "other weights"),
            ({"work": 3}, "too few"),
            ({"text": b"\xff"}, "no text"),
            ({"text": b""}, "no text"),
            ({"max_tokens": 1024, "work": 600}, "longer than the model reads"),
        ):
            assert reason in str(watcher.refusal(replace(good, **change)))
        await send(client, ALICE, PALLET, "cancel", id=number)
        with pytest.raises(NoResult, match="ended without"):
            async with asyncio.timeout(10):
                waiting = asyncio.create_task(requests.wait(client, number))
                await asyncio.sleep(0.1)
                await send(client, BOB, "System", "remark", remark=b"")
                await waiting
        both = replace(WANTED, remark=b"x")
        with pytest.raises(EncodeError, match="choose one"):
            await requests.ask(client, ALICE, both)


class Forger(RequestWatcher):
    """Says what the model says, and signs fingerprints that it has not made."""

    async def compute(self, facts: RequestFacts, text: str, seed: bytes) -> Made:
        made = await super().compute(facts, text, seed)
        forged = replace(made.signed.receipt, evidence=bytes(32))
        return replace(made, signed=receipts.sign(forged, self._chain.hotkey))


async def test_answers_are_made_again_down_to_their_fingerprints(
    tiny: Loaded, capsys: pytest.CaptureFixture[str]
) -> None:
    async with town() as (client, node), watching(node, tiny, kind=Forger):
        number = await requests.ask(client, ALICE, WANTED)
        await answered(client, number)
        (one,) = await check_answers(client, number, tiny)
        assert one.found == SAME_TEXT
        command = ["recheck", str(number), "--url", node.url]
        assert await asyncio.to_thread(models_cli.run, command) == 0
        assert SAME_TEXT in capsys.readouterr().out
        assert await asyncio.to_thread(models_cli.run, ["recheck", "99", *command[2:]]) == 1
        assert "keeps no answer to request 99" in capsys.readouterr().err


async def test_a_validator_judges_what_was_answered_on_the_chain(tiny: Loaded) -> None:
    async with town(2) as (client, node):
        link = ChainLink(client, NET, BOB)
        worker = Worker(tiny.model, pages=64)
        worker.start()
        service = service_of(worker, tiny, link.genesis)
        checks = ChainChecks(link, service)
        await checks.check_chain()
        assert await checks.round() == []
        for miner, kind in zip(MINERS, (RequestWatcher, Liar)):
            async with watching(node, tiny, miner, kind):
                await answered(client, await requests.ask(client, ALICE, WANTED))
        verdicts = dict(await checks.round())
        worker.stop()
        honest, liar = (miner.address for miner in MINERS[:2])
        assert verdicts[honest].reason is Reason.OK
        assert verdicts[liar].hard
        assert "request 1: another text" in verdicts[liar].detail
        assert await checks.round() == []


def test_what_cannot_be_made_again_is_held_against_nobody() -> None:
    reasons = {
        found: verdict_on(1, Checked("5x", "Agreed", found)).reason
        for found in (RIGHT, OTHER, SAME_TEXT, None)
    }
    assert reasons == {
        RIGHT: Reason.OK,
        OTHER: Reason.SAMPLING,
        SAME_TEXT: Reason.RECEIPT,
        None: Reason.OURS,
    }


def test_the_options_say_what_does_not_go_together() -> None:
    options = parser().parse_args(["--netuid", "1", "--chain-requests", "--task", "embedding"])
    assert "--chain-requests is for text" in str(contradiction(options))


async def test_the_program_answers_requests() -> None:
    async with town() as (client, node):
        argv = ["--netuid", "1", "--network", node.url, "--uri", "//Miner0", "--port", "0"]
        argv += [
            "--external-host",
            "203.0.113.7",
            "--chain-requests",
            "--no-register",
            "--no-hardware",
        ]
        running = asyncio.create_task(serve(parser().parse_args(argv), build_services))
        number = await requests.ask(client, ALICE, replace(WANTED, inbox=None, remark=b"r"))
        try:
            waiting = asyncio.create_task(answered(client, number))
            await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
            assert not running.done(), running.exception()
            assert (await waiting).text
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
