"""Events of stake, delegation, root claims, locks and voting power."""

from __future__ import annotations

from chain.runtime.pallet import event
from ganglion.scale import u16, u64
from ganglion.units import AccountId, Alpha, NetUid, PerU16, Rao


@event(2)
class StakeAdded:
    """Stake was bought: coldkey, hotkey, TAO, alpha, netuid, fee."""

    _0: AccountId
    _1: AccountId
    _2: Rao
    _3: Alpha
    _4: NetUid
    _5: u64


@event(3)
class StakeRemoved:
    """Stake was sold: coldkey, hotkey, TAO, alpha, netuid, fee."""

    _0: AccountId
    _1: AccountId
    _2: Rao
    _3: Alpha
    _4: NetUid
    _5: u64


@event(4)
class StakeMoved:
    """Stake was moved: coldkey, from hotkey and netuid, to hotkey and netuid, TAO."""

    _0: AccountId
    _1: AccountId
    _2: NetUid
    _3: AccountId
    _4: NetUid
    _5: Rao


@event(9)
class BulkBalancesSet:
    """Many balances were set at once."""

    _0: u16
    _1: u16


@event(31)
class DelegateAdded:
    """A hotkey became a delegate: coldkey, hotkey, take."""

    _0: AccountId
    _1: AccountId
    _2: PerU16


@event(49)
class ChildKeyTakeSet:
    """A child set its take: hotkey, take."""

    _0: AccountId
    _1: PerU16


@event(65)
class TakeDecreased:
    """A delegate lowered its take: coldkey, hotkey, take."""

    _0: AccountId
    _1: AccountId
    _2: PerU16


@event(66)
class TakeIncreased:
    """A delegate raised its take: coldkey, hotkey, take."""

    _0: AccountId
    _1: AccountId
    _2: PerU16


@event(76)
class SetChildrenScheduled:
    """Children will apply: parent, netuid, block, children."""

    _0: AccountId
    _1: NetUid
    _2: u64
    _3: tuple[tuple[u64, AccountId], ...]


@event(77)
class SetChildren:
    """Children apply now: parent, netuid, children."""

    _0: AccountId
    _1: NetUid
    _2: tuple[tuple[u64, AccountId], ...]


@event(92)
class StakeTransferred:
    """Stake was given away: from coldkey, to coldkey, hotkey, netuids, TAO."""

    _0: AccountId
    _1: AccountId
    _2: AccountId
    _3: NetUid
    _4: NetUid
    _5: Rao


@event(93)
class StakeSwapped:
    """Stake changed the subnet: coldkey, hotkey, netuids, TAO."""

    _0: AccountId
    _1: AccountId
    _2: NetUid
    _3: NetUid
    _4: Rao


@event(97)
class AlphaRecycled:
    """Alpha was recycled: coldkey, hotkey, amount, netuid."""

    _0: AccountId
    _1: AccountId
    _2: Alpha
    _3: NetUid


@event(98)
class AlphaBurned:
    """Alpha was burned: coldkey, hotkey, amount, netuid."""

    _0: AccountId
    _1: AccountId
    _2: Alpha
    _3: NetUid


@event(110)
class AutoStakeAdded:
    """A mining reward was staked elsewhere."""

    netuid: NetUid
    destination: AccountId
    hotkey: AccountId
    owner: AccountId
    incentive: Alpha


@event(113)
class AutoStakeDestinationSet:
    """A coldkey chose where its mining reward goes."""

    coldkey: AccountId
    netuid: NetUid
    hotkey: AccountId


@event(115)
class RootClaimed:
    """A coldkey claimed its root dividends."""

    coldkey: AccountId
    tao: Rao


@event(120)
class VotingPowerTrackingEnabled:
    """Voting power is tracked from now on."""

    netuid: NetUid


@event(121)
class VotingPowerTrackingDisableScheduled:
    """Tracking will end."""

    netuid: NetUid
    disable_at_block: u64


@event(122)
class VotingPowerTrackingDisabled:
    """Tracking has ended."""

    netuid: NetUid


@event(125)
class AddStakeBurn:
    """Stake was bought and burned."""

    netuid: NetUid
    hotkey: AccountId
    amount: Rao
    alpha: Alpha


@event(128)
class TransactionFeePaidWithAlpha:
    """A fee was paid by selling alpha."""

    who: AccountId
    netuid: NetUid
    alpha_fee: Alpha
    tao_amount: Rao


@event(131)
class AutoParentDelegationEnabledSet:
    """A root validator switched its backing of new subnets."""

    hotkey: AccountId
    enabled: bool


@event(132)
class StakeLocked:
    """Stake was locked."""

    coldkey: AccountId
    hotkey: AccountId
    netuid: NetUid
    amount: Alpha


@event(133)
class StakeUnlocked:
    """Stake was unlocked."""

    coldkey: AccountId
    hotkey: AccountId
    netuid: NetUid
    amount: Alpha


@event(134)
class LockMoved:
    """A lock moved to another hotkey."""

    coldkey: AccountId
    origin_hotkey: AccountId
    destination_hotkey: AccountId
    netuid: NetUid


@event(140)
class PerpetualLockUpdated:
    """A lock became perpetual or decaying."""

    coldkey: AccountId
    netuid: NetUid
    enabled: bool


@event(142)
class RejectLockedAlphaUpdated:
    """An account accepts or refuses locked alpha."""

    coldkey: AccountId
    enabled: bool


@event(143)
class StakeAndHotkeyTransferred:
    """Stake was given away together with a change of hotkey."""

    origin_coldkey: AccountId
    destination_coldkey: AccountId
    origin_hotkey: AccountId
    destination_hotkey: AccountId
    origin_netuid: NetUid
    destination_netuid: NetUid
    amount: Rao
