"""The client's hard cases: upgrades, gaps, lost watches, refusals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scripted_chain import FAILED, RUNTIME, Refusal, ScriptedChain

from ganglion.client import Client
from ganglion.errors import (
    EncodeError,
    GanglionError,
    NodeUnreachable,
    RequestTimeout,
    TransactionFailed,
    TransactionRejected,
    UnknownName,
)
from ganglion.header import Header
from ganglion.keys import dev_key
from ganglion.metadata_cache import MetadataCache
from ganglion.registry import Call
from ganglion.rpc import RpcOptions
from ganglion.scale import DecodeError
from ganglion.sync import SyncClient

FAST = RpcOptions(timeout_s=5, connect_timeout_s=5, reconnect_s=5)
ALICE = dev_key("Alice")


@pytest.fixture
async def chain() -> AsyncIterator[ScriptedChain]:
    async with ScriptedChain() as found:
        yield found


@pytest.fixture
async def client(chain: ScriptedChain) -> AsyncIterator[Client]:
    async with Client(chain.url, options=FAST) as found:
        yield found


@pytest.fixture
def remark() -> Call:
    # The small chain's extensions carry a nonce below 2**16 and nothing else.
    return RUNTIME.call("System", "remark", remark=b"hi")


async def _until(true: Any) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.01)


async def test_reads(client: Client, chain: ScriptedChain) -> None:
    assert client.genesis_hash == chain.blocks[0].hash
    assert await client.query("System", "Number") == 7
    assert await client.query("System", "Account", ALICE) == 0
    assert await client.api("Core", "answer", ALICE, 1) == 7
    assert await client.constant("System", "SS58Prefix") == 42
    assert await client.events() == []
    view = await client.at_head()
    assert await view.query("System", "Number") == 7
    with pytest.raises(UnknownName, match="takes 1 keys and 0 were given"):
        await client.query("System", "Account")
    with pytest.raises(UnknownName, match="no block 99"):
        await client.block_hash(99)
    with pytest.raises(UnknownName, match="no block 0x00"):
        await client.header("0x00")


async def test_an_upgrade_is_noticed(client: Client, chain: ScriptedChain) -> None:
    assert client.runtime.spec_version == 1
    await _until(lambda: "state_subscribeRuntimeVersion" in chain.seen)
    chain.spec = 2
    await chain.push("versions", {"specVersion": 2, "transactionVersion": 1})
    await _until(lambda: client.runtime.spec_version == 2)
    assert chain.metadata_calls == 2
    chain.spec = 1
    assert (await client.refresh_runtime()).spec_version == 1
    assert chain.metadata_calls == 2


async def test_metadata_is_kept_on_disk(chain: ScriptedChain, tmp_path: Path) -> None:
    cache = MetadataCache(tmp_path / "cache")
    for _ in range(2):
        async with Client(chain.url, options=FAST, cache=cache) as client:
            assert await client.query("System", "Number") == 7
    assert chain.metadata_calls == 1
    chain.spec = 3
    async with Client(chain.url, options=FAST, cache=cache):
        assert chain.metadata_calls == 2
    unwritable = MetadataCache(Path("/dev/null/x"))
    async with Client(chain.url, options=FAST, cache=unwritable):
        assert chain.metadata_calls == 3


async def test_an_old_node_has_only_the_old_metadata(chain: ScriptedChain) -> None:
    del chain.answers["state_call"]
    del chain.answers["state_subscribeRuntimeVersion"]
    async with Client(chain.url, options=FAST) as client:
        assert await client.query("System", "Number") == 7


async def test_another_chain_at_the_same_address(client: Client, chain: ScriptedChain) -> None:
    chain.blocks.clear()
    chain.salt = 9
    chain.grow()
    with pytest.raises(NodeUnreachable, match="another chain"):
        await client.connect()


async def test_blocks_without_gaps(client: Client, chain: ScriptedChain) -> None:
    seen: list[Header] = []

    async def collect() -> None:
        async for head in client.blocks():
            seen.append(head)

    task = asyncio.create_task(collect())
    await _until(lambda: "chain_subscribeNewHeads" in chain.seen)
    await chain.announce()
    chain.grow()
    await chain.announce()
    await _until(lambda: len(seen) == 2)
    await chain.drop()
    chain.grow(3)
    await _until(lambda: chain.seen.count("chain_subscribeNewHeads") == 2)
    await chain.announce()
    await chain.announce()
    await _until(lambda: len(seen) == 5)
    assert [h.number for h in seen] == [0, 1, 2, 3, 4]
    assert [h.hash for h in seen] == [b.hash for b in chain.blocks]
    task.cancel()
    await asyncio.wait([task])
    assert "chain_unsubscribeNewHeads" in chain.seen


async def test_wait_for_block(client: Client, chain: ScriptedChain) -> None:
    waiting = asyncio.create_task(client.wait_for_block(2))
    await _until(lambda: "chain_subscribeNewHeads" in chain.seen)
    chain.grow(2)
    await chain.announce()
    assert (await waiting).number == 2
    with pytest.raises(RequestTimeout, match="block 9 did not come"):
        await client.wait_for_block(9, timeout_s=0.05)


async def _included(chain: ScriptedChain, **kw: Any) -> str:
    await _until(lambda: chain.pool)
    return chain.grow(extrinsics=(chain.pool[-1],), **kw)


async def test_in_block_and_finalized(client: Client, chain: ScriptedChain, remark: Call) -> None:
    task = asyncio.create_task(client.submit(remark, ALICE, wait="finalized"))
    block = await _included(chain)
    await chain.push("watch", "ready")
    await chain.push("watch", {"broadcast": []})
    await chain.push("watch", {"inBlock": block})
    await chain.push("watch", {"retracted": block})
    await asyncio.sleep(0.02)
    assert not task.done()
    await chain.push("watch", {"finalized": block})
    receipt = await task
    assert (receipt.block_hash, receipt.block_number, receipt.index) == (block, 1, 0)
    assert receipt.is_success
    assert receipt.finalized
    assert receipt.check() is receipt
    assert "author_unwatchExtrinsic" in chain.seen


async def test_an_early_status_is_not_lost(
    client: Client, chain: ScriptedChain, remark: Call
) -> None:
    chain.status_before_reply = ["ready", {"usurped": "0x00"}]
    with pytest.raises(TransactionRejected, match="same nonce"):
        await client.submit(remark, ALICE)


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ("invalid", "invalid after all"),
        ("dropped", "dropped it"),
        ({"finalityTimeout": "0x00"}, "not finalized"),
    ],
)
async def test_final_refusals(
    client: Client, chain: ScriptedChain, remark: Call, status: Any, says: str
) -> None:
    chain.status_before_reply = [status]
    with pytest.raises(TransactionRejected, match=says):
        await client.submit(remark, ALICE, wait="finalized")


async def test_pool_refusals_are_explained(
    client: Client, chain: ScriptedChain, remark: Call
) -> None:
    for wait in ("pool", "block"):
        chain.refusal = Refusal(1010, "Invalid Transaction", "Custom error: 8")
        with pytest.raises(TransactionRejected, match="Custom error: 8 .SlippageTooHigh"):
            await client.submit(remark, ALICE, wait=wait)
        chain.refusal = Refusal(1010, "Invalid Transaction", "Transaction is outdated")
        with pytest.raises(TransactionRejected, match="nonce was used"):
            await client.submit(remark, ALICE, wait=wait)
        chain.refusal = Refusal(1010, "Invalid Transaction", "y" * 100)
        with pytest.raises(TransactionRejected, match="y{100} .code 1010"):
            await client.submit(remark, ALICE, wait=wait)


async def test_a_failed_dispatch(client: Client, chain: ScriptedChain, remark: Call) -> None:
    task = asyncio.create_task(client.submit(remark, ALICE))
    block = await _included(chain, outcome=FAILED)
    await chain.push("watch", {"inBlock": block})
    receipt = await task
    assert not receipt.is_success
    with pytest.raises(TransactionFailed, match="Boss.Tired: About Tired"):
        receipt.check()


@pytest.mark.parametrize("finalized", [False, True])
async def test_a_lost_watch_is_replaced_by_looking(
    client: Client, chain: ScriptedChain, remark: Call, finalized: bool
) -> None:
    """The connection breaks between pool and block: the blocks tell."""
    wait = "finalized" if finalized else "block"
    task = asyncio.create_task(client.submit(remark, ALICE, wait=wait))
    await _until(lambda: chain.pool)
    await chain.drop()
    chain.grow(2)
    block = await _included(chain)
    chain.grow()
    chain.final = len(chain.blocks) - 1
    receipt = await task
    assert (receipt.block_hash, receipt.finalized) == (block, finalized)
    assert len(chain.pool) == 1


async def test_looking_ends_with_the_era(
    client: Client, chain: ScriptedChain, remark: Call
) -> None:
    task = asyncio.create_task(client.submit(remark, ALICE, period=4))
    await _until(lambda: chain.pool)
    await chain.drop()
    chain.grow(4)
    with pytest.raises(TransactionRejected, match="era ended at block 3"):
        await task


async def test_no_block_in_time(client: Client, remark: Call) -> None:
    with pytest.raises(RequestTimeout, match=r"System.remark .* until block 63"):
        await client.submit(remark, ALICE, timeout_s=0.1)


async def test_one_account_submits_in_order(
    client: Client, chain: ScriptedChain, remark: Call
) -> None:
    """The nonce is asked only after the transaction before is in the pool."""
    chain.answers["system_accountNextIndex"] = lambda n, r: len(chain.pool)
    tasks = [asyncio.create_task(client.submit(remark, ALICE, wait="pool")) for _ in range(5)]
    receipts = await asyncio.gather(*tasks)
    assert len({r.extrinsic_hash for r in receipts}) == 5
    assert not any(r.is_success for r in receipts)
    # This chain's extrinsics carry the nonce right after the signature.
    nonces = [bytes.fromhex(x[2:])[2 + 34 + 65] >> 2 for x in chain.pool]
    assert nonces == [0, 1, 2, 3, 4]


async def test_a_new_runtime_is_signed_for(
    client: Client, chain: ScriptedChain, remark: Call
) -> None:
    chain.spec = 5
    await client.submit(remark, ALICE, wait="pool")
    assert client.runtime.spec_version == 5


async def test_wrong_names_never_reach_the_node(client: Client, chain: ScriptedChain) -> None:
    before = len(chain.seen)
    with pytest.raises(UnknownName, match="did you mean remark"):
        await client.compose("System", "remrk", remark="x")
    with pytest.raises(EncodeError):
        await client.compose("System", "remark", remark=5)
    assert len([m for m in chain.seen[before:] if "subscribe" not in m]) == 0


async def test_not_connected() -> None:
    with pytest.raises(NodeUnreachable, match="not connected"):
        Client("ws://127.0.0.1:1").runtime  # noqa: B018
    with pytest.raises(NodeUnreachable, match="cannot connect"):
        async with Client("ws://127.0.0.1:1", options=FAST):
            pass


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("chain_getHeader", {"number": "0x1"}),
        ("chain_getHeader", 5),
        ("chain_getBlock", {"block": 5}),
        ("state_getStorage", 5),
        ("state_getStorage", "0xzz"),
        ("state_getStorage", "0x00"),
        ("state_call", None),
        ("state_queryStorageAt", [{"changes": 5}]),
        ("state_queryStorageAt", 5),
    ],
)
async def test_nonsense_from_the_node(
    client: Client, chain: ScriptedChain, method: str, answer: Any
) -> None:
    chain.answers[method] = lambda n, r: answer
    with pytest.raises((GanglionError, DecodeError)):
        if method == "chain_getHeader":
            await client.header()
        elif method == "chain_getBlock":
            await client.extrinsics(client.genesis_hash)
        elif method == "state_getStorage":
            await client.query("System", "Number")
        elif method == "state_queryStorageAt":
            await client.query_many([("System", "Number")])
        else:
            await client.api("Core", "answer", ALICE, 1)


async def test_over_http(chain: ScriptedChain, remark: Call) -> None:
    url = chain.url.replace("ws", "http")
    async with Client(url, options=FAST) as client:
        assert await client.query("System", "Number") == 7
        task = asyncio.create_task(client.submit(remark, ALICE))
        block = await _included(chain)
        assert (await task).block_hash == block


async def test_the_blocking_form(chain: ScriptedChain) -> None:
    def work() -> list[Any]:
        with SyncClient(chain.url, options=FAST) as client:
            view = client.at_head()
            found = [client.query("System", "Number"), view.query("System", "Number")]
            found.append(client.genesis_hash)
            for head in client.blocks():
                found.append(head.number)
                break
            with pytest.raises(UnknownName):
                client.query("System", "Nothing")
            return found

    task = asyncio.create_task(asyncio.to_thread(work))
    await _until(lambda: "chain_subscribeNewHeads" in chain.seen)
    await chain.announce()
    assert await task == [7, 7, chain.blocks[0].hash, 0]

    def fail() -> None:
        with SyncClient("ws://127.0.0.1:1", options=replace(FAST, connect_timeout_s=1)):
            pass

    with pytest.raises(NodeUnreachable):
        await asyncio.to_thread(fail)
