"""The random economy: the same seed gives the same state, whatever the process hashes like."""

import json
import os
import subprocess
import sys

import pytest

from localnet.simulator.chain import MemoryChain
from localnet.simulator.cli import run, simulate
from localnet.simulator.crowd import Crowd
from localnet.simulator.world import SetupFailed, Size, account, build, must

SMALL = Size(subnets=4, neurons=12, tempo=25, nominators=20)
ARGUMENTS = ["--subnets", "4", "--neurons", "12", "--tempo", "25", "--json"]


def in_a_process(hash_seed: int, *more: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", "localnet.simulator", *ARGUMENTS, *more],
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_the_same_seed_leads_to_the_same_state():
    first, second = (in_a_process(n, "--blocks", "250", "--seed", "7") for n in (1, 2))
    assert first["state_root"] == second["state_root"]
    assert first["calls"] == second["calls"] > 500
    assert first["epochs"] == second["epochs"] >= 4 * 9


def test_another_seed_leads_elsewhere():
    first, other = (simulate(SMALL, blocks=30, seed=seed) for seed in (1, 2))
    assert first.state_root != other.state_root


def test_everything_the_crowd_does_happens():
    chain = build(SMALL)
    crowd = Crowd(chain, SMALL, seed=3)
    chain.tally = type(chain.tally)()
    for _ in range(200):
        chain.block(crowd.acts)
    assert set(chain.tally.done) >= {
        "add_stake",
        "add_stake_limit",
        "remove_stake",
        "move_stake",
        "swap_stake",
        "transfer_stake",
        "burned_register",
        "claim_root",
        "claim_root_with_hotkey",
        "stake_into_basket",
        "swap_basket",
        "set_children",
        "set_weights",
        "commit_weights",
        "reveal_weights",
        "transfer_keep_alive",
    }
    assert chain.tally.failed.total() < chain.tally.done.total()


def test_a_run_can_be_of_any_size():
    summary = simulate(Size(subnets=1, neurons=2, tempo=2, nominators=1), blocks=3, seed=0)
    assert summary.blocks == 3
    assert summary.entries > 100


def test_a_setup_that_fails_says_why():
    chain = MemoryChain(())
    with pytest.raises(SetupFailed, match="Inability to pay"):
        must(chain, [(account("nobody"), chain.call("start_call", 1))])


def test_twice_compares(capsys):
    arguments = ["--subnets", "1", "--neurons", "4", "--blocks", "3", "--twice", "--json"]
    assert run(arguments) == 0
    told = capsys.readouterr()
    assert len(json.loads(told.out)["state_root"]) == 64
    assert "the same state root" in told.err


@pytest.mark.parametrize("wrong", [["--blocks", "0"], ["--neurons", "257"], ["--seed", "x"]])
def test_wrong_sizes_are_refused(wrong):
    with pytest.raises(SystemExit):
        run(wrong)
