"""Any sequence of calls: each succeeds or changes nothing, and no TAO appears or vanishes."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from network_lab import (
    ALICE,
    BOB,
    OWNER,
    SUDO,
    TAO,
    at,
    get,
    issuance,
    key,
    lab,
    ok,
    put,
    run,
    step,
    tao_sum,
)

from chain.pallets.subtensor.types import SubnetIdentityV3
from chain.pallets.system import Number
from ganglion.hashing import blake2_256

PEOPLE = (OWNER, ALICE, BOB)
HOTKEYS = tuple(key(n) for n in (50, 51, 52, 60, 61, 62))
who = st.sampled_from(PEOPLE)
hot = st.sampled_from(HOTKEYS)
net = st.sampled_from((0, 1, 2, 3))
rao = st.sampled_from((0, 1, 500, TAO, 7 * TAO, (1 << 64) - 1))
text = st.binary(max_size=8)
identity = st.none() | st.builds(SubnetIdentityV3, *[text] * 8)

CALLS = {
    "burned_register": (net, hot),
    "register": (net, st.just(1), st.just(2), text, hot, who),
    "register_limit": (net, hot, rao),
    "root_register": (hot,),
    "register_network": (hot,),
    "register_network_with_identity": (hot, identity),
    "start_call": (net,),
    "update_symbol": (net, st.sampled_from(("α".encode(), "γ".encode(), b"x"))),
    "try_associate_hotkey": (hot,),
    "swap_hotkey": (hot, hot, st.none() | net),
    "swap_hotkey_v2": (hot, hot, st.none() | net, st.booleans()),
    "set_tempo": (net, st.sampled_from((1, 360, 400))),
    "trigger_epoch": (net,),
    "set_activity_cutoff_factor": (net, st.sampled_from((1, 1000, 60_000))),
    "set_identity": (text,) * 7,
    "set_subnet_identity": (net, *(text,) * 8),
    "add_stake": (hot, net, rao),
    "remove_stake": (hot, net, rao),
    "announce_coldkey_swap": (st.sampled_from([blake2_256(key(90)), blake2_256(key(91))]),),
    "swap_coldkey_announced": (st.sampled_from((key(90), key(91))),),
    "clear_coldkey_swap_announcement": (),
    "lock_stake": (hot, net, rao),
}
SERVING = {
    "serve_axon": (net, st.just(1), rao, rao.map(lambda n: n % 65536), st.sampled_from((4, 6, 9)))
    + (st.just(0),) * 3,
    "serve_prometheus": (net, st.just(1), rao, st.just(9000), st.sampled_from((4, 6))),
}
DISSOLVE = {"root_dissolve_network": (net,), "swap_coldkey": (who, st.just(key(92)), rao)}


def calls_of(table, caller):
    return st.sampled_from(sorted(table)).flatmap(
        lambda name: st.tuples(caller, st.just(name), st.tuples(*table[name]))
    )


any_step = st.one_of(
    *[calls_of(CALLS, who)] * 9,
    *[calls_of(SERVING, hot)] * 2,
    calls_of(DISSOLVE, st.just(SUDO)),
    *[st.integers(1, 60)] * 2,
)
steps = st.lists(any_step, min_size=5, max_size=30)


def busy():
    """Two started subnets with four neurons each, cheap subnets, no limit on swaps."""
    s = lab()
    put(s, "TxRateLimit", 0)
    put(s, "NetworkMinLockCost", 10 * TAO)
    put(s, "NetworkLastLockCost", 10 * TAO)
    put(s, "MaxRegistrationsPerBlock", 0, 9)
    put(s, "TargetRegistrationsPerInterval", 0, 9)
    for netuid, owner in ((1, OWNER), (2, ALICE)):
        ok(s, owner, "register_network", HOTKEYS[netuid])
        ok(s, owner, "start_call", netuid)
        put(s, "SubnetEmissionEnabled", netuid, True)
        for place, person in enumerate(PEOPLE):
            ok(s, person, "burned_register", netuid, key(60 + place))
            ok(s, person, "add_stake", key(60 + place), netuid, 5 * TAO)
    return s


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(steps)
def test_calls_succeed_or_leave_everything_alone(plan):
    s = busy()
    for each in plan:
        if isinstance(each, int):
            at(s, s[Number] + each - 1)
            step(s)
        else:
            caller, name, args = each
            run(s, caller, name, *args)
        assert tao_sum(s) == issuance(s)
        for netuid in (1, 2, 3):
            count = get(s, "SubnetworkN", netuid)
            assert len(get(s, "Active", netuid)) == count
            assert len(get(s, "Emission", netuid)) == 8 * count
            seated = [get(s, "Keys", netuid, uid) for uid in range(count)]
            assert [get(s, "Uids", netuid, hotkey) for hotkey in seated] == list(range(count))
