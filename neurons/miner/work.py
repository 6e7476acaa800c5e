"""What a miner does for the markets of the chain beside answering: jobs and intents."""

from __future__ import annotations

import argparse
from contextlib import AsyncExitStack
from pathlib import Path

from neurons import program
from neurons.chainlink import ChainLink
from neurons.miner.intents import intent_options, watch_intents
from neurons.miner.jobs import job_options, watch_jobs
from neurons.miner.server import MinerApp
from neurons.miner.tasks import TaskFile
from neurons.miner.textgen import TextService


def work_options(made: program.Options) -> None:
    """The options of both."""
    job_options(made)
    intent_options(made)
    made.add_argument(
        "--task-file",
        type=Path,
        metavar="FILE",
        help="where tasks and results of jobs and intents are kept; default: "
        "ganglion-tasks-HOTKEY.db",
    )


async def watch_work(
    options: argparse.Namespace,
    chain: ChainLink,
    service: TextService | None,
    app: MinerApp,
    stack: AsyncExitStack,
) -> None:
    """Work until the stack unwinds, if the options want it."""
    if service is None or not (options.jobs or options.fill_intents):
        return
    address = chain.hotkey.address
    file = TaskFile(options.task_file or Path(f"ganglion-tasks-{address}.db"))
    stack.callback(file.close)
    file.forget_old()
    if options.jobs:
        app.add_routes((await watch_jobs(options, chain, service, file, stack)).routes())
    if options.fill_intents:
        app.add_routes((await watch_intents(options, chain, service, file, stack)).routes())
