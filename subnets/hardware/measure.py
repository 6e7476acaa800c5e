"""Which class a machine may claim: its own rate, measured, times the margin."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from subnets.hardware.chain import FASTEST, SLOWEST, Machine, commitment, draw, shape_of
from subnets.hardware.judge import MARGIN

FIRST_GUESS = 1_000_000_000
ROUNDS = 8
CLOSE = 1.3
RUNS = 3

Clock = Callable[[], float]


def seconds_for(machine: Machine, rate: int, clock: Clock = time.perf_counter) -> float:
    """How long a machine takes for the chain of a class, from the seed to the commitment."""
    started = clock()
    material = draw(bytes(32), shape_of(rate))
    commitment(machine.walk(material, material.start))
    return clock() - started


def measure(machine: Machine, clock: Clock = time.perf_counter) -> int:
    """A machine's rate, in multiply-adds a second, the best of a few runs at its own size."""
    guess, rate = FIRST_GUESS, 0
    for _ in range(ROUNDS):
        rate = int(shape_of(guess).work / max(seconds_for(machine, guess, clock), 1e-6))
        rate = min(max(rate, SLOWEST), FASTEST)
        if guess / CLOSE <= rate <= guess * CLOSE:
            break
        guess = rate
    runs = [seconds_for(machine, rate, clock) for _ in range(RUNS)]
    return min(max(int(shape_of(rate).work / max(min(runs), 1e-6)), SLOWEST), FASTEST)


def claim_of(measured: int) -> int:
    """The class to claim: the margin added, to three digits."""
    claim = int(measured * MARGIN)
    claim -= claim % int(10 ** max(len(str(claim)) - 3, 0))
    return min(max(claim, SLOWEST), FASTEST)


def fastest(
    machines: Sequence[Machine], rate_of: Callable[[Machine], int] = measure
) -> tuple[Machine, int]:
    """The quickest of some machines and its measured rate."""
    rates = [(rate_of(machine), i) for i, machine in enumerate(machines)]
    best, at = max(rates)
    return machines[at], best
