"""`scripts/simulate`: run a random economy of a size and a seed, and print its state root."""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from chain.pallets.balances_store import TotalIssuance
from chain.pallets.subtensor.storage_network import SubnetEpochIndex
from chain.pallets.system import Account
from chain.runtime.state import iter_items
from ganglion.units import NetUid
from localnet.simulator.chain import MemoryChain
from localnet.simulator.crowd import Crowd
from localnet.simulator.world import Size, build

Step = Callable[[str, int], object]
"""Told what is going on, and how many of the blocks are done."""
MAX_SUBNETS, MAX_NEURONS = 4_000, 256


@dataclass(frozen=True)
class Summary:
    """How a run ended."""

    state_root: str
    blocks: int
    """Of the run, set-up not counted."""
    epochs: int
    calls: int
    """That succeeded; `failed` and `refused` beside them, all set-up not counted."""
    failed: int
    refused: int
    entries: int
    """Keys in the state."""
    seconds: float
    """Processor time of this process, set-up included."""


def simulate(size: Size, blocks: int, seed: int, step: Step = lambda text, done: None) -> Summary:
    """Set up a chain, run `blocks` of random calls on it, and check that no TAO got lost."""
    start = time.process_time()
    chain = build(size, lambda text: step(f"set-up: {text}", 0))
    chain.tally = type(chain.tally)()
    crowd = Crowd(chain, size, seed)
    before = _epochs(chain, size)
    for done in range(1, blocks + 1):
        chain.block(crowd.acts)
        step("blocks", done)
    step("state root", blocks)
    check_issuance(chain)
    tally = chain.tally
    return Summary(
        chain.root().hex(),
        blocks,
        _epochs(chain, size) - before,
        tally.done.total(),
        tally.failed.total(),
        tally.refused.total(),
        len(chain.backend),
        round(time.process_time() - start, 1),
    )


def check_issuance(chain: MemoryChain) -> None:
    """Raise unless the TAO on all accounts is what the currency says has been issued."""
    s = chain.state
    held = sum(info.data.free + info.data.reserved for _, info in iter_items(s, Account))
    if held != s[TotalIssuance]:
        raise RuntimeError(f"accounts hold {held} rao, the issuance is {s[TotalIssuance]}")


def _epochs(chain: MemoryChain, size: Size) -> int:
    return sum(chain.state[SubnetEpochIndex, NetUid(n)] for n in size.netuids)


def run(argv: Sequence[str]) -> int:
    """Run a command line; 0, or 1 when two runs end in different states."""
    args = _parser().parse_args(list(argv))
    gc.set_threshold(200_000, 20, 100)  # as the node has it
    other = _other_process(argv) if args.twice else None
    summary = _shown(Size(args.subnets, args.neurons, args.tempo), args)
    if args.json:
        print(json.dumps({"seed": args.seed, **asdict(summary)}))
    else:
        print(_text(summary))
    if other is None:
        return 0
    answer, _ = other.communicate()
    if other.returncode != 0:
        print("error: the second run broke off; its own words are above", file=sys.stderr)
        return 1
    again = json.loads(answer)["state_root"]
    if again != summary.state_root:
        print(f"error: the second run ended at 0x{again}", file=sys.stderr)
        return 1
    print("the second run, in another process, ended at the same state root", file=sys.stderr)
    return 0


def _other_process(argv: Sequence[str]) -> subprocess.Popen[str]:
    """The same run at the same time, in a process whose sets and dicts hash otherwise."""
    once = [word for word in argv if word not in ("--twice", "--json")]
    return subprocess.Popen(
        [sys.executable, "-m", "localnet.simulator", *once, "--json"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "12345"},
    )


def _shown(size: Size, args: argparse.Namespace) -> Summary:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=args.json) as bar:
        task = bar.add_task("set-up", total=args.blocks)
        return simulate(
            size,
            args.blocks,
            args.seed,
            lambda text, done: bar.update(task, description=text, completed=done),
        )


def _text(summary: Summary) -> str:
    s = summary
    return (
        f"{s.blocks} blocks, {s.epochs} epochs, {s.calls} calls ({s.failed} failed, "
        f"{s.refused} refused), {s.entries} entries, {s.seconds} s\n"
        f"state root 0x{s.state_root}"
    )


def _number(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be between {low} and {high}")
        return value

    return parse


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("--blocks", type=_number(1, 10**9), default=10_000)
    parser.add_argument("--subnets", type=_number(1, MAX_SUBNETS), default=32)
    parser.add_argument("--neurons", type=_number(2, MAX_NEURONS), default=256, help="per subnet")
    parser.add_argument("--tempo", type=_number(2, 50_400), default=360, help="blocks per epoch")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--twice", action="store_true", help="beside it run it in a second process, and compare"
    )
    parser.add_argument("--json", action="store_true", help="one JSON line, no progress bar")
    return parser
