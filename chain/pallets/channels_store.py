"""Channels: storage, constants, events and errors."""

from __future__ import annotations

from dataclasses import dataclass

from chain.runtime.errors import Errors, error
from chain.runtime.flavour import slow_or_fast
from chain.runtime.pallet import Constant, constant, event
from chain.runtime.storage import Blake2, Map, Twox, Value, storage
from chain.runtime.types import MultiSignature
from ganglion.scale import u16, u32, u64, u128
from ganglion.units import AccountId, BlockNumber, Hash, Rao
from ganglion.wire.vouchers import Voucher

MinimumDeposit: Constant[Rao] = constant(Rao(10_000_000))
"""The least that a channel is opened with."""

ChallengeWindow: Constant[BlockNumber] = constant(slow_or_fast(BlockNumber(300), BlockNumber(100)))
"""Blocks between a payer's wish to close and the end: the payee's time to redeem."""

MaxLanes: Constant[u16] = constant(64)
"""The most lanes of a channel."""

MaxVouchers: Constant[u32] = constant(64)
"""The most vouchers of one redemption."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A deposit of the payer's that only vouchers move to the payee.

    `signer` is the key whose vouchers count. `redeemed` is the sum over all lanes. `closes_at` is
    set while the payer waits for the end of the challenge window.
    """

    payer: AccountId
    payee: AccountId
    signer: AccountId
    deposit: Rao
    redeemed: Rao
    opened_at: BlockNumber
    expiry: BlockNumber
    lane_limit: u16
    closes_at: BlockNumber | None


@dataclass(frozen=True, slots=True)
class Lane:
    """What was redeemed on a lane: the highest nonce, and the voucher that said the most."""

    nonce: u64
    redeemed: Rao
    receipts_root: Hash


@dataclass(frozen=True, slots=True)
class SignedVoucher:
    """A voucher under its signer's key."""

    voucher: Voucher
    signature: MultiSignature


NextChannelId: Value[u64] = storage(default=0)
"""The number of the next channel; none is used twice."""

Channels: Map[Twox[u64], Channel | None] = storage()
"""Channels that are not closed."""

Lanes: Map[Twox[u64], Twox[u16], Lane | None] = storage()
"""What was redeemed on each lane of a channel."""

ByPayee: Map[Blake2[AccountId], Twox[u64], AccountId | None] = storage()
"""The payer of each channel of a payee."""

ByPayer: Map[Blake2[AccountId], Twox[u64], AccountId | None] = storage()
"""The payee of each channel of a payer."""


@event(0)
class Opened:
    """A channel was opened."""

    channel_id: u64
    payer: AccountId
    payee: AccountId
    deposit: Rao
    expiry: BlockNumber


@event(1)
class ToppedUp:
    """The payer added to the deposit."""

    channel_id: u64
    deposit: Rao


@event(2)
class Extended:
    """The payer put the expiry off."""

    channel_id: u64
    expiry: BlockNumber


@event(3)
class Redeemed:
    """A voucher moved `amount` to the payee; that makes `cumulative` in all on this lane."""

    channel_id: u64
    lane: u16
    nonce: u64
    amount: Rao
    cumulative: u128
    receipts_root: Hash


@event(4)
class Closing:
    """The payer wants to close: the payee has until `closes_at` to redeem."""

    channel_id: u64
    closes_at: BlockNumber


@event(5)
class Closed:
    """A channel was closed; the payee has got `redeemed`, the payer has the rest back."""

    channel_id: u64
    redeemed: Rao
    returned: Rao


class Error(Errors):
    """What can go wrong."""

    UnknownChannel = error(0, "There is no channel of this number, or it was closed.")
    DepositTooLow = error(1, "The deposit is below the least that opens a channel.")
    BadExpiry = error(2, "The expiry must lie ahead, and beyond the one before.")
    BadLaneLimit = error(3, "A channel has one lane at the least, and not more than MaxLanes.")
    NotPayer = error(4, "Only the payer of the channel may do this.")
    NotParty = error(5, "Only the payer and the payee may close a channel before its expiry.")
    ChannelClosing = error(6, "The payer is closing this channel.")
    NotClosable = error(7, "The channel has neither expired nor is its challenge window over.")
    NoVouchers = error(8, "There is no voucher to redeem.")
    WrongGenesis = error(9, "The voucher is for another chain.")
    UnknownLane = error(10, "The channel has no such lane.")
    StaleNonce = error(11, "The voucher, or one that says as much, has been redeemed.")
    NothingToPay = error(12, "The voucher pays nothing beyond what was redeemed.")
    OverDeposit = error(13, "The vouchers exceed the deposit of the channel.")
    BadSignature = error(14, "The voucher is not signed by the key that the channel names.")
    NotCovered = error(15, "Less is reserved on the payer's account than the channel still owes.")
