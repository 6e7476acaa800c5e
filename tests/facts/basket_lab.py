"""A chain with funds: HOT of CAROL sits on root, two subnets have pools; and what must add up."""

from __future__ import annotations

from typing import Any

from network_lab import (
    ALICE,
    BOB,
    CAROL,
    TAO,
    fund,
    get,
    give_stake,
    issuance,
    lab,
    neuron,
    pool,
    put,
    subnet,
    tao_sum,
)

from chain.pallets import swap
from chain.pallets.alpha_assets import AlphaBurned
from chain.pallets.balances_ops import free_balance
from chain.pallets.subtensor.accounts import BURN_ACCOUNT, compute_subnet_account
from chain.pallets.subtensor.fund import ESCROW, get_holdings, get_owed, get_shown_nav
from chain.pallets.subtensor.storage_baskets import SEEDED, PendingBasketDeposits
from chain.pallets.subtensor.storage_stake import TotalHotkeyAlpha
from chain.runtime.state import State, iter_items
from ganglion.units import ROOT_NETUID, AccountId, Alpha, NetUid

HOT = AccountId(b"\x51" * 32)
OTHER = AccountId(b"\x52" * 32)
ONE_NET, TWO_NET = NetUid(1), NetUid(2)
POOL = 10_000 * TAO
ROOT_POT = 1_000_000
"""More than the root account needs to stay alive."""


def basket_lab(alice: int = 100 * TAO, bob: int = 0) -> State:
    """ALICE and BOB have root stake behind HOT; alpha costs half a TAO on both subnets."""
    s = lab()
    put(s, "HasMigrationRun", SEEDED, True)
    put(s, "SubtokenEnabled", ROOT_NETUID, True)
    fund(s, compute_subnet_account(ROOT_NETUID), alice + bob + ROOT_POT)
    fund(s, BURN_ACCOUNT, TAO)  # blocks have no author here: fees are burned, be they ever so small
    for netuid in (ONE_NET, TWO_NET):
        subnet(s, netuid, SubnetMechanism=1)
        pool(s, netuid, POOL, 2 * POOL)
        fund(s, compute_subnet_account(netuid), POOL)
        put(s, "SubnetAlphaOut", netuid, POOL)
        settle_prices(s, netuid)
    for hotkey in (HOT, OTHER):
        neuron(s, 0, CAROL, hotkey)
        put(s, "Delegates", hotkey, 0)
    for coldkey, stake in ((ALICE, alice), (BOB, bob)):
        if stake:
            give_stake(s, ROOT_NETUID, coldkey, HOT, stake)
            put(s, "StakingHotkeys", coldkey, (HOT,))
    put(s, "TotalStake", alice + bob + 2 * POOL)
    s.events.clear()
    return s


def get_overcount(s: State) -> int:
    """What TotalStake counts beyond the pools: fees of purchases, never less than nothing."""
    pools = sum(get(s, "SubnetTAO", netuid) for netuid in (ROOT_NETUID, ONE_NET, TWO_NET))
    return int(get(s, "TotalStake") - pools)


def settle_prices(s: State, *netuids: NetUid) -> None:
    """Let both moving prices agree with the pool."""
    for netuid in netuids:
        spot = swap.get_price(s, netuid)
        put(s, "SubnetMovingPrice", netuid, spot >> 32)
        put(s, "SubnetFastMovingPrice", netuid, (spot >> 32) << 32)


def nav(s: State, hotkey: AccountId = HOT) -> int:
    """What a fund is worth."""
    return get_shown_nav(s, hotkey)


def holdings(s: State, hotkey: AccountId = HOT) -> dict[int, int]:
    """What a fund has."""
    return dict(get_holdings(s, hotkey))


def owed(s: State, coldkey: AccountId, hotkey: AccountId = HOT) -> int:
    """Shares that a coldkey can redeem."""
    return get_owed(s, hotkey, coldkey)


def shares(s: State, hotkey: AccountId = HOT) -> int:
    """All shares of a fund."""
    return int(get(s, "BasketShares", hotkey))


def staked(s: State, netuid: NetUid) -> int:
    """Alpha behind all hotkeys of a subnet."""
    return sum(alpha for (_, n), alpha in iter_items(s, TotalHotkeyAlpha) if n == netuid)


def books(s: State) -> dict[str, Any]:
    """Sums that no call on funds may change."""
    out: dict[str, Any] = {
        "TAO on accounts against the issuance": tao_sum(s) - issuance(s),
        "root's stake": staked(s, ROOT_NETUID) - get(s, "SubnetAlphaOut", ROOT_NETUID),
        "root's TAO": get(s, "SubnetTAO", ROOT_NETUID) - get(s, "SubnetAlphaOut", ROOT_NETUID),
        "root's account": free_balance(s, compute_subnet_account(ROOT_NETUID))
        - get(s, "SubnetTAO", ROOT_NETUID),
        "TAO of the escrow account": free_balance(s, ESCROW),
    }
    for netuid in (ONE_NET, TWO_NET):
        waiting = sum(
            alpha for (_, n), alpha in iter_items(s, PendingBasketDeposits) if n == netuid
        )
        pot = free_balance(s, compute_subnet_account(netuid))
        out[f"TAO of pool {netuid}"] = pot - get(s, "SubnetTAO", netuid)
        burned = get_burned(s, netuid)
        nobody = get(s, "SubnetAlphaOut", netuid) - staked(s, netuid) - waiting - burned
        out[f"alpha of subnet {netuid} that is nobody's"] = nobody
    return out


def get_burned(s: State, netuid: NetUid) -> Alpha:
    """Alpha of a subnet that was burned: it stays counted outside the pool."""
    return s[AlphaBurned, netuid]
