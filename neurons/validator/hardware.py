"""A validator's side of the proof of hardware: who is due, the clock, and the check.

What is timed happens at once for all that are due, so that identities sharing one machine slow
each other; a miner's answer is checked later, in a thread, and nobody's clock runs then. How long
this process itself stood still is measured too and never held against a miner.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ganglion import ss58
from ganglion.wire import hardware as wire
from ganglion.wire.call import Caller, CallFailed, Target
from ganglion.wire.fields import BadMessage
from neurons.chainlink import View
from neurons.identity import Identity
from neurons.validator.stall import StallMeter
from subnets.hardware.chain import (
    FASTEST,
    SLOWEST,
    EngineTrouble,
    Machine,
    NumpyMachine,
    Unfit,
    commitment,
    draw,
    shape_of,
)
from subnets.hardware.check import is_end, read_end
from subnets.hardware.judge import (
    TRIES,
    Capability,
    Outcome,
    Result,
    Timing,
    deadline,
    excuse,
    judge_time,
)

log = logging.getLogger("validator")

TRIPS = 5
"""Small requests whose shortest is taken for the round trip."""
MOST = 16
"""Miners challenged at once."""
BUSY_SECONDS = 25.0
"""When a miner that was busy is asked again; miners let a validator wait for 20 s."""
CLAIM_SECONDS = 5.0
"""What the small requests may take together."""
PATIENCE = 3.0
"""Deadlines that a late answer is waited for, so that its operator learns how late it was."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A miner that claims a class, and the round trip to it in seconds."""

    target: Target
    rate: int
    trip: float


@dataclass(frozen=True, slots=True)
class Committed:
    """A commitment that came in time: what it is to, and by which clock."""

    claimed: Claimed
    nonce: bytes
    seed: bytes
    end_hash: bytes
    result: Result


class HardwareChecks:
    """Challenges the miners of one subnet, each once in `interval` seconds."""

    def __init__(
        self,
        caller: Caller,
        identity: Identity,
        records: dict[str, Capability],
        interval: float,
        machine: Machine | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        meter: Callable[[], StallMeter] = StallMeter,
    ) -> None:
        self._caller, self._identity, self.records = caller, identity, records
        self._interval, self._clock, self._now = interval, clock, now
        self._machine, self._meter = machine or verifying_machine(), meter
        self._settling: asyncio.Task[None] | None = None

    def due(self, targets: Sequence[Target]) -> list[Target]:
        """Who is to be challenged now, those of one host together, the longest unasked first."""
        now, waits = self._now(), {}
        for target in targets:
            known = self.records.get(target.hotkey, Capability())
            pause = min(self._interval, BUSY_SECONDS) if known.busy == 1 else self._interval
            if now - known.at >= pause or known.at > now:
                waits[target] = known.at
        oldest = {t.host: min(at for u, at in waits.items() if u.host == t.host) for t in waits}
        return sorted(waits, key=lambda t: (oldest[t.host], t.host, waits[t]))[:MOST]

    async def round(self, view: View) -> None:
        """Challenge who is due; what came in time is checked while the validator goes on."""
        me = view.neuron(self._identity.hotkey.address)
        if me is None or not me.validator_permit:
            return  # miners take no challenges from others
        if self._settling is not None:
            if not self._settling.done():
                return
            self._settling.result()
        targets = self.due([Target.of(n) for n in view.serving if n.hotkey != me.hotkey])
        if targets:
            block_hash = bytes.fromhex(view.block_hash.removeprefix("0x"))
            answers = await self.challenge(targets, block_hash)
            self._settling = asyncio.create_task(self._settle(answers, view.block))

    async def challenge(
        self, targets: Sequence[Target], block_hash: bytes
    ) -> dict[str, Committed | Result]:
        """What is timed: the classes and round trips, then every challenge at once; then, as
        often as they may try, those that were late."""
        claims = await asyncio.gather(*(self._claim(target) for target in targets))
        found: dict[str, Committed | Result] = {}
        found |= {t.hotkey: c for t, c in zip(targets, claims) if isinstance(c, Result)}
        asked = [claim for claim in claims if isinstance(claim, Claimed)]
        for _ in range(TRIES):
            async with self._meter() as stalls:
                answers = [self._commit(claim, block_hash, stalls) for claim in asked]
                for claim, answer in zip(asked, await asyncio.gather(*answers)):
                    was_late = claim.target.hotkey in found
                    if not was_late or not is_busy(answer):  # with the chain that was late
                        found[claim.target.hotkey] = answer
            asked = [claim for claim in asked if is_late(found[claim.target.hotkey])]
        return found

    async def _claim(self, target: Target) -> Claimed | Result:
        """The class that a miner claims, and the shortest of a few round trips."""
        shortest, rate = float("inf"), 0
        try:
            async with asyncio.timeout(CLAIM_SECONDS):
                for _ in range(TRIPS):
                    started = self._clock()
                    body = await self._caller.fetch(target, "GET", wire.PATH)
                    shortest = min(shortest, self._clock() - started)
                    rate = wire.read_class(body)
        except TimeoutError:
            detail = f"{TRIPS} small requests took more than {CLAIM_SECONDS:g} s"
            return Result(Outcome.UNREACHABLE, detail)
        except CallFailed as e:
            if e.status == 404:
                return Result(Outcome.NONE, "this miner takes no challenges")
            return Result(outcome_of(e), str(e))
        except BadMessage as e:
            return Result(Outcome.FORMAT, str(e))
        if rate == 0:
            return Result(Outcome.NONE, "this miner claims no class")
        if not SLOWEST <= rate <= FASTEST:
            detail = f"the class {rate} is not between {SLOWEST} and {FASTEST}"
            return Result(Outcome.FORMAT, detail)
        return Claimed(target, rate, shortest)

    async def _commit(
        self, claimed: Claimed, block_hash: bytes, stalls: StallMeter
    ) -> Committed | Result:
        """One challenge, up to the commitment."""
        target, rate, who = claimed.target, claimed.rate, self._identity
        request = wire.ChallengeRequest(secrets.token_bytes(32), block_hash, rate)
        miner = ss58.decode(target.hotkey, prefix=None)
        validator = who.hotkey.public_key
        bound = wire.Bound(
            who.genesis, who.netuid, validator, miner, request.nonce, block_hash, rate
        )
        seed, started = bound.seed(), self._clock()
        limit = deadline(rate, claimed.trip)
        try:
            async with asyncio.timeout(PATIENCE * limit):
                body = await self._caller.fetch(target, "POST", wire.PATH, request.to_bytes())
        except TimeoutError:
            detail = f"no commitment within {PATIENCE * limit:.1f} s; class {rate} has {limit:.2f}"
            return Result(Outcome.LATE, detail, rate)
        except CallFailed as e:
            late = e.reason == "timeout"
            return Result(Outcome.LATE if late else outcome_of(e), str(e), rate)
        timing = Timing(self._clock() - started, claimed.trip, 2 * stalls.worst)
        try:
            signed = wire.Commitment.from_bytes(body, seed, miner)
        except BadMessage as e:
            return Result(Outcome.FORMAT, str(e), rate)
        result = judge_time(rate, timing)
        if result.outcome is not Outcome.OK:
            return result
        return Committed(claimed, request.nonce, seed, signed.end_hash, result)

    async def _settle(self, answers: dict[str, Committed | Result], block: int) -> None:
        """Check what came in time, one after the other, and write everything down."""
        results = {}
        for hotkey, answer in answers.items():
            results[hotkey] = await self.check(answer) if isinstance(answer, Committed) else answer
        for hotkey, result in excuse(results).items():
            record = self.records.setdefault(hotkey, Capability())
            record.enter(result, block, int(self._now()))
            log.info(
                "block %d hardware %s: %s class %d measured %d in %d ms %s",
                block,
                hotkey,
                result.outcome,
                result.rate,
                result.measured,
                result.milliseconds,
                result.detail,
            )

    async def check(self, answer: Committed) -> Result:
        """Get the end of a chain and check it. Nothing is timed here."""
        shape = shape_of(answer.claimed.rate)
        try:
            body = await self._caller.fetch(
                answer.claimed.target, "POST", wire.OPEN_PATH, wire.open_request(answer.nonce)
            )
            end = read_end(body, shape.size)
        except CallFailed as e:
            detail = f"the matrix committed to was not handed over: {e}"
            return replace(answer.result, outcome=Outcome.WITHHELD, detail=detail)
        except Unfit as e:
            return replace(answer.result, outcome=Outcome.FORMAT, detail=str(e))
        if commitment(end) != answer.end_hash:
            detail = "the matrix is not the one that was committed to"
            return replace(answer.result, outcome=Outcome.WITHHELD, detail=detail)

        def freivalds() -> bool:
            return is_end(self._machine, draw(answer.seed, shape), end, np.random.default_rng())

        try:
            right = await asyncio.to_thread(freivalds)
        except (EngineTrouble, MemoryError) as e:
            return replace(answer.result, outcome=Outcome.OURS, detail=str(e))
        if not right:
            detail = "the matrix is not the end of this chain: something was left out or is wrong"
            return replace(answer.result, outcome=Outcome.WRONG, detail=detail)
        return answer.result


def is_late(answer: Committed | Result) -> bool:
    """Whether a miner may try again; also when the delay may have been our own."""
    return isinstance(answer, Result) and answer.outcome in (Outcome.LATE, Outcome.OURS)


def is_busy(answer: Committed | Result) -> bool:
    """Whether a miner was occupied."""
    return isinstance(answer, Result) and answer.outcome is Outcome.BUSY


def outcome_of(error: CallFailed) -> Outcome:
    """The outcome of a call that brought nothing."""
    names = {"busy": Outcome.BUSY, "refused": Outcome.REFUSED, "bad-format": Outcome.FORMAT}
    return names.get(error.reason, Outcome.UNREACHABLE)


def verifying_machine() -> Machine:
    """What to check with: torch, on its card if there is one, where an engine has loaded it."""
    if "torch" not in sys.modules:
        return NumpyMachine()
    import torch

    from neurons.engine.device_chain import TorchMachine

    return TorchMachine("cuda" if torch.cuda.is_available() else "cpu")
