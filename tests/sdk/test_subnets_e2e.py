"""A subnet's life through the SDK and the command, on a real node."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from ganglion.balance import Balance
from ganglion.client import Client
from ganglion.errors import TransactionFailed, TransactionRejected, UnknownName
from ganglion.keys import Keypair, dev_key
from ganglion.rpc import RpcOptions
from ganglion.weights import commit_hash, to_u16
from localnet.node_process import NodeProcess

pytestmark = pytest.mark.localnet

ALICE, BOB = dev_key("Alice"), dev_key("Bob")
NETUID = 1


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    folder = tmp_path_factory.mktemp("node")
    with NodeProcess("--dev", "--base-path", str(folder), "--sealing", "200") as found:
        yield found


@pytest.fixture
async def client(node: NodeProcess) -> AsyncIterator[Client]:
    async with Client(node.url, options=RpcOptions(timeout_s=20)) as found:
        yield found


async def sudo(client: Client, name: str, **args: object) -> None:
    call = client.runtime.call
    inner = call("AdminUtils", name, **args)
    (await client.submit(call("Sudo", "sudo", call=inner), ALICE)).check()


async def do(client: Client, signer: Keypair, name: str, **args: object) -> None:
    call = await client.compose("SubtensorModule", name, **args)
    (await client.submit(call, signer)).check()


async def test_register_stake_serve_and_read(client: Client) -> None:
    hot = Keypair.generate()
    assert NETUID in [s.netuid for s in await client.subnets()]
    before = await client.metagraph(NETUID)
    await do(client, BOB, "burned_register", netuid=NETUID, hotkey=hot)
    uid = await client.uid_of(NETUID, hot)
    assert uid == len(before)
    after = await client.metagraph(NETUID)
    assert after.uid_of(hot.address) == uid
    assert (after.neurons[uid].coldkey, after.neurons[uid].stake) == (BOB.address, 0)

    await sudo(client, "sudo_set_subtoken_enabled", netuid=NETUID, subtoken_enabled=True)
    await do(
        client, BOB, "add_stake", hotkey=hot, netuid=NETUID, amount_staked=Balance.tao(2).as_rao()
    )
    [position] = [s for s in await client.stakes(BOB) if s["hotkey"] == hot.address]
    assert position["netuid"] == NETUID
    assert position["stake"] > 10**9
    neurons = await client.neurons(NETUID)
    assert neurons[uid].stake == position["stake"]

    await do(
        client,
        hot,
        "serve_axon",
        netuid=NETUID,
        version=1,
        ip=0x0A000001,
        port=8091,
        ip_type=4,
        protocol=4,
        placeholder1=0,
        placeholder2=0,
    )
    axon = (await client.metagraph(NETUID)).neurons[uid].axon
    assert (axon.host, axon.port, axon.is_serving) == ("10.0.0.1", 8091, True)
    subnet = await client.subnet(NETUID)
    assert subnet.tao_in > 10 * 10**9
    assert subnet.price > 1


async def test_weights_in_the_open_and_committed(client: Client) -> None:
    hot = Keypair.generate()
    await do(client, ALICE, "burned_register", netuid=NETUID, hotkey=hot)
    uid = await client.uid_of(NETUID, hot)
    assert uid is not None
    await sudo(client, "sudo_set_weights_set_rate_limit", netuid=NETUID, weights_set_rate_limit=0)
    uids, values = to_u16({uid: 1})  # a weight on itself needs no permit
    salt = [1, 2, 3]
    digest = commit_hash(hot.public_key, NETUID, uids, values, salt)
    await do(client, hot, "commit_mechanism_weights", netuid=NETUID, mecid=0, commit_hash=digest)
    with pytest.raises(TransactionRejected, match="CommitBlockNotInRevealRange"):
        await _reveal(client, hot, uids, values, salt)
    with pytest.raises(TransactionRejected, match="CommitNotFound"):
        await _reveal(client, hot, uids, values, salt[::-1])
    await sudo(client, "sudo_set_commit_reveal_weights_enabled", netuid=NETUID, enabled=False)
    await do(
        client,
        hot,
        "set_mechanism_weights",
        netuid=NETUID,
        mecid=0,
        dests=uids,
        weights=values,
        version_key=0,
    )
    rows = dict(await client.query_map("SubtensorModule", "Weights", NETUID))
    assert rows[uid] == [(uid, 65_535)]


async def _reveal(
    client: Client, hot: Keypair, uids: list[int], values: list[int], salt: list[int]
) -> None:
    await do(
        client,
        hot,
        "reveal_mechanism_weights",
        netuid=NETUID,
        mecid=0,
        uids=uids,
        values=values,
        salt=salt,
        version_key=0,
    )


async def test_what_is_not_there(client: Client) -> None:
    for read in (client.subnet, client.metagraph):
        with pytest.raises(UnknownName, match="no subnet 999"):
            await read(999)
    assert await client.uid_of(NETUID, Keypair.generate()) is None
    with pytest.raises(TransactionFailed, match="SubtensorModule.AmountTooLow"):
        await do(
            client,
            BOB,
            "remove_stake",
            hotkey=Keypair.generate(),
            netuid=NETUID,
            amount_unstaked=10**9,
        )
