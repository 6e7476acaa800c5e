"""A chain in memory: blocks of calls through the whole executive, without network, disk or keys.

Calls arrive as signed extrinsics of accounts whose signatures are not checked; everything else
(nonces, fees, guards, weights of the block, events) is as on a node. Headers carry no state root:
`root` works it out when it is asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from chain.blocks import Header, extrinsics_root, slot_digest
from chain.executive import Executive
from chain.genesis import Genesis, build_genesis
from chain.pallets import aura
from chain.pallets.system import Account
from chain.runtime.call import RuntimeCall
from chain.runtime.state import DictBackend, State
from chain.runtime.types import Digest
from chain.runtime.validity import InvalidTransaction
from chain.runtime_spec import make_runtime
from chain.trie.trie import Trie
from ganglion.keys import dev_key
from ganglion.scale import codec, compact_encode
from ganglion.units import AccountId, Hash, Rao

FIRST_SLOT = 1_000_000
NO_ROOT = bytes(32)
SUDO_FUNDS = Rao(1_000_000_000_000)

Act = tuple[AccountId, RuntimeCall]
"""Who calls what."""
Balances = tuple[tuple[AccountId, Rao], ...]


@dataclass
class Tally:
    """How calls ended, by name: done, failed in dispatch (by error), refused before it."""

    done: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)


class MemoryChain:
    """The chain and its decoded state; //Alice is author and sudo."""

    def __init__(self, balances: Balances) -> None:
        self.runtime = make_runtime()
        alice = dev_key("Alice")
        keys = (alice.public_key,)
        funds = (*balances, (alice.account_id, SUDO_FUNDS))
        genesis = Genesis(funds, keys, keys, alice.account_id, subnets=False)
        self.backend = DictBackend(build_genesis(self.runtime, genesis))
        self.state = State(self.backend)
        self.executive = Executive(self.runtime)
        self.sudo = alice.account_id
        self.number = 0
        self.parent = Hash(bytes(32))
        self.tally = Tally()

    def call(self, name: str, *args: object) -> RuntimeCall:
        """A call of SubtensorModule, or of another pallet as `Pallet.name`."""
        pallet, _, call = name.rpartition(".")
        return self.runtime.call(pallet or "SubtensorModule", call, *args)

    def block(self, acts: Callable[[State], Iterable[Act]]) -> State:
        """Make the next block of calls that are drawn as it runs; its own state, with events.

        What was refused is left out of it.
        """
        s = self.begin()
        body = [*self.body]
        for who, call in acts(s):
            raw = self.extrinsic(who, call, s[Account, who].nonce)
            if self.apply(s, raw, call):
                body.append(raw)
        self.end(s, body)
        return s

    def begin(self) -> State:
        """The state of the next block after its inherents; their bytes are in `body`."""
        s = self.state.child()
        self.number += 1
        slot = FIRST_SLOT + self.number
        self.executive.initialize_block(s, self.number, self.parent, [slot_digest(slot)])
        self.body = self.executive.inherents(s, slot * aura.SlotDuration.value)
        for raw in self.body:
            self.executive.apply_extrinsic(s, raw)
        return s

    def apply(self, s: State, raw: bytes, call: RuntimeCall) -> bool:
        """Run an extrinsic in the block; False when it may not be in it."""
        name = self.executive.runtime.pallets[call.pallet].calls[call.index].name
        try:
            result = self.executive.apply_extrinsic(s, raw)
        except InvalidTransaction as error:
            self.tally.refused[f"{name}: {error}"] += 1
            return False
        if result.error is None:
            self.tally.done[name] += 1
        else:
            self.tally.failed[f"{name}: {result.error}"] += 1
        return True

    def end(self, s: State, body: list[bytes]) -> None:
        """Close the block, and make its state the best one."""
        logs = self.executive.finalize_block(s)
        header = Header(
            self.parent, self.number, NO_ROOT, extrinsics_root(body), Digest(tuple(logs))
        )
        self.backend.apply(s.changes())
        self.state.absorb(s)
        self.parent = header.hash

    def extrinsic(self, who: AccountId, call: RuntimeCall, nonce: int) -> bytes:
        """A signed extrinsic that this chain believes without a signature."""
        self.executive.impersonated.add(who)
        extra = b"\0" + compact_encode(nonce) + b"\0\0"
        raw = b"\x84\0" + who + b"\1" + bytes(64) + extra + _CALL.encode(call)
        return compact_encode(len(raw)) + raw

    def root(self) -> bytes:
        """The state root of the best block."""
        return Trie.of(self.backend).root


_CALL = codec(RuntimeCall)
