"""Taking a seat on root (netuid 0): free while there is room, then by having more root stake.

Upstream: pallets/subtensor/src/coinbase/root.rs
"""

from __future__ import annotations

from chain.pallets.subtensor.accounts import do_create_account, is_subnet
from chain.pallets.subtensor.constants import InitialDefaultDelegateTake
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_network import NeuronRegistered
from chain.pallets.subtensor.fund_deposits import flush
from chain.pallets.subtensor.neurons import is_registered
from chain.pallets.subtensor.share_pool import get_hotkey_stake
from chain.pallets.subtensor.storage_delegation import Delegates
from chain.pallets.subtensor.storage_hyperparameters import MaxAllowedUids
from chain.pallets.subtensor.storage_network import SubnetworkN
from chain.pallets.subtensor.storage_neurons import Keys
from chain.pallets.subtensor.storage_registration import (
    MaxRegistrationsPerBlock,
    RegistrationsThisBlock,
    RegistrationsThisInterval,
    TargetRegistrationsPerInterval,
)
from chain.pallets.subtensor.uids import do_append_neuron, do_replace_neuron
from chain.runtime.errors import ensure
from chain.runtime.origin import Signed
from chain.runtime.pallet import call
from chain.runtime.state import State, iter_items
from ganglion.fixed import U16_MAX
from ganglion.units import ROOT_NETUID, AccountId, PerU16, Uid


@call(62, weight=103_934_000, reads=19, writes=16)
def root_register(s: State, coldkey: Signed, hotkey: AccountId) -> None:
    """Register a hotkey on root; if root is full, its weakest member makes room."""
    root = ROOT_NETUID
    ensure(is_subnet(s, root), Error.RootNetworkDoesNotExist)
    this_block, this_interval = s[RegistrationsThisBlock, root], s[RegistrationsThisInterval, root]
    ensure(this_block < s[MaxRegistrationsPerBlock, root], Error.TooManyRegistrationsThisBlock)
    ceiling = min(s[TargetRegistrationsPerInterval, root] * 3, U16_MAX)
    ensure(this_interval < ceiling, Error.TooManyRegistrationsThisInterval)
    ensure(not is_registered(s, root, hotkey), Error.HotKeyAlreadyRegisteredInSubNet)
    do_create_account(s, coldkey, hotkey)

    if s[SubnetworkN, root] < s[MaxAllowedUids, root]:
        uid = do_append_neuron(s, root, hotkey)
    else:
        uid, stake = _weakest(s)
        ensure(stake < get_hotkey_stake(s, hotkey, root), Error.StakeTooLowForRoot)
        outgoing = s[Keys, root, uid]
        do_replace_neuron(s, root, uid, hotkey)
        flush(s, outgoing)  # without its seat: what waits for it is recycled
    if (Delegates, hotkey) not in s:
        s[Delegates, hotkey] = PerU16(InitialDefaultDelegateTake.value)
    s[RegistrationsThisInterval, root] = this_interval + 1
    s[RegistrationsThisBlock, root] = this_block + 1
    s.emit(NeuronRegistered(root, uid, hotkey))


def _weakest(s: State) -> tuple[Uid, int]:
    """Uid and stake of the member with least root stake, the first in storage order."""
    stakes = [
        (get_hotkey_stake(s, hotkey, ROOT_NETUID), uid)
        for uid, hotkey in iter_items(s, Keys, ROOT_NETUID)
    ]
    if not stakes:
        raise Error.HotKeyNotRegisteredInSubNet
    stake, uid = min(stakes, key=lambda entry: entry[0])
    return uid, stake
