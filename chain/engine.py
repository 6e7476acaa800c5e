"""Everything that executes the runtime: the pool, authoring, import and runtime calls.

An engine is used from one thread only (the node's worker); it does no waiting and reads no
clock but the one it is given, so a whole node can be driven step by step in a test. What a step
changed is gathered in a `Change`, which the event loop publishes to RPC, network and log.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from chain.author import Turn, free_slot, next_turn, propose, time_in
from chain.blocks import Block, Header
from chain.dev.simulate import Simulation, Slot, begin_block, simulate
from chain.executive import Executive
from chain.importer import Importer, ImportOutcome
from chain.mev import ShieldKeys
from chain.mev_carrier import carried
from chain.pallets import aura
from chain.pallets.system import Account, BlockHash
from chain.pool import Pool, TxEvent
from chain.runtime.dispatch import DispatchResult
from chain.runtime.state import State
from chain.runtime.validity import Validity
from chain.store.chain import ChainStore
from ganglion.keys import Keypair
from ganglion.units import AccountId, BlockNumber, Hash

KEPT_STATES = 8
REVALIDATED_PER_BLOCK = 64


@dataclass(slots=True)
class Change:
    """What a step did, in order: imported headers, the new best, finalised headers, news.

    `pruned` are blocks that finality ruled out, `pinned` those kept for followers; `rewound`
    says that blocks were taken back (a developers' tool); `after` runs on the event loop once
    all of it has been published.
    """

    imported: list[Header] = field(default_factory=list)
    best: Header | None = None
    finalized: list[Header] = field(default_factory=list)
    pruned: list[Hash] = field(default_factory=list)
    pinned: list[Hash] = field(default_factory=list)
    rewound: bool = False
    transactions: list[TxEvent] = field(default_factory=list)
    after: list[Callable[[], None]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Tree:
    """The chain's head: recent finalised blocks, oldest first, and all blocks above them,
    parents first."""

    finalized: tuple[Hash, ...]
    above: tuple[Header, ...]
    best: Hash


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as numbers: `steady` in seconds (for bans and deadlines), `now_ms` since 1970."""

    steady: Callable[[], float]
    now_ms: Callable[[], int]


class Engine:
    """The node's working part around a store; see the module's text."""

    def __init__(
        self,
        store: ChainStore,
        executive: Executive,
        importer: Importer,
        pool: Pool,
        clock: Clock,
        keys: dict[bytes, Keypair] | None = None,
        shield: ShieldKeys | None = None,
    ) -> None:
        self.store, self.executive, self.importer = store, executive, importer
        self.pool, self.keys = pool, dict(keys or {})
        self._clock = clock
        self.time_offset_ms = 0
        self.shield = shield
        self._change = Change()
        self._best_state: State | None = None
        self._best_hash = Hash(b"")
        self._pool_state: State | None = None
        self._states: OrderedDict[Hash, State] = OrderedDict()
        self._followers = 0

    # -- time and state ---------------------------------------------------------------------

    def now_ms(self) -> int:
        """The node's idea of the time; dev_timeTravel moves it."""
        return self._clock.now_ms() + self.time_offset_ms

    def take_change(self) -> Change:
        """What happened since the last call."""
        self._change.transactions += self.pool.take_news()
        change, self._change = self._change, Change()
        return change

    def best_state(self) -> State:
        """Decoded state of the best block, shared: work on a `child()` of it."""
        best = self.store.best()[0]
        if self._best_state is None or self._best_hash != best:
            self._best_state, self._best_hash = State(self.store.state_at(best)), best
            self._pool_state = None
        return self._best_state

    def state_at(self, block_hash: Hash | None) -> State:
        """Decoded state of a block (default: the best), shared; raises StateDiscarded."""
        if block_hash is None or block_hash == self.store.best()[0]:
            return self.best_state()
        state = self._states.get(block_hash)
        if state is None:
            state = self._states[block_hash] = State(self.store.state_at(block_hash))
            if len(self._states) > KEPT_STATES:
                self._states.popitem(last=False)
        else:
            self._states.move_to_end(block_hash)
        return state

    def call_api(self, name: str, data: bytes, block_hash: Hash | None) -> bytes:
        """Run a runtime API; raises UnknownMethod, DecodeError or StateDiscarded."""
        return self.executive.call_api(self.state_at(block_hash), name, data)

    def simulate(
        self, work: Callable[[State], DispatchResult], block: Hash | None = None
    ) -> Simulation:
        """Run `work` in the block that could follow `block` (default: the best).

        Raises UnknownBlock or StateDiscarded.
        """
        state = self.state_at(block)
        parent = self._header(self.store.best()[0] if block is None else block)
        now, duration = self.now_ms(), aura.SlotDuration.value
        slot = free_slot(state, now, duration)
        when = Slot(slot, time_in(slot, now, duration))
        return simulate(begin_block(self.executive, parent, state, when), work)

    # -- transactions -----------------------------------------------------------------------

    def submit(self, raw: bytes) -> bytes:
        """Put a transaction into the pool; its hash. Raises PoolError."""
        return self.pool.submit(raw, self._validate, self.store.best()[1], self._clock.steady())

    def _validate(self, raw: bytes) -> Validity:
        """As for the next block, in which the best block's hash is known to the runtime."""
        state = self.best_state()
        if self._pool_state is None:
            best, number = self.store.best()
            self._pool_state = state.child()
            self._pool_state[BlockHash, BlockNumber(number)] = best
        return self.executive.validate_transaction(self._pool_state, raw)

    def next_nonce(self, who: AccountId) -> int:
        """The nonce of an account's next transaction, after those that are ready."""
        return self.pool.next_nonce(who, self.best_state()[Account, who].nonce)

    def pending(self) -> list[bytes]:
        """Ready transactions in the order a block would take them."""
        selection, out = self.pool.select(), []
        while (tx := selection.take()) is not None:
            selection.accept(tx)
            out.append(tx.raw)
        return out

    def remove(self, hashes: Sequence[bytes]) -> list[bytes]:
        """Take transactions out of the pool and ban them; those that were there."""
        known = [h for h in hashes if h in self.pool]
        self.pool.reject(known, self._clock.steady())
        return known

    # -- blocks -----------------------------------------------------------------------------

    def turn(self, *, wait: bool) -> Turn | None:
        """Our next slot on the best block; see `chain.author.next_turn`."""
        duration = aura.SlotDuration.value
        return next_turn(self.best_state(), self.keys, self.now_ms(), duration, wait=wait)

    def author(
        self,
        turn: Turn,
        budget_s: float,
        write: Callable[[State], None] | None = None,
        lag: int | None = None,
    ) -> Header:
        """Make a block in this turn on the best block, import it and finalise what lies `lag`
        below it (None: nothing); its header.

        `write` may change the state after the inherents (developers' tools only).
        """
        best = self.store.best()[0]
        parent = self._header(best)
        state = self.best_state()
        child = state.child()
        deadline = self._clock.steady() + budget_s
        proposal = propose(
            self.executive,
            parent,
            child,
            turn,
            self.pool.select(),
            lambda: self._clock.steady() >= deadline,
            lambda changes: self.store.prepare(best, changes),
            write,
            self.shield,
        )
        self.pool.reject(proposal.rejected, self._clock.steady())
        new = proposal.block.header
        outcome = self.importer.import_own(proposal.block, proposal.prepared, final=lag == 0)
        self._keep_state(best, new.hash, child)
        self._note(outcome)
        if lag == 0 and self.store.finalized()[0] == new.hash:
            self._note_final([new.hash])
        elif lag is not None:
            self.finalize_behind(lag)
        return new

    def _keep_state(self, parent: Hash, block: Hash, child: State) -> None:
        """Let the decoded best state follow a block that extends it."""
        state = self._best_state
        if state is None or self._best_hash != parent or self.store.best()[0] != block:
            return
        state.absorb(child)
        state.backend = self.store.state_at(block)
        self._best_hash = block
        self._pool_state = None

    def seal(self, *, wait: bool, budget_s: float, lag: int | None) -> Header | None:
        """Make a block if it is our turn, then finalise what lies `lag` below (None: nothing)."""
        turn = self.turn(wait=wait)
        if turn is None:
            return None
        return self.author(turn, budget_s, lag=lag)

    def seal_pending(self, *, budget_s: float, lag: int | None) -> bool:
        """Like `seal` at once, if anything is ready; whether to go on at once.

        That is when the block took some of it and left some, or an encrypted extrinsic is still
        ready: it waits for its key's block and is gone from the pool within eight.
        """
        before = len(self.pool.ready)
        if before == 0:
            return False
        self.seal(wait=False, budget_s=budget_s, lag=lag)
        ready = self.pool.ready
        return 0 < len(ready) < before or any(carried(tx.raw) for tx in ready.by_hash.values())

    def import_block(
        self,
        block: Block,
        slot_now: int | None = None,
        justification: tuple[bytes, bytes] | None = None,
    ) -> ImportOutcome:
        """Import a block of somebody else's; raises what the importer raises."""
        parent, best = Hash(block.header.parent_hash), self.store.best()[0]
        outcome = self.importer.import_block(
            block,
            parent_state=self.best_state() if parent == best else None,
            slot_now=slot_now,
            justification=justification,
        )
        if outcome.state is not None:
            self._keep_state(parent, outcome.block, outcome.state)
        self._note(outcome)
        return outcome

    def _note(self, outcome: ImportOutcome) -> None:
        """Remember what to publish, and carry the pool over to the new best chain."""
        self._change.imported.append(self._header(outcome.block))
        if self._followers:
            self.store.pin(outcome.block)
            self._change.pinned.append(outcome.block)
        if outcome.enacted:
            self._reorganise(outcome.retracted, outcome.enacted)

    def _reorganise(
        self, retracted: Sequence[bytes], enacted: Sequence[bytes], bodies: Sequence[bytes] = ()
    ) -> None:
        """Carry the pool over; `bodies` are extrinsics of retracted blocks that are gone."""
        best, number = self.store.best()
        self._change.best = self._header(best)
        pool, now = self.pool, self._clock.steady()
        for block in retracted:
            pool.retract(block)
        for block in map(Hash, enacted):
            pool.enact(block, self._header(block).number, self.store.body(block) or ())
        lost = [raw for b in map(Hash, retracted) for raw in self.store.body(b) or ()]
        for raw in dict.fromkeys([*lost, *bodies]):
            pool.resubmit(raw, self._validate, number, now)
        if len(pool):
            pool.expire(number, now)
            pool.revalidate(self._validate, number, now, REVALIDATED_PER_BLOCK)

    def finalize(self, block: Hash, justification: tuple[bytes, bytes] | None = None) -> None:
        """Make a block final, with all above it; raises what the store raises."""
        retracted: tuple[bytes, ...] = ()
        if not self.store.is_canonical(block):
            retracted = self.store.route(self.store.best()[0], block).retracted
        bodies = [raw for b in map(Hash, retracted) for raw in self.store.body(b) or ()]
        if self._followers:
            forks = self.store.forked()
            self._change.pruned += [f for f in forks if not self.store.is_descendant(block, f)]
            self._change.pruned += map(Hash, retracted)
        done = self.store.finalize(block, justification)
        if done.route is not None:
            # What finality rules out is gone from the store: its transactions are kept by us.
            self._reorganise(done.route.retracted, done.route.enacted, bodies)
        self._note_final(done.blocks)

    def _note_final(self, blocks: Sequence[Hash]) -> None:
        for final in blocks:
            self.pool.finalize(final)
            self._change.finalized.append(self._header(final))

    def rewind(self, block: Hash) -> None:
        """Make an earlier block of the best chain the last one; the pool starts empty.

        For development: this takes back finality. Raises StateDiscarded or NotPossible.
        """
        self.store.rewind(block)
        self.pool.clear()
        self._states.clear()
        self._best_state = None
        self._change.best = self._header(block)
        self._change.rewound = True

    # -- followers --------------------------------------------------------------------------

    def follow(self, recent: int, begin: Callable[[Tree], None]) -> None:
        """Pin the chain's head and every block to come; `begin` gets the head on the event loop.

        It runs in its place among the changes, so a follower misses none and sees none twice.
        """
        store = self.store
        final, number = store.finalized()
        blocks = [final]
        while len(blocks) < recent and number > 0:
            number -= 1
            block = store.hash_of(number)
            if block is None or not store.has_state(block):
                break
            blocks.insert(0, block)
        above: list[Header] = []
        queue = [final]
        while queue:
            children = store.children(queue.pop(0))
            above += map(self._header, children)
            queue += children
        tree = Tree(tuple(blocks), tuple(above), store.best()[0])
        for block in (*tree.finalized, *(h.hash for h in tree.above)):
            store.pin(block)
        self._followers += 1
        self._change.after.append(lambda: begin(tree))

    def unpin(self, blocks: Sequence[Hash], gone: int) -> None:
        """Take back pins; `gone` followers need no more of them."""
        for block in blocks:
            self.store.unpin(block)
        self._followers -= gone

    def set_best(self, block: Hash) -> None:
        """Make a block of another fork the best; raises UnknownBlock or NotPossible."""
        route = self.store.set_best(block)
        self._reorganise(route.retracted, route.enacted)

    def best_header(self) -> Header:
        """The best block's header."""
        return self._header(self.store.best()[0])

    def _header(self, block: Hash) -> Header:
        header = self.store.header(block)
        assert header is not None, "the store has the header of every block it names"
        return header

    def finalize_behind(self, lag: int) -> None:
        """Finalise the block `lag` below the best (0: the best itself)."""
        number = self.store.best()[1] - lag
        if number > self.store.finalized()[1]:
            block = self.store.hash_of(number)
            assert block is not None, "the best chain has every number"
            self.finalize(block)
