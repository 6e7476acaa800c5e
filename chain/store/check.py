"""Checking a whole store: every hash recomputed, every invariant looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from chain.blocks import extrinsics_root
from chain.store.chain import ChainStore
from chain.store.errors import StoreCorrupt, UnknownBlock
from chain.store.kv import Column
from chain.store.nodes import StoredNodes
from chain.trie.node import EMPTY_ROOT, HASHED, NO_LINK, Branch, Node, peek
from ganglion.units import Hash

T = TypeVar("T")


@dataclass(slots=True)
class Report:
    """What a check has seen; the store is sound if `problems` is empty.

    `nodes` are stored trie nodes in use; `orphans` are stored but in no state: wasted space.
    """

    blocks: int = 0
    states: int = 0
    nodes: int = 0
    orphans: int = 0
    keys: int = 0
    problems: list[str] = field(default_factory=list)


def fsck(store: ChainStore, say: Callable[[str], None] = lambda line: None) -> Report:
    """Check all blocks and all states that are kept. Reads only; `say` hears of the progress."""
    report = Report()
    for block in _blocks(store, report):
        report.blocks += 1
        if report.blocks % 1000 == 0:
            say(f"{report.blocks} blocks checked")
        _check_block(store, block, report)
    say("checking states")
    _check_states(store, report)
    _check_flat(store, report)
    return report


def _blocks(store: ChainStore, report: Report) -> Iterator[Hash]:
    """The best chain from the top down, then the forks."""
    best, number = store.best()
    expected = best
    for i in range(number, -1, -1):
        block = store.hash_of(i)
        if block != expected:
            report.problems.append(f"number {i} is mapped to a block off the best chain")
        header = _attempt(report, lambda block=expected: store.header(block))  # type: ignore[misc]
        if header is None:
            report.problems.append(f"block {i} 0x{expected.hex()} is missing or damaged")
            return
        yield expected
        expected = Hash(header.parent_hash)
    if store.hash_of(number + 1) is not None:
        report.problems.append(f"number {number + 1} is mapped though the chain ends at {number}")
    yield from store.forked()


def _check_block(store: ChainStore, block: Hash, report: Report) -> None:
    name = f"block 0x{block.hex()}"
    header = _attempt(report, lambda: store.header(block))
    body = _attempt(report, lambda: store.body(block))
    _attempt(report, lambda: store.justifications(block))
    if header is None or body is None:
        report.problems.append(f"{name} has no header or no body")
        return
    if header.number and extrinsics_root(body) != header.extrinsics_root:
        report.problems.append(f"{name} has a body that its header does not commit to")
    if header.number:
        parent = _attempt(report, lambda: store.header(Hash(header.parent_hash)))
        if parent is None or parent.number + 1 != header.number:
            report.problems.append(f"{name} does not follow its parent")


def _check_states(store: ChainStore, report: Report) -> None:
    """Walk every trie once; what two of them share is walked for the first only."""
    seen: set[bytes] = set()
    best, number = store.best()
    kept: list[Hash] = store.forked()
    while number >= 0:
        block = store.hash_of(number)
        if block is None or not store.has_state(block):
            break
        kept.append(block)
        number -= 1
    for block in kept:
        report.states += 1
        header = store.header(block)
        if header is None:
            continue
        root_link = store.root_link(block)
        if header.state_root == EMPTY_ROOT or root_link in seen:
            continue
        seen.add(root_link)
        source = StoredNodes(store.database)
        root = _attempt(report, lambda: source.load(header.state_root, root_link))  # noqa: B023
        if root is not None:
            _walk(source, root, seen, report)
    report.nodes = len(seen)
    report.orphans = sum(1 for link, _ in store.database.items(Column.NODES) if link not in seen)


def _walk(source: StoredNodes, root: Node, seen: set[bytes], report: Report) -> None:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, Branch):
            continue
        for i in range(16):
            start, end = node.span(i)
            if start == end:
                continue
            link = node.link(i)
            hashed = node.refs[start] == HASHED
            if hashed and link == NO_LINK:
                report.problems.append("a trie node has a child without a link")
            elif link not in seen:
                if hashed:
                    seen.add(link)
                kid = _attempt(report, lambda: peek(source, node, i))  # noqa: B023
                if kid is not None:
                    waiting.append(kid)


def _check_flat(store: ChainStore, report: Report) -> None:
    """The flat copy must hold exactly what the best block's trie holds."""
    best, _ = store.best()
    view = store.state_at(best)
    flat = store.database.items(Column.FLAT)
    try:
        for key, value in view.trie().items():
            report.keys += 1
            if next(flat, None) != (key, value):
                report.problems.append(f"the flat copy differs from the state at 0x{key.hex()}")
                return
    except (StoreCorrupt, UnknownBlock) as error:
        report.problems.append(str(error))
        return
    if next(flat, None) is not None:
        report.problems.append("the flat copy holds keys that the state does not")


def _attempt(report: Report, read: Callable[[], T]) -> T | None:
    """What `read` returns, or None with the problem noted."""
    try:
        return read()
    except (StoreCorrupt, UnknownBlock) as error:
        report.problems.append(str(error))
        return None
