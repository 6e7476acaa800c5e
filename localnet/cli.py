"""`ganglion localnet up`: the command line of local networks.

It loads little before the node is on its way; what brings up the rest is `localnet.up`.
"""

from __future__ import annotations

import argparse
import signal
import socket
import sys
from asyncio import CancelledError
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from ganglion.errors import GanglionError
from localnet.ground import standing
from localnet.node_process import free_port
from localnet.plan import HONEST, WRONG_MODEL, Options, PlanError, make_plan
from localnet.processes import ProcessFailed

DEFAULT_PORT = 9944


def parser() -> argparse.ArgumentParser:
    """The options of `localnet up`."""
    made = argparse.ArgumentParser("ganglion localnet", description="Run a network here.")
    commands = made.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start a chain, two subnets, miners and validators")
    up.add_argument("--validators", type=int, default=2, metavar="N", help="default: 2")
    up.add_argument("--miners", type=int, default=4, metavar="N", help="default: 4")
    up.add_argument("--epochs", type=int, metavar="N", help="with --exit: stop after N epochs")
    up.add_argument("--exit", action="store_true", help="stop when the epochs are over")
    up.add_argument("--json", action="store_true", help="print one JSON line at the end")
    up.add_argument(
        "--fault",
        default=WRONG_MODEL,
        metavar="KIND",
        help="what the planted bad miner does, a name of docs/verification.md or class-cheat, "
        "see docs/hardware.md; default: wrong-model",
    )
    up.add_argument("--no-fault", action="store_true", help="plant no bad miner")
    up.add_argument(
        "--rpc-port", type=int, default=DEFAULT_PORT, metavar="PORT", help="default: 9944"
    )
    up.add_argument(
        "--sealing", type=int, default=250, metavar="MS", help="between blocks; default: 250"
    )
    up.add_argument(
        "--tempo", type=int, default=20, metavar="BLOCKS", help="between epochs; default: 20"
    )
    up.add_argument("--base-path", type=Path, metavar="DIR", help="keep chain, keys and logs here")
    return made


def run(argv: Sequence[str]) -> int:
    """Run the command line; the exit code. Whatever goes wrong is one sentence."""
    args = parser().parse_args(argv)
    try:
        check_fault(args.fault)
        plan = make_plan(args.validators, args.miners, HONEST if args.no_fault else args.fault)
        options = make_options(args)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupted)
        with standing(options) as ground:
            code: int = import_module("localnet.up").run(ground, plan, options, args.json)
            return code
    except (PlanError, GanglionError, ProcessFailed, OSError) as e:
        sys.stderr.write(f"error: {e}\n")
        return 1
    except (KeyboardInterrupt, CancelledError):
        return 130


def check_fault(kind: str) -> None:
    """Raise PlanError unless there is such a fault; only who asks for another loads them."""
    if kind == WRONG_MODEL:
        return
    kinds = (*import_module("localnet.faults").KINDS, "class-cheat")
    if kind not in kinds:
        raise PlanError(f"--fault {kind}: there is no such fault, but {', '.join(kinds)}")


def make_options(args: argparse.Namespace) -> Options:
    """Check what the arguments ask for; raises PlanError."""
    if args.exit and args.epochs is None:
        raise PlanError("--exit needs to know when: add --epochs N")
    if args.epochs is not None and args.epochs < 1:
        raise PlanError(f"--epochs {args.epochs}: give 1 or more")
    if args.tempo < 2 or args.sealing < 50:
        raise PlanError("--tempo is 2 blocks or more and --sealing 50 ms or more")
    if not 0 <= args.rpc_port <= 65535:
        raise PlanError(f"--rpc-port {args.rpc_port}: a port is 0 (any free one) to 65535")
    port = args.rpc_port or free_port()
    if _is_taken(port):
        raise PlanError(
            f"port {port} is in use: stop what listens there, or choose another with --rpc-port"
        )
    epochs = args.epochs if args.exit else None
    return Options(port, args.sealing, args.tempo, epochs, args.base_path)


def _is_taken(port: int) -> bool:
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _interrupted(*_: object) -> NoReturn:
    raise KeyboardInterrupt
