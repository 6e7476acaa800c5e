"""substrate-interface 1.8.1, unmodified: every cell through compose_call and receipts."""

from __future__ import annotations

import sys
import time

from kit import ask_for_restart, cell, run
from scalecodec.utils.ss58 import ss58_encode
from substrateinterface import Keypair, SubstrateInterface

URL = sys.argv[1]
ALICE, BOB = Keypair.create_from_uri("//Alice"), Keypair.create_from_uri("//Bob")
OWNER_HOTKEY = Keypair.create_from_uri("//SubstrateInterface//owner")
MINER_HOTKEY = Keypair.create_from_uri("//SubstrateInterface//miner")


class Context:
    def __init__(self):
        self.node = None
        self.netuid = None

    def send(self, key, module, function, **args):
        call = self.node.compose_call(module, function, args)
        extrinsic = self.node.create_signed_extrinsic(call, key, era={"period": 64})
        receipt = self.node.submit_extrinsic(extrinsic, wait_for_inclusion=True)
        assert receipt.is_success, f"{module}.{function}: {receipt.error_message}"
        return receipt

    def sudo(self, module, function, **args):
        call = self.node.compose_call(module, function, args)
        receipt = self.send(ALICE, "Sudo", "sudo", call=call)
        for record in receipt.triggered_events:
            if record.value["event_id"] == "Sudid":
                result = record.value["attributes"]["sudo_result"]
                assert "Err" not in result, f"{module}.{function}: {result}"
        return receipt

    def query(self, item, *keys):
        return self.node.query("SubtensorModule", item, list(keys)).value


@cell
def connect(ctx):
    ctx.node = SubstrateInterface(url=URL, ss58_format=42)
    ctx.node.init_runtime()
    return f"{ctx.node.chain} spec {ctx.node.runtime_version}"


@cell
def read(ctx):
    account = ctx.node.query("System", "Account", [ALICE.ss58_address]).value
    assert account["data"]["free"] > 10**9
    assert ctx.query("TotalNetworks") >= 1
    networks = [n.value for n, added in ctx.node.query_map("SubtensorModule", "NetworksAdded")]
    assert 1 in networks
    assert ctx.node.get_constant("Balances", "ExistentialDeposit").value == 500
    return f"networks {networks}"


@cell
def subscribe(ctx):
    seen = []

    def handler(obj, update_nr, subscription_id):
        seen.append(obj["header"]["number"])
        return seen if len(seen) >= 3 else None

    ctx.node.subscribe_block_headers(handler)
    assert seen == sorted(seen)
    return f"blocks {seen}"


@cell
def transfer(ctx):
    before = ctx.node.query("System", "Account", [BOB.ss58_address]).value["data"]["free"]
    receipt = ctx.send(ALICE, "Balances", "transfer_keep_alive", dest=BOB.ss58_address, value=10**9)
    after = ctx.node.query("System", "Account", [BOB.ss58_address]).value["data"]["free"]
    assert after - before == 10**9, (before, after)
    events = [e.value["event_id"] for e in receipt.triggered_events]
    assert "Transfer" in events, events
    assert receipt.total_fee_amount > 0
    return f"fee {receipt.total_fee_amount} rao"


@cell
def sudo_hyperparameter(ctx):
    ctx.sudo("AdminUtils", "sudo_set_admin_freeze_window", window=0)
    ctx.sudo("AdminUtils", "sudo_set_tempo", netuid=1, tempo=99)
    assert ctx.query("Tempo", 1) == 99
    for function, value in (
        ("sudo_set_network_rate_limit", {"rate_limit": 0}),
        ("sudo_set_tx_rate_limit", {"tx_rate_limit": 0}),
    ):
        ctx.sudo("AdminUtils", function, **value)


@cell
def register_subnet(ctx):
    ctx.sudo("Balances", "force_set_balance", who=BOB.ss58_address, new_free=10**15)
    receipt = ctx.send(BOB, "SubtensorModule", "register_network", hotkey=OWNER_HOTKEY.ss58_address)
    for record in receipt.triggered_events:
        if record.value["event_id"] == "NetworkAdded":
            ctx.netuid = record.value["attributes"][0]
    assert ctx.netuid is not None
    ctx.sudo(
        "AdminUtils", "sudo_set_commit_reveal_weights_enabled", netuid=ctx.netuid, enabled=False
    )
    ctx.sudo(
        "AdminUtils", "sudo_set_weights_set_rate_limit", netuid=ctx.netuid, weights_set_rate_limit=0
    )
    deadline = time.time() + 60
    while True:
        try:
            ctx.send(BOB, "SubtensorModule", "start_call", netuid=ctx.netuid)
            break
        except AssertionError:
            if time.time() > deadline:
                raise
            time.sleep(0.5)
    return f"netuid {ctx.netuid}"


@cell
def register_neuron(ctx):
    ctx.send(
        BOB,
        "SubtensorModule",
        "burned_register",
        netuid=ctx.netuid,
        hotkey=MINER_HOTKEY.ss58_address,
    )
    uid = ctx.query("Uids", ctx.netuid, MINER_HOTKEY.ss58_address)
    assert uid is not None
    return f"uid {uid}"


@cell
def serve_axon(ctx):
    for key in (MINER_HOTKEY, OWNER_HOTKEY):
        ctx.sudo("Balances", "force_set_balance", who=key.ss58_address, new_free=10**11)
    ctx.send(
        MINER_HOTKEY,
        "SubtensorModule",
        "serve_axon",
        netuid=ctx.netuid,
        version=1,
        ip=(203 << 24) | (113 << 8) | 7,
        port=8091,
        ip_type=4,
        protocol=4,
        placeholder1=0,
        placeholder2=0,
    )
    axon = ctx.query("Axons", ctx.netuid, MINER_HOTKEY.ss58_address)
    assert axon["port"] == 8091


@cell
def stake(ctx):
    before = ctx.query("TotalHotkeyAlpha", OWNER_HOTKEY.ss58_address, ctx.netuid)
    ctx.send(
        BOB,
        "SubtensorModule",
        "add_stake",
        hotkey=OWNER_HOTKEY.ss58_address,
        netuid=ctx.netuid,
        amount_staked=10 * 10**9,
    )
    after = ctx.query("TotalHotkeyAlpha", OWNER_HOTKEY.ss58_address, ctx.netuid)
    assert after > before
    ctx.send(
        BOB,
        "SubtensorModule",
        "remove_stake",
        hotkey=OWNER_HOTKEY.ss58_address,
        netuid=ctx.netuid,
        amount_unstaked=10**9,
    )
    return f"{after - before} rao of alpha"


@cell
def commitment(ctx):
    ctx.send(
        MINER_HOTKEY,
        "Commitments",
        "set_commitment",
        netuid=ctx.netuid,
        info={"fields": [[{"Raw5": "0x68656c6c6f"}]]},
    )
    stored = ctx.node.query("Commitments", "CommitmentOf", [ctx.netuid, MINER_HOTKEY.ss58_address])
    assert stored.value is not None


@cell
def set_weights(ctx):
    uid = ctx.query("Uids", ctx.netuid, OWNER_HOTKEY.ss58_address)
    miner = ctx.query("Uids", ctx.netuid, MINER_HOTKEY.ss58_address)
    ctx.send(
        OWNER_HOTKEY,
        "SubtensorModule",
        "set_weights",
        netuid=ctx.netuid,
        dests=[miner],
        weights=[65535],
        version_key=0,
    )
    assert ctx.query("Weights", ctx.netuid, uid) == [(miner, 65535)]


@cell
def commit_reveal(ctx):
    from hashlib import blake2b

    ctx.sudo(
        "AdminUtils", "sudo_set_commit_reveal_weights_enabled", netuid=ctx.netuid, enabled=True
    )
    ctx.sudo("AdminUtils", "sudo_set_tempo", netuid=ctx.netuid, tempo=10)
    miner = ctx.query("Uids", ctx.netuid, MINER_HOTKEY.ss58_address)
    salt = [1, 2, 3]
    who = bytes.fromhex(OWNER_HOTKEY.public_key.hex())

    def vec(values):
        return bytes([len(values) << 2]) + b"".join(v.to_bytes(2, "little") for v in values)

    body = (
        who + ctx.netuid.to_bytes(2, "little") + vec([miner]) + vec([60000]) + vec(salt) + bytes(8)
    )
    commit_hash = "0x" + blake2b(body, digest_size=32).hexdigest()
    ctx.send(
        OWNER_HOTKEY,
        "SubtensorModule",
        "commit_weights",
        netuid=ctx.netuid,
        commit_hash=commit_hash,
    )
    deadline = time.time() + 60
    while True:
        try:
            ctx.send(
                OWNER_HOTKEY,
                "SubtensorModule",
                "reveal_weights",
                netuid=ctx.netuid,
                uids=[miner],
                values=[60000],
                salt=salt,
                version_key=0,
            )
            return
        except Exception:  # too early: the reveal epoch has not come
            if time.time() > deadline:
                raise
            time.sleep(0.5)


@cell
def restart(ctx):
    number = ctx.node.get_block_number(ctx.node.get_chain_finalised_head())
    block_hash = ctx.node.get_block_hash(number)
    ask_for_restart()
    node = SubstrateInterface(url=URL, ss58_format=42)
    assert node.get_block_hash(number) == block_hash, "a finalised block changed"
    ctx.node = node
    ctx.send(ALICE, "Balances", "transfer_keep_alive", dest=BOB.ss58_address, value=10**9)
    return f"block {number} kept"


if __name__ == "__main__":
    assert ss58_encode(ALICE.public_key, 42) == ALICE.ss58_address
    run(Context(), URL)
