"""Miners that cheat with their hardware class, and machines for tests; see `localnet.faults`."""

from __future__ import annotations

import time
from dataclasses import replace

from aiohttp import web

from neurons.http import Answer, Signed
from neurons.miner.hardware import HardwareService
from subnets.hardware.chain import FASTEST, Machine, Material, Matrix, NumpyMachine
from subnets.hardware.measure import claim_of, measure

CLASS_CHEAT = "class-cheat"
FACTOR = 2


def cheating_rate(machine: Machine) -> int:
    """The class that a machine of twice the speed would claim. Processor time is counted, so that
    what else runs at the moment does not make the claim more modest."""
    return min(claim_of(FACTOR * measure(machine, time.thread_time)), FASTEST)


class HalfChain:
    """Walks half of a chain and calls it the end."""

    name = "half"

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def walk(self, material: Material, start: Matrix) -> Matrix:
        half = replace(material, words=material.words[: len(material.words) // 2])
        return self._machine.walk(half, start)


class OtherEnd(HardwareService):
    """Commits to one matrix and hands over another."""

    async def open(self, request: web.BaseRequest, signed: Signed) -> Answer:
        for key, end in self._ends.items():
            self._ends[key] = -end
        return await super().open(request, signed)


class Sleeper(NumpyMachine):
    """Walks chains, but only after a while; `began` counts them."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.began = seconds, 0

    def walk(self, material: Material, start: Matrix) -> Matrix:
        self.began += 1
        time.sleep(self.seconds)
        return super().walk(material, start)
