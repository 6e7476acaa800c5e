"""bittensor 9.12.2, unmodified: the synchronous Subtensor's own methods; sudo by its substrate.

Some of it is older than runtime 461 and fails on every such chain: `is_fast_blocks` wants a
constant that is gone, `all_subnets` prices in `Swap.AlphaSqrtPrice`, `get_stake` and `unstake`
shares in `Alpha`.
"""

from __future__ import annotations

import sys
import time

import bittensor as bt
from kit import ask_for_restart, cell, run
from old_sdk import SALT, tao, wallet

URL = sys.argv[1]

ALICE = wallet("//Alice", "//Bittensor9//alice")
OWNER = wallet("//Bob", "//Bittensor9//owner")
MINER = wallet("//Charlie", "//Bittensor9//miner")


def done(answer):
    """Nothing, if the chain said yes: this client answers True, or True and a message."""
    success, message = answer if isinstance(answer, tuple) else (answer, "see the client's log")
    assert success, message


class Context:
    node = None
    netuid = None

    def sudo(self, function, **params):
        chain = self.node.substrate
        inner = chain.compose_call("AdminUtils", function, params)
        call = chain.compose_call("Sudo", "sudo", {"call": inner})
        signed = chain.create_signed_extrinsic(call, ALICE.coldkey)
        receipt = chain.submit_extrinsic(signed, wait_for_inclusion=True)
        assert receipt.is_success, receipt.error_message
        for event in receipt.triggered_events:
            if event["event_id"] == "Sudid":
                assert "Err" not in event["attributes"]["sudo_result"], event

    def uid(self, who):
        return self.node.get_uid_for_hotkey_on_subnet(who.hotkey.ss58_address, self.netuid)

    def stake(self):
        held = self.node.get_stake_for_coldkey(OWNER.coldkey.ss58_address)
        return sum(row.stake.rao for row in held if row.netuid == self.netuid)


@cell
def connect(ctx):
    ctx.node = bt.Subtensor(network=URL)
    return f"block {ctx.node.block}"


@cell
def read(ctx):
    assert ctx.node.get_balance(ALICE.coldkey.ss58_address) > tao(1)
    assert 1 in ctx.node.get_subnets()
    assert {0, 1} <= {subnet.netuid for subnet in ctx.node.get_all_subnets_info()}
    assert ctx.node.subnet(1).netuid == 1
    graph = ctx.node.metagraph(1)
    assert len(graph.hotkeys) == len(ctx.node.neurons_lite(1))
    assert ctx.node.get_subnet_hyperparameters(1).tempo > 0
    assert ctx.node.get_metagraph_info(1).netuid == 1
    return f"{graph.n} neurons in subnet 1"


@cell
def transfer(ctx):
    who = OWNER.coldkey.ss58_address
    before = ctx.node.get_balance(who)
    done(ctx.node.transfer(ALICE, who, tao(1), wait_for_finalization=True))
    assert ctx.node.get_balance(who) - before == tao(1)


@cell
def sudo_hyperparameter(ctx):
    ctx.sudo("sudo_set_admin_freeze_window", window=0)  # before an epoch nothing else may be set
    ctx.sudo("sudo_set_tempo", netuid=1, tempo=99)
    assert ctx.node.tempo(1) == 99
    ctx.sudo("sudo_set_network_rate_limit", rate_limit=0)
    ctx.sudo("sudo_set_tx_rate_limit", tx_rate_limit=0)


@cell
def register_subnet(ctx):
    before = set(ctx.node.get_subnets())
    done(ctx.node.register_subnet(OWNER))
    (ctx.netuid,) = set(ctx.node.get_subnets()) - before
    ctx.sudo("sudo_set_commit_reveal_weights_enabled", netuid=ctx.netuid, enabled=False)
    ctx.sudo("sudo_set_weights_set_rate_limit", netuid=ctx.netuid, weights_set_rate_limit=0)
    done(ctx.node.start_call(OWNER, ctx.netuid))
    return f"netuid {ctx.netuid}"


@cell
def register_neuron(ctx):
    done(ctx.node.burned_register(MINER, ctx.netuid))
    assert ctx.uid(MINER) is not None
    return f"uid {ctx.uid(MINER)}"


@cell
def serve_axon(ctx):
    axon = bt.Axon(wallet=MINER, ip="127.0.0.1", external_ip="203.0.113.7", port=8091)
    done(ctx.node.serve_axon(ctx.netuid, axon))
    (served,) = [n for n in ctx.node.neurons(ctx.netuid) if n.hotkey == MINER.hotkey.ss58_address]
    assert (served.axon_info.ip, served.axon_info.port) == ("203.0.113.7", 8091)


@cell
def stake(ctx):
    before, hotkey = ctx.stake(), OWNER.hotkey.ss58_address
    done(ctx.node.add_stake(OWNER, hotkey, ctx.netuid, tao(10)))
    after = ctx.stake()
    assert after > before
    # Its plain `unstake` reads the stake in its old place first, and finds none.
    done(ctx.node.unstake_all(OWNER, hotkey, ctx.netuid, rate_tolerance=None))
    assert ctx.stake() < after
    return f"{after - before}"


@cell
def commitment(ctx):
    done(ctx.node.set_commitment(MINER, ctx.netuid, "hello"))
    assert ctx.node.get_commitment(ctx.netuid, ctx.uid(MINER)) == "hello"


@cell
def set_weights(ctx):
    uid = ctx.uid(MINER)
    sure = {"wait_for_inclusion": True, "wait_for_finalization": True}
    done(ctx.node.set_weights(OWNER, ctx.netuid, [uid], [1.0], **sure))
    assert dict(ctx.node.weights(ctx.netuid))[ctx.uid(OWNER)] == [(uid, 65535)]


@cell
def commit_reveal(ctx):
    ctx.sudo("sudo_set_tempo", netuid=ctx.netuid, tempo=40)  # ten seconds: the client is slow
    ctx.sudo("sudo_set_commit_reveal_weights_enabled", netuid=ctx.netuid, enabled=True)
    uid = ctx.uid(MINER)
    given = {"salt": SALT, "uids": [uid], "weights": [65535], "wait_for_inclusion": True}
    done(ctx.node.commit_weights(OWNER, ctx.netuid, **given))
    deadline = time.time() + 60
    while not ctx.node.reveal_weights(OWNER, ctx.netuid, **given)[0]:
        assert time.time() < deadline  # too early: the epoch has not come
    assert dict(ctx.node.weights(ctx.netuid))[ctx.uid(OWNER)][0][0] == uid


@cell
def restart(ctx):
    block = ctx.node.block
    ask_for_restart()
    who = OWNER.coldkey.ss58_address
    before = ctx.node.get_balance(who)  # the client reconnects by itself
    done(ctx.node.transfer(ALICE, who, tao(1)))
    assert ctx.node.get_balance(who) - before == tao(1)
    return f"reconnected after block {block}"


if __name__ == "__main__":
    run(Context(), URL)
