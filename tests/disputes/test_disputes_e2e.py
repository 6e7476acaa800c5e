"""A dispute from the miner's answer to the slash, over RPC, on a node of developers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import orjson
import pytest
from disputants import answered, faulty, tiny

from chain.dev.devnode import DevNode
from ganglion import disputes
from ganglion.client import Client
from ganglion.errors import TransactionFailed
from ganglion.exact.case import case_of, is_misbilled
from ganglion.exact.players import Challenger
from ganglion.exact.steps import Kind, Step
from ganglion.keys import dev_key
from ganglion.wire import receipts
from ganglion.wire.receipts import Finish, SignedReceipt
from ganglion.wire.text import Sampling, TextRequest
from neurons.disputes.book import book_of
from neurons.disputes.party import Party
from neurons.engine.load import load
from neurons.engine.worker import Worker
from neurons.identity import Identity
from neurons.miner.textgen import TextService

ALICE, BOB, CHARLIE = (dev_key(name) for name in ("Alice", "Bob", "Charlie"))
NETUID, TAO = 1, 10**9
MOST_BLOCKS = 30


@pytest.fixture
def node() -> Iterator[DevNode]:
    with DevNode() as running:
        yield running


async def send(client: Client, key, pallet: str, name: str, **args):
    return (await client.submit(await client.compose(pallet, name, **args), key)).check()


async def bonded(client: Client, program) -> None:
    """Charlie is Bob's miner, has a bond and stands behind a program."""
    charlie = CHARLIE.address
    await send(client, BOB, "SubtensorModule", "burned_register", netuid=NETUID, hotkey=charlie)
    await send(client, BOB, "Bonds", "bond", netuid=NETUID, hotkey=charlie, amount=10 * TAO)
    assert await disputes.stand_by(client, BOB, NETUID, charlie, program)
    assert not await disputes.stand_by(client, BOB, NETUID, charlie, program)


def request(**change) -> TextRequest:
    asked = TextRequest(b"i" * 16, "default", Sampling(b"\5" * 32), 24, prompt="def ")
    return replace(asked, **change)


def signed_by(client: Client, program, asked: TextRequest, tokens) -> tuple[SignedReceipt, bytes]:
    """What a miner signs that answers with these tokens."""
    body = asked.to_bytes()
    prompt = program.prompt_of(asked)
    receipt = receipts.Receipt(
        receipts.VERSION, bytes.fromhex(client.genesis_hash[2:]), NETUID,
        receipts.blake2_256(body), ALICE.public_key, CHARLIE.public_key, program.weights, True,
        asked.sampling.seed, len(prompt), 0, tuple(tokens), Finish.LENGTH, bytes(32),
    )  # fmt: skip
    return receipts.sign(receipt, CHARLIE), body


def lies(book, asked, at: Step) -> tuple[object, tuple[int, ...], int]:
    """A miner with a broken step, and its answer."""
    prompt = book.program.prompt_of(asked)
    fault = book.machine(answered(book, prompt, 1)).steps.index(at)
    liar = faulty(book, fault)
    return (
        liar,
        answered(liar, prompt, asked.max_tokens, asked.sampling).tokens[len(prompt) :],
        fault,
    )


async def until_over(*parties: Party) -> None:
    while sum([await party.moves() for party in parties]):
        pass


def test_a_lie_is_found_out_and_slashed_in_a_few_blocks(node: DevNode) -> None:
    _, book = tiny()

    async def go() -> None:
        async with Client(node.url) as client:
            await bonded(client, book.program)
            liar, tokens, fault = lies(book, request(), Step(14, Kind.DOWN, 1, 1))
            signed, body = signed_by(client, book.program, request(), tokens)
            case = case_of(book.program, signed.receipt, body)
            assert Challenger(book, case).objects
            began = await client.block_number()
            number = await disputes.open_dispute(client, ALICE, signed, body)
            (open_,) = await disputes.disputes(client)
            assert (open_.number, open_.challenger) == (number, ALICE.address)
            assert await disputes.case_of_dispute(client, number) == case
            await until_over(
                Party(client, CHARLIE, liar, CHARLIE.address), Party(client, ALICE, book)
            )
            assert await disputes.read(client, number) is None
            assert await client.block_number() - began <= MOST_BLOCKS
            (over,) = [e for e in await client.events() if e.name == "DisputeResolved"]
            assert (over.args["guilty"], over.args["step"]) == (True, fault)
            left = await client.query("Bonds", "Bonds", NETUID, CHARLIE.address)
            assert left["amount"] == 8 * TAO

    asyncio.run(go())


def test_an_honest_miner_defends_itself_from_what_is_on_the_chain(node: DevNode) -> None:
    _, book = tiny()

    async def go() -> None:
        async with Client(node.url) as client:
            await bonded(client, book.program)
            prompt = book.program.prompt_of(request())
            tokens = answered(book, prompt, 24, request().sampling).tokens[len(prompt) :]
            signed, body = signed_by(client, book.program, request(), tokens)
            accuser, _, fault = lies(book, request(), Step(9, Kind.MIX, 2, 1))
            await disputes.open_dispute(client, ALICE, signed, body)
            before = (await client.balance(CHARLIE.address)).as_rao()
            miner = Party(client, CHARLIE, book, CHARLIE.address)
            await until_over(miner, Party(client, ALICE, accuser))
            (over,) = [e for e in await client.events() if e.name == "DisputeResolved"]
            assert (over.args["guilty"], over.args["step"]) == (False, fault)
            assert (await client.balance(CHARLIE.address)).as_rao() == before
            with pytest.raises(TransactionFailed):
                await disputes.resolve(client, BOB, 0)

    asyncio.run(go())


@pytest.mark.parametrize("asked", [
    request(),
    request(prompt=None, messages=(("system", "Be brief."), ("user", "Hi"), ("assistant", "Yes?"),
                                   ("user", "What is it?"))),
    request(prompt=None, tokens=(100, 101, 102, 32), sampling=Sampling(b"\6" * 32, 0.0)),
    request(sampling=Sampling(b"\7" * 32, 0.8, 20, 0.9), resume=(97, 98, 99)),
    request(sampling=Sampling(b"\x08" * 32, 1.4, 0, 0.95), stop=("e",)),
])  # fmt: skip
async def test_what_the_real_miner_signs_is_what_is_traced(asked: TextRequest) -> None:
    loaded = load("exact", "tiny")
    book = book_of(loaded.model, loaded.tokenizer)
    worker = Worker(loaded.model, 64, 4)
    worker.start()
    try:
        service = TextService(worker, loaded.tokenizer, Identity(CHARLIE, bytes(32), NETUID))
        body = asked.to_bytes()
        order = service.accept(body, ALICE.public_key)
        events = [event async for event in service.answer(order)]
    finally:
        worker.stop()
    assert events[-1][0] == "done"
    signed = SignedReceipt.from_json(orjson.loads(events[-1][1])["receipt"])
    case = case_of(book.program, signed.receipt, body)
    assert not Challenger(book, case).objects
    assert not is_misbilled(book.program, signed.receipt, body)
    wrong = tuple((t + 1) % 256 if i == 1 else t for i, t in enumerate(signed.receipt.tokens))
    if len(wrong) > 1:
        lie = case_of(book.program, replace(signed.receipt, tokens=wrong), body)
        assert Challenger(book, lie).objects
