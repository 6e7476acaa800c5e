"""Proposing a block: inherents, then the pool's best, within weight, length and time.

The proposer executes on a child of the parent's state and seals the header with the authority's
key; the finished block then goes through the importer like anybody else's. Time comes in as
numbers. Upstream: sc_basic_authorship, sc_consensus_aura.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from chain.blocks import Block, Header, extrinsics_root, seal, slot_digest
from chain.executive import Executive
from chain.mev import ShieldKeys
from chain.mev_carrier import Waits, apply_inner, unpack
from chain.pallets import aura, timestamp
from chain.pool.queues import Selection
from chain.runtime.state import State
from chain.runtime.types import Digest
from chain.runtime.validity import Invalid, InvalidTransaction
from chain.store.states import Prepared
from consensus.aura import compute_author
from consensus.slots import slot_at, slot_start
from ganglion.keys import Keypair

log = logging.getLogger("author")

MAX_SKIPPED = 8
"""Transactions that do not fit before the search for smaller ones ends."""
MAX_BODY = 10 * 1024 * 1024

Prepare = Callable[[dict[bytes, bytes | None]], Prepared]
"""The parent's state with changes applied: its root goes into the header."""


class CannotAuthor(Exception):
    """This node may not make the block that is asked of it; the text says why."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A slot in which one of our keys is the author, and the time the block will carry."""

    slot: int
    now_ms: int
    key: Keypair


@dataclass(slots=True)
class Proposal:
    """A sealed block, the state after it, and pool transactions found invalid on the way."""

    block: Block
    state: State
    prepared: Prepared
    rejected: list[bytes] = field(default_factory=list)


def next_turn(
    s: State, keys: Mapping[bytes, Keypair], now_ms: int, duration_ms: int, *, wait: bool
) -> Turn | None:
    """Our next slot on top of the state `s`.

    With `wait` the slot must be the current one (real time): None when it is not ours or the
    parent has it already. Without, the block comes at once, so its slot is the first of ours
    after the parent's and from now on; chain time then runs ahead of the clock.
    """
    authorities = s[aura.Authorities]
    if not authorities:
        raise CannotAuthor("the chain has no Aura authorities")
    slot, last = slot_at(now_ms, duration_ms), s[aura.CurrentSlot]
    earliest = s[timestamp.Now] + timestamp.MinimumPeriod.value
    if wait:
        key = keys.get(compute_author(slot, authorities))
        if key is None or slot <= last or slot_at(max(now_ms, earliest), duration_ms) != slot:
            return None
        return Turn(slot, now_ms, key)
    first = free_slot(s, now_ms, duration_ms)
    for candidate in range(first, first + len(authorities)):
        key = keys.get(compute_author(candidate, authorities))
        if key is not None:
            return Turn(candidate, time_in(candidate, now_ms, duration_ms), key)
    raise CannotAuthor(
        "this node holds no key of the chain's authorities: start it with --alice (or the name "
        "of another authority)"
    )


def free_slot(s: State, now_ms: int, duration_ms: int) -> int:
    """The first slot from now on that a block on top of `s` may take."""
    earliest = s[timestamp.Now] + timestamp.MinimumPeriod.value
    now = max(now_ms, earliest)
    return max(slot_at(now, duration_ms), s[aura.CurrentSlot] + 1)


def time_in(slot: int, now_ms: int, duration_ms: int) -> int:
    """Now, or the start of a slot that is yet to come."""
    return max(now_ms, slot_start(slot, duration_ms))


def propose(
    executive: Executive,
    parent: Header,
    state: State,
    turn: Turn,
    pool: Selection,
    out_of_time: Callable[[], bool],
    prepare: Prepare,
    write: Callable[[State], None] | None = None,
    shield: ShieldKeys | None = None,
) -> Proposal:
    """Build and seal a block on `parent`; `state` is a fresh child of the parent's state.

    `write` changes the state after the inherents; only developers' tools use it. `shield` opens
    the encrypted extrinsics that are for this author.
    """
    number = parent.number + 1
    executive.initialize_block(state, number, parent.hash, [slot_digest(turn.slot)])
    body = apply_inherents(executive, state, executive.inherents(state, turn.now_ms, shield))
    if write is not None:
        write(state)
    rejected = _fill(executive, state, body, pool, out_of_time, shield)
    logs = executive.finalize_block(state)
    prepared = prepare(state.changes())
    digest = Digest(tuple(logs))
    header = Header(parent.hash, number, prepared.root, extrinsics_root(body), digest)
    sealed = seal(header, turn.key.sign(header.hash))
    return Proposal(Block(sealed, tuple(body)), state, prepared, rejected)


def apply_inherents(executive: Executive, state: State, made: list[bytes]) -> list[bytes]:
    """Apply what authors put first, as upstream leaving out what turns out not to hold."""
    body = []
    for raw in made:
        try:
            executive.apply_extrinsic(state, raw)
        except InvalidTransaction as error:
            log.warning("inherent left out reason=%s", error)
        else:
            body.append(raw)
    return body


def _fill(
    executive: Executive,
    state: State,
    body: list[bytes],
    pool: Selection,
    out_of_time: Callable[[], bool],
    shield: ShieldKeys | None,
) -> list[bytes]:
    """Append what fits; returns the hashes of those that turned out invalid."""
    rejected: list[bytes] = []
    length, skipped = sum(map(len, body)), 0
    while skipped < MAX_SKIPPED and not out_of_time():
        tx = pool.take()
        if tx is None:
            break
        if length + len(tx.raw) > MAX_BODY:
            skipped += 1
            continue
        try:
            inner = unpack(state, tx.raw, shield)
            executive.apply_extrinsic(state, tx.raw)
        except InvalidTransaction as error:
            if error.kind is Invalid.ExhaustsResources:
                skipped += 1
            elif error.kind is not Invalid.Future:
                rejected.append(tx.hash)
            continue
        except Waits:
            continue
        body.append(tx.raw)
        length += len(tx.raw)
        pool.accept(tx)
        if inner is not None and apply_inner(executive, state, inner):
            body.append(inner)
            length += len(inner)
    return rejected
