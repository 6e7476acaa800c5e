"""A chain on which much goes on, so that random calls reach deep."""

from __future__ import annotations

import os
from functools import cache
from types import SimpleNamespace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from strategies import calls_of

from chain.chainspec import preset
from chain.pallets.balances_ops import set_free
from chain.pallets.proxy_types import ProxyType
from chain.pallets.subtensor.accounts import compute_subnet_account
from chain.pallets.system import Number
from chain.pallets.timestamp import Now
from chain.runtime.call import CALLS, RuntimeCall
from chain.runtime.dispatch import dispatch
from chain.runtime.origin import NONE, ROOT, Origin, signed
from chain.runtime.state import DictBackend, State
from chain.runtime.types import Id, MultiAddress
from chain.runtime_spec import make_runtime
from ganglion.keys import dev_key
from ganglion.units import (
    U64F64,
    AccountId,
    Alpha,
    BlockNumber,
    Hash,
    MechId,
    Moment,
    NetUid,
    NetUidStorageIndex,
    Rao,
    Uid,
)

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "30"))
"""How often each property is tried; scripts/fuzz asks for more."""

some = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=False
)
RUNTIME = make_runtime()
TAO = 10**9
NAMES = ("Alice", "Bob", "Charlie", "Dave", "Eve", "Ferdie")
PEOPLE = tuple(dev_key(name).account_id for name in NAMES)
HOTKEYS = tuple(dev_key(f"{name}_hot").account_id for name in NAMES)
SUBNETS = (NetUid(2), NetUid(3))
ALICE, BOB, CHARLIE, *_ = PEOPLE
BLOCK = BlockNumber(1000)


def do(s: State, who: AccountId | Origin, pallet: str, name: str, *args: Any) -> None:
    """A call that must succeed."""
    origin = who if isinstance(who, Origin) else signed(who)
    error = dispatch(s, RUNTIME.call(pallet, name, *args), origin).error
    assert error is None, f"{pallet}.{name}: {error!r}"


def put(s: State, name: str, *keys_and_value: Any) -> None:
    """Write storage of SubtensorModule by name."""
    *keys, value = keys_and_value
    item = RUNTIME.by_name["SubtensorModule"].items[name]
    s[(item, *keys) if keys else item] = value


@cache
def populated() -> State:
    """The state; take a child of it and throw that away."""
    s = State(DictBackend(dict(preset("dev", RUNTIME, nonce=b"fuzz").genesis)))
    s[Number], s[Now] = BLOCK, Moment(1_800_000_000_000)
    s.block = SimpleNamespace(count=0)
    put(s, "NetworkRateLimit", 0)
    put(s, "StartCallDelay", 0)
    put(s, "AdminFreezeWindow", 0)
    for who in (*PEOPLE, *HOTKEYS):
        set_free(s, who, Rao(10**6 * TAO))
    for owner, hotkey, netuid in zip(PEOPLE, HOTKEYS, SUBNETS):
        do(s, owner, "SubtensorModule", "register_network", hotkey)
        do(s, owner, "SubtensorModule", "start_call", netuid)
        put(s, "Burn", netuid, Rao(TAO))
        put(s, "SubnetTAO", netuid, Rao(10**5 * TAO))
        put(s, "SubnetAlphaIn", netuid, Alpha(10**5 * TAO))
        set_free(s, compute_subnet_account(netuid), Rao(3 * 10**5 * TAO))
    for who, hotkey in zip(PEOPLE, HOTKEYS):
        for netuid in SUBNETS:
            if hotkey != HOTKEYS[SUBNETS.index(netuid)]:
                do(s, who, "SubtensorModule", "burned_register", netuid, hotkey)
            do(s, who, "SubtensorModule", "add_stake", hotkey, netuid, Rao(100 * TAO))
    do(s, BOB, "SubtensorModule", "add_stake", HOTKEYS[0], SUBNETS[0], Rao(50 * TAO))
    do(s, ALICE, "SubtensorModule", "lock_stake", HOTKEYS[0], SUBNETS[0], Alpha(10 * TAO))
    do(s, ALICE, "Proxy", "add_proxy", Id(BOB), ProxyType.Any, BlockNumber(0))
    end = BlockNumber(BLOCK + 1000)
    loan = (Rao(10 * TAO), Rao(TAO), Rao(100 * TAO), end, None, CHARLIE)
    do(s, ALICE, "Crowdloan", "create", *loan)
    do(s, BOB, "Crowdloan", "contribute", 0, Rao(20 * TAO))
    do(s, ROOT, "Preimage", "request_preimage", Hash(bytes(32)))
    s.events.clear()
    return s


accounts = st.sampled_from(
    (*PEOPLE, *HOTKEYS, AccountId(bytes(32)), compute_subnet_account(SUBNETS[0]))
)
signers = st.sampled_from(tuple(map(signed, (*PEOPLE, *HOTKEYS))))
origins = st.sampled_from((*map(signed, PEOPLE), *map(signed, HOTKEYS), ROOT, NONE))
amounts = st.sampled_from((0, 1, 500, 2_000_000, TAO, 60 * TAO, 2**63, 2**64 - 1)) | st.integers(
    0, 200 * TAO
)
blocks = st.sampled_from((0, 1, BLOCK - 1, BLOCK, BLOCK + 1, BLOCK + 600, 2**32 - 1))
shares = st.sampled_from((0, 1, 1 << 32, 1 << 63, 1 << 64, (1 << 128) - 1))

HINTS: dict[Any, st.SearchStrategy[Any]] = {
    AccountId: accounts,
    MultiAddress: accounts.map(Id),
    NetUid: st.sampled_from((0, 1, *SUBNETS, 9, 65535)),
    NetUidStorageIndex: st.sampled_from((0, 1, *SUBNETS, 4098, 65535)),
    MechId: st.sampled_from((0, 1, 255)),
    Uid: st.integers(0, 7) | st.just(65535),
    Rao: amounts,
    Alpha: amounts,
    U64F64: shares,
    BlockNumber: blocks,
    Hash: st.sampled_from((Hash(bytes(32)), Hash(b"\x11" * 32))),
}

calls = calls_of(RUNTIME, HINTS)


def origins_for(call: RuntimeCall) -> st.SearchStrategy[Origin]:
    """Mostly an origin that the call admits, sometimes any."""
    kinds = CALLS.entry(call).admit.kinds
    fitting = [o for o in (ROOT, NONE) if o.kind in kinds]
    likely = st.sampled_from(fitting) if fitting else signers
    if fitting and "signed" in kinds:
        likely = likely | signers
    return st.one_of(likely, likely, likely, origins)


steps = calls.flatmap(lambda call: st.tuples(st.just(call), origins_for(call)))
"""A call with its origin."""
