"""btcli of bittensor 11.3.0, unmodified: the command line itself, one process a command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from hashlib import blake2b

from kit import NotApplicable, ask_for_restart, cell, run

URL = sys.argv[1]
WALLETS = os.path.join(os.environ["HOME"], "wallets")
SEEDS = {
    "alice": "0xe5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a",
    "bob": "0x398f0c28f98885e046333d4a41c19cee4c37368a9832c6502f6cfd182e2aef89",
}
"""Of the development keys //Alice and //Bob."""


def btcli(*words, wallet="bob", hotkey="default", timeout=180):
    """Run one command; what it printed as JSON."""
    command = ["btcli", "--network", URL, "--fallback-endpoints", "none", "--archive-endpoints"]
    command += ["none", "--wallet", wallet, "--wallet-hotkey", hotkey, "--wallet-path", WALLETS]
    command += ["--json", "--yes", *map(str, words)]
    env = os.environ | {"COLUMNS": "100000", "NO_COLOR": "1"}
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL
    )
    said = done.stdout.strip()
    shown = f"btcli {' '.join(map(str, words))}: {said[-600:]} {done.stderr[-1500:]}"
    assert done.returncode == 0, shown
    answer = json.loads(said)
    assert not (isinstance(answer, dict) and answer.get("success") is False), shown
    return answer


def sudo(function, **args):
    """Call AdminUtils as Alice, through Sudo."""
    btcli("call", f"AdminUtils.{function}", "--args", json.dumps(args), "--sudo", wallet="alice")


class Context:
    netuid = None

    def free(self, wallet):
        return float(btcli("wallet", "balance", wallet=wallet)["free_tao"])

    def subnet(self, *words, **kwargs):
        """A command about the subnet of this run."""
        return btcli(*words, "--netuid", self.netuid, **kwargs)

    def uid(self, hotkey):
        return self.subnet("query", "uid", "--hotkey", hotkey)


@cell
def connect(ctx):
    for name, seed in SEEDS.items():
        btcli("wallet", "regen-coldkey", "--seed", seed, "--no-password", wallet=name)
        btcli("wallet", "new-hotkey", wallet=name)
    btcli("wallet", "new-hotkey", hotkey="miner")
    return f"{len(btcli('subnets', 'list'))} subnets listed"


@cell
def read(ctx):
    assert ctx.free("alice") > 1
    assert btcli("sudo", "get", "--netuid", 1)["tempo"] > 0
    assert [n["uid"] for n in btcli("query", "neurons", "--netuid", 1)] == [0]
    btcli("subnets", "metagraph", 1)
    btcli("subnets", "create-cost")
    return f"{ctx.free('alice')} free"


@cell
def subscribe(ctx):
    raise NotApplicable("no command follows blocks")


@cell
def transfer(ctx):
    before = ctx.free("bob")
    address = btcli("wallet", "show")["coldkey_ss58"]
    sent = btcli("wallet", "transfer", "--dest", address, "--amount", 5, wallet="alice")
    assert ctx.free("bob") - before == 5
    return f"extrinsic {sent['extrinsic_id']}"


@cell
def sudo_hyperparameter(ctx):
    sudo("sudo_set_admin_freeze_window", window=0)  # before an epoch nothing else may be set
    sudo("sudo_set_tempo", netuid=1, tempo=99)
    assert btcli("sudo", "get", "--netuid", 1)["tempo"] == 99
    sudo("sudo_set_owner_hparam_rate_limit", epochs=0)


@cell
def register_subnet(ctx):
    made = btcli("subnets", "create")
    ctx.netuid = made["data"]["netuid"]
    ctx.subnet("sudo", "start")
    ctx.subnet("sudo", "set", "--name", "immunity_period", "--value", 4000)
    assert ctx.subnet("sudo", "get")["immunity_period"] == 4000
    return f"netuid {ctx.netuid}"


@cell
def register_neuron(ctx):
    ctx.subnet("subnets", "register", hotkey="miner")
    assert ctx.uid("miner") == 1
    return "uid 1, through the shield"


@cell
def serve_axon(ctx):
    ctx.subnet("axon", "set", "--ip", "203.0.113.7", "--port", 8091, hotkey="miner")
    axon = btcli("subnets", "metagraph", ctx.netuid)["axons"][1]
    assert (axon["ip"], axon["port"]) == ((203 << 24) | (113 << 8) | 7, 8091), axon


@cell
def stake(ctx):
    def held():
        return ctx.subnet("stake", "show")["stake_amount"]

    before = held()
    ctx.subnet("stake", "add", "--amount", 10)
    after = held()
    assert after > before
    ctx.subnet("stake", "remove", "--amount", 1)
    return f"{after - before} alpha, {basket()} TAO through a fund on root"


def basket():
    """Buy shares of the fund of bob's own hotkey, find them, redeem them; the TAO now on root."""
    btcli("root", "register")
    hotkey = btcli("wallet", "show")["hotkey_ss58"]
    btcli("root", "allocate", "--amount", 20, "--hotkey", hotkey)
    assert btcli("wallet", "balance")["beta_tokens"] == 20
    (fund,) = btcli("root", "list")["funds"]
    assert (fund["hotkey"], fund["beta_total"]) == (hotkey, 20), fund
    btcli("root", "claim", "--hotkey", hotkey)
    assert btcli("wallet", "balance")["beta_tokens"] == 0
    return btcli("stake", "show", "--netuid", 0)["stake_amount"]


@cell
def commitment(ctx):
    info = {"fields": [[{"Raw5": "0x68656c6c6f"}]]}
    given = json.dumps({"netuid": ctx.netuid, "info": info})
    btcli(
        *("call", "Commitments.set_commitment", "--key", "hotkey", "--args", given),
        hotkey="miner",
    )
    said = ctx.subnet("query", "commitment", "--hotkey", "miner")
    assert "hello" in json.dumps(said), said


@cell
def set_weights(ctx):
    ctx.subnet("sudo", "set", "--name", "commit_reveal_weights_enabled", "--value", "false")
    sudo("sudo_set_weights_set_rate_limit", netuid=ctx.netuid, weights_set_rate_limit=0)
    ctx.subnet("weights", "set", "--uids", 1, "--weights", "1.0")
    assert ctx.subnet("query", "weights") == {"0": {"1": 1.0}}


@cell
def commit_reveal(ctx):
    sudo("sudo_set_tempo", netuid=ctx.netuid, tempo=60)
    sudo("sudo_set_commit_reveal_weights_enabled", netuid=ctx.netuid, enabled=True)
    with open(os.path.join(WALLETS, "bob", "hotkeys", "defaultpub.txt")) as file:
        owner = json.load(file)["publicKey"]
    salt = [5, 6, 7]

    def vec(values):
        return bytes([len(values) << 2]) + b"".join(v.to_bytes(2, "little") for v in values)

    body = bytes.fromhex(owner.removeprefix("0x")) + ctx.netuid.to_bytes(2, "little")
    body += vec([1]) + vec([65535]) + vec(salt) + bytes(8)
    given = {
        "netuid": ctx.netuid,
        "commit_hash": "0x" + blake2b(body, digest_size=32).hexdigest(),
    }
    call = ("call", "SubtensorModule.commit_weights", "--key", "hotkey")
    btcli(*call, "--args", json.dumps(given))
    deadline = time.time() + 90
    while True:
        try:
            same = ("--uids", 1, "--weights", 65535, "--salt", "5,6,7")
            ctx.subnet("weights", "reveal", *same)
            return
        except AssertionError:  # too early: the reveal epoch has not come
            if time.time() > deadline:
                raise


@cell
def restart(ctx):
    before = ctx.free("bob")
    ask_for_restart()
    assert ctx.free("bob") == before
    address = btcli("wallet", "show")["coldkey_ss58"]
    btcli("wallet", "transfer", "--dest", address, "--amount", 1, wallet="alice")
    assert ctx.free("bob") > before


if __name__ == "__main__":
    run(Context(), URL)
