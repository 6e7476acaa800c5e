"""Events of root baskets."""

from __future__ import annotations

from chain.runtime.pallet import event
from ganglion.scale import u64
from ganglion.units import AccountId, Alpha, NetUid, Rao


@event(116)
class BasketDeposited:
    """Dividends entered a fund."""

    hotkey: AccountId
    tao: Rao
    shares: u64


@event(117)
class BasketStakedIn:
    """TAO was staked into a fund."""

    hotkey: AccountId
    coldkey: AccountId
    tao: Rao
    value: Rao
    shares: u64


@event(118)
class BasketClaimed:
    """A fund paid out."""

    hotkey: AccountId
    coldkey: AccountId
    tao: Rao


@event(119)
class BasketHoldingConverted:
    """A fund sold a holding."""

    hotkey: AccountId
    netuid: NetUid
    tao: Rao


@event(147)
class BetaBaselineStamped:
    """A fund's baseline was taken."""

    hotkey: AccountId


@event(148)
class BasketAlphaWrittenOff:
    """A fund wrote off a holding."""

    hotkey: AccountId
    netuid: NetUid
    alpha: Alpha


@event(149)
class BasketSwapped:
    """A fund traded."""

    hotkey: AccountId
    origin_netuid: NetUid
    destination_netuid: NetUid
    alpha_sold: Alpha
    tao_mid: Rao
    alpha_bought: Alpha
