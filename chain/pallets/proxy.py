"""Proxy (pallet 16): accounts that act for others within limits, at once or after notice.

A proxied call runs as the real account under a filter that its proxy's type sets and that
calls inside the call inherit. Upstream: subtensor's fork of pallet_proxy.
"""

from __future__ import annotations

from collections.abc import Callable

import chain.pallets.proxy_store as _store
from chain.pallets.balances_ops import reserve, unreserve
from chain.pallets.nested import extrinsic_index, hash_of, name_of, pays_of, rocks, weight_of
from chain.pallets.proxy_store import (
    Announced,
    Announcement,
    AnnouncementDepositBase,
    AnnouncementDepositFactor,
    Announcements,
    Definitions,
    DepositKind,
    DepositPoked,
    Err,
    Error,
    LastCallResult,
    MaxPending,
    MaxProxies,
    Ok,
    Proxies,
    ProxyAdded,
    ProxyDefinition,
    ProxyDepositBase,
    ProxyDepositFactor,
    ProxyExecuted,
    ProxyRemoved,
    PureCreated,
    PureKilled,
    RealPaysFeeConsentV1,
    RealPaysFeeSet,
)
from chain.pallets.proxy_types import ProxyType, admits, is_superset
from chain.pallets.sudo import outcome
from chain.pallets.system import block_number
from chain.runtime.call import Pays, PostInfo, RuntimeCall
from chain.runtime.dispatch import dispatch
from chain.runtime.errors import ensure
from chain.runtime.origin import Signed, signed
from chain.runtime.pallet import Pallet, call, on_finalize
from chain.runtime.state import State, clear_prefix, take
from chain.runtime.types import MultiAddress, lookup
from ganglion.hashing import blake2_256
from ganglion.scale import Compact, u16, u32
from ganglion.units import AccountId, BlockNumber, Hash, Rao

PROXY = rocks(28_026_265 + 53_205 * 20, reads=4, writes=2)
PROXY_ANNOUNCED = rocks(53_234_507 + 228_831 * 75 + 54_037 * 20, reads=6, writes=4)


@call(
    0,
    weight=lambda real, kind, call: PROXY + weight_of(call),
    pays=lambda real, kind, call: pays_of(call),
)
def proxy(
    s: State,
    who: Signed,
    real: MultiAddress,
    force_proxy_type: ProxyType | None,
    call: RuntimeCall,
) -> None:
    """Dispatch the given call from an account that the sender is authorised for."""
    account = lookup(real)
    found = find_proxy(s, account, who, force_proxy_type)
    ensure(found.delay == 0, Error.Unannounced)
    do_proxy(s, found, account, call)


@call(1, weight=25_770_804 + 80_892 * 20, reads=1, writes=1)
def add_proxy(
    s: State, who: Signed, delegate: MultiAddress, proxy_type: ProxyType, delay: BlockNumber
) -> None:
    """Register a proxy account for the sender that is able to make calls on its behalf."""
    add_proxy_delegate(s, who, lookup(delegate), proxy_type, delay)


@call(2, weight=27_827_049 + 64_054 * 20, reads=1, writes=2)
def remove_proxy(
    s: State, who: Signed, delegate: MultiAddress, proxy_type: ProxyType, delay: BlockNumber
) -> None:
    """Unregister a proxy account for the sender."""
    remove_proxy_delegate(s, who, lookup(delegate), proxy_type, delay)


@call(3, weight=27_407_028 + 55_808 * 20, reads=1, writes=1)
def remove_proxies(s: State, who: Signed) -> None:
    """Unregister all proxy accounts for the sender.

    On a pure account this gives up all access to it.
    """
    _, deposit = take(s, (Proxies, who))
    unreserve(s, who, deposit)
    clear_prefix(s, RealPaysFeeConsentV1, who)


@call(4, weight=27_853_436 + 20_160 * 20, reads=1, writes=1)
def create_pure(
    s: State, who: Signed, proxy_type: ProxyType, delay: BlockNumber, index: u16
) -> None:
    """Spawn a fresh new account that only its proxies can use, the sender being the first."""
    pure = pure_account(who, proxy_type, index, block_number(s), extrinsic_index(s))
    ensure((Proxies, pure) not in s, Error.Duplicate)
    amount = deposit_for(1)
    reserve(s, who, amount)
    s[Proxies, pure] = ((ProxyDefinition(who, proxy_type, delay),), amount)
    s.emit(PureCreated(pure, who, proxy_type, index))


@call(5, weight=26_529_087 + 48_014 * 20, reads=1, writes=1)
def kill_pure(
    s: State,
    who: Signed,
    spawner: MultiAddress,
    proxy_type: ProxyType,
    index: u16,
    height: Compact[BlockNumber],
    ext_index: Compact[u32],
) -> None:
    """Remove a previously spawned pure proxy, which must itself be the sender."""
    owner = lookup(spawner)
    ensure(pure_account(owner, proxy_type, index, height, ext_index) == who, Error.NoPermission)
    _, deposit = take(s, (Proxies, who))
    unreserve(s, owner, deposit)
    s.emit(PureKilled(who, owner, proxy_type, index))


@call(6, weight=34_286_251 + 194_092 * 75 + 53_615 * 20, reads=3, writes=2)
def announce(s: State, who: Signed, real: MultiAddress, call_hash: Hash) -> None:
    """Publish the hash of a proxy-call that will be made in the future."""
    account = lookup(real)
    ensure(any(p.delegate == who for p in s[Proxies, account][0]), Error.NotProxy)
    pending, old = s[Announcements, who]
    ensure(len(pending) < MaxPending.value, Error.TooMany)
    pending = (*pending, Announcement(account, call_hash, block_number(s)))
    new = announcement_deposit(len(pending))
    adjust_deposit(s, who, old, new)
    s[Announcements, who] = (pending, new)
    s.emit(Announced(account, who, call_hash))


@call(7, weight=25_595_226 + 205_163 * 75 + 40_277 * 20, reads=2, writes=2)
def remove_announcement(s: State, who: Signed, real: MultiAddress, call_hash: Hash) -> None:
    """Remove an own announcement and get its deposit back."""
    account = lookup(real)
    edit_announcements(s, who, lambda a: a.real == account and a.call_hash == call_hash)


@call(8, weight=26_388_332 + 199_703 * 75 + 17_846 * 20, reads=2, writes=2)
def reject_announcement(s: State, who: Signed, delegate: MultiAddress, call_hash: Hash) -> None:
    """Remove a proxy's announcement about the sender."""
    edit_announcements(s, lookup(delegate), lambda a: a.real == who and a.call_hash == call_hash)


@call(9, weight=lambda delegate, real, kind, call: PROXY_ANNOUNCED + weight_of(call))
def proxy_announced(
    s: State,
    caller: Signed,
    delegate: MultiAddress,
    real: MultiAddress,
    force_proxy_type: ProxyType | None,
    call: RuntimeCall,
) -> None:
    """Dispatch a call that a proxy announced at least its delay ago; anyone may send this."""
    agent, account = lookup(delegate), lookup(real)
    found = find_proxy(s, account, agent, force_proxy_type)
    call_hash, now = hash_of(call), block_number(s)

    def ripe(a: Announcement) -> bool:
        known = a.real == account and a.call_hash == call_hash
        return known and now - a.height >= found.delay

    ensure(any(map(ripe, s[Announcements, agent][0])), Error.Unannounced)
    edit_announcements(s, agent, ripe)
    do_proxy(s, found, account, call)


@call(10, weight=46_757_000, reads=3, writes=3)
def poke_deposit(s: State, who: Signed) -> PostInfo:
    """Bring deposits to today's prices; free when one of them changes."""
    proxies, old = s[Proxies, who]
    changed = _poke(s, who, DepositKind.Proxies, old, deposit_for(len(proxies)))
    if changed:
        s[Proxies, who] = (proxies, deposit_for(len(proxies)))
    if not proxies:
        del s[Proxies, who]
    pending, old = s[Announcements, who]
    moved = _poke(s, who, DepositKind.Announcements, old, announcement_deposit(len(pending)))
    if moved:
        s[Announcements, who] = (pending, announcement_deposit(len(pending)))
    if not pending:
        del s[Announcements, who]
    return PostInfo(pays=Pays.No if changed or moved else Pays.Yes)


@call(11, weight=14_259_931 + 42_799 * 20, reads=1, writes=1)
def set_real_pays_fee(s: State, real: Signed, delegate: MultiAddress, pays_fee: bool) -> None:
    """Say whether the sender pays the fees of what a proxy does for it."""
    agent = lookup(delegate)
    find_proxy(s, real, agent, None)
    if pays_fee:
        s[RealPaysFeeConsentV1, real, agent] = ()
    else:
        del s[RealPaysFeeConsentV1, real, agent]
    s.emit(RealPaysFeeSet(real, agent, pays_fee))


@on_finalize
def forget_results(s: State, now: int) -> None:
    """Results are for contracts of the same block only."""
    clear_prefix(s, LastCallResult)


def pure_account(
    who: AccountId, proxy_type: ProxyType, index: int, height: int, ext_index: int
) -> AccountId:
    """The pure account that `who` spawns in a given extrinsic."""
    entropy = (
        b"modlpy/proxy____"
        + who
        + height.to_bytes(4, "little")
        + ext_index.to_bytes(4, "little")
        + bytes((proxy_type,))
        + index.to_bytes(2, "little")
    )
    return AccountId(blake2_256(entropy))


def deposit_for(count: int) -> Rao:
    """What `count` proxies reserve."""
    if count == 0:
        return Rao(0)
    return Rao(ProxyDepositBase.value + ProxyDepositFactor.value * count)


def announcement_deposit(count: int) -> Rao:
    """What `count` announcements reserve."""
    if count == 0:
        return Rao(0)
    return Rao(AnnouncementDepositBase.value + AnnouncementDepositFactor.value * count)


def adjust_deposit(s: State, who: AccountId, old: Rao, new: Rao) -> None:
    """Reserve or unreserve the difference."""
    if new > old:
        reserve(s, who, new - old)
    elif new < old:
        unreserve(s, who, old - new)


def _poke(s: State, who: AccountId, kind: DepositKind, old: Rao, new: Rao) -> bool:
    adjust_deposit(s, who, old, new)
    if new != old:
        s.emit(DepositPoked(who, kind, old, new))
    return new != old


def add_proxy_delegate(
    s: State, delegator: AccountId, delegatee: AccountId, proxy_type: ProxyType, delay: int
) -> None:
    """Make `delegatee` a proxy; raises NoSelfProxy, Duplicate, TooMany or for lack of funds."""
    ensure(delegator != delegatee, Error.NoSelfProxy)
    added = ProxyDefinition(delegatee, proxy_type, BlockNumber(delay))
    proxies, old = s[Proxies, delegator]
    ensure(added not in proxies, Error.Duplicate)
    ensure(len(proxies) < MaxProxies.value, Error.TooMany)
    kept: Definitions = tuple(sorted((*proxies, added), key=lambda p: p.order))
    adjust_deposit(s, delegator, old, deposit_for(len(kept)))
    s[Proxies, delegator] = (kept, deposit_for(len(kept)))
    s.emit(ProxyAdded(delegator, delegatee, proxy_type, BlockNumber(delay)))


def remove_proxy_delegate(
    s: State, delegator: AccountId, delegatee: AccountId, proxy_type: ProxyType, delay: int
) -> None:
    """End a proxy relationship; raises NotFound."""
    gone = ProxyDefinition(delegatee, proxy_type, BlockNumber(delay))
    proxies, old = s[Proxies, delegator]
    ensure(gone in proxies, Error.NotFound)
    kept = tuple(p for p in proxies if p != gone)
    adjust_deposit(s, delegator, old, deposit_for(len(kept)))
    if kept:
        s[Proxies, delegator] = (kept, deposit_for(len(kept)))
    else:
        del s[Proxies, delegator]
    del s[RealPaysFeeConsentV1, delegator, delegatee]
    s.emit(ProxyRemoved(delegator, delegatee, proxy_type, BlockNumber(delay)))


def find_proxy(
    s: State, real: AccountId, delegate: AccountId, force: ProxyType | None
) -> ProxyDefinition:
    """The first relationship that fits; raises NotProxy."""
    for found in s[Proxies, real][0]:
        if found.delegate == delegate and (force is None or found.proxy_type is force):
            return found
    raise Error.NotProxy


def edit_announcements(s: State, delegate: AccountId, drop: Callable[[Announcement], bool]) -> None:
    """Forget announcements and give their deposit back; raises NotFound when none fits."""
    pending, old = s[Announcements, delegate]
    kept = tuple(a for a in pending if not drop(a))
    ensure(len(kept) < len(pending), Error.NotFound)
    adjust_deposit(s, delegate, old, announcement_deposit(len(kept)))
    if kept:
        s[Announcements, delegate] = (kept, announcement_deposit(len(kept)))
    else:
        del s[Announcements, delegate]


def do_proxy(s: State, found: ProxyDefinition, real: AccountId, call: RuntimeCall) -> None:
    """Run a call as `real` under the limits of a proxy; its failure is in the event only."""
    origin = signed(real).filtered(lambda c: may_call(found.proxy_type, c))
    result = outcome(dispatch(s, call, origin))
    s[LastCallResult, real] = Ok() if result is None else Err(result)
    s.emit(ProxyExecuted(result))


def may_call(kind: ProxyType, call: RuntimeCall) -> bool:
    """A proxy type's filter, which also keeps proxies from gaining rights through proxies."""
    match name_of(call):
        case ("Proxy", "add_proxy" | "remove_proxy") if not is_superset(kind, call.args[1]):
            return False
        case ("Proxy", "remove_proxies" | "kill_pure") if kind is not ProxyType.Any:
            return False
        case _:
            return admits(kind, call)


pallet = Pallet("Proxy", _store.__name__, __name__, crate="pallet_subtensor_proxy").seal()
