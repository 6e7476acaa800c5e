"""Facts about emission and what epochs pay (F88 to F109), each under its number."""

import pytest
from network_lab import (
    ALICE,
    BOB,
    CAROL,
    NET,
    OWNER,
    TAO,
    at,
    emitted,
    fund,
    get,
    give_stake,
    issuance,
    key,
    lab,
    neuron,
    pool,
    put,
    step,
    subnet,
)

from chain.pallets.alpha_assets import AlphaBurned, AlphaRecycled
from chain.pallets.subtensor.accounts import compute_subnet_account
from chain.pallets.subtensor.coinbase import run_coinbase, update_prices
from chain.pallets.subtensor.distribution import do_distribute, do_split
from chain.pallets.subtensor.emission import Pending, get_block_emission, get_candidates
from chain.pallets.subtensor.epoch import HotkeyEmission
from chain.pallets.subtensor.events_stake import AutoStakeAdded
from chain.pallets.subtensor.events_weights import EpochDeferred
from chain.pallets.subtensor.heritage import get_inherited_alpha, get_stake_weight
from chain.pallets.subtensor.price import update_moving_price
from chain.pallets.subtensor.share_pool import get_hotkey_stake, get_stake
from chain.pallets.subtensor.tao import mint_tao
from chain.pallets.subtensor.types import RecycleOrBurnEnum
from chain.pallets.system import Number
from consensus.economics.shares import subnet_emissions
from ganglion.fixed import I96F32, U64_MAX, U96F32
from ganglion.units import ROOT_NETUID

ONE = I96F32.one
PARENT, CHILD, MINER = key(200), key(201), key(202)


def started(s, netuid, *, tao=0, alpha=0, price=ONE, dynamic=True, **settings):
    """A subnet that takes part in emission, with its pool's TAO on its account."""
    n = subnet(s, netuid, FirstEmissionBlockNumber=1, SubnetMovingPrice=price, **settings)
    put(s, "SubnetMechanism", n, int(dynamic))
    put(s, "Tempo", n, 0)
    pool(s, n, tao, alpha)
    fund(s, compute_subnet_account(n), max(tao, TAO))
    return n


def coinbase(s, amount):
    run_coinbase(s, mint_tao(s, amount))


def nothing_for_root(s):
    put(s, "TaoWeight", 0)


@pytest.mark.parametrize("emission", [3_333_333, 1_000_000_000])
def test_F88_subnets_of_equal_price_share_the_emission(emission):
    s = lab()
    nothing_for_root(s)
    for netuid in (1, 2, 3):
        started(s, netuid, dynamic=False)
    before = issuance(s)
    coinbase(s, emission)
    for netuid in (1, 2, 3):
        assert abs(get(s, "SubnetTAO", netuid) - emission // 3) <= 1
    assert abs(get(s, "TotalIssuance") - emission) <= 3
    assert abs(get(s, "TotalStake") - emission) <= 3
    assert abs(issuance(s) - before - emission) <= 3


def test_F88_shares_follow_moving_prices():
    s = lab()
    started(s, 1, price=ONE // 10)
    started(s, 2, price=ONE // 5)
    emissions = subnet_emissions(get_candidates(s), 3_000_000)
    assert abs(U96F32.to_u64(emissions[1]) - 1_000_000) <= 1
    assert abs(U96F32.to_u64(emissions[2]) - 2_000_000) <= 1


def test_F88_nothing_is_emitted_when_every_price_is_zero():
    s = lab()
    for netuid in (1, 2):
        started(s, netuid, price=0)
    before = issuance(s)
    coinbase(s, TAO)
    assert get(s, "SubnetTAO", 1) == get(s, "SubnetTAO", 2) == 0
    assert issuance(s) == before


def test_F89_block_emission_halves_with_issuance():
    s = lab()
    wanted = {0: TAO, 10_500_000: TAO // 2, 15_750_000: TAO // 4, 21_000_000: 0}
    assert {n: get_block_emission(s, n * TAO) for n in wanted} == wanted


def test_F90_tao_is_injected_with_alpha_at_the_price():
    s = lab()
    put(s, "TaoWeight", U64_MAX)
    put(s, "SubnetTAO", ROOT_NETUID, 10**15)
    for netuid in (1, 2):
        started(s, netuid, tao=1_000_000, alpha=1_000_000)
    coinbase(s, 1_000_000)
    for netuid in (1, 2):
        assert get(s, "SubnetAlphaIn", netuid) == 1_500_000
        assert get(s, "SubnetTAO", netuid) == 1_500_000
        assert get(s, "SubnetExcessTao", netuid) == 0


def test_F90_what_may_not_be_injected_buys_alpha_for_the_protocol():
    s = lab()
    nothing_for_root(s)
    started(s, 1, tao=10**12, alpha=10**12)
    coinbase(s, TAO)
    bought = get(s, "SubnetProtocolAlpha", 1)
    assert get(s, "SubnetExcessTao", 1) == TAO
    assert 0 < bought < TAO
    assert get(s, "SubnetAlphaIn", 1) == 10**12 - bought
    assert get(s, "SubnetAlphaInEmission", 1) == 0


def test_F91_a_fresh_subnet_gives_one_alpha_a_block():
    s = lab()
    started(s, 1)
    coinbase(s, TAO)
    assert get(s, "SubnetAlphaOutEmission", 1) == TAO


@pytest.mark.parametrize(("cut", "owner"), [(65_535, TAO), (11_796, 179_995_422)])
def test_F92_owner_cut(cut, owner):
    s = lab()
    nothing_for_root(s)
    put(s, "SubnetOwnerCut", cut)
    started(s, 1)
    coinbase(s, TAO)
    assert get(s, "PendingOwnerCut", 1) == owner
    others = get(s, "PendingServerEmission", 1) + get(s, "PendingValidatorEmission", 1)
    assert TAO - owner - 2 <= others <= TAO - owner


def test_F93_a_disabled_subnet_leaves_its_share_to_the_others():
    s = lab()
    for netuid in (1, 2, 3):
        started(s, netuid)
    put(s, "SubnetEmissionEnabled", 3, False)
    emissions = subnet_emissions(get_candidates(s), 1_000_000)
    assert [U96F32.to_u64(emissions[n] + 1) for n in (1, 2, 3)] == [500_000, 500_000, 0]


def test_F94_burning_miners_halves_the_weight():
    s = lab()
    for netuid in (1, 2):
        started(s, netuid)
    put(s, "MinerBurned", 1, U96F32.one // 2)
    emissions = subnet_emissions(get_candidates(s), 3_000_000)
    assert [U96F32.to_u64(emissions[n] + 2**16) for n in (1, 2)] == [1_000_000, 2_000_000]


@pytest.mark.parametrize(
    ("alpha", "first", "block", "old", "low", "high"),
    [
        (0, 1, 5_000, ONE, ONE, ONE),
        (ONE // 2, 500, 510, 0, 0, ONE // 1000),
        (ONE // 2, 500, 144_000_500, 0, ONE * 499 // 1000, ONE * 501 // 1000),
        (ONE, 0, 7_200_000, 0, ONE * 95 // 100, ONE),
    ],
)
def test_F95_the_moving_price_warms_up(alpha, first, block, old, low, high):
    s = lab()
    started(s, 1, tao=10**12, alpha=10**12, price=old)
    put(s, "SubnetMovingAlpha", alpha)
    put(s, "FirstEmissionBlockNumber", 1, first)
    at(s, min(block, 2**32 - 1))
    update_moving_price(s, 1)
    assert low <= get(s, "SubnetMovingPrice", 1) <= high


def test_F95_fourteen_updates():
    s = lab()
    started(s, 1, tao=10**12, alpha=10**12, price=0)
    put(s, "SubnetMovingAlpha", ONE // 10)
    at(s, 201_600)
    for _ in range(14):
        update_moving_price(s, 1)
    assert abs(get(s, "SubnetMovingPrice", 1) - ONE * 512_325 // 10**6) < ONE // 1000


@pytest.mark.parametrize("price", [ONE, ONE + 1])
def test_F96_root_dividends_wait_only_above_a_price_sum_of_one(price):
    s = lab()
    put(s, "SubnetTAO", ROOT_NETUID, 10**18)
    started(s, 1, tao=10**12, alpha=10**12, price=price)
    coinbase(s, TAO)
    root = get(s, "PendingRootAlphaDivs", 1)
    assert (root > 0) == (price > ONE)
    assert (s[AlphaRecycled, 1] > 0) == (price <= ONE)
    assert get(s, "PendingServerEmission", 1) > get(s, "PendingValidatorEmission", 1)


def paid(s, server=0, validator=0, root=0, cut=0, earned=()):
    do_distribute(s, NET, Pending(server, validator, root, cut), earned)


@pytest.mark.parametrize("choice", list(RecycleOrBurnEnum))
def test_F97_the_owners_miner_reward_is_burned_or_recycled(choice):
    s = lab()
    subnet(s, SubnetOwnerHotkey=MINER, RecycleOrBurn=choice, SubnetAlphaOut=10**12)
    neuron(s, NET, OWNER, MINER)
    paid(s, server=TAO, earned=[HotkeyEmission(MINER, TAO, 0)])
    is_recycled = choice is RecycleOrBurnEnum.Recycle
    assert s[AlphaRecycled, NET] == (TAO if is_recycled else 0)
    assert s[AlphaBurned, NET] == (0 if is_recycled else TAO)
    assert get(s, "SubnetAlphaOut", NET) == 10**12 - (TAO if is_recycled else 0)
    assert get(s, "MinerBurned", NET) == U96F32.one
    assert get_hotkey_stake(s, MINER, NET) == 0


def test_F98_a_miners_reward_goes_where_its_owner_wants():
    s = lab()
    subnet(s)
    neuron(s, NET, ALICE, MINER)
    put(s, "AutoStakeDestination", ALICE, NET, PARENT)
    paid(s, server=TAO, earned=[HotkeyEmission(MINER, TAO, 0)])
    assert get_stake(s, PARENT, ALICE, NET) == TAO
    assert get_hotkey_stake(s, MINER, NET) == 0
    assert emitted(s, AutoStakeAdded) == [AutoStakeAdded(NET, PARENT, MINER, ALICE, TAO)]


def test_F99_the_third_due_epoch_waits_for_the_next_block():
    s = lab(block=100)
    put(s, "MaxEpochsPerBlock", 2)
    for netuid in (1, 2, 3):
        started(s, netuid)
        put(s, "Tempo", netuid, 10)
        put(s, "LastEpochBlock", netuid, 91)
    step(s)
    assert [get(s, "LastEpochBlock", n) for n in (1, 2, 3)] == [101, 101, 91]
    assert emitted(s, EpochDeferred) == [EpochDeferred(3, 101, 102)]
    assert get(s, "PendingEpochAt", 3) == 102
    step(s)
    assert get(s, "LastEpochBlock", 3) == 102
    assert get(s, "PendingEpochAt", 3) == 0


def test_F100_an_epoch_takes_what_was_pending():
    s = lab(block=100)
    started(s, 1)
    put(s, "Tempo", 1, 10)
    put(s, "LastEpochBlock", 1, 91)
    step(s)
    names = ("Server", "Validator")
    assert [get(s, f"Pending{name}Emission", 1) for name in names] == [0, 0]
    assert get(s, "PendingOwnerCut", 1) == get(s, "PendingRootAlphaDivs", 1) == 0
    assert get(s, "BlocksSinceLastStep", 1) == 0
    assert get(s, "SubnetEpochIndex", 1) == 1


def test_F100_tempo_zero_never_runs():
    s = lab(block=100)
    started(s, 1)
    put(s, "PendingEpochAt", 1, 101)
    step(s, 3)
    assert get(s, "SubnetEpochIndex", 1) == 0
    assert get(s, "PendingServerEmission", 1) > 0


def test_F101_epochs_of_a_tempo_are_staggered_by_netuid():
    s = lab(block=100)
    for netuid in (3, 4):
        subnet(s, netuid)
    seen = {3: [], 4: []}
    for _ in range(20):
        step(s)
        for netuid, blocks in seen.items():
            if get(s, "LastEpochBlock", netuid) == s[Number]:
                blocks.append(s[Number])
    assert seen == {3: [107, 117], 4: [106, 116]}


def test_F102_a_validator_keeps_its_take():
    s = lab()
    subnet(s)
    neuron(s, NET, ALICE, PARENT)
    give_stake(s, NET, BOB, PARENT, 10**12)
    paid(s, validator=TAO, earned=[HotkeyEmission(PARENT, 1, TAO)])
    take = TAO * 11_796 // 65_535
    # the take is staked before the pool grows, so it earns a little of its own growth
    assert 0 <= get_stake(s, PARENT, ALICE, NET) - take <= take // 1000
    total = get_hotkey_stake(s, PARENT, NET)
    assert 10**12 + TAO - 2 <= total <= 10**12 + TAO
    assert get(s, "AlphaDividendsPerSubnet", NET, PARENT) in (TAO - take, TAO - take - 1)


def family(s, *, same_owner=False):
    """PARENT of ALICE lends everything to CHILD of BOB (or of ALICE)."""
    subnet(s, SubnetAlphaOut=10**15)
    neuron(s, NET, ALICE, PARENT)
    neuron(s, NET, ALICE if same_owner else BOB, CHILD)
    put(s, "ChildKeys", PARENT, NET, ((U64_MAX, CHILD),))
    put(s, "ParentKeys", CHILD, NET, ((U64_MAX, PARENT),))
    nothing_for_root(s)


@pytest.mark.parametrize(("same_owner", "child"), [(False, 100_000_000), (True, 0)])
def test_F103_F104_a_child_takes_from_parents_of_other_owners(same_owner, child):
    s = lab()
    family(s, same_owner=same_owner)
    give_stake(s, NET, ALICE, PARENT, TAO)
    put(s, "ChildkeyTake", CHILD, NET, 6_553)
    # without miners the server half joins the validators' half
    paid(s, server=TAO // 2, validator=TAO // 2, earned=[HotkeyEmission(CHILD, 0, TAO)])
    assert abs(get_hotkey_stake(s, CHILD, NET) - child) <= 10_000
    assert abs(get_hotkey_stake(s, PARENT, NET) - TAO - (TAO - child)) <= 10_000


@pytest.mark.parametrize(
    ("proportion", "take", "parent", "tolerance"),
    [
        (U64_MAX, 0, TAO // 2, 0),
        (U64_MAX, 65_535, 0, 1),
        (U64_MAX, 32_767, TAO // 4, 10_000),
        (U64_MAX // 2, 0, TAO // 3, 10),
    ],
)
def test_F105_F106_parents_and_children_share_by_contribution(proportion, take, parent, tolerance):
    s = lab()
    family(s)
    put(s, "TaoWeight", U64_MAX)
    for hotkey, coldkey in ((PARENT, ALICE), (CHILD, BOB)):
        give_stake(s, NET, coldkey, hotkey, TAO)
        give_stake(s, ROOT_NETUID, coldkey, hotkey, TAO)
    put(s, "ChildKeys", PARENT, NET, ((proportion, CHILD),))
    put(s, "ParentKeys", CHILD, NET, ((proportion, PARENT),))
    put(s, "ChildkeyTake", CHILD, NET, take)
    if proportion == U64_MAX:
        assert get_stake_weight(s, PARENT, NET) == 0
        assert get_stake_weight(s, CHILD, NET) == 4 * TAO << 64
    rows = dict(do_split(s, CHILD, NET, TAO).rows)
    assert abs(rows[PARENT] - parent) <= tolerance
    assert TAO - 2 <= sum(rows.values()) <= TAO


def test_F107_three_children_of_a_quarter_each():
    s = lab()
    subnet(s)
    give_stake(s, NET, ALICE, PARENT, 10**14)
    children = [key(300 + i) for i in range(3)]
    put(s, "ChildKeys", PARENT, NET, tuple((U64_MAX // 4, child) for child in children))
    for child in children:
        put(s, "ParentKeys", child, NET, ((U64_MAX // 4, PARENT),))
    found = [get_inherited_alpha(s, hotkey, NET) for hotkey in (PARENT, *children)]
    assert found == [25_000_000_069_849, *[24_999_999_976_716] * 3]
    assert sum(found) == 99_999_999_999_997


def test_F108_a_part_of_lent_dividends_is_recycled():
    s = lab()
    family(s)
    give_stake(s, NET, ALICE, PARENT, TAO)
    put(s, "CKBurn", U64_MAX // 4)
    rows = dict(do_split(s, CHILD, NET, TAO).rows)
    burned = s[AlphaRecycled, NET]
    assert abs(burned - TAO // 4) <= 2
    assert TAO - 2 <= sum(rows.values()) + burned <= TAO


def test_F109_parent_child_and_a_nominator():
    s = lab()
    subnet(s)
    nothing_for_root(s)
    neuron(s, NET, ALICE, PARENT)
    neuron(s, NET, BOB, CHILD)
    half = U64_MAX // 2
    put(s, "ChildKeys", PARENT, NET, ((half, CHILD),))
    put(s, "ParentKeys", CHILD, NET, ((half, PARENT),))
    give_stake(s, NET, ALICE, PARENT, 100 * TAO)
    give_stake(s, NET, CAROL, CHILD, 100 * TAO)
    put(s, "ChildkeyTake", CHILD, NET, 13_107)
    for hotkey in (PARENT, CHILD):
        put(s, "Delegates", hotkey, 0)
    total = 20 * TAO
    earned = [HotkeyEmission(PARENT, 0, total // 4), HotkeyEmission(CHILD, 0, 3 * total // 4)]
    paid(s, validator=total, earned=earned)
    assert get_stake(s, CHILD, BOB, NET) == 0
    assert abs(get_stake(s, PARENT, ALICE, NET) - 100 * TAO - total * 9 // 20) <= 100
    assert abs(get_stake(s, CHILD, CAROL, NET) - 100 * TAO - total * 11 // 20) <= 100


def test_F109_a_chain_of_three():
    s = lab()
    subnet(s)
    nothing_for_root(s)
    a, b, c = PARENT, CHILD, MINER
    half = U64_MAX // 2
    for hotkey, coldkey, stake in ((a, ALICE, 300), (b, BOB, 100), (c, CAROL, 50)):
        neuron(s, NET, coldkey, hotkey)
        give_stake(s, NET, coldkey, hotkey, stake * TAO)
        put(s, "ChildkeyTake", hotkey, NET, 65_535 // 9)
    for parent, child in ((a, b), (b, c)):
        put(s, "ChildKeys", parent, NET, ((half, child),))
        put(s, "ParentKeys", child, NET, ((half, parent),))
    found = [get_inherited_alpha(s, hotkey, NET) for hotkey in (a, b, c)]
    assert [round(alpha / TAO, 3) for alpha in found] == [150, 200, 100]
    total = 90 * TAO
    shares = {a: total // 3, b: total * 4 // 9, c: total * 2 // 9}
    before = {hotkey: get_hotkey_stake(s, hotkey, NET) for hotkey in shares}
    paid(s, validator=total, earned=[HotkeyEmission(h, 0, v) for h, v in shares.items()])
    gained = [(get_hotkey_stake(s, h, NET) - before[h]) / total for h in (a, b, c)]
    wanted = [
        2 / 3 * (1 - 1 / 18),
        2 / 9 * (1 - 1 / 18) + 2 / 3 / 18,
        1 / 9 + 2 / 9 / 18,
    ]
    assert gained == pytest.approx(wanted, abs=1e-4)


def test_moving_prices_and_root_shares_follow_the_block():
    s = lab()
    started(s, 1, tao=10**12, alpha=2 * 10**12, price=ONE)
    put(s, "SubnetTAO", ROOT_NETUID, 10**12)
    put(s, "SubnetMovingAlpha", ONE // 2)
    at(s, 100_000)
    update_prices(s)
    assert ONE // 2 < get(s, "SubnetMovingPrice", 1) < ONE
    assert 0 < get(s, "RootProp", 1) < U96F32.one
