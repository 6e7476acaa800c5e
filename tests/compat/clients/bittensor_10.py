"""bittensor 10.5.0, unmodified: the synchronous Subtensor's own methods; sudo by its helper."""

from __future__ import annotations

import sys
import time

import bittensor as bt
from bittensor.core.extrinsics.utils import sudo_call_extrinsic
from kit import ask_for_restart, cell, run
from old_sdk import SALT, tao, wallet

URL = sys.argv[1]

ALICE = wallet("//Alice", "//Bittensor10//alice")
OWNER = wallet("//Bob", "//Bittensor10//owner")
MINER = wallet("//Charlie", "//Bittensor10//miner")


def done(response):
    """The response, if the chain said yes."""
    assert response.success, response.message
    return response


def events(response, name):
    """The fields of the events of this name that a transaction raised."""
    found = [e for e in response.extrinsic_receipt.triggered_events if e["event_id"] == name]
    return [event["attributes"] for event in found]


class Context:
    node = None
    netuid = None

    def sudo(self, function, **params):
        response = done(sudo_call_extrinsic(self.node, ALICE, function, params))
        for fields in events(response, "Sudid"):
            assert "Err" not in fields["sudo_result"], fields

    def uid(self, who):
        return self.node.get_uid_for_hotkey_on_subnet(who.hotkey.ss58_address, self.netuid)

    def stake(self):
        return self.node.get_stake(
            OWNER.coldkey.ss58_address, OWNER.hotkey.ss58_address, self.netuid
        )


@cell
def connect(ctx):
    ctx.node = bt.Subtensor(network=URL)
    assert ctx.node.is_fast_blocks()
    return f"block {ctx.node.block}"


@cell
def read(ctx):
    assert ctx.node.get_balance(ALICE.coldkey.ss58_address) > tao(1)
    assert 1 in ctx.node.get_all_subnets_netuid()
    assert len(ctx.node.all_subnets()) == len(ctx.node.get_all_subnets_info())
    graph = ctx.node.metagraph(1)
    assert len(graph.hotkeys) == len(ctx.node.neurons_lite(1))
    assert ctx.node.get_subnet_hyperparameters(1).tempo > 0
    assert ctx.node.get_metagraph_info(1).netuid == 1
    return f"{graph.n} neurons in subnet 1"


@cell
def transfer(ctx):
    who = OWNER.coldkey.ss58_address
    before = ctx.node.get_balance(who)
    response = done(ctx.node.transfer(ALICE, who, tao(1), wait_for_finalization=True))
    assert ctx.node.get_balance(who) - before == tao(1)
    return f"fee {response.extrinsic_fee}"


@cell
def sudo_hyperparameter(ctx):
    ctx.sudo("sudo_set_admin_freeze_window", window=0)  # before an epoch nothing else may be set
    ctx.sudo("sudo_set_tempo", netuid=1, tempo=99)
    assert ctx.node.tempo(1) == 99
    ctx.sudo("sudo_set_network_rate_limit", rate_limit=0)
    ctx.sudo("sudo_set_tx_rate_limit", tx_rate_limit=0)


@cell
def register_subnet(ctx):
    before = set(ctx.node.get_all_subnets_netuid())
    done(ctx.node.register_subnet(OWNER))
    (ctx.netuid,) = set(ctx.node.get_all_subnets_netuid()) - before
    ctx.sudo("sudo_set_commit_reveal_weights_enabled", netuid=ctx.netuid, enabled=False)
    ctx.sudo("sudo_set_weights_set_rate_limit", netuid=ctx.netuid, weights_set_rate_limit=0)
    done(ctx.node.start_call(OWNER, ctx.netuid))
    return f"netuid {ctx.netuid}"


@cell
def register_neuron(ctx):
    done(ctx.node.burned_register(MINER, ctx.netuid))
    third = wallet("//Dave", "//Bittensor10//third")
    done(ctx.node.burned_register(third, ctx.netuid, mev_protection=True))
    uid = ctx.uid(MINER)
    assert uid is not None
    assert ctx.uid(third) is not None
    return f"uid {uid} in clear, uid {ctx.uid(third)} through the shield"


@cell
def serve_axon(ctx):
    axon = bt.Axon(wallet=MINER, ip="127.0.0.1", external_ip="203.0.113.7", port=8091)
    done(ctx.node.serve_axon(ctx.netuid, axon))
    (served,) = [n for n in ctx.node.neurons(ctx.netuid) if n.hotkey == MINER.hotkey.ss58_address]
    assert (served.axon_info.ip, served.axon_info.port) == ("203.0.113.7", 8091)


@cell
def stake(ctx):
    before = ctx.stake()
    hotkey = OWNER.hotkey.ss58_address
    done(ctx.node.add_stake(OWNER, ctx.netuid, hotkey, tao(10)))
    after = ctx.stake()
    assert after > before
    amount = bt.Balance.from_tao(1).set_unit(ctx.netuid)
    response = done(ctx.node.unstake(OWNER, ctx.netuid, hotkey, amount))
    # Not the stake itself: the subnet's epochs pay its owner more than this every ten blocks.
    ((_, _, tao_paid, alpha, netuid, fee),) = events(response, "StakeRemoved")
    assert tao_paid > 0
    assert (netuid, alpha + fee) == (ctx.netuid, amount.rao)
    return f"{after - before}"


@cell
def commitment(ctx):
    done(ctx.node.set_commitment(MINER, ctx.netuid, "hello"))
    assert ctx.node.get_commitment(ctx.netuid, ctx.uid(MINER)) == "hello"


@cell
def set_weights(ctx):
    uid = ctx.uid(MINER)
    done(ctx.node.set_weights(OWNER, ctx.netuid, [uid], [1.0]))
    assert dict(ctx.node.weights(ctx.netuid))[ctx.uid(OWNER)] == [(uid, 65535)]


@cell
def commit_reveal(ctx):
    ctx.sudo("sudo_set_tempo", netuid=ctx.netuid, tempo=40)  # ten seconds: the client is slow
    ctx.sudo("sudo_set_commit_reveal_weights_enabled", netuid=ctx.netuid, enabled=True)
    uid = ctx.uid(MINER)
    given = {"uids": [uid], "weights": [65535], "salt": SALT}  # revealing normalises
    done(ctx.node.commit_weights(OWNER, ctx.netuid, **given, wait_for_inclusion=True))
    deadline = time.time() + 60
    while not (revealed := ctx.node.reveal_weights(OWNER, ctx.netuid, **given)).success:
        assert time.time() < deadline, revealed.message  # too early: the epoch has not come
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
