"""Many paid requests, few extrinsics: the whole settlement on a real node, counted to the rao.

Three miners, two gateways that share a database, ten thousand requests. In full speed mode the
answers are made up and vouchers go straight from the gateways' purses to the miners' tills, which
are the real ones with their files; with `--http` real miners and gateways speak HTTP. Then every
miner redeems, strangers try what must fail, and the channels are closed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import cast

import orjson

from chain.dev.devnode import DevNode
from ganglion import channels
from ganglion.client import Client
from ganglion.errors import TransactionFailed
from ganglion.hashing import blake2_256
from ganglion.keys import Keypair, dev_key
from ganglion.scale import compact_read
from ganglion.units import Hash
from ganglion.voucher_file import VoucherFile
from ganglion.wire import receipts, vouchers
from ganglion.wire.call import Caller, CallFailed, Target
from ganglion.wire.lanes import ChannelFacts
from ganglion.wire.paid import Offer, PaidAnswer, UnitPrices
from ganglion.wire.receipt_tree import path_of, root_of
from ganglion.wire.receipts import Finish, Receipt
from ganglion.wire.text import Sampling, TextRequest, tokens_event
from localnet.paid_market import KEYS, NETUID, TAO, Plan, market
from neurons.engine.batch import Job
from neurons.engine.load import load
from neurons.gateway.lane_store import LaneStore
from neurons.gateway.payer import Payer, Terms
from neurons.gateway.router import Miner
from neurons.gateway.store import Store
from neurons.http import Refusal, Signed
from neurons.identity import Identity
from neurons.miner.redeemer import Redeemer
from neurons.miner.textgen import Event, Order
from neurons.miner.till import Till

PAYER, STRANGER = "Eve", "Ferdie"
OFFERS = (
    UnitPrices(1_234_567_891, 1_234_567_891, 7_654_321_987),
    UnitPrices(999_999_937, 999_999_937, 5_000_000_029),
    UnitPrices(2_000_000_011, 2_000_000_011, 6_543_210_123),
)
AT_ONCE = 16
PROOFS = 50
DEPOSIT = 20 * TAO


@dataclass(frozen=True)
class Seat:
    """A miner's side."""

    key: Keypair
    till: Till


@dataclass(frozen=True)
class Row:
    """What became of one miner; amounts in rao. `gained` is its balance's gain before fees.

    Of `drawn` answers `proven` were shown to lie under the roots on the chain.
    """

    miner: str
    channel: int
    lanes: int
    answers: int
    tokens: int
    receipts: int
    redeemed: int
    gained: int
    drawn: int
    proven: int


@dataclass(frozen=True)
class Result:
    """The outcome. `extrinsics` are all that the settlement took."""

    requests: int
    vouchers: int
    extrinsics: int
    rows: list[Row]
    paid: int
    payer_lost: int
    refused: dict[str, str]
    seconds: float

    @property
    def is_exact(self) -> bool:
        """Whether every balance is the sum of the receipts, and every answer drawn is proven."""
        exact = all(row.receipts == row.redeemed == row.gained for row in self.rows)
        exact = exact and all(row.drawn == row.proven for row in self.rows)
        return exact and self.paid == self.payer_lost == sum(row.receipts for row in self.rows)


class Direct:
    """Takes a gateway's vouchers straight to the tills."""

    def __init__(self, hotkey: Keypair, tills: dict[str, Till]) -> None:
        self.hotkey, self._tills = hotkey, tills

    async def fetch(self, target: Target, method: str, path: str, body: bytes) -> bytes:
        """As Caller.fetch, for one path."""
        try:
            reply = await self._tills[target.hotkey].voucher(Signed(self.hotkey.public_key, body))
        except Refusal as e:
            raise CallFailed("refused", e.message, e.status) from e
        return reply.body


async def made_up(tokens: Sequence[int]) -> AsyncIterator[Event]:
    """The events of an answer, eight tokens each."""
    for at in range(0, len(tokens), 8):
        yield tokens_event(list(tokens[at : at + 8]), "")


async def one_request(seed: int, payer: Payer, miner: Miner, seat: Seat, gate: Identity) -> None:
    """Ask and pay as relay and till do it; the answer's receipt is signed by the miner."""
    drawn = random.Random(seed)
    prompt = tuple(range(drawn.randint(1, 300)))
    output = [drawn.randrange(1 << 17) for _ in range(drawn.randint(1, 150))]
    identity = drawn.randbytes(16)
    plain = TextRequest(identity, "m", Sampling(bytes(32)), len(output), tokens=prompt)
    tab = payer.tab(miner, plain, known=0)
    assert tab is not None
    request = replace(plain, pay=tab.terms)
    caller = gate.hotkey.public_key
    job = Job(caller.hex() + identity.hex(), prompt, request.sampling, len(output))
    got: list[int] = []
    events = await seat.till.metered(Order(request, caller, bytes(32), job), made_up(output))
    async for name, data in events:
        if name != "tokens":
            raise AssertionError(data.decode())
        got += orjson.loads(data)["tokens"]
        tab.arrived(len(prompt), got)
        await asyncio.sleep(0)
    receipt = Receipt(
        version=receipts.VERSION,
        genesis=gate.genesis,
        netuid=NETUID,
        request=blake2_256(request.to_bytes()),
        caller=caller,
        miner=seat.key.public_key,
        weights=bytes(32),
        exact=True,
        seed=bytes(32),
        prompt_tokens=len(prompt),
        first=0,
        tokens=tuple(got),
        finish=Finish.LENGTH,
        evidence=bytes(32),
    )
    tab.close(receipts.sign(receipt, seat.key))


@dataclass
class Scene:
    """The parties, however the requests are made."""

    client: Client
    seats: list[Seat]
    kept: LaneStore
    payers: list[Payer]

    async def drained(self) -> None:
        """Wait for the vouchers on their way."""
        for payer in self.payers:
            for purse in list(payer.purses.values()):
                await purse.drained()


def say(text: str) -> None:
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


async def at_full_speed(client: Client, folder: Path, count: int, stack: AsyncExitStack) -> Scene:
    """Made-up answers, real vouchers."""
    hotkey = dev_key(PAYER)
    identity = Identity(hotkey, bytes.fromhex(client.genesis_hash[2:]), NETUID)

    async def find(number: int) -> ChannelFacts | None:
        return await channels.read(client, number)

    seats, miners = [], []
    for n, prices in enumerate(OFFERS):
        kept, key = VoucherFile(folder / f"vouchers-{n}.db"), dev_key(KEYS[n])
        stack.callback(kept.close)
        offer = Offer(key.public_key, prices)
        seats.append(Seat(key, Till(identity.genesis, offer, kept, find)))
        miners.append(Miner(n, Target(key.address, "127.0.0.1", 1), "m", True, 4096, pay=offer))
    tills = {seat.key.address: seat.till for seat in seats}
    payers = []
    for _ in range(2):
        store = Store(f"sqlite:///{folder}/gateway.db")
        stack.callback(store.close)
        direct = cast(Caller, Direct(hotkey, tills))
        made = Payer(client, identity, direct, store, Terms(DEPOSIT))
        payers.append(await stack.enter_async_context(made))
        await made.prepared(miners)
        await asyncio.gather(*map(made.begin, (m for m in miners if not made.is_ready(m))))
    numbers, started = iter(range(count)), time.monotonic()

    async def work(payer: Payer) -> None:
        for n in numbers:
            await one_request(n, payer, miners[n % 3], seats[n % 3], identity)
            if (n + 1) % max(count // 10, 1) == 0:
                say(f"{n + 1} of {count} requests paid, {time.monotonic() - started:.1f} s")

    await asyncio.gather(*(work(payer) for payer in payers for _ in range(AT_ONCE)))
    return Scene(client, seats, payers[0].kept, payers)


async def over_http(url: str, folder: Path, count: int, stack: AsyncExitStack) -> Scene:
    """Real answers of the tiny model, asked of two gateways over HTTP."""
    plan = Plan(3, 2, OFFERS, DEPOSIT, PAYER)
    m = await stack.enter_async_context(market(url, folder, load("exact", "tiny"), plan))
    numbers, started = iter(range(count)), time.monotonic()

    async def work(gateway: int) -> None:
        for n in numbers:
            said = await m.complete(gateway, f"Explain {n}", max_tokens=8 + n % 40, seed=n)
            if "choices" not in said:
                raise AssertionError(said)
            if (n + 1) % max(count // 10, 1) == 0:
                say(f"{n + 1} of {count} requests paid, {time.monotonic() - started:.1f} s")

    await asyncio.gather(*(work(n % 2) for n in range(AT_ONCE)))
    seats = [Seat(miner.key, miner.till) for miner in m.miners]
    payers = [gateway.payer for gateway in m.gateways]
    return Scene(m.client, seats, payers[0].kept, payers)


async def extrinsics_since(client: Client, first: int) -> int:
    """Signed extrinsics in the blocks from `first` on."""
    count = 0
    for number in range(first, await client.block_number() + 1):
        _, found = await client.extrinsics(await client.block_hash(number))
        count += sum(raw[compact_read(raw, 0)[1]] >= 0x80 for raw in found)
    return count


async def settled(scene: Scene, seat: Seat, before: int, generator: random.Random) -> Row:
    """Redeem a miner's vouchers and compare receipts, chain and balance."""
    client, till = scene.client, seat.till
    await Redeemer(client, seat.key, till, 1).refresh()
    (channel,) = till.channels.values()
    sent = await channels.redeem(client, seat.key, till.ledger.redeemable(channel))
    after = (await client.balance(seat.key.address)).as_rao()
    drawn, proven, answers = 0, 0, []
    fresh = await channels.read(client, channel.number)
    assert fresh is not None
    for lane in fresh.lanes:
        mine = await scene.kept.answers(channel.number, lane)
        drawn += min(PROOFS, len(mine))
        proven += await _proven(client, channel.number, lane, mine, generator)
        answers += mine
    return Row(
        seat.key.address,
        channel.number,
        len(fresh.lanes),
        len(answers),
        sum(one.tokens for one in answers),
        sum(one.amount for one in answers),
        fresh.redeemed,
        after - before + sum(receipt.fee for receipt in sent),
        drawn,
        proven,
    )


async def _proven(
    client: Client, number: int, lane: int, answers: list[PaidAnswer], generator: random.Random
) -> int:
    """How many answers, drawn at random, were shown to lie under the root on the chain."""
    held = await client.query(channels.PALLET, "Lanes", number, lane)
    root = bytes.fromhex(str(held["receipts_root"]).removeprefix("0x"))
    leaves = [one.leaf() for one in answers]
    if root_of(leaves) != root:
        return 0
    drawn = generator.sample(range(len(leaves)), min(PROOFS, len(leaves)))
    return sum(answers[n].is_under(root, path_of(leaves, n)) for n in drawn)


async def attacked(scene: Scene) -> dict[str, str]:
    """What a stranger that brings bad vouchers is told by the chain."""
    held = next(v for seat in scene.seats for v in seat.till.ledger.best.values())
    voucher, key, thief = held.voucher, dev_key(PAYER), dev_key(STRANGER)
    channel = await channels.read(scene.client, voucher.channel)
    assert channel is not None
    more = replace(voucher, nonce=voucher.nonce + 1, cumulative=voucher.cumulative + 1)
    less = replace(voucher, nonce=voucher.nonce - 1, cumulative=voucher.cumulative - 1)
    tries = {
        "replayed": held,
        "lower nonce": vouchers.sign(less, key),
        "wrong genesis": vouchers.sign(replace(more, genesis=Hash(bytes(32))), key),
        "over deposit": vouchers.sign(replace(more, cumulative=channel.deposit + 1), key),
        "wrong signer": vouchers.sign(more, thief),
    }
    said = {}
    for name, bad in tries.items():
        try:
            await channels.redeem(scene.client, thief, [bad])
            said[name] = "taken"
        except TransactionFailed as e:
            said[name] = e.name
    return said


async def settle(url: str, folder: Path, count: int, http: bool) -> Result:
    """The whole play on one node."""
    started = time.monotonic()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(url))
        first = await client.block_number() + 1
        keys = [dev_key(KEYS[n]) for n in range(3)]
        before = [(await client.balance(key.address)).as_rao() for key in keys]
        payer = dev_key(PAYER)
        had = await _wealth(client, payer)
        if http:
            scene = await over_http(url, folder, count, stack)
        else:
            scene = await at_full_speed(client, folder, count, stack)
        await scene.drained()
        generator, rows = random.Random(1), []
        for seat, balance in zip(scene.seats, before):
            rows.append(await settled(scene, seat, balance, generator))
        used = await extrinsics_since(client, first)
        refused = await attacked(scene)
        for seat, row in zip(scene.seats, rows):
            await channels.close(client, seat.key, row.channel)
        fees = await _fees(client, first, payer)
        sent = sum(p.vouchers for payer_ in scene.payers for p in payer_.purses.values())
        return Result(
            count,
            sent,
            used + len(rows),
            rows,
            sum(row.redeemed for row in rows),
            had - await _wealth(client, payer) - fees,
            refused,
            round(time.monotonic() - started, 1),
        )


async def _wealth(client: Client, key: Keypair) -> int:
    """Free and reserved rao of an account."""
    data = (await client.query("System", "Account", key.address))["data"]
    return int(data["free"]) + int(data["reserved"])


async def _fees(client: Client, first: int, payer: Keypair) -> int:
    """What an account has paid for its transactions since a block."""
    total = 0
    for number in range(first, await client.block_number() + 1):
        for event in await client.at(await client.block_hash(number)).events():
            if event.name == "TransactionFeePaid" and event.args["who"] == payer.address:
                total += int(event.args["actual_fee"])
    return total


def shown(result: Result) -> str:
    """The table."""
    lines = [
        f"{'miner':10} {'channel':>7} {'lanes':>5} {'answers':>7} {'tokens':>8} "
        f"{'receipts rao':>14} {'redeemed rao':>14} {'gained rao':>14} proofs"
    ]
    for name, row in zip(KEYS, result.rows):
        lines.append(
            f"//{name:8} {row.channel:7} {row.lanes:5} {row.answers:7} {row.tokens:8} "
            f"{row.receipts:14} {row.redeemed:14} {row.gained:14} {row.proven:6}"
        )
    lines += [
        f"payer lost {result.payer_lost} rao beside fees; the receipts say {result.paid}: "
        + ("equal" if result.is_exact else "NOT EQUAL"),
        "refused: " + ", ".join(f"{name} ({why})" for name, why in result.refused.items()),
        f"{result.requests} paid requests, {result.vouchers} vouchers, "
        f"{result.extrinsics} extrinsics, {result.seconds} s",
    ]
    return "\n".join(lines)


def run(count: int, http: bool) -> Result:
    """Settle on a node and in a folder of its own."""
    with ExitStack() as stack:
        node = stack.enter_context(DevNode())
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ganglion-settle-"))
        return asyncio.run(settle(node.url, Path(folder), count, http))


def main(argv: Sequence[str]) -> int:
    """The command line; 1 if a balance is not exact or the extrinsics are more than ten."""
    made = argparse.ArgumentParser(
        "scripts/settle", description="Pay many requests, settle, count."
    )
    made.add_argument("--requests", type=int, default=10_000)
    made.add_argument("--http", action="store_true", help="real miners and gateways over HTTP")
    made.add_argument("--json", action="store_true")
    options = made.parse_args(argv)
    result = run(options.requests, options.http)
    print(json.dumps(asdict(result)) if options.json else shown(result))  # noqa: T201
    return 0 if result.is_exact and result.extrinsics <= 10 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
