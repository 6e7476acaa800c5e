"""Importing blocks: check the header, run the body, compare, store, choose the best chain.

Cheap checks come before expensive ones, and nothing is written before all have passed. Our own
blocks take the same way, but with the state that authoring has already computed, so nothing
runs or is hashed twice. No clock: whoever knows the time passes the current slot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chain.blocks import BadDigest, Block, Header, extrinsics_root, slot_of, split_seal
from chain.executive import Executive, InvalidBlock
from chain.pallets import aura
from chain.runtime.state import State
from chain.runtime.types import PreRuntime, Seal
from chain.runtime.validity import InvalidTransaction
from chain.store.chain import ChainStore
from chain.store.states import Prepared
from consensus.aura import (
    Equivocation,
    EquivocationWatch,
    InvalidSlot,
    compute_author,
    ensure_slot_after,
    is_too_early,
)
from consensus.fork_choice import is_better
from ganglion.keys import verify
from ganglion.units import Hash


class CannotImport(Exception):
    """The block may be good, but not for this node at this moment; a sentence says why."""


class UnknownParent(CannotImport):
    """The parent has to be imported first."""

    def __init__(self, header: Header) -> None:
        super().__init__(
            f"block {header.number}: its parent 0x{header.parent_hash.hex()} is unknown"
        )
        self.parent = Hash(header.parent_hash)


class AlreadyImported(CannotImport):
    """The block is here."""


class TooEarly(CannotImport):
    """The block's slot has not come; it may be tried again when it has."""

    def __init__(self, header: Header, slot: int) -> None:
        super().__init__(f"block {header.number} is of slot {slot}, which has not come yet")
        self.slot = slot


class OnStaleFork(CannotImport):
    """The block's chain lacks the last finalised block."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a header says once it has been verified."""

    slot: int
    author: bytes


@dataclass(frozen=True, slots=True)
class ImportOutcome:
    """What importing a block did.

    `enacted` and `retracted` are empty unless the block became the best; `retracted` runs from
    the old best block up, `enacted` down to the new one. `state` is the decoded state after a
    block that was executed here: a child of the parent's, for whoever keeps decoded states.
    """

    block: Hash
    retracted: tuple[bytes, ...] = ()
    enacted: tuple[bytes, ...] = ()
    equivocation: Equivocation | None = None
    state: State | None = None


def invalid(header: Header, why: str) -> InvalidBlock:
    """The error for a block that no honest author makes."""
    return InvalidBlock(f"block {header.number} 0x{header.hash.hex()} is invalid: {why}")


def verify_header(
    header: Header,
    parent: Header,
    authorities: Sequence[bytes],
    slot_now: int | None = None,
    *,
    sealed_here: bool = False,
) -> Seen:
    """Number, slot, author and seal of a header on its parent.

    `authorities` are those of the parent's state. A seal that this node has just made is not
    verified again. Raises InvalidBlock, or TooEarly when `slot_now` is given and the slot is yet
    to come.
    """
    if header.number != parent.number + 1:
        raise invalid(header, f"block {parent.number + 1} must follow its parent")
    try:
        slot = slot_of(header)
        ensure_slot_after(slot, slot_of(parent) if parent.number else None)
        author = compute_author(slot, authorities)
        unsealed, signature = split_seal(header)
    except (BadDigest, InvalidSlot) as error:
        raise invalid(header, str(error)) from error
    if slot_now is not None and is_too_early(slot, slot_now):
        raise TooEarly(header, slot)
    if not sealed_here and not verify(author, unsealed.hash, signature):
        raise invalid(header, f"its seal is not by 0x{author.hex()}, whose slot {slot} is")
    return Seen(slot, author)


class Importer:
    """Brings blocks into a store."""

    def __init__(self, store: ChainStore, executive: Executive) -> None:
        self._store = store
        self._executive = executive
        self._watch = EquivocationWatch()

    def import_block(
        self,
        block: Block,
        *,
        parent_state: State | None = None,
        slot_now: int | None = None,
        justification: tuple[bytes, bytes] | None = None,
    ) -> ImportOutcome:
        """Verify, run and store somebody's block.

        `parent_state` is the decoded state of the parent if the caller has one; it is not
        written to. Raises InvalidBlock for a block that is wrong, CannotImport for one that is
        not to be had now, StateDiscarded when the parent's state is gone.
        """
        header = block.header
        parent = self._parent_of(header)
        base = parent_state or State(self._store.state_at(parent.hash))
        authorities = base[aura.Authorities]
        seen = verify_header(header, parent, authorities, slot_now)
        if extrinsics_root(block.extrinsics) != header.extrinsics_root:
            raise invalid(header, "its body is not the one that its header commits to")
        state = self._execute(block, base)
        prepared = self._store.prepare(parent.hash, state.changes())
        if prepared.root != header.state_root:
            raise invalid(
                header,
                f"it leads to state root 0x{prepared.root.hex()}, not to "
                f"0x{header.state_root.hex()} as its header says",
            )
        return self._store_block(block, prepared, seen, slot_now, justification, state)

    def import_own(self, block: Block, prepared: Prepared, *, final: bool = False) -> ImportOutcome:
        """Store a block of ours, whose state authoring has prepared; raises as `import_block`.

        `final` as for the store, which may leave it undone.
        """
        header = block.header
        parent = self._parent_of(header)
        authorities = State(self._store.state_at(parent.hash))[aura.Authorities]
        seen = verify_header(header, parent, authorities, sealed_here=True)
        return self._store_block(block, prepared, seen, None, None, None, final)

    def _parent_of(self, header: Header) -> Header:
        """The parent, for a block that is new and may follow it."""
        store = self._store
        if store.header(header.hash) is not None:
            raise AlreadyImported(f"block {header.number} 0x{header.hash.hex()} is here already")
        parent = store.header(Hash(header.parent_hash))
        if parent is None:
            raise UnknownParent(header)
        final, number = store.finalized()
        if not store.is_descendant(final, parent.hash):
            raise OnStaleFork(
                f"block {header.number} 0x{header.hash.hex()} is on a chain without the last "
                f"finalised block, {number} 0x{final.hex()}"
            )
        return parent

    def _execute(self, block: Block, base: State) -> State:
        """Run the body on a child of the parent's state."""
        header, executive = block.header, self._executive
        state = base.child()
        # The runtime adds its own entries again, so it is given the author's only.
        given = [log for log in header.digest.logs if isinstance(log, PreRuntime)]
        try:
            executive.initialize_block(state, header.number, header.parent_hash, given)
        except InvalidBlock as error:
            raise invalid(header, str(error)) from error
        for i, raw in enumerate(block.extrinsics):
            try:
                executive.apply_extrinsic(state, raw)
            except InvalidTransaction as error:
                raise invalid(header, f"its extrinsic {i} is invalid: {error}") from error
        try:
            logs = executive.finalize_block(state)
        except InvalidBlock as error:
            raise invalid(header, str(error)) from error
        if tuple(logs) != tuple(log for log in header.digest.logs if not isinstance(log, Seal)):
            raise invalid(header, "its digest is not what the runtime makes of it")
        return state

    def _store_block(
        self,
        block: Block,
        prepared: Prepared,
        seen: Seen,
        slot_now: int | None,
        justification: tuple[bytes, bytes] | None,
        state: State | None,
        final: bool = False,
    ) -> ImportOutcome:
        header, body = block.header, block.extrinsics
        best = is_better(header.number, self._store.best()[1])
        route = self._store.import_block(
            header, body, prepared, best=best, final=final, justification=justification
        )
        now = seen.slot if slot_now is None else slot_now
        equivocation = self._watch.check(now, seen.slot, seen.author, header.hash)
        if route is None:
            return ImportOutcome(header.hash, equivocation=equivocation, state=state)
        return ImportOutcome(header.hash, route.retracted, route.enacted, equivocation, state)
