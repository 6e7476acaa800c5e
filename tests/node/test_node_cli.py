"""The node's command line: options, and real processes from start to SIGTERM."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from chain.chainspec import BadSpec, load, parse, preset
from chain.cli import main
from chain.options import BadOption, parse_options
from chain.runtime_spec import make_runtime
from chain.sealing import Sealing
from localnet.node_process import call, free_port

IMPORTED = re.compile(r"Imported #(\d+) \(0x([0-9a-f]{64})\)")


def test_dev_needs_nothing_else():
    options = parse_options(["--dev"])
    assert (options.chain, options.accounts, options.temporary) == ("dev", ("alice",), True)
    assert options.sealing == Sealing("slots")
    assert options.rpc_cors is None
    assert options.pruning is None


def test_substrate_flags_mean_what_they_say():
    line = (
        "--chain local --base-path /x --bob --one --sealing 250 --rpc-port 1 --rpc-port 2 "
        "--rpc-external --rpc-cors all --state-pruning 1000 --pool-limit 5 --pool-kbytes 7 "
        "--name me --log debug --rpc-max-connections 3"
    )
    options = parse_options(line.split())
    assert options.accounts == ("bob", "one")
    assert options.sealing == Sealing("interval", 250)
    assert options.rpc_ports == (1, 2)
    assert (options.rpc_host, options.rpc_cors, options.rpc_unsafe) == ("0.0.0.0", None, False)
    assert (options.pruning, options.pool_count, options.pool_size) == (1000, 5, 7168)
    assert not options.temporary


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--nope", "--nope"),
        ("--sealing never", "expected instant"),
        ("--sealing 0", "expected instant"),
        ("--rpc-port 70000", "a port is"),
        ("--rpc-port x", "--rpc-port"),
        ("--state-pruning few", "archive"),
        ("--dev --chain local", "exclude"),
        ("--tmp --base-path x", "exclude"),
        ("--pool-limit 0", "from 1 up"),
        ("mine", "mine"),
    ],
)
def test_bad_flags_are_one_sentence(line: str, words: str, capsys):
    with pytest.raises(BadOption, match=re.escape(words)):
        parse_options(line.split())
    assert main(line.split()) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1


def test_a_specification_survives_its_file(tmp_path: Path):
    spec = preset("local", make_runtime(), nonce=b"x")
    file = tmp_path / "spec.json"
    file.write_text(json.dumps(spec.to_json()))
    assert load(file) == spec
    assert preset("dev", make_runtime()).genesis != preset("dev", make_runtime()).genesis


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"name": "a", "id": "a", "genesis": {"raw": {"top": {}}}},
        {"name": "a", "id": "../a", "genesis": {"raw": {"top": {"0x00": "0x00"}}}},
        {"name": "", "id": "a", "genesis": {"raw": {"top": {"0x00": "0x00"}}}},
        {"name": "a", "id": "a", "genesis": {"raw": {"top": {"0x0": "0x00"}}}},
        {"name": "a", "id": "a", "genesis": {"raw": {"top": {"00": "0x00"}}}},
        {"name": "a", "id": "a", "genesis": {"raw": {"top": {"0x00": 5}}}},
    ],
)
def test_bad_specifications_are_named(data):
    with pytest.raises(BadSpec, match="chain specification here"):
        parse(data, "here")


@contextmanager
def process(*flags: str):
    command = [sys.executable, "-m", "chain", *flags]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = subprocess.Popen(command, **pipes)
    try:
        yield started
    finally:
        if started.poll() is None:
            started.kill()
        started.communicate()


def imported(node: subprocess.Popen) -> tuple[int, str]:
    line = node.stdout.readline()
    found = IMPORTED.search(line)
    assert found is not None, line or node.communicate(timeout=10)[1]
    return int(found[1]), found[2]


@pytest.mark.localnet
def test_a_dev_node_runs_and_ends_on_sigterm():
    port, second = free_port(), free_port()
    ports = ("--rpc-port", str(port), "--rpc-port", str(second))
    with process("--dev", "--tmp", "--sealing", "100", *ports) as node:
        assert [imported(node)[0] for _ in range(3)] == [1, 2, 3]
        number, block = imported(node)
        assert call(port, "chain_getBlockHash", number) == "0x" + block
        assert call(second, "system_chain") == "Development"
        node.send_signal(signal.SIGTERM)
        assert node.wait(timeout=10) == 0


@pytest.mark.localnet
def test_a_chain_goes_on_where_it_stopped(tmp_path: Path):
    flags = ("--dev", "--base-path", str(tmp_path), "--sealing", "50", "--rpc-port", "0")
    with process(*flags) as node:
        for _ in range(3):
            last, _ = imported(node)
        node.send_signal(signal.SIGTERM)
        rest = node.communicate(timeout=10)[0]
        numbers = [int(n) for n, _ in IMPORTED.findall(rest)]
        last = numbers[-1] if numbers else last
    with process(*flags) as node:
        assert imported(node)[0] == last + 1


@pytest.mark.localnet
def test_port_in_use_and_foreign_data_are_one_sentence(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with process("--dev", "--rpc-port", str(port)) as node:
            said = node.communicate(timeout=20)[1]
            assert node.returncode == 1
            assert "the port is in use" in said.splitlines()[-1]
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    for file, nonce in ((one, b"1"), (other, b"2")):
        file.write_text(json.dumps(preset("dev", make_runtime(), nonce=nonce).to_json()))
    data = ("--base-path", str(tmp_path / "data"), "--rpc-port", "0", "--sealing", "50", "--alice")
    with process("--chain", str(one), *data) as node:
        assert imported(node)[0] == 1
        with process("--chain", str(one), *data) as twin:
            said = twin.communicate(timeout=20)[1]
            assert twin.returncode == 1
            assert "in use by another process" in said
    with process("--chain", str(other), *data) as node:
        said = node.communicate(timeout=20)[1]
        assert node.returncode == 1
        assert said.startswith("error: ")
        assert said.count("\n") == 1


@pytest.mark.localnet
def test_chores_around_the_data(tmp_path: Path, capsys):
    base = ("--dev", "--base-path", str(tmp_path))
    with process(*base, "--sealing", "20", "--rpc-port", "0") as node:
        while imported(node)[0] < 6:
            pass
        node.send_signal(signal.SIGTERM)
        node.communicate(timeout=10)
    assert main(["chain-info", *base]) == 0
    info = json.loads(capsys.readouterr().out)
    assert info["best"]["number"] == info["finalized"]["number"] + 2
    assert main(["revert", "1", *base]) == 0
    assert f"the best is now #{info['best']['number'] - 1}" in capsys.readouterr().out
    assert main(["export-state", *base]) == 0
    dump = tmp_path / "dump.json"
    dump.write_text(capsys.readouterr().out)
    with process("--dev", "--load-state", str(dump), "--sealing", "20", "--rpc-port", "0") as node:
        assert imported(node)[0] == 1
    assert main(["purge-chain", *base]) == 1
    assert main(["purge-chain", "-y", *base]) == 0
    assert main(["chain-info", *base]) == 1
    assert main(["build-spec", "--chain", "local"]) == 0
