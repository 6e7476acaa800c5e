"""Blocks of a real runtime through the importer: taken, refused, reorganised."""

from dataclasses import replace

import pytest

from chain.author import next_turn, propose
from chain.blocks import Block, Header, extrinsics_root, seal, slot_digest, split_seal
from chain.chainspec import preset
from chain.dev.signing import signed_call, transfer
from chain.executive import Executive, InvalidBlock
from chain.importer import AlreadyImported, Importer, OnStaleFork, TooEarly, UnknownParent
from chain.pallets import aura
from chain.pool import Pool
from chain.runtime.runtime import Runtime
from chain.runtime.state import State
from chain.runtime.types import Digest, OtherDigest
from chain.runtime_spec import make_runtime
from chain.store.chain import ChainStore
from chain.store.check import fsck
from ganglion.keys import Keypair

START = 1_800_000_000_000
SLOT = aura.SlotDuration.value
ALICE = Keypair.from_uri("//Alice")
RUNTIME: Runtime = make_runtime()


class Chain:
    """A store, its importer, and an author with a clock in its hand."""

    def __init__(self, genesis) -> None:
        self.store = ChainStore.open(None, genesis)
        self.executive = Executive(RUNTIME, self.store.genesis_hash)
        self.importer = Importer(self.store, self.executive)

    def make(self, parent, slot):
        """A sealed block with its inherents, and the state prepared for it."""
        state = State(self.store.state_at(parent)).child()
        turn = next_turn(state, {ALICE.public_key: ALICE}, START + slot * SLOT, SLOT, wait=False)
        assert turn is not None
        header = self.store.header(parent)
        prepare = lambda changes: self.store.prepare(parent, changes)  # noqa: E731
        proposal = propose(
            self.executive, header, state, turn, Pool().select(), lambda: False, prepare
        )
        return proposal.block, proposal.prepared

    def grow(self, parent, slot):
        block, prepared = self.make(parent, slot)
        return self.importer.import_own(block, prepared)


@pytest.fixture(scope="module")
def genesis():
    return preset("dev", RUNTIME, b"importer").genesis


@pytest.fixture
def chain(genesis):
    chain = Chain(genesis)
    yield chain
    assert fsck(chain.store).problems == []


@pytest.fixture
def other(genesis):
    return Chain(genesis)


def resealed(header: Header, key=ALICE, **changes) -> Header:
    unsealed = replace(split_seal(header)[0], **changes)
    return seal(unsealed, key.sign(unsealed.hash))


def test_own_blocks_are_taken_by_another_node(chain, other):
    parent = chain.store.genesis_hash
    assert other.store.genesis_hash == parent
    for slot in range(1, 6):
        block, prepared = chain.make(parent, slot)
        mine = chain.importer.import_own(block, prepared)
        theirs = other.importer.import_block(Block.decode(block.encode()))
        assert mine.enacted == theirs.enacted == (block.header.hash,)
        assert theirs.state is not None
        parent = block.header.hash
    assert chain.store.best() == other.store.best() == (parent, 5)
    assert dict(chain.store.state_at(parent).items()) == dict(other.store.state_at(parent).items())


def test_inherents_come_first(chain, other):
    block, _ = chain.make(chain.store.genesis_hash, 1)
    executive = chain.executive
    paid = signed_call(executive, ALICE, transfer(executive, BOB.account_id, 10**6), nonce=0)
    good = (*block.extrinsics, paid)
    with pytest.raises(InvalidBlock, match="state root"):
        other.importer.import_block(with_body(block, good))
    bad = (paid, *block.extrinsics)
    with pytest.raises(InvalidBlock, match="extrinsic 1 is invalid: an inherent stands behind"):
        other.importer.import_block(with_body(block, bad))


def with_body(block: Block, body: tuple[bytes, ...]) -> Block:
    """The block with another body, which its header commits to."""
    return Block(resealed(block.header, extrinsics_root=extrinsics_root(list(body))), body)


def test_a_decoded_parent_state_gives_the_same(chain, other):
    block, prepared = chain.make(chain.store.genesis_hash, 1)
    chain.importer.import_own(block, prepared)
    base = State(other.store.state_at(other.store.genesis_hash))
    outcome = other.importer.import_block(block, parent_state=base)
    base.absorb(outcome.state)
    base.backend = other.store.state_at(block.header.hash)
    second, _ = chain.make(block.header.hash, 2)
    other.importer.import_block(second, parent_state=base)
    assert other.store.best()[1] == 2


def test_the_longer_chain_wins_and_ties_go_to_the_first(chain, other):
    start = chain.store.genesis_hash
    one = chain.grow(start, 1)
    rival, _ = other.make(start, 2)
    outcome = chain.importer.import_block(rival)
    assert outcome.enacted == outcome.retracted == ()
    assert chain.store.best()[0] == one.block
    other.importer.import_block(rival)
    longer, _ = other.make(rival.header.hash, 3)
    outcome = chain.importer.import_block(longer)
    assert outcome.retracted == (one.block,)
    assert outcome.enacted == (rival.header.hash, longer.header.hash)


def test_two_blocks_in_a_slot_are_reported_not_refused(chain, other):
    block, prepared = chain.make(chain.store.genesis_hash, 7)
    assert chain.importer.import_own(block, prepared).equivocation is None
    twin = Block(resealed(block.header), block.extrinsics)
    assert twin.header.hash != block.header.hash, "sr25519 signatures differ each time"
    report = chain.importer.import_block(twin).equivocation
    assert report is not None
    assert {report.first, report.second} == {block.header.hash, twin.header.hash}


def test_what_may_come_later(chain, other):
    start = chain.store.genesis_hash
    block, prepared = chain.make(start, 10)
    slot = int.from_bytes(block.header.digest.logs[0]._1, "little")
    with pytest.raises(TooEarly) as early:
        other.importer.import_block(block, slot_now=slot - 2)
    assert early.value.slot == slot
    chain.importer.import_own(block, prepared)
    child, _ = chain.make(block.header.hash, 11)
    with pytest.raises(UnknownParent) as orphan:
        other.importer.import_block(child)
    assert orphan.value.parent == block.header.hash
    other.importer.import_block(block, slot_now=slot - 1)
    with pytest.raises(AlreadyImported):
        other.importer.import_block(block)
    other.importer.import_block(child)


def test_a_fork_below_finality_is_not_looked_at(chain, other):
    start = chain.store.genesis_hash
    one = chain.grow(start, 1)
    chain.store.finalize(one.block)
    rival, _ = other.make(start, 2)
    with pytest.raises(OnStaleFork, match="without the last finalised block"):
        chain.importer.import_block(rival)


BOB = Keypair.from_uri("//Bob")
WRONG = {
    "number": (lambda b: (resealed(b.header, number=9), b.extrinsics), "block 1 must follow"),
    "no seal": (lambda b: (split_seal(b.header)[0], b.extrinsics), "no Aura seal"),
    "seal of another": (lambda b: (resealed(b.header, BOB), b.extrinsics), "its seal is not by"),
    "body": (lambda b: (b.header, b.extrinsics * 2), "its body is not the one"),
    "state root": (
        lambda b: (resealed(b.header, state_root=bytes(32)), b.extrinsics),
        "it leads to state root",
    ),
    "digest": (
        lambda b: (
            resealed(b.header, digest=Digest((b.header.digest.logs[0], OtherDigest(b"x")))),
            b.extrinsics,
        ),
        "its digest is not what the runtime makes of it",
    ),
    "extrinsic": (
        lambda b: (
            resealed(b.header, extrinsics_root=extrinsics_root([*b.extrinsics, b"\x08\x84\x00"])),
            (*b.extrinsics, b"\x08\x84\x00"),
        ),
        r"its extrinsic \d is invalid: Transaction call is not expected",
    ),
    "slot": (
        lambda b: (resealed(b.header, digest=Digest((slot_digest(5),))), b.extrinsics),
        "A call was labelled as mandatory",
    ),
}


@pytest.mark.parametrize("fault", WRONG)
def test_wrong_blocks_are_refused_and_leave_no_trace(chain, other, fault):
    spoil, reason = WRONG[fault]
    block, _ = other.make(chain.store.genesis_hash, 1)
    header, extrinsics = spoil(block)
    with pytest.raises(InvalidBlock, match=reason) as refusal:
        chain.importer.import_block(Block(header, extrinsics))
    assert f"0x{header.hash.hex()}" in str(refusal.value)
    assert chain.store.best() == (chain.store.genesis_hash, 0)
    assert chain.store.leaves() == [chain.store.genesis_hash]
    chain.importer.import_block(block)


def test_a_slot_must_come_after_the_parents(chain, other):
    one = chain.grow(chain.store.genesis_hash, 5)
    two, prepared = chain.make(one.block, 6)
    slot = chain.store.header(one.block).digest.logs[0]
    late = resealed(two.header, digest=Digest((slot,)))
    with pytest.raises(InvalidBlock, match="does not come after the parent's slot"):
        chain.importer.import_block(Block(late, two.extrinsics))
    with pytest.raises(InvalidBlock, match="does not come after the parent's slot"):
        chain.importer.import_own(Block(late, two.extrinsics), prepared)
