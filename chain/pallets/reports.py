"""Reports (pallet 109, this chain's own): what validators measured of miners, as medians.

Validators sign what they saw of a subnet's miners in a round. Anybody brings the observations of
validators with more than two thirds of the permitted stake in one transaction, and for every
miner that so much stake has seen, the stake-weighted median of each number is kept. While less
than a third of the stake lies, liars are less than half of any such median, so it lies between
what honest validators said. (OCR of Chainlink: f of 3f + 1; here in stake.)

A report is due when the last one is a heartbeat old; before that one is taken only if a median
has moved, so that nobody fills blocks with news that are none. Who lies here loses nothing by
this pallet: weights are where validators answer for their judgement. Nothing on this chain pays
by these numbers; they are for routers, dashboards and other pallets to read.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from chain.pallets.nested import rocks
from chain.pallets.subtensor.storage_network import NetworksAdded
from chain.pallets.subtensor.storage_neurons import (
    BlockAtRegistration,
    StakeWeight,
    Uids,
    ValidatorPermit,
)
from chain.pallets.subtensor.vectors import FLAG, U16, item, values
from chain.pallets.system import BlockHash, block_number
from chain.runtime.apis import Api
from chain.runtime.errors import Errors, ensure, error
from chain.runtime.origin import Signed
from chain.runtime.pallet import Constant, Pallet, call, constant, event
from chain.runtime.signatures import verify_signature
from chain.runtime.state import State
from chain.runtime.storage import Identity, Map, storage
from chain.runtime.types import MultiSignature
from consensus.yuma.median import weighted_median
from ganglion.scale import u16, u32
from ganglion.units import AccountId, BlockNumber, NetUid, Uid
from ganglion.wire.observations import Observation, Quality

MaxAge: Constant[BlockNumber] = constant(BlockNumber(50))
"""How many blocks ago the round of a report may have begun."""

MinGap: Constant[BlockNumber] = constant(BlockNumber(10))
"""Blocks between two reports of a subnet at least."""

Heartbeat: Constant[BlockNumber] = constant(BlockNumber(300))
"""Blocks after which a report is due whatever it says."""

StaleAfter: Constant[BlockNumber] = constant(BlockNumber(360))
"""Blocks after which the last report counts as stale."""

Deviation: Constant[u16] = constant(100)
"""By how many thousandths of itself a median must have moved for a report before its time."""

MaxObservers: Constant[u32] = constant(64)
"""Observations in one report."""


@dataclass(frozen=True, slots=True)
class Report:
    """The medians of a round, when they came, and of how many validators they are."""

    round: BlockNumber
    at: BlockNumber
    observers: u16
    miners: tuple[Quality, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """A report as of now: the miners that hold their uids still, and whether it is stale."""

    report: Report
    stale: bool


Reports: Map[Identity[NetUid], Report | None] = storage()
"""The latest report about a subnet."""


@event(0)
class Reported:
    """Validators brought the medians of a round."""

    netuid: NetUid
    round: BlockNumber
    observers: u16
    miners: u16


class Error(Errors):
    """What can go wrong."""

    UnknownSubnet = error(0, "There is no subnet of this number.")
    NoObservations = error(1, "A report has one to 64 observations.")
    OtherSubject = error(2, "The observations are of other chains, subnets or rounds.")
    WrongRound = error(3, "The round is to come, too long ago, or reported already.")
    Disorderly = error(4, "An observation lists uids twice or out of order, or no shares.")
    SeenTwice = error(5, "Two observations are by one validator.")
    NoPermit = error(6, "An observation is by somebody without a validator permit.")
    BadSignature = error(7, "An observation's signature is not the validator's.")
    NoQuorum = error(8, "The observers hold no more than two thirds of the permitted stake.")
    TooSoon = error(9, "The last report is only a few blocks old.")
    NothingNew = error(10, "No median has moved much, and the heartbeat is not due.")


SignedObservations = tuple[tuple[Observation, MultiSignature], ...]


def report_weight(netuid: NetUid, observations: SignedObservations) -> int:
    """A signature an observation, and four medians a miner that it lists."""
    listed = sum(len(made.miners) for made, _ in observations)
    count = len(observations)
    return rocks(100_000_000 + 70_000_000 * count + 400_000 * listed, 5 + count + listed, 1)


@call(0, weight=report_weight)
def report(s: State, who: Signed, netuid: NetUid, observations: SignedObservations) -> None:
    """Bring what enough validators observed in one round."""
    ensure(s[NetworksAdded, netuid], Error.UnknownSubnet)
    ensure(0 < len(observations) <= MaxObservers.value, Error.NoObservations)
    now, before, round_ = block_number(s), s[Reports, netuid], observations[0][0].round
    ensure_timely(round_, now, before)
    stake = permitted_stake(s, netuid)
    seen = heard(s, netuid, round_, observations, stake)
    whole = sum(stake.values())
    ensure(is_quorum(sum(weight for weight, _ in seen), whole), Error.NoQuorum)
    miners = medians(s, netuid, seen, whole)
    after = Report(BlockNumber(round_), now, len(seen), miners)
    due = before is None or now - before.at >= Heartbeat.value or moved(before, after)
    ensure(due, Error.NothingNew)
    s[Reports, netuid] = after
    s.emit(Reported(netuid, after.round, after.observers, len(miners)))


def heard(
    s: State, netuid: NetUid, round_: int, observations: SignedObservations, stake: dict[int, int]
) -> list[tuple[int, Observation]]:
    """The stake behind each observation; raises what is wrong with the first bad one."""
    subject = s[BlockHash, BlockNumber(0)], netuid, round_
    seen: dict[AccountId, tuple[int, Observation]] = {}
    for made, signature in observations:
        ensure((made.genesis, made.netuid, made.round) == subject, Error.OtherSubject)
        ensure(made.is_orderly(), Error.Disorderly)
        validator = AccountId(made.validator)
        ensure(validator not in seen, Error.SeenTwice)
        uid = s[Uids, netuid, validator]
        if uid is None or uid not in stake:
            raise Error.NoPermit
        ensure(verify_signature(signature, made.signing_hash(), validator), Error.BadSignature)
        seen[validator] = stake[uid], made
    return list(seen.values())


def ensure_timely(round_: int, now: int, before: Report | None) -> None:
    """Raise WrongRound or TooSoon."""
    ensure(now - MaxAge.value <= round_ <= now, Error.WrongRound)
    if before is not None:
        ensure(round_ > before.round, Error.WrongRound)
        ensure(now - before.at >= MinGap.value, Error.TooSoon)


def permitted_stake(s: State, netuid: NetUid) -> dict[int, int]:
    """What each uid with a permit counted for in the latest epoch."""
    stakes = values(s[StakeWeight, netuid], U16)
    permits = s[ValidatorPermit, netuid]
    return {uid: stake for uid, stake in enumerate(stakes) if stake and item(permits, FLAG, uid)}


def is_quorum(part: int, whole: int) -> bool:
    """Whether it is more than two thirds."""
    return part * 3 > whole * 2


def medians(
    s: State, netuid: NetUid, seen: list[tuple[int, Observation]], whole: int
) -> tuple[Quality, ...]:
    """Of every miner that enough stake has seen and that has had its uid for all of the round."""
    said: dict[int, list[tuple[int, Quality]]] = defaultdict(list)
    for stake, made in seen:
        for miner in made.miners:
            said[miner.uid].append((stake, miner))
    found = []
    for uid, opinions in sorted(said.items()):
        stakes = [stake for stake, _ in opinions]
        since = s[BlockAtRegistration, netuid, Uid(uid)]
        if not is_quorum(sum(stakes), whole) or since > seen[0][1].round:
            continue
        columns = (
            [getattr(miner, name) for _, miner in opinions]
            for name in ("answered", "first_token_ms", "speed", "price")
        )
        half = sum(stakes) // 2
        found.append(Quality(uid, *(weighted_median(stakes, c, half) for c in columns)))
    return tuple(found)


def moved(before: Report, after: Report) -> bool:
    """Whether a miner came or went, or a number changed by more than the deviation."""
    old = {miner.uid: miner for miner in before.miners}
    if old.keys() != {miner.uid for miner in after.miners}:
        return True
    pairs = (
        (getattr(old[miner.uid], name), getattr(miner, name))
        for miner in after.miners
        for name in ("answered", "first_token_ms", "speed", "price")
    )
    return any(abs(a - b) * 1000 > Deviation.value * max(a, b) for a, b in pairs)


pallet = Pallet("Reports", __name__).seal()

reports_api = Api("ReportsRuntimeApi", 1)


@reports_api.method
def standing(s: State, netuid: NetUid) -> Standing | None:
    """The latest report about a subnet, without miners whose uid has another holder since."""
    last = s[Reports, netuid]
    if last is None or not s[NetworksAdded, netuid]:
        return None
    still = tuple(
        m for m in last.miners if s[BlockAtRegistration, netuid, Uid(m.uid)] <= last.round
    )
    kept = Report(last.round, last.at, last.observers, still)
    return Standing(kept, block_number(s) - last.at > StaleAfter.value)
