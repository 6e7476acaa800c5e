"""Answers to requests from the chain: making one, and making one again to check it.

In the exact class an answer is a function of what is public: the question, the seed that the chain
gave, the weights. Whoever has the model makes it again, down to the fingerprints, and the hash of
the receipt that its miner signed must come out, bit by bit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ganglion import requests, ss58
from ganglion.client import Client
from ganglion.errors import GanglionError, RpcError, UnknownName
from ganglion.hashing import blake2_256
from ganglion.keys import Keypair
from ganglion.requests import RequestFacts, ResultFacts, text_request
from ganglion.wire.fields import BadMessage
from ganglion.wire.receipts import SignedReceipt
from ganglion.wire.requests import Order, cut
from ganglion.wire.text import TextAnswer
from neurons.engine.batch import Overloaded
from neurons.engine.load import Loaded
from neurons.engine.worker import TextEngine, Worker
from neurons.identity import Identity
from neurons.miner.textgen import TextService

RIGHT, SAME_TEXT, OTHER = "right", "same text, other receipt", "other text"
PAGES = 512


class CannotCheck(GanglionError):
    """An answer that cannot be made again here; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of making one miner's answer again: one of the three words above, or None where
    that says nothing: nothing was shown, or not in the exact class."""

    hotkey: str
    verdict: str
    found: str | None


async def make_answer(
    service: TextService, order: Order, text: str, seed: bytes, priority: float = 0.0
) -> tuple[str, SignedReceipt]:
    """An answer and the receipt for it; BadMessage or Overloaded."""
    body = text_request(order, text, seed).to_bytes()
    accepted = service.accept(body, order.requester, priority)
    accepted.digest = order.digest()  # on the chain nobody sees the body
    answer = TextAnswer()
    async for event, data in service.answer(accepted):
        answer.take(event, data)
    if answer.signed is None:
        raise BadMessage("the engine gave no answer")
    return answer.text, answer.signed


async def check_answers(
    client: Client, number: int, loaded: Loaded, text: bytes | None = None
) -> list[Checked]:
    """Make every miner's answer to a request again; `text` is needed where the chain has only its
    hash. CannotCheck, UnknownName or what a connection raises."""
    result = await requests.result(await client.at_head(), number)
    if result is None:
        raise UnknownName(f"the chain keeps no answer to request {number}")
    genesis = bytes.fromhex(client.genesis_hash.removeprefix("0x"))
    worker = Worker(loaded.model, PAGES)
    worker.start()
    try:
        return await check_result(client, result, service_of(worker, loaded, genesis), text)
    finally:
        worker.stop()


def service_of(worker: TextEngine, loaded: Loaded, genesis: bytes) -> TextService:
    """A service that signs as nobody."""
    nobody = Identity(Keypair.generate(), genesis, 0)
    return TextService(worker, loaded.tokenizer, nobody)


async def check_result(
    client: Client, result: ResultFacts, service: TextService, text: bytes | None = None
) -> list[Checked]:
    """The same for a result, by a service that is started."""
    card = service.card
    if not card.exact:
        raise CannotCheck("only an exact engine makes the same answer again: --engine exact")
    if result.model != card.name:
        raise CannotCheck(f"it was asked of {result.model}, and this is {card.name}")
    block_hash = await client.block_hash(result.started)
    facts = await _asked(client, result.number, block_hash)
    if facts.weights not in (None, card.weights_hash):
        raise CannotCheck("it was asked of other weights than these")
    known = facts.text if text is None else text
    if known is None or blake2_256(known) != facts.content:
        raise CannotCheck("the chain has only the hash of the input: give the file with it")
    try:
        return await _each(service, facts, result, known.decode(), bytes.fromhex(block_hash[2:]))
    except (BadMessage, Overloaded, UnicodeDecodeError) as e:
        raise CannotCheck(f"this model cannot answer it now: {e}") from e


async def _asked(client: Client, number: int, block_hash: str) -> RequestFacts:
    """The request as it was when its seats were taken."""
    try:
        facts = await requests.read(client.at(block_hash), number)
    except RpcError as e:
        raise CannotCheck(f"this node does not have the state of block {block_hash}: {e}") from e
    if facts is None:
        raise CannotCheck(f"request {number} was not there in block {block_hash}")
    return facts


async def _each(
    service: TextService, facts: RequestFacts, result: ResultFacts, text: str, block_hash: bytes
) -> list[Checked]:
    order = facts.order(service.identity.genesis)
    made: dict[bytes, tuple[str, SignedReceipt]] = {}  # where all share a seed, once for all
    checked = []
    for part in result.parts:
        if part.output is None or not part.exact:
            checked.append(Checked(part.hotkey, part.verdict, None))
            continue
        miner = ss58.decode(part.hotkey, prefix=None)
        seed = facts.seed(order.genesis, block_hash, miner)
        if seed not in made:
            made[seed] = await make_answer(service, order, text, seed)
        said, signed = made[seed]
        theirs = replace(signed.receipt, netuid=facts.netuid, miner=miner).signing_hash()
        found = OTHER if blake2_256(cut(said)) != part.output else SAME_TEXT
        found = RIGHT if found == SAME_TEXT and theirs == part.receipt else found
        checked.append(Checked(part.hotkey, part.verdict, found))
    return checked
