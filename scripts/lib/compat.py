"""The client matrix: each client in its own environment, all cells against one of our nodes.

scripts/compat [CLIENT...] [--cells a,b] [--endpoint ws://...]; last line `passed P of T`. The exit
code is 0 if all passed, 1 if not, 75 if a client cannot be installed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from localnet.node_process import NodeProcess

ROOT = Path(__file__).resolve().parents[2]
CLIENTS_DIR = ROOT / "tests/compat/clients"
CACHE = ROOT / ".cache/clients"
CELLS = (
    "connect",
    "read",
    "subscribe",
    "transfer",
    "sudo_hyperparameter",
    "register_subnet",
    "register_neuron",
    "serve_axon",
    "stake",
    "commitment",
    "set_weights",
    "commit_reveal",
    "restart",
)


@dataclass(frozen=True)
class ClientSpec:
    """A client: its pinned packages, its script, and `python` or `node`."""

    name: str
    script: str
    packages: tuple[str, ...]
    kind: str = "python"


CLIENTS = (
    ClientSpec(
        "substrate-interface",
        "substrate_interface_1.py",
        ("substrate-interface==1.8.1", "scalecodec==1.2.12"),
    ),
    ClientSpec("bittensor-11", "bittensor_11.py", ("bittensor==11.3.0",)),
    ClientSpec("btcli-11", "btcli_11.py", ("bittensor==11.3.0",)),
    ClientSpec("bittensor-10", "bittensor_10.py", ("bittensor==10.5.0", "bittensor-cli==9.23.2")),
    ClientSpec("btcli-9", "btcli_9.py", ("bittensor==10.5.0", "bittensor-cli==9.23.2")),
    ClientSpec(
        "bittensor-9",
        "bittensor_9.py",
        # A later one brings cyscale, which owns the same import name as this one's scalecodec.
        ("bittensor==9.12.2", "async-substrate-interface==1.5.15"),
    ),
    ClientSpec(
        "async-substrate-interface",
        "async_substrate_interface_2.py",
        ("async-substrate-interface==2.2.1", "bittensor-wallet==4.1.1"),
    ),
    ClientSpec("polkadot-js", "polkadot_js.mjs", ("@polkadot/api@16.5.6",), "node"),
    ClientSpec(
        "papi",
        "papi.mjs",
        ("polkadot-api@2.2.2", "@polkadot-labs/hdkd@0.0.28", "@polkadot-labs/hdkd-helpers@0.0.30"),
        "node",
    ),
)

NO_CLIENT = 75
"""The exit code where a client cannot be installed."""

SAME_PLACE = {"btcli-9": "bittensor-10", "btcli-11": "bittensor-11"}
"""Clients that run in another one's environment."""


def start_node(folder: Path) -> NodeProcess:
    """One of our nodes, on a data folder that survives a restart."""
    flags = ("--dev", "--base-path", str(folder / "data"), "--sealing", "250")
    node = NodeProcess(*flags, log=folder / "node.log")
    node.start()
    node.wait()
    return node


class Unprepared(Exception):
    """A client's packages cannot be had; the message says which and what was said."""


def prepare(client: ClientSpec) -> str:
    """Make the client's environment once; returns the interpreter to run its script with."""
    folder = CACHE / SAME_PLACE.get(client.name, client.name)
    done = folder / ".packages"
    wanted = "\n".join(client.packages)
    if not (done.is_file() and done.read_text() == wanted):
        print(f"preparing {client.name}: {', '.join(client.packages)} ...", file=sys.stderr)
        folder.mkdir(parents=True, exist_ok=True)
        if client.kind == "python":
            install(client, folder, sys.executable, "-m", "venv", str(folder))
            pip = (str(folder / "bin/python"), "-m", "pip", "install", "-q")
            install(client, folder, *pip, *client.packages)
        else:
            (folder / "package.json").write_text('{"type": "module", "private": true}')
            npm = ("npm", "install", "--silent", "--no-audit", "--no-fund")
            install(client, folder, *npm, *client.packages)
        done.write_text(wanted)
    return str(folder / "bin/python") if client.kind == "python" else "node"


def install(client: ClientSpec, folder: Path, *command: str) -> None:
    """Run one step of an installation in `folder`; Unprepared if it fails."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Unprepared(f"{client.name} needs {command[0]}, which is not installed") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise Unprepared(f"{', '.join(client.packages)} cannot be installed: {said}")


def run_client(
    client: ClientSpec, url: str, cells: str, node: NodeProcess | None, verbose: bool
) -> dict:
    """Run one client's cells; returns {cell: {"ok", "note", "seconds"}}."""
    interpreter = prepare(client)
    script = CLIENTS_DIR / client.script
    cwd = Path(tempfile.mkdtemp(prefix=f"ganglion-{client.name}-"))
    if client.kind == "node":  # node resolves packages from the script's own folder
        target = CACHE / client.name / script.name
        shutil.copy(script, target)
        shutil.copy(CLIENTS_DIR / "kit.mjs", CACHE / client.name / "kit.mjs")
        script = target
    env = os.environ | {
        "HOME": str(cwd),
        "PYTHONPATH": str(CLIENTS_DIR),
        "BITTENSOR_RUNTIME_CACHE_DIR": str(cwd / "cache"),
        "PATH": f"{Path(interpreter).parent}:{os.environ['PATH']}",
    }
    results = {}
    with (cwd / "stderr.log").open("w") as errors:
        process = subprocess.Popen(
            [interpreter, str(script), url, cells],
            cwd=cwd,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdin is not None
        for line in process.stdout:
            if not line.startswith("{"):
                continue
            message, _ = json.JSONDecoder().raw_decode(line)  # some clients write on in the line
            if message.get("ask") == "restart":
                if node is not None:
                    node.kill()
                    node.start()
                    node.wait()
                process.stdin.write("\n")
                process.stdin.flush()
            elif "cell" in message:
                results[message["cell"]] = message
                print(
                    f"  {mark(message):4} {message['cell']:20} {message['note'][:110]}", flush=True
                )
        process.wait()
    if verbose or process.returncode:
        print((cwd / "stderr.log").read_text()[-6000:], file=sys.stderr)
    shutil.rmtree(cwd, ignore_errors=True)
    return results


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/compat")
    parser.add_argument("clients", nargs="*", metavar="CLIENT")
    parser.add_argument("--cells", default="", help="comma-separated; default: all")
    parser.add_argument("--endpoint", help="test this node instead of one that we start")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    known = {c.name: c for c in CLIENTS}
    unknown = [n for n in args.clients if n not in known]
    if unknown:
        parser.error(f"no client named {unknown[0]}; there are {', '.join(known)}")
    chosen = [known[n] for n in args.clients] or list(CLIENTS)
    cells = [c for c in CELLS if not args.cells or c in args.cells.split(",")]
    table: dict[str, dict] = {}
    for client in chosen:
        print(f"{client.name} ({', '.join(client.packages)})", flush=True)
        node = None
        folder = Path(tempfile.mkdtemp(prefix="ganglion-compat-"))
        try:
            if args.endpoint is None:
                node = start_node(folder)
            url = args.endpoint or f"ws://127.0.0.1:{node.port}"  # type: ignore[union-attr]
            table[client.name] = run_client(client, url, args.cells, node, args.verbose)
        except Unprepared as error:
            print(f"error: {error}", file=sys.stderr)
            return NO_CLIENT
        finally:
            if node is not None:
                node.kill()
            shutil.rmtree(folder, ignore_errors=True)
    return report(table, cells)


def mark(result: dict | None) -> str:
    """A cell's outcome in one word."""
    if result is None:
        return "missing"
    return {True: "ok", False: "FAIL", None: "n/a"}[result["ok"]]


def report(table: dict[str, dict], cells: list[str]) -> int:
    """Print the matrix.

    A cell that its client's script lacks counts as missed; one that the client has no way to do
    does not count, and its reason is printed.
    """
    width = max(len(n) for n in table)
    print("\n" + " " * width + "  " + " ".join(f"{c[:9]:9}" for c in cells))
    marks = {name: [mark(results.get(c)) for c in cells] for name, results in table.items()}
    for name, row in marks.items():
        print(f"{name:{width}}  " + " ".join(f"{m:9}" for m in row))
    for name, results in table.items():
        for c in cells:
            if c in results and results[c]["ok"] is None:
                print(f"n/a {name} {c}: {results[c]['note']}")
    every = [m for row in marks.values() for m in row]
    passed, total = every.count("ok"), len(every) - every.count("n/a")
    print(f"passed {passed} of {total}")
    return 0 if passed == total else 1


if __name__ == "__main__":
    sys.exit(main())
