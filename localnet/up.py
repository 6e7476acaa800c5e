"""A network from its node to its last epoch, and what is shown of it meanwhile."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

from localnet.ground import Ground
from localnet.network import Network
from localnet.observer import Observer
from localnet.plan import Options, Plan


def run(ground: Ground, plan: Plan, options: Options, as_json: bool) -> int:
    """Bring the network up on a started node and follow it to its end; the exit code."""
    return asyncio.run(_up(ground, plan, options, as_json))


async def _up(ground: Ground, plan: Plan, options: Options, as_json: bool) -> int:
    task = asyncio.current_task()
    if task is not None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    quiet = as_json or not sys.stderr.isatty()
    async with Network(ground, plan, options, _say) as network:
        observer = await (_watch_quietly(network, options) if quiet else _watch_live(network))
        if as_json:
            sys.stdout.write(json.dumps(observer.report()) + "\n")
        else:
            _print_final(observer, network, options)
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"localnet: {text}\n")
    sys.stderr.flush()


async def _watch_quietly(network: Network, options: Options) -> Observer:
    seen = -1

    def changed(observer: Observer) -> None:
        nonlocal seen
        if observer.epochs != seen:
            seen = observer.epochs
            total = f" of {options.epochs}" if options.epochs else ""
            _say(f"block {observer.block}: {seen}{total} epochs on weights")

    return await network.watch(changed)


async def _watch_live(network: Network) -> Observer:
    from rich.live import Live

    from localnet.view import render

    with Live(refresh_per_second=4) as live:
        return await network.watch(
            lambda o: live.update(render(o, network.url, network.options.tempo))
        )


def _print_final(observer: Observer, network: Network, options: Options) -> None:
    from rich.console import Console

    from localnet.view import render

    Console().print(render(observer, network.url, options.tempo, over=True))
