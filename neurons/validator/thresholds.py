"""Which thresholds a validator judges by: those on the chain if its peers vouch for them.

Anybody may register a free name, so the chain's entry counts only when it is about the very
weights and tokenizer that this validator runs, and when validators with more than half of the
subnet's validating stake vouch for it as it is. Otherwise the calibration beside the weights
counts, as it does on a chain without a registry.
"""

from __future__ import annotations

import logging

from neurons.chainlink import ChainLink, View
from neurons.validator.examiner import TextExaminer
from subnets import registry
from subnets.models import ModelEntry

log = logging.getLogger("validator")


def agreed(own: ModelEntry, found: registry.Registered | None, view: View) -> ModelEntry:
    """The entry to judge by at this block."""
    if found is None:
        return own
    hashes = (found.entry.weights_hash, found.entry.tokenizer_hash)
    if hashes != (own.weights_hash, own.tokenizer_hash):
        return own
    backed, total = registry.backing(found, view.graph.neurons)
    return found.entry if 2 * backed > total else own


class AgreedThresholds:
    """Keeps an examiner's thresholds as the validators of the subnet agree on them."""

    def __init__(self, chain: ChainLink, examiner: TextExaminer) -> None:
        self._chain, self._examiner, self._own = chain, examiner, examiner.entry

    async def refresh(self, view: View) -> None:
        """Read the registry at the view's block. Raises the errors of the connection."""
        at = self._chain.client.at(view.block_hash)
        found = await registry.read_if_any(at, self._own.name)
        entry = agreed(self._own, found, view)
        if entry != self._examiner.entry:
            source = (
                "this validator's calibration" if entry is self._own else "the chain's registry"
            )
            log.info("thresholds of %s are now those of %s", entry.name, source)
            self._examiner.entry = entry
