"""Channels (pallet 101, this chain's own): many small payments, few extrinsics.

A payer puts a deposit aside for one payee and pays by signing vouchers off the chain. A voucher
says what a lane has earned so far, so the newest one is all the payee needs to bring. Lanes let
several gateways pay from one deposit without talking to each other.

The deposit is reserved on the payer's account: issuance never changes. Vouchers are signed by the
payer, or by a key it names when it opens the channel (a gateway's hotkey), so that the key with
the money stays at home. Whoever brings a voucher, its amount goes to the payee.

Invariant: redeemed == sum of the lanes' redeemed <= deposit; deposit - redeemed is reserved.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, TypeAlias

import chain.pallets.channels_store as _store
from chain.pallets.balances_ops import deposit as pay_in
from chain.pallets.balances_ops import reserve, slash_reserved, unreserve
from chain.pallets.channels_store import (
    ByPayee,
    ByPayer,
    ChallengeWindow,
    Channel,
    Channels,
    Closed,
    Closing,
    Error,
    Extended,
    Lane,
    Lanes,
    MaxLanes,
    MaxVouchers,
    MinimumDeposit,
    NextChannelId,
    Opened,
    Redeemed,
    SignedVoucher,
    ToppedUp,
)
from chain.pallets.nested import rocks
from chain.pallets.system import Account, BlockHash, block_number
from chain.runtime.call import PostInfo
from chain.runtime.errors import ensure
from chain.runtime.origin import Signed
from chain.runtime.pallet import Pallet, call
from chain.runtime.signatures import verify_signature
from chain.runtime.state import State, clear_prefix, iter_keys
from ganglion.scale import AtMost, u16, u64
from ganglion.units import AccountId, BlockNumber, Rao
from ganglion.wire.vouchers import NO_RECEIPTS

OVERTAKEN = (
    Error.UnknownChannel,
    Error.StaleNonce,
    Error.NothingToPay,
    Error.OverDeposit,
    Error.NotCovered,
)
"""What one payer can bring about while vouchers are under way; no reason to hold up the others'."""

Bundle: TypeAlias = Annotated[tuple[SignedVoucher, ...], AtMost(MaxVouchers.value)]


def close_weight(lanes: int) -> int:
    """Weight of an end with so many lanes to forget."""
    return rocks(40_000_000, 3 + lanes, 5 + lanes)


@call(0, weight=35_000_000, reads=2, writes=5)
def open(
    s: State,
    payer: Signed,
    payee: AccountId,
    deposit: Rao,
    expiry: BlockNumber,
    lane_limit: u16,
    signer: AccountId | None,
) -> None:
    """Put a deposit aside for a payee until a block; `signer` may sign vouchers for the payer."""
    ensure(deposit >= MinimumDeposit.value, Error.DepositTooLow)
    ensure(expiry > block_number(s), Error.BadExpiry)
    ensure(0 < lane_limit <= MaxLanes.value, Error.BadLaneLimit)
    reserve(s, payer, deposit)
    number = s[NextChannelId]
    s[NextChannelId] = number + 1
    s[Channels, number] = Channel(
        payer,
        payee,
        payer if signer is None else signer,
        deposit,
        Rao(0),
        block_number(s),
        expiry,
        lane_limit,
        None,
    )
    s[ByPayee, payee, number] = payer
    s[ByPayer, payer, number] = payee
    s.emit(Opened(number, payer, payee, deposit, expiry))


@call(1, weight=25_000_000, reads=2, writes=2)
def top_up(s: State, payer: Signed, channel_id: u64, amount: Rao) -> None:
    """Add to the deposit of a channel that is not closing."""
    channel = own_channel(s, payer, channel_id)
    reserve(s, payer, amount)
    total = Rao(channel.deposit + amount)
    s[Channels, channel_id] = replace(channel, deposit=total)
    s.emit(ToppedUp(channel_id, total))


@call(2, weight=20_000_000, reads=1, writes=1)
def extend(s: State, payer: Signed, channel_id: u64, expiry: BlockNumber) -> None:
    """Put the expiry of a channel off; it never comes nearer."""
    channel = own_channel(s, payer, channel_id)
    ensure(expiry > max(channel.expiry, block_number(s)), Error.BadExpiry)
    s[Channels, channel_id] = replace(channel, expiry=expiry)
    s.emit(Extended(channel_id, expiry))


@call(
    3,
    weight=lambda vouchers: rocks(
        20_000_000 + 110_000_000 * len(vouchers), 1 + 4 * len(vouchers), 4 * len(vouchers)
    ),
)
def redeem(s: State, who: Signed, vouchers: Bundle) -> None:
    """Move to the payees what these vouchers say beyond what was redeemed.

    They may be of several lanes and several channels. Anybody may bring them. A malformed one
    fails the call; those that were overtaken are passed over, unless all were.
    """
    ensure(len(vouchers) > 0, Error.NoVouchers)
    genesis, overtaken = s[BlockHash, BlockNumber(0)], []
    for signed in vouchers:
        ensure(signed.voucher.genesis == genesis, Error.WrongGenesis)
        try:
            do_redeem(s, signed)
        except OVERTAKEN as e:
            overtaken.append(e)
    if len(overtaken) == len(vouchers):
        raise overtaken[0]


@call(4, weight=lambda channel_id: close_weight(MaxLanes.value))
def close(s: State, who: Signed, channel_id: u64) -> PostInfo:
    """Close at once as the payee; as the payer, ask to, and let the challenge window pass."""
    channel = existing(s, channel_id)
    if who == channel.payee:
        return do_close(s, channel_id, channel)
    ensure(who == channel.payer, Error.NotParty)
    ensure(channel.closes_at is None, Error.ChannelClosing)
    closes_at = BlockNumber(block_number(s) + ChallengeWindow.value)
    s[Channels, channel_id] = replace(channel, closes_at=closes_at)
    s.emit(Closing(channel_id, closes_at))
    return PostInfo(close_weight(0))


@call(5, weight=lambda channel_id: close_weight(MaxLanes.value))
def force_close(s: State, who: Signed, channel_id: u64) -> PostInfo:
    """Close a channel that has expired, or whose challenge window is over; anybody may."""
    channel, now = existing(s, channel_id), block_number(s)
    is_over = channel.closes_at is not None and now >= channel.closes_at
    ensure(is_over or now >= channel.expiry, Error.NotClosable)
    return do_close(s, channel_id, channel)


def existing(s: State, channel_id: int) -> Channel:
    """A channel; raises UnknownChannel."""
    found = s[Channels, channel_id]
    if found is None:
        raise Error.UnknownChannel
    return found


def own_channel(s: State, payer: AccountId, channel_id: int) -> Channel:
    """A channel of this payer's that goes on; raises NotPayer or ChannelClosing."""
    found = existing(s, channel_id)
    ensure(found.payer == payer, Error.NotPayer)
    ensure(found.closes_at is None, Error.ChannelClosing)
    return found


def do_redeem(s: State, signed: SignedVoucher) -> None:
    """Pay one voucher of this chain; whatever is wrong with it is raised before any write."""
    voucher = signed.voucher
    channel = existing(s, voucher.channel)
    ensure(voucher.lane < channel.lane_limit, Error.UnknownLane)
    before = s[Lanes, voucher.channel, voucher.lane] or Lane(0, Rao(0), NO_RECEIPTS)
    amount = voucher.cumulative - before.redeemed
    # Not by the nonce: a payer could redeem a high one for little, and kill what the payee holds.
    if amount <= 0:
        raise Error.NothingToPay if voucher.nonce > before.nonce else Error.StaleNonce
    ensure(voucher.cumulative <= channel.deposit, Error.OverDeposit)
    # Nor is a lane refused for what another took: the payer might sign that for the purpose.
    amount = min(amount, channel.deposit - channel.redeemed)
    ensure(amount > 0, Error.OverDeposit)
    is_signed = verify_signature(signed.signature, voucher.signing_bytes(), channel.signer)
    ensure(is_signed, Error.BadSignature)

    ensure(s[Account, channel.payer].data.reserved >= amount, Error.NotCovered)
    slash_reserved(s, channel.payer, amount)
    pay_in(s, channel.payee, amount)
    s[Channels, voucher.channel] = replace(channel, redeemed=Rao(channel.redeemed + amount))
    paid = Rao(before.redeemed + amount)
    s[Lanes, voucher.channel, voucher.lane] = Lane(
        max(voucher.nonce, before.nonce), paid, voucher.receipts_root
    )
    s.emit(
        Redeemed(
            voucher.channel,
            voucher.lane,
            voucher.nonce,
            Rao(amount),
            paid,
            voucher.receipts_root,
        )
    )


def do_close(s: State, channel_id: int, channel: Channel) -> PostInfo:
    """Give the payer the rest back and forget the channel; what that weighed."""
    rest = Rao(channel.deposit - channel.redeemed)
    rest = Rao(rest - unreserve(s, channel.payer, rest))
    lanes = len(list(iter_keys(s, Lanes, channel_id)))
    clear_prefix(s, Lanes, channel_id)
    del s[Channels, channel_id]
    del s[ByPayee, channel.payee, channel_id]
    del s[ByPayer, channel.payer, channel_id]
    s.emit(Closed(channel_id, channel.redeemed, rest))
    return PostInfo(close_weight(lanes))


pallet = Pallet("Channels", _store.__name__, __name__).seal()
