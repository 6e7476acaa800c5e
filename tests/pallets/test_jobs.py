"""Jobs: one queue that flips, nodes of a minimum bond, and money back for what was not earned."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from town import MODEL, NET, burned, free, register, reserved
from world import ALICE, BOB, CHARLIE, DAVE, EVE, TAO, at_block, fails, last, names, ok, run, world

from chain.pallets import jobs
from chain.pallets import jobs_store as store
from chain.pallets.balances_store import TotalIssuance
from chain.pallets.jobs_queue import compute_reputation, is_admitted, is_for
from chain.pallets.jobs_store import (
    Busy,
    Due,
    Error,
    JobQueue,
    Jobs,
    JobState,
    MarketDeposit,
    Markets,
    MarketTerms,
    MaxQueued,
    NextJobId,
    Node,
    NodeQueue,
    NodeRecords,
    PayerRecords,
    QueueType,
    Record,
    Tier,
)
from chain.pallets.market import TotalBurned
from chain.pallets.subtensor.storage_network import NetworksAdded
from chain.pallets.subtensor.storage_neurons import Uids
from chain.pallets.system import Number
from ganglion.units import Hash, Rao

PRICE, TIMEOUT, EXPIRATION, MINIMUM = Rao(TAO), 10, 30, Rao(5 * TAO)
TERMS = MarketTerms(NET, MODEL, PRICE, TIMEOUT, EXPIRATION, MINIMUM, 0)
REVIEW = 6
CONTENT, RESULT = Hash(b"c" * 32), Hash(b"r" * 32)
NODES = (BOB, CHARLIE, DAVE)
PEOPLE = (ALICE, *NODES, EVE)
BOND = 6 * TAO


def town(review=0):
    """Market 0 of EVE's; BOB, CHARLIE and DAVE have seats and bonds; ALICE has jobs."""
    s = world(block=10)
    s[NetworksAdded, NET] = True
    for who in NODES:
        register(s, who)
        ok(s, who, "Bonds.bond", NET, who, BOND)
    ok(s, EVE, "Jobs.open_market", replace(TERMS, review=review))
    s.events.clear()
    return s


def listing(s, who=ALICE, tier=Tier.Economy):
    ok(s, who, "Jobs.list", 0, CONTENT, tier)
    return s[NextJobId] - 1


def work(s, who):
    ok(s, who, "Jobs.work", 0, who)


def forward(s, blocks):
    for number in range(s[Number] + 1, s[Number] + blocks + 1):
        at_block(s, number)
        s.events.clear()
        jobs.start(s, number)


def kind(s):
    return s[Markets, 0].queue_type


def test_the_queue_flips_between_jobs_and_nodes():
    s = town()
    assert kind(s) is QueueType.Empty
    one, two = listing(s), listing(s)
    assert (kind(s), s[JobQueue, 0]) == (QueueType.Jobs, (one, two))
    work(s, BOB)  # takes the oldest
    assert s[Jobs, one].node == Node(BOB, BOB)
    work(s, CHARLIE)
    assert kind(s) is QueueType.Empty
    work(s, DAVE)
    assert (kind(s), s[NodeQueue, 0]) == (QueueType.Nodes, (Node(DAVE, DAVE),))
    ok(s, BOB, "Jobs.finish", one, RESULT)
    work(s, BOB)
    three = listing(s)  # goes to the oldest node
    assert s[Jobs, three].node.hotkey == DAVE
    assert s[NodeQueue, 0] == (Node(BOB, BOB),)
    four = listing(s)
    assert s[Jobs, four].node.hotkey == BOB
    assert kind(s) is QueueType.Empty
    listing(s)
    assert kind(s) is QueueType.Jobs
    assert s[Markets, 0].running == 3


def test_a_finished_job_costs_its_blocks_and_the_rest_is_back():
    s = town()
    number, rich = listing(s), free(s, BOB)
    assert reserved(s, ALICE) == TIMEOUT * PRICE
    work(s, BOB)
    forward(s, 4)
    fails(s, Error.NotNode, CHARLIE, "Jobs.finish", number, RESULT)
    ok(s, BOB, "Jobs.finish", number, RESULT)
    cut = burned(4 * PRICE)
    assert last(s, store.JobFinished) == store.JobFinished(
        number, RESULT, 4 * PRICE - cut, cut, 6 * PRICE
    )
    assert free(s, BOB) - rich == 4 * PRICE - cut
    assert reserved(s, ALICE) == 0
    assert not s.keys_of(Due)
    fails(s, Error.UnknownJob, BOB, "Jobs.finish", number, RESULT)


def test_a_timeout_ends_the_job_and_refunds_what_was_not_earned():
    s = town()
    number, rich = listing(s), free(s, ALICE)
    work(s, BOB)
    forward(s, TIMEOUT - 1)
    assert s[Jobs, number] is not None
    forward(s, 1)
    assert last(s, store.JobTimedOut) == store.JobTimedOut(number, BOB, TIMEOUT * PRICE)
    assert free(s, ALICE) - rich == TIMEOUT * PRICE
    assert reserved(s, ALICE) == 0
    assert s[Jobs, number] is s[Busy, 0, BOB] is None
    assert s[Markets, 0].running == 0
    work(s, BOB)  # and is free for another


def test_a_node_below_the_minimum_is_refused():
    s = town()
    ok(s, BOB, "Bonds.unbond", NET, BOB, 2 * TAO)
    fails(s, Error.BelowMinimum, BOB, "Jobs.work", 0, BOB)
    register(s, EVE)
    fails(s, Error.BelowMinimum, EVE, "Jobs.work", 0, EVE)
    fails(s, Error.NotRegistered, ALICE, "Jobs.work", 0, ALICE)
    ok(s, BOB, "Bonds.bond", NET, BOB, TAO)
    work(s, BOB)


def test_a_waiting_node_that_fell_below_or_left_is_passed_over():
    s = town()
    for who in NODES:
        work(s, who)
    ok(s, BOB, "Bonds.unbond", NET, BOB, 2 * TAO)
    del s[Uids, NET, CHARLIE]
    number = listing(s)
    assert s[Jobs, number].node.hotkey == DAVE
    assert names(s).count("Jobs.NodeLeft") == 2
    assert kind(s) is QueueType.Empty


def test_a_job_that_is_quit_goes_to_the_next_node_or_waits_before_all_others():
    s = town()
    one, two = listing(s), listing(s)
    work(s, BOB)
    forward(s, 3)
    ok(s, BOB, "Jobs.quit", one)
    assert s[JobQueue, 0] == (one, two)
    assert reserved(s, ALICE) == 2 * TIMEOUT * PRICE
    work(s, BOB)
    work(s, CHARLIE)
    work(s, DAVE)
    ok(s, CHARLIE, "Jobs.quit", two)
    assert s[Jobs, two].node.hotkey == DAVE
    assert s[Jobs, two].due == s[Number] + TIMEOUT
    fails(s, Error.NotRunning, BOB, "Jobs.quit", listing(s))


def test_a_job_for_which_no_node_comes_expires():
    s = town()
    number = listing(s)
    forward(s, EXPIRATION - 1)
    assert s[JobQueue, 0] == (number,)
    forward(s, 1)
    assert last(s, store.JobExpired) == store.JobExpired(number, TIMEOUT * PRICE)
    assert reserved(s, ALICE) == 0
    assert kind(s) is QueueType.Empty


def test_payers_and_nodes_may_leave_the_queue():
    s = town()
    number = listing(s)
    fails(s, Error.NotPayer, BOB, "Jobs.delist", number)
    ok(s, ALICE, "Jobs.delist", number)
    assert reserved(s, ALICE) == 0
    work(s, BOB)
    fails(s, Error.AlreadyThere, BOB, "Jobs.work", 0, BOB)
    fails(s, Error.NotQueued, CHARLIE, "Jobs.stop", 0, CHARLIE)
    ok(s, BOB, "Jobs.stop", 0, BOB)
    assert kind(s) is QueueType.Empty
    number = listing(s)
    work(s, BOB)
    fails(s, Error.NotWaiting, ALICE, "Jobs.delist", number)
    fails(s, Error.AlreadyThere, BOB, "Jobs.work", 0, BOB)


def test_markets_are_checked_and_closed_when_idle():
    s = town()
    for failure, change in (
        (Error.UnknownSubnet, {"netuid": 9}),
        (Error.BadModel, {"model": b""}),
        (Error.BadTerms, {"job_price": 0}),
        (Error.BadTerms, {"job_timeout": 0}),
        (Error.BadTerms, {"job_expiration": 50_401}),
        (Error.BadTerms, {"review": 50_401}),
    ):
        fails(s, failure, EVE, "Jobs.open_market", replace(TERMS, **change))
    fails(s, Error.UnknownMarket, ALICE, "Jobs.list", 7, CONTENT, Tier.Economy)
    number = listing(s)
    fails(s, Error.NotOwner, ALICE, "Jobs.close_market", 0)
    fails(s, Error.NotIdle, EVE, "Jobs.close_market", 0)
    work(s, BOB)
    fails(s, Error.NotIdle, EVE, "Jobs.close_market", 0)
    ok(s, BOB, "Jobs.finish", number, RESULT)
    assert reserved(s, EVE) == MarketDeposit.value
    ok(s, EVE, "Jobs.close_market", 0)
    assert reserved(s, EVE) == 0


def test_nodes_that_wait_do_not_hold_up_a_market_that_closes():
    s = town()
    work(s, BOB)
    s.events.clear()
    ok(s, EVE, "Jobs.close_market", 0)
    assert names(s) == ["Jobs.NodeLeft", "Balances.Unreserved", "Jobs.MarketClosed"]
    assert not s.keys_of(NodeQueue)
    assert reserved(s, EVE) == 0


def test_a_full_queue_takes_no_more_and_what_comes_back_to_it_is_refunded():
    s = town()
    number = listing(s)
    work(s, BOB)
    s[JobQueue, 0] = tuple(range(1000, 1000 + MaxQueued.value))
    fails(s, Error.QueueFull, ALICE, "Jobs.list", 0, CONTENT, Tier.Economy)
    ok(s, BOB, "Jobs.quit", number)
    assert last(s, store.JobExpired) == store.JobExpired(number, TIMEOUT * PRICE)
    assert reserved(s, ALICE) == 0
    assert len(s[JobQueue, 0]) == MaxQueued.value


# -- review, reputation, tiers ----------------------------------------------------------------


def delivered(s, who, number):
    """`who` works on a job and delivers it."""
    work(s, who)
    assert s[Jobs, number].node.hotkey == who
    ok(s, who, "Jobs.finish", number, RESULT)


def test_a_rejected_job_is_rerun_by_another_node_and_the_loser_falls_in_reputation():
    s = town(REVIEW)
    number, rich = listing(s), free(s, BOB)
    delivered(s, BOB, number)
    work(s, BOB)
    work(s, CHARLIE)
    before = compute_reputation(s[NodeRecords, NET, BOB])
    fails(s, Error.NotPayer, EVE, "Jobs.reject", number)
    ok(s, ALICE, "Jobs.reject", number)
    assert s[Jobs, number].node.hotkey == CHARLIE  # BOB waited longer, but has been rejected
    assert compute_reputation(s[NodeRecords, NET, BOB]) < before
    assert (free(s, BOB), reserved(s, ALICE)) == (rich, TIMEOUT * PRICE)
    forward(s, 3)
    ok(s, CHARLIE, "Jobs.finish", number, RESULT)
    ok(s, ALICE, "Jobs.approve", number)
    assert last(s, store.JobFinished).paid == 3 * PRICE - burned(3 * PRICE)
    assert compute_reputation(s[NodeRecords, NET, CHARLIE]) > before
    assert s[NodeQueue, 0] == (Node(BOB, BOB),)


def test_without_another_node_a_rejected_job_waits_for_one():
    s = town(REVIEW)
    number = listing(s)
    delivered(s, BOB, number)
    ok(s, ALICE, "Jobs.reject", number)
    work(s, BOB)  # it is not for BOB
    assert (s[JobQueue, 0], s[NodeQueue, 0]) == ((number,), (Node(BOB, BOB),))
    assert kind(s) is QueueType.Jobs
    work(s, DAVE)
    assert s[Jobs, number].node.hotkey == DAVE


def test_what_nobody_judges_is_approved_and_paid():
    s = town(REVIEW)
    number, rich = listing(s), free(s, BOB)
    delivered(s, BOB, number)
    fails(s, Error.NotRunning, BOB, "Jobs.quit", number)
    fails(s, Error.NotWaiting, ALICE, "Jobs.delist", number)
    fails(s, Error.NotIdle, EVE, "Jobs.close_market", 0)
    forward(s, REVIEW - 1)
    assert free(s, BOB) == rich
    forward(s, 1)
    assert free(s, BOB) - rich == PRICE - burned(PRICE)
    assert s[NodeRecords, NET, BOB] == s[PayerRecords, ALICE] == Record(1, 0)
    fails(s, Error.UnknownJob, ALICE, "Jobs.reject", number)
    ok(s, EVE, "Jobs.close_market", 0)


def test_a_serial_rejecter_is_limited_and_good_payers_may_reject_again():
    s = town(REVIEW)
    for _ in range(2):
        number = listing(s)
        delivered(s, BOB, number)
        ok(s, ALICE, "Jobs.reject", number)
        ok(s, ALICE, "Jobs.delist", number)
    number = listing(s)
    delivered(s, BOB, number)
    fails(s, Error.RejectsTooMuch, ALICE, "Jobs.reject", number)
    for _ in range(4):
        ok(s, ALICE, "Jobs.approve", number)
        number = listing(s)
        delivered(s, BOB, number)
    ok(s, ALICE, "Jobs.reject", number)
    assert s[PayerRecords, ALICE] == Record(4, 3)


def test_one_job_is_rejected_three_times_at_most():
    s = town(REVIEW)
    s[PayerRecords, ALICE] = Record(100, 0)
    number = listing(s)
    register(s, ALICE)
    ok(s, ALICE, "Bonds.bond", NET, ALICE, BOND)
    for who in NODES:
        delivered(s, who, number)
        ok(s, ALICE, "Jobs.reject", number)
    delivered(s, ALICE, number)
    fails(s, Error.TriedEnough, ALICE, "Jobs.reject", number)


def test_results_are_judged_only_in_review():
    s = town()
    number = listing(s)
    for call in ("approve", "reject"):
        fails(s, Error.NotInReview, ALICE, f"Jobs.{call}", number)
    delivered(s, BOB, number)
    fails(s, Error.UnknownJob, ALICE, "Jobs.reject", number)


def test_the_priority_tier_goes_first_and_costs_twice():
    s = town()
    plain = [listing(s), listing(s)]
    urgent = [listing(s, EVE, Tier.Priority), listing(s, EVE, Tier.Priority)]
    assert s[JobQueue, 0] == (*urgent, *plain)
    assert reserved(s, EVE) == MarketDeposit.value + 4 * TIMEOUT * PRICE
    work(s, BOB)
    forward(s, 2)
    ok(s, BOB, "Jobs.finish", urgent[0], RESULT)
    assert last(s, store.JobFinished).refund == 2 * (TIMEOUT - 2) * PRICE


def test_nodes_of_low_reputation_get_no_priority_jobs():
    s = town()
    number = listing(s)
    work(s, BOB)
    forward(s, TIMEOUT)  # not delivered: that counts as rejected
    assert s[NodeRecords, NET, BOB] == Record(0, 1)
    assert (PayerRecords, ALICE) not in s
    urgent, plain = listing(s, tier=Tier.Priority), listing(s)
    work(s, BOB)
    assert (s[Jobs, plain].node.hotkey, s[Jobs, urgent].node) == (BOB, None)
    work(s, CHARLIE)
    assert s[Jobs, urgent].node.hotkey == CHARLIE
    assert s[Jobs, number] is None


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "list",
                "list",
                "work",
                "work",
                "finish",
                "quit",
                "stop",
                "delist",
                "approve",
                "reject",
                "blocks",
            ]
        ),
        st.sampled_from(NODES),
        st.integers(0, 8),
    ),
    max_size=40,
)


@pytest.mark.parametrize("poor", [False, True])
@pytest.mark.parametrize("review", [0, REVIEW])
@given(steps=STEPS)
def test_queues_and_money_always_agree(poor, review, steps):
    s = town(review)
    if poor:  # one of the nodes is found unfit only when its turn comes
        work(s, BOB)
        ok(s, BOB, "Bonds.unbond", NET, BOB, BOND)
    before = s[TotalIssuance]
    for step, who, n in steps:
        if step == "blocks":
            forward(s, n)
        elif step == "list":
            run(s, ALICE, "Jobs.list", 0, CONTENT, Tier(n % 2))
        elif step in ("work", "stop"):
            run(s, who, f"Jobs.{step}", 0, who)
        elif step == "finish":
            run(s, who, "Jobs.finish", n, RESULT)
        else:
            run(s, who if step == "quit" else ALICE, f"Jobs.{step}", n)
        agrees(s)
        assert s[TotalIssuance] + s[TotalBurned] == before
    forward(s, EXPIRATION + TIMEOUT + REVIEW)
    assert not s.keys_of(Jobs)
    assert not s.keys_of(Due)
    assert not s.keys_of(Busy)
    assert [reserved(s, who) for who in PEOPLE] == [0, BOND, BOND, BOND, MarketDeposit.value]


def agrees(s):
    found = {ref[1]: s[ref] for ref in s.keys_of(Jobs)}
    waiting = {n for n, job in found.items() if job.state is JobState.Waiting}
    running = {n: job for n, job in found.items() if job.state is JobState.Running}
    market = s[Markets, 0]
    assert market.running == len(found) - len(waiting)
    assert set(s[JobQueue, 0]) == waiting
    assert all((job.node is None) == (n in waiting) for n, job in found.items())
    for node in s[NodeQueue, 0]:
        fit = is_admitted(s, market.terms, node.hotkey)
        plain = [found[n] for n in waiting if found[n].tier is Tier.Economy]
        assert not fit or not any(is_for(s, TERMS, job, node.hotkey) for job in plain)
    wanted = (
        QueueType.Jobs
        if s[JobQueue, 0]
        else QueueType.Nodes
        if s[NodeQueue, 0]
        else QueueType.Empty
    )
    assert market.queue_type is wanted
    assert {s[Busy, 0, job.node.hotkey] for job in running.values()} == set(running)
    assert reserved(s, ALICE) == sum(job.deposit for job in found.values())
    for number, job in found.items():
        assert number in s[Due, job.due]
