"""Verdicts in time: what they are bound to, when they end, and what no replay can do."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import orjson
import pytest

from ganglion.attest.attestor import Attestor
from ganglion.attest.book import BLIND_SECONDS, Live, VerdictBook
from ganglion.attest.evidence import BadEvidence, report_data
from ganglion.attest.policy import AttestPolicy
from ganglion.attest.statement import SignedStatement, check_answer
from ganglion.hashing import blake2_256
from ganglion.keys import Keypair
from ganglion.wire.receipts import VERSION, Finish, Receipt, sign
from ganglion.wire.sealed import KeyRing
from neurons.http import Refusal
from neurons.identity import Identity
from neurons.miner import attest
from neurons.miner.attest import AttestService, NoEvidence, mock_evidence

GENESIS, NETUID = b"\7" * 32, 2
BOB, EVE = Keypair.from_uri("//Bob"), Keypair.from_uri("//Eve")
FOR_TESTS = AttestPolicy(frozenset(), test_only_mock=True, max_age_blocks=20)
NOW = 1_800_000_000.0


def block(number: int) -> bytes:
    return blake2_256(number.to_bytes(8, "little", signed=True))


@dataclass
class World:
    """A chain that grows as told, a miner on it and a book about the miner."""

    book: VerdictBook = field(
        default_factory=lambda: VerdictBook(Attestor(), FOR_TESTS, GENESIS, NETUID)
    )
    head: int = 100
    now: float = NOW
    runs: int = 0
    broken: bool = False
    hotkey: Keypair = BOB

    def __post_init__(self) -> None:
        ring = KeyRing(self.hotkey, GENESIS, NETUID, lambda: self.now)
        identity = Identity(self.hotkey, GENESIS, NETUID)

        async def make(data: bytes) -> bytes:
            self.runs += 1
            if self.broken:
                raise NoEvidence("the machine is gone")
            return await mock_evidence(data)

        async def behind(block_hash: bytes) -> int | None:
            ages = [n for n in range(200) if block(self.head - n) == block_hash]
            return ages[0] if ages else None

        self.ring = ring
        self.miner = AttestService(identity, ring, "mock", make, behind)
        self.grow(0)

    def grow(self, blocks: int, tempo: int = 0) -> None:
        self.head += blocks
        self.now += 12 * blocks
        self.book.on_block(self.head, block(self.head), self.now, tempo)

    async def say(self, nonce: bytes | None = None, caller: bytes = EVE.public_key) -> bytes:
        return await self.miner.statement(nonce or block(self.head), caller)

    async def judged(self) -> Live:
        return self.book.admit(BOB.address, block(self.head), await self.say(), self.now)

    def live(self) -> bool:
        return self.book.live(BOB.address, self.now) is not None


async def test_a_verdict_lives_for_its_blocks_and_no_longer() -> None:
    world = World()
    live = await world.judged()
    assert live.key.key == world.ring.announced().key.key
    assert (live.first_block, live.last_block) == (100, 120)
    world.grow(20)
    assert world.live()
    world.grow(1)
    assert not world.live()
    assert world.book.everyone(world.now) == frozenset()


async def test_a_verdict_ends_within_one_epoch_of_the_subnet() -> None:
    world = World()
    await world.judged()
    world.grow(10, tempo=10)
    assert world.live()
    world.grow(1, tempo=10)
    assert not world.live()


async def test_an_old_nonce_is_refused() -> None:
    """A statement cannot be used again: neither for a newer block nor after its time."""
    world = World()
    old = await world.say()
    world.book.admit(BOB.address, block(100), old, world.now)
    world.grow(5)
    with pytest.raises(BadEvidence, match="replay"):
        world.book.admit(BOB.address, block(105), old, world.now)
    again = world.book.admit(BOB.address, block(100), old, world.now)
    assert again.last_block == 120  # no longer than the first time
    world.grow(16)
    with pytest.raises(BadEvidence, match="too old by now"):
        world.book.admit(BOB.address, block(100), old, world.now)


async def test_a_verdict_ends_with_its_key_and_when_the_chain_is_out_of_sight() -> None:
    world = World()
    live = await world.judged()
    assert world.book.live(BOB.address, world.now + BLIND_SECONDS) is not None
    assert world.book.live(BOB.address, world.now + BLIND_SECONDS + 1) is None
    world.book.on_block(101, block(101), live.until, 0)
    assert world.book.live(BOB.address, live.until) is None


async def test_blocks_of_a_branch_that_was_left_are_no_nonces() -> None:
    world = World()
    world.grow(3)
    said = await world.say()
    world.book.on_block(101, b"\1" * 32, world.now)
    with pytest.raises(BadEvidence, match="too old by now"):
        world.book.admit(BOB.address, block(103), said, world.now)


async def test_a_verdict_is_renewed_in_its_second_half() -> None:
    world = World()
    assert world.book.due(BOB.address, world.now)
    await world.judged()
    assert not world.book.due(BOB.address, world.now)
    world.grow(10)
    assert world.live()
    assert world.book.due(BOB.address, world.now)


async def test_another_miners_or_chains_statement_is_refused() -> None:
    world, other = World(), World(hotkey=EVE)
    with pytest.raises(BadEvidence, match="another miner's"):
        world.book.admit(BOB.address, block(100), await other.say(), world.now)
    elsewhere = VerdictBook(Attestor(), FOR_TESTS, b"\1" * 32, NETUID)
    elsewhere.on_block(100, block(100), world.now)
    with pytest.raises(BadEvidence, match="another subnet or chain"):
        elsewhere.admit(BOB.address, block(100), await world.say(), world.now)


@pytest.mark.parametrize("part", ["statement", "evidence", "signature", "crypto"])
async def test_every_part_of_a_statement_is_signed(part: str) -> None:
    world = World()
    given = orjson.loads(await world.say())
    spoilt = (
        "ed25519" if part == "crypto" else given[part][:-1] + ("1" if part != "evidence" else " ")
    )
    with pytest.raises(ValueError, match=r".+"):
        world.book.admit(BOB.address, block(100), orjson.dumps(given | {part: spoilt}), world.now)


async def test_evidence_is_bound_to_chain_hotkey_key_and_block() -> None:
    """Report data for anything else is another: evidence cannot be lent."""
    world = World()
    said = SignedStatement.from_bytes(await world.say()).statement
    made = said.report_data()
    assert made[:32] == blake2_256(GENESIS + BOB.public_key + said.seal.key + block(100))
    assert made[32:] == said.signer
    parts = [GENESIS, BOB.public_key, said.seal.key, block(100), said.signer]
    for i in range(len(parts)):
        others = [*parts[:i], bytes(32), *parts[i + 1 :]]
        assert report_data(*others) != made


async def test_an_evidence_of_another_key_is_refused() -> None:
    """The hotkey's holder signs a key of its own beside evidence that is about the machine's."""
    world, outside = World(), World()
    inside = SignedStatement.from_bytes(await world.say())
    own = outside.ring.announced().key
    forged = SignedStatement.make(
        own, inside.statement.signer, block(100), inside.evidence, BOB
    ).to_bytes()
    with pytest.raises(BadEvidence, match="another miner, key or block"):
        world.book.admit(BOB.address, block(100), forged, world.now)


async def test_evidence_is_made_once_a_block_and_not_too_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attest, "LOOK_SECONDS", 0.0)
    world = World()
    same = await asyncio.gather(*(world.say() for _ in range(20)))
    assert len(set(same)) == 1
    assert world.runs == 1
    with pytest.raises(Refusal, match="no block of this chain"):
        await world.say(b"\1" * 32)
    with pytest.raises(Refusal, match="too old"):
        await world.say(block(20))
    for i in range(1, attest.CALLER_RUNS):
        await world.say(block(100 - i))
    with pytest.raises(Refusal, match="often enough"):
        await world.say(block(50))
    await world.say(block(50), BOB.public_key)
    assert world.runs == attest.CALLER_RUNS + 1


async def test_who_stops_waiting_does_not_stop_the_machine() -> None:
    """Evidence takes time: it is made for all who ask, also when the first one leaves."""
    world, go = World(), asyncio.Event()
    quick = world.miner._make

    async def slow(data: bytes) -> bytes:
        await go.wait()
        return await quick(data)

    world.miner._make = slow
    first = asyncio.create_task(world.say())
    second = asyncio.create_task(world.say())
    await asyncio.sleep(0.01)
    first.cancel()
    go.set()
    assert SignedStatement.from_bytes(await second).statement.nonce == block(100)
    assert (await world.say(), world.runs) == (second.result(), 1)


async def test_a_block_that_our_node_does_not_know_yet_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attest, "LOOK_SECONDS", 0.001)
    world, looks = World(), []

    async def late(block_hash: bytes) -> int | None:
        looks.append(block_hash)
        return 0 if len(looks) == 3 else None

    world.miner._behind = late
    assert await world.say()
    assert len(looks) == 3


async def test_asking_for_every_block_in_turn_makes_each_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attest, "RUNS_A_MINUTE", 1000)
    monkeypatch.setattr(attest, "CALLER_RUNS", 1000)
    world, blocks = World(), range(100 - attest.MOST_BLOCKS_BEHIND, 101)
    for _ in range(3):
        for number in blocks:
            await world.say(block(number))
    assert world.runs == len(blocks)


async def test_few_may_wait_for_blocks_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attest, "LOOK_SECONDS", 0.01)
    world = World()
    many = [world.say(bytes([n]) * 32, bytes(32)) for n in range(attest.MOST_LOOKING + 9)]
    said = await asyncio.gather(*many, return_exceptions=True)
    assert all(isinstance(one, Refusal) for one in said)
    assert sum(one.status == 429 for one in said) == 9
    assert await world.say()


async def test_a_badge_is_shown_only_while_it_is_true_and_says_mock() -> None:
    world = World()
    assert world.book.badge(BOB.address, world.now) is None
    await world.judged()
    badge = world.book.badge(BOB.address, world.now)
    assert badge == {"kind": "mock", "expires": int(world.now + 240), "last_block": 120}
    world.grow(21)
    assert world.book.badge(BOB.address, world.now) is None
    strict = VerdictBook(
        Attestor(), AttestPolicy(frozenset({"sgx"}), any_software=True), GENESIS, NETUID
    )
    strict.on_block(world.head, block(world.head), world.now)
    with pytest.raises(BadEvidence, match="asks for evidence of kind sgx"):
        strict.admit(BOB.address, block(world.head), await world.say(), world.now)
    assert strict.badge(BOB.address, world.now) is None


async def test_an_answer_is_signed_by_the_attested_key() -> None:
    world = World()
    live = await world.judged()
    receipt = Receipt(
        VERSION, GENESIS, NETUID, b"\1" * 32, EVE.public_key, BOB.public_key, b"\2" * 32, True,
        b"\3" * 32, 5, 0, (1, 2), Finish.STOP, b"\4" * 32,
    )  # fmt: skip
    plain = sign(receipt, BOB)
    signed = replace(plain, attested=world.miner.sign_answer(receipt, "yes"))
    check_answer(signed, "yes", live.signer)
    other = replace(receipt, request=b"\5" * 32)
    for wrong, text, key in (
        (plain, "yes", live.signer),
        (signed, "no", live.signer),
        (signed, "yes", bytes(32)),
        (replace(signed, receipt=other), "yes", live.signer),
    ):
        with pytest.raises(BadEvidence, match="not signed by the attested key"):
            check_answer(wrong, text, key)
    travelled = type(signed).from_json(orjson.loads(orjson.dumps(signed.to_json())))
    assert travelled == signed
