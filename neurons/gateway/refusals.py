"""When a request is at fault: what miners that refuse it say, and when they are believed. Sans-IO.

A miner that is alone with its refusal may lie, or be configured otherwise than the rest. So a
request is turned away when two miners have said the same of it, when three have refused it, or
when all that there are have; and not while somebody is left who can read more, if length may be
what is wrong. The second opinion is asked of who can tell best, not of who is drawn next: two
miners of one operator would otherwise come out together often enough.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ganglion.errors import GanglionError
from ganglion.wire.call import CallFailed
from ganglion.wire.text import Reported
from neurons.gateway.router import Miner

BAD_REQUEST = (400, 413, 422)
ALIKE, ENOUGH = 2, 3
LONGEST = 300
_NUMBERS = re.compile(r"\d+")
_UNSEEN = re.compile(r"[^\x20-\x7e\u00a0-\uffff]+")


class NoMiner(GanglionError):
    """No miner could give or finish the answer; the message says what each did."""


class BadRequest(NoMiner):
    """The request itself is at fault, as miners say in the message. `said` holds who said what."""

    def __init__(self, message: str, said: Sequence[tuple[Miner, str]]) -> None:
        super().__init__(message)
        self.said = tuple(said)


def refusal(error: Exception) -> str | None:
    """The sentence of a miner that says that something is wrong with the request; None if it
    failed otherwise."""
    if isinstance(error, Reported):
        is_one = error.reason == "request"
    else:
        is_one = isinstance(error, CallFailed) and error.status in BAD_REQUEST
    if not is_one:
        return None
    said = _UNSEEN.sub(" ", getattr(error, "said", "")).strip()
    return said[:LONGEST] or "no reason given"


def verdict(sentence: str) -> str:
    """What a sentence says whoever says it: miners differ in how much they can read."""
    return _NUMBERS.sub("N", sentence)


@dataclass(slots=True)
class Refusals:
    """Those of one request. `size`: the most tokens that its prompt can have.

    Who is asked because it can read more says so itself: it is heard, and then one more.
    """

    size: int
    said: list[tuple[Miner, str]] = field(default_factory=list)
    enough: int = ALIKE

    def take(self, said: Sequence[tuple[Miner, str]]) -> None:
        """Add what miners said, each once."""
        for miner, text in said:
            if all(miner.target.hotkey != before.target.hotkey for before, _ in self.said):
                self.said.append((miner, text))

    def _wider(self, miner: Miner) -> bool:
        """Whether a miner can read more than those that refused, and that may be what it takes."""
        widest = max(refuser.context for refuser, _ in self.said)
        return self.size >= widest and miner.context > widest

    def sort(self, left: list[Miner]) -> None:
        """Put who is to be asked next first: who can read more if that may help, then who is
        elsewhere than those that refused, then who validators trust most."""
        if not self.said or not left:
            return
        hosts = {miner.target.host for miner, _ in self.said}
        order = sorted(
            left, key=lambda m: (self._wider(m), m.target.host not in hosts, m.incentive)
        )
        left.remove(order[-1])
        left.insert(0, order[-1])
        if self._wider(order[-1]):
            self.enough = ENOUGH

    def believed(self, left: Sequence[Miner], others_failed: bool = False) -> BadRequest | None:
        """The error for the caller, if these are enough while `left` could still be asked and
        others have failed for reasons of their own."""
        if not self.said or any(self._wider(miner) for miner in left):
            return None
        alike = Counter(verdict(text) for _, text in self.said)
        common, times = alike.most_common(1)[0]
        everybody = not left and not others_failed
        if times < self.enough and len(self.said) < ENOUGH and not everybody:
            return None
        text = next(text for _, text in self.said if verdict(text) == common)
        return BadRequest(text, self.said)

    def disproved_by(self, miner: Miner) -> list[Miner]:
        """Those that refused what this miner has answered, and can read as much as it can."""
        return [refuser for refuser, _ in self.said if refuser.context >= miner.context]
