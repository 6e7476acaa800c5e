"""Jobs: what a court decides about a delivery, in markets whose owners have chosen that.

In such a market a rejected job waits for some blocks before another node does it. In these its
node may contest the rejection. A payer may contest a delivery, too, while it may be rejected: one
that may reject no more can still put a bond behind its word. The job and its money wait for the
ruling. If it is for the node, the node is paid, its record is as if nobody had rejected, and the
payer's keeps the rejection; otherwise another node does the job, or the money goes back if it has
been tried as often as one may be.

The court ends every case by itself; what it calls here, at the start of a block, cannot fail.
"""

from __future__ import annotations

from dataclasses import replace

from chain.pallets.court_cases import bond_for, open_case
from chain.pallets.court_store import Delivery, Question, Reference
from chain.pallets.jobs_queue import (
    drop,
    existing,
    listed,
    note,
    pay_out,
    plan,
    uncount,
    unplanned,
    wait_again,
)
from chain.pallets.jobs_store import (
    ContestBlocks,
    Error,
    Job,
    JobContested,
    JobExpired,
    JobRuled,
    Jobs,
    JobState,
    MaxRejections,
    Node,
    NodeRecords,
)
from chain.runtime.dispatch import layer
from chain.runtime.errors import CallError, ensure
from chain.runtime.state import State
from ganglion.units import AccountId, Hash, NetUid


def await_contest(s: State, number: int, job: Job, blocks: int) -> None:
    """Let a job that was rejected wait for its node to contest that."""
    job = unplanned(s, number, job)
    s[Jobs, number] = replace(job, state=JobState.Rejected, due=plan(s, number, blocks))


def contest(s: State, who: AccountId, number: int, evidence: Hash, reference: Reference) -> int:
    """Go to court about a delivery; the number of the case."""
    job = listed(s, number)
    market = existing(s, job.market)
    ensure(s[ContestBlocks, job.market] > 0, Error.NoCourt)
    if job.node is None or job.state not in (JobState.Review, JobState.Rejected):
        raise Error.NothingToContest
    node = job.node
    if job.state is JobState.Review:
        ensure(who == job.payer, Error.NotPayer)
        claimant, respondent = job.payer, node.provider
    else:
        ensure(who in (node.hotkey, node.provider), Error.NotNode)
        claimant, respondent = node.provider, job.payer
    question = Question(
        market.terms.netuid, claimant, respondent, node.hotkey,
        Delivery(number), evidence, reference,
    )  # fmt: skip
    case = open_case(s, who, question, bond_for(job.earned))
    in_review = job.state is JobState.Review
    state = JobState.Contested if in_review else JobState.RejectionContested
    s[Jobs, number] = replace(unplanned(s, number, job), state=state)
    s.emit(JobContested(number, case, who))
    return case


def carry_out(s: State, number: int, winner: AccountId) -> None:
    """Do with a job what a court has ruled."""
    job = s[Jobs, number]
    if job is None or job.node is None:
        return
    netuid, for_payer = existing(s, job.market).terms.netuid, winner == job.payer
    was_rejected = job.state is JobState.RejectionContested
    s.emit(JobRuled(number, job.node.hotkey, for_payer))
    if not for_payer:
        if was_rejected:
            forgive(s, netuid, job.node)
        note(s, netuid, job, approved=True, by_payer=not was_rejected)
        pay_out(s, number, job)
        return
    if not was_rejected:
        note(s, netuid, job, approved=False)
    do_again(s, number, job)


def forgive(s: State, netuid: NetUid, node: Node) -> None:
    """Take a rejection off a node's record."""
    ref = NodeRecords, netuid, node.hotkey
    record = s[ref]
    s[ref] = replace(record, rejected=max(record.rejected - 1, 0))


def do_again(s: State, number: int, job: Job) -> None:
    """Let another node do a job; if none may or there is no room, its money goes back."""
    if job.node is not None and len(job.tried) < MaxRejections.value:
        try:
            with layer(s):
                wait_again(s, number, job, (*job.tried, job.node.hotkey))
            return
        except CallError:  # the blocks in which it would be due are full
            pass
    uncount(s, job)
    s.emit(JobExpired(number, drop(s, number, job)))
