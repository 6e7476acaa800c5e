"""SwapRuntimeApi: prices of alpha, and what a trade would bring.

Upstream: pallets/swap/runtime-api, runtime/src/lib.rs
"""

from __future__ import annotations

from dataclasses import dataclass

from chain.pallets import swap
from chain.pallets.subtensor.accounts import get_netuids
from chain.runtime.apis import Api
from chain.runtime.errors import CallError
from chain.runtime.state import State
from consensus.economics.trade import Side, Trade
from ganglion.fixed import U64F64, sat_sub
from ganglion.scale import scale_type, u64
from ganglion.units import RAO_PER_TAO, Alpha, NetUid, Rao

swap_api = Api("SwapRuntimeApi", 1, "Prices and trades.")


@scale_type("pallet_subtensor_swap_runtime_api::SubnetPrice")
@dataclass(frozen=True, slots=True)
class SubnetPrice:
    """The price of a whole alpha in rao."""

    netuid: NetUid
    price: u64


@scale_type("pallet_subtensor_swap_runtime_api::SimSwapResult")
@dataclass(frozen=True, slots=True)
class SimSwapResult:
    """What a trade would move; slippage is what the spot price would have brought beyond it."""

    tao_amount: Rao
    alpha_amount: Alpha
    tao_fee: Rao
    alpha_fee: Alpha
    tao_slippage: Rao
    alpha_slippage: Alpha


NOTHING = SimSwapResult(Rao(0), Alpha(0), Rao(0), Alpha(0), Rao(0), Alpha(0))
"""The answer about a trade that cannot be done."""


@swap_api.method
def current_alpha_price(s: State, netuid: NetUid) -> u64:
    """The price of a whole alpha in rao."""
    price = swap.get_price(s, netuid)
    return U64F64.to_u64(U64F64.mul(price, U64F64.from_int(RAO_PER_TAO)))


@swap_api.method
def current_alpha_price_all(s: State) -> tuple[SubnetPrice, ...]:
    """Prices on all subnets, in storage order."""
    return tuple(SubnetPrice(n, current_alpha_price(s, n)) for n in get_netuids(s))


def _sim(s: State, netuid: NetUid, side: Side, amount: int) -> Trade | None:
    try:
        return swap.sim_swap(s, netuid, side, amount)
    except CallError:
        return None


@swap_api.method
def sim_swap_tao_for_alpha(s: State, netuid: NetUid, tao: Rao) -> SimSwapResult:
    """What buying alpha for this much TAO would bring; zeros when it cannot be done."""
    done = _sim(s, netuid, Side.BUY, tao)
    if done is None:
        return NOTHING
    ideal = U64F64.to_u64(U64F64.safe_div(U64F64.from_int(tao), swap.get_price(s, netuid)))
    slippage = Alpha(sat_sub(ideal, done.paid_out))
    return SimSwapResult(
        Rao(done.paid_in), Alpha(done.paid_out), Rao(done.fee), Alpha(0), Rao(0), slippage
    )


@swap_api.method
def sim_swap_alpha_for_tao(s: State, netuid: NetUid, alpha: Alpha) -> SimSwapResult:
    """What selling this much alpha would bring; zeros when it cannot be done."""
    done = _sim(s, netuid, Side.SELL, alpha)
    if done is None:
        return NOTHING
    ideal = U64F64.to_u64(U64F64.mul(U64F64.from_int(alpha), swap.get_price(s, netuid)))
    slippage = Rao(sat_sub(ideal, done.paid_out))
    return SimSwapResult(
        Rao(done.paid_out), Alpha(done.paid_in), Rao(0), Alpha(done.fee), slippage, Alpha(0)
    )
