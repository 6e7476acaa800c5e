"""MarketRuntimeApi: what a model costs at least, and how much of it is taken, as of a block."""

from __future__ import annotations

from dataclasses import dataclass

from chain.pallets.balances_ops import MAX
from chain.pallets.market import Trades, get_base_fee, get_least_rate
from chain.pallets.model_registry import ModelId
from chain.runtime.apis import Api
from chain.runtime.state import State, iter_items
from ganglion.scale import u32, u64
from ganglion.units import NetUid, Rao

market_api = Api("MarketRuntimeApi", 1)


@dataclass(frozen=True, slots=True)
class ModelMarket:
    """A model with its base fee, and the capacity that is asked and leased."""

    model: ModelId
    base_fee: u64
    asked: u64
    used: u64


@market_api.method
def base_fee(s: State, netuid: NetUid, model: ModelId) -> u64:
    """The least price of a million output tokens of a model, in rao."""
    return get_base_fee(s, netuid, model)


@market_api.method
def least_rate(s: State, netuid: NetUid, model: ModelId, capacity: u32) -> Rao:
    """The least rate of a lease of so many output tokens a block, in rao a block;
    2^64 - 1 where it is more than anybody can bid."""
    return Rao(min(get_least_rate(s, netuid, model, capacity), MAX))


@market_api.method
def models(s: State, netuid: NetUid) -> tuple[ModelMarket, ...]:
    """Every model of a subnet that somebody asks for or lately did."""
    return tuple(
        ModelMarket(model, get_base_fee(s, netuid, model), trade.asked, trade.used)
        for model, trade in iter_items(s, Trades, netuid)
        if trade is not None
    )
