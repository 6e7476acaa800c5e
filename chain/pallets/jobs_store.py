"""Jobs: storage, constants, events and errors."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from chain.pallets import due
from chain.pallets.model_registry import ModelId
from chain.runtime.errors import Errors, error
from chain.runtime.pallet import Constant, constant, event
from chain.runtime.storage import Blake2, Map, Twox, Value, storage
from ganglion.scale import AtMost, u32, u64
from ganglion.units import AccountId, BlockNumber, Hash, NetUid, Rao

MOST_QUEUED = 256

MaxQueued: Constant[u32] = constant(MOST_QUEUED)
"""Jobs, or nodes, that wait in a market's queue."""

MarketDeposit: Constant[Rao] = constant(Rao(10**9))
"""Reserved from whoever opens a market, until it is closed."""

MaxBlocks: Constant[BlockNumber] = constant(BlockNumber(50_400))
"""The longest timeout and the longest expiration."""


class QueueType(IntEnum):
    """What waits in a market."""

    Empty = 0
    Jobs = 1
    Nodes = 2


@dataclass(frozen=True, slots=True)
class MarketTerms:
    """What a market's jobs are for and cost: rao a block, blocks to finish one, blocks that one
    may wait, and the bond that a node needs on the subnet."""

    netuid: NetUid
    model: ModelId
    job_price: Rao
    job_timeout: BlockNumber
    job_expiration: BlockNumber
    node_minimum: Rao


@dataclass(frozen=True, slots=True)
class JobMarket:
    """A market, what waits in it, and how many of its jobs run."""

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

    Without a node it waits until the block `due`; with one it runs until then.
    """

    market: u32
    payer: AccountId
    content: Hash
    deposit: Rao
    node: Node | None
    started: BlockNumber
    due: BlockNumber


NextMarketId: Value[u32] = storage(default=0)
"""The number of the next market."""

NextJobId: Value[u64] = storage(default=0)
"""The number of the next job."""

Markets: Map[Twox[u32], JobMarket | None] = storage()
"""Markets by number."""

JobQueue: Map[Twox[u32], Annotated[tuple[u64, ...], AtMost(MOST_QUEUED)]] = storage(default=())
"""Jobs of a market that wait for nodes, the oldest first."""

NodeQueue: Map[Twox[u32], Annotated[tuple[Node, ...], AtMost(MOST_QUEUED)]] = storage(default=())
"""Nodes that wait for jobs of a market, the oldest first."""

Jobs: Map[Twox[u64], Job | None] = storage()
"""Jobs that wait or run."""

Busy: Map[Twox[u32], Blake2[AccountId], u64 | None] = storage()
"""Which job of a market a hotkey runs."""

Due: Map[Twox[BlockNumber], Annotated[tuple[u64, ...], AtMost(due.MOST)]] = storage(default=())
"""Jobs whose waiting or running is over in a block."""


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


@event(3)
class JobStarted:
    """A node has taken a job and has until a block to finish it."""

    job: u64
    hotkey: AccountId
    due: BlockNumber


@event(4)
class JobFinished:
    """A node has delivered: it is paid for its blocks, and the rest is back."""

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


class Error(Errors):
    """What can go wrong."""

    UnknownMarket = error(0, "There is no such market.")
    UnknownSubnet = error(1, "There is no such subnet.")
    BadModel = error(2, "A model's name is 1 to 96 letters, digits or any of . _ - : / @")
    BadTerms = error(3, "A market has a price, and a timeout and an expiration within the limit.")
    NotOwner = error(4, "Only the account that opened a market may close it.")
    NotIdle = error(5, "A market with jobs or nodes in it cannot be closed.")
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
