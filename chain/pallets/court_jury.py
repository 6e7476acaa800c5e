"""Court: who may judge a case, and the draw.

Who stands ready was a juror before the last bond of the case and cannot leave while the draw lasts;
what counts is the stake of the latest epoch, which nobody moves in a block. The seed is the hash of
the block after the one with that bond, and a round of the beacon that lies ahead of both: who makes
blocks does not know it when the hash is made, and can only hold it back until the draw gives up
waiting. Then, and where there is no beacon, the hash alone decides, which its author can try to
choose. Where too few jurors are free the draw begins anew, with a seed of its own and whoever
stands ready by then, so the seed is never known to who could still come or go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chain.beacon import LOCAL_HASH, round_at
from chain.pallets.court_rules import Candidate, draw
from chain.pallets.court_store import (
    BeaconRounds,
    Case,
    Draw,
    DrawBlocks,
    Error,
    Juror,
    JurorBlocks,
    JurorCount,
    Jurors,
    MinJurors,
    Question,
    Seat,
    SeatDeposit,
)
from chain.pallets.drand import BeaconConfig, LastStoredRound, Pulses
from chain.pallets.subtensor.storage_keys import Owner
from chain.pallets.subtensor.storage_neurons import StakeWeight, Uids, ValidatorPermit
from chain.pallets.subtensor.vectors import FLAG, U16, item
from chain.pallets.system import BlockHash, block_number
from chain.pallets.timestamp import Now
from chain.runtime.errors import ensure
from chain.runtime.state import State, iter_items
from ganglion.hashing import blake2_256
from ganglion.scale import codec, u8, u64
from ganglion.units import AccountId, BlockNumber, NetUid, Rao

DOMAIN = b"ganglion/jury/1"
STALE_ROUNDS = 100
"""A beacon whose last stored round is older than so many is not waited for."""
SUBJECT = codec(tuple[u64, u8])


# -- who may be drawn ------------------------------------------------------------------------------


def stake_of(s: State, netuid: NetUid, hotkey: AccountId) -> int:
    """What a validator's stake counted for in the latest epoch; 0 without a permit."""
    uid = s[Uids, netuid, hotkey]
    if uid is None or not item(s[ValidatorPermit, netuid], FLAG, uid):
        return 0
    return item(s[StakeWeight, netuid], U16, uid)


def free_seats(juror: Juror) -> int:
    """For how many more seats a juror's deposit is enough."""
    return max(juror.amount - juror.locked, 0) // SeatDeposit.value


def kin(s: State, *accounts: AccountId | None) -> frozenset[AccountId]:
    """These accounts, and the coldkeys that own those of them that are hotkeys."""
    known = {who for who in accounts if who is not None}
    owners = {AccountId(s[Owner, who]) for who in known if (Owner, who) in s}
    return frozenset(known | owners)


def interested(s: State, question: Question, *bonded: AccountId) -> frozenset[AccountId]:
    """Who cannot judge: the parties, their agent, whoever has put a bond, and who owns them."""
    return kin(s, question.claimant, question.respondent, question.agent, *bonded)


def candidates(
    s: State, netuid: NetUid, parties: frozenset[AccountId], since: int, now: int
) -> list[Candidate]:
    """Who may be drawn: jurors since before a block, free, with stake and permit, and no party."""
    found = []
    for hotkey, juror in iter_items(s, Jurors, netuid):
        stays = not juror.leaves or now < juror.leaves
        if juror.since >= since or not stays or not free_seats(juror):
            continue
        weight = stake_of(s, netuid, hotkey)
        if weight and not parties & kin(s, hotkey, juror.payer):
            owner = AccountId(s[Owner, hotkey]) if (Owner, hotkey) in s else hotkey
            found.append(Candidate(hotkey, juror.payer, owner, weight, free_seats(juror)))
    return found


def ensure_seatable(s: State, question: Question, seats: int) -> None:
    """Raise TooFewJurors unless a jury of so many seats could be drawn now."""
    now = block_number(s)
    found = candidates(s, question.netuid, interested(s, question), now + 1, now)
    ensure(are_enough(found) and sum(one.free for one in found) >= seats, Error.TooFewJurors)


def are_enough(found: Sequence[Candidate]) -> bool:
    """Whether the candidates belong to as many different owners as a jury needs."""
    return len({one.owner for one in found}) >= MinJurors.value


# -- the draw --------------------------------------------------------------------------------------


def draw_plan(s: State, gives_up: BlockNumber | None = None) -> Draw:
    """How the jury of a case is drawn whose last bond is put now, or that is tried again now."""
    now, config, last = block_number(s), s[BeaconConfig], s[LastStoredRound]
    newest = round_at(config, s[Now] // 1000)
    is_secret = config.hash != LOCAL_HASH  # everybody knows the rounds of a local beacon
    is_alive = is_secret and last > 0 and newest - last <= STALE_ROUNDS
    number = max(newest, last) + BeaconRounds.value if is_alive else 0
    return Draw(now, number, gives_up or BlockNumber(now + JurorBlocks.value))


def seed_of(s: State, number: int, round_: int, plan: Draw) -> bytes | None:
    """The seed of a draw; None while the beacon's round is not there."""
    after = s[BlockHash, BlockNumber(plan.since + 1)]
    random = b""
    if plan.round:
        pulse = s[Pulses, plan.round]
        if pulse is not None:
            random = pulse.randomness
        elif block_number(s) < plan.since + DrawBlocks.value:
            return None
    return blake2_256(DOMAIN + SUBJECT.encode((number, round_)) + after + random)


def draw_jury(
    s: State, case: Case, seed: bytes, seats: int, before: tuple[Seat, ...]
) -> tuple[Seat, ...] | None:
    """The jury that a seed draws; None while too few jurors are free.

    Those of the jury before are drawn again only if there are too few others: they have something
    to lose if the ruling falls.
    """
    plan = case.draw
    assert plan is not None
    question, now = case.question, block_number(s)
    parties = interested(s, question, *(stake.who for stake in case.bonds))
    everyone = candidates(s, question.netuid, parties, plan.since, now)
    known = {seat.hotkey for seat in before}
    for found in ([one for one in everyone if one.hotkey not in known], everyone):
        if are_enough(found):
            jury = draw(found, seats, seed)
            if jury is not None:
                return jury
    return None


# -- the pool --------------------------------------------------------------------------------------


def least_juror(s: State, netuid: NetUid) -> tuple[int, AccountId, Juror] | None:
    """The juror without a seat that has the least stake, and how much."""
    found = None
    for hotkey, juror in iter_items(s, Jurors, netuid):
        stake = stake_of(s, netuid, hotkey)
        if not juror.locked and (found is None or stake < found[0]):
            found = stake, hotkey, juror
    return found


def count_jurors(s: State, netuid: NetUid, change: int) -> None:
    """Note that there is one juror more, or one less."""
    left = s[JurorCount, netuid] + change
    if left:
        s[JurorCount, netuid] = left
    else:
        del s[JurorCount, netuid]


def lock(s: State, netuid: NetUid, jury: tuple[Seat, ...]) -> None:
    """Put deposits of a new jury behind its seats."""
    for seat in jury:
        juror = s[Jurors, netuid, seat.hotkey]
        if juror is not None:
            locked = Rao(juror.locked + seat.votes * SeatDeposit.value)
            s[Jurors, netuid, seat.hotkey] = replace(juror, locked=locked)
