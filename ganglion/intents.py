"""Intents on the chain, and a payer's way from a task to its result.

    done = await intents.fill(client, key, Wish(1, "ganglion/tiny", max_price=10**7), task)
    print(done.result.text)

Miners that run with `--fill-intents` quote. The signed intent and the task go to all of them, and
only what the cheapest quotes is on the chain.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import Any

import orjson

from ganglion.client import Client
from ganglion.hashing import blake2_256
from ganglion.jobs import NoResult, check_task, checked, fetched, target_of
from ganglion.keys import Keypair
from ganglion.subnet_views import Neuron
from ganglion.view import Reads
from ganglion.wire.call import Caller, CallFailed, Target
from ganglion.wire.intents import Intent, SignedIntent, sign
from ganglion.wire.tasks import INTENT_PATH, Result, request_of

PALLET = "Intents"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted: at most `max_price` rao for all of it, quotes for so many blocks, and so
    many to deliver."""

    netuid: int
    model: str
    max_price: int
    blocks: int = 10
    deliver: int = 50


@dataclass(frozen=True, slots=True)
class Standing:
    """An intent on the chain: who quotes the least for it, and how much; None if withdrawn."""

    hotkey: str | None
    price: int
    deadline: int
    due: int


@dataclass(frozen=True, slots=True)
class Filled:
    """A filled intent: the miner, what it was paid, its answer, and the bytes of the result."""

    name: bytes
    hotkey: str
    price: int
    result: Result
    raw: bytes


async def read(view: Reads, name: bytes) -> Standing | None:
    """An intent that somebody has quoted for, or that was withdrawn."""
    found = await view.query(PALLET, "Intents", name)
    if found is None:
        return None
    best, intent = found["best"], found["intent"]
    deadline = int(intent["deadline"])
    hotkey = None if best is None else str(best["hotkey"])
    price = 0 if best is None else int(best["price"])
    return Standing(hotkey, price, deadline, deadline + int(intent["deliver"]))


def message(signed: SignedIntent, task: bytes) -> bytes:
    """What a payer sends to miners."""
    return orjson.dumps({"intent": signed.to_hex(), "task": task.decode()})


async def fill(client: Client, key: Keypair, wish: Wish, task: bytes) -> Filled:
    """Have a task done by whoever asks least: sign, hand out, wait, fetch and check the result.

    Raises NoResult when nobody quotes or delivers; then nothing is paid.
    """
    check_task(task, wish.model)
    genesis = bytes.fromhex(client.genesis_hash.removeprefix("0x"))
    now = await client.block_number()
    intent = Intent(
        genesis,
        key.public_key,
        wish.netuid,
        wish.model.encode(),
        blake2_256(task),
        wish.max_price,
        now + wish.blocks,
        wish.deliver,
        secrets.randbits(64),
    )
    async with Caller(key) as caller:
        await hand_out(client, caller, sign(intent, key), task)
        hotkey, price, digest = await _delivered(client, intent)
        target = await target_of(client, wish.netuid, hotkey)
        raw = await fetched(caller, target, f"{INTENT_PATH}?name=0x{intent.id().hex()}", digest)
    asked = request_of(task, wish.model, intent.id())
    result = checked(raw, genesis, wish.netuid, key.public_key, hotkey, asked)
    return Filled(intent.id(), hotkey, price, result, raw)


async def hand_out(client: Client, caller: Caller, signed: SignedIntent, task: bytes) -> int:
    """Give an intent and its task to all miners that serve; how many took it. NoResult if none."""
    serving = [n for n in await client.neurons(signed.intent.netuid) if n.axon.is_serving]
    body = message(signed, task)

    async def one(neuron: Neuron) -> str:
        if neuron.hotkey == caller.hotkey.address:
            return "it is the payer itself"
        try:
            await caller.fetch(Target.of(neuron), "POST", INTENT_PATH, body)
        except CallFailed as e:
            return str(e)
        return ""

    said = await asyncio.gather(*map(one, serving))
    taken = said.count("")
    if not taken:
        why = "; ".join(f"uid {n.uid}: {text}" for n, text in zip(serving, said)) or "nobody serves"
        raise NoResult(f"no miner wants this intent: {why}")
    return taken


async def _delivered(client: Client, intent: Intent) -> tuple[str, int, bytes]:
    """Miner, price and hash of the result of an intent, once it is delivered; NoResult."""
    name, seen = intent.id(), await client.block_number()
    async for header in client.blocks():
        for height in range(seen + 1, header.number + 1):
            view = client.at(await client.block_hash(height))
            for event in await view.events():
                if event.pallet == PALLET and _raw(event.args.get("intent", b"")) == name:
                    if event.name == "Filled":
                        paid = int(event.args["paid"]) + int(event.args["burned"])
                        return str(event.args["hotkey"]), paid, _raw(event.args["result"])
                    if event.name == "Failed":
                        miner = event.args["hotkey"]
                        raise NoResult(f"{miner} has not delivered: your money is back")
        seen = max(seen, header.number)
        if seen >= intent.deadline and await read(client.at(header.hash), name) is None:
            raise NoResult("nobody has quoted for it: nothing is paid")
    raise NoResult("the stream of blocks ended")


def _raw(value: Any) -> bytes:
    return bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else bytes(value)
