"""Aura: in every slot one authority, in turn, may author a block.

Vocabulary: a *slot* is a stretch of time (`consensus.slots`); the *seal* is the author's sr25519
signature over the hash of the header without it. Upstream: sc_consensus_aura, sp_consensus_aura.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

MAX_DRIFT = 1
"""How many slots ahead of our clock a block may be and still be imported at once."""

KEPT_SLOTS = 1000
"""For how many slots equivocations are looked for, as upstream."""

SURPLUS_SLOTS = 100
"""Forgetting looks at all slots, so it is not done for every single one."""


class InvalidSlot(ValueError):
    """The slot, or the author, of a block breaks a rule; the message says which."""


def compute_author(slot: int, authorities: Sequence[bytes]) -> bytes:
    """The authority whose turn a slot is; raises InvalidSlot if there are none."""
    if not authorities:
        raise InvalidSlot("no Aura authorities: nobody may author a block")
    return authorities[slot % len(authorities)]


def ensure_slot_after(slot: int, parent_slot: int | None) -> None:
    """A block's slot comes strictly after its parent's (None: the parent is genesis)."""
    if parent_slot is not None and slot <= parent_slot:
        raise InvalidSlot(f"slot {slot} does not come after the parent's slot {parent_slot}")


def is_too_early(slot: int, slot_now: int) -> bool:
    """True for a block from the future: not invalid, only to be looked at again later."""
    return slot > slot_now + MAX_DRIFT


@dataclass(frozen=True, slots=True)
class Equivocation:
    """Two different blocks by one author in one slot: reported, not refused."""

    slot: int
    author: bytes
    first: bytes
    second: bytes


@dataclass(slots=True)
class EquivocationWatch:
    """Remembers which header each author sealed in recent slots."""

    seen: dict[int, dict[bytes, bytes]] = field(default_factory=dict)
    oldest: int = 1 << 64

    def check(
        self, slot_now: int, slot: int, author: bytes, header_hash: bytes
    ) -> Equivocation | None:
        """Note a header whose seal is valid; the equivocation if it is the author's second."""
        if slot + KEPT_SLOTS < slot_now:
            return None
        if self.oldest + KEPT_SLOTS + SURPLUS_SLOTS < slot_now:
            for old in [s for s in self.seen if s + KEPT_SLOTS < slot_now]:
                del self.seen[old]
            self.oldest = min(self.seen, default=slot)
        self.oldest = min(self.oldest, slot)
        first = self.seen.setdefault(slot, {}).setdefault(author, header_hash)
        if first == header_hash:
            return None
        return Equivocation(slot, author, first, header_hash)
