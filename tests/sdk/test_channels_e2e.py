"""Channels through the SDK and the command line, against a node of developers."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain.dev.devnode import DevNode
from ganglion import channels
from ganglion.cli.main import main
from ganglion.client import Client
from ganglion.keys import dev_key
from ganglion.units import Hash
from ganglion.voucher_file import VoucherFile
from ganglion.wire import vouchers
from ganglion.wire.vouchers import SignedVoucher, Voucher

ALICE, BOB, DAVE = dev_key("Alice"), dev_key("Bob"), dev_key("Dave")
TAO = 10**9


@pytest.fixture(scope="module")
def node() -> Iterator[DevNode]:
    with DevNode() as running:
        yield running


def promise(client: Client, channel: int, lane: int, rao: int, nonce: int = 1) -> SignedVoucher:
    genesis = Hash(bytes.fromhex(client.genesis_hash[2:]))
    return vouchers.sign(Voucher(genesis, channel, lane, nonce, rao, Hash(bytes(32))), DAVE)


def test_a_channel_lives_and_ends_through_the_sdk(node: DevNode) -> None:
    async def go() -> None:
        async with Client(node.url) as client:
            now, before = await client.block_number(), await client.balance(BOB.address)
            number = await channels.open_channel(
                client, ALICE, BOB.address, TAO, now + 500, 4, DAVE.address
            )
            await channels.top_up(client, ALICE, number, TAO)
            await channels.extend(client, ALICE, number, now + 900)
            pair = [promise(client, number, lane, 700_000_000 + lane) for lane in (0, 3)]
            assert len(await channels.redeem(client, ALICE, pair)) == 1
            found = await channels.of_payee(client, BOB.address)
            assert found == await channels.of_payer(client, ALICE.address)
            (one,) = found
            assert (one.number, one.deposit, one.redeemed) == (number, 2 * TAO, 1_400_000_003)
            assert (one.signer, one.expiry) == (DAVE.public_key, now + 900)
            assert one.lanes == {0: (1, 700_000_000), 3: (1, 700_000_003)}
            after = await client.balance(BOB.address)
            assert after.as_rao() - before.as_rao() == 1_400_000_003
            await channels.close(client, ALICE, number)
            assert (await channels.read(client, number)).closes_at is not None
            await channels.close(client, BOB, number)
            assert await channels.read(client, number) is None

    asyncio.run(go())


def test_the_command_line_does_the_same(
    node: DevNode,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "stdin", io.StringIO())

    def run(*argv: str) -> str:
        code = main(["channel", *argv, "--url", node.url])
        said = capsys.readouterr()
        return said.out if code == 0 else said.err

    def listed() -> dict[str, object]:
        (one,) = json.loads(run("list", "//Charlie", "--json"))
        return one

    run("open", "//Bob", "2", "--voucher-key", "//Dave", "-s", "//Charlie")
    number = str(listed()["channel"])
    run("top-up", number, "0.5", "-s", "//Charlie")
    run("extend", number, "--blocks", "60000", "-s", "//Charlie")
    assert listed()["deposit"] == 2_500_000_000
    assert "1 open channels" in run("list", "//Charlie")
    file = tmp_path / "vouchers.db"
    assert "there is no file" in run("redeem", str(file), "-s", "//Alice")
    kept = VoucherFile(file)

    async def earn() -> None:
        async with Client(node.url) as client:
            kept.put([promise(client, int(number), 1, 900)])

    asyncio.run(earn())
    assert "Channels.Redeemed" in run("redeem", str(file), "-s", "//Alice")
    assert "none of these vouchers" in run("redeem", str(file), "-s", "//Alice")
    assert listed()["redeemed"] == 900
    assert "challenge window" in run("close", number, "--force", "-s", "//Alice")
    assert "Channels.Closing" in run("close", number, "-s", "//Charlie")
    assert "Channels.Closed" in run("close", number, "-s", "//Bob")
    assert json.loads(run("list", "//Charlie", "--json")) == []
