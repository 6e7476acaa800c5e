"""A chain in memory with root and whatever subnets a fact needs, called through the dispatch."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from chain.pallets import balances_store
from chain.pallets.balances_ops import free_balance, set_free
from chain.pallets.subtensor import storage_hyperparameters as hyper
from chain.pallets.subtensor import storage_network as network
from chain.pallets.subtensor.accounts import do_create_account
from chain.pallets.subtensor.block_step import block_step
from chain.pallets.subtensor.share_pool import add_stake
from chain.pallets.subtensor.storage_pool import SubnetAlphaIn, SubnetAlphaOut, SubnetTAO
from chain.pallets.subtensor.storage_registration import Burn, TargetRegistrationsPerInterval
from chain.pallets.subtensor.storage_stake import TotalIssuance, TotalStake
from chain.pallets.subtensor.subnet_start import init_new_network
from chain.pallets.subtensor.uids import do_append_neuron
from chain.pallets.system import Account, Number
from chain.runtime.dispatch import DispatchResult, dispatch
from chain.runtime.origin import ROOT as ROOT_ORIGIN
from chain.runtime.origin import Origin, signed
from chain.runtime.state import DictBackend, State, iter_items
from chain.runtime_spec import make_runtime
from ganglion.units import ROOT_NETUID, AccountId, Alpha, BlockNumber, NetUid, Rao

RUNTIME = make_runtime()
TAO = 1_000_000_000
NET = NetUid(1)
RICH = 1_000_000 * TAO
SUDO = ROOT_ORIGIN


def key(n: int) -> AccountId:
    """Account number n."""
    return AccountId(n.to_bytes(2, "big") * 16)


OWNER, OWNER_HOT, ALICE, BOB, CAROL = (key(n) for n in (1, 2, 3, 4, 5))


def lab(block: int = 10) -> State:
    """Root exists; OWNER, ALICE, BOB and CAROL are rich; subnets may be registered at once."""
    s = State(DictBackend())
    at(s, block)
    s[TotalIssuance] = Rao(0)
    s[network.NetworksAdded, ROOT_NETUID] = True
    s[network.TotalNetworks] = 1
    s[network.Tempo, ROOT_NETUID] = 100
    s[hyper.MaxAllowedUids, ROOT_NETUID] = 64
    s[TargetRegistrationsPerInterval, ROOT_NETUID] = 1
    s[network.NetworkRateLimit] = 0
    for who in (OWNER, ALICE, BOB, CAROL):
        fund(s, who, RICH)
    return s


def at(s: State, block: int) -> None:
    """Move to a block without running anything."""
    s[Number] = BlockNumber(block)
    s.block = SimpleNamespace(count=0)


def step(s: State, blocks: int = 1) -> None:
    """Run the economy of the next blocks."""
    for _ in range(blocks):
        at(s, s[Number] + 1)
        block_step(s, s[Number])


def fund(s: State, who: AccountId, rao: int) -> None:
    """Give an account exactly this much."""
    set_free(s, who, rao)
    s.events.clear()


def balance(s: State, who: AccountId) -> int:
    """Free TAO of an account."""
    return free_balance(s, who)


def subnet(s: State, netuid: int = NET, owner: AccountId = OWNER, **settings: Any) -> NetUid:
    """A stable subnet (alpha costs one TAO) with a burn of 1 TAO; settings by storage name."""
    n = NetUid(netuid)
    init_new_network(s, n)
    s[network.SubnetOwner, n] = owner
    s[network.SubtokenEnabled, n] = True
    s[Burn, n] = Rao(TAO)
    for name, value in settings.items():
        put(s, name, n, value)
    s.events.clear()
    return n


def item_of(name: str) -> Any:
    """A storage item of SubtensorModule."""
    return RUNTIME.by_name["SubtensorModule"].items[name]


def put(s: State, name: str, *keys_and_value: Any) -> None:
    """Write storage by name: put(s, "Burn", 1, 1000)."""
    *keys, value = keys_and_value
    item = item_of(name)
    s[(item, *keys) if keys else item] = value


def get(s: State, name: str, *keys: Any) -> Any:
    """Read storage by name."""
    item = item_of(name)
    return s[(item, *keys) if keys else item]


def has(s: State, name: str, *keys: Any) -> bool:
    """Whether storage has an entry."""
    return (item_of(name), *keys) in s


def neuron(s: State, netuid: int, coldkey: AccountId, hotkey: AccountId) -> int:
    """Seat a hotkey without a fee."""
    do_create_account(s, coldkey, hotkey)
    return do_append_neuron(s, NetUid(netuid), hotkey)


def give_stake(s: State, netuid: int, coldkey: AccountId, hotkey: AccountId, alpha: int) -> None:
    """Alpha out of nowhere (TAO on root)."""
    n = NetUid(netuid)
    add_stake(s, hotkey, coldkey, n, alpha)
    s[SubnetAlphaOut, n] = Alpha(s[SubnetAlphaOut, n] + alpha)
    if n == ROOT_NETUID:
        s[SubnetTAO, n] = Rao(s[SubnetTAO, n] + alpha)
        s[TotalStake] = Rao(s[TotalStake] + alpha)


def pool(s: State, netuid: int, tao: int, alpha: int) -> None:
    """Set the reserves of a subnet's pool."""
    s[SubnetTAO, NetUid(netuid)] = Rao(tao)
    s[SubnetAlphaIn, NetUid(netuid)] = Alpha(alpha)


def contents(s: State) -> dict[bytes, bytes]:
    """All raw entries."""
    out = DictBackend(s.backend)  # type: ignore[arg-type]
    out.apply(s.changes())
    return dict(out)


def run(s: State, who: AccountId | Origin, name: str, *args: Any) -> DispatchResult:
    """Dispatch a call of SubtensorModule; one that fails may not change anything."""
    return run_of(s, who, "SubtensorModule", name, *args)


def run_of(s: State, who: AccountId | Origin, pallet: str, name: str, *args: Any) -> DispatchResult:
    """The same with a call of any pallet."""
    before, events = contents(s), list(s.events)
    origin = who if isinstance(who, Origin) else signed(who)
    result = dispatch(s, RUNTIME.call(pallet, name, *args), origin)
    if result.error is not None:
        assert contents(s) == before
        assert s.events == events
    return result


def ok(s: State, who: AccountId | Origin, name: str, *args: Any) -> None:
    """Dispatch a call that must succeed."""
    error = run(s, who, name, *args).error
    assert error is None, repr(error)


def fails(s: State, failure: type, who: AccountId | Origin, name: str, *args: Any) -> None:
    """Dispatch a call that must fail in one way."""
    error = run(s, who, name, *args).error
    assert isinstance(error, failure), f"{error!r} instead of {failure.__name__}"


def emitted(s: State, kind: type) -> list[Any]:
    """Events of a kind, oldest first."""
    return [e for e in s.events if isinstance(e, kind)]


def tao_sum(s: State) -> int:
    """TAO on all accounts."""
    return sum(info.data.free + info.data.reserved for _, info in iter_items(s, Account))


def issuance(s: State) -> int:
    """TAO there is, by the currency."""
    return s[balances_store.TotalIssuance]
