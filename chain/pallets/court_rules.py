"""Court: the arithmetic. Pure: stakes, seeds and votes come in, seats and shares come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chain.pallets.court_store import JurorFee, LossShare, Seat, SeatDeposit
from chain.pallets.market import MILLION
from ganglion.hashing import blake2_256
from ganglion.units import AccountId
from ganglion.wire.votes import Side


@dataclass(frozen=True, slots=True)
class Candidate:
    """Who may be drawn: by what weight, and for how many seats its deposit is enough."""

    hotkey: AccountId
    payer: AccountId
    owner: AccountId
    weight: int
    free: int


def draw(candidates: Sequence[Candidate], seats: int, seed: bytes) -> tuple[Seat, ...] | None:
    """A jury: every seat goes to a candidate with a chance proportional to its weight, among those
    with a seat left; None if they have too few seats in all.

    One candidate may have several seats. Jurors are in the order of the candidates.
    """
    if sum(candidate.free for candidate in candidates) < seats:
        return None
    taken = [0] * len(candidates)
    for seat in range(seats):
        open_ = [n for n, one in enumerate(candidates) if taken[n] < one.free]
        number = int.from_bytes(blake2_256(seed + seat.to_bytes(4, "little")), "little")
        point = number % sum(candidates[n].weight for n in open_)
        for n in open_:
            point -= candidates[n].weight
            if point < 0:
                taken[n] += 1
                break
    return tuple(
        Seat(one.hotkey, one.payer, votes, None, None)
        for one, votes in zip(candidates, taken, strict=True)
        if votes
    )


def tally(jury: Sequence[Seat]) -> tuple[int, int]:
    """The votes shown for the claimant and for the respondent."""
    return tuple(  # type: ignore[return-value]
        sum(seat.votes for seat in jury if seat.shown is side) for side in Side
    )


def majority(jury: Sequence[Seat]) -> Side | None:
    """For whom most of the shown votes are; None for a tie, or without any."""
    claimant, respondent = tally(jury)
    if claimant == respondent:
        return None
    return Side.Claimant if claimant > respondent else Side.Respondent


def loss_of(seat: Seat, ruling: Side | None) -> int:
    """What a juror loses of its deposit. Without a ruling only those lose who showed nothing."""
    is_coherent = seat.shown is not None and ruling in (None, seat.shown)
    return 0 if is_coherent else seat.votes * SeatDeposit.value * LossShare.value // MILLION


def shares(total: int, parts: Sequence[int]) -> list[int]:
    """`total` divided in proportion to `parts`, to the unit: what does not divide goes, a unit
    each, to the first that have a part. Nothing for nobody."""
    whole = sum(parts)
    if whole == 0:
        return [0 for _ in parts]
    cut = [total * part // whole for part in parts]
    left = total - sum(cut)
    for n, part in enumerate(parts):
        if part and left:
            cut[n] += 1
            left -= 1
    return cut


def fees_of(juries: Sequence[Sequence[Seat]]) -> int:
    """What the losing side pays for all seats."""
    return sum(seat.votes for jury in juries for seat in jury) * JurorFee.value
