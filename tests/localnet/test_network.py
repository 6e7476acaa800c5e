"""A whole network from one command: real processes, real models, emission on chain."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from localnet.plan import PlanError, make_plan

ROOT = Path(__file__).resolve().parents[2]


def up(*args: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ganglion.cli", "localnet", "up", *args]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout)


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    sizes = ("--validators", "2", "--miners", "4", "--epochs", "3")
    done = up(*sizes, "--exit", "--json", "--rpc-port", "0")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    line: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return line


pytestmark = pytest.mark.localnet


def test_it_runs_the_wanted_epochs_on_two_subnets(report: dict[str, Any]) -> None:
    assert report["epochs"] >= 3
    assert report["blocks"] > 0
    assert [s["task"] for s in report["subnets"]] == ["text", "embedding"]


def test_every_miner_was_asked_and_the_honest_ones_verified(report: dict[str, Any]) -> None:
    for subnet in report["subnets"]:
        for miner in subnet["miners"]:
            assert miner["answers"] > 0
            if miner["kind"] == "honest":
                assert (miner["reasons"], miner["complaint"]) == ({}, "")
                assert miner["verified"] == miner["answers"]
            else:
                assert miner["verified"] < miner["answers"]
                assert miner["complaint"].startswith("wrong-")


def test_what_was_asked_of_their_hardware_was_met(report: dict[str, Any]) -> None:
    """The class is one that this machine meets however busy it is."""
    miners = [m for s in report["subnets"] for m in s["miners"]]
    assert all(m["hardware_passes"] == m["hardware_checks"] for m in miners)


def test_the_bad_miner_earns_less_than_a_tenth_of_any_honest_one(report: dict[str, Any]) -> None:
    miners = [m for s in report["subnets"] for m in s["miners"]]
    bad = [m for m in miners if m["kind"] != "honest"]
    honest = [m for m in miners if m["kind"] == "honest"]
    assert len(bad) == 1
    assert len(honest) == 3
    assert all(bad[0]["emission_rao"] * 10 < m["emission_rao"] for m in honest)


def test_every_validator_set_weights_and_earned(report: dict[str, Any]) -> None:
    for subnet in report["subnets"]:
        assert len(subnet["validators"]) == 2
        for validator in subnet["validators"]:
            assert validator["weights_set"] > 0
            assert validator["emission_rao"] > 0


def test_the_same_folder_continues_the_same_network(tmp_path: Path) -> None:
    sizes = ("--validators", "1", "--miners", "1", "--epochs", "1", "--exit", "--json")
    runs = [up(*sizes, "--rpc-port", "0", "--base-path", str(tmp_path)) for _ in range(2)]
    reports = [json.loads(done.stdout.strip().splitlines()[-1]) for done in runs]
    assert [s["netuid"] for s in reports[1]["subnets"]] == [2]
    assert reports[1]["blocks"] > reports[0]["blocks"]
    assert reports[1]["subnets"][0]["miners"][0]["uid"] == 1


def test_a_port_in_use_is_one_sentence() -> None:
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        done = up("--rpc-port", str(s.getsockname()[1]), timeout=30)
    assert done.returncode == 1
    assert "in use" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "args",
    [
        ["--miners", "0"],
        ["--validators", "0"],
        ["--exit"],
        ["--miners", "500"],
        ["--rpc-port", "99999"],
        ["--rpc-port", "0", "--base-path", str(Path(__file__) / "below-a-file")],
    ],
)
def test_what_cannot_be_built_is_one_sentence(args: list[str]) -> None:
    done = up(*args, timeout=30)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_stopping_it_leaves_no_process_behind(tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-m", "ganglion.cli", "localnet", "up", "--rpc-port", "0"]
    command += ["--validators", "1", "--miners", "1", "--base-path", str(tmp_path)]
    child = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        log = tmp_path / "logs" / "node.log"
        deadline = time.monotonic() + 30
        while not (log.exists() and "Imported #2" in log.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        child.send_signal(number)
        child.communicate(timeout=20)
    finally:
        child.kill()
    assert not processes_mentioning(str(tmp_path))


def processes_mentioning(text: str) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if text in line and int(folder.name) != os.getpid():
            found.append(line)
    return found


def test_the_plan_plants_one_fault_and_splits_the_miners() -> None:
    plan = make_plan(2, 4)
    assert [m.kind for m in plan.miners] == ["honest", "honest", "wrong-model", "honest"]
    assert [m.subnet for m in plan.miners] == ["text", "text", "text", "embedding"]
    assert len(plan.validators) == 4
    assert len({n.port for n in plan.neurons}) == 8  # each its own: validators tell, too
    with pytest.raises(PlanError):
        make_plan(0, 1)


def test_an_unknown_fault_is_one_sentence() -> None:
    done = up("--fault", "nonsense", "--rpc-port", "0", "--epochs", "1", "--exit")
    assert done.returncode == 1
    assert done.stderr.startswith("error: --fault nonsense: there is no such fault, but int8, ")
    assert done.stderr.count("\n") == 1
