"""btcli 9.23.2, unmodified: the command line itself, one process a command, wallets in HOME."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from kit import NotApplicable, ask_for_restart, cell, run

URL = sys.argv[1]
WALLETS = os.path.join(os.environ["HOME"], "wallets")
OWNER_MNEMONIC = "bottom drive obey lake curtain smoke basket hold race lonely fit walk"
"""The phrase of every development key; on its own it is a fresh account."""


def btcli(*words, chain=True, wallet=None, hotkey=None, json_output=True, timeout=120):
    """Run one command; what it printed, as JSON where the command can."""
    command = ["btcli", *map(str, words)]
    if chain:
        command += ["--network", URL]
    if wallet:
        command += ["--wallet-name", wallet, "--wallet-path", WALLETS]
    if hotkey:
        command += ["--hotkey", hotkey]
    if json_output:
        command += ["--json-output"]
    env = os.environ | {"COLUMNS": "100000", "NO_COLOR": "1"}
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL
    )
    said = done.stdout.strip()
    assert done.returncode == 0, f"{' '.join(command)}: {said[-500:]} {done.stderr[-1500:]}"
    assert "Traceback" not in done.stderr, done.stderr[-1500:]
    if not json_output:
        return said
    at = min((i for i in (said.find("{"), said.find("[")) if i >= 0), default=-1)
    assert at >= 0, f"{' '.join(command)} printed no JSON: {said[-500:]} {done.stderr[-500:]}"
    answer, _ = json.JSONDecoder().raw_decode(said[at:])
    if isinstance(answer, dict) and answer.get("success") is False:
        raise AssertionError(f"{' '.join(words[:2])}: {answer}")
    return answer


def until_done(*words, seconds=300, **kwargs):
    """Repeat a command that the chain refuses now and will take later: each try is a block, and
    the window before an epoch has ten."""
    deadline = time.time() + seconds
    while True:
        try:
            return btcli(*words, **kwargs)
        except AssertionError:
            if time.time() > deadline:
                raise


class Context:
    netuid = None

    def free(self, wallet):
        balances = btcli("wallet", "balance", wallet=wallet)["balances"]
        return balances[wallet]["free"], balances[wallet]["coldkey"]

    def neurons(self):
        shown = btcli("subnets", "show", "--netuid", self.netuid, "--no-prompt")
        return {n["hotkey"]: n for n in shown["uids"]}

    def hyperparameter(self, name, netuid=None):
        for row in btcli("sudo", "get", "--netuid", netuid or self.netuid):
            if row["hyperparameter"] == name:
                return row["value"]
        raise AssertionError(f"sudo get shows no {name}")

    def set(self, name, value, wallet="owner", netuid=None):
        until_done(
            "sudo",
            "set",
            "--netuid",
            netuid or self.netuid,
            "--param",
            name,
            "--value",
            value,
            "--no-prompt",
            wallet=wallet,
            hotkey="default",
        )

    def address(self, wallet, hotkey):
        path = os.path.join(WALLETS, wallet, "hotkeys", f"{hotkey}pub.txt")
        with open(path) as file:
            return json.load(file)["ss58Address"]


@cell
def connect(ctx):
    keys = {"chain": False, "hotkey": "default"}
    btcli("wallet", "create", "--uri", "//Alice", "--no-use-password", wallet="alice", **keys)
    for kind in ("coldkey", "hotkey"):  # in JSON these report a failure after a success
        phrase = ("--mnemonic", OWNER_MNEMONIC, "--no-use-password")
        btcli("wallet", f"regen-{kind}", *phrase, wallet="owner", json_output=False, **keys)
    btcli(
        "wallet",
        "new-hotkey",
        "--n-words",
        12,
        "--no-use-password",
        wallet="owner",
        chain=False,
        hotkey="miner",
    )
    listed = btcli("subnets", "list")
    return f"{len(listed['subnets'])} subnets listed"


@cell
def read(ctx):
    free, address = ctx.free("alice")
    assert free > 1
    assert address == "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
    assert ctx.hyperparameter("tempo", 1) > 0
    btcli("subnets", "show", "--netuid", 1, "--no-prompt")
    assert btcli("subnets", "burn-cost")["burn_cost"]["rao"] > 0
    return f"{free} free"


@cell
def subscribe(ctx):
    raise NotApplicable("no command follows blocks")


@cell
def transfer(ctx):
    before, address = ctx.free("owner")
    sent = ("--dest", address, "--amount", 5000, "--no-prompt")
    answer = btcli("wallet", "transfer", *sent, wallet="alice", hotkey="default")
    after, _ = ctx.free("owner")
    assert after - before == 5000, (before, after)
    return f"extrinsic {answer['extrinsic_identifier']}"


@cell
def sudo_hyperparameter(ctx):
    ctx.set("tempo", 99, wallet="alice", netuid=1)
    assert ctx.hyperparameter("tempo", 1) == 99
    return "tempo by sudo"


@cell
def register_subnet(ctx):
    identity = (
        "--subnet-name",
        "matrix",
        "--github-repo",
        "https://github.com/m/m",
        "--email",
        "m@m.org",
        "--subnet-url",
        "https://example.org",
        "--discord-handle",
        "m",
        "--description",
        "d",
        "--logo-url",
        "https://example.org/m.png",
        "--additional-info",
        "a",
    )
    made = btcli("subnets", "create", *identity, "--no-prompt", wallet="owner", hotkey="default")
    ctx.netuid = made["netuid"]
    btcli(
        "subnets",
        "start",
        "--netuid",
        ctx.netuid,
        "--no-prompt",
        wallet="owner",
        hotkey="default",
        json_output=False,
    )
    ctx.set("tempo", 24, wallet="alice")  # the owner's settings freeze for its last ten blocks
    ctx.set("weights_rate_limit", 0, wallet="alice")
    name = btcli("subnets", "get-identity", "--netuid", ctx.netuid)["subnet_name"]
    assert name == "matrix", name
    return f"netuid {ctx.netuid}, through the shield"


@cell
def register_neuron(ctx):
    btcli(
        "subnets", "register", "--netuid", ctx.netuid, "--no-prompt", wallet="owner", hotkey="miner"
    )
    assert ctx.address("owner", "miner") in ctx.neurons()


@cell
def serve_axon(ctx):
    btcli(
        "wallet",
        "transfer",
        "--dest",
        ctx.address("owner", "miner"),
        "--amount",
        1,
        "--no-prompt",
        wallet="alice",
        hotkey="default",
    )
    where = ("--netuid", ctx.netuid, "--ip", "203.0.113.7", "--port", 8091, "--no-prompt")
    btcli("axon", "set", *where, wallet="owner", hotkey="miner", json_output=False)
    seen = btcli("wallet", "overview", "--netuids", ctx.netuid, wallet="owner")
    assert "203.0.113.7:8091" in json.dumps(seen), seen


@cell
def stake(ctx):
    def alpha():
        held = btcli("stake", "list", "--no-prompt", wallet="owner")["stake_info"]
        rows = held.get(ctx.address("owner", "default"), [])
        return sum(row["stake_value"] for row in rows if row["netuid"] == ctx.netuid)

    hotkey = ctx.address("owner", "default")
    before = alpha()
    btcli(
        "stake",
        "add",
        "--amount",
        10,
        "--netuid",
        ctx.netuid,
        "-in",
        hotkey,
        "--unsafe",
        "--no-prompt",
        wallet="owner",
    )
    after = alpha()
    assert after > before, (before, after)
    removed = btcli(
        "stake",
        "remove",
        "--amount",
        1,
        "--netuid",
        ctx.netuid,
        "-in",
        hotkey,
        "--unsafe",
        "--no-prompt",
        wallet="owner",
        hotkey="default",
    )
    assert [row["success"] for row in removed] == [True], removed
    return f"{after - before} alpha, through the shield"


@cell
def commitment(ctx):
    raise NotApplicable("no command sets a commitment")


BROKEN = (
    "`weights commit` asks for a storage item get_commit_reveal_weights_enabled; no chain has it"
)


@cell
def set_weights(ctx):
    ctx.set("commit_reveal_weights_enabled", "false")
    raise NotApplicable(BROKEN)


@cell
def commit_reveal(ctx):
    raise NotApplicable(BROKEN)


@cell
def restart(ctx):
    before, address = ctx.free("owner")
    ask_for_restart()
    assert ctx.free("owner")[0] == before
    btcli(
        "wallet",
        "transfer",
        "--dest",
        address,
        "--amount",
        1,
        "--no-prompt",
        wallet="alice",
        hotkey="default",
    )
    assert ctx.free("owner")[0] > before


if __name__ == "__main__":
    run(Context(), URL)
