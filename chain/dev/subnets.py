"""What subnet developers lack elsewhere: epochs now, ready-made neurons, no waiting.

Every function writes to a state in the middle of a developers' block (see `chain.dev.tools`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from chain.dev.tools import DevError, DevTools
from chain.pallets.subtensor import share_pool
from chain.pallets.subtensor.accounts import do_create_account, is_owner, is_subnet
from chain.pallets.subtensor.alpha import mint_outside
from chain.pallets.subtensor.neurons import get_indices, is_registered
from chain.pallets.subtensor.storage_hyperparameters import ImmunityPeriod
from chain.pallets.subtensor.storage_network import (
    PendingEpochAt,
    SubnetEpochIndex,
    SubnetworkN,
    Tempo,
)
from chain.pallets.subtensor.storage_neurons import BlockAtRegistration, LastUpdate
from chain.pallets.subtensor.storage_registration import (
    LastRateLimitedBlock,
    LastTxBlock,
    LastTxBlockChildKeyTake,
    LastTxBlockDelegateTake,
    TransactionKeyLastBlock,
)
from chain.pallets.subtensor.uids import do_register_neuron
from chain.pallets.system import block_number
from chain.runtime.errors import CallError
from chain.runtime.state import State, clear_prefix
from ganglion.keys import Keypair
from ganglion.units import ROOT_NETUID, AccountId, Hash, NetUid, Uid

MAX_NEURONS = 4096


@dataclass(frozen=True, slots=True)
class Neuron:
    """A neuron that was made: its uid and the secret URI of its hotkey."""

    uid: Uid
    hotkey: AccountId
    uri: str


def run_epoch(tools: DevTools, netuid: NetUid) -> Hash:
    """Ask for an epoch and make the block that runs it; that block's hash."""

    def ask(s: State) -> None:
        ensure_subnet(s, netuid)
        s[PendingEpochAt, netuid] = block_number(s)

    state = tools.engine.best_state()
    ensure_subnet(state, netuid)
    if state[Tempo, netuid] == 0:
        raise DevError(f"subnet {netuid} has tempo 0 and so never an epoch: set a tempo first")
    tools.new_block(ask)
    before = tools.engine.best_state()[SubnetEpochIndex, netuid]
    header = tools.new_block()
    if tools.engine.best_state()[SubnetEpochIndex, netuid] == before:
        raise DevError(
            f"subnet {netuid} ran no epoch in block {header.number}: other subnets were due in "
            "the same block and came first; ask again"
        )
    return header.hash


def register_neurons(
    tools: DevTools, netuid: NetUid, count: int, stake: int, coldkey: AccountId
) -> list[Neuron]:
    """Register `count` new hotkeys of a coldkey with `stake` alpha (10^-9) each, in one block."""
    if not 1 <= count <= MAX_NEURONS:
        raise DevError(f"register 1 to {MAX_NEURONS} neurons at once, not {count}")
    state = tools.engine.best_state()
    ensure_subnet(state, netuid)
    if netuid == ROOT_NETUID:
        raise DevError("root has no neurons of its own: use root_register")
    fresh = _fresh_hotkeys(state, netuid, count)
    made: list[Neuron] = []

    def write(s: State) -> None:
        made.clear()
        for uri, hotkey in fresh:
            try:
                do_create_account(s, coldkey, hotkey)
                uid = do_register_neuron(s, netuid, hotkey)
            except CallError as error:
                raise DevError(f"neuron {len(made) + 1} of {count}: {error}") from None
            if not is_owner(s, coldkey, hotkey):
                raise DevError(f"the hotkey {uri} belongs to another coldkey already")
            if stake:
                mint_outside(s, netuid, stake)
                share_pool.add_stake(s, hotkey, coldkey, netuid, stake)
            made.append(Neuron(uid, hotkey, uri))

    tools.rehearse(write)
    tools.new_block(write)
    return made


def _fresh_hotkeys(s: State, netuid: NetUid, count: int) -> list[tuple[str, AccountId]]:
    """The first URIs of a row whose keys are not registered on the subnet."""
    out: list[tuple[str, AccountId]] = []
    number = 0
    while len(out) < count:
        uri = f"//neuron//{netuid}//{number}"
        hotkey = Keypair.from_uri(uri).account_id
        number += 1
        if not is_registered(s, netuid, hotkey):
            out.append((uri, hotkey))
    return out


def skip_immunity(tools: DevTools, netuid: NetUid, uids: Iterable[int] | None) -> int:
    """Make neurons (default: all) old enough to be pruned; the subnet's immunity period then.

    On a chain younger than the immunity period the period shrinks to the chain's age.
    """
    state = tools.engine.best_state()
    ensure_subnet(state, netuid)
    chosen = list(range(state[SubnetworkN, netuid])) if uids is None else list(uids)
    unknown = [uid for uid in chosen if not 0 <= uid < state[SubnetworkN, netuid]]
    if unknown:
        raise DevError(f"subnet {netuid} has no uid {unknown[0]}")

    def write(s: State) -> None:
        period = min(s[ImmunityPeriod, netuid], block_number(s))
        if period != s[ImmunityPeriod, netuid]:
            s[ImmunityPeriod, netuid] = period
        for uid in chosen:
            s[BlockAtRegistration, netuid, Uid(uid)] = block_number(s) - period

    tools.new_block(write)
    return tools.engine.best_state()[ImmunityPeriod, netuid]


def skip_rate_limits(tools: DevTools, netuid: NetUid | None) -> Hash:
    """Forget when anybody last did anything, so that no rate limit holds; on a subnet also
    when weights were last set."""
    if netuid is not None:
        ensure_subnet(tools.engine.best_state(), netuid)

    def write(s: State) -> None:
        for item in (
            LastRateLimitedBlock,
            TransactionKeyLastBlock,
            LastTxBlock,
            LastTxBlockChildKeyTake,
            LastTxBlockDelegateTake,
        ):
            clear_prefix(s, item)
        if netuid is not None:
            for index in get_indices(s, netuid):
                s[LastUpdate, index] = bytes(len(s[LastUpdate, index]))

    return tools.new_block(write).hash


def ensure_subnet(s: State, netuid: NetUid) -> None:
    """Raise DevError for a subnet that does not exist."""
    if not is_subnet(s, netuid):
        raise DevError(f"there is no subnet {netuid}: register one first")
