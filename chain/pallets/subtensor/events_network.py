"""Events of subnets, registration, serving, identities and keys, at upstream indices."""

from __future__ import annotations

from chain.runtime.errors import DispatchError
from chain.runtime.pallet import event
from ganglion.scale import Outcome, u16, u32, u64
from ganglion.units import AccountId, Hash, NetUid, Rao, Uid


@event(0)
class NetworkAdded:
    """A subnet was registered: netuid, mechanism."""

    _0: NetUid
    _1: u16


@event(1)
class NetworkRemoved:
    """A subnet was dissolved."""

    _0: NetUid


@event(7)
class NeuronRegistered:
    """A hotkey got a uid: netuid, uid, hotkey."""

    _0: NetUid
    _1: Uid
    _2: AccountId


@event(8)
class BulkNeuronsRegistered:
    """Many neurons were registered at once."""

    _0: u16
    _1: u16


@event(29)
class AxonServed:
    """A miner announced its endpoint: netuid, hotkey."""

    _0: NetUid
    _1: AccountId


@event(30)
class PrometheusServed:
    """A neuron announced its metrics: netuid, hotkey."""

    _0: NetUid
    _1: AccountId


@event(50)
class Sudid:
    """A call ran with root's power: its result."""

    _0: Outcome[DispatchError]


@event(57)
class Faucet:
    """The faucet gave TAO: who, rao."""

    _0: AccountId
    _1: u64


@event(67)
class HotkeySwapped:
    """A hotkey was replaced on every subnet."""

    coldkey: AccountId
    old_hotkey: AccountId
    new_hotkey: AccountId


@event(70)
class ColdkeySwapAnnounced:
    """A coldkey announced its successor's hash."""

    who: AccountId
    new_coldkey_hash: Hash


@event(71)
class ColdkeySwapReset:
    """Root cleared a coldkey's swap and dispute."""

    who: AccountId


@event(72)
class ColdkeySwapped:
    """A coldkey was replaced."""

    old_coldkey: AccountId
    new_coldkey: AccountId


@event(73)
class ColdkeySwapDisputed:
    """A coldkey's swap was disputed."""

    coldkey: AccountId


@event(74)
class AllBalanceUnstakedAndTransferredToNewColdkey:
    """Everything moved to the new coldkey."""

    current_coldkey: AccountId
    new_coldkey: AccountId
    total_balance: Rao


@event(75)
class ArbitrationPeriodExtended:
    """The time for arbitration was extended."""

    coldkey: AccountId


@event(78)
class ChainIdentitySet:
    """A coldkey described itself."""

    _0: AccountId


@event(79)
class SubnetIdentitySet:
    """An owner described the subnet."""

    _0: NetUid


@event(80)
class SubnetIdentityRemoved:
    """A subnet's description was removed."""

    _0: NetUid


@event(81)
class DissolveNetworkScheduled:
    """A dissolution was scheduled."""

    account: AccountId
    netuid: NetUid
    execution_block: u32


@event(96)
class FirstEmissionBlockNumberSet:
    """The subnet was started: netuid, block."""

    _0: NetUid
    _1: u64


@event(103)
class HotkeySwappedOnSubnet:
    """A hotkey was replaced on one subnet."""

    coldkey: AccountId
    old_hotkey: AccountId
    new_hotkey: AccountId
    netuid: NetUid


@event(106)
class SymbolUpdated:
    """A subnet changed its symbol."""

    netuid: NetUid
    symbol: bytes


@event(127)
class ColdkeySwapCleared:
    """A coldkey withdrew its announcement."""

    who: AccountId


@event(139)
class SubnetOwnerChanged:
    """A subnet has a new owner."""

    netuid: NetUid
    old_coldkey: AccountId
    new_coldkey: AccountId
