"""chainHead_v1: what each follower has been told, and which blocks are kept for it.

`Follower` turns changes of the chain into the specification's events, in its guaranteed order.
`Followers` holds all of them and counts who still needs a block: the store keeps a block and
its state while the count is above zero. Specification: json-rpc-interface-spec, chainHead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import orjson

from chain.engine import Change, Tree
from chain.rpc.session import Subscription
from ganglion.units import Hash

RECENT = 8
"""Finalised blocks that a new follower is told of, the last one included."""
MAX_PINNED = 512
"""Blocks no longer at the head that a follower may keep before it is stopped."""
MAX_OPERATIONS = 32

Runtime = dict[str, object]


class Follower:
    """One chainHead_v1_follow subscription."""

    def __init__(self, subscription: Subscription, runtime: Runtime | None) -> None:
        self.subscription = subscription
        self.runtime = runtime
        self.pinned: set[Hash] = set()
        self.operations: dict[str, Callable[[], object]] = {}
        self.waiting: dict[str, Callable[[], None]] = {}
        self.running = 0
        self._head: set[Hash] = set()
        self._next_operation = 0

    def send(self, event: str, **fields: object) -> None:
        """Push one event."""
        self.subscription.push(orjson.dumps({"event": event, **fields}))

    def begin(self, tree: Tree) -> None:
        """Tell where the chain stands."""
        known = {"finalizedBlockHashes": [_hex(b) for b in tree.finalized]}
        if self.runtime is None:
            self.send("initialized", **known)
        else:
            self.send("initialized", **known, finalizedBlockRuntime=self.runtime)
        self.pinned.update(tree.finalized)
        for header in tree.above:
            self._new_block(header.hash, header.parent_hash)
        self.send("bestBlockChanged", bestBlockHash=_hex(tree.best))

    def _new_block(self, block: Hash, parent: bytes) -> None:
        fields: dict[str, object] = {"blockHash": _hex(block), "parentBlockHash": _hex(parent)}
        if self.runtime is not None:
            fields["newRuntime"] = None
        self.send("newBlock", **fields)
        self.pinned.add(block)
        self._head.add(block)

    def follow(self, change: Change) -> bool:
        """Tell what changed; False when the follower has to be stopped."""
        if change.rewound:
            return False
        for header in change.imported:
            self._new_block(header.hash, header.parent_hash)
        if change.best is not None:
            self.send("bestBlockChanged", bestBlockHash=_hex(change.best.hash))
        if change.finalized:
            final = [h.hash for h in change.finalized]
            pruned = [b for b in dict.fromkeys(change.pruned) if b in self._head]
            self._head.difference_update(final, pruned)
            self.send(
                "finalized",
                finalizedBlockHashes=[_hex(b) for b in final],
                prunedBlockHashes=[_hex(b) for b in pruned],
            )
        return len(self.pinned - self._head) <= MAX_PINNED

    def new_operation(self) -> str:
        """An id for an operation."""
        self._next_operation += 1
        return str(self._next_operation)


class Followers:
    """All followers of a node. `unpin(blocks, gone)` reaches the engine."""

    def __init__(self) -> None:
        self.unpin: Callable[[list[Hash], int], None] = lambda blocks, gone: None
        self._followers: dict[str, Follower] = {}
        self._holders: Counter[Hash] = Counter()
        self._pins: Counter[Hash] = Counter()

    def __len__(self) -> int:
        return len(self._followers)

    def get(self, key: str) -> Follower | None:
        """The follower behind a subscription's id."""
        return self._followers.get(key)

    def add(self, follower: Follower, tree: Tree) -> None:
        """Begin to follow from a head whose blocks have been pinned once for it."""
        self._pins.update((*tree.finalized, *(h.hash for h in tree.above)))
        follower.begin(tree)
        self._holders.update(follower.pinned)
        self._followers[follower.subscription.id] = follower

    def publish(self, change: Change) -> None:
        """Pass a change to every follower."""
        self._pins.update(change.pinned)
        stopped = []
        for follower in self._followers.values():
            before = len(follower.pinned)
            keeps_up = follower.follow(change)
            if len(follower.pinned) != before:
                self._holders.update(h.hash for h in change.imported)
            if not keeps_up:
                stopped.append(follower)
        for follower in stopped:
            follower.send("stop")
            follower.subscription.end()
        self._let_go(change.pinned, 0)

    def release(self, follower: Follower, blocks: Iterable[Hash]) -> None:
        """A follower needs these blocks no more."""
        given_up = [b for b in blocks if b in follower.pinned]
        follower.pinned.difference_update(given_up)
        self._holders.subtract(given_up)
        self._let_go(given_up, 0)

    def remove(self, follower: Follower) -> None:
        """A follower has left: stop its operations, let its blocks go."""
        if self._followers.pop(follower.subscription.id, None) is None:
            return
        for stop in list(follower.operations.values()):
            stop()
        held = list(follower.pinned)
        follower.pinned.clear()
        self._holders.subtract(held)
        self._let_go(held, 1)

    def _let_go(self, blocks: Iterable[Hash], gone: int) -> None:
        """Unpin what nobody holds."""
        free = [b for b in blocks if self._holders[b] <= 0]
        pins = [b for b in free for _ in range(self._pins.pop(b, 0))]
        for block in free:
            del self._holders[block]
        if pins or gone:
            self.unpin(pins, gone)


def _hex(block: bytes) -> str:
    return "0x" + block.hex()
