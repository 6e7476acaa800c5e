"""`python -m localnet.faulty_miner --kind KIND ...`: a miner with a planted fault.

Everything after `--kind KIND` is as for `neuron-miner`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from localnet.faults import KINDS, WorkerSize, faulty_service
from localnet.hardware_faults import CLASS_CHEAT, cheating_rate
from neurons import program
from neurons.engine.load import load
from neurons.identity import Identity
from neurons.miner.main import Services
from neurons.miner.main import main as miner_main
from subnets.hardware.chain import NumpyMachine


def main(argv: Sequence[str]) -> int:
    """Run a faulty miner; the exit code."""
    parser = argparse.ArgumentParser("localnet.faulty_miner", add_help=False)
    parser.add_argument("--kind", choices=(*KINDS, CLASS_CHEAT), required=True)
    chosen, rest = parser.parse_known_args(argv)
    if chosen.kind == CLASS_CHEAT:  # an honest miner in all but its hardware
        rate = str(cheating_rate(NumpyMachine()))
        return miner_main([*rest, "--hardware-rate", rate])

    def build(options: argparse.Namespace, identity: Identity) -> Services:
        size = WorkerSize(options.pages, options.width)
        return Services(text=faulty_service(chosen.kind, load("exact", "tiny"), identity, size))

    return miner_main(rest, build)


if __name__ == "__main__":
    program.limit_threads()
    sys.exit(main(sys.argv[1:]))
