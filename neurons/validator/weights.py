"""Carrying out what the schedule asks: transactions with retries and one log line each."""

from __future__ import annotations

import asyncio
import logging

from ganglion.errors import GanglionError, TransactionFailed, TransactionRejected
from neurons.chainlink import ChainLink, View
from neurons.validator.book import Book
from neurons.validator.schedule import (
    Action,
    Clock,
    Committed,
    CommitWeights,
    RevealWeights,
    SetWeights,
    Weights,
    draw_salt,
    due,
)

log = logging.getLogger("validator")

ATTEMPTS = 3
PAUSE_SECONDS = 1.0


class WeightWriter:
    """Sets weights for one hotkey, openly or by commit and reveal, as the subnet demands."""

    def __init__(self, chain: ChainLink, book: Book) -> None:
        self._chain, self._book = chain, book
        self.written = 0
        self.last_problem = ""

    async def clock(self, view: View) -> Clock | None:
        """The validator's turn as the chain sees it; None if it is not registered."""
        neuron, info = view.neuron(self._chain.hotkey.address), view.graph.info
        if neuron is None:
            return None
        hidden = bool(info["commit_reveal_weights_enabled"])
        epoch, queue = await self._chain.epoch_and_queue(view) if hidden else (0, ())
        return Clock(
            block=view.block,
            epoch=epoch,
            last_update=neuron.last_update if neuron.last_update > 0 else 0,
            rate_limit=int(info["weights_rate_limit"]),
            version_key=int(info["weights_version"]),
            commit_reveal=hidden,
            reveal_period=int(info["commit_reveal_period"]),
            queue=queue,
        )

    async def step(self, view: View, weights: Weights) -> bool:
        """Do whatever is due at this block; whether `weights` were set or committed."""
        clock = await self.clock(view)
        if clock is None:
            self._complain("this hotkey is not registered any more, so no weights can be set")
            return False
        known = self._known(clock)
        placed = False
        for action in due(clock, weights, known, draw_salt()):
            done = await self._try(action, clock)
            placed |= done and not isinstance(action, RevealWeights)
        return placed

    def _known(self, clock: Clock) -> dict[bytes, Committed]:
        """Remembered commitments by hash; those the chain no longer lists are forgotten."""
        hotkey, netuid = self._chain.hotkey.public_key, self._chain.netuid
        stored = [Committed.from_json(entry) for entry in self._book.commits]
        by_hash = {entry.hash(hotkey, netuid): entry for entry in stored}
        listed = {commit for commit, _ in clock.queue}
        if clock.commit_reveal:
            self._book.commits = [e.to_json() for h, e in by_hash.items() if h in listed]
        return by_hash

    async def _try(self, action: Action, clock: Clock) -> bool:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._do(action, clock)
            except (TransactionFailed, TransactionRejected) as e:
                self._complain(f"the chain refuses {describe(action)}: {e}{self._way(e)}")
                return False
            except GanglionError as e:
                self._complain(f"{describe(action)} did not get through ({attempt}): {e}")
                await asyncio.sleep(PAUSE_SECONDS * attempt)
            else:
                self.written += not isinstance(action, CommitWeights)
                self.last_problem = ""
                log.info("%s done at block %d", describe(action), clock.block)
                return True
        return False

    def _way(self, error: GanglionError) -> str:
        if "NeuronNoValidatorPermit" not in str(error):
            return ""
        hotkey = self._chain.hotkey.address
        return f" `ganglion tx stake add {hotkey} {self._chain.netuid} TAO -s WALLET`"

    async def _do(self, action: Action, clock: Clock) -> None:
        match action:
            case SetWeights(weights):
                uids, values = zip(*weights)
                await self._chain.set_weights(uids, values, clock.version_key)
            case CommitWeights(entry):
                # remembered first: a commitment whose contents are lost cannot be revealed
                self._book.commits.append(entry.to_json())
                self._book.save()
                commit = entry.hash(self._chain.hotkey.public_key, self._chain.netuid)
                await self._chain.commit_weights(commit)
            case RevealWeights(e):
                await self._chain.reveal_weights(e.uids, e.values, e.salt, e.version_key)

    def _complain(self, problem: str) -> None:
        self.last_problem = problem
        log.warning("%s", problem)


def describe(action: Action) -> str:
    """An action in a few words."""
    match action:
        case SetWeights(weights):
            return f"setting {len(weights)} weights"
        case CommitWeights(entry):
            return f"committing {len(entry.uids)} weights"
        case RevealWeights(entry):
            return f"revealing {len(entry.uids)} weights"
