"""async-substrate-interface 2.2.1, unmodified: the asynchronous class in every cell.

It counts nonces by itself, those of refused transactions included, so no cell submits anything
that the chain may refuse.
"""

from __future__ import annotations

import asyncio
import sys
import time
from hashlib import blake2b

from async_substrate_interface import AsyncSubstrateInterface, SubstrateInterface
from bittensor_wallet import Keypair
from kit import ask_for_restart, cell, run

URL = sys.argv[1]
LOOP = asyncio.new_event_loop()
ALICE, BOB = Keypair.create_from_uri("//Alice"), Keypair.create_from_uri("//Bob")
OWNER = Keypair.create_from_uri("//AsyncSubstrateInterface//owner")
MINER = Keypair.create_from_uri("//AsyncSubstrateInterface//miner")


def plain(answer):
    """The value of a query's answer, whether it comes wrapped or not."""
    return getattr(answer, "value", answer)


class Context:
    node = None
    netuid = None

    def call(self, coroutine):
        return LOOP.run_until_complete(asyncio.wait_for(coroutine, 120))

    def open(self):
        self.node = AsyncSubstrateInterface(url=URL, ss58_format=42)
        self.call(self.node.initialize())

    async def _send(self, key, module, function, args):
        call = await self.node.compose_call(module, function, args)
        signed = await self.node.create_signed_extrinsic(call, key, era={"period": 64})
        receipt = await self.node.submit_extrinsic(signed, wait_for_inclusion=True)
        events = [event["event_id"] for event in await receipt.triggered_events]
        assert await receipt.is_success, f"{module}.{function}: {await receipt.error_message}"
        return receipt, events

    def send(self, key, module, function, **args):
        """The receipt of a call that succeeded, and the names of its events."""
        return self.call(self._send(key, module, function, args))

    def sudo(self, module, function, **args):
        inner = self.call(self.node.compose_call(module, function, args))
        receipt, _ = self.send(ALICE, "Sudo", "sudo", call=inner)
        for event in self.call(receipt.triggered_events):
            if event["event_id"] == "Sudid":
                assert "Err" not in event["attributes"]["sudo_result"], f"{function}: {event}"

    def query(self, item, *keys, module="SubtensorModule"):
        return plain(self.call(self.node.query(module, item, list(keys))))

    def free(self, key):
        return self.query("Account", key.ss58_address, module="System")["data"]["free"]


@cell
def connect(ctx):
    ctx.open()
    with SubstrateInterface(url=URL, ss58_format=42) as node:
        assert node.get_block_hash(0) == ctx.call(ctx.node.get_block_hash(0))
    return f"block {ctx.call(ctx.node.get_block_number())}"


@cell
def read(ctx):
    assert ctx.free(ALICE) > 10**9

    async def networks():
        rows = await ctx.node.query_map("SubtensorModule", "NetworksAdded")
        return [netuid async for netuid, added in rows if plain(added)]

    found = ctx.call(networks())
    assert 1 in found
    info = ctx.call(ctx.node.runtime_call("SubnetInfoRuntimeApi", "get_metagraph", [1]))
    assert plain(info)["netuid"] == 1
    constant = ctx.call(ctx.node.get_constant("Balances", "ExistentialDeposit"))
    assert plain(constant) == 500
    return f"networks {found}"


@cell
def subscribe(ctx):
    seen = []

    async def handler(header):
        seen.append(header["header"]["number"])
        return seen if len(seen) >= 3 else None

    ctx.call(ctx.node.subscribe_block_headers(handler))
    assert seen == sorted(seen)
    return f"blocks {seen}"


@cell
def transfer(ctx):
    before = ctx.free(BOB)
    to = {"dest": BOB.ss58_address, "value": 10**9}
    receipt, events = ctx.send(ALICE, "Balances", "transfer_keep_alive", **to)
    assert ctx.free(BOB) - before == 10**9
    assert "Transfer" in events, events
    fee = ctx.call(receipt.total_fee_amount)
    assert fee > 0
    return f"fee {fee} rao"


@cell
def sudo_hyperparameter(ctx):
    ctx.sudo("AdminUtils", "sudo_set_admin_freeze_window", window=0)
    ctx.sudo("AdminUtils", "sudo_set_tempo", netuid=1, tempo=99)
    assert ctx.query("Tempo", 1) == 99
    ctx.sudo("AdminUtils", "sudo_set_network_rate_limit", rate_limit=0)
    ctx.sudo("AdminUtils", "sudo_set_tx_rate_limit", tx_rate_limit=0)
    ctx.sudo("AdminUtils", "sudo_set_start_call_delay", delay=0)


@cell
def register_subnet(ctx):
    ctx.sudo("Balances", "force_set_balance", who=BOB.ss58_address, new_free=10**15)
    receipt, _ = ctx.send(BOB, "SubtensorModule", "register_network", hotkey=OWNER.ss58_address)
    for event in ctx.call(receipt.triggered_events):
        if event["event_id"] == "NetworkAdded":
            ctx.netuid = event["attributes"][0]
    assert ctx.netuid is not None
    for name, value in (
        ("sudo_set_commit_reveal_weights_enabled", {"enabled": False}),
        ("sudo_set_weights_set_rate_limit", {"weights_set_rate_limit": 0}),
    ):
        ctx.sudo("AdminUtils", name, netuid=ctx.netuid, **value)
    ctx.send(BOB, "SubtensorModule", "start_call", netuid=ctx.netuid)
    return f"netuid {ctx.netuid}"


@cell
def register_neuron(ctx):
    given = {"netuid": ctx.netuid, "hotkey": MINER.ss58_address}
    ctx.send(BOB, "SubtensorModule", "burned_register", **given)
    uid = ctx.query("Uids", ctx.netuid, MINER.ss58_address)
    assert uid is not None
    return f"uid {uid}"


@cell
def serve_axon(ctx):
    for key in (MINER, OWNER):
        ctx.sudo("Balances", "force_set_balance", who=key.ss58_address, new_free=10**11)
    address = {"version": 1, "ip": (203 << 24) | (113 << 8) | 7, "port": 8091, "ip_type": 4}
    rest = {"protocol": 4, "placeholder1": 0, "placeholder2": 0}
    ctx.send(MINER, "SubtensorModule", "serve_axon", netuid=ctx.netuid, **address, **rest)
    assert ctx.query("Axons", ctx.netuid, MINER.ss58_address)["port"] == 8091


@cell
def stake(ctx):
    place = {"hotkey": OWNER.ss58_address, "netuid": ctx.netuid}
    before = ctx.query("TotalHotkeyAlpha", *place.values())
    ctx.send(BOB, "SubtensorModule", "add_stake", **place, amount_staked=10 * 10**9)
    after = ctx.query("TotalHotkeyAlpha", *place.values())
    assert after > before
    _, events = ctx.send(BOB, "SubtensorModule", "remove_stake", **place, amount_unstaked=10**9)
    assert "StakeRemoved" in events, events
    return f"{after - before} rao of alpha"


@cell
def commitment(ctx):
    info = {"fields": [[{"Raw5": "0x68656c6c6f"}]]}
    ctx.send(MINER, "Commitments", "set_commitment", netuid=ctx.netuid, info=info)
    stored = ctx.query("CommitmentOf", ctx.netuid, MINER.ss58_address, module="Commitments")
    assert stored is not None


@cell
def set_weights(ctx):
    mine, miner = (ctx.query("Uids", ctx.netuid, key.ss58_address) for key in (OWNER, MINER))
    given = {"dests": [miner], "weights": [65535], "version_key": 0}
    ctx.send(OWNER, "SubtensorModule", "set_weights", netuid=ctx.netuid, **given)
    assert [tuple(pair) for pair in ctx.query("Weights", ctx.netuid, mine)] == [(miner, 65535)]


@cell
def commit_reveal(ctx):
    ctx.sudo("AdminUtils", "sudo_set_tempo", netuid=ctx.netuid, tempo=40)  # ten seconds
    ctx.sudo(
        "AdminUtils", "sudo_set_commit_reveal_weights_enabled", netuid=ctx.netuid, enabled=True
    )
    miner, salt = ctx.query("Uids", ctx.netuid, MINER.ss58_address), [1, 2, 3]

    def vec(values):
        return bytes([len(values) << 2]) + b"".join(v.to_bytes(2, "little") for v in values)

    body = OWNER.public_key + ctx.netuid.to_bytes(2, "little")
    body += vec([miner]) + vec([60000]) + vec(salt) + bytes(8)
    digest = "0x" + blake2b(body, digest_size=32).hexdigest()
    ctx.send(OWNER, "SubtensorModule", "commit_weights", netuid=ctx.netuid, commit_hash=digest)
    ((_, epoch, _, _),) = ctx.query("WeightCommits", ctx.netuid, OWNER.ss58_address)
    deadline = time.time() + 60
    while ctx.query("SubnetEpochIndex", ctx.netuid) == epoch:  # a refusal would cost it a nonce
        assert time.time() < deadline
        time.sleep(0.5)
    given = {"uids": [miner], "values": [60000], "salt": salt, "version_key": 0}
    ctx.send(OWNER, "SubtensorModule", "reveal_weights", netuid=ctx.netuid, **given)
    assert ctx.query("WeightCommits", ctx.netuid, OWNER.ss58_address) is None


@cell
def restart(ctx):
    head = ctx.call(ctx.node.get_chain_finalised_head())
    number = ctx.call(ctx.node.get_block_number(head))
    ask_for_restart()
    before = ctx.free(BOB)  # the client reconnects by itself
    assert ctx.call(ctx.node.get_block_hash(number)) == head, "a finalised block changed"
    to = {"dest": BOB.ss58_address, "value": 10**9}
    ctx.send(ALICE, "Balances", "transfer_keep_alive", **to)
    assert ctx.free(BOB) - before == 10**9
    return f"reconnected, block {number} kept"


if __name__ == "__main__":
    run(Context(), URL)
