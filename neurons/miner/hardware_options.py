"""The command line's side of the proof of hardware: options, and `neuron-miner hardware`."""

from __future__ import annotations

import argparse
import asyncio
import importlib
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

from neurons import program
from neurons.engine.base import EngineError
from neurons.identity import Identity
from neurons.miner.hardware import HardwareService, machines
from subnets.hardware.chain import FASTEST, SLOWEST, EngineTrouble, NumpyMachine, shape_of
from subnets.hardware.judge import MARGIN
from subnets.hardware.measure import claim_of, measure


def hardware_options(made: program.Options) -> None:
    """The options of a miner."""
    made.add_argument(
        "--hardware-rate",
        type=program.whole(SLOWEST, FASTEST),
        metavar="RATE",
        help="the hardware class to claim, in multiply-adds a second; default: measured at the "
        "start, see `neuron-miner hardware`",
    )
    made.add_argument(
        "--no-hardware", action="store_true", help="claim no hardware class and take no challenges"
    )


async def hardware_service(
    options: argparse.Namespace,
    identity: Identity,
    may_ask: Callable[[bytes], bool],
    stack: AsyncExitStack,
) -> HardwareService | None:
    """What answers challenges; its class is measured in the background unless it was given."""
    if options.no_hardware:
        return None
    rate = options.hardware_rate or 0
    machine = machines()[-1] if rate else NumpyMachine()
    service = HardwareService(identity, machine, may_ask, rate)
    settling = asyncio.create_task(service.settle_class())
    stack.callback(settling.cancel)
    return service


def measure_hardware(argv: Sequence[str]) -> int:
    """`neuron-miner hardware`: measure this machine and say which class it may claim."""
    parser = argparse.ArgumentParser(
        "neuron-miner hardware", description="Measure which hardware class this machine may claim."
    )
    parser.add_argument(
        "--engine", choices=("exact", "hf"), default="exact", help="hf: with torch, as that engine"
    )
    return program.tell_errors(lambda: _measured(parser.parse_args(argv).engine))


def _measured(engine: str) -> int:
    try:
        if engine == "hf":
            importlib.import_module("torch")
        rates = [(measure(machine), machine.name) for machine in machines()]
    except (ImportError, EngineTrouble) as e:
        raise EngineError(f"this cannot be measured: {e}; --engine exact needs only numpy") from e
    for rate, name in rates:
        print(f"{name}: {rate / 1e9:.1f} billion multiply-adds a second")  # noqa: T201
    claim = claim_of(max(rates)[0])
    shape = shape_of(claim)
    print(  # noqa: T201
        f"--hardware-rate {claim}: {MARGIN} times the best; a challenge is {shape.steps} products "
        f"of {shape.size} x {shape.size} matrices"
    )
    return 0
