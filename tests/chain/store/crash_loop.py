"""Kill -9 a process that imports, again and again, and look at what it left.

The child says on standard output what it is about to do and, after the store has returned, that
it is done. After each kill the store must open, pass every check, stand before or after the
step that was under way, and still have everything that was ever said to be final.

    python crash_loop.py ROUNDS [SEED]      the loop
    python crash_loop.py --child PATH SEED  one life, until killed
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from toy_chain import GENESIS, grow, random_changes

from chain.store.chain import ChainStore
from chain.store.check import fsck
from ganglion.units import Hash

ROUNDS_PER_CHAIN = 25
"""Lives on one data folder; then a fresh one, so that checking stays quick."""


def live(path: Path, seed: int) -> None:
    """Import, fork, reorganise and finalise until somebody ends it."""
    rng = random.Random(seed)
    store = ChainStore.open(path, GENESIS, pruning=8)
    say("open", store.best()[0])
    for step in range(1_000_000):
        best, number = store.best()
        salt = b"%d/%d" % (seed, step)
        choice = rng.random()
        if choice < 0.7:
            changes = random_changes(rng, rng.choice([1, 8, 200]))
            will = partial(say, "will")
            say("done", grow(store, best, changes, salt=salt, announce=will))
        elif choice < 0.8 and number > store.finalized()[1]:
            parent = store.header(best).parent_hash
            grow(store, Hash(parent), random_changes(rng), best=False, salt=salt)
        elif choice < 0.9:
            block = rng.choice(store.leaves())
            say("will", block)
            store.set_best(block)
            say("done", block)
        else:
            block = store.hash_of(rng.randint(store.finalized()[1], number))
            store.finalize(block, (b"FRNK", salt))
            say("final", block)


def say(word: str, block: bytes) -> None:
    sys.stdout.write(f"{word} {block.hex()}\n")
    sys.stdout.flush()


def one_life(path: Path, seed: int, rng: random.Random) -> list[tuple[str, Hash]]:
    """Start a child, kill it at a random moment, return what it said."""
    command = [sys.executable, __file__, "--child", str(path), str(seed)]
    # Unbuffered: what `readline` took beyond a line would be lost to `communicate`.
    child = subprocess.Popen(command, bufsize=0, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stderr is not None
    first = b""
    if rng.random() < 0.8:
        first = child.stdout.readline()  # lives past recovery; others die anywhere in start-up
    time.sleep(rng.random() ** 2 * 0.4)
    child.kill()
    out, err = child.communicate()
    assert child.returncode == -9, f"the child ended by itself: {err.decode()[-2000:]}"
    said = [
        line.split()
        for line in (first + out).decode().splitlines(keepends=True)
        if line[-1] == "\n"
    ]
    return [(word, Hash(bytes.fromhex(block))) for word, block in said]


def check(path: Path, said: list[tuple[str, Hash]], finals: set[Hash]) -> int:
    """Look at what a killed child left; the best block's number."""
    store = ChainStore.open(path, GENESIS, pruning=8)
    report = fsck(store)
    assert report.problems == []
    assert report.orphans == 0
    best, number = store.best()
    allowed = set()
    for word, block in said:
        if word in ("open", "done"):
            allowed = {block}
        elif word == "will":
            allowed.add(block)
    if allowed and best not in allowed:
        tail = [f"{word} {block.hex()[:8]}" for word, block in said[-8:]]
        raise AssertionError(f"best is {best.hex()[:8]}, #{number}; the child said {tail}")
    finals |= {block for word, block in said if word == "final"}
    for block in finals:
        assert store.is_canonical(block), f"final block 0x{block.hex()} is lost"
        assert store.is_descendant(block, store.finalized()[0])
    store.close()
    return number


def crash_loop(rounds: int, seed: int, folder: Path) -> tuple[int, int]:
    """Kill a child that often; how many blocks were made and steps reported."""
    rng = random.Random(seed)
    blocks = steps = 0
    finals: set[Hash] = set()
    for i in range(rounds):
        path = folder / str(i // ROUNDS_PER_CHAIN)
        if i % ROUNDS_PER_CHAIN == 0:
            finals = set()
        said = one_life(path, seed * 1_000_000 + i, rng)
        steps += len(said)
        blocks += sum(word == "done" for word, _ in said)
        check(path, said, finals)
    return blocks, steps


def main(arguments: list[str]) -> None:
    if arguments[0] == "--child":
        live(Path(arguments[1]), int(arguments[2]))
        return
    seed = int(arguments[1]) if len(arguments) > 1 else time.time_ns() % 1_000_000
    print(f"{arguments[0]} kills, seed {seed}")
    with tempfile.TemporaryDirectory() as folder:
        blocks, steps = crash_loop(int(arguments[0]), seed, Path(folder))
    print(f"{arguments[0]} kills, {blocks} steps of the best chain, {steps} lines said: all sound")


if __name__ == "__main__":
    main(sys.argv[1:])
