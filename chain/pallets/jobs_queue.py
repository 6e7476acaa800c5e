"""Jobs: who gets which job, who is paid, and what both sides remember of each other."""

from __future__ import annotations

from dataclasses import replace

from chain.pallets import due
from chain.pallets.balances_ops import repatriate_reserved, unreserve
from chain.pallets.balances_store import BalanceStatus
from chain.pallets.bonds import Bonds
from chain.pallets.jobs_store import (
    Busy,
    Due,
    Error,
    Job,
    JobExpired,
    JobFinished,
    JobMarket,
    JobQueue,
    Jobs,
    JobStarted,
    JobState,
    Markets,
    MarketTerms,
    MaxQueued,
    Node,
    NodeLeft,
    NodeQueue,
    NodeRecords,
    PayerRecords,
    PriorityReputation,
    QueueType,
    Record,
    Tier,
)
from chain.pallets.market import MILLION, burn_share, do_burn_share
from chain.pallets.subtensor.neurons import is_registered
from chain.pallets.system import Account, block_number
from chain.pallets.system_types import AccountData
from chain.runtime.errors import ensure
from chain.runtime.state import State
from ganglion.units import AccountId, BlockNumber, NetUid, Rao

# -- finding ---------------------------------------------------------------------------------------


def existing(s: State, number: int) -> JobMarket:
    """A market; raises UnknownMarket."""
    found = s[Markets, number]
    if found is None:
        raise Error.UnknownMarket
    return found


def listed(s: State, number: int) -> Job:
    """A job; raises UnknownJob."""
    found = s[Jobs, number]
    if found is None:
        raise Error.UnknownJob
    return found


def running(s: State, number: int, who: AccountId) -> tuple[Job, Node]:
    """A job that runs and its node, which is `who`; raises UnknownJob, NotRunning or NotNode."""
    found = listed(s, number)
    if found.node is None or found.state is not JobState.Running:
        raise Error.NotRunning
    ensure(who in (found.node.hotkey, found.node.provider), Error.NotNode)
    return found, found.node


def compute_reputation(record: Record) -> int:
    """The approved share of work in millionths; one half of those of whom nothing is known."""
    return (record.approved + 1) * MILLION // (record.approved + record.rejected + 2)


def has_minimum(s: State, terms: MarketTerms, hotkey: AccountId) -> bool:
    """Whether a node has bonded what the market asks; what is leaving the bond does not count."""
    bond = s[Bonds, terms.netuid, hotkey]
    return (bond.amount if bond else 0) >= terms.node_minimum


def is_admitted(s: State, terms: MarketTerms, hotkey: AccountId) -> bool:
    """Whether a node may work in a market at all."""
    return is_registered(s, terms.netuid, hotkey) and has_minimum(s, terms, hotkey)


def is_for(s: State, terms: MarketTerms, job: Job, hotkey: AccountId) -> bool:
    """Whether a job may go to a node: not one of the rejected, nor to those of low reputation if
    it is of the priority tier."""
    if hotkey in job.tried:
        return False
    good = compute_reputation(s[NodeRecords, terms.netuid, hotkey]) >= PriorityReputation.value
    return good or job.tier is Tier.Economy


# -- queues ----------------------------------------------------------------------------------------


def hand_out(s: State, number: int, *, first: bool = False) -> None:
    """Give a job to the oldest waiting node that it is for; without one it waits, `first` of all
    or behind those of its tier."""
    job = listed(s, number)
    market, terms = job.market, existing(s, job.market).terms
    kept: list[Node] = []
    nodes = s[NodeQueue, market]
    for place, node in enumerate(nodes):
        if not is_admitted(s, terms, node.hotkey):
            s.emit(NodeLeft(market, node.hotkey))
        elif not is_for(s, terms, job, node.hotkey):
            kept.append(node)
        else:
            set_queues(s, market, s[JobQueue, market], (*kept, *nodes[place + 1 :]))
            begin(s, number, node)
            return
    waiting = s[JobQueue, market]
    is_full = len(waiting) >= MaxQueued.value
    ensure(first or not is_full, Error.QueueFull)
    set_queues(s, market, waiting, tuple(kept))
    if is_full:  # a job that came back and has no place any more
        s.emit(JobExpired(number, drop(s, number, job)))
        return
    ahead = 0 if first else sum(listed(s, n).tier >= job.tier for n in waiting)
    set_queues(s, market, (*waiting[:ahead], number, *waiting[ahead:]), tuple(kept))
    s[Jobs, number] = replace(job, due=plan(s, number, terms.job_expiration))


def take_first(s: State, market: int, node: Node) -> bool:
    """Let a node begin the first waiting job that is for it; False if there is none."""
    terms, waiting = existing(s, market).terms, s[JobQueue, market]
    for place, number in enumerate(waiting):
        if is_for(s, terms, listed(s, number), node.hotkey):
            rest = (*waiting[:place], *waiting[place + 1 :])
            set_queues(s, market, rest, s[NodeQueue, market])
            begin(s, number, node)
            return True
    return False


def begin(s: State, number: int, node: Node) -> None:
    """Let a node run a job."""
    job = unplanned(s, number, listed(s, number))
    market = existing(s, job.market)
    ends = plan(s, number, market.terms.job_timeout)
    s[Jobs, number] = replace(
        job, state=JobState.Running, node=node, started=block_number(s), due=ends
    )
    s[Busy, job.market, node.hotkey] = number
    s[Markets, job.market] = replace(market, running=market.running + 1)
    s.emit(JobStarted(number, node.hotkey, ends))


def release(s: State, job: Job) -> None:
    """Let a job's node take other jobs."""
    if job.node is not None:
        del s[Busy, job.market, job.node.hotkey]


def uncount(s: State, job: Job) -> None:
    """Count a job no more among those that run or are reviewed."""
    market = existing(s, job.market)
    s[Markets, job.market] = replace(market, running=market.running - 1)


def wait_again(s: State, number: int, job: Job, tried: tuple[AccountId, ...]) -> None:
    """Make a job that had a node one that another is to do, before all that wait."""
    uncount(s, job)
    job = unplanned(s, number, job)
    s[Jobs, number] = replace(
        job,
        state=JobState.Waiting,
        node=None,
        started=BlockNumber(0),
        tried=tried,
        result=None,
        earned=Rao(0),
    )
    hand_out(s, number, first=True)


def set_queues(s: State, market: int, jobs: tuple[int, ...], nodes: tuple[Node, ...]) -> None:
    """Write a market's queues, and of which type it is."""
    s[JobQueue, market] = jobs
    s[NodeQueue, market] = nodes
    if not jobs:
        del s[JobQueue, market]
    if not nodes:
        del s[NodeQueue, market]
    kind = QueueType.Jobs if jobs else QueueType.Nodes if nodes else QueueType.Empty
    s[Markets, market] = replace(existing(s, market), queue_type=kind)


def plan(s: State, number: int, blocks: int) -> BlockNumber:
    """Enter a job at the block in so many; raises CrowdedBlock."""
    at = due.enter(s, Due, number, block_number(s) + blocks)
    if at is None:
        raise Error.CrowdedBlock
    return at


def unplanned(s: State, number: int, job: Job) -> Job:
    """A job that nothing is planned for."""
    if job.due:
        due.leave(s, Due, number, job.due)
    return replace(job, due=BlockNumber(0))


# -- ends ------------------------------------------------------------------------------------------


def drop(s: State, number: int, job: Job) -> Rao:
    """End a job that nobody is paid for; how much its payer has back."""
    waiting = s[JobQueue, job.market]
    if number in waiting:
        rest = tuple(n for n in waiting if n != number)
        set_queues(s, job.market, rest, s[NodeQueue, job.market])
    return forget(s, number, job, job.deposit)


def pay_out(s: State, number: int, job: Job) -> None:
    """End a job that was delivered: pay its node, burn a share, give the rest back."""
    if job.node is None or job.result is None:
        return
    uncount(s, job)
    burned, rest = do_burn_share(s, job.payer, job.earned), job.earned - burn_share(job.earned)
    paid = 0
    if s[Account, job.node.provider].data != AccountData():  # an account that is gone earns nothing
        provider = job.node.provider
        paid = rest - repatriate_reserved(s, job.payer, provider, rest, BalanceStatus.Free)
    refund = forget(s, number, job, job.deposit - burned - paid)
    s.emit(JobFinished(number, job.result, Rao(paid), burned, refund))


def forget(s: State, number: int, job: Job, refund: int) -> Rao:
    """Give back what is left of a job's money and drop it; how much that was."""
    unplanned(s, number, job)
    missing = unreserve(s, job.payer, refund)
    del s[Jobs, number]
    return Rao(refund - missing)


def note(s: State, netuid: NetUid, job: Job, *, approved: bool, by_payer: bool = True) -> None:
    """Remember how a node's work was received, and how its payer received it."""
    if job.node is not None:
        ref = (NodeRecords, netuid, job.node.hotkey)
        s[ref] = counted(s[ref], approved)
    if by_payer:
        s[PayerRecords, job.payer] = counted(s[PayerRecords, job.payer], approved)


def counted(record: Record, approved: bool) -> Record:
    """A record with one more."""
    if approved:
        return replace(record, approved=record.approved + 1)
    return replace(record, rejected=record.rejected + 1)
