"""Jobs before the court: a job's money waits for the ruling, and goes where the ruling says."""

from __future__ import annotations

from dataclasses import replace

from courthouse import (
    CLAIMANT,
    EVIDENCE,
    JURORS,
    REFERENCE,
    RESPONDENT,
    courthouse,
    doubled,
    drawn,
    finished,
    forward,
    judged,
    seat_stakes,
)
from hypothesis import given
from hypothesis import strategies as st
from test_court_money import push
from test_jobs import BOND, CONTENT, MINIMUM, PRICE, RESULT, REVIEW, TIMEOUT, Number
from town import MODEL, NET, burned, free, register, reserved
from world import ALICE, BOB, CHARLIE, DAVE, EVE, TAO, contents, fails, last, ok, run

from chain.pallets import court
from chain.pallets.balances_store import TotalIssuance
from chain.pallets.court_store import Cases, Delivery, MinBond, QuietBlocks
from chain.pallets.court_store import Error as CourtError
from chain.pallets.jobs_court import carry_out
from chain.pallets.jobs_store import (
    ContestBlocks,
    Due,
    Error,
    JobContested,
    JobExpired,
    JobFinished,
    JobQueue,
    JobRuled,
    Jobs,
    JobState,
    Markets,
    MarketTerms,
    NextJobId,
    NodeRecords,
    PayerRecords,
    Record,
    Tier,
)
from chain.pallets.market import TotalBurned
from chain.pallets.subtensor.storage_keys import Owner
from ganglion.units import BlockNumber

CONTEST = 20
NODES = (BOB, CHARLIE, DAVE)
TERMS = MarketTerms(NET, MODEL, PRICE, TIMEOUT, 400, MINIMUM, REVIEW)
SAY = (EVIDENCE, REFERENCE)


def town(blocks=CONTEST):
    """Market 0 of EVE's with a court; BOB, CHARLIE and DAVE work there; ALICE has jobs."""
    s = courthouse()
    for who in NODES:
        register(s, who)
        ok(s, who, "Bonds.bond", NET, who, BOND)
    ok(s, EVE, "Jobs.open_market", TERMS)
    ok(s, EVE, "Jobs.set_court", 0, blocks)
    return s


def delivered(s, who=BOB, blocks=4):
    """A job of ALICE's that a node has delivered after so many blocks."""
    ok(s, ALICE, "Jobs.list", 0, CONTENT, Tier.Economy)
    number = s[NextJobId] - 1
    ok(s, who, "Jobs.work", 0, who)
    forward(s, blocks)
    ok(s, who, "Jobs.finish", number, RESULT)
    return number


def rejected(s):
    number = delivered(s)
    ok(s, ALICE, "Jobs.reject", number)
    return number


def contested(s, number, who=BOB):
    ok(s, who, "Jobs.contest", number, *SAY)
    return last(s, JobContested).case


def test_a_worker_contests_a_rejection_and_a_jury_pays_it_from_the_money_that_waited():
    s = town()
    number = rejected(s)
    job = s[Jobs, number]
    assert (job.state, job.due) == (JobState.Rejected, s[Number] + CONTEST)
    assert s[NodeRecords, NET, BOB] == Record(0, 1)
    forward(s, CONTEST - 1)
    case = contested(s, number)
    question = s[Cases, case].question
    assert (question.claimant, question.respondent) == (BOB, ALICE)
    assert question.subject == Delivery(number)
    assert (s[Jobs, number].state, s[Jobs, number].due) == (JobState.RejectionContested, 0)
    assert s[Cases, case].bonds[0].amount == MinBond.value == 4 * PRICE // 4
    doubled(s, case, sides=(ALICE, BOB))
    assert reserved(s, ALICE) == TIMEOUT * PRICE + (2 + 8) * TAO
    assert not {BOB, ALICE} & {seat.hotkey for seat in drawn(s, case)}
    before = free(s, BOB)
    judged(s, case, CLAIMANT)
    finished(s, case)
    assert last(s, JobRuled) == JobRuled(number, BOB, for_payer=False)
    assert last(s, JobFinished).paid == 4 * PRICE - burned(4 * PRICE)
    assert free(s, BOB) - before > 21 * TAO + last(s, JobFinished).paid
    assert (reserved(s, ALICE), s[Jobs, number], s[Markets, 0].running) == (0, None, 0)
    # the node's record is clean again; the payer's keeps the rejection that was wrong
    assert s[NodeRecords, NET, BOB] == Record(1, 0)
    assert s[PayerRecords, ALICE] == Record(0, 1)


def test_a_payer_that_is_right_has_the_job_done_by_another_node():
    s = town()
    number = rejected(s)
    case = contested(s, number)
    ok(s, ALICE, "Court.double", case)
    rich = free(s, ALICE)
    forward(s, QuietBlocks.value)
    assert free(s, ALICE) - rich == (2 + 1) * TAO  # its own bond, and the node's
    assert s[Jobs, number].state is JobState.Waiting
    assert s[Jobs, number].tried == (BOB,)
    assert s[NodeRecords, NET, BOB] == Record(0, 1)
    ok(s, CHARLIE, "Jobs.work", 0, CHARLIE)
    assert s[Jobs, number].node.hotkey == CHARLIE


def test_a_payer_that_does_not_answer_pays():
    s = town()
    number = rejected(s)
    case = contested(s, number)
    rich = free(s, BOB)
    forward(s, QuietBlocks.value)
    assert s[Jobs, number] is s[Cases, case] is None
    assert free(s, BOB) - rich == TAO + 4 * PRICE - burned(4 * PRICE)


def test_without_a_contest_the_job_is_done_again_when_its_time_is_over():
    s = town()
    number = rejected(s)
    ok(s, CHARLIE, "Jobs.work", 0, CHARLIE)
    forward(s, CONTEST - 1)
    assert s[Jobs, number].state is JobState.Rejected
    forward(s, 1)
    assert s[Jobs, number].node.hotkey == CHARLIE
    fails(s, Error.NothingToContest, BOB, "Jobs.contest", number, *SAY)


def test_a_payer_may_contest_a_delivery_though_it_may_reject_no_more():
    s = town()
    s[PayerRecords, ALICE] = Record(0, 2)
    number = delivered(s)
    fails(s, Error.RejectsTooMuch, ALICE, "Jobs.reject", number)
    fails(s, Error.NotPayer, BOB, "Jobs.contest", number, *SAY)
    case = contested(s, number, ALICE)
    assert s[Cases, case].question.claimant == ALICE
    assert s[Cases, case].question.agent == BOB
    forward(s, REVIEW + 1)  # the review is not over while the court has not ruled
    assert s[Jobs, number].state is JobState.Contested
    forward(s, QuietBlocks.value)
    assert s[Jobs, number].state is JobState.Waiting
    assert s[NodeRecords, NET, BOB] == Record(0, 1)
    assert s[PayerRecords, ALICE] == Record(0, 3)


def test_a_node_that_is_right_about_a_delivery_is_paid_as_if_it_was_approved():
    s = town()
    number = delivered(s)
    case = contested(s, number, ALICE)
    doubled(s, case, sides=(BOB, ALICE))
    drawn(s, case)
    judged(s, case, RESPONDENT)
    finished(s, case)
    assert last(s, JobFinished).paid == 4 * PRICE - burned(4 * PRICE)
    assert s[NodeRecords, NET, BOB] == s[PayerRecords, ALICE] == Record(1, 0)


def test_the_accounts_behind_a_node_do_not_judge_its_work():
    s = town()
    validator = JURORS[0]
    s[Owner, BOB] = s[Owner, validator] = EVE
    case = contested(s, rejected(s))
    doubled(s, case, sides=(ALICE, BOB))
    assert validator not in {seat.hotkey for seat in drawn(s, case)}


def test_a_job_that_cannot_be_tried_again_gives_its_money_back():
    s = town()
    number = delivered(s)
    s[Jobs, number] = replace(s[Jobs, number], tried=JURORS[:3])
    contested(s, number, ALICE)
    forward(s, QuietBlocks.value)
    assert last(s, JobExpired) == JobExpired(number, TIMEOUT * PRICE)
    assert (s[Jobs, number], s[Markets, 0].running, reserved(s, ALICE)) == (None, 0, 0)


def test_a_ruling_cannot_fail_for_want_of_a_place():
    s = town()
    number = rejected(s)
    contested(s, number)
    ok(s, ALICE, "Court.double", 0)
    for at in range(s[Number], s[Number] + 1_000):
        s[Due, BlockNumber(at)] = tuple(range(900, 964))
    forward(s, QuietBlocks.value, hooks=())
    court.start(s, s[Number])
    assert last(s, JobExpired) == JobExpired(number, TIMEOUT * PRICE)
    assert (s[Jobs, number], s[Markets, 0].running, reserved(s, ALICE)) == (None, 0, 0)


def test_only_owners_of_idle_markets_with_a_review_choose_a_court():
    s = town()
    fails(s, Error.NotOwner, ALICE, "Jobs.set_court", 0, 5)
    fails(s, Error.BadTerms, EVE, "Jobs.set_court", 0, 50_401)
    ok(s, EVE, "Jobs.open_market", MarketTerms(NET, MODEL, PRICE, 5, 5, 0, 0))
    fails(s, Error.BadTerms, EVE, "Jobs.set_court", 1, 5)
    number = delivered(s)
    fails(s, Error.NotIdle, EVE, "Jobs.set_court", 0, 0)
    fails(s, Error.NotIdle, EVE, "Jobs.close_market", 0)
    ok(s, ALICE, "Jobs.approve", number)
    ok(s, EVE, "Jobs.set_court", 0, 0)
    assert (ContestBlocks, 0) not in s
    number = delivered(s)
    fails(s, Error.NoCourt, ALICE, "Jobs.contest", number, *SAY)
    ok(s, ALICE, "Jobs.reject", number)  # and rejected jobs wait for nobody, as before
    assert s[JobQueue, 0] == (number,)
    ok(s, ALICE, "Jobs.delist", number)
    ok(s, EVE, "Jobs.set_court", 0, 5)
    ok(s, EVE, "Jobs.close_market", 0)
    assert (ContestBlocks, 0) not in s


def test_where_no_jury_could_be_drawn_nothing_is_contested():
    s = town()
    number = rejected(s)
    seat_stakes(s, {1: 5, 2: 5})
    fails(s, CourtError.TooFewJurors, BOB, "Jobs.contest", number, *SAY)
    fails(s, Error.NotNode, CHARLIE, "Jobs.contest", number, *SAY)
    assert s[Jobs, number].state is JobState.Rejected


def test_a_ruling_about_a_job_that_is_gone_changes_nothing():
    s = town()
    before = contents(s)
    carry_out(s, 99, ALICE)
    assert contents(s) == before


STEPS = st.lists(
    st.tuples(st.sampled_from(["push"] * 8 + ["deliver", "blocks"]), st.integers(0, 255)),
    min_size=10,
    max_size=50,
)


def deliver(s):
    """One more job; nodes come and deliver what they can."""
    run(s, ALICE, "Jobs.list", 0, CONTENT, Tier.Economy)
    for who in NODES:
        run(s, who, "Jobs.work", 0, who)
    for ref in s.keys_of(Jobs):
        if s[ref].state is JobState.Running:
            ok(s, s[ref].node.hotkey, "Jobs.finish", ref[1], RESULT)


def push_job(s, n):
    """What somebody may do about the oldest job, or about its case."""
    found = [ref[1] for ref in s.keys_of(Jobs)]
    if not found:
        deliver(s)
        return
    number = min(found)
    job = s[Jobs, number]
    match job.state:
        case JobState.Review:
            call = ("reject", "contest", "reject", "approve")[n % 4]
            run(s, ALICE, f"Jobs.{call}", number, *(SAY if call == "contest" else ()))
        case JobState.Rejected if n % 5:
            run(s, job.node.hotkey, "Jobs.contest", number, *SAY)
        case JobState.Contested | JobState.RejectionContested:
            for ref in s.keys_of(Cases):
                push(s, ref[1], n)
        case JobState.Waiting:
            deliver(s)
        case _:
            forward(s, 5)


@given(steps=STEPS)
def test_the_jobs_money_is_always_somewhere_and_all_ends(steps):
    s = town()
    s[PayerRecords, ALICE] = Record(8, 0)
    before = s[TotalIssuance] + s[TotalBurned]
    for step, n in steps:
        if step == "push":
            push_job(s, n)
        elif step == "deliver":
            deliver(s)
        else:
            forward(s, n)
        money_agrees(s)
        assert s[TotalIssuance] + s[TotalBurned] == before
    for ref in s.keys_of(Cases):
        finished(s, ref[1])
    forward(s, CONTEST + REVIEW + TIMEOUT + 400)
    assert not s.keys_of(Jobs)
    assert not s.keys_of(Due)
    assert s[Markets, 0].running == 0
    assert reserved(s, ALICE) == 0


def money_agrees(s):
    jobs = [s[ref] for ref in s.keys_of(Jobs)]
    bonds = [stake for ref in s.keys_of(Cases) for stake in s[ref].bonds if stake.who == ALICE]
    owed = sum(job.deposit for job in jobs) + sum(stake.amount for stake in bonds)
    assert reserved(s, ALICE) == owed
    assert s[Markets, 0].running == sum(job.state is not JobState.Waiting for job in jobs)
    about = {s[ref].question.subject.job for ref in s.keys_of(Cases)}
    waits = (JobState.Contested, JobState.RejectionContested)
    assert about == {ref[1] for ref in s.keys_of(Jobs) if s[ref].state in waits}
