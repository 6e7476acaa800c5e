"""The market on the chain: what miners ask, what models cost at least, who leases from whom.

Prices are rao for a million tokens, capacities output tokens a block, rates rao a block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ganglion.errors import UnknownName
from ganglion.view import Reads

MARKET, LEASES, BONDS = "Market", "Leases", "Bonds"
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class AskFacts:
    """A miner's offer of a model until a block."""

    netuid: int
    model: str
    hotkey: str
    prompt: int
    cached: int
    completion: int
    capacity: int
    leased: int
    expires: int


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model's base fee, and how much of its capacity is asked for and leased."""

    model: str
    base_fee: int
    asked: int
    used: int


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """An order with its bids, lowest first, or with its lease.

    `state` is bidding, open or overdrawn. `balance` is what is left as of the block `settled_at`,
    or altogether while bids are taken. `hotkey`, `rate` and `ends` are the lease's; an order
    without one has the lowest bid's hotkey and rate, if there is a bid, and `ends` is where the
    bidding does.
    """

    number: int
    state: str
    netuid: int
    model: str
    capacity: int
    max_rate: int
    payer: str
    lessee: str
    balance: int
    settled_at: int
    bids: int
    hotkey: str | None
    rate: int | None
    ends: int

    def earned(self, block: int) -> int:
        """What the lease costs from its last settlement to a block, in rao."""
        if self.state != "open" or not self.rate:
            return 0
        blocks = max(min(block, self.ends) - self.settled_at, 0)
        return min(blocks, self.balance // self.rate) * self.rate


def _name(raw: Any) -> str:
    return raw if isinstance(raw, str) else bytes(raw).decode(errors="replace")


async def has_market(chain: Reads) -> bool:
    """Whether the chain has asks and leases at all; upstream's has none."""
    try:
        await chain.constant(MARKET, "MinBaseFee")
    except UnknownName:
        return False
    return True


async def asks(chain: Reads, netuid: int) -> list[AskFacts]:
    """All asks of a subnet, by model and completion price."""
    leased = {
        (_name(model), hotkey): int(value["leased"])
        for (model, hotkey), value in await chain.query_map(MARKET, "Leased", netuid)
    }
    found = []
    for (raw, hotkey), ask in await chain.query_map(MARKET, "Asks", netuid):
        model, prices = _name(raw), ask["prices"]
        found.append(
            AskFacts(
                netuid,
                model,
                hotkey,
                int(prices["prompt"]),
                int(prices["cached"]),
                int(prices["completion"]),
                int(ask["capacity"]),
                leased.get((model, hotkey), 0),
                int(ask["expires"]),
            )
        )
    return sorted(found, key=lambda a: (a.model, a.completion, a.hotkey))


async def base_fee(chain: Reads, netuid: int, model: str) -> int:
    """The least price of a million output tokens of a model."""
    return int(await chain.api("MarketRuntimeApi", "base_fee", netuid, model.encode()))


async def models(chain: Reads, netuid: int) -> list[ModelFacts]:
    """The models of a subnet that have a market."""
    return sorted(
        (
            ModelFacts(_name(m["model"]), int(m["base_fee"]), int(m["asked"]), int(m["used"]))
            for m in await chain.api("MarketRuntimeApi", "models", netuid)
        ),
        key=lambda m: m.model,
    )


async def order(chain: Reads, number: int) -> OrderFacts | None:
    """An order; None if it is closed or never was."""
    made, escrow, lease, bids = await chain.query_many(
        [(LEASES, name, number) for name in ("Orders", "Escrows", "Leases", "Bids")]
    )
    return None if made is None else _facts(number, made, escrow, lease, bids)


async def orders(chain: Reads, netuid: int | None = None) -> list[OrderFacts]:
    """All orders that are not closed, or those of one subnet, by number."""
    found = [await order(chain, int(n)) for n, _ in await chain.query_map(LEASES, "Orders")]
    kept = [o for o in found if o is not None and netuid in (None, o.netuid)]
    return sorted(kept, key=lambda o: o.number)


async def leases_of(chain: Reads, hotkey: str) -> list[OrderFacts]:
    """The leases that a miner's hotkey serves."""
    numbers = [int(n) for n, _ in await chain.query_map(LEASES, "LeasesOf", hotkey)]
    found = [await order(chain, number) for number in sorted(numbers)]
    return [o for o in found if o is not None and o.state != "bidding"]


def _facts(number: int, made: Any, escrow: Any, lease: Any, bids: Any) -> OrderFacts:
    spec = made["spec"]
    best = lease or (bids[0] if bids else None)
    state = "bidding" if lease is None else str(escrow["state"]).lower()
    return OrderFacts(
        number,
        state,
        int(spec["netuid"]),
        _name(spec["model"]),
        int(spec["capacity"]),
        int(spec["max_rate"]),
        made["payer"],
        spec["lessee"],
        int(escrow["balance"]),
        int(escrow["settled_at"]),
        len(bids or ()),
        None if best is None else best["hotkey"],
        None if best is None else int(best["rate"]),
        int(made["closes"] if lease is None else lease["ends"]),
    )
