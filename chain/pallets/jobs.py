"""Jobs (pallet 105, this chain's own): single jobs at a fixed price, first come, first served.

A market has one queue. When jobs wait in it, a node that comes for work takes the oldest; when
nodes wait, a job that is listed goes to the oldest of them. So it flips between a queue of jobs
and a queue of nodes, and never holds both. A node needs a seat on the market's subnet and a bond
there of the market's minimum. A job costs the price for every block from its start to its finish,
out of a deposit for the whole timeout; what has not been earned goes back, all of it if the node
does not deliver in time. Part of what is earned burns.

The rules follow Nosana's: market account, list, work, finish, quit, stop.
"""

from __future__ import annotations

from dataclasses import replace

import chain.pallets.jobs_store as _store
from chain.pallets import due
from chain.pallets.balances_ops import repatriate_reserved, reserve, unreserve
from chain.pallets.balances_store import BalanceStatus
from chain.pallets.bonds import Bonds
from chain.pallets.jobs_store import (
    Busy,
    Due,
    Error,
    Job,
    JobDelisted,
    JobExpired,
    JobFinished,
    JobListed,
    JobMarket,
    JobQueue,
    JobQuit,
    Jobs,
    JobStarted,
    JobTimedOut,
    MarketClosed,
    MarketDeposit,
    MarketOpened,
    Markets,
    MarketTerms,
    MaxBlocks,
    MaxQueued,
    NextJobId,
    NextMarketId,
    Node,
    NodeLeft,
    NodeQueue,
    NodeQueued,
    QueueType,
)
from chain.pallets.market import do_burn_share, ensure_own
from chain.pallets.model_registry import MAX_NAME, NAME_BYTES
from chain.pallets.subtensor.accounts import is_subnet
from chain.pallets.subtensor.neurons import is_registered
from chain.pallets.system import Account, block_number
from chain.pallets.system_types import AccountData
from chain.runtime.errors import ensure
from chain.runtime.origin import Signed
from chain.runtime.pallet import Pallet, call, on_initialize
from chain.runtime.state import State
from ganglion.scale import u32, u64
from ganglion.units import AccountId, BlockNumber, Hash, Rao


@call(0, weight=40_000_000, reads=3, writes=3)
def open_market(s: State, who: Signed, terms: MarketTerms) -> None:
    """Open a market, for a deposit."""
    ensure(is_subnet(s, terms.netuid), Error.UnknownSubnet)
    ensure(0 < len(terms.model) <= MAX_NAME and NAME_BYTES.issuperset(terms.model), Error.BadModel)
    most = MaxBlocks.value
    within = 0 < terms.job_timeout <= most and 0 < terms.job_expiration <= most
    ensure(within and terms.job_price > 0, Error.BadTerms)
    reserve(s, who, MarketDeposit.value)
    number = s[NextMarketId]
    s[NextMarketId] = number + 1
    s[Markets, number] = JobMarket(who, terms, QueueType.Empty, 0)
    s.emit(MarketOpened(number, who, terms))


@call(1, weight=35_000_000, reads=2, writes=2)
def close_market(s: State, who: Signed, market: u32) -> None:
    """Close a market in which nothing waits or runs; its deposit comes back."""
    found = existing(s, market)
    ensure(found.owner == who, Error.NotOwner)
    ensure(found.running == 0 and found.queue_type is QueueType.Empty, Error.NotIdle)
    unreserve(s, who, MarketDeposit.value)
    del s[Markets, market]
    s.emit(MarketClosed(market))


@call(2, weight=70_000_000, reads=8, writes=8)
def list_(s: State, payer: Signed, market: u32, content: Hash) -> None:
    """Put a job into a market; the oldest waiting node takes it at once, if there is one."""
    terms = existing(s, market).terms
    deposit = Rao(terms.job_price * terms.job_timeout)
    reserve(s, payer, deposit)
    number = s[NextJobId]
    s[NextJobId] = number + 1
    none = BlockNumber(0)
    s[Jobs, number] = Job(market, payer, content, deposit, None, none, none)
    s.emit(JobListed(number, market, payer, content))
    hand_out(s, number, last=True)


@call(3, weight=70_000_000, reads=8, writes=8)
def work(s: State, who: Signed, market: u32, hotkey: AccountId) -> None:
    """Take the oldest waiting job of a market, or wait for one."""
    terms = existing(s, market).terms
    ensure_own(s, who, hotkey)
    ensure(is_registered(s, terms.netuid, hotkey), Error.NotRegistered)
    ensure(has_minimum(s, terms, hotkey), Error.BelowMinimum)
    ensure(s[Busy, market, hotkey] is None, Error.AlreadyThere)
    nodes, waiting = s[NodeQueue, market], s[JobQueue, market]
    ensure(all(node.hotkey != hotkey for node in nodes), Error.AlreadyThere)
    node = Node(hotkey, who)
    if waiting:
        set_queues(s, market, waiting[1:], ())
        begin(s, waiting[0], node)
        return
    ensure(len(nodes) < MaxQueued.value, Error.QueueFull)
    set_queues(s, market, (), (*nodes, node))
    s.emit(NodeQueued(market, hotkey))


@call(4, weight=70_000_000, reads=7, writes=7)
def finish(s: State, who: Signed, job: u64, result: Hash) -> None:
    """Deliver a job: its node is paid for the blocks it took, and the rest goes back."""
    found, node = running(s, job, who)
    price = existing(s, found.market).terms.job_price
    earned = min(max(block_number(s) - found.started, 1) * price, found.deposit)
    burned = do_burn_share(s, found.payer, earned)
    paid = 0
    if s[Account, node.provider].data != AccountData():
        paid = earned - burned
        repatriate_reserved(s, found.payer, node.provider, paid, BalanceStatus.Free)
    refund = forget(s, job, found, found.deposit - burned - paid)
    s.emit(JobFinished(job, result, Rao(paid), burned, refund))


@call(5, weight=70_000_000, reads=9, writes=8)
def quit_(s: State, who: Signed, job: u64) -> None:
    """Give a job back unpaid: the next waiting node takes it, or it waits before all others."""
    found, node = running(s, job, who)
    leave(s, job, found)
    s.emit(JobQuit(job, node.hotkey))
    hand_out(s, job, last=False)


@call(6, weight=35_000_000, reads=2, writes=2)
def stop(s: State, who: Signed, market: u32, hotkey: AccountId) -> None:
    """Wait for jobs no more."""
    existing(s, market)
    ensure_own(s, who, hotkey)
    nodes = s[NodeQueue, market]
    left = tuple(node for node in nodes if node.hotkey != hotkey)
    ensure(len(left) < len(nodes), Error.NotQueued)
    set_queues(s, market, (), left)
    s.emit(NodeLeft(market, hotkey))


@call(7, weight=45_000_000, reads=4, writes=5)
def delist(s: State, who: Signed, job: u64) -> None:
    """Take a waiting job back, with its money."""
    found = listed(s, job)
    ensure(found.payer == who, Error.NotPayer)
    ensure(found.node is None, Error.NotWaiting)
    due.leave(s, Due, job, found.due)
    refund = drop_waiting(s, job, found)
    s.emit(JobDelisted(job, refund))


@on_initialize
def start(s: State, now: int) -> None:
    """End the jobs that have waited or run too long."""
    for number in due.arrive(s, Due, now):
        job = s[Jobs, number]
        if job is None:
            continue
        if job.node is None:
            s.emit(JobExpired(number, drop_waiting(s, number, job)))
        else:
            refund = forget(s, number, job, job.deposit)
            s.emit(JobTimedOut(number, job.node.hotkey, refund))


# -- the queue ------------------------------------------------------------------------------------


def hand_out(s: State, number: int, *, last: bool) -> None:
    """Give a job to the oldest fit node that waits; without one it waits itself."""
    job = listed(s, number)
    market, terms = job.market, existing(s, job.market).terms
    nodes = s[NodeQueue, market]
    for place, node in enumerate(nodes):
        if is_registered(s, terms.netuid, node.hotkey) and has_minimum(s, terms, node.hotkey):
            set_queues(s, market, (), nodes[place + 1 :])
            begin(s, number, node)
            return
        s.emit(NodeLeft(market, node.hotkey))
    waiting = s[JobQueue, market]
    is_full = len(waiting) >= MaxQueued.value
    ensure(not (last and is_full), Error.QueueFull)
    if is_full:  # a job that came back and has no place any more
        s.emit(JobExpired(number, drop_waiting(s, number, job)))
        return
    set_queues(s, market, (*waiting, number) if last else (number, *waiting), ())
    s[Jobs, number] = replace(job, due=plan(s, number, terms.job_expiration))


def begin(s: State, number: int, node: Node) -> None:
    """Let a node run a job."""
    job = listed(s, number)
    market = existing(s, job.market)
    if job.due:
        due.leave(s, Due, number, job.due)
    ends = plan(s, number, market.terms.job_timeout)
    s[Jobs, number] = replace(job, node=node, started=block_number(s), due=ends)
    s[Busy, job.market, node.hotkey] = number
    s[Markets, job.market] = replace(market, running=market.running + 1)
    s.emit(JobStarted(number, node.hotkey, ends))


def leave(s: State, number: int, job: Job) -> None:
    """Let a job have no node again."""
    if job.node is not None:
        del s[Busy, job.market, job.node.hotkey]
    due.leave(s, Due, number, job.due)
    market = existing(s, job.market)
    s[Markets, job.market] = replace(market, running=market.running - 1)
    s[Jobs, number] = replace(job, node=None, started=BlockNumber(0), due=BlockNumber(0))


def set_queues(s: State, market: int, jobs: tuple[int, ...], nodes: tuple[Node, ...]) -> None:
    """Write a market's queue, and of which type it is."""
    s[JobQueue, market] = jobs
    s[NodeQueue, market] = nodes
    if not jobs:
        del s[JobQueue, market]
    if not nodes:
        del s[NodeQueue, market]
    kind = QueueType.Jobs if jobs else QueueType.Nodes if nodes else QueueType.Empty
    s[Markets, market] = replace(existing(s, market), queue_type=kind)


def drop_waiting(s: State, number: int, job: Job) -> Rao:
    """Take a job out of its queue and give its money back; how much that was."""
    waiting = tuple(n for n in s[JobQueue, job.market] if n != number)
    set_queues(s, job.market, waiting, ())
    unreserve(s, job.payer, job.deposit)
    del s[Jobs, number]
    return job.deposit


def forget(s: State, number: int, job: Job, refund: int) -> Rao:
    """End a job that ran and give back what is left of its money; how much that was."""
    leave(s, number, job)
    unreserve(s, job.payer, refund)
    del s[Jobs, number]
    return Rao(refund)


def plan(s: State, number: int, blocks: int) -> BlockNumber:
    """Enter a job at the block in so many; raises CrowdedBlock."""
    at = due.enter(s, Due, number, block_number(s) + blocks)
    if at is None:
        raise Error.CrowdedBlock
    return at


def has_minimum(s: State, terms: MarketTerms, hotkey: AccountId) -> bool:
    """Whether a node has bonded what the market asks; what is leaving the bond does not count."""
    bond = s[Bonds, terms.netuid, hotkey]
    return (bond.amount if bond else 0) >= terms.node_minimum


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
    """A job and its node, which is `who`; raises UnknownJob, NotRunning or NotNode."""
    found = listed(s, number)
    if found.node is None:
        raise Error.NotRunning
    ensure(who in (found.node.hotkey, found.node.provider), Error.NotNode)
    return found, found.node


pallet = Pallet("Jobs", _store.__name__, __name__).seal()
