"""Leases: the lowest bid wins, the rate is paid by the block, and nobody's deposit is stuck."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from town import (
    CAPACITY,
    MODEL,
    NET,
    PEOPLE,
    RATE,
    ask,
    burned,
    forward,
    free,
    lease,
    order,
    register,
    reserved,
    spec,
    town,
)
from world import ALICE, BOB, CHARLIE, DAVE, EVE, TAO, fails, last, names, ok, run

from chain.pallets import leases, market
from chain.pallets import leases_store as store
from chain.pallets.balances_ops import set_free
from chain.pallets.balances_store import TotalIssuance
from chain.pallets.due import MOST
from chain.pallets.leases_store import (
    BidDeposit,
    Bids,
    Due,
    DueAt,
    Error,
    Escrows,
    EscrowState,
    Leases,
    LeasesOf,
    MinimumDeposit,
    NextOrderId,
    Orders,
    Reason,
)
from chain.pallets.market import Leased, TotalBurned, Trades
from chain.pallets.subtensor.storage_neurons import Uids
from chain.pallets.subtensor.storage_stake import TotalIssuance as Counted
from chain.pallets.system import Number
from ganglion.units import AccountId, BlockNumber, Rao

# -- the auction ----------------------------------------------------------------------------------


def test_the_lowest_bid_wins_at_the_end_of_the_bidding_and_all_others_get_their_deposits():
    s = town()
    backed = {who: reserved(s, who) for who in PEOPLE}
    number = order(s)
    assert reserved(s, ALICE) == 10 * RATE
    for who, rate in ((BOB, 900), (CHARLIE, 700), (DAVE, 800)):
        ok(s, who, "Leases.bid", number, who, rate * 10**6)
        assert reserved(s, who) == backed[who] + BidDeposit.value
    forward(s, 14)
    assert s[Leases, number] is None
    forward(s, 15)
    won = s[Leases, number]
    assert (won.hotkey, won.rate, won.started, won.ends) == (CHARLIE, 700 * 10**6, 15, 115)
    assert names(s).count("Leases.BidReturned") == 2
    assert {who: reserved(s, who) - backed[who] for who in (BOB, CHARLIE, DAVE)} == {
        BOB: 0,
        CHARLIE: BidDeposit.value,
        DAVE: 0,
    }
    assert s[LeasesOf, CHARLIE, number]
    assert (Bids, number) not in s


def test_of_equal_bids_the_oldest_wins():
    s = town()
    number = order(s)
    for who in (DAVE, BOB, CHARLIE):
        ok(s, who, "Leases.bid", number, who, RATE // 2)
    forward(s, 15)
    assert s[Leases, number].hotkey == DAVE


def test_a_bid_whose_miner_left_or_is_full_is_passed_over():
    s = town(BOB, CHARLIE, DAVE)
    number, other = order(s), order(s)
    for who, rate in ((BOB, 1), (CHARLIE, 2), (DAVE, 3)):
        ok(s, who, "Leases.bid", number, who, rate * 10**8)
        ok(s, who, "Leases.bid", other, who, rate * 10**8)
    del s[Uids, NET, BOB]
    forward(s, 15)
    assert s[Leases, number].hotkey == CHARLIE
    assert s[Leases, other].hotkey == DAVE


def test_an_order_that_no_bid_can_win_ends_and_its_deposit_is_back():
    s = town(BOB)
    number, unwanted = order(s), order(s, bid_blocks=4)
    ok(s, BOB, "Leases.bid", number, BOB, RATE)
    ok(s, BOB, "Market.remove_ask", NET, MODEL, BOB)
    forward(s, 14)
    assert last(s, store.OrderClosed) == store.OrderClosed(unwanted, Reason.NoBid, 10 * RATE)
    fails(s, Error.NoBid, ALICE, "Leases.accept", number)
    forward(s, 15)
    assert [reserved(s, who) for who in PEOPLE] == [0] * 5
    assert s[Orders, number] is s[Escrows, number] is None


def test_the_payer_may_end_the_bidding_early_and_gets_the_lowest_bid_all_the_same():
    s = town()
    number = order(s)
    fails(s, Error.NoBid, ALICE, "Leases.accept", number)
    for who, rate in ((BOB, 3), (CHARLIE, 2)):
        ok(s, who, "Leases.bid", number, who, rate * 10**8)
    fails(s, Error.NotPayer, BOB, "Leases.accept", number)
    ok(s, ALICE, "Leases.accept", number)
    assert s[Leases, number].hotkey == CHARLIE
    fails(s, Error.BiddingClosed, ALICE, "Leases.accept", number)
    fails(s, Error.BiddingClosed, DAVE, "Leases.bid", number, DAVE, 1)
    forward(s, 15)  # what was planned for the end of the bidding is not
    assert s[Leases, number].started == 10


def test_bids_are_checked():
    s = town()
    number = order(s)
    path = "Leases.bid"
    fails(s, Error.UnknownOrder, BOB, path, 7, BOB, RATE)
    fails(s, market.Error.NotYourHotkey, EVE, path, number, BOB, RATE)
    fails(s, Error.NotRegistered, EVE, path, number, EVE, RATE)
    fails(s, Error.RateTooHigh, BOB, path, number, BOB, RATE + 1)
    fails(s, Error.RateBelowBaseFee, BOB, path, number, BOB, 0)
    register(s, EVE)
    fails(s, Error.CapacityTaken, EVE, path, number, EVE, RATE)
    ok(s, BOB, path, number, BOB, RATE)
    fails(s, Error.AlreadyBid, BOB, path, number, BOB, RATE)


def test_a_coldkey_bids_for_its_hotkey_and_is_paid():
    s = town(BOB)
    hot = AccountId(b"\x09" * 32)
    register(s, hot, owner=EVE)
    ask(s, hot, payer=EVE)
    number = order(s)
    ok(s, EVE, "Leases.bid", number, hot, RATE)
    ok(s, ALICE, "Leases.accept", number)
    before = free(s, EVE)
    forward(s, 13)
    ok(s, EVE, "Leases.withdraw", number)
    assert free(s, EVE) - before == 3 * RATE - burned(3 * RATE)


def test_a_full_order_takes_only_bids_that_undercut():
    s = town(BOB)
    number = order(s, max_rate=RATE)
    crowd = [AccountId(bytes([n]) * 32) for n in range(1, 22)]
    for who in crowd:
        set_free(s, who, 10 * TAO)
        register(s, who)
        ask(s, who)
    held = reserved(s, crowd[0])
    for who in crowd[:20]:
        ok(s, who, "Leases.bid", number, who, RATE // 2 if who != crowd[3] else RATE)
    fails(s, Error.TooManyBids, BOB, "Leases.bid", number, BOB, RATE)
    ok(s, crowd[20], "Leases.bid", number, crowd[20], RATE // 3)
    assert last(s, store.BidReturned).hotkey == crowd[3]
    assert reserved(s, crowd[3]) == held
    assert len(s[Bids, number]) == 20
    ok(s, ALICE, "Leases.close", number)
    assert all(reserved(s, who) == held for who in crowd)


def test_orders_are_checked():
    s = town()
    for failure, wanted, bid_blocks, deposit in (
        (Error.UnknownSubnet, spec(netuid=9), 5, 10 * RATE),
        (Error.BadModel, spec(model=b"a b"), 5, 10 * RATE),
        (Error.NoCapacity, spec(capacity=0), 5, 10 * RATE),
        (Error.BadDuration, spec(duration=0), 5, 10 * RATE),
        (Error.BadDuration, spec(duration=216_001), 5, 10 * RATE),
        (Error.BadDuration, spec(), 0, 10 * RATE),
        (Error.BadDuration, spec(), 7_201, 10 * RATE),
        (Error.RateBelowBaseFee, spec(max_rate=0), 5, 10 * RATE),
        (Error.DepositTooLow, spec(), 5, 10 * RATE - 1),
        (Error.DepositTooLow, spec(max_rate=1_000), 5, MinimumDeposit.value - 1),
    ):
        fails(s, failure, ALICE, "Leases.create_order", wanted, bid_blocks, deposit)


def test_an_order_without_a_lease_is_closed_by_its_payer_alone():
    s = town()
    number = order(s)
    ok(s, BOB, "Leases.bid", number, BOB, RATE)
    fails(s, Error.NotPayer, BOB, "Leases.close", number)
    fails(s, Error.NoLease, BOB, "Leases.withdraw", number)
    ok(s, ALICE, "Leases.close", number)
    assert reserved(s, ALICE) == 0
    forward(s, 20)
    assert s[Due, BlockNumber(15)] == ()


# -- the escrow -----------------------------------------------------------------------------------


def test_settlement_is_the_rate_times_the_blocks():
    s = town()
    number = lease(s, rate=RATE // 4)
    for block in (11, 13, 20):
        forward(s, block)
        ok(s, BOB, "Leases.withdraw", number)
        escrow = s[Escrows, number]
        assert escrow.transferred == escrow.withdrawn == (block - 10) * RATE // 4
        assert escrow.funds == escrow.balance + escrow.transferred
        assert escrow.settled_at == block
        fails(s, Error.NothingEarned, BOB, "Leases.withdraw", number)
    fails(s, Error.NotProvider, ALICE, "Leases.withdraw", number)


def test_an_overdraft_pauses_in_the_block_it_happens_and_a_top_up_resumes():
    s = town()
    number = lease(s, deposit=10 * RATE + 7)
    forward(s, 19)
    assert s[Escrows, number].state is EscrowState.Open
    forward(s, 20)  # ten blocks are paid for, and the eleventh is not
    assert "Leases.LeasePaused" in names(s)
    escrow = s[Escrows, number]
    assert (escrow.state, escrow.balance, escrow.transferred) == (
        EscrowState.Overdrawn,
        7,
        10 * RATE,
    )
    forward(s, 30)  # what is paused costs nothing
    assert s[Escrows, number] == escrow
    ok(s, ALICE, "Leases.deposit", number, RATE - 8)
    assert s[Escrows, number].state is EscrowState.Overdrawn
    ok(s, ALICE, "Leases.deposit", number, 2 * RATE + 1)
    assert "Leases.LeaseResumed" in names(s)
    escrow = s[Escrows, number]
    assert (escrow.state, escrow.settled_at, escrow.balance) == (EscrowState.Open, 30, 3 * RATE)
    forward(s, 32)
    assert s[Escrows, number].state is EscrowState.Open
    forward(s, 33)
    assert s[Escrows, number].state is EscrowState.Overdrawn
    assert s[Escrows, number].transferred == 13 * RATE


def test_a_top_up_in_time_prevents_the_pause():
    s = town()
    number = lease(s)
    forward(s, 19)
    ok(s, ALICE, "Leases.deposit", number, RATE)
    forward(s, 20)
    assert s[Escrows, number].state is EscrowState.Open
    forward(s, 21)
    assert s[Escrows, number].state is EscrowState.Overdrawn
    fails(s, Error.NotPayer, BOB, "Leases.deposit", number, RATE)


def test_a_lease_ends_on_its_day_paused_or_not():
    for deposit in (200 * RATE, 10 * RATE):
        s = town()
        number = lease(s, deposit=deposit, duration=50)
        forward(s, 60)
        closed = last(s, store.LeaseClosed)
        assert closed == store.LeaseClosed(number, Reason.Ended, max(deposit - 50 * RATE, 0))
        assert s[Leases, number] is s[Orders, number] is None
        assert reserved(s, ALICE) == 0


def test_either_side_closes_and_everything_is_free_at_once():
    for who, reason in ((ALICE, Reason.ByPayer), (BOB, Reason.ByProvider)):
        s = town(BOB)
        backed, rich = reserved(s, BOB), free(s, BOB)
        number = lease(s)
        fails(s, Error.NotParty, DAVE, "Leases.close", number)
        forward(s, 14)
        ok(s, who, "Leases.close", number)
        assert last(s, store.LeaseClosed) == store.LeaseClosed(number, reason, 6 * RATE)
        assert (reserved(s, ALICE), reserved(s, BOB)) == (0, backed)
        assert free(s, BOB) - rich == 4 * RATE - burned(4 * RATE)
        assert (Leased, NET, MODEL, BOB) not in s
        assert s[Trades, NET, MODEL].used == 0
        assert not s[LeasesOf, BOB, number]
        lease(s)  # the capacity can be leased again in the same block


def test_capacity_is_leased_once():
    s = town(BOB)
    number = order(s)
    ok(s, BOB, "Leases.bid", number, BOB, RATE)
    other = lease(s)
    fails(s, Error.CapacityTaken, BOB, "Leases.bid", order(s), BOB, RATE)
    forward(s, 15)
    assert s[Leases, other] is not None
    assert s[Orders, number] is None


def test_a_paused_lease_keeps_its_capacity_but_counts_for_no_demand():
    s = town(BOB, CHARLIE)
    number = lease(s)
    assert (s[Trades, NET, MODEL].asked, s[Trades, NET, MODEL].used) == (2_000, 1_000)
    forward(s, 20)
    assert s[Trades, NET, MODEL].used == 0
    fails(s, Error.CapacityTaken, BOB, "Leases.bid", order(s), BOB, RATE)
    ok(s, ALICE, "Leases.deposit", number, RATE)
    assert s[Trades, NET, MODEL].used == 1_000


def test_what_is_burned_leaves_both_issuances():
    s = town()
    s[Counted] = Rao(10**15)
    before = s[TotalIssuance]
    number = lease(s)
    forward(s, 15)
    ok(s, BOB, "Leases.withdraw", number)
    taken = last(s, store.Withdrawn)
    assert taken.burned == 5 * RATE // 20 == s[TotalBurned]
    assert taken.paid + taken.burned == 5 * RATE
    assert before - s[TotalIssuance] == 10**15 - s[Counted] == taken.burned


def test_whoever_pays_itself_still_burns():
    s = town(ALICE)
    number = lease(s, who=ALICE)
    rich = free(s, ALICE) + reserved(s, ALICE)
    forward(s, 15)
    ok(s, ALICE, "Leases.close", number)
    assert rich - free(s, ALICE) - reserved(s, ALICE) == burned(5 * RATE)


def test_a_crowded_block_pauses_nothing_early_or_late():
    s = town()
    number = lease(s)
    for block in range(15, 21):
        s[Due, BlockNumber(block)] = tuple(range(1000, 1000 + MOST))
    ok(s, ALICE, "Leases.deposit", number, 1)  # plans it again
    assert s[DueAt, number] == 14
    forward(s, 19)
    assert s[Escrows, number].state is EscrowState.Open
    assert len(s[Due, BlockNumber(20)]) == MOST + 1
    forward(s, 20)
    assert s[Escrows, number].state is EscrowState.Overdrawn


def test_no_room_at_all_is_said_and_costs_nobody_money():
    s = town()
    number = order(s, duration=30)
    ok(s, BOB, "Leases.bid", number, BOB, RATE)
    for block in range(16, 49):
        s[Due, BlockNumber(block)] = tuple(range(1000, 1000 + MOST))
    forward(s, 15)
    assert last(s, store.LeaseClosed) == store.LeaseClosed(number, Reason.Crowded, 10 * RATE)
    fails(s, Error.CrowdedBlock, ALICE, "Leases.create_order", spec(), 3, 10 * RATE)


# -- whatever the order of calls ------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["order", "lease", "bid", "accept", "deposit", "withdraw", "close", "blocks", "blocks"]
        ),
        st.integers(0, 3),
        st.sampled_from([BOB, CHARLIE, DAVE]),
        st.integers(1, 40),
    ),
    min_size=5,
    max_size=40,
)


STEP = 20_000


def act(s, step, number, who, amount):
    if step in ("order", "lease"):
        wanted = spec(capacity=CAPACITY // 3, max_rate=Rao(50 * STEP), duration=30 + amount)
        args = wanted, 1 + amount % 7, 500 * STEP
        run(s, (ALICE, EVE)[number % 2], "Leases.create_order", *args)
        if step == "lease":
            act(s, "bid", s[NextOrderId] - 1, who, amount)
    elif step == "bid":
        run(s, who, "Leases.bid", number, who, Rao(amount * STEP))
    elif step in ("accept", "deposit"):
        args = (Rao(amount * 10 * STEP),) if step == "deposit" else ()
        run(s, (ALICE, EVE)[number % 2], f"Leases.{step}", number, *args)
    elif step in ("withdraw", "close"):
        run(s, who if amount % 2 else ALICE, f"Leases.{step}", number)
    else:
        forward(s, s[Number] + amount)


def served(s, open_blocks):
    """Count for every lease the blocks that end with it open."""
    for number in range(s[NextOrderId]):
        escrow = s[Escrows, number]
        if s[Leases, number] is not None and escrow.state is EscrowState.Open:
            open_blocks[number] = open_blocks.get(number, 0) + 1


@settings(max_examples=120)
@given(STEPS)
def test_money_and_blocks_always_agree(steps):
    s = town()
    before, backed = s[TotalIssuance], {who: reserved(s, who) for who in PEOPLE}
    open_blocks: dict[int, int] = {}
    for step, number, who, amount in steps:
        if step == "blocks":
            for _ in range(amount):
                served(s, open_blocks)
                forward(s, s[Number] + 1)
                earned_is_rate_times_blocks(s, open_blocks)
        else:
            act(s, step, number, who, amount)
        assert s[TotalIssuance] + s[TotalBurned] == before
        held_is_accounted_for(s, backed)
    for number in range(s[NextOrderId]):
        run(s, (ALICE, EVE)[number % 2], "Leases.close", number)
        order = s[Orders, number]
        if order is not None:
            ok(s, order.payer, "Leases.close", number)
    assert {who: reserved(s, who) for who in PEOPLE} == backed
    for table in (Orders, Escrows, Leases, Bids, DueAt, Due, LeasesOf, Leased):
        assert not s.keys_of(table)


def earned_is_rate_times_blocks(s, open_blocks):
    for number in range(s[NextOrderId]):
        lease, escrow = s[Leases, number], s[Escrows, number]
        if lease is None:
            continue
        settled = leases.settle(s.child(), number, lease, escrow)
        assert settled.transferred == lease.rate * open_blocks.get(number, 0)
        assert settled.funds == settled.balance + settled.transferred
        can_pay = settled.balance >= lease.rate
        assert can_pay == (escrow.state is EscrowState.Open)


def held_is_accounted_for(s, backed):
    held = dict(backed)
    for number in range(s[NextOrderId]):
        order, lease, escrow = s[Orders, number], s[Leases, number], s[Escrows, number]
        if order is None:
            continue
        held[order.payer] += escrow.funds - escrow.withdrawn
        for bid in s[Bids, number]:
            held[bid.provider] += BidDeposit.value
        if lease is not None:
            held[lease.provider] += BidDeposit.value
    assert {who: reserved(s, who) for who in PEOPLE} == held
