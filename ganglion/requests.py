"""Requests from the chain: ask on it, see what becomes of it, check what was answered.

    async with Client() as client:
        number = await requests.ask(client, key, Wanted(1, "ganglion/tiny", "Why?", price=10**6))
        print((await requests.wait(client, number)).text)

Miners that run with `--chain-requests` answer. The rules are in `docs/requests.md`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from ganglion import ss58
from ganglion.client import Client
from ganglion.errors import EncodeError, GanglionError
from ganglion.hashing import blake2_256, twox_64, twox_128
from ganglion.keys import Keypair
from ganglion.runtime import Runtime
from ganglion.view import Reads
from ganglion.wire.requests import NONCE_SIZE, Order
from ganglion.wire.text import Sampling, TextRequest

PALLET = "InferenceRequests"
RESULTS_PREFIX = twox_128(PALLET.encode()) + twox_128(b"Results")


class NoResult(GanglionError):
    """A request ended without an answer, or has none yet; the message says which."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to ask. `text` is one turn of a user, or 32 bytes: the blake2-256 of one.

    `price` is rao for each of `miners` answers. With one miner its answer is taken; with several
    the one that `agree` of them give alike (by default more than half), or with `tolerance`, in
    millionths, the median of the first numbers in them. `wait` blocks are for miners to come,
    `work` for their work. With `exact` only answers count that anybody
    can make again. An answer goes into the inbox under `inbox`, or into a remark behind
    `remark`.
    """

    netuid: int
    model: str
    text: str | bytes
    price: int
    max_tokens: int = 64
    temperature: int = 700
    miners: int = 1
    agree: int | None = None
    tolerance: int | None = None
    stake: int = 0
    incentive: int = 0
    bond: int = 0
    exact: bool = False
    wait: int = 50
    work: int = 50
    weights: bytes | None = None
    inbox: bytes | None = None
    remark: bytes | None = None

    def fields(self, runtime: Runtime, block: int) -> dict[str, Any]:
        """The argument of the chain's call, for a request made at a block."""
        text = self.text
        given = {"Inline": text.encode()} if isinstance(text, str) else {"ByHash": text}
        return {
            "netuid": self.netuid,
            "model": self.model.encode(),
            "weights": self.weights,
            "input": given,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            # of several answers to a question about numbers each may be drawn anew
            "seed": "Shared" if self.tolerance is None else "Each",
            "redundancy": self.miners,
            "mode": self._mode(),
            "requirement": {
                "stake": self.stake,
                "incentive": self.incentive,
                "bond": self.bond,
                "exact": self.exact,
            },
            "price": self.price,
            "deadline": block + self.wait,
            "work": self.work,
            "callback": self._callback(runtime),
        }

    def _mode(self) -> Any:
        if self.tolerance is not None:
            return {"Median": self.tolerance}
        if self.miners == 1:
            return "First"
        return {"Equal": self.miners // 2 + 1 if self.agree is None else self.agree}

    def _callback(self, runtime: Runtime) -> dict[str, Any] | None:
        if self.inbox is not None and self.remark is not None:
            raise EncodeError("an answer goes into the inbox or into a remark: choose one")
        if self.inbox is not None:
            nobody = {"owner": bytes(32), "key": b"", "id": 0, "output": b""}
            call, data = runtime.call(PALLET, "put", **nobody), self.inbox
        elif self.remark is not None:
            call, data = runtime.call("System", "remark_with_event", remark=b""), self.remark
        else:
            return None
        return {"pallet": call.data[0], "call": call.data[1], "data": data}


@dataclass(frozen=True, slots=True)
class Seat:
    """A miner of a request: public key, and what it has committed to and shown."""

    hotkey: bytes
    provider: bytes
    commitment: bytes | None
    receipt: bytes | None
    output: bytes | None


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """A request without an answer yet. `text` is None where only its hash is on the chain."""

    number: int
    requester: bytes
    netuid: int
    model: str
    weights: bytes | None
    text: bytes | None
    content: bytes
    max_tokens: int
    temperature: int
    shared: bool
    miners: int
    mode: str
    price: int
    deadline: int
    work: int
    requirement: dict[str, int]
    started: int | None
    seats: tuple[Seat, ...]

    def seat(self, hotkey: bytes) -> Seat | None:
        """The seat of a miner."""
        return next((seat for seat in self.seats if seat.hotkey == hotkey), None)

    @property
    def wants_exact(self) -> bool:
        """Whether only answers of the exact class count."""
        return self.mode == "Equal" or bool(self.requirement["exact"])

    @property
    def committed(self) -> tuple[Seat, ...]:
        """Those who may show an answer."""
        return tuple(s for s in self.seats if self.miners == 1 or s.commitment is not None)

    def is_revealing(self, block: int) -> bool:
        """Whether answers may be shown in a block."""
        if self.started is None or block <= self.started:
            return False
        return len(self.committed) == self.miners or block > self.started + self.work

    def last_block(self, reveal: int) -> int:
        """The last block in which anything can come of it, with so many blocks to reveal."""
        if self.started is None:
            return self.deadline
        several = self.miners > 1 and self.committed
        return self.started + self.work + (reveal if several else 0)

    def order(self, genesis: bytes) -> Order:
        """The order as receipts name it."""
        return Order(
            genesis,
            self.number,
            self.requester,
            self.netuid,
            self.model.encode(),
            self.content,
            self.max_tokens,
            self.temperature,
        )

    def seed(self, genesis: bytes, block_hash: bytes, miner: bytes) -> bytes:
        """The seed of a miner's answer; `block_hash` is that of the block `started`."""
        everyone = [seat.hotkey for seat in self.seats]
        return self.order(genesis).seed(block_hash, everyone if self.shared else [miner])


def text_request(order: Order, text: str, seed: bytes) -> TextRequest:
    """What a miner's engine is asked for an order."""
    sampling = Sampling(seed, order.temperature / 1000)
    nonce, model = order.digest()[:NONCE_SIZE], order.model.decode()
    return TextRequest(nonce, model, sampling, order.max_tokens, messages=(("user", text),))


@dataclass(frozen=True, slots=True)
class Part:
    """What came of one miner: agreed, dissented or missed, and the hashes of what it showed;
    `exact` is the class that it signed for."""

    hotkey: str
    verdict: str
    receipt: bytes | None
    output: bytes | None
    exact: bool


@dataclass(frozen=True, slots=True)
class ResultFacts:
    """An answer on the chain, and who gave it."""

    number: int
    requester: str
    netuid: int
    model: str
    order: bytes
    started: int
    decided: int
    output: bytes
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The answer as text."""
        return self.output.decode(errors="replace")


async def ask(client: Client, key: Keypair, wanted: Wanted) -> int:
    """Put a request on the chain; its number. TransactionFailed, or what a connection raises."""
    fields = wanted.fields(client.runtime, await client.block_number())
    call = await client.compose(PALLET, "request", ask=fields)
    receipt = (await client.submit(call, key)).check()
    made = receipt.find(PALLET, "Requested")
    if made is None:
        raise NoResult("the request is in a block, and yet the chain tells no number of it")
    return int(made.args["id"])


async def wait(client: Client, number: int) -> ResultFacts:
    """The answer to a request, as soon as there is one; NoResult if it ends without."""
    async for header in client.blocks():
        view = client.at(header.hash)
        found = await result(view, number)
        if found is not None:
            return found
        pending = await read(view, number)
        if pending is None:
            raise NoResult(f"request {number} has ended without an answer")
        reveal = int(await client.constant(PALLET, "RevealWindow"))
        if header.number > pending.last_block(reveal):
            raise NoResult(
                f"the time of request {number} is over: `ganglion request expire {number}` takes "
                "its answer from what was shown, or gives the money back"
            )
    raise asyncio.CancelledError


async def read(view: Reads, number: int) -> RequestFacts | None:
    """A request that waits for an answer."""
    found = await view.query(PALLET, "Requests", number)
    return None if found is None else request_facts(number, found)


async def every(view: Reads) -> list[RequestFacts]:
    """All that wait for an answer, the oldest first."""
    found = await view.query_map(PALLET, "Requests")
    return sorted((request_facts(n, value) for n, value in found), key=lambda r: r.number)


async def result(view: Reads, number: int) -> ResultFacts | None:
    """An answer, until its requester clears it."""
    found = await view.query(PALLET, "Results", number)
    return None if found is None else result_facts(number, found)


async def results(view: Reads) -> list[ResultFacts]:
    """All answers, the oldest first."""
    found = await view.query_map(PALLET, "Results")
    return sorted((result_facts(n, value) for n, value in found), key=lambda r: r.number)


def number_of(key: bytes) -> int | None:
    """The number of the answer that is stored under a raw key; None for other keys."""
    name, rest = key[: len(RESULTS_PREFIX)], key[len(RESULTS_PREFIX) :]
    hashed, number = rest[:8], rest[8:]
    if name != RESULTS_PREFIX or len(number) != 8 or twox_64(number) != hashed:
        return None
    return int.from_bytes(number, "little")


def request_facts(number: int, found: dict[str, Any]) -> RequestFacts:
    """A request as the chain's storage has it."""
    asked = found["ask"]
    text = asked["input"].get("Inline")
    text = None if text is None else _raw(text)
    mode = asked["mode"]
    seats = (
        Seat(
            ss58.decode(seat["hotkey"], prefix=None),
            ss58.decode(seat["provider"], prefix=None),
            *(_maybe(seat[name]) for name in ("commitment", "receipt", "output")),
        )
        for seat in found["seats"]
    )
    return RequestFacts(
        number,
        ss58.decode(found["requester"], prefix=None),
        asked["netuid"],
        _raw(asked["model"]).decode(),
        _maybe(asked["weights"]),
        text,
        _raw(asked["input"]["ByHash"]) if text is None else blake2_256(text),
        asked["max_tokens"],
        asked["temperature"],
        asked["seed"] == "Shared",
        asked["redundancy"],
        mode if isinstance(mode, str) else next(iter(mode)),
        asked["price"],
        asked["deadline"],
        asked["work"],
        dict(asked["requirement"]),
        found["started"],
        tuple(seats),
    )


def result_facts(number: int, found: dict[str, Any]) -> ResultFacts:
    """An answer as the chain's storage has it."""
    parts = (
        Part(
            part["hotkey"],
            part["verdict"],
            _maybe(part["receipt"]),
            _maybe(part["output"]),
            part["exact"],
        )
        for part in found["parts"]
    )
    return ResultFacts(
        number,
        found["requester"],
        found["netuid"],
        _raw(found["model"]).decode(),
        _raw(found["order"]),
        found["started"],
        found["decided"],
        _raw(found["output"]),
        tuple(parts),
    )


def _maybe(value: Any) -> bytes | None:
    return None if value is None else _raw(value)


def _raw(value: Any) -> bytes:
    return bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else bytes(value)
