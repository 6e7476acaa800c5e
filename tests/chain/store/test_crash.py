"""A few rounds of the crash loop, and damage to files; `scripts/crash-loop` does more."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from crash_loop import crash_loop
from toy_chain import GENESIS, grow, open_toy, random_changes

from chain.store.chain import ChainStore
from chain.store.check import fsck
from chain.store.errors import StoreError

HERE = Path(__file__).parent


def test_kill_9_loses_nothing_final(tmp_path):
    rounds = int(os.environ.get("GANGLION_CRASH_ROUNDS", "6"))
    assert crash_loop(rounds, 7, tmp_path)[0] > 0


FILL_DISK = """
import random, resource, sys
from toy_chain import grow, open_toy, random_changes
from chain.store.errors import StoreError
store = open_toy(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
rng = random.Random(1)
try:
    for i in range(1000):
        best, number = store.best()
        grow(store, best, random_changes(rng, 100), salt=b"%d" % i)
except StoreError as error:
    assert store.best() == (best, number)
    store.state_at(best).get(b"key001")
    print(number, error)
"""


def test_a_full_disk_stops_the_store_cleanly(tmp_path):
    """A limit on file sizes stands for the disk: writes fail the same way."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    command = [sys.executable, "-c", FILL_DISK, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    number, _, message = done.stdout.partition(" ")
    assert "cannot be written" in message
    assert "free some disk space" in message
    store = open_toy(tmp_path)
    assert store.best()[1] == int(number)
    assert fsck(store).problems == []
    grow(store, store.best()[0], {b"after": b"space was made"})
    store.close()


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A closed store of thirty blocks, and what every state in it holds."""
    path = tmp_path_factory.mktemp("sound")
    store = open_toy(path)
    rng = random.Random(5)
    states = {store.genesis_hash: dict(GENESIS)}
    for i in range(30):
        best = store.best()[0]
        changes = random_changes(rng, 40)
        block = grow(store, best, changes, salt=b"%d" % i)
        after = {**states[best], **changes}
        states[block] = {key: value for key, value in after.items() if value is not None}
        if i % 5 == 4:
            store.finalize(block)
        if i == 15:
            store.close()
            store = open_toy(path)
    final = store.finalized()
    store.close()
    return path, states, final


def flip_a_bit(path, rng):
    files = sorted(f for f in path.rglob("*") if f.is_file() and f.stat().st_size)
    target = rng.choice(files)
    data = bytearray(target.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    target.write_bytes(data)
    return target


@pytest.mark.parametrize("seed", range(int(os.environ.get("GANGLION_DAMAGE_ROUNDS", "30"))))
def test_a_flipped_bit_is_refused_or_harmless(sound, tmp_path, seed):
    path, states, final = sound
    shutil.copytree(path, tmp_path / "copy")
    target = flip_a_bit(tmp_path / "copy", random.Random(seed))
    try:
        store = ChainStore.open(tmp_path / "copy", GENESIS)
    except StoreError:
        return
    try:
        assert store.finalized()[1] >= final[1], f"{target} took back finality in silence"
        for block, state in states.items():
            if store.header(block) is not None:
                view = store.state_at(block)
                assert {key: view.get(key) for key in state} == state
                assert dict(view.items()) == state
        fsck(store)
    except StoreError:
        return
    finally:
        store.close()
