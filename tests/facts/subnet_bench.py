"""A subnet with neurons in a bare state, for facts about weights and epochs."""

from __future__ import annotations

from struct import pack
from types import SimpleNamespace
from typing import Any

from chain.pallets.subtensor.clock import is_epoch_due
from chain.pallets.subtensor.epoch import EpochResult, do_run_epoch
from chain.pallets.subtensor.neurons import get_indices, storage_index
from chain.pallets.subtensor.storage_hyperparameters import (
    CommitRevealWeightsEnabled,
    MinAllowedWeights,
    WeightsSetRateLimit,
)
from chain.pallets.subtensor.storage_keys import Owner
from chain.pallets.subtensor.storage_network import (
    LastEpochBlock,
    LastMechansimStepBlock,
    MechanismCountCurrent,
    NetworksAdded,
    SubnetEpochIndex,
    Tempo,
)
from chain.pallets.subtensor.storage_neurons import (
    Bonds,
    LastUpdate,
    ValidatorPermit,
    Weights,
)
from chain.pallets.subtensor.storage_stake import TotalHotkeyAlpha
from chain.pallets.subtensor.uids import do_append_neuron
from chain.pallets.subtensor.vectors import item, pairs, values
from chain.pallets.system import Number
from chain.runtime.call import CALLS
from chain.runtime.dispatch import DispatchResult, dispatch
from chain.runtime.origin import signed
from chain.runtime.state import DictBackend, State
from chain.runtime_spec import make_runtime
from ganglion.units import AccountId, Alpha, BlockNumber, MechId, NetUid, Uid

RUNTIME = make_runtime()
NET = NetUid(1)


def hotkey(n: int) -> AccountId:
    """The hotkey that `bench` registers as uid n."""
    return AccountId((n + 1).to_bytes(2, "big") * 16)


def bench(neurons: int, *, block: int = 100, tempo: int = 1000, mechanisms: int = 1) -> State:
    """A state at `block` with subnet 1: commit-reveal off, no minimum of weights, no rate limit.

    All neurons registered in block 1 and hold no stake.
    """
    s = State(DictBackend())
    s[Number] = BlockNumber(1)
    s.block = SimpleNamespace(count=0)
    s[NetworksAdded, NET] = True
    s[MechanismCountCurrent, NET] = MechId(mechanisms)
    s[Tempo, NET] = tempo
    s[LastEpochBlock, NET] = block
    s[CommitRevealWeightsEnabled, NET] = False
    s[MinAllowedWeights, NET] = 0
    s[WeightsSetRateLimit, NET] = 0
    for n in range(neurons):
        s[Owner, hotkey(n)] = AccountId(bytes([200 + n % 50]) * 32)
        do_append_neuron(s, NET, hotkey(n))
    for index in get_indices(s, NET):
        s[LastUpdate, index] = bytes(8 * neurons)
    at(s, block)
    return s


def at(s: State, block: int) -> None:
    """Move to a block."""
    s[Number] = BlockNumber(block)


def stake(s: State, *amounts: int) -> None:
    """Give uids 0, 1, ... alpha on the subnet."""
    for uid, amount in enumerate(amounts):
        s[TotalHotkeyAlpha, hotkey(uid), NET] = Alpha(amount)


def permit(s: State, *uids: int) -> None:
    """Let exactly these uids set weights."""
    count = len(s[ValidatorPermit, NET])
    s[ValidatorPermit, NET] = bytes(uid in uids for uid in range(count))


def run(s: State, uid: int, name: str, *args: Any) -> DispatchResult:
    """Dispatch a SubtensorModule call signed by a uid's hotkey, without the runtime's guards.

    They would answer first to much of what the calls themselves check.
    """
    before = s.changes()
    call = RUNTIME.call("SubtensorModule", name, *args)
    guards, CALLS.guards = CALLS.guards, ()
    try:
        result = dispatch(s, call, signed(hotkey(uid)))
    finally:
        CALLS.guards = guards
    if result.error is not None:
        assert s.changes() == before
    return result


def ok(s: State, uid: int, name: str, *args: Any) -> None:
    """Dispatch a call that must succeed."""
    assert run(s, uid, name, *args).error is None


def fails(s: State, error: type[Exception], uid: int, name: str, *args: Any) -> None:
    """Dispatch a call that must fail with this error."""
    assert type(run(s, uid, name, *args).error) is error


def weigh(s: State, uid: int, row: dict[int, int], mecid: int = 0) -> None:
    """Set weights by call."""
    uids, weights = tuple(row), tuple(row.values())
    if mecid:
        ok(s, uid, "set_mechanism_weights", NET, mecid, uids, weights, 0)
    else:
        ok(s, uid, "set_weights", NET, uids, weights, 0)


def weights_of(s: State, uid: int, mecid: int = 0) -> dict[int, int]:
    """Stored weights of a uid."""
    return dict(pairs(s[Weights, storage_index(NET, mecid), Uid(uid)]))


def bonds_of(s: State, uid: int, mecid: int = 0) -> dict[int, int]:
    """Stored bonds of a uid."""
    return dict(pairs(s[Bonds, storage_index(NET, mecid), Uid(uid)]))


def updated(s: State, uid: int, mecid: int = 0) -> int:
    """Block of a uid's latest update."""
    return item(s[LastUpdate, storage_index(NET, mecid)], 8, uid)


def numbers(packed: bytes, width: int = 2) -> list[int]:
    """A packed vector."""
    return values(packed, width)


def epoch(s: State, emission: int = 1_000_000_000) -> EpochResult:
    """Run an epoch as the chain does once it is due, and close it."""
    s[LastEpochBlock, NET] = s[Number]
    s[SubnetEpochIndex, NET] += 1
    result = do_run_epoch(s, NET, emission)
    s[LastMechansimStepBlock, NET] = s[Number]
    return result


def next_epoch(s: State) -> None:
    """Move the clock into the subnet's next epoch without running one."""
    at(s, s[Number] + s[Tempo, NET])
    s[LastEpochBlock, NET] = s[Number]
    s[SubnetEpochIndex, NET] += 1
    assert not is_epoch_due(s, NET)


def packed(*numbers_: int) -> bytes:
    """A packed vector of u16."""
    return pack(f"<{len(numbers_)}H", *numbers_)


def events(s: State, *kinds: type) -> list[Any]:
    """The events of these kinds (or all), in order; and forget all."""
    found = [e for e in s.events if not kinds or isinstance(e, kinds)]
    s.events.clear()
    return found
