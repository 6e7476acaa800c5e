"""The client against a real node: transfers, batches, failures, streams, and a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ganglion.balance import Balance
from ganglion.client import Client
from ganglion.errors import TransactionFailed, TransactionRejected
from ganglion.header import Header
from ganglion.keys import CryptoType, Keypair, dev_key
from ganglion.rpc import RpcOptions
from ganglion.sync import SyncClient
from localnet.node_process import NodeProcess

pytestmark = pytest.mark.localnet

ALICE, BOB = dev_key("Alice"), dev_key("Bob")
OPTIONS = RpcOptions(timeout_s=20, reconnect_s=30)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    folder = tmp_path_factory.mktemp("node")
    with NodeProcess("--dev", "--base-path", str(folder), "--sealing", "200") as found:
        yield found


@pytest.fixture
async def client(node: NodeProcess) -> AsyncIterator[Client]:
    async with Client(node.url, options=OPTIONS) as found:
        yield found


async def test_transfer_with_receipt(client: Client) -> None:
    before = await client.account(BOB)
    dest = Keypair.generate()
    estimate = await client.fee(
        await client.compose("Balances", "transfer_keep_alive", dest=dest, value=10**9), BOB
    )
    receipt = await client.transfer(BOB, dest, Balance.tao("1.5"), wait="finalized")
    assert receipt.is_success
    assert receipt.finalized
    event = receipt.find("Balances", "Transfer")
    assert event is not None
    assert event.args == {"from": BOB.address, "to": dest.address, "amount": 1_500_000_000}
    assert abs(receipt.fee - estimate.rao) < 100
    after = await client.account(BOB)
    assert before.free - after.free == 1_500_000_000 + receipt.fee
    assert after.nonce == before.nonce + 1
    assert await client.balance(dest) == Balance.tao("1.5")
    assert receipt.block_hash is not None
    then = client.at(receipt.block_hash)
    assert (await then.account(BOB)).free == after.free
    assert (await client.header(receipt.block_hash)).hash == receipt.block_hash


async def test_ed25519_accounts_sign_too(client: Client) -> None:
    eddie = Keypair.generate(CryptoType.ED25519)
    await client.transfer(ALICE, eddie, Balance.tao(1))
    receipt = await client.transfer(eddie, BOB, Balance.tao("0.5"))
    assert receipt.is_success


async def test_many_at_once_from_one_account(client: Client) -> None:
    dest = Keypair.generate()
    await asyncio.gather(*(client.transfer(ALICE, dest, Balance.tao(1)) for _ in range(10)))
    assert await client.balance(dest) == Balance.tao(10)


async def test_failures_have_reasons(client: Client) -> None:
    too_much = await client.compose(
        "Balances", "transfer_keep_alive", dest=BOB, value=Balance.tao(10**9).rao
    )
    receipt = await client.submit(too_much, ALICE)
    assert not receipt.is_success
    assert receipt.fee > 0
    with pytest.raises(TransactionFailed, match="Funds|InsufficientBalance"):
        receipt.check()
    with pytest.raises(TransactionRejected, match="pay some fees"):
        await client.transfer(Keypair.generate(), BOB, Balance.tao(1))
    nonce = await client.nonce(ALICE.address)
    with pytest.raises(TransactionRejected, match="outdated"):
        await client.submit(too_much, ALICE, nonce=nonce - 1)


async def test_errors_inside_other_calls(client: Client) -> None:
    call, rich = client.runtime.call, Keypair.generate()
    gift = call("Balances", "force_set_balance", who=rich, new_free=10**9)
    sudo = await client.submit(call("Sudo", "sudo", call=gift), ALICE)
    assert sudo.is_success
    assert await client.balance(rich) == Balance.tao(1)
    remark = call("System", "remark", remark="x")
    too_much = call("Balances", "transfer_keep_alive", dest=ALICE, value=10**18)
    receipt = await client.submit(call("Utility", "batch", calls=[remark, too_much]), rich)
    assert receipt.error is None
    assert not receipt.is_success
    assert receipt.inner_errors
    with pytest.raises(TransactionFailed, match="Funds|InsufficientBalance"):
        receipt.check()


async def test_storage_reads(client: Client) -> None:
    accounts = await client.query_map("System", "Account")
    assert {ALICE.address, BOB.address} <= {address for address, _ in accounts}
    some = await client.query_map("System", "Account", limit=2)
    assert some == accounts[:2]
    view = await client.at_head()
    number, account, missing = await view.query_many(
        [
            ("System", "Number"),
            ("System", "Account", ALICE),
            ("System", "Account", Keypair.generate()),
        ]
    )
    assert number == (await client.header(view.at_hash)).number
    assert account["data"]["free"] == (await view.account(ALICE)).free
    assert missing["nonce"] == 0
    assert await client.constant("Balances", "ExistentialDeposit") == 500
    assert await client.api("AccountNonceApi", "account_nonce", ALICE) == account["nonce"]


async def test_streams_of_blocks(client: Client) -> None:
    best: list[Header] = []
    async for head in client.blocks():
        best.append(head)
        if len(best) == 3:
            break
    assert [h.number - best[0].number for h in best] == [0, 1, 2]
    for child, parent in zip(best[1:], best):
        assert child.parent == parent.hash
    async for head in client.blocks(finalized=True):
        assert await client.block_hash(head.number) == head.hash
        break
    target = best[-1].number + 2
    assert (await client.wait_for_block(target)).number >= target


async def test_over_http(node: NodeProcess) -> None:
    async with Client(node.url.replace("ws://", "http://"), options=OPTIONS) as client:
        receipt = await client.transfer(ALICE, BOB, Balance.tao(1))
        assert receipt.is_success


def test_the_blocking_form(node: NodeProcess) -> None:
    with SyncClient(node.url, options=OPTIONS) as client:
        receipt = client.transfer(ALICE, BOB, Balance.tao("0.25"))
        assert receipt.is_success
        assert client.at(receipt.block_hash).balance(BOB).rao > 0
        numbers = []
        for head in client.blocks():
            numbers.append(head.number)
            if len(numbers) == 2:
                break
        assert numbers[1] == numbers[0] + 1


async def test_a_restart_of_the_node(tmp_path: Path) -> None:
    """Reads wait, streams go on without a gap, and what was sent is there."""
    with NodeProcess("--dev", "--base-path", str(tmp_path), "--sealing", "200") as node:
        async with Client(node.url, options=OPTIONS) as client:
            dest = Keypair.generate()
            await client.transfer(ALICE, dest, Balance.tao(2), wait="finalized")
            seen: list[Header] = []

            async def collect() -> None:
                async for head in client.blocks():
                    seen.append(head)

            task = asyncio.create_task(collect())
            await client.wait_for_block()
            assert await asyncio.to_thread(node.stop) == 0
            waiting = asyncio.create_task(client.balance(dest))
            node.start()
            await asyncio.to_thread(node.wait)
            assert await waiting == Balance.tao(2)
            await client.transfer(ALICE, dest, Balance.tao(1))
            assert await client.balance(dest) == Balance.tao(3)
            head = await client.wait_for_block()
            async with asyncio.timeout(20):
                while not seen or seen[-1].number < head.number:
                    await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.wait([task])
            numbers = [h.number for h in seen]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
