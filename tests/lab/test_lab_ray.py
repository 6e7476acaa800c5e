"""Sweeps on a real Ray cluster, where Ray is installed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from localnet.lab.cli import run
from localnet.lab.cluster import RayMissing
from localnet.lab.scenario import ScenarioError
from localnet.lab.sweep import Job, jobs, sweep

pytestmark = pytest.mark.skipif(
    find_spec("ray") is None, reason="needs Ray: pip install 'ganglion[ray]'"
)

CLUSTER = """
import ray
options = dict(include_dashboard=False, object_store_memory=80_000_000, configure_logging=False)
ray.init(num_cpus=1, log_to_driver=False, **options)
print(ray.get_runtime_context().gcs_address, flush=True)
input()
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where a cluster of one worker answers, until the last test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        held = subprocess.Popen(
            [sys.executable, "-c", CLUSTER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert held.stdout is not None
        yield held.stdout.readline().strip()
        held.communicate("\n", timeout=60)


def test_a_cluster_answers_as_one_process_does(address: str) -> None:
    todo = jobs("honest", {}, {"miners": [4, 8]}, epochs=5, seeds=2)
    heard: list[Job] = []
    done = sweep(todo, 1, address, lambda outcome: heard.append(outcome.job))
    assert [o.job for o in done] == todo
    assert sorted(heard, key=todo.index) == todo
    assert [o.report.as_json() for o in done] == [o.report.as_json() for o in sweep(todo, 1)]


def test_a_scenario_that_is_a_file_travels_to_the_workers(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text("from localnet.lab.scenarios.honest import build\n")
    (outcome,) = sweep(jobs("mine.py", {}, {"miners": [4]}, epochs=5, seeds=1), 1, address)
    assert outcome.report.as_json()["epochs"] == 5


def test_what_a_run_raises_is_raised_here(address: str) -> None:
    todo = jobs("honest", {}, {"miners": ["4", "many"]}, epochs=5, seeds=1)
    with pytest.raises(ScenarioError, match="option miners must be a whole number, not 'many'"):
        sweep(todo, 1, address)


def test_the_command_says_in_a_sentence_that_no_cluster_is_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["sweep", "honest", "--vary", "miners=4", "--ray", "127.0.0.1:1"]
    assert run(command) == 2
    said = capsys.readouterr().err.strip()
    assert said == "error: no Ray cluster answers at 127.0.0.1:1: Connection refused"


def test_a_word_that_is_no_address_is_refused() -> None:
    with pytest.raises(RayMissing, match="write auto, local, host:port"):
        sweep(jobs("honest", {}, {"miners": [4]}, epochs=5, seeds=1), 1, "somewhere")
