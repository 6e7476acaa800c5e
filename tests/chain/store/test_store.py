"""What a chain store promises, one promise a test."""

import random

import pytest
from toy_chain import GENESIS, grow, open_toy, random_changes

from chain.store.chain import ChainStore
from chain.store.check import fsck
from chain.store.errors import (
    NotPossible,
    StateDiscarded,
    StoreCorrupt,
    StoreError,
    StoreLocked,
    UnknownBlock,
    WrongChain,
)
from chain.trie.proof import verify
from chain.trie.trie import Trie
from consensus.fork_choice import Route


@pytest.fixture(params=["memory", "disk"])
def store(request, tmp_path):
    store = open_toy(tmp_path / "chain" if request.param == "disk" else None)
    yield store
    assert fsck(store).problems == []
    store.close()


def chain(store, parent, count, salt=b"a", **options):
    """A few blocks in a row, each of which writes its own number under one key."""
    blocks = []
    for i in range(count):
        changes = {b"number": b"%d" % i + salt, salt + b"%d" % i: b"v" * 40}
        parent = grow(store, parent, changes, salt=salt, **options)
        blocks.append(parent)
    return blocks


def test_genesis(store):
    block = store.genesis_hash
    assert store.best() == store.finalized() == (block, 0)
    assert store.header(block).state_root == Trie.of(GENESIS).root == store.state_at(block).root
    assert store.body(block) == []
    assert store.leaves() == [block]
    assert dict(store.state_at(block).items()) == GENESIS


def test_states_of_all_blocks_stay_readable(store):
    blocks = [store.genesis_hash, *chain(store, store.genesis_hash, 5)]
    state = dict(GENESIS)
    for i, block in enumerate(blocks):
        if i:
            state |= {b"number": b"%da" % (i - 1), b"a%d" % (i - 1): b"v" * 40}
        view = store.state_at(block)
        assert dict(view.items()) == state
        assert {key: view.get(key) for key in state} == state
        assert view.get(b"absent") is None
        assert list(view.keys(b"key00")) == [b"key%03d" % i for i in range(10)]
        assert list(view.keys(b"key00", b"key007")) == [b"key008", b"key009"]
        assert list(view.keys(b"key", b"a")) == [b"key%03d" % i for i in range(60)]
        assert list(view.keys(b"key", b"z")) == []


def test_a_view_stays_at_its_block_when_the_chain_moves_on(store):
    (first,) = chain(store, store.genesis_hash, 1)
    view = store.state_at(first)
    walk = view.items()
    assert next(walk)[0] == b"a0"
    chain(store, first, 3, b"b")
    assert view.get(b"number") == b"0a"
    assert view.get(b"b0") is None
    assert {b"number": b"0a"}.items() <= dict(walk).items()


def test_proofs_at_old_and_new_blocks(store):
    blocks = chain(store, store.genesis_hash, 3)
    for i, block in enumerate(blocks):
        view = store.state_at(block)
        proof = view.read_proof([b"number", b"a2", b"nothing"])
        assert verify(view.root, proof, [b"number", b"a2", b"nothing"]) == {
            b"number": b"%da" % i,
            b"a2": b"v" * 40 if i == 2 else None,
            b"nothing": None,
        }


def test_a_longer_fork_can_become_best_and_back(store):
    start = store.genesis_hash
    main = chain(store, start, 2, b"m")
    side = chain(store, start, 3, b"s", best=False)
    assert store.best() == (main[1], 2)
    assert store.leaves() == [main[1], side[2]]
    assert store.children(start) == [main[0], side[0]]
    assert store.state_at(side[2]).get(b"number") == b"2s"
    route = store.set_best(side[2])
    assert route == Route((main[1], main[0]), start, tuple(side))
    assert store.best() == (side[2], 3)
    assert [store.hash_of(i) for i in range(5)] == [start, *side, None]
    assert store.children(start) == [side[0], main[0]]
    assert store.state_at(side[2]).get(b"m0") is None
    store.set_best(main[1])
    assert [store.hash_of(i) for i in range(5)] == [start, *main, None, None]
    assert store.choose_best() == side[2]


def test_importing_onto_a_fork_may_reorganise_at_once(store):
    main = chain(store, store.genesis_hash, 1, b"m")
    side = chain(store, store.genesis_hash, 1, b"s", best=False)
    prepared = store.prepare(side[0], {b"number": b"new"})
    top = grow(store, side[0], {b"number": b"new"}, salt=b"t")
    assert prepared.root == store.header(top).state_root
    assert store.best() == (top, 2)
    assert store.leaves() == [top, main[0]]
    assert store.state_at(top).get(b"number") == b"new"


def test_descendants(store):
    main = chain(store, store.genesis_hash, 3, b"m")
    side = chain(store, main[0], 2, b"s", best=False)
    for ancestor, block, expected in (
        (store.genesis_hash, side[1], True),
        (main[0], side[0], True),
        (main[1], side[1], False),
        (side[0], side[1], True),
        (side[1], side[0], False),
        (side[0], main[2], False),
        (main[2], main[2], True),
        (main[2], main[0], False),
    ):
        assert store.is_descendant(ancestor, block) is expected


def test_finality_discards_other_forks(store):
    start = store.genesis_hash
    main = chain(store, start, 3, b"m")
    doomed = chain(store, start, 2, b"d", best=False)
    kept = chain(store, main[1], 1, b"k", best=False)
    done = store.finalize(main[1], (b"FRNK", b"proof"))
    assert done.blocks == (main[0], main[1])
    assert set(done.stale) == set(doomed)
    assert done.route is None
    assert store.finalized() == (main[1], 2)
    assert store.justifications(main[1]) == ((b"FRNK", b"proof"),)
    assert [store.header(block) for block in doomed] == [None, None]
    assert store.leaves() == [main[2], kept[0]]
    with pytest.raises(UnknownBlock, match="Header was not found"):
        store.state_at(doomed[1])


def test_finalising_a_fork_makes_it_best(store):
    main = chain(store, store.genesis_hash, 3, b"m")
    side = chain(store, store.genesis_hash, 2, b"s", best=False)
    done = store.finalize(side[0])
    assert done.route == Route(tuple(reversed(main)), store.genesis_hash, tuple(side))
    assert set(done.stale) == set(main)
    assert store.best() == (side[1], 2)
    assert store.leaves() == [side[1]]


def test_what_finality_forbids(store):
    main = chain(store, store.genesis_hash, 2, b"m")
    side = chain(store, store.genesis_hash, 1, b"s", best=False)
    store.pin(side[0])
    store.finalize(main[0])
    for attempt in (store.set_best, store.finalize):
        with pytest.raises(NotPossible, match="never reverted"):
            attempt(side[0])
    with pytest.raises(NotPossible, match="never reverted"):
        grow(store, side[0], {}, best=False)
    assert store.finalize(main[0]).blocks == ()
    assert store.revert(10) == 1
    assert store.best() == store.finalized() == (main[0], 1)


def test_a_pinned_block_outlives_its_fork(store):
    main = chain(store, store.genesis_hash, 2, b"m")
    side = chain(store, store.genesis_hash, 2, b"s", best=False)
    store.pin(side[0])
    assert store.finalize(main[0]).stale == (side[1],)
    assert store.state_at(side[0]).get(b"number") == b"0s"
    assert store.choose_best() == main[1]
    store.unpin(side[0])
    assert store.finalize(main[1]).stale == (side[0],)
    assert store.header(side[0]) is None


def test_only_prepared_blocks_that_fit_are_taken(store):
    (first,) = chain(store, store.genesis_hash, 1)
    header = store.header(first)
    prepared = store.prepare(store.genesis_hash, {b"number": b"0a", b"a0": b"v" * 40})
    with pytest.raises(NotPossible, match="imported before"):
        store.import_block(header, [], prepared, best=True)
    other = store.prepare(first, {b"x": b"y"})
    with pytest.raises(NotPossible, match="does not follow"):
        store.import_block(header.with_logs(*header.digest.logs), [], other, best=True)
    with pytest.raises(UnknownBlock):
        store.prepare(bytes(32), {})


def test_empty_changes_make_the_same_state(store):
    block = grow(store, store.genesis_hash, {})
    assert store.header(block).state_root == store.header(store.genesis_hash).state_root
    assert dict(store.state_at(block).items()) == GENESIS


def test_deleting_everything_and_starting_over(store):
    block = grow(store, store.genesis_hash, dict.fromkeys(GENESIS))
    assert store.header(block).state_root == Trie.of({}).root
    assert list(store.state_at(block).keys()) == []
    assert store.state_at(block).read_proof([b"x"]) == [b"\0"]
    again = grow(store, block, GENESIS)
    assert store.header(again).state_root == Trie.of(GENESIS).root


def test_rewind_takes_back_finality_for_development_tools(store):
    main = chain(store, store.genesis_hash, 4, b"m")
    store.finalize(main[2])
    side = chain(store, main[3], 1, b"s", best=False)
    assert set(store.rewind(main[0])) == {*main[1:], *side}
    assert store.best() == store.finalized() == (main[0], 1)
    assert store.hash_of(2) is None
    assert store.state_at(main[0]).get(b"number") == b"0m"
    assert chain(store, main[0], 3, b"m2")
    with pytest.raises(UnknownBlock):
        store.rewind(main[3])


def test_notes(store):
    store.aux_put({b"grandpa/1": b"a", b"grandpa/2": b"b", b"other": b"c"})
    store.aux_put({b"grandpa/1": None})
    assert store.aux_get(b"grandpa/2") == b"b"
    assert store.aux_get(b"grandpa/1") is None
    assert list(store.aux_items(b"grandpa/")) == [(b"grandpa/2", b"b")]
    grow(store, store.genesis_hash, {}, notes={b"with": b"block"}, justification=(b"FRNK", b"j"))
    assert store.aux_get(b"with") == b"block"
    assert store.justifications(store.best()[0]) == ((b"FRNK", b"j"),)


def test_all_is_there_after_reopening(tmp_path):
    store = open_toy(tmp_path)
    main = chain(store, store.genesis_hash, 4, b"m")
    side = chain(store, main[0], 2, b"s", best=False)
    store.finalize(main[0])
    store.close()
    store = open_toy(tmp_path)
    assert store.best() == (main[3], 4)
    assert store.finalized() == (main[0], 1)
    assert store.leaves() == [main[3], side[1]]
    assert store.children(main[0]) == [main[1], side[0]]
    assert store.state_at(side[1]).get(b"number") == b"1s"
    assert store.state_at(main[3]).get(b"number") == b"3m"
    store.set_best(side[1])
    assert fsck(store).problems == []
    store.close()


def test_pruning_keeps_the_window_and_says_so(tmp_path):
    store = open_toy(tmp_path, pruning=3)
    main = chain(store, store.genesis_hash, 10, b"m")
    everything = sum(1 for _ in store.database.items("nodes"))
    store.finalize(main[7])
    kept = [i for i in range(11) if store.has_state(store.hash_of(i))]
    assert kept == [6, 7, 8, 9, 10]
    with pytest.raises(StateDiscarded, match="State already discarded for 0x"):
        store.state_at(main[4])
    assert dict(store.state_at(main[5]).items()).items() >= {b"number": b"5m"}.items()
    assert sum(1 for _ in store.database.items("nodes")) < everything
    report = fsck(store)
    assert (report.problems, report.orphans) == ([], 0)
    store.close()


def test_pruning_waits_for_pinned_states():
    store = open_toy(pruning=1)
    main = chain(store, store.genesis_hash, 5, b"m")
    side = chain(store, main[1], 1, b"s", best=False)
    store.pin(side[0])
    store.finalize(main[4])
    assert store.state_at(side[0]).get(b"number") == b"0s"
    assert dict(store.state_at(side[0]).items())
    store.unpin(side[0])
    chain(store, main[4], 1, b"t")
    store.finalize(store.best()[0])
    assert not store.has_state(main[4])
    assert fsck(store).problems == []


def test_a_folder_of_another_chain_is_refused(tmp_path):
    open_toy(tmp_path).close()
    with pytest.raises(WrongChain, match="belongs to another chain, with genesis 0x"):
        ChainStore.open(tmp_path, {**GENESIS, b"more": b"1"})
    with pytest.raises(WrongChain, match="--state-pruning archive"):
        ChainStore.open(tmp_path, GENESIS, pruning=256)
    ChainStore.open(tmp_path).close()


def test_a_folder_remembers_how_many_states_it_keeps(tmp_path):
    open_toy(tmp_path, pruning=5).close()
    with pytest.raises(WrongChain, match="was made with --state-pruning 5"):
        open_toy(tmp_path)
    open_toy(tmp_path, pruning=7).close()
    store = open_toy(tmp_path, pruning="kept")
    assert store.pruning == 7
    store.close()


def test_a_folder_without_a_chain_is_refused(tmp_path):
    with pytest.raises(WrongChain, match="no chain in"):
        ChainStore.open(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_locked_folder_is_refused(tmp_path):
    store = open_toy(tmp_path)
    with pytest.raises(StoreLocked, match="in use by another process"):
        open_toy(tmp_path)
    store.close()
    open_toy(tmp_path).close()


def test_a_database_behind_its_beacon_is_refused(tmp_path):
    store = open_toy(tmp_path)
    main = chain(store, store.genesis_hash, 2)
    store.finalize(main[1])
    ahead = (tmp_path / "finalized").read_bytes()
    store.rewind(main[0])
    store.close()
    open_toy(tmp_path).close()
    (tmp_path / "finalized").write_bytes(ahead)
    with pytest.raises(StoreCorrupt, match="has lost finalised blocks"):
        open_toy(tmp_path)


def test_few_nodes_in_memory_give_the_same_states():
    roomy, tight = open_toy(), open_toy(keep_nodes=5)
    for store in (roomy, tight):
        chain(store, store.genesis_hash, 6)
    assert roomy.best() == tight.best()


def test_a_closed_store_says_so(tmp_path):
    store = open_toy(tmp_path)
    view = store.state_at(store.genesis_hash)
    store.close()
    for read in (lambda: view.get(b"key001"), lambda: list(view.keys())):
        with pytest.raises(StoreError, match="has been closed"):
            read()


@pytest.mark.parametrize("pruning", [None, 3])
def test_a_block_that_is_final_at_once_is_as_if_finalised_later(pruning):
    at_once, later = open_toy(pruning=pruning), open_toy(pruning=pruning)
    one = two = at_once.genesis_hash
    for i in range(8):
        changes = random_changes(random.Random(i))
        one = grow(at_once, one, changes, final=True)
        two = grow(later, two, changes)
        later.finalize(two)
        assert at_once.finalized() == later.finalized() == at_once.best() == (one, i + 1)
    assert [at_once.has_state(at_once.hash_of(n)) for n in range(9)] == [
        later.has_state(later.hash_of(n)) for n in range(9)
    ]
    assert fsck(at_once).problems == fsck(later).problems == []


def test_a_block_beside_a_fork_is_not_final_at_once():
    store = open_toy()
    first = grow(store, store.genesis_hash, {b"a": b"1"})
    grow(store, store.genesis_hash, {b"a": b"2"}, best=False)
    third = grow(store, first, {b"a": b"3"}, final=True)
    assert store.best()[0] == third
    assert store.finalized() == (store.genesis_hash, 0), "its parent is not final"
    store.finalize(first)
    grow(store, third, {b"a": b"4"}, best=False)
    assert store.finalized()[0] == first
