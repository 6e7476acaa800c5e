"""Drand (pallet 26): pulses of a randomness beacon, verified and kept for a week.

Anyone may bring a pulse, in an unsigned extrinsic whose payload carries a signature of some
key; the pulse itself is verified by the beacon's BLS key. Upstream: pallets/drand.
"""

from __future__ import annotations

from typing import Annotated

from chain import timelock
from chain.beacon import LOCAL_HASH, PUBLIC_KEY, local_config, local_pulse, round_at, signed_payload
from chain.genesis import Genesis
from chain.pallets.drand_types import (
    QUICKNET,
    BeaconConfiguration,
    BeaconConfigurationPayload,
    MultiSigner,
    Pulse,
    PulsesPayload,
)
from chain.pallets.drand_verify import payload_signed
from chain.pallets.nested import name_of
from chain.pallets.system import block_number
from chain.runtime.call import RuntimeCall
from chain.runtime.errors import Errors, ensure, error
from chain.runtime.extension import Context, Extension
from chain.runtime.origin import Root, Unsigned
from chain.runtime.pallet import (
    Constant,
    Pallet,
    call,
    constant,
    event,
    genesis,
    inherent,
    validate_unsigned,
)
from chain.runtime.state import State
from chain.runtime.storage import Blake2, Identity, Map, Value, storage
from chain.runtime.types import MultiSignature
from chain.runtime.validity import Invalid, InvalidTransaction, Validity
from ganglion.hashing import blake2_256
from ganglion.scale import AtMost, codec, u64
from ganglion.units import BlockNumber

MAX_KEPT_PULSES = 216_000
MAX_REMOVED_PULSES = 100
TAG = b"DrandOffchainWorker"

UnsignedPriority: Constant[u64] = constant(1 << 20)
"""Base priority of pulses in the pool."""

HttpFetchTimeout: Constant[u64] = constant(1_000)
"""Milliseconds that whoever fetches pulses waits for the beacon's relay."""

BeaconConfig: Value[BeaconConfiguration] = storage(default=QUICKNET)
"""The beacon that the chain listens to."""

HasMigrationRun: Map[Identity[Annotated[bytes, AtMost(128)]], bool] = storage(default=False)
"""Migrations that have run; none ever on this chain."""

Pulses: Map[Blake2[u64], Pulse | None] = storage()
"""Map round number to pulse."""

LastStoredRound: Value[u64] = storage(default=0)
"""The newest round that is stored."""

OldestStoredRound: Value[u64] = storage(default=0)
"""The oldest round that is stored."""

NextUnsignedAt: Value[BlockNumber] = storage(default=BlockNumber(0))
"""The block from which the next unsigned extrinsic is taken."""


@event(0)
class BeaconConfigChanged:
    """Beacon Configuration has changed."""


@event(1)
class NewPulse:
    """Pulses of these rounds were added."""

    rounds: tuple[u64, ...]


@event(2)
class SetOldestStoredRound:
    """The oldest stored round was set."""

    _0: u64


class Error(Errors):
    """Upstream's errors."""

    NoneValue = error(0, "The value retrieved was `None` as no value was previously set.")
    StorageOverflow = error(
        1, "There was an attempt to increment the value in storage over `u32::MAX`."
    )
    DrandConnectionFailure = error(2, "failed to connect to the")
    UnverifiedPulse = error(3, "the pulse is invalid")
    InvalidRoundNumber = error(4, "the round number did not increment")
    PulseVerificationError = error(5, "the pulse could not be verified")


@call(0, weight=4_294_000_000, reads=3, writes=4)
def write_pulse(
    s: State, origin: Unsigned, pulses_payload: PulsesPayload, signature: MultiSignature | None
) -> None:
    """Verify and write pulses from the beacon; one that does not verify is passed over."""
    config, last = s[BeaconConfig], s[LastStoredRound]
    first_ever = last == 0 and s[OldestStoredRound] == 0
    added: list[Pulse] = []
    for pulse in pulses_payload.pulses:
        if verified(config, pulse):
            ensure(pulse.round > last, Error.InvalidRoundNumber)
            added.append(pulse)
            last = pulse.round
    for pulse in added:
        s[Pulses, pulse.round] = pulse
    s[LastStoredRound] = last
    if first_ever and added:
        s[OldestStoredRound] = added[0].round
    prune_old_pulses(s, last)
    s[NextUnsignedAt] = block_number(s)
    if added:
        s.emit(NewPulse(tuple(p.round for p in added)))


@call(1, weight=8_766_000, writes=2)
def set_beacon_config(
    s: State,
    origin: Root,
    config_payload: BeaconConfigurationPayload,
    signature: MultiSignature | None,
) -> None:
    """Allows the root user to set the beacon configuration."""
    s[BeaconConfig] = config_payload.config
    s[NextUnsignedAt] = BlockNumber(block_number(s) + 1)
    s.emit(BeaconConfigChanged())


@call(2, weight=5_370_000, writes=1)
def set_oldest_stored_round(s: State, origin: Root, oldest_round: u64) -> None:
    """Allows the root user to set the oldest stored round."""
    s[OldestStoredRound] = oldest_round
    s.emit(SetOldestStoredRound(oldest_round))


def verified(config: BeaconConfiguration, pulse: Pulse) -> bool:
    """Whether the beacon signed the pulse; raises PulseVerificationError for nonsense."""
    if config.public_key == PUBLIC_KEY and pulse.signature == local_pulse(pulse.round).signature:
        return True  # our own beacon, whose secret is known: signing is cheaper than pairing
    try:
        return timelock.verify_round(config.public_key, pulse.round, pulse.signature)
    except timelock.TimelockError as e:
        raise Error.PulseVerificationError from e


def prune_old_pulses(s: State, last: int) -> None:
    """Forget what is older than a week, a hundred rounds at a time."""
    oldest = s[OldestStoredRound]
    if oldest == 0:
        return
    surplus = last - oldest + 1 - MAX_KEPT_PULSES
    for number in range(oldest, oldest + max(0, min(surplus, MAX_REMOVED_PULSES))):
        del s[Pulses, number]
        oldest = number + 1
    s[OldestStoredRound] = oldest


@validate_unsigned
def validate(s: State, inner: RuntimeCall, in_block: bool) -> Validity | None:
    """Whether an unsigned extrinsic of this pallet may enter; raises InvalidTransaction."""
    match name_of(inner):
        case ("Drand", "write_pulse"):
            payload, signature = inner.args
            check_signature(codec(PulsesPayload).encode(payload), payload.public, signature)
            return pulse_validity(s, payload)
        case ("Drand", "set_beacon_config"):
            payload, signature = inner.args
            raw = codec(BeaconConfigurationPayload).encode(payload)
            check_signature(raw, payload.public, signature)
            return config_validity(s, payload)
        case ("Drand", _):
            raise InvalidTransaction(Invalid.Call)
        case _:
            return None


def check_signature(raw: bytes, public: MultiSigner, signature: MultiSignature | None) -> None:
    """Raise BadSigner without a signature and BadProof for a wrong one."""
    if signature is None:
        raise InvalidTransaction(Invalid.BadSigner)
    if not payload_signed(raw, public, signature):
        raise InvalidTransaction(Invalid.BadProof)


def pulse_validity(s: State, payload: PulsesPayload) -> Validity:
    """One new round an extrinsic, lower rounds first."""
    now = block_number(s)
    if now < payload.block_number:
        raise InvalidTransaction(Invalid.Future)
    if len(payload.pulses) != 1 or not timelock.available():
        raise InvalidTransaction(Invalid.Call)
    number = payload.pulses[0].round
    if s[NextUnsignedAt] > now or number <= s[LastStoredRound]:
        raise InvalidTransaction(Invalid.Stale)
    tag = tagged(blake2_256(b"drand" + number.to_bytes(8, "little")))
    priority = min(UnsignedPriority.value + (1 << 64) - 1 - number, (1 << 64) - 1)
    return Validity(priority, (), (tag,), longevity=3, propagate=False)


def config_validity(s: State, payload: BeaconConfigurationPayload) -> Validity:
    """Enters the pool as upstream; the call itself is root's alone."""
    if block_number(s) < payload.block_number:
        raise InvalidTransaction(Invalid.Future)
    gate = s[NextUnsignedAt]
    if gate > payload.block_number:
        raise InvalidTransaction(Invalid.Stale)
    public = codec(MultiSigner).encode(payload.public)
    tag = tagged(blake2_256(gate.to_bytes(4, "little") + codec(bytes).encode(public)))
    return Validity(UnsignedPriority.value, (), (tag,), longevity=1)


def tagged(tag: bytes) -> bytes:
    """A pool tag under this pallet's prefix."""
    return codec(bytes).encode(TAG) + tag


@genesis
def build(s: State, spec: Genesis) -> None:
    """Offline networks start with a beacon of their own."""
    if spec.local_beacon:
        s[BeaconConfig] = local_config()


@inherent
def local_pulse_inherent(s: State, now_ms: int, data: object) -> RuntimeCall | None:
    """On a network with a local beacon, the next round that is due."""
    config = s[BeaconConfig]
    if config.hash != LOCAL_HASH or not timelock.available():
        return None
    if s[NextUnsignedAt] > block_number(s):
        return None
    newest, last = round_at(config, now_ms // 1000), s[LastStoredRound]
    number = last + 1 if last else newest
    if number == 0 or number > newest:
        return None
    arguments = signed_payload(block_number(s), (local_pulse(number),))
    return RuntimeCall(pallet.index, 0, arguments)


class DrandPriority(Extension):
    """Lets pulses go before ordinary extrinsics."""

    identifier = "DrandPriority"

    def validate(self, s: State, ctx: Context) -> None:
        """Raise the priority of a pulse."""
        if name_of(ctx.call) == ("Drand", "write_pulse"):
            ctx.validity.priority = min(ctx.validity.priority + 10_000, (1 << 64) - 1)


pallet = Pallet("Drand", __name__).seal()
