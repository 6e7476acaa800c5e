"""What a developers' node can do beside being a node. Runs on the worker thread.

Changes that no transaction makes (storage, balances, neurons) are written in the middle of a
block of their own, after its inherents: the block's state root is right, but its body does not
explain it, so such a chain cannot be replayed by another node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chain.blocks import Header
from chain.dev.storage import set_storage
from chain.dev.values import BadValue
from chain.engine import Engine
from chain.pallets import aura, balances_ops, timestamp
from chain.runtime.errors import CallError
from chain.runtime.state import State
from chain.store.errors import NotPossible, StateDiscarded, UnknownBlock
from consensus.slots import slot_at
from ganglion.units import AccountId, Hash

BUDGET_S = 10.0
MAX_SNAPSHOTS = 1024

Write = Callable[[State], None]


class DevError(Exception):
    """A tool cannot do what is asked; one sentence with cause and way out."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where to go back to."""

    block: Hash
    time_offset_ms: int
    impersonated: frozenset[bytes]


class DevTools:
    """The tools around one engine."""

    def __init__(self, engine: Engine, lag: int | None) -> None:
        self.engine = engine
        self._lag = lag
        self._snapshots: dict[int, Snapshot] = {}
        self._taken = 0

    # -- blocks and time --------------------------------------------------------------------

    def new_block(self, write: Write | None = None, finalize: bool = True) -> Header:
        """Make a block now, out of what the pool has; raises DevError or CannotAuthor."""
        engine = self.engine
        turn = engine.turn(wait=False)
        assert turn is not None, "a turn that need not wait is there or raises"
        return engine.author(turn, BUDGET_S, write, self._lag if finalize else None)

    def has_ready(self) -> bool:
        """Whether a block would have transactions."""
        return len(self.engine.pool.ready) > 0

    def time_travel(self, to_ms: int) -> int:
        """Let the next block carry this time; time goes on from there. The time set."""
        engine = self.engine
        state = engine.best_state()
        earliest = state[timestamp.Now] + timestamp.MinimumPeriod.value
        duration = aura.SlotDuration.value
        if to_ms < earliest or slot_at(to_ms, duration) <= state[aura.CurrentSlot]:
            raise DevError(
                f"the time {to_ms} ms is not after the best block's: go to "
                f"{max(earliest, (state[aura.CurrentSlot] + 1) * duration)} ms or later, or take "
                "the chain back with dev_setHead first"
            )
        engine.time_offset_ms += to_ms - engine.now_ms()
        return to_ms

    # -- state ------------------------------------------------------------------------------

    def set_storage(self, values: Any) -> Header:
        """Write storage by names or raw keys, in a block; raises DevError."""

        def write(state: State) -> None:
            try:
                set_storage(state, self.engine.executive.runtime, values)
            except BadValue as error:
                raise DevError(str(error)) from None

        self.rehearse(write)
        return self.new_block(write)

    def faucet(self, who: AccountId, amount: int) -> Header:
        """Mint TAO (in rao) to an account, in a block; raises DevError."""

        def write(state: State) -> None:
            try:
                balances_ops.mint_into(state, who, amount)
            except CallError as error:
                raise DevError(f"cannot give {amount} rao to this account: {error}") from None

        self.rehearse(write)
        return self.new_block(write)

    def rehearse(self, write: Write) -> None:
        """Do it on a throw-away state first, so that a mistake makes no block."""
        write(self.engine.best_state().child())

    def dump_state(self) -> dict[bytes, bytes]:
        """Raw keys and values of the best block's state."""
        return dict(self.engine.store.state_at(self.engine.store.best()[0]).items())

    def load_state(self, entries: dict[bytes, bytes]) -> Header:
        """Make these entries the whole state, except the chain's own clock; in a block."""
        keep = (timestamp.pallet.items, aura.pallet.items)
        clock = {item.prefix for items in keep for item in items.values()}

        def write(state: State) -> None:
            for key in state.raw_keys(b""):
                if key not in entries and key[:32] not in clock:
                    state.write_raw(key, None)
            for key, value in entries.items():
                if key[:32] not in clock:
                    state.write_raw(key, value)

        return self.new_block(write)

    def impersonate(self, who: AccountId, on: bool) -> None:
        """Take any signature for an account's own, or stop doing so."""
        accounts = self.engine.executive.impersonated
        (accounts.add if on else accounts.discard)(who)

    # -- going back -------------------------------------------------------------------------

    def snapshot(self) -> int:
        """Remember the best block, the time and who is impersonated; an id for `revert`."""
        engine = self.engine
        block = engine.store.best()[0]
        engine.store.pin(block)
        self._taken += 1
        self._snapshots[self._taken] = Snapshot(
            block, engine.time_offset_ms, frozenset(engine.executive.impersonated)
        )
        if len(self._snapshots) > MAX_SNAPSHOTS:
            self._forget(next(iter(self._snapshots)))
        return self._taken

    def revert(self, number: int) -> bool:
        """Go back to a snapshot, which is used up with all later ones; False if unknown."""
        snapshot = self._snapshots.get(number)
        if snapshot is None:
            return False
        engine = self.engine
        for later in [n for n in self._snapshots if n >= number]:
            self._forget(later)
        self._rewind(snapshot.block)
        engine.time_offset_ms = snapshot.time_offset_ms
        engine.executive.impersonated.clear()
        engine.executive.impersonated |= snapshot.impersonated
        return True

    def _forget(self, number: int) -> None:
        self.engine.store.unpin(self._snapshots.pop(number).block)

    def set_head(self, block: Hash) -> Header:
        """Make an earlier block, or one of another fork, the best; raises DevError."""
        engine = self.engine
        try:
            if engine.store.is_canonical(block):
                self._rewind(block)
            else:
                engine.set_best(block)
        except (UnknownBlock, NotPossible) as error:
            raise DevError(f"{error}") from None
        gone = [n for n, s in self._snapshots.items() if not engine.store.has_state(s.block)]
        for number in gone:
            self._forget(number)
        return engine.best_header()

    def _rewind(self, block: Hash) -> None:
        if block == self.engine.store.best()[0]:
            self.engine.pool.clear()
            return
        try:
            self.engine.rewind(block)
        except StateDiscarded as error:
            raise DevError(f"{error}: keep more states with --state-pruning archive") from None
