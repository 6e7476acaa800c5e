"""`ganglion node` and `python -m chain`: running a node, and the chores around its data.

Whatever goes wrong before or while it runs ends in one sentence on standard error and exit
code 1. SIGTERM and Ctrl-C end it cleanly with exit code 0.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import uvloop

from chain.chainspec import BadSpec, ChainSpec, load, preset, preset_id
from chain.node import FullNode, NodeConfig, NodeError
from chain.options import BadOption, Options, parse_options
from chain.pool import Limits
from chain.rpc.server import RpcConfig
from chain.runtime_spec import make_runtime
from chain.store.chain import ChainStore
from chain.store.check import fsck
from chain.store.errors import StoreError
from chain.store.rocks import make_folder
from ganglion.keys import dev_key

log = logging.getLogger("node")

LEVELS = {
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "off": logging.CRITICAL + 1,
}
SPEC_FILE = "spec.json"


def run(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit the process."""
    sys.exit(main(sys.argv[1:] if argv is None else argv))


def main(argv: Sequence[str]) -> int:
    """Run the command line; the exit code."""
    try:
        options = parse_options(argv)
        _set_up_logging(options.log)
        return _COMMANDS[options.command](options)
    except (BadOption, BadSpec, StoreError, NodeFailure) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


class NodeFailure(Exception):
    """The node could not start, or had to stop."""


class _Lines(logging.StreamHandler[TextIO]):
    """Writes lines. A reader that has left, `head` say, or a full disk does not stop the node."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


def _set_up_logging(level: str) -> None:
    """Decisions go to standard error; one line per imported block to standard output."""
    root = logging.getLogger()
    root.handlers.clear()
    to_err = _Lines(sys.stderr)
    to_err.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root.addHandler(to_err)
    root.setLevel(LEVELS[level])
    imported = logging.getLogger("blocks")
    imported.handlers.clear()
    to_out = _Lines(sys.stdout)
    to_out.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    imported.addHandler(to_out)
    imported.propagate = False
    imported.setLevel(logging.INFO)


# -- where the chain comes from and where it lies -------------------------------------------------


def _default_base() -> Path:
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "ganglion-node"


@contextmanager
def _folder(options: Options) -> Iterator[Path]:
    """The base path; a temporary one is removed at the end."""
    if not options.temporary:
        yield options.base_path or _default_base()
        return
    try:
        path = Path(tempfile.mkdtemp(prefix="ganglion-"))
    except OSError as error:
        raise NodeFailure(f"{error.strerror}: set TMPDIR, or give --base-path.") from None
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _chain_folder(base: Path, spec_id: str) -> Path:
    return base / "chains" / spec_id


def _find_spec(options: Options, base: Path) -> ChainSpec:
    """The chain that the options name.

    A built-in chain gets a fresh genesis when its folder is new; that genesis is kept in the
    folder, so that the same chain goes on next time.
    """
    if options.load_state is not None:
        return load(options.load_state)
    if options.chain not in ("dev", "local"):
        return load(Path(options.chain))
    kept = _chain_folder(base, preset_id(options.chain)) / SPEC_FILE
    if kept.exists():
        return load(kept)
    return preset(options.chain, make_runtime())


def _open(options: Options, base: Path, spec: ChainSpec) -> ChainStore:
    """The chain's store, with its specification beside it."""
    folder = _chain_folder(base, spec.id)
    if not options.temporary and not (folder / SPEC_FILE).exists():
        _keep_spec(folder, spec)
    return ChainStore.open(
        folder, spec.genesis, pruning=options.pruning, throwaway=options.temporary
    )


def _keep_spec(folder: Path, spec: ChainSpec) -> None:
    """Write the specification, whole or not at all, before there is a database.

    A built-in chain's genesis is nowhere else, so a database without it could not be opened.
    """
    make_folder(folder)
    draft = folder / (SPEC_FILE + ".new")
    try:
        with draft.open("w") as file:
            json.dump(spec.to_json(), file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(folder / SPEC_FILE)
    except OSError as error:
        raise NodeFailure(
            f"{draft} cannot be written ({error.strerror}): free some disk space, or choose "
            "another folder with --base-path."
        ) from None


# -- commands ----------------------------------------------------------------------------------


def _run_node(options: Options) -> int:
    with _folder(options) as base:
        spec = _find_spec(options, base)
        store = _open(options, base, spec)
        return _serve(options, spec, store)


def _serve(options: Options, spec: ChainSpec, store: ChainStore) -> int:
    """Run a node on a store until a signal, then close both."""
    # State and tries are many small objects without cycles. At Python's own thresholds a full
    # collection of them stalls the node for 200 ms, and small ones cost a block a fifth more. A
    # full block makes fewer than these and frees nearly all of them by itself.
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_until_stopped(options, spec, store))


async def _until_stopped(options: Options, spec: ChainSpec, store: ChainStore) -> int:
    node = FullNode(make_runtime(), spec, store, _node_config(options))
    try:
        await node.start()
    except NodeError as error:
        await node.stop()
        raise NodeFailure(str(error)) from None
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    _announce(node, options)
    gc.freeze()
    gc.enable()
    waiting = asyncio.create_task(stopping.wait())
    await asyncio.wait((waiting, node.fatal), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    failure = node.fatal.exception() if node.fatal.done() else None
    try:
        await node.stop()
    except StoreError as error:
        failure = failure or error
    if isinstance(failure, StoreError):
        raise failure
    if failure is not None:
        log.error("block making failed", exc_info=failure)
        raise NodeFailure("making a block failed; the log above has the details")
    return 0


def _announce(node: FullNode, options: Options) -> None:
    ports = ",".join(map(str, node.server.ports))
    log.info(
        "started chain=%s genesis=0x%s best=%d rpc=ws://%s:%s sealing=%s name=%s",
        node.spec.id,
        node.store.genesis_hash.hex(),
        node.store.best()[1],
        options.rpc_host,
        ports,
        options.sealing.kind,
        options.name or "-",
    )


def _node_config(options: Options) -> NodeConfig:
    return NodeConfig(
        rpc=RpcConfig(
            host=options.rpc_host,
            ports=options.rpc_ports,
            cors=options.rpc_cors,
            max_connections=options.rpc_connections,
            max_request=options.rpc_request,
            max_response=options.rpc_response,
            max_subscriptions=options.rpc_subscriptions,
        ),
        sealing=options.sealing,
        keys=tuple(dev_key(name.title()) for name in options.accounts),
        limits=Limits(options.pool_count, options.pool_size, options.ban_seconds),
        unsafe_rpc=options.rpc_unsafe,
        dev=options.is_dev,
        name=options.name,
    )


def _build_spec(options: Options) -> int:
    spec = (
        preset(options.chain, make_runtime())
        if options.chain in ("dev", "local")
        else load(Path(options.chain))
    )
    _print_json(spec.to_json())
    return 0


def _export_state(options: Options) -> int:
    """The best block's state as a specification that --chain and --load-state take."""
    with _folder(options) as base:
        spec, store = _existing(options, base)
        state = store.state_at(store.best()[0])
        dumped = replace(spec, genesis=dict(state.items()))
        store.close()
    _print_json(dumped.to_json())
    return 0


def _chain_info(options: Options) -> int:
    with _folder(options) as base:
        spec, store = _existing(options, base)
        (best, number), (final, final_number) = store.best(), store.finalized()
        store.close()
    _print_json(
        {
            "chain": spec.id,
            "genesis": "0x" + store.genesis_hash.hex(),
            "best": {"number": number, "hash": "0x" + best.hex()},
            "finalized": {"number": final_number, "hash": "0x" + final.hex()},
        }
    )
    return 0


def _revert(options: Options) -> int:
    with _folder(options) as base:
        _, store = _existing(options, base)
        done = store.revert(options.count)
        number = store.best()[1]
        store.close()
    sys.stdout.write(f"Reverted {done} blocks; the best is now #{number}.\n")
    return 0


def _fsck(options: Options) -> int:
    """Check every block and state of the folder; 1 if anything is wrong."""
    with _folder(options) as base:
        _, store = _existing(options, base)
        report = fsck(store, log.info)
        store.close()
    for problem in report.problems:
        sys.stdout.write(f"{problem}\n")
    sys.stdout.write(
        f"{report.blocks} blocks, {report.states} states, {report.nodes} state nodes, "
        f"{report.keys} keys: {len(report.problems) or 'no'} problems.\n"
    )
    return 1 if report.problems else 0


def _purge_chain(options: Options) -> int:
    with _folder(options) as base:
        folder = _chain_folder(base, _find_spec(options, base).id)
        if not folder.exists():
            raise NodeFailure(f"there is nothing to purge in {folder}.")
        if not options.yes:
            raise NodeFailure(f"this would remove {folder}: add -y to do it.")
        shutil.rmtree(folder)
    sys.stdout.write(f"Removed {folder}.\n")
    return 0


def _existing(options: Options, base: Path) -> tuple[ChainSpec, ChainStore]:
    spec = _find_spec(options, base)
    return spec, ChainStore.open(_chain_folder(base, spec.id), pruning="kept")


def _print_json(value: object) -> None:
    json.dump(value, sys.stdout, indent=2)
    sys.stdout.write("\n")


_COMMANDS: dict[str, Callable[[Options], int]] = {
    "run": _run_node,
    "build-spec": _build_spec,
    "export-state": _export_state,
    "chain-info": _chain_info,
    "revert": _revert,
    "fsck": _fsck,
    "purge-chain": _purge_chain,
}
