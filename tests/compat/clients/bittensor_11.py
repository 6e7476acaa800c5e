"""bittensor 11.3.0, unmodified: reads by its namespaces, writes by intents and generated calls."""

from __future__ import annotations

import asyncio
import sys
import time
from types import SimpleNamespace

import bittensor as bt
from bittensor.keyfiles import Keypair
from kit import ask_for_restart, cell, run

URL = sys.argv[1]
LOOP = asyncio.new_event_loop()


def wallet(cold, hot):
    key = Keypair.create_from_uri(cold)
    return SimpleNamespace(
        coldkey=key,
        coldkeypub=Keypair(ss58_address=key.ss58_address),
        hotkey=Keypair.create_from_uri(hot),
    )


ALICE = wallet("//Alice", "//Bittensor11//alice")
OWNER = wallet("//Bob", "//Bittensor11//owner")
MINER = wallet("//Charlie", "//Bittensor11//miner")


class Context:
    client = None
    netuid = None

    def call(self, coroutine):
        return LOOP.run_until_complete(asyncio.wait_for(coroutine, 120))

    def open(self):
        self.client = bt.Client(URL, fallback_endpoints=[], archive_endpoints=[])
        self.call(self.client.connect())

    def submit(self, call, who=ALICE, sudo=False, signer="coldkey"):
        async def go():
            made = call
            if sudo:
                made = bt.calls.Sudo.sudo(call=await self.client.compose(call))
            result = await self.client.submit_call(made, who, signer=signer)
            assert result.success, result.message
            return result

        return self.call(go())

    def execute(self, intent, who):
        result = self.call(self.client.execute(intent, who))
        assert result.success, result.message
        return result

    def query(self, item, *keys):
        return self.call(self.client.query(item, list(keys)))


@cell
def connect(ctx):
    ctx.open()
    return (
        f"spec {ctx.call(ctx.client.spec_version())}"
        if callable(ctx.client.spec_version)
        else "connected"
    )


@cell
def read(ctx):
    balance = ctx.call(ctx.client.balances.get(ALICE.coldkeypub.ss58_address))
    assert balance.tao > 1
    subnets = ctx.call(ctx.client.subnets.all())
    assert any(s.netuid == 1 for s in subnets)
    ctx.call(ctx.client.neurons.all(netuid=1))
    graph = ctx.call(ctx.client.read("metagraph", netuid=1))
    assert graph is not None
    return f"{len(subnets)} subnets"


@cell
def subscribe(ctx):
    async def go():
        seen = []
        async for header in ctx.client.blocks():
            seen.append(getattr(header, "number", header))
            if len(seen) == 3:
                return seen
        return seen

    return f"blocks {ctx.call(go())}"


@cell
def transfer(ctx):
    who = OWNER.coldkeypub.ss58_address
    before = ctx.call(ctx.client.balances.get(who)).tao
    result = ctx.execute(bt.Transfer(dest_ss58=who, amount_tao=1), ALICE)
    after = ctx.call(ctx.client.balances.get(who)).tao
    assert after - before == 1, (before, after)
    return f"block {result.block_hash}"


@cell
def sudo_hyperparameter(ctx):
    for call in (
        bt.calls.AdminUtils.sudo_set_admin_freeze_window(window=0),
        bt.calls.AdminUtils.sudo_set_tempo(netuid=1, tempo=99),
        bt.calls.AdminUtils.sudo_set_network_rate_limit(rate_limit=0),
        bt.calls.AdminUtils.sudo_set_tx_rate_limit(tx_rate_limit=0),
        bt.calls.AdminUtils.sudo_set_owner_hparam_rate_limit(epochs=0),
        bt.calls.AdminUtils.sudo_set_start_call_delay(delay=0),
    ):
        ctx.submit(call, sudo=True)
    assert ctx.query(bt.storage.SubtensorModule.Tempo, 1) == 99


@cell
def register_subnet(ctx):
    before = {s.netuid for s in ctx.call(ctx.client.subnets.all())}
    ctx.execute(bt.RegisterSubnet(hotkey_ss58=OWNER.hotkey.ss58_address), OWNER)
    ctx.netuid = max({s.netuid for s in ctx.call(ctx.client.subnets.all())} - before)
    ctx.execute(bt.StartCall(netuid=ctx.netuid), OWNER)
    for call in (
        bt.calls.AdminUtils.sudo_set_commit_reveal_weights_enabled(
            netuid=ctx.netuid, enabled=False
        ),
        bt.calls.AdminUtils.sudo_set_weights_set_rate_limit(
            netuid=ctx.netuid, weights_set_rate_limit=0
        ),
        bt.calls.AdminUtils.sudo_set_min_allowed_weights(netuid=ctx.netuid, min_allowed_weights=0),
    ):
        ctx.submit(call, sudo=True)
    return f"netuid {ctx.netuid}"


@cell
def register_neuron(ctx):
    ctx.execute(bt.BurnedRegister(netuid=ctx.netuid), MINER)
    uid = ctx.query(bt.storage.SubtensorModule.Uids, ctx.netuid, MINER.hotkey.ss58_address)
    assert uid is not None
    return f"uid {uid}, through the shield"


@cell
def serve_axon(ctx):
    ctx.execute(bt.ServeAxon(netuid=ctx.netuid, ip="203.0.113.7", port=8091), MINER)
    axon = ctx.query(bt.storage.SubtensorModule.Axons, ctx.netuid, MINER.hotkey.ss58_address)
    assert axon["port"] == 8091


@cell
def stake(ctx):
    item = bt.storage.SubtensorModule.TotalHotkeyAlpha
    before = ctx.query(item, OWNER.hotkey.ss58_address, ctx.netuid)
    ctx.execute(
        bt.AddStake(
            hotkey_ss58=OWNER.hotkey.ss58_address,
            netuid=ctx.netuid,
            amount_tao=10,
            slippage_protection=False,
        ),
        OWNER,
    )
    after = ctx.query(item, OWNER.hotkey.ss58_address, ctx.netuid)
    assert after > before
    ctx.execute(
        bt.RemoveStake(
            hotkey_ss58=OWNER.hotkey.ss58_address,
            netuid=ctx.netuid,
            amount_alpha=1,
            slippage_protection=False,
        ),
        OWNER,
    )
    return f"{after - before} rao of alpha"


@cell
def commitment(ctx):
    call = bt.calls.Commitments.set_commitment(
        netuid=ctx.netuid, info={"fields": [[{"Raw5": "0x68656c6c6f"}]]}
    )
    ctx.submit(call, MINER, signer="hotkey")
    assert (
        ctx.query(bt.storage.Commitments.CommitmentOf, ctx.netuid, MINER.hotkey.ss58_address)
        is not None
    )


@cell
def set_weights(ctx):
    uid = ctx.query(bt.storage.SubtensorModule.Uids, ctx.netuid, MINER.hotkey.ss58_address)
    ctx.execute(bt.intents.SetWeights(netuid=ctx.netuid, weights={uid: 1.0}), OWNER)
    mine = ctx.query(bt.storage.SubtensorModule.Uids, ctx.netuid, OWNER.hotkey.ss58_address)
    assert ctx.query(bt.storage.SubtensorModule.Weights, ctx.netuid, mine) == [(uid, 65535)]


@cell
def commit_reveal(ctx):
    from hashlib import blake2b

    for call in (
        bt.calls.AdminUtils.sudo_set_tempo(netuid=ctx.netuid, tempo=10),
        bt.calls.AdminUtils.sudo_set_commit_reveal_weights_enabled(netuid=ctx.netuid, enabled=True),
    ):
        ctx.submit(call, sudo=True)
    uid = ctx.query(bt.storage.SubtensorModule.Uids, ctx.netuid, MINER.hotkey.ss58_address)
    salt = [5, 6, 7]

    def vec(values):
        return bytes([len(values) << 2]) + b"".join(v.to_bytes(2, "little") for v in values)

    body = bytes(OWNER.hotkey.public_key) + ctx.netuid.to_bytes(2, "little")
    body += vec([uid]) + vec([50000]) + vec(salt) + bytes(8)
    digest = "0x" + blake2b(body, digest_size=32).hexdigest()
    commit = bt.calls.SubtensorModule.commit_weights(netuid=ctx.netuid, commit_hash=digest)
    ctx.submit(commit, OWNER, signer="hotkey")
    reveal = bt.calls.SubtensorModule.reveal_weights(
        netuid=ctx.netuid, uids=[uid], values=[50000], salt=salt, version_key=0
    )
    deadline = time.time() + 60
    while True:
        try:
            ctx.submit(reveal, OWNER, signer="hotkey")
            return
        except Exception:  # too early: the reveal epoch has not come
            if time.time() > deadline:
                raise
            time.sleep(0.5)


@cell
def restart(ctx):
    ask_for_restart()
    who = OWNER.coldkeypub.ss58_address
    deadline = time.time() + 30
    while True:  # the client reconnects by itself
        try:
            ctx.call(ctx.client.balances.get(who))
            break
        except Exception:
            if time.time() > deadline:
                raise
            time.sleep(0.5)
    ctx.execute(bt.Transfer(dest_ss58=who, amount_tao=1), ALICE)
    return "reconnected"


if __name__ == "__main__":
    run(Context(), URL)
