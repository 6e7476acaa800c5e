"""Why a neuron earned what it earned: an epoch that has run, done again from its block's state.

The parent's state is read, the block is begun on it as its author did, and the epoch's inputs are
handed to `consensus.explain`. Upstream's order: pallets/subtensor/src/coinbase/block_step.rs
"""

from __future__ import annotations

from dataclasses import dataclass

from chain.pallets import system
from chain.pallets.subtensor.block_step import before_coinbase
from chain.pallets.subtensor.coinbase import DueEpoch, emit_and_drain, run_due_epoch
from chain.pallets.subtensor.epoch import read_epoch
from chain.pallets.subtensor.mechanism import get_emission_parts
from chain.pallets.subtensor.neurons import get_indices, is_null
from chain.runtime.state import Backend, State
from consensus.explain import Explanation, explain
from consensus.yuma import engine
from consensus.yuma.mechanisms import merge
from consensus.yuma.types import SubnetEpoch
from ganglion.units import BlockNumber, Hash, NetUid


class NothingToExplain(ValueError):
    """There was no such epoch, or it cannot be explained; the message says why."""


@dataclass(frozen=True, slots=True)
class SubnetInputs:
    """What one epoch of a subnet was computed from."""

    emission: int
    mechanisms: tuple[SubnetEpoch, ...]

    def explain(self, uid: int) -> list[Explanation]:
        """One explanation a mechanism; NothingToExplain when there is no such uid."""
        try:
            return [explain(inputs, uid) for inputs in self.mechanisms]
        except ValueError as error:
            raise NothingToExplain(str(error)) from error

    def paid(self, uid: int) -> int:
        """Rao of alpha that the epoch gives this uid in all, as the chain stores it."""
        parts = [inputs.rao_emission for inputs in self.mechanisms]
        outcomes = [engine.epoch(inputs) for inputs in self.mechanisms]
        return merge(outcomes, parts, self.emission).combined_emission[uid]


def read_inputs(parent: Backend, number: int, parent_hash: bytes, netuid: int) -> SubnetInputs:
    """The inputs of the subnet's epoch in block `number`, given the state of its parent.

    Raises NothingToExplain when the block has no epoch of the subnet.
    """
    s = State(parent)
    s[system.Number] = BlockNumber(number)
    s[system.ParentHash] = Hash(parent_hash)
    for due in emit_and_drain(s, before_coinbase(s)):
        if due.netuid == netuid:
            return _inputs(s, due)
        run_due_epoch(s, due)  # those before it in the block have been paid by then
    raise NothingToExplain(f"subnet {netuid} has no epoch in block {number}")


def _inputs(s: State, due: DueEpoch) -> SubnetInputs:
    netuid: NetUid = due.netuid
    if is_null(s, netuid):
        raise NothingToExplain(
            f"subnet {netuid} runs Null epochs: the largest staker's weights alone pay the miners "
            "and stake alone pays dividends, so no opinion is clipped and no bond grows"
        )
    emission = due.pending.epoch_emission
    parts = get_emission_parts(s, netuid, emission)
    indices = get_indices(s, netuid)
    inputs = (read_epoch(s, netuid, index, part) for index, part in zip(indices, parts))
    return SubnetInputs(emission, tuple(inputs))
