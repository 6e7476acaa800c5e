"""InferenceRequests: storage, constants, events and errors."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from chain.pallets.model_registry import Digest32, ModelId
from chain.runtime.errors import DispatchError, Errors, error
from chain.runtime.pallet import Constant, constant, event
from chain.runtime.storage import Blake2, Identity, Map, Twox, Value, storage
from ganglion.scale import AtMost, Enumeration, Outcome, u8, u16, u32, u64, variant
from ganglion.units import AccountId, BlockNumber, Hash, NetUid, Rao
from ganglion.wire.receipts import Finish
from ganglion.wire.requests import MAX_OUTPUT, MOST_SEATS, Output, Result

MAX_INPUT = 4_096
MAX_TOKENS = 1_024
MAX_DATA = 256
MAX_KEY = 32

Data = Annotated[bytes, AtMost(MAX_DATA)]
Key = Annotated[bytes, AtMost(MAX_KEY)]

PalletAccount: Constant[AccountId] = constant(AccountId(b"modlinferreq".ljust(32, b"\0")))
"""The origin of callbacks; it holds nothing, and nobody signs for it."""

MaxSeats: Constant[u8] = constant(MOST_SEATS)
"""The most miners that answer one request."""

MaxInput: Constant[u32] = constant(MAX_INPUT)
"""The longest input on the chain, in bytes; a longer one is named by its hash."""

MaxOutput: Constant[u32] = constant(MAX_OUTPUT)
"""The longest output, in bytes."""

MaxTokens: Constant[u32] = constant(MAX_TOKENS)
"""The most output tokens."""

MaxOpen: Constant[BlockNumber] = constant(BlockNumber(300))
"""Blocks for which a request may wait for miners."""

MaxWork: Constant[BlockNumber] = constant(BlockNumber(600))
"""Blocks that miners may have for their work."""

RevealWindow: Constant[BlockNumber] = constant(BlockNumber(10))
"""Blocks in which answers that were committed to may still be shown, after the work."""

SeatDeposit: Constant[Rao] = constant(Rao(10**8))
"""Reserved from a miner that takes a seat; burned if it shows no answer."""

RequestDeposit: Constant[Rao] = constant(Rao(5 * 10**7))
"""Reserved for a request until its result is cleared; it pays for the place of the output."""

ByteDeposit: Constant[Rao] = constant(Rao(10_000))
"""Reserved beside it for each byte of the input and the callback's data, and of an inbox entry."""

InboxDeposit: Constant[Rao] = constant(Rao(10**7))
"""Reserved for an entry of the inbox, until it is removed."""

MaxCallbackWeight: Constant[u64] = constant(1_000_000_000)
"""The reference time that a callback may declare, in picoseconds."""


# -- what is asked --------------------------------------------------------------------------------


class SeedPolicy(IntEnum):
    """Whether all miners of a request draw with one seed, or each with its own."""

    Shared = 0
    Each = 1


class Input(Enumeration):
    """What the model reads: one turn of a user, as UTF-8."""


@variant(0)
class Inline(Input):
    """The text itself."""

    _0: Annotated[bytes, AtMost(MAX_INPUT)]


@variant(1)
class ByHash(Input):
    """Its blake2-256; miners that have the text answer."""

    _0: Hash


class Mode(Enumeration):
    """How several answers become one."""


@variant(0)
class First(Mode):
    """The answer of the one miner that takes the seat."""


@variant(1)
class Equal(Mode):
    """The answer that at least so many give alike; only of the exact class."""

    _0: u8


@variant(2)
class Median(Mode):
    """The median of the first numbers in the answers, by stake. Those within so many millionths
    of it agree."""

    _0: u32


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a miner needs for a seat: stake on the subnet in rao, incentive, and rao bonded; and
    whether its answer must be of the exact class, which anybody can make again."""

    stake: Rao
    incentive: u16
    bond: Rao
    exact: bool


@dataclass(frozen=True, slots=True)
class Callback:
    """A call of the allow-list, by the indices of its pallet and itself, and data for it."""

    pallet: u8
    call: u8
    data: Data


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked, of whom, and for how much.

    `weights` is the hash of the model's weights; None is that of the model registry, or any for a
    model that is not there. `temperature` is in thousandths. `redundancy` miners each get `price`.
    Seats are taken until the block `deadline`; from the last one on miners have `work` blocks.
    """

    netuid: NetUid
    model: ModelId
    weights: Digest32 | None
    input: Input
    max_tokens: u32
    temperature: u16
    seed: SeedPolicy
    redundancy: u8
    mode: Mode
    requirement: Requirement
    price: Rao
    deadline: BlockNumber
    work: BlockNumber
    callback: Callback | None


# -- what becomes of it ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seat:
    """A miner that answers, and who is paid; `receipt` and `output` are hashes of what it showed.

    `stake` is what it weighs in a median, `exact` the class that it signed for.
    """

    hotkey: AccountId
    provider: AccountId
    coldkey: AccountId
    stake: Rao
    commitment: Hash | None
    receipt: Hash | None
    output: Hash | None
    exact: bool


@dataclass(frozen=True, slots=True)
class Request:
    """A request that waits for miners, or for their answers since the block `started`."""

    requester: AccountId
    ask: Ask
    order: Hash
    deposit: Rao
    seats: Annotated[tuple[Seat, ...], AtMost(MOST_SEATS)]
    started: BlockNumber | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a miner made, with the parts of its receipt that the chain does not know itself.

    `evidence` is the root of its fingerprints.
    """

    output: Output
    tokens: Annotated[tuple[u32, ...], AtMost(MAX_TOKENS)]
    prompt_tokens: u32
    finish: Finish
    exact: bool
    weights: Digest32
    evidence: Digest32


@dataclass(frozen=True, slots=True)
class Entry:
    """What a callback has put into an inbox."""

    request: u64
    output: Output
    at: BlockNumber
    deposit: Rao


@dataclass(frozen=True, slots=True)
class Record:
    """How often a miner agreed with what was taken, did not, and showed nothing."""

    agreed: u32 = 0
    dissented: u32 = 0
    missed: u32 = 0


NextRequestId: Value[u64] = storage(default=0)
"""The number of the next request."""

Requests: Map[Twox[u64], Request | None] = storage()
"""Requests that are not answered."""

Shown: Map[Twox[u64], Blake2[Hash], Output] = storage(default=b"")
"""The different outputs shown for a request that is not decided."""

Results: Map[Twox[u64], Result | None] = storage()
"""Answers, until their requesters clear them."""

Inbox: Map[Blake2[AccountId], Blake2[Key], Entry | None] = storage()
"""The newest answer under each key of an account, put there by callbacks."""

Records: Map[Identity[NetUid], Blake2[AccountId], Record] = storage(default=Record())
"""How the answers of a subnet's hotkeys compared to those of others."""


@event(0)
class Requested:
    """A request waits for miners."""

    id: u64
    requester: AccountId
    netuid: NetUid
    model: ModelId
    price: Rao
    deadline: BlockNumber


@event(1)
class Accepted:
    """A miner has taken a seat."""

    id: u64
    hotkey: AccountId


@event(2)
class Started:
    """All seats are taken: the hash of this block makes the seed."""

    id: u64
    until: BlockNumber


@event(3)
class Committed:
    """A miner has an answer."""

    id: u64
    hotkey: AccountId


@event(4)
class Answered:
    """A miner has shown its answer, and signed the receipt for it."""

    id: u64
    hotkey: AccountId
    output: Hash
    receipt: Hash


@event(5)
class Fulfilled:
    """A request has its answer."""

    id: u64
    output: Hash
    agreed: u8
    paid: Rao
    burned: Rao
    refund: Rao


@event(6)
class Dissented:
    """A miner gave another answer than the one that was taken; it is not paid."""

    id: u64
    hotkey: AccountId
    output: Hash


@event(7)
class Missed:
    """A miner showed no answer; its deposit is burned."""

    id: u64
    hotkey: AccountId
    burned: Rao


@event(8)
class CalledBack:
    """The callback ran, or failed; it is not tried again."""

    id: u64
    result: Outcome[DispatchError]


@event(9)
class Expired:
    """A request has no answer: too few miners, too few answers, or none that enough agree on."""

    id: u64
    refund: Rao


@event(10)
class Cancelled:
    """A request was taken back."""

    id: u64
    refund: Rao


@event(11)
class Cleared:
    """A result is gone."""

    id: u64


@event(12)
class Kept:
    """An answer lies in an inbox."""

    owner: AccountId
    key: Key
    id: u64


@event(13)
class Removed:
    """An entry of an inbox is gone."""

    owner: AccountId
    key: Key


class Error(Errors):
    """What can go wrong."""

    UnknownSubnet = error(0, "There is no such subnet.")
    BadModel = error(1, "A model's name is 1 to 96 letters, digits or any of . _ - : / @")
    BadSize = error(2, "The input is empty, or the tokens are none or too many.")
    BadSampling = error(3, "A temperature is 0 to 2000 thousandths.")
    BadSeats = error(4, "The seats do not fit the way in which answers become one.")
    BadPrice = error(5, "An answer costs more than nothing.")
    BadTimes = error(6, "The deadline or the blocks for the work are none or too many.")
    NoCallback = error(7, "This call is not one that answers may be handed to.")
    BadCallback = error(8, "The callback does not take this data, or costs too much.")
    UnknownRequest = error(9, "No request of this number waits for an answer.")
    NotRequester = error(10, "Another account has made this request.")
    HasMiners = error(11, "Miners have taken seats already.")
    TooLate = error(12, "The time for this is over.")
    TooEarly = error(13, "The time for this has not come.")
    NoSeat = error(14, "The hotkey has no seat at this request.")
    SeatsTaken = error(15, "All seats are taken.")
    AlreadySeated = error(16, "This hotkey, or another one of its coldkey, has a seat already.")
    NotRegistered = error(17, "The hotkey has no seat on the subnet.")
    BelowRequirement = error(18, "The hotkey lacks the stake, incentive or bond asked for.")
    AlreadyCommitted = error(19, "This miner has committed to an answer.")
    NotCommitted = error(20, "The miner has not committed to this answer.")
    AlreadyShown = error(21, "This miner has shown its answer.")
    WrongWeights = error(22, "The answer is of other weights than were asked for.")
    NotExact = error(23, "Only answers of the exact class count for this request.")
    TooLong = error(24, "The answer has no tokens, or more than were asked for.")
    BadSignature = error(25, "The receipt is not signed by the miner.")
    UnknownResult = error(26, "There is no result of this number.")
    NoEntry = error(27, "There is nothing under this key.")
