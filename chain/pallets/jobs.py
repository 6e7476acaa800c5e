"""Jobs (pallet 105, this chain's own): single jobs at a fixed price, first come, first served.

When jobs wait in a market, a node that comes for work takes the oldest; when nodes wait, a job
that is listed goes to the oldest of them. So a market's queue flips between one of jobs and one of
nodes; it has both only while none of the jobs is for any of the nodes. A node needs a seat on the
market's subnet and a bond there of the market's minimum. A job costs the price for every block
from its start to its finish, out of a deposit for the whole timeout; what has not been earned goes
back, all of it if the node does not deliver in time. Part of what is earned burns.

A market may give payers some blocks to reject what they got. A rejected job goes to another node
at once, unpaid, and the reputation of the first one falls; who has little of it gets no jobs of
the priority tier, which cost more and go first. Payers who reject too large a part of what they
get may reject no more. What nobody judges in time is approved. Where a market's owner has chosen
so, a rejection may be contested before the court (`jobs_court.py`) before another node works.

The rules follow Nosana's (market account, list, work, finish, quit, stop) and Render's (tiers,
approval, reputation).
"""

from __future__ import annotations

from dataclasses import replace

import chain.pallets.jobs_store as _store
from chain.pallets import due
from chain.pallets.balances_ops import reserve, unreserve
from chain.pallets.court_store import Reference
from chain.pallets.jobs_court import await_contest, do_again
from chain.pallets.jobs_court import contest as do_contest
from chain.pallets.jobs_queue import (
    drop,
    existing,
    hand_out,
    has_minimum,
    listed,
    note,
    pay_out,
    plan,
    release,
    running,
    set_queues,
    take_first,
    uncount,
    unplanned,
    wait_again,
)
from chain.pallets.jobs_store import (
    Busy,
    ContestBlocks,
    CourtChosen,
    Due,
    Error,
    FreeRejections,
    Job,
    JobDelisted,
    JobDelivered,
    JobExpired,
    JobListed,
    JobMarket,
    JobQueue,
    JobQuit,
    JobRejected,
    Jobs,
    JobState,
    JobTimedOut,
    MarketClosed,
    MarketDeposit,
    MarketOpened,
    Markets,
    MarketTerms,
    MaxBlocks,
    MaxQueued,
    MaxRejections,
    NextJobId,
    NextMarketId,
    Node,
    NodeLeft,
    NodeQueue,
    NodeQueued,
    PayerRecords,
    PriorityFactor,
    QueueType,
    RejectedShare,
    Tier,
)
from chain.pallets.market import MILLION, ensure_own
from chain.pallets.model_registry import MAX_NAME, NAME_BYTES
from chain.pallets.subtensor.accounts import is_subnet
from chain.pallets.subtensor.neurons import is_registered
from chain.pallets.system import block_number
from chain.runtime.errors import ensure
from chain.runtime.origin import Signed
from chain.runtime.pallet import Pallet, call, on_initialize
from chain.runtime.state import State, take
from ganglion.scale import u32, u64
from ganglion.units import AccountId, BlockNumber, Hash, Rao

NEVER = BlockNumber(0)


@call(0, weight=40_000_000, reads=3, writes=3)
def open_market(s: State, who: Signed, terms: MarketTerms) -> None:
    """Open a market, for a deposit."""
    ensure(is_subnet(s, terms.netuid), Error.UnknownSubnet)
    ensure(0 < len(terms.model) <= MAX_NAME and NAME_BYTES.issuperset(terms.model), Error.BadModel)
    most = MaxBlocks.value
    within = 0 < terms.job_timeout <= most and 0 < terms.job_expiration <= most
    ensure(within and terms.review <= most and terms.job_price > 0, Error.BadTerms)
    reserve(s, who, MarketDeposit.value)
    number = s[NextMarketId]
    s[NextMarketId] = number + 1
    s[Markets, number] = JobMarket(who, terms, QueueType.Empty, 0)
    s.emit(MarketOpened(number, who, terms))


@call(1, weight=60_000_000, reads=4, writes=3)
def close_market(s: State, who: Signed, market: u32) -> None:
    """Close a market in which no job waits or runs; its deposit comes back."""
    found = existing(s, market)
    ensure(found.owner == who, Error.NotOwner)
    ensure(found.running == 0 and not s[JobQueue, market], Error.NotIdle)
    for node in take(s, (NodeQueue, market)):  # waiting binds nobody, so it hinders nobody either
        s.emit(NodeLeft(market, node.hotkey))
    unreserve(s, who, MarketDeposit.value)
    del s[ContestBlocks, market]
    del s[Markets, market]
    s.emit(MarketClosed(market))


@call(2, weight=300_000_000, reads=200, writes=9)
def list_(s: State, payer: Signed, market: u32, content: Hash, tier: Tier) -> None:
    """Put a job into a market; the oldest waiting node takes it at once, if there is one."""
    terms = existing(s, market).terms
    deposit = Rao(price(terms, tier) * terms.job_timeout)
    reserve(s, payer, deposit)
    number = s[NextJobId]
    s[NextJobId] = number + 1
    s[Jobs, number] = Job(
        market,
        payer,
        content,
        tier,
        deposit,
        JobState.Waiting,
        None,
        NEVER,
        NEVER,
        (),
        None,
        Rao(0),
    )
    s.emit(JobListed(number, market, payer, content, tier))
    hand_out(s, number)


@call(3, weight=300_000_000, reads=200, writes=9)
def work(s: State, who: Signed, market: u32, hotkey: AccountId) -> None:
    """Take the oldest waiting job of a market, or wait for one."""
    terms = existing(s, market).terms
    ensure_own(s, who, hotkey)
    ensure(is_registered(s, terms.netuid, hotkey), Error.NotRegistered)
    ensure(has_minimum(s, terms, hotkey), Error.BelowMinimum)
    ensure(s[Busy, market, hotkey] is None, Error.AlreadyThere)
    nodes, node = s[NodeQueue, market], Node(hotkey, who)
    ensure(all(waiting.hotkey != hotkey for waiting in nodes), Error.AlreadyThere)
    if take_first(s, market, node):
        return
    ensure(len(nodes) < MaxQueued.value, Error.QueueFull)
    set_queues(s, market, s[JobQueue, market], (*nodes, node))
    s.emit(NodeQueued(market, hotkey))


@call(4, weight=70_000_000, reads=9, writes=9)
def finish(s: State, who: Signed, job: u64, result: Hash) -> None:
    """Deliver a job. Its node is paid for the blocks it took, at once or after the review."""
    found, _ = running(s, job, who)
    terms = existing(s, found.market).terms
    blocks = max(block_number(s) - found.started, 1)
    earned = Rao(min(blocks * price(terms, found.tier), found.deposit))
    release(s, found)
    found = unplanned(s, job, replace(found, result=result, earned=earned))
    if terms.review == 0:
        pay_out(s, job, found)
        return
    ends = plan(s, job, terms.review)
    s[Jobs, job] = replace(found, state=JobState.Review, due=ends)
    s.emit(JobDelivered(job, result, ends))


@call(5, weight=300_000_000, reads=200, writes=9)
def quit_(s: State, who: Signed, job: u64) -> None:
    """Give a job back unpaid: the next waiting node takes it, or it waits before all others."""
    found, node = running(s, job, who)
    release(s, found)
    s.emit(JobQuit(job, node.hotkey))
    wait_again(s, job, found, found.tried)


@call(6, weight=35_000_000, reads=3, writes=3)
def stop(s: State, who: Signed, market: u32, hotkey: AccountId) -> None:
    """Wait for jobs no more."""
    existing(s, market)
    ensure_own(s, who, hotkey)
    nodes = s[NodeQueue, market]
    left = tuple(node for node in nodes if node.hotkey != hotkey)
    ensure(len(left) < len(nodes), Error.NotQueued)
    set_queues(s, market, s[JobQueue, market], left)
    s.emit(NodeLeft(market, hotkey))


@call(7, weight=45_000_000, reads=5, writes=6)
def delist(s: State, who: Signed, job: u64) -> None:
    """Take a waiting job back, with its money."""
    found = listed(s, job)
    ensure(found.payer == who, Error.NotPayer)
    ensure(found.state is JobState.Waiting, Error.NotWaiting)
    s.emit(JobDelisted(job, drop(s, job, found)))


@call(8, weight=70_000_000, reads=8, writes=8)
def approve(s: State, who: Signed, job: u64) -> None:
    """Accept what was delivered, before its review is over: its node is paid."""
    do_approve(s, job, in_review(s, job, who))


@call(9, weight=300_000_000, reads=200, writes=11)
def reject(s: State, who: Signed, job: u64) -> None:
    """Refuse what was delivered: another node is to do the job."""
    found = in_review(s, job, who)
    ensure(len(found.tried) < MaxRejections.value, Error.TriedEnough)
    record = s[PayerRecords, who]
    allowed = FreeRejections.value + record.approved * RejectedShare.value // MILLION
    ensure(record.rejected < allowed, Error.RejectsTooMuch)
    note(s, existing(s, found.market).terms.netuid, found, approved=False)
    hotkey = found.node.hotkey if found.node else AccountId(bytes(32))
    s.emit(JobRejected(job, hotkey))
    if blocks := s[ContestBlocks, found.market]:
        await_contest(s, job, found, blocks)
    else:
        wait_again(s, job, found, (*found.tried, hotkey))


@call(10, weight=30_000_000, reads=3, writes=1)
def set_court(s: State, who: Signed, market: u32, blocks: BlockNumber) -> None:
    """Let rejections in a market be contested for so many blocks, or with 0 no more; only while
    no job is there that began otherwise."""
    found = existing(s, market)
    ensure(found.owner == who, Error.NotOwner)
    ensure(found.running == 0 and not s[JobQueue, market], Error.NotIdle)
    ensure(blocks <= MaxBlocks.value, Error.BadTerms)
    ensure(blocks == 0 or found.terms.review > 0, Error.BadTerms)
    if blocks:
        s[ContestBlocks, market] = blocks
    else:
        del s[ContestBlocks, market]
    s.emit(CourtChosen(market, blocks))


@call(11, weight=150_000_000, reads=400, writes=8)
def contest(s: State, who: Signed, job: u64, evidence: Hash, reference: Reference) -> None:
    """Go to court about a delivery, for a bond: its payer in review, its node when rejected."""
    do_contest(s, who, job, evidence, reference)


@on_initialize
def start(s: State, now: int) -> None:
    """End what has waited, run or been reviewed long enough."""
    for number in due.arrive(s, Due, now):
        job = s[Jobs, number]
        if job is None:
            continue
        if job.state is JobState.Waiting:
            s.emit(JobExpired(number, drop(s, number, job)))
        elif job.state is JobState.Review:
            do_approve(s, number, job)
        elif job.state is JobState.Rejected:
            do_again(s, number, job)
        elif job.node is not None:
            release(s, job)
            uncount(s, job)
            netuid = existing(s, job.market).terms.netuid
            note(s, netuid, job, approved=False, by_payer=False)
            s.emit(JobTimedOut(number, job.node.hotkey, drop(s, number, job)))


def do_approve(s: State, number: int, job: Job) -> None:
    """Pay for what was delivered; it counts for both sides."""
    note(s, existing(s, job.market).terms.netuid, job, approved=True)
    pay_out(s, number, job)


def in_review(s: State, number: int, who: AccountId) -> Job:
    """A job whose result its payer may judge; raises UnknownJob, NotPayer or NotInReview."""
    found = listed(s, number)
    ensure(found.payer == who, Error.NotPayer)
    ensure(found.state is JobState.Review, Error.NotInReview)
    return found


def price(terms: MarketTerms, tier: Tier) -> int:
    """What a job of a tier costs a block."""
    return terms.job_price * (PriorityFactor.value if tier is Tier.Priority else 1)


pallet = Pallet("Jobs", _store.__name__, __name__).seal()
