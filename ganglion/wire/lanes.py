"""Both ends of a channel between two programs, sans-IO: what was promised, and what to believe.

The payer's end raises a lane and says which voucher to keep, sign and send, in that order. The
payee's end keeps the best voucher of each lane and refuses what the chain would refuse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ganglion.units import Hash
from ganglion.wire.paid import root_under
from ganglion.wire.receipt_tree import Frontier
from ganglion.wire.vouchers import SignedVoucher, Voucher


class BadVoucher(ValueError):
    """A voucher that the payee cannot take; the message says why and what would do."""


@dataclass(frozen=True, slots=True)
class PayerLane:
    """What a payer has promised on a lane, and the tree of the answers that it paid for."""

    channel: int
    lane: int
    nonce: int = 0
    cumulative: int = 0
    answers: Frontier = field(default_factory=Frontier)

    def raised(self, amount: int, leaves: Sequence[bytes] = ()) -> PayerLane:
        """The lane after paying `amount` rao more, for answers with these leaves."""
        answers = self.answers
        for leaf in leaves:
            answers = answers.add(leaf)
        return replace(
            self, nonce=self.nonce + 1, cumulative=self.cumulative + amount, answers=answers
        )

    def voucher(self, genesis: bytes) -> Voucher:
        """The voucher of the lane as it is."""
        root = Hash(root_under(self.answers))
        return Voucher(Hash(genesis), self.channel, self.lane, self.nonce, self.cumulative, root)


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """A channel as the chain has it; amounts in rao, `expiry` and `closes_at` blocks.

    `lanes` has the nonce and the rao that were redeemed on each lane.
    """

    number: int
    payer: bytes
    payee: bytes
    signer: bytes
    deposit: int
    redeemed: int
    expiry: int
    lane_limit: int
    closes_at: int | None = None
    lanes: Mapping[int, tuple[int, int]] = field(default_factory=dict)

    @property
    def ends_at(self) -> int:
        """The block from which anybody may close it."""
        return self.expiry if self.closes_at is None else min(self.expiry, self.closes_at)


@dataclass(slots=True)
class PayeeLedger:
    """The best voucher of every lane that pays this payee."""

    genesis: bytes
    best: dict[tuple[int, int], SignedVoucher] = field(default_factory=dict)

    def earned(self, channel: ChannelFacts, lane: int) -> int:
        """Rao that a lane has promised, or the chain has paid on it already."""
        held = self.best.get((channel.number, lane))
        promised = 0 if held is None else held.voucher.cumulative
        return max(promised, channel.lanes.get(lane, (0, 0))[1])

    def promised(self, channel: ChannelFacts) -> int:
        """The same over all lanes of a channel."""
        lanes = {lane for number, lane in self.best if number == channel.number}
        return sum(self.earned(channel, lane) for lane in lanes | channel.lanes.keys())

    def check(self, channel: ChannelFacts, signed: SignedVoucher) -> int:
        """The rao that a voucher adds. BadVoucher if it is none, or worth nothing; the signature,
        which costs most, is looked at last."""
        voucher = signed.voucher
        if voucher.genesis != self.genesis:
            raise BadVoucher("the voucher is for another chain: sign it with this genesis hash")
        if voucher.lane >= channel.lane_limit:
            raise BadVoucher(f"channel {channel.number} has lanes 0 to {channel.lane_limit - 1}")
        held = self.best.get((channel.number, voucher.lane))
        nonce = max(
            -1 if held is None else held.voucher.nonce, channel.lanes.get(voucher.lane, (-1, 0))[0]
        )
        had = self.earned(channel, voucher.lane)
        if voucher.nonce <= nonce:
            raise BadVoucher(f"lane {voucher.lane} is at nonce {nonce} and {had} rao: go on there")
        if voucher.cumulative < had:
            raise BadVoucher(f"lane {voucher.lane} has {had} rao already, not {voucher.cumulative}")
        total = self.promised(channel) - had + voucher.cumulative
        if total > channel.deposit:
            raise BadVoucher(
                f"the vouchers come to {total} rao and the deposit of channel {channel.number} is "
                f"{channel.deposit}: top it up"
            )
        if not signed.is_by(channel.signer):
            raise BadVoucher("the voucher is not signed by the key that the channel names")
        return voucher.cumulative - had

    def take(self, signed: SignedVoucher) -> None:
        """Keep a voucher that was checked."""
        self.best[signed.voucher.channel, signed.voucher.lane] = signed

    def redeemable(self, channel: ChannelFacts) -> list[SignedVoucher]:
        """The vouchers of a channel that bring more than the chain has paid."""
        return [
            signed
            for (number, lane), signed in sorted(self.best.items())
            if number == channel.number
            and channel.redeemed < channel.deposit
            and signed.voucher.cumulative > channel.lanes.get(lane, (0, 0))[1]
        ]

    def forget(self, channel: int) -> None:
        """Drop the vouchers of a channel that is no more."""
        for key in [key for key in self.best if key[0] == channel]:
            del self.best[key]
