"""The node's command line: Substrate's flags, those that act.

Parsing is apart from running so that it can be tested and stays quick: the standard library's
parser costs a few milliseconds of a start that has to be short. Every mistake is a `BadOption`
with one sentence.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from chain.sealing import BadSealing, Sealing, parse_sealing

DEV_ACCOUNTS = ("alice", "bob", "charlie", "dave", "eve", "ferdie", "one", "two", "three")
LOCAL_ORIGINS = (
    "http://localhost:*",
    "http://127.0.0.1:*",
    "https://localhost:*",
    "https://127.0.0.1:*",
    "https://polkadot.js.org",
)
LOG_LEVELS = ("error", "warn", "info", "debug", "off")
MIB = 1 << 20


class BadOption(Exception):
    """A flag or value that cannot be used; the message says which and what to give instead."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says, checked."""

    command: str
    chain: str
    base_path: Path | None
    temporary: bool
    accounts: tuple[str, ...]
    sealing: Sealing
    name: str
    pruning: int | None
    rpc_host: str
    rpc_ports: tuple[int, ...]
    rpc_cors: tuple[str, ...] | None
    rpc_unsafe: bool
    rpc_connections: int
    rpc_request: int
    rpc_response: int
    rpc_subscriptions: int
    pool_count: int
    pool_size: int
    ban_seconds: int
    load_state: Path | None
    log: str
    count: int = 0
    yes: bool = False

    @property
    def is_dev(self) -> bool:
        """Whether the developers' tools are on."""
        return self.chain == "dev"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadOption(f"{message[0].upper()}{message[1:]}; --help lists what there is.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="ganglion node",
        description="A node of the chain; on its own with --dev.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "command",
        nargs="?",
        default="run",
        choices=(
            "run",
            "build-spec",
            "export-state",
            "purge-chain",
            "revert",
            "chain-info",
            "fsck",
        ),
        help="what to do (default: run)",
    )
    add("count", nargs="?", type=int, default=1, help="revert: how many blocks")
    add("-y", "--yes", action="store_true", help="purge-chain: do not ask")
    add("--raw", action="store_true", help="build-spec: the raw form, which is the only one")
    add("--dev", action="store_true", help="a chain of one's own: Alice authors, tools are on")
    add("--tmp", action="store_true", help="a fresh chain in a folder that goes when we stop")
    add("-d", "--base-path", type=Path, metavar="DIR", help="where the data lies")
    add("--chain", metavar="SPEC", help="dev, local, or a chain specification in JSON")
    add("--name", default="", metavar="NAME", help="the node's name")
    add("--sealing", metavar="MODE", help="instant, manual, or milliseconds between blocks")
    for account in DEV_ACCOUNTS:
        add(f"--{account}", action="store_true", help=f"author with the key //{account.title()}")
    add("--state-pruning", metavar="N", help="archive, or how many finalised states to keep")
    _add_rpc(add)
    add("--pool-limit", type=int, default=8192, metavar="N", help="transactions in the pool")
    add("--pool-kbytes", type=int, default=20480, metavar="N", help="kilobytes in the pool")
    add("--tx-ban-seconds", type=int, default=1800, metavar="N", help="how long bad ones wait")
    add("--load-state", type=Path, metavar="FILE", help="start from a dumped state")
    add("-l", "--log", default="info", choices=LOG_LEVELS, help="how much to say")
    return parser


def _add_rpc(add: object) -> None:
    assert callable(add)
    add("--rpc-port", type=int, action="append", metavar="PORT", help="9944; may be repeated")
    add("--rpc-external", action="store_true", help="listen on all interfaces")
    add("--rpc-cors", metavar="ORIGINS", help="all, none, or origins with commas between")
    add("--rpc-methods", default="auto", choices=("auto", "safe", "unsafe"))
    add("--rpc-max-connections", type=int, default=2048, metavar="N")
    add("--rpc-max-request-size", type=int, default=15, metavar="MIB")
    add("--rpc-max-response-size", type=int, default=15, metavar="MIB")
    add("--rpc-max-subscriptions-per-connection", type=int, default=1024, metavar="N")


def parse_options(argv: Sequence[str]) -> Options:
    """The options in a command line; raises BadOption."""
    args = _parser().parse_args(argv)
    dev = bool(args.dev) or args.chain == "dev"
    if args.dev and args.chain not in (None, "dev"):
        raise BadOption(f"--dev and --chain {args.chain} exclude each other.")
    accounts = tuple(a for a in DEV_ACCOUNTS if getattr(args, a))
    if not accounts and dev:
        accounts = ("alice",)
    if args.tmp and args.base_path is not None:
        raise BadOption("--tmp and --base-path exclude each other.")
    try:
        sealing = parse_sealing(args.sealing)
    except BadSealing as error:
        raise BadOption(f"{error}.") from None
    external = bool(args.rpc_external)
    return Options(
        command=args.command,
        chain=args.chain or ("dev" if dev else "local"),
        base_path=args.base_path,
        temporary=bool(args.tmp) or (dev and args.base_path is None),
        accounts=accounts,
        sealing=sealing,
        name=args.name,
        pruning=_pruning(args.state_pruning, dev),
        rpc_host="0.0.0.0" if external else "127.0.0.1",
        rpc_ports=tuple(_port(p) for p in args.rpc_port or [9944]),
        rpc_cors=_cors(args.rpc_cors, dev),
        rpc_unsafe=args.rpc_methods == "unsafe" or (args.rpc_methods == "auto" and not external),
        rpc_connections=_positive("--rpc-max-connections", args.rpc_max_connections),
        rpc_request=_positive("--rpc-max-request-size", args.rpc_max_request_size) * MIB,
        rpc_response=_positive("--rpc-max-response-size", args.rpc_max_response_size) * MIB,
        rpc_subscriptions=_positive(
            "--rpc-max-subscriptions-per-connection", args.rpc_max_subscriptions_per_connection
        ),
        pool_count=_positive("--pool-limit", args.pool_limit),
        pool_size=_positive("--pool-kbytes", args.pool_kbytes) * 1024,
        ban_seconds=_natural("--tx-ban-seconds", args.tx_ban_seconds),
        load_state=args.load_state,
        log=args.log,
        count=_positive("revert", args.count),
        yes=bool(args.yes),
    )


def _port(port: int) -> int:
    if not 0 <= port <= 65535:
        raise BadOption(f"--rpc-port {port}: a port is a number from 0 (any free one) to 65535.")
    return port


def _positive(flag: str, value: int) -> int:
    if value < 1:
        raise BadOption(f"{flag} {value}: give a number from 1 up.")
    return value


def _natural(flag: str, value: int) -> int:
    if value < 0:
        raise BadOption(f"{flag} {value}: give a number from 0 up.")
    return value


def _pruning(text: str | None, dev: bool) -> int | None:
    """None keeps every state; a developers' chain does so unless told otherwise."""
    if text is None:
        return None if dev else 256
    if text in ("archive", "archive-canonical"):
        return None
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise BadOption(f"--state-pruning {text}: give archive, or a number of blocks from 1 up.")


def _cors(text: str | None, dev: bool) -> tuple[str, ...] | None:
    if text is None:
        return None if dev else LOCAL_ORIGINS
    if text in ("all", "*"):
        return None
    return () if text in ("none", "null") else tuple(filter(None, text.split(",")))
