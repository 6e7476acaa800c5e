"""What may run now: the safe-mode whitelist, no batch in a batch, and the origin's own limits.

Upstream: BaseCallFilter of subtensor's runtime. Root and inherents are not filtered.
"""

from __future__ import annotations

from chain.pallets.nested import class_of, name_of
from chain.pallets.safe_mode import EnteredUntil
from chain.pallets.system import Error
from chain.runtime.call import DispatchClass, RuntimeCall
from chain.runtime.errors import ensure
from chain.runtime.origin import Origin
from chain.runtime.state import State

BATCHES = frozenset({"batch", "batch_all", "force_batch"})

WHITELISTED_PALLETS = frozenset({"Sudo", "Multisig", "System", "SafeMode", "Timestamp"})

WHITELISTED_CALLS = frozenset(
    {
        ("SubtensorModule", "set_weights"),
        ("SubtensorModule", "serve_axon"),
        ("Commitments", "set_commitment"),
        # whose deadlines do not wait for the end of safe mode
        ("Disputes", "commit"),
        ("Disputes", "split"),
        ("Disputes", "choose"),
        ("Disputes", "prove"),
        ("Disputes", "resolve"),
        ("Court", "double"),
        ("Court", "appeal"),
        ("Court", "commit"),
        ("Court", "reveal"),
    }
)


def call_filter(s: State, call: RuntimeCall, origin: Origin) -> None:
    """Raise CallFiltered for a call that may not run."""
    if s[EnteredUntil] is not None:
        ensure(runs_in_safe_mode(call), Error.CallFiltered)
    ensure(not nests_batches(call), Error.CallFiltered)
    for admits in origin.filters:
        ensure(admits(call), Error.CallFiltered)


def runs_in_safe_mode(call: RuntimeCall) -> bool:
    """Whether safe mode lets a call through; blocks need their inherents."""
    pallet, name = name_of(call)
    if pallet in WHITELISTED_PALLETS or (pallet, name) in WHITELISTED_CALLS:
        return True
    return class_of(call) is DispatchClass.Mandatory


def nests_batches(call: RuntimeCall) -> bool:
    """Whether a call is a batch with a batch directly in it."""
    return is_batch(call) and any(map(is_batch, call.args[0]))


def is_batch(call: RuntimeCall) -> bool:
    """Whether a call is one of the three batches."""
    pallet, name = name_of(call)
    return pallet == "Utility" and name in BATCHES
