"""Payment channels on the chain: who pays whom from what deposit, and the calls about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ganglion import ss58
from ganglion.client import Client
from ganglion.keys import Keypair
from ganglion.receipt import Receipt
from ganglion.view import Reads
from ganglion.wire.lanes import ChannelFacts
from ganglion.wire.vouchers import SignedVoucher

PALLET = "Channels"
MOST_VOUCHERS = 64
"""Vouchers that one extrinsic redeems."""


def _key(address: Any) -> bytes:
    return ss58.decode(address, prefix=None) if isinstance(address, str) else bytes(address)


def _facts(number: int, value: dict[str, Any], lanes: dict[int, tuple[int, int]]) -> ChannelFacts:
    closes_at = value["closes_at"]
    return ChannelFacts(
        number,
        _key(value["payer"]),
        _key(value["payee"]),
        _key(value["signer"]),
        int(value["deposit"]),
        int(value["redeemed"]),
        int(value["expiry"]),
        int(value["lane_limit"]),
        None if closes_at is None else int(closes_at),
        lanes,
    )


async def read(chain: Reads, number: int) -> ChannelFacts | None:
    """A channel with its lanes; None if it is closed or never was. UnknownName where the chain
    has no channels."""
    value = await chain.query(PALLET, "Channels", number)
    if value is None:
        return None
    lanes: dict[int, tuple[int, int]] = {}
    if int(value["redeemed"]):
        for lane, redeemed in await chain.query_map(PALLET, "Lanes", number):
            lanes[int(lane)] = int(redeemed["nonce"]), int(redeemed["redeemed"])
    return _facts(number, value, lanes)


async def of_payee(chain: Reads, payee: str) -> list[ChannelFacts]:
    """The open channels that pay an account, by number."""
    return await _of(chain, "ByPayee", payee)


async def of_payer(chain: Reads, payer: str) -> list[ChannelFacts]:
    """The open channels of a payer, by number."""
    return await _of(chain, "ByPayer", payer)


async def _of(chain: Reads, index: str, account: str) -> list[ChannelFacts]:
    numbers = sorted(int(n) for n, _ in await chain.query_map(PALLET, index, account))
    found = [await read(chain, number) for number in numbers]
    return [channel for channel in found if channel is not None]


async def _send(client: Client, sender: Keypair, name: str, /, **args: Any) -> Receipt:
    call = await client.compose(PALLET, name, **args)
    return (await client.submit(call, sender)).check()


async def open_channel(
    client: Client,
    payer: Keypair,
    payee: str,
    deposit: int,
    expiry: int,
    lanes: int = 16,
    signer: str | None = None,
) -> int:
    """Open a channel; its number. `signer` may sign vouchers in the payer's stead.

    Raises the errors of submitting, among them TransactionFailed with the chain's reason.
    """
    receipt = await _send(
        client,
        payer,
        "open",
        payee=payee,
        deposit=deposit,
        expiry=expiry,
        lane_limit=lanes,
        signer=signer,
    )
    opened = receipt.find(PALLET, "Opened")
    assert opened is not None  # a successful `open` says so
    return int(opened.args["channel_id"])


async def top_up(client: Client, payer: Keypair, number: int, amount: int) -> Receipt:
    """Add rao to a deposit."""
    return await _send(client, payer, "top_up", channel_id=number, amount=amount)


async def extend(client: Client, payer: Keypair, number: int, expiry: int) -> Receipt:
    """Put a channel's expiry off."""
    return await _send(client, payer, "extend", channel_id=number, expiry=expiry)


async def redeem(
    client: Client, sender: Keypair, vouchers: Sequence[SignedVoucher]
) -> list[Receipt]:
    """Bring vouchers to the chain, 64 an extrinsic; `sender` pays the fee, the payee is paid."""
    return [
        await _send(
            client,
            sender,
            "redeem",
            vouchers=[signed.call_args() for signed in vouchers[at : at + MOST_VOUCHERS]],
        )
        for at in range(0, len(vouchers), MOST_VOUCHERS)
    ]


async def close(client: Client, party: Keypair, number: int) -> Receipt:
    """Close at once as the payee, or begin to as the payer."""
    return await _send(client, party, "close", channel_id=number)


async def force_close(client: Client, sender: Keypair, number: int) -> Receipt:
    """Close a channel whose time is over."""
    return await _send(client, sender, "force_close", channel_id=number)
