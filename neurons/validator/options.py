"""The command line of `neuron-validator`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from neurons import program


def parser() -> argparse.ArgumentParser:
    """The command line of a validator."""
    made = program.common_options("neuron-validator", "Check miners and set weights.")
    made.add_argument(
        "--interval", type=program.seconds, default=30.0, help="seconds between rounds"
    )
    made.add_argument(
        "--tokens", type=program.whole(1, 1 << 20), default=256, help="the longest probe answer"
    )
    made.add_argument(
        "--timeout", type=program.seconds, default=30.0, help="seconds a miner may take"
    )
    made.add_argument(
        "--sample",
        type=program.whole(1, 65536),
        default=256,
        help="most miners checked in one round",
    )
    made.add_argument(
        "--state",
        type=Path,
        metavar="FILE",
        help="where scores are kept over restarts; default: ganglion-scores-NETUID-HOTKEY.json",
    )
    made.add_argument(
        "--speed", type=program.share, default=0.25, help="share of the reward for speed"
    )
    made.add_argument(
        "--exponent", type=program.whole(0, 64), default=2, help="weights grow with this power"
    )
    made.add_argument(
        "--load",
        type=program.whole(0, 256),
        default=64,
        metavar="N",
        help="now and then every miner gets N probes at once, all miners together, and is "
        "rewarded by what it carries; 0: never",
    )
    made.add_argument(
        "--load-interval", type=program.seconds, default=900.0, help="seconds between, about"
    )
    _sources(made)
    return made


def _sources(made: argparse.ArgumentParser) -> None:
    """What is judged, reported and taken into account besides answers to probes."""
    made.add_argument("--organic", metavar="URL", help="database of a gateway with this hotkey")
    made.add_argument(
        "--chain-answers",
        action="store_true",
        help="make the answers again that miners give to requests from the chain; takes "
        "--engine exact",
    )
    made.add_argument(
        "--dispute",
        action="store_true",
        help="dispute wrong answers to probes before the chain, for a deposit of the hotkey's "
        "that comes back; takes --engine exact; see docs/disputes.md",
    )
    made.add_argument("--status-host", default="0.0.0.0")
    made.add_argument(
        "--status-port",
        type=program.port_number,
        help="where miners read their scores, and anybody what was measured of all",
    )
    made.add_argument(
        "--report",
        type=program.ip,
        metavar="IP",
        help="take part in the reports of what validators measure; the address to publish",
    )
    made.add_argument(
        "--hardware-interval",
        type=program.seconds,
        default=3600.0,
        help="seconds between two challenges of one miner's hardware",
    )
    made.add_argument(
        "--no-hardware", action="store_true", help="challenge no miner to prove its hardware"
    )
    made.add_argument(
        "--trust",
        type=program.address,
        action="append",
        default=[],
        metavar="ACCOUNT",
        help="an account whose owner you know: miners count by the vouches that lead to it",
    )
    made.add_argument(
        "--prove-weights",
        type=Path,
        metavar="FOLDER",
        help="folder of keys, made by `python -m subnets.zk setup`: write a proof of each vector",
    )


def read_options(argv: Sequence[str]) -> argparse.Namespace:
    """The options; ends the program with a sentence for what does not go together."""
    made = parser()
    options = made.parse_args(argv)
    if options.trust and options.prove_weights is not None:
        made.error(
            "a proof of weights says that they follow from scores alone: leave out --trust or "
            "--prove-weights"
        )
    if options.chain_answers and options.task == "embedding":
        made.error("--chain-answers is for text: leave it out with --task embedding")
    if options.dispute and (options.task, options.engine) != ("text", "exact"):
        made.error("--dispute is for text of --engine exact: nothing else can be judged")
    if options.report is not None and options.status_port is None:
        made.error("--report needs a port where other validators ask: give --status-port")
    return options
