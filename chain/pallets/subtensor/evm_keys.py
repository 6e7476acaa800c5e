"""Ethereum addresses of neurons, proven by a signature; nothing here runs Ethereum code.

Upstream: pallets/subtensor/src/utils/evm.rs
"""

from __future__ import annotations

from typing import Annotated

from chain.pallets.subtensor.accounts import is_hotkey
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_reserved import EvmKeyAssociated
from chain.pallets.subtensor.storage_keys import (
    H160,
    AssociatedEvmAddress,
    AssociatedUidsByEvmAddress,
)
from chain.pallets.subtensor.storage_neurons import Uids
from chain.pallets.system import block_number
from chain.runtime.call import Pays
from chain.runtime.errors import ensure
from chain.runtime.origin import Signed
from chain.runtime.pallet import call
from chain.runtime.state import State
from ganglion.scale import Fixed, u64
from ganglion.secp256k1 import address_of, keccak_256, message_hash, recover
from ganglion.units import AccountId, NetUid, Uid

RATE_LIMIT = 1
"""Blocks between two associations of a neuron."""
MOST_UIDS = 32
"""Neurons of a subnet that one address may stand for."""


def get_uid(s: State, netuid: NetUid, hotkey: AccountId) -> Uid:
    """The neuron of a hotkey; raises HotKeyNotRegisteredInSubNet."""
    uid = s[Uids, netuid, hotkey]
    if uid is None:
        raise Error.HotKeyNotRegisteredInSubNet
    return uid


def ensure_may_associate(s: State, hotkey: AccountId, netuid: NetUid, *_: object) -> None:
    """Raise HotKeyNotRegisteredInSubNet or EvmKeyAssociateRateLimitExceeded."""
    known = s[AssociatedEvmAddress, netuid, get_uid(s, netuid, hotkey)]
    last = 0 if known is None else known[1]
    is_in_time = block_number(s) - last >= RATE_LIMIT
    ensure(is_in_time, Error.EvmKeyAssociateRateLimitExceeded)


def signed_message(hotkey: AccountId, block: int) -> bytes:
    """What the Ethereum key signs: the hotkey and the hash of a block number."""
    return hotkey + keccak_256(block.to_bytes(8, "little"))


@call(93, weight=600_000_000, reads=3, writes=2, pays=Pays.No)
def associate_evm_key(
    s: State,
    hotkey: Signed,
    netuid: NetUid,
    evm_key: H160,
    block_number: u64,
    signature: Annotated[bytes, Fixed(65)],
) -> None:
    """Say which Ethereum address belongs to a neuron, proven by that address's signature."""
    ensure(is_hotkey(s, hotkey), Error.NonAssociatedColdKey)
    uid = get_uid(s, netuid, hotkey)
    ensure_may_associate(s, hotkey, netuid)
    number = signature[64] - 27 if signature[64] >= 27 else signature[64]
    digest = message_hash(signed_message(hotkey, block_number))
    public = recover(digest, signature[:64] + bytes((number,)))
    if public is None:
        raise Error.InvalidIdentity
    ensure(address_of(public) == evm_key, Error.InvalidRecoveredPublicKey)
    now = _associate(s, netuid, uid, evm_key)
    s.emit(EvmKeyAssociated(netuid, hotkey, evm_key, now))


def _associate(s: State, netuid: NetUid, uid: Uid, address: bytes) -> int:
    """Write both directions down; raises EvmKeyAssociationLimitExceeded."""
    others = [row for row in s[AssociatedUidsByEvmAddress, netuid, address] if row[0] != uid]
    ensure(len(others) < MOST_UIDS, Error.EvmKeyAssociationLimitExceeded)
    forget_evm_key(s, netuid, uid)
    now = block_number(s)
    s[AssociatedEvmAddress, netuid, uid] = (address, now)
    s[AssociatedUidsByEvmAddress, netuid, address] = (*others, (uid, now))
    return now


def forget_evm_key(s: State, netuid: NetUid, uid: Uid) -> None:
    """Drop the address of a neuron that leaves its seat."""
    known = s[AssociatedEvmAddress, netuid, uid]
    if known is None:
        return
    del s[AssociatedEvmAddress, netuid, uid]
    address = known[0]
    kept = tuple(row for row in s[AssociatedUidsByEvmAddress, netuid, address] if row[0] != uid)
    if kept:
        s[AssociatedUidsByEvmAddress, netuid, address] = kept
    else:
        del s[AssociatedUidsByEvmAddress, netuid, address]


def renumber_evm_key(s: State, netuid: NetUid, old: Uid, new: Uid) -> None:
    """Let an address follow its neuron to another seat, which is free."""
    known = s[AssociatedEvmAddress, netuid, old]
    if known is None or old == new:
        return
    address, block = known
    forget_evm_key(s, netuid, old)
    s[AssociatedEvmAddress, netuid, new] = (address, block)
    rows = s[AssociatedUidsByEvmAddress, netuid, address]
    s[AssociatedUidsByEvmAddress, netuid, address] = (*rows, (new, block))
