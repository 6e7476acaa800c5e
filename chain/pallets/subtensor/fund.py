"""A validator's fund: what it holds, what that is worth, and who owns how much of it.

Its holdings are stake behind the validator's hotkey that belongs to one escrow account, whose key
nobody has; on root it is TAO. Worth means what a sale without fee would bring now.

Upstream: pallets/subtensor/src/staking/{claim_root,basket_views}.rs
"""

from __future__ import annotations

from typing import NamedTuple

from chain.pallets import swap
from chain.pallets.subtensor.accounts import PALLET_ACCOUNT, compute_subnet_account
from chain.pallets.subtensor.alpha import burn_alpha
from chain.pallets.subtensor.constants import SubtensorPalletId
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.pool_trades import (
    add_total_stake,
    buy_alpha,
    record_protocol_flow,
    sell_alpha,
)
from chain.pallets.subtensor.price import get_moving_price
from chain.pallets.subtensor.share_pool import (
    add_stake,
    can_add_stake,
    get_positions,
    get_stake,
    take_stake,
)
from chain.pallets.subtensor.storage_baskets import SEEDED, BasketClaimed, BasketRate
from chain.pallets.subtensor.storage_network import HasMigrationRun
from chain.pallets.subtensor.storage_pool import SubnetAlphaIn, SubnetAlphaOut, SubnetTAO
from chain.pallets.subtensor.tao import pay_from_subnet
from chain.runtime.dispatch import layer
from chain.runtime.errors import CallError, ensure
from chain.runtime.state import State
from consensus.economics import basket
from consensus.economics.trade import INPUT_TO_RESERVE_LIMIT, MAX_PRICE, MIN_PRICE
from ganglion.fixed import U64F64, clamp_u64, sat_add_u64, sat_sub
from ganglion.units import ROOT_NETUID, AccountId, Alpha, NetUid, Rao

ESCROW = AccountId((PALLET_ACCOUNT + SubtensorPalletId.value + b"beta/esc").ljust(32, b"\0"))
"""The account to which the holdings of all funds belong."""

Fund = AccountId
"""A fund is called by its validator's hotkey."""


UNSALEABLE = (
    swap.Error.ReservesTooLow,
    swap.Error.InsufficientLiquidity,
    swap.Error.PriceLimitExceeded,
)
"""What a pool answers that is too shallow, or whose alpha is worth less than a millionth TAO."""


class Holding(NamedTuple):
    """What a fund has on a subnet, and its worth in TAO; None for what can never be sold."""

    netuid: NetUid
    alpha: Alpha
    worth: Rao | None


class Bought(NamedTuple):
    """What a purchase brought: alpha, the TAO that entered the pool, the author's fee."""

    alpha: Alpha
    paid_in: Rao
    fee: Rao


def has_funds(s: State) -> bool:
    """Whether root dividends of this chain enter funds."""
    return s[HasMigrationRun, SEEDED]


def ensure_funds(s: State) -> None:
    """Raise BetaBasketSeedInProgress on a chain that still has claims."""
    ensure(has_funds(s), Error.BetaBasketSeedInProgress)


# --- holdings ----------------------------------------------------------------------------------


def get_holding(s: State, fund: Fund, netuid: NetUid) -> Alpha:
    """Alpha that a fund has on a subnet; TAO on root."""
    return get_stake(s, fund, ESCROW, netuid)


def get_holdings(s: State, fund: Fund) -> list[tuple[NetUid, Alpha]]:
    """All that a fund has, by subnet, root included; ascending."""
    held = [(n, get_holding(s, fund, n)) for _, n, _ in get_positions(s, fund, ESCROW)]
    return [(netuid, alpha) for netuid, alpha in held if alpha]


def count_rows(s: State, fund: Fund) -> int:
    """How many positions of a fund storage has, be they worth nothing."""
    return len(get_positions(s, fund, ESCROW))


def get_worth(s: State, netuid: NetUid, alpha: int) -> Rao | None:
    """TAO that alpha would bring without a fee; None if the pool is too shallow for any sale.

    Raises what else would prevent the sale.
    """
    if alpha == 0:
        return Rao(0)
    if netuid == ROOT_NETUID or not swap.is_dynamic(s, netuid):
        return Rao(alpha)
    try:
        if alpha <= _largest_chunk(s[SubnetAlphaIn, netuid]):
            return Rao(swap.quote_sale(s, netuid, alpha))
        mark = s.mark()
        try:
            return _sell_in_chunks(s, netuid, alpha)
        finally:
            s.rollback(mark)
    except CallError as failure:
        if is_terminal(failure):
            return None
        raise


def is_terminal(failure: CallError) -> bool:
    """Whether a sale failed because the pool can pay nothing, or next to nothing."""
    return isinstance(failure, UNSALEABLE)


def get_shown_worth(s: State, netuid: NetUid, alpha: int) -> Rao:
    """The worth for readers: what cannot be sold, for whatever reason, counts as nothing."""
    try:
        return get_worth(s, netuid, alpha) or Rao(0)
    except CallError:
        return Rao(0)


def get_valued(s: State, fund: Fund) -> list[Holding]:
    """All holdings with their worth; raises what prevents a sale for other reasons than depth."""
    held = get_holdings(s, fund)
    return [Holding(netuid, alpha, get_worth(s, netuid, alpha)) for netuid, alpha in held]


def nav_of(holdings: list[Holding]) -> Rao:
    """Worth of all holdings."""
    return Rao(clamp_u64(sum(each.worth or 0 for each in holdings)))


def get_nav(s: State, fund: Fund) -> Rao:
    """Worth of a fund, for paying in and out."""
    return nav_of(get_valued(s, fund))


def get_shown_nav(s: State, fund: Fund) -> Rao:
    """Worth of a fund, for readers."""
    held = get_holdings(s, fund)
    return Rao(clamp_u64(sum(get_shown_worth(s, netuid, alpha) for netuid, alpha in held)))


def get_guarded(s: State, holding: Holding) -> Rao:
    """A holding's worth for the bounds of trades: nobody can push it up within a block."""
    worth = holding.worth or Rao(0)
    if holding.netuid == ROOT_NETUID:
        return worth
    return Rao(basket.guarded(worth, holding.alpha, get_moving_price(s, holding.netuid)))


def get_spot_worth(s: State, netuid: NetUid, alpha: int) -> Rao:
    """Alpha at the price of the moment, as if any amount could be sold at it."""
    if netuid == ROOT_NETUID or not swap.is_dynamic(s, netuid):
        return Rao(alpha)
    return Rao(U64F64.to_u64(U64F64.mul(swap.get_price(s, netuid), U64F64.from_int(alpha))))


# --- moving ------------------------------------------------------------------------------------


def take_holding(s: State, fund: Fund, netuid: NetUid, alpha: int) -> None:
    """Take exactly this much out of a holding; raises NotEnoughStakeToWithdraw."""
    ensure(get_holding(s, fund, netuid) >= alpha, Error.NotEnoughStakeToWithdraw)
    take_stake(s, fund, ESCROW, netuid, alpha)


def add_holding(s: State, fund: Fund, netuid: NetUid, alpha: int) -> None:
    """Put free alpha into a holding; raises InsufficientLiquidity where it would be lost."""
    if alpha:
        ensure(can_add_stake(s, fund, netuid, alpha), Error.InsufficientLiquidity)
    add_stake(s, fund, ESCROW, netuid, alpha)


def add_cash(s: State, fund: Fund, tao: int) -> None:
    """Put TAO that lies on root's account into a fund."""
    add_holding(s, fund, ROOT_NETUID, tao)
    add_root_reserves(s, tao)


def take_cash(s: State, fund: Fund, tao: int) -> None:
    """Take TAO out of a fund; it stays on root's account."""
    take_holding(s, fund, ROOT_NETUID, tao)
    s[SubnetTAO, ROOT_NETUID] = Rao(sat_sub(s[SubnetTAO, ROOT_NETUID], tao))
    s[SubnetAlphaOut, ROOT_NETUID] = Alpha(sat_sub(s[SubnetAlphaOut, ROOT_NETUID], tao))
    add_total_stake(s, -tao)


def add_root_reserves(s: State, tao: int) -> None:
    """Count TAO that came to root's account as staked there."""
    s[SubnetTAO, ROOT_NETUID] = Rao(sat_add_u64(s[SubnetTAO, ROOT_NETUID], tao))
    s[SubnetAlphaOut, ROOT_NETUID] = Alpha(sat_add_u64(s[SubnetAlphaOut, ROOT_NETUID], tao))
    add_total_stake(s, tao)


def sell_for_root(s: State, netuid: NetUid, alpha: int) -> Rao:
    """Sell alpha that was taken out of a holding; the TAO, now on root's account.

    No fee. All or nothing; raises what the trades and the payment raise.
    """
    with layer(s):
        tao = _sell_in_chunks(s, netuid, alpha)
        pay_from_subnet(s, netuid, compute_subnet_account(ROOT_NETUID), tao)
        record_protocol_flow(s, netuid, -tao)
    return tao


def _largest_chunk(reserve: int) -> int:
    """The most that one trade may bring to a reserve."""
    return clamp_u64(reserve * INPUT_TO_RESERVE_LIMIT)


def _sell_in_chunks(s: State, netuid: NetUid, alpha: int) -> Rao:
    """Sell without a fee, in as many trades as the pool's depth asks for.

    What is left once nobody pays a millionth TAO for it is burned.
    """
    tao, rest = 0, alpha
    while rest > 0:
        most = _largest_chunk(s[SubnetAlphaIn, netuid]) if swap.is_dynamic(s, netuid) else 0
        try:
            done = sell_alpha(s, netuid, min(rest, most or rest), MIN_PRICE, drop_fees=True)
        except swap.Error.PriceLimitExceeded:
            if tao == 0:
                raise
            burn_alpha(s, netuid, rest)
            break
        used = done.paid_in + done.fee
        ensure(used > 0, Error.AmountTooLow)
        rest, tao = rest - used, tao + done.paid_out
    return Rao(tao)


def buy_in_chunks(s: State, netuid: NetUid, tao: int) -> Bought:
    """Buy with TAO that lies on the subnet's account, fee included, at whatever price."""
    alpha = paid_in = fee = 0
    rest = tao
    while rest > 0:
        most = _largest_chunk(s[SubnetTAO, netuid]) if swap.is_dynamic(s, netuid) else 0
        done = buy_alpha(s, netuid, min(rest, most or rest), MAX_PRICE, drop_fees=False)
        used = done.paid_in + done.fee
        ensure(used > 0, Error.AmountTooLow)
        rest, alpha = rest - used, alpha + done.paid_out
        paid_in, fee = paid_in + done.paid_in, fee + done.fee_to_author
    return Bought(Alpha(alpha), Rao(paid_in), Rao(fee))


# --- owners ------------------------------------------------------------------------------------


def get_owed(s: State, fund: Fund, coldkey: AccountId) -> int:
    """Shares of a fund that a coldkey can redeem."""
    stake = get_stake(s, fund, coldkey, ROOT_NETUID)
    return basket.owed_shares(s[BasketRate, fund], stake, s[BasketClaimed, fund, coldkey])


def on_root_stake_changed(s: State, fund: Fund, coldkey: AccountId, change: int) -> None:
    """Keep what a coldkey is owed when its root stake behind the hotkey grows or shrinks."""
    rate = s[BasketRate, fund]
    if rate:
        claimed = s[BasketClaimed, fund, coldkey]
        s[BasketClaimed, fund, coldkey] = basket.rebased(claimed, rate, change)
