"""Slots: fixed stretches of wall-clock time, counted from 1970. All times are milliseconds."""

from __future__ import annotations


def slot_at(now_ms: int, duration_ms: int) -> int:
    """The slot that contains a moment."""
    return now_ms // duration_ms


def slot_start(slot: int, duration_ms: int) -> int:
    """The first moment of a slot."""
    return slot * duration_ms


def until_next_slot(now_ms: int, duration_ms: int) -> int:
    """How long until the next slot begins: 1 to `duration_ms`."""
    return duration_ms - now_ms % duration_ms


def proposal_budget(now_ms: int, slot: int, duration_ms: int) -> int:
    """How long the author of `slot` may still fill its block: up to two thirds of the slot.

    What is left of the slot bounds it too, so that a late start gives a small block instead of
    a late one; 0 when the slot is over.
    """
    left = slot_start(slot + 1, duration_ms) - now_ms
    return max(0, min(left, duration_ms) * 2 // 3)
