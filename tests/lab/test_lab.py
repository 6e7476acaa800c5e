"""The laboratory: what attacks earn, that runs repeat, and what the commands print."""

import json
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from localnet.lab import cli, plots
from localnet.lab.cli import run
from localnet.lab.play import play
from localnet.lab.ray_probe import complaint
from localnet.lab.report import Report, report
from localnet.lab.scenario import ScenarioError, build, load, names, options
from localnet.lab.sweep import Job, RayMissing, jobs, sweep, values


def result(name: str, epochs: int = 120, seed: int = 0, **given: object) -> Report:
    return report(play(build(name, given), epochs, seed))  # type: ignore[arg-type]


def per_stake(told: Report, group: str) -> float:
    (found,) = (g.per_stake for g in told.groups if g.group == group)
    assert found is not None
    return found


@pytest.mark.parametrize("seed", range(3))
def test_commit_reveal_makes_copying_a_bad_business(seed: int) -> None:
    public = result("copier", seed=seed, commit_reveal=False)
    hidden = result("copier", seed=seed, commit_reveal=True)
    assert per_stake(public, "copiers") > 1.0
    assert per_stake(hidden, "copiers") < 0.8


def test_the_longer_the_reveal_takes_the_less_a_copy_is_worth() -> None:
    rates = [per_stake(result("copier", reveal_period=p), "copiers") for p in (1, 2, 4)]
    assert rates == sorted(rates, reverse=True)


def test_a_cabal_pays_only_with_a_majority() -> None:
    small, large = result("cabal", share=0.3), result("cabal", share=0.6)
    assert small.attack is not None
    assert large.attack is not None
    assert small.attack.gain < 0 < large.attack.gain
    assert small.attack.dividends < small.attack.honest_dividends


def test_what_a_validator_says_of_itself_changes_nothing() -> None:
    told = result("self_weight")
    assert per_stake(told, "selfish") == pytest.approx(1.0, abs=0.02)


def test_laziness_and_bribes_cost_dividends() -> None:
    assert per_stake(result("lazy", every=10), "lazy") < 0.9
    told = result("bribe")
    assert told.attack is not None
    assert told.attack.dividends < told.attack.honest_dividends
    assert told.attack.incentive > told.attack.honest_incentive


def test_twins_are_paid_for_every_uid() -> None:
    told = result("sybil", uids=16)
    assert told.attack is not None
    assert told.attack.incentive == pytest.approx(16 * told.attack.honest_incentive)
    assert told.attack.cost == 7.5


@pytest.mark.parametrize("name", names())
def test_every_scenario_repeats_and_pays_what_there_is(name: str) -> None:
    first, second = play(build(name), 20, 5), play(build(name), 20, 5)
    assert np.array_equal(first.dividends, second.dividends)
    assert np.array_equal(first.incentive, second.incentive)
    paid = first.dividends.sum(axis=1) + first.incentive.sum(axis=1)
    emission = first.scenario.subnet.emission
    assert (paid <= emission).all()
    assert (paid > emission - 2_000).all()
    assert load(name).__doc__
    assert options(load(name))


def test_newcomers_do_not_inherit() -> None:
    """A uid that changes hands every epoch is never rated under commit-reveal."""
    history = play(build("honest", {"turnover": 1.0}), 10)
    assert history.incentive[2:].sum() == 0


def test_sweep_runs_every_combination_in_order() -> None:
    todo = jobs("copier", {"copiers": 2}, {"drift": ["0.1", "0.3"]}, epochs=20, seeds=2)
    assert todo[1] == Job("copier", (("copiers", 2), ("drift", "0.1")), 20, 1)
    heard = []
    done = sweep(todo, workers=2, after=heard.append)
    assert [o.job for o in done] == todo
    assert len(heard) == 4
    assert done[2].report.as_json() == sweep(todo[2:3], workers=1)[0].report.as_json()


def test_values_of_a_range() -> None:
    assert values("1,x") == ["1", "x"]
    assert values("0.1:0.5:0.2") == [0.1, 0.3, 0.5]
    for wrong in ("a:b:c", "1:0:1", "0:1:0"):
        with pytest.raises(ScenarioError, match="is no range"):
            values(wrong)


def test_run_prints_a_table_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", "cabal", "--epochs", "20"]) == 0
    shown = capsys.readouterr().out
    assert "cabal miners  miner" in shown
    assert "they lose" in shown
    assert run(["run", "cabal", "--epochs", "20", "--json", "--set", "share=0.6"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [g["group"] for g in told["groups"]] == ["honest", "cabal", "miners", "cabal miners"]
    assert told["attack"]["gain"] > 0


def test_sweep_prints_a_line_per_combination(capsys: pytest.CaptureFixture[str]) -> None:
    common = ["sweep", "copier", "--vary", "drift=0.1,0.3", "--epochs", "20", "--seeds", "1"]
    assert run([*common, "--workers", "1"]) == 0
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split()[0] == "drift"
    assert (first.split()[0], second.split()[0]) == ("0.1", "0.3")
    assert run([*common, "--workers", "1", "--json"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_list_names_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list"]) == 0
    shown = capsys.readouterr().out
    for name in names():
        assert f"{name}: " in shown


@pytest.mark.parametrize(
    ("argv", "cause"),
    [
        (["run", "nix"], "no scenario 'nix': name one of"),
        (["run", "missing.py"], "no scenario 'missing.py'"),
        (["run", "cabal", "--set", "share=x"], "option share must be a number, not 'x'"),
        (["run", "cabal", "--set", "members=1.5"], "must be a whole number"),
        (["run", "copier", "--set", "yuma3=maybe"], "must be true or false"),
        (["run", "cabal", "--set", "shar=1"], "has no option 'shar'"),
        (["run", "cabal", "--set", "share"], "write option=value"),
        (["run", "cabal", "--set", "share=1"], "share=1.0: float division by zero"),
        (["run", "cabal", "--set", "share=2"], "a share lies between 0 and 1"),
        (["run", "honest", "--set", "validators=0"], "validators=0: float division"),
        (["run", "honest", "--set", "validators=-1"], "no validators in the group honest"),
        (["run", "honest", "--set", "miners=0"], "needs one miner"),
        (["run", "honest", "--set", "noise=nan"], "noise is 0 or more"),
        (["run", "honest", "--set", "turnover=7"], "turnover from 0 to 1"),
        (["run", "honest", "--set", "reveal_period=0"], "1 epoch or more"),
        (["sweep", "cabal", "--vary", "share=1:x:2"], "is no range"),
    ],
)
def test_mistakes_are_one_sentence(
    argv: list[str], cause: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(argv) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert cause in told
    assert len(told.splitlines()) == 1


def test_a_scenario_is_any_file_with_build(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("x = 1\n")
    with pytest.raises(ScenarioError, match="has no function build"):
        load(str(path))
    path.write_text("from localnet.lab.scenarios.honest import build\n")
    assert build(str(path), {"miners": "8"}).miners[0].count == 8


def test_plots_are_written_or_the_way_out_is_named(tmp_path: Path) -> None:
    history = play(build("copier"), 20)
    if find_spec("matplotlib") is None:
        with pytest.raises(plots.PlotsMissing, match="pip install 'ganglion\\[lab\\]'"):
            plots.save(history, tmp_path)
        return
    written = plots.save(history, tmp_path / "out")
    assert [p.name for p in written] == ["earnings.png", "trust.png", "bonds.png"]
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in written)


def test_a_cluster_runs_the_sweep_or_the_way_out_is_named() -> None:
    todo = jobs("honest", {}, {"miners": [4]}, epochs=5, seeds=1)
    if find_spec("ray") is None:
        with pytest.raises(RayMissing, match="pip install 'ganglion\\[ray\\]'"):
            sweep(todo, workers=1, ray_address="local")
        return
    (outcome,) = sweep(todo, workers=1, ray_address="local")
    assert outcome.report.as_json() == sweep(todo, workers=1)[0].report.as_json()


def test_missing_matplotlib_is_told_before_anything_is_played(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr(cli, "play", None)  # nothing may come so far
    assert run(["run", "honest", "--plots", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        "error: plots need matplotlib: pip install 'ganglion[lab]'\n"
    )


@contextmanager
def answering(words: bytes) -> Iterator[str]:
    """The address of a server that says these words to whoever comes, and then nothing."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            peer, _ = listening.accept()
            with peer:
                peer.sendall(words)
                stop.wait(10)

        server = threading.Thread(target=serve)
        server.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        stop.set()
        server.join()


GREETING = bytes((0, 0, 6, 4, 0, 0, 0, 0, 0)) + bytes((0, 3, 0, 0, 0, 100))


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (b"", "nothing within 0.2 s"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "what answers there is no Ray head"),
        (GREETING, None),
        (GREETING[:5], "nothing within 0.2 s"),
    ],
)
def test_a_cluster_is_asked_for_its_greeting(words: bytes, why: str | None) -> None:
    with answering(words) as address:
        assert complaint(address, 0.2) == why


def test_an_address_without_a_listener_or_a_port_is_told_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert complaint(f"ray://127.0.0.1:{port}") == "Connection refused"
    for wrong in ("here", "127.0.0.1", "127.0.0.1:70000", ":6379", "127.0.0.1:x"):
        assert complaint(wrong) == "write auto, local, host:port or ray://host:port"
    assert complaint("auto") is None


def test_a_silent_cluster_ends_the_sweep_with_one_sentence(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", ModuleType("ray"))
    todo = jobs("honest", {}, {"miners": [4]}, epochs=5, seeds=1)
    with pytest.raises(RayMissing, match="no Ray cluster answers at 127.0.0.1: write auto"):
        sweep(todo, workers=1, ray_address="127.0.0.1")


def test_smoothing_is_a_trailing_mean() -> None:
    assert list(plots.smoothed(np.array([1.0, 3.0, 5.0]), 2)) == [1.0, 2.0, 4.0]
