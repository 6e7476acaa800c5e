"""What every neuron program shares: options, keys, logging, and ending cleanly on a signal."""

from __future__ import annotations

import argparse
import asyncio
import logging
import math
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import uvloop
from threadpoolctl import threadpool_limits

from ganglion import ss58
from ganglion.errors import GanglionError, InvalidAddress, WrongPassword
from ganglion.keys import Keypair
from ganglion.rpc import DEFAULT_URL
from ganglion.wallet import Wallet
from neurons.engine.base import KINDS, EngineError

log = logging.getLogger("neuron")

Options = argparse._ActionsContainer
"""A parser, or a group of its options."""

CHAIN_REFRESH_SECONDS = 12.0
BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def common_options(program: str, about: str) -> argparse.ArgumentParser:
    """A parser with the options that miners, validators and gateways share."""
    parser = argparse.ArgumentParser(program, description=about)
    parser.add_argument("--network", default=DEFAULT_URL, help="URL of a node's RPC port")
    parser.add_argument("--netuid", type=netuid, required=True, help="the subnet to work in")
    parser.add_argument("--wallet", default="default", metavar="NAME[/HOTKEY]")
    parser.add_argument("--wallet-path", type=Path, help="folder of wallets")
    parser.add_argument("--uri", help="a secret URI such as //Bob for both keys; for play money")
    parser.add_argument("--task", choices=("text", "embedding"), default="text")
    parser.add_argument("--engine", choices=KINDS, default="exact")
    parser.add_argument("--model", default="tiny", help="a model's name or folder")
    parser.add_argument("--log", default="info", choices=("error", "warning", "info", "debug"))
    return parser


def port_number(text: str) -> int:
    """A --port; 0 picks a free one."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give 0 (any free one) to 65535")
    return int(text)


def ip(text: str) -> str:
    """An address to publish: the chain stores numbers, not names."""
    try:
        return str(ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no IP address, and the chain stores no host names: give 203.0.113.7, say"
        ) from None


def whole(low: int, high: int) -> Callable[[str], int]:
    """A parser of whole numbers from `low` to `high`."""

    def parse(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(
                f"{text!r} does not do: give a whole number from {low} to {high}"
            )
        return int(text)

    return parse


netuid = whole(0, 65535)


def address(text: str) -> str:
    """An account's SS58 address."""
    try:
        ss58.decode(text, prefix=None)
    except InvalidAddress as e:
        raise argparse.ArgumentTypeError(str(e)) from None
    return text


def price(text: str) -> int:
    """Rao per million tokens."""
    if not text.isdecimal() or int(text) >= 1 << 63:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no price: give whole rao per million tokens, 0 or more"
        )
    return int(text)


def share(text: str) -> float:
    """A part of a whole, from 0 to 1."""
    value = _number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share: give a number from 0 to 1")
    return value


def seconds(text: str) -> float:
    """A time that is not over at once."""
    value = _number(text)
    if not 0.001 <= value <= 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: give seconds, 0.001 or more")
    return value


def power(text: str) -> float:
    """How strongly something counts; 0: not at all."""
    value = _number(text)
    if not 0 <= value <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no power: give a number from 0 to 1000")
    return value


def _number(text: str) -> float:
    """NaN for what is none, which lies in no range."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def hotkey_of(options: argparse.Namespace) -> Keypair:
    """The hotkey the options name. GanglionError if it cannot be read."""
    if options.uri:
        return Keypair.from_uri(options.uri)
    return Wallet.named(options.wallet, options.wallet_path).hotkey()


def coldkey_of(options: argparse.Namespace) -> Keypair:
    """The cold key that pays for a registration. GanglionError if it cannot be read."""
    if options.uri:
        return Keypair.from_uri(options.uri)
    wallet = Wallet.named(options.wallet, options.wallet_path)
    try:
        return wallet.coldkey()
    except WrongPassword as e:
        seat = f"{options.netuid} {wallet.name}/{wallet.hotkey_name} -s {wallet.name}"
        raise WrongPassword(f"{e}, or register first: ganglion tx register {seat}") from e


def payer_of(options: argparse.Namespace) -> str:
    """The address that would pay for a registration; no password is needed for that."""
    if options.uri:
        return Keypair.from_uri(options.uri).address
    return Wallet.named(options.wallet, options.wallet_path).coldkeypub().address


def set_up(options: argparse.Namespace) -> None:
    """Logging to standard error, one line an entry."""
    logging.basicConfig(
        level=options.log.upper(),
        stream=sys.stderr,
        force=True,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )


def limit_threads() -> None:
    """One BLAS thread a process unless the environment asks otherwise.

    Many small products gain nothing from threads, and neurons on one machine lose much: threads
    that wait for their part of a product spin. Libraries that are loaded later read the
    environment; those that are loaded already are told.
    """
    if any(name in os.environ for name in BLAS_THREADS):
        return
    for name in BLAS_THREADS:
        os.environ[name] = "1"
    threadpool_limits(1, "blas")


async def until_signalled(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` until it ends or SIGTERM or SIGINT asks it to; its clean-up always runs."""
    task, loop = asyncio.ensure_future(work), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        log.info("stopped")


def tell_errors(work: Callable[[], int]) -> int:
    """Run; what the user can mend is one sentence and exit code 1."""
    try:
        return work()
    except (GanglionError, EngineError, OSError) as e:
        print("error:", " ".join(str(e).split()), file=sys.stderr)  # noqa: T201
        return 1


def run_program(work: Coroutine[Any, Any, None]) -> int:
    """Run an asynchronous program to its end or a signal; the exit code."""

    def run() -> int:
        uvloop.run(until_signalled(work))
        return 0

    return tell_errors(run)
