"""ModelRegistry (pallet 100, this chain's own): what miners may serve and how it is judged.

An entry names a model, the hashes of its weights and tokenizer, the thresholds that calibration
measured for honest miners of its fast class, and a price hint. Anyone may register a free name;
what makes an entry worth anything is who vouches for it. A vouch names the content it is for
(hashes and thresholds), so it ends when that changes. Deposits are reserved and come back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from chain.pallets.balances_ops import reserve, unreserve
from chain.pallets.system import block_number
from chain.runtime.errors import Errors, ensure, error
from chain.runtime.origin import Signed, SignedOrRoot
from chain.runtime.pallet import Constant, Pallet, call, constant, event
from chain.runtime.state import State, clear_prefix, iter_keys
from chain.runtime.storage import Blake2, Map, Twox, Value, storage
from ganglion.hashing import blake2_256
from ganglion.scale import AtMost, Fixed, codec, u32, u64
from ganglion.units import AccountId, BlockNumber, Hash, Rao

NAME_BYTES = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:/@")
MAX_NAME = 96
MILLION = 1_000_000

ModelId = Annotated[bytes, AtMost(MAX_NAME)]
"""A name such as `maker/model-7b`."""
Digest32 = Annotated[bytes, Fixed(32)]

RegistrationDeposit: Constant[Rao] = constant(Rao(10**9))
"""Reserved from whoever registers a model, until it is removed."""

VouchDeposit: Constant[Rao] = constant(Rao(10**8))
"""Reserved for a vouch, until it is withdrawn."""

MaxVouches: Constant[u32] = constant(64)
"""How many may vouch for one model."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The largest honest values of a chunk of 32 tokens, and of a token.

    `exponents` counts; the mantissa errors are thousandths; `mismatch_ppm` is the honest share
    of tokens other than the demanded one; `margin` the largest honest miss in millionths of a
    logit; `samples` says how many chunks were measured.
    """

    exponents: u32
    mantissa_mean: u32
    mantissa_median: u32
    mismatch_ppm: u32
    margin: u64
    samples: u32


@dataclass(frozen=True, slots=True)
class PriceHint:
    """What to expect to pay, in rao a million tokens."""

    prompt: u64
    completion: u64


@dataclass(frozen=True, slots=True)
class Model:
    """A registered model. Without `fast`, miners may serve only the exact class."""

    owner: AccountId
    weights_hash: Digest32
    tokenizer_hash: Digest32
    fast: Thresholds | None
    price: PriceHint
    updated_at: BlockNumber


@dataclass(frozen=True, slots=True)
class Vouch:
    """For which content, since when."""

    content: Hash
    since: BlockNumber


Models: Map[Blake2[ModelId], Model | None] = storage()
"""Registered models by name."""

Vouches: Map[Blake2[ModelId], Twox[AccountId], Vouch | None] = storage()
"""Who vouches for a model."""

VouchCount: Map[Blake2[ModelId], u32] = storage(default=0)
"""How many vouch for a model, for whichever content."""

ModelCount: Value[u32] = storage(default=0)
"""How many models are registered."""


@event(0)
class ModelRegistered:
    """A model was registered."""

    model: ModelId
    owner: AccountId
    content: Hash


@event(1)
class ModelUpdated:
    """An entry changed; vouches are for another content when this one is new."""

    model: ModelId
    content: Hash


@event(2)
class ModelVouched:
    """Somebody vouches for a model."""

    model: ModelId
    who: AccountId
    content: Hash


@event(3)
class VouchWithdrawn:
    """Somebody vouches no more."""

    model: ModelId
    who: AccountId


@event(4)
class ModelRemoved:
    """A model was removed."""

    model: ModelId


class Error(Errors):
    """What can go wrong."""

    BadName = error(0, "A model's name is 1 to 96 letters, digits or any of . _ - : / @")
    AlreadyRegistered = error(1, "There is a model of this name.")
    UnknownModel = error(2, "There is no model of this name.")
    NotOwner = error(3, "Only the account that registered a model may change it.")
    BadThresholds = error(
        4, "Thresholds need a number of samples, and a mismatch share of at most one million."
    )
    ContentChanged = error(5, "The model's hashes or thresholds are not those to vouch for.")
    TooManyVouches = error(6, "As many vouch for this model as may.")
    NoVouch = error(7, "This account does not vouch for this model.")


@call(0, weight=25_000_000, reads=3, writes=3)
def register_model(
    s: State,
    who: Signed,
    model: ModelId,
    weights_hash: Digest32,
    tokenizer_hash: Digest32,
    fast: Thresholds | None,
    price: PriceHint,
) -> None:
    """Register a model under a free name, for a deposit."""
    ensure(0 < len(model) <= MAX_NAME and NAME_BYTES.issuperset(model), Error.BadName)
    ensure(s[Models, model] is None, Error.AlreadyRegistered)
    ensure_sane(fast)
    reserve(s, who, RegistrationDeposit.value)
    entry = Model(who, weights_hash, tokenizer_hash, fast, price, block_number(s))
    s[Models, model] = entry
    s[ModelCount] = s[ModelCount] + 1
    s.emit(ModelRegistered(model, who, content_of(entry)))


@call(1, weight=20_000_000, reads=1, writes=1)
def update_model(
    s: State,
    who: Signed,
    model: ModelId,
    weights_hash: Digest32,
    tokenizer_hash: Digest32,
    fast: Thresholds | None,
    price: PriceHint,
) -> None:
    """Change an entry of one's own; vouches for other hashes or thresholds end."""
    ensure(registered(s, model).owner == who, Error.NotOwner)
    ensure_sane(fast)
    entry = Model(who, weights_hash, tokenizer_hash, fast, price, block_number(s))
    s[Models, model] = entry
    s.emit(ModelUpdated(model, content_of(entry)))


@call(2, weight=25_000_000, reads=4, writes=3)
def vouch(s: State, who: Signed, model: ModelId, content: Hash) -> None:
    """Say that an entry's hashes and thresholds are right; `content` says which were checked."""
    ensure(content_of(registered(s, model)) == content, Error.ContentChanged)
    if s[Vouches, model, who] is None:
        ensure(s[VouchCount, model] < MaxVouches.value, Error.TooManyVouches)
        reserve(s, who, VouchDeposit.value)
        s[VouchCount, model] = s[VouchCount, model] + 1
    s[Vouches, model, who] = Vouch(content, block_number(s))
    s.emit(ModelVouched(model, who, content))


@call(3, weight=25_000_000, reads=3, writes=3)
def withdraw_vouch(s: State, who: Signed, model: ModelId) -> None:
    """Vouch no more and take the deposit back."""
    ensure(s[Vouches, model, who] is not None, Error.NoVouch)
    del s[Vouches, model, who]
    s[VouchCount, model] = s[VouchCount, model] - 1
    unreserve(s, who, VouchDeposit.value)
    s.emit(VouchWithdrawn(model, who))


@call(4, weight=2_500_000_000, reads=66, writes=66)
def remove(s: State, who: SignedOrRoot, model: ModelId) -> None:
    """Remove a model, by its owner or root; all deposits come back."""
    entry = registered(s, model)
    ensure(who is None or entry.owner == who, Error.NotOwner)
    for voucher in sorted(iter_keys(s, Vouches, model)):
        unreserve(s, voucher, VouchDeposit.value)
    clear_prefix(s, Vouches, model)
    unreserve(s, entry.owner, RegistrationDeposit.value)
    del s[VouchCount, model]
    del s[Models, model]
    s[ModelCount] = s[ModelCount] - 1
    s.emit(ModelRemoved(model))


def registered(s: State, model: bytes) -> Model:
    """A model's entry; raises UnknownModel."""
    entry = s[Models, model]
    if entry is None:
        raise Error.UnknownModel
    return entry


def ensure_sane(fast: Thresholds | None) -> None:
    """Raise BadThresholds for numbers that no calibration gives."""
    ensure(fast is None or (fast.samples > 0 and fast.mismatch_ppm <= MILLION), Error.BadThresholds)


def content_of(entry: Model) -> Hash:
    """What a vouch is for: blake2-256 of SCALE (weights hash, tokenizer hash, thresholds)."""
    content = entry.weights_hash, entry.tokenizer_hash, entry.fast
    return Hash(blake2_256(codec(tuple[Digest32, Digest32, Thresholds | None]).encode(content)))


pallet = Pallet("ModelRegistry", __name__).seal()
