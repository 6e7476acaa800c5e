"""Jobs on the chain, and a payer's way from a task to its result.

    done = await jobs.run(client, key, market=0, task=b'{"prompt": "Why?", "max_tokens": 64}')
    print(done.result.text)

Miners that run with `--jobs` do them. The task goes to the miner that took the job, signed, and
only its hash is on the chain.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from ganglion import ss58
from ganglion.client import Client
from ganglion.errors import EncodeError, GanglionError
from ganglion.hashing import blake2_256
from ganglion.keys import Keypair
from ganglion.view import Reads
from ganglion.wire.call import Caller, CallFailed, Target
from ganglion.wire.fields import BadMessage
from ganglion.wire.receipts import BadReceipt
from ganglion.wire.tasks import JOB_PATH, Result, job_name, request_of

PALLET = "Jobs"
TRIES = 5
"""How often a finished result is asked for."""
AGAIN_SECONDS = 1.0


class NoResult(GanglionError):
    """A job or intent came to nothing, or its result cannot be had; the message says why."""


@dataclass(frozen=True, slots=True)
class JobFacts:
    """A job as the chain has it; `state` is Waiting, Running or Review, and where there is a court
    also Rejected, Contested or RejectionContested."""

    number: int
    market: int
    payer: bytes
    content: bytes
    state: str
    hotkey: str | None
    started: int
    due: int
    tried: tuple[str, ...]
    result: bytes | None


@dataclass(frozen=True, slots=True)
class MarketFacts:
    """A market's terms: prices in rao a block, times in blocks."""

    number: int
    netuid: int
    model: str
    price: int
    timeout: int
    minimum: int
    review: int


@dataclass(frozen=True, slots=True)
class Done:
    """A finished job: the miner, its answer, and the bytes whose hash is on the chain."""

    number: int
    hotkey: str
    result: Result
    raw: bytes


async def read(view: Reads, number: int) -> JobFacts | None:
    """A job that waits, runs or is reviewed."""
    found = await view.query(PALLET, "Jobs", number)
    if found is None:
        return None
    return JobFacts(
        number,
        int(found["market"]),
        ss58.decode(found["payer"], prefix=None),
        _raw(found["content"]),
        str(found["state"]),
        None if found["node"] is None else str(found["node"]["hotkey"]),
        int(found["started"]),
        int(found["due"]),
        tuple(map(str, found["tried"])),
        None if found["result"] is None else _raw(found["result"]),
    )


async def market(view: Reads, number: int) -> MarketFacts | None:
    """A market."""
    found = await view.query(PALLET, "Markets", number)
    if found is None:
        return None
    terms = found["terms"]
    return MarketFacts(
        number,
        int(terms["netuid"]),
        _name(terms["model"]),
        int(terms["job_price"]),
        int(terms["job_timeout"]),
        int(terms["node_minimum"]),
        int(terms["review"]),
    )


def check_task(task: bytes, model: str) -> None:
    """EncodeError, before anything is spent, for what no miner could do."""
    try:
        request_of(task, model, bytes(32))
    except BadMessage as e:
        raise EncodeError(f"this is no task: {e}") from e


async def post(client: Client, key: Keypair, number: int, task: bytes, tier: str) -> int:
    """List a job in a market; its number."""
    call = await client.compose(PALLET, "list", market=number, content=blake2_256(task), tier=tier)
    listed = (await client.submit(call, key)).check().find(PALLET, "JobListed")
    if listed is None:
        raise NoResult("the chain did not say which job it listed")
    return int(listed.args["job"])


async def target_of(client: Client, netuid: int, hotkey: str) -> Target:
    """Where a miner listens; NoResult if it has published nothing."""
    for neuron in await client.neurons(netuid):
        if neuron.hotkey == hotkey and neuron.axon.is_serving:
            return Target.of(neuron)
    raise NoResult(f"{hotkey} has published no address on subnet {netuid}")


async def run(
    client: Client, key: Keypair, number: int, task: bytes, priority: bool = False
) -> Done:
    """Have a task done in a market: list it, hand it over, wait, fetch and check the result.

    Raises NoResult when nobody did it in time, and TransactionFailed if it cannot be listed.
    """
    terms = await market(await client.at_head(), number)
    if terms is None:
        raise NoResult(f"there is no market {number}: see `ganglion job markets`")
    check_task(task, terms.model)
    job = await post(client, key, number, task, "Priority" if priority else "Economy")
    async with Caller(key) as caller:
        return await follow(client, caller, terms, job, task)


async def follow(
    client: Client, caller: Caller, terms: MarketFacts, number: int, task: bytes
) -> Done:
    """Hand a job's task to whoever takes it, until it is done; NoResult if nobody does it."""
    handed, seen = "", False
    async for header in client.blocks():
        view = client.at(header.hash)
        facts = await read(view, number)
        if facts is None and not seen and int(await view.query(PALLET, "NextJobId")) <= number:
            continue  # a block from before it was listed
        seen = True
        if facts is None or facts.result is not None:
            digest = None if facts is None else facts.result
            if digest is None:
                digest = await _finished(client, header.number, number)
            try:
                return await _fetch(client, caller, terms, number, task, handed, digest)
            except NoResult as e:
                if facts is None:
                    raise
                raise NoResult(f"{e}; `ganglion job reject {number}` refuses to pay for it") from e
        if facts.hotkey is None or facts.hotkey == handed:
            continue
        try:
            target = await target_of(client, terms.netuid, facts.hotkey)
            await caller.fetch(target, "POST", f"{JOB_PATH}?number={number}", task)
            handed = facts.hotkey
        except (CallFailed, NoResult):
            continue  # it has until the timeout: the next block brings another try
    raise NoResult("the stream of blocks ended")


async def _finished(client: Client, newest: int, number: int) -> bytes:
    """The hash of the result of a job that the chain has ended lately; NoResult if there is
    none."""
    for height in range(newest, max(newest - 64, 0), -1):
        for event in await client.at(await client.block_hash(height)).events():
            if event.pallet != PALLET or event.args.get("job") != number:
                continue
            if event.name == "JobFinished":
                return _raw(event.args["result"])
            if event.name in ("JobTimedOut", "JobExpired", "JobDelisted"):
                raise NoResult(f"job {number} was not done: {event.name}; its money is back")
    raise NoResult(f"job {number} is gone, and the last 64 blocks do not say why")


async def _fetch(
    client: Client,
    caller: Caller,
    terms: MarketFacts,
    number: int,
    task: bytes,
    hotkey: str,
    digest: bytes,
) -> Done:
    if not hotkey:
        raise NoResult(f"job {number} was finished by a miner that never had its task")
    genesis = bytes.fromhex(client.genesis_hash.removeprefix("0x"))
    target = await target_of(client, terms.netuid, hotkey)
    raw = await fetched(caller, target, f"{JOB_PATH}?number={number}", digest)
    asked = request_of(task, terms.model, job_name(genesis, number))
    result = checked(raw, genesis, terms.netuid, caller.hotkey.public_key, hotkey, asked)
    return Done(number, hotkey, result, raw)


async def fetched(caller: Caller, target: Target, path: str, digest: bytes) -> bytes:
    """A result from its miner; NoResult if it is not the one whose hash is on the chain."""
    why = ""
    for _ in range(TRIES):
        try:
            raw = await caller.fetch(target, "GET", path)
        except CallFailed as e:
            why = str(e)
            await asyncio.sleep(AGAIN_SECONDS)
            continue
        if blake2_256(raw) != digest:
            raise NoResult("the miner gives another result than the chain has the hash of")
        return raw
    raise NoResult(f"the result cannot be fetched: {why}")


def checked(
    raw: bytes, genesis: bytes, netuid: int, payer: bytes, hotkey: str, asked: Any
) -> Result:
    """A result whose receipt is about what was asked; NoResult if it is about anything else."""
    try:
        result = Result.from_bytes(raw)
        result.check(genesis, netuid, payer, ss58.decode(hotkey, prefix=None), asked)
    except (BadMessage, BadReceipt) as e:
        raise NoResult(f"the result is no answer to this task: {e}") from e
    return result


def _raw(value: Any) -> bytes:
    return bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else bytes(value)


def _name(raw: Any) -> str:
    return raw if isinstance(raw, str) else bytes(raw).decode(errors="replace")
