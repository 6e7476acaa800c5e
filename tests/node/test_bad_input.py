"""What an operator gets wrong, and what the machine does to the node: one sentence, no traceback.

Each test runs the node as its user does, in a process.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from chain.dev.signing import signed_call, transfer
from chain.executive import Executive
from chain.runtime_spec import make_runtime
from ganglion.keys import dev_key
from localnet.node_process import call

STARTED = re.compile(r"rpc=ws://127\.0\.0\.1:(\d+)")
SMALL_DISK = 300_000


@contextmanager
def node(*flags: str, **more):
    """A node with its output in pipes, killed at the end."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-m", "chain", "--dev", "--rpc-port", "0", *flags]
    process = subprocess.Popen(command, **pipes, **more)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def only_sentence(process: subprocess.Popen[str]) -> str:
    """The one line that a node that cannot go on ends with."""
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in said
    *before, last = said.splitlines()
    assert last.startswith("error: ")
    assert all(" INFO " in line for line in before)
    return last


def port_of(process: subprocess.Popen[str]) -> int:
    line = process.stderr.readline()
    found = STARTED.search(line)
    assert found is not None, line
    return int(found[1])


@pytest.mark.localnet
def test_a_folder_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "file").touch()
    with node("--base-path", str(tmp_path / "file")) as process:
        said = only_sentence(process)
    assert "cannot be made (Not a directory)" in said
    assert "--base-path" in said


@pytest.mark.localnet
def test_a_full_disk_stops_the_node_and_space_lets_it_go_on(tmp_path: Path):
    """A limit on file sizes stands for the disk: writes fail the same way."""
    flags = ("--base-path", str(tmp_path), "--sealing", "10")

    def shrink() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL_DISK, SMALL_DISK))

    with node(*flags, preexec_fn=shrink) as process:
        said = only_sentence(process)
    assert "free some disk space" in said
    with node(*flags) as process:
        first = process.stdout.readline()
    assert int(re.search(r"Imported #(\d+)", first)[1]) > 1


@pytest.mark.localnet
def test_a_reader_that_leaves_does_not_stop_the_node(tmp_path: Path):
    with node("--sealing", "20") as process:
        port = port_of(process)
        process.stdout.readline()
        process.stdout.close()
        seen = int(call(port, "chain_getHeader")["number"], 16)
        while int(call(port, "chain_getHeader")["number"], 16) < seen + 5:
            pass
        process.stdout = open(os.devnull)  # noqa: SIM115 - communicate() wants one
        process.terminate()
        assert process.wait(timeout=30) == 0
        assert "Traceback" not in process.stderr.read()


@pytest.mark.localnet
def test_kill_9_and_the_same_command_go_on(tmp_path: Path):
    """What was in a block is there, nonce and balance with it; a pool dies with its node."""
    flags = ("--base-path", str(tmp_path), "--sealing", "manual")
    alice, dave = dev_key("Alice"), dev_key("Dave")
    with node(*flags) as process:
        port = port_of(process)
        genesis = call(port, "chain_getBlockHash", 0)
        executive = Executive(make_runtime(), bytes.fromhex(genesis[2:]))

        def pay(nonce: int) -> str:
            call = transfer(executive, dave.account_id, 10**9)
            return "0x" + signed_call(executive, alice, call, nonce).hex()

        call(port, "author_submitExtrinsic", pay(0))
        call(port, "dev_newBlock")
        best = call(port, "chain_getHeader")
        call(port, "author_submitExtrinsic", pay(1))
        assert call(port, "account_nextIndex", alice.address) == 2
        process.kill()
        process.wait()
    with node(*flags) as process:
        port = port_of(process)
        assert call(port, "chain_getBlockHash", 0) == genesis
        assert call(port, "chain_getHeader") == best
        assert call(port, "author_pendingExtrinsics") == []
        assert call(port, "account_nextIndex", alice.address) == 1
        call(port, "author_submitExtrinsic", pay(1))
        call(port, "dev_newBlock")
        assert call(port, "account_nextIndex", alice.address) == 2


@pytest.mark.localnet
def test_kill_9_in_the_first_moments_goes_on_too(tmp_path: Path):
    """At whatever point of its start a node is killed, the folder opens again."""
    flags = ("--base-path", str(tmp_path), "--sealing", "20")
    for wait in (0.1, 0.3, 0.4, 0.5, 0.6):
        with node(*flags) as process:
            try:
                process.wait(wait)
            except subprocess.TimeoutExpired:
                process.kill()
    with node(*flags) as process:
        line = process.stdout.readline()
        assert "Imported #" in line, process.communicate()[1]
