"""Random chains with forks, finality and restarts, against a model made of dicts."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toy_chain import GENESIS, grow, open_toy, random_changes

from chain.store.check import fsck
from chain.trie.trie import Trie


class Model:
    """Every block with its parent, number and whole state."""

    def __init__(self, store):
        self.store = store
        self.states = {store.genesis_hash: dict(GENESIS)}
        self.parents = {}
        self.best = self.final = store.genesis_hash

    def path(self, block):
        found = [block]
        while block in self.parents:
            block = self.parents[block]
            found.append(block)
        return found[::-1]

    def above_final(self):
        return sorted(block for block in self.states if self.final in self.path(block))

    def grow(self, rng, salt):
        parent = rng.choice(self.above_final())
        changes = random_changes(rng)
        best = len(self.path(parent)) >= len(self.path(self.best))
        block = grow(self.store, parent, changes, best=best, salt=salt)
        state = {**self.states[parent], **changes}
        self.states[block] = {k: v for k, v in state.items() if v is not None}
        self.parents[block] = parent
        if best:
            self.best = block

    def set_best(self, rng):
        self.best = rng.choice(self.above_final())
        self.store.set_best(self.best)

    def finalize(self, rng):
        self.final = rng.choice(self.above_final())
        self.store.finalize(self.final)
        self.forget(lambda block: self.final in self.path(block) or block in self.path(self.final))
        if self.final not in self.path(self.best):
            self.best = self.store.best()[0]
            assert self.final in self.path(self.best)

    def rewind(self, rng):
        block = rng.choice(self.path(self.best))
        if self.store.has_state(block):
            gone = set(self.path(self.best)) - set(self.path(block))
            self.store.rewind(block)
            self.forget(
                lambda other: (
                    not gone & set(self.path(other))
                    and (other in self.path(block) or block not in self.path(other))
                )
            )
            self.best = block
            if self.final not in self.states:
                self.final = block

    def forget(self, keep):
        self.states = {b: s for b, s in self.states.items() if keep(b)}

    def check(self):
        store = self.store
        assert store.best()[0] == self.best
        assert store.finalized()[0] == self.final
        path = self.path(self.best)
        assert [store.hash_of(i) for i in range(len(path) + 1)] == [*path, None]
        inner = {self.parents[b] for b in self.states if b in self.parents}
        tips = {b for b in self.states if b not in inner} | {self.best}
        assert set(store.leaves()) == tips
        for block, state in self.states.items():
            assert set(store.children(block)) == {
                b for b in self.states if self.parents.get(b) == block
            }
            if store.has_state(block):
                view = store.state_at(block)
                assert dict(view.items()) == state
                assert view.root == Trie.of(state).root
        report = fsck(store)
        assert (report.problems, report.orphans) == ([], 0)


STEPS = st.lists(
    st.sampled_from(["grow"] * 6 + ["set_best", "finalize", "rewind", "reopen"]), max_size=25
)


@pytest.mark.parametrize("pruning", [None, 2])
@given(steps=STEPS, seed=st.integers(0, 2**32))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_store_follows_the_model(steps, seed, pruning):
    rng = random.Random(seed)
    model = Model(open_toy(pruning=pruning))
    for i, step in enumerate(steps):
        if step == "grow":
            model.grow(rng, b"%d" % i)
        elif step != "reopen":
            getattr(model, step)(rng)
    model.check()


@pytest.mark.parametrize("seed", range(6))
def test_store_on_disk_follows_the_model_through_restarts(seed, tmp_path):
    rng = random.Random(seed)
    pruning = (None, 2)[seed % 2]
    model = Model(open_toy(tmp_path, pruning=pruning))
    for i in range(40):
        step = rng.choice(["grow"] * 6 + ["set_best", "finalize", "rewind", "reopen", "reopen"])
        if step == "grow":
            model.grow(rng, b"%d" % i)
        elif step == "reopen":
            model.store.close()
            model.store = open_toy(tmp_path, pruning=pruning)
            model.check()
        else:
            getattr(model, step)(rng)
    model.check()
    model.store.close()
