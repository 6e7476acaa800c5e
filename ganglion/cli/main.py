"""`ganglion`: the entry point, which finds the sub-command and loads nothing else.

Own commands are typer apps; those in `MOUNTED` belong to packages above this one and are looked up
by name when called, each a module with `run(argv)`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

OWN = {
    "wallet": "create, restore, list and show wallets",
    "key": "make and inspect keys",
    "query": "read storage, constants, runtime APIs, accounts and events",
    "tx": "sign and submit: transfer, stake, register, serve, or any call",
    "subnet": "list subnets, show one, its neurons and its metagraph",
    "channel": "pay through channels: open, list, top up, extend, redeem, close",
    "attest": "judge evidence of trusted hardware, from a file or a miner",
    "weights": "show, set, commit and reveal weights",
    "market": "what miners ask for models, and what those cost at least",
    "lease": "lease capacity by the block: order, bid, accept, pay, close",
    "job": "markets of single jobs: list them, work on them, deliver",
    "intent": "sign what you would pay for, and fill what others signed",
    "request": "let the chain ask a model, see who answers, prove an answer",
    "court": "settle by bonds and a jury what no computation decides",
    "bond": "bond miners, and report one that contradicts itself",
    "vouch": "say whom you know to be a person of his own",
    "person": "subnets with one seat a person: gates and credentials",
    "report": "what validators together have measured of miners",
    "explain-error": "say what an error of the chain or of its pool means",
}

MOUNTED = {
    "node": ("chain.cli", "run a node"),
    "localnet": ("localnet.cli", "run a whole network on this machine"),
    "explain": ("chain.explain_cli", "say why a neuron earned what it earned"),
    "lab": ("localnet.lab.cli", "measure and break networks on purpose"),
    "dispute": (
        "neurons.disputes.cli",
        "dispute wrong answers before the chain, defend right ones",
    ),
    "models": ("neurons.models_cli", "the models that subnets serve and check"),
}


def run(argv: Sequence[str] | None = None) -> None:
    """The console script: run the command line and exit with its code."""
    try:
        code = main(sys.argv[1:] if argv is None else list(argv))
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of a pipe, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)


def main(argv: list[str]) -> int:
    """Run a command line; the exit code. Whatever goes wrong is one sentence on standard error."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        sys.stdout.write(usage())
        return 0 if argv else 2
    name, rest = argv[0], argv[1:]
    if name in ("-V", "--version"):
        sys.stdout.write(f"ganglion {version()}\n")
        return 0
    if name in OWN:
        module = import_module("ganglion.cli.own")
        code: int = module.run_own(name, rest)
        return code
    if name in MOUNTED:
        return _run_mounted(name, rest)
    return _unknown(name)


def usage() -> str:
    """The help text."""
    commands = OWN | {name: text for name, (_, text) in MOUNTED.items() if _is_here(name)}
    width = max(map(len, commands))
    lines = [f"  {name:<{width}}  {text}" for name, text in commands.items()]
    return "\n".join(
        [
            "Usage: ganglion COMMAND [ARGS]",
            "",
            *lines,
            "",
            "`ganglion COMMAND --help` says more. The node is --url or $GANGLION_URL,",
            "by default ws://127.0.0.1:9944.",
            "",
        ]
    )


def version() -> str:
    """The installed version of this distribution."""
    found = import_module("importlib.metadata")
    try:
        text: str = found.version("ganglion")
    except found.PackageNotFoundError:
        return "(not installed)"
    return text


def _is_here(name: str) -> bool:
    """Whether the command's module is installed, looked up without importing anything."""
    package, *rest = MOUNTED[name][0].split(".")
    spec = find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    return any(Path(folder, *rest).with_suffix(".py").exists() for folder in folders or ())


def _run_mounted(name: str, argv: list[str]) -> int:
    if not _is_here(name):
        sys.stderr.write(f"error: `ganglion {name}` is not part of this installation\n")
        return 1
    target: Callable[[list[str]], object] = import_module(MOUNTED[name][0]).run
    found = target(argv)
    return found if isinstance(found, int) else 0


def _unknown(name: str) -> int:
    near = get_close_matches(name, [*OWN, *MOUNTED], n=1)
    hint = f"did you mean `ganglion {near[0]}`?" if near else "`ganglion --help` lists them all"
    sys.stderr.write(f"error: there is no command {name!r}: {hint}\n")
    return 2
