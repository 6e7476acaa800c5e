"""Jobs: storage, constants, events and errors."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from chain.pallets import due
from chain.pallets.model_registry import ModelId
from chain.runtime.errors import Errors, error
from chain.runtime.pallet import Constant, constant, event
from chain.runtime.storage import Blake2, Identity, Map, Twox, Value, storage
from ganglion.scale import AtMost, u32, u64
from ganglion.units import AccountId, BlockNumber, Hash, NetUid, Rao

MOST_QUEUED = 64
MOST_TRIED = 3

MaxQueued: Constant[u32] = constant(MOST_QUEUED)
"""Jobs, or nodes, that wait in a market's queue."""

MarketDeposit: Constant[Rao] = constant(Rao(10**9))
"""Reserved from whoever opens a market, until it is closed."""

MaxBlocks: Constant[BlockNumber] = constant(BlockNumber(50_400))
"""The longest timeout and the longest expiration."""


MaxRejections: Constant[u32] = constant(MOST_TRIED)
"""How often one job may be rejected; the node that delivers next is paid."""

PriorityFactor: Constant[u32] = constant(2)
"""How many times the price a job of the priority tier costs."""

PriorityReputation: Constant[u32] = constant(500_000)
"""The reputation, in millionths, below which a node gets no job of the priority tier."""

FreeRejections: Constant[u32] = constant(2)
"""What a payer may reject before it has approved anything."""

RejectedShare: Constant[u32] = constant(250_000)
"""What a payer may reject beyond that, in millionths of what it has approved."""


class QueueType(IntEnum):
    """What waits in a market."""

    Empty = 0
    Jobs = 1
    Nodes = 2


class Tier(IntEnum):
    """Jobs of the priority tier cost more, go first, and go to nodes of some reputation."""

    Economy = 0
    Priority = 1


class JobState(IntEnum):
    """What becomes of a job. In markets with a court, it may be rejected and not contested yet;
    or wait for a ruling, which its payer asked for or a node whose work was rejected."""

    Waiting = 0
    Running = 1
    Review = 2
    Rejected = 3
    Contested = 4
    RejectionContested = 5


@dataclass(frozen=True, slots=True)
class Record:
    """What was approved and what was rejected: of a node's work, or by a payer."""

    approved: u32 = 0
    rejected: u32 = 0


@dataclass(frozen=True, slots=True)
class MarketTerms:
    """What a market's jobs are for and cost: rao a block, blocks to finish one, blocks that one
    may wait, the bond that a node needs on the subnet, and the blocks in which a payer may reject
    what was delivered (with none, delivery is paid at once)."""

    netuid: NetUid
    model: ModelId
    job_price: Rao
    job_timeout: BlockNumber
    job_expiration: BlockNumber
    node_minimum: Rao
    review: BlockNumber


@dataclass(frozen=True, slots=True)
class JobMarket:
    """A market, what waits in it, and how many of its jobs run or are reviewed."""

    owner: AccountId
    terms: MarketTerms
    queue_type: QueueType
    running: u32


@dataclass(frozen=True, slots=True)
class Node:
    """A miner that takes jobs, and the account that is paid for them."""

    hotkey: AccountId
    provider: AccountId


@dataclass(frozen=True, slots=True)
class Job:
    """A job: `content` names what is to be done. Its money is reserved on the payer's account.

    It waits, runs, is reviewed or may be contested until the block `due`. The nodes in `tried` were
    rejected; `result` and `earned` are there from review on.
    """

    market: u32
    payer: AccountId
    content: Hash
    tier: Tier
    deposit: Rao
    state: JobState
    node: Node | None
    started: BlockNumber
    due: BlockNumber
    tried: Annotated[tuple[AccountId, ...], AtMost(MOST_TRIED)]
    result: Hash | None
    earned: Rao


NextMarketId: Value[u32] = storage(default=0)
"""The number of the next market."""

NextJobId: Value[u64] = storage(default=0)
"""The number of the next job."""

Markets: Map[Twox[u32], JobMarket | None] = storage()
"""Markets by number."""

ContestBlocks: Map[Twox[u32], BlockNumber] = storage(default=0)
"""For how many blocks a rejection may be contested in a market; 0 where nothing may be."""

JobQueue: Map[Twox[u32], Annotated[tuple[u64, ...], AtMost(MOST_QUEUED)]] = storage(default=())
"""Jobs of a market that wait for nodes: those of the priority tier, then the others, by age."""

NodeQueue: Map[Twox[u32], Annotated[tuple[Node, ...], AtMost(MOST_QUEUED)]] = storage(default=())
"""Nodes that wait for jobs of a market, the oldest first."""

Jobs: Map[Twox[u64], Job | None] = storage()
"""Jobs that wait or run."""

Busy: Map[Twox[u32], Blake2[AccountId], u64 | None] = storage()
"""Which job of a market a hotkey runs."""

NodeRecords: Map[Identity[NetUid], Blake2[AccountId], Record] = storage(default=Record())
"""How the work of a hotkey on a subnet was received; a job not finished in time is rejected."""

PayerRecords: Map[Blake2[AccountId], Record] = storage(default=Record())
"""How a payer received the work of nodes."""

Due: Map[Twox[BlockNumber], Annotated[tuple[u64, ...], AtMost(due.MOST)]] = storage(default=())
"""Jobs whose waiting, running or review is over in a block."""


@event(0)
class MarketOpened:
    """A market was opened."""

    market: u32
    owner: AccountId
    terms: MarketTerms


@event(1)
class MarketClosed:
    """A market was closed."""

    market: u32


@event(2)
class JobListed:
    """A job was put into a market."""

    job: u64
    market: u32
    payer: AccountId
    content: Hash
    tier: Tier


@event(3)
class JobStarted:
    """A node has taken a job and has until a block to finish it."""

    job: u64
    hotkey: AccountId
    due: BlockNumber


@event(4)
class JobFinished:
    """A node has delivered and is paid for its blocks, and the rest is back."""

    job: u64
    result: Hash
    paid: Rao
    burned: Rao
    refund: Rao


@event(5)
class JobQuit:
    """A node gave a job back, unpaid."""

    job: u64
    hotkey: AccountId


@event(6)
class JobTimedOut:
    """A node has not delivered in time: the money is back."""

    job: u64
    hotkey: AccountId
    refund: Rao


@event(7)
class JobExpired:
    """No node came for a job: the money is back."""

    job: u64
    refund: Rao


@event(8)
class JobDelisted:
    """A payer took a waiting job back."""

    job: u64
    refund: Rao


@event(9)
class NodeQueued:
    """A node waits for a job."""

    market: u32
    hotkey: AccountId


@event(10)
class NodeLeft:
    """A node waits no more; or it was passed over, for lack of a seat or a bond."""

    market: u32
    hotkey: AccountId


@event(11)
class JobDelivered:
    """A node has delivered; until a block its payer may reject that."""

    job: u64
    result: Hash
    due: BlockNumber


@event(12)
class JobRejected:
    """A payer has rejected what was delivered: another node is to do it."""

    job: u64
    hotkey: AccountId


@event(13)
class CourtChosen:
    """In a market, rejections may be contested for so many blocks; 0: nothing may be."""

    market: u32
    blocks: BlockNumber


@event(14)
class JobContested:
    """A delivery is before the court, whose ruling the job waits for."""

    job: u64
    case: u64
    who: AccountId


@event(15)
class JobRuled:
    """A court has ruled on a delivery, for the payer or for the node."""

    job: u64
    hotkey: AccountId
    for_payer: bool


class Error(Errors):
    """What can go wrong."""

    UnknownMarket = error(0, "There is no such market.")
    UnknownSubnet = error(1, "There is no such subnet.")
    BadModel = error(2, "A model's name is 1 to 96 letters, digits or any of . _ - : / @")
    BadTerms = error(3, "A market has a price, and a timeout and an expiration within the limit.")
    NotOwner = error(4, "Only the account that opened a market may close it.")
    NotIdle = error(5, "A market with jobs in it cannot be closed.")
    QueueFull = error(6, "As much waits in this market as may.")
    UnknownJob = error(7, "There is no such job, or it is over.")
    NotPayer = error(8, "Only the account that pays may do this.")
    NotRunning = error(9, "No node runs this job.")
    NotWaiting = error(10, "A node runs this job already.")
    NotNode = error(11, "Only the node that runs the job may do this.")
    NotRegistered = error(12, "The hotkey has no seat on the market's subnet.")
    BelowMinimum = error(13, "The node's bond is below the market's minimum.")
    AlreadyThere = error(14, "The hotkey waits in this market or runs one of its jobs.")
    NotQueued = error(15, "The hotkey does not wait in this market.")
    CrowdedBlock = error(16, "Too many jobs are due around that block.")
    NotInReview = error(17, "Nothing has been delivered that may be judged.")
    RejectsTooMuch = error(18, "The payer has rejected too much of what it was delivered.")
    TriedEnough = error(19, "The job has been rejected as often as one may be.")
    NoCourt = error(20, "Nothing may be contested in this market.")
    NothingToContest = error(21, "Only a delivery in review or just rejected may be contested.")
