"""Personhood (pallet 112, this chain's own): subnets on which everybody has one seat.

A subnet's owner may name an issuer: an RSA key that signs, blindly, one credential for each
person it knows, in whatever way it knows them. While the gate stands, a hot key is registered on
that subnet only if it holds a credential, and a credential is held by one hot key for good. The
issuer cannot tell which hot key is whose (`ganglion/blindrsa.py`), and because every subnet has a
key of its own and people make a fresh key for each, nobody can tell who is the same on two.

What it rests on: the issuer. One that signs for nobody, or twice for one person, is not found
out by the chain. Who has a seat already keeps it when a gate is put up. Upstream has no such
gate; where no owner puts one up, nothing here changes anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from chain.pallets.balances_ops import reserve, unreserve
from chain.pallets.subtensor.permissions import ensure_subnet_owner_or_root
from chain.pallets.subtensor.storage_network import NetworkRegisteredAt, NetworksAdded
from chain.pallets.subtensor.storage_neurons import Uids
from chain.pallets.system import BlockHash, block_number
from chain.runtime.call import RuntimeCall
from chain.runtime.errors import Errors, ensure, error
from chain.runtime.origin import Origin, Signed, SignedOrRoot
from chain.runtime.pallet import Constant, Pallet, call, constant, event
from chain.runtime.state import State, iter_keys
from chain.runtime.storage import Blake2, Identity, Map, storage
from ganglion import blindrsa
from ganglion.blindrsa import BlindError
from ganglion.hashing import blake2_256
from ganglion.keys import CryptoType, verify
from ganglion.scale import AtMost, Fixed
from ganglion.units import AccountId, BlockNumber, Hash, NetUid, Rao
from ganglion.wire.persons import credential_message, holding_hash

Modulus = Annotated[bytes, AtMost(blindrsa.MOST_BITS // 8)]
Person = Annotated[bytes, Fixed(32)]
"""An ed25519 key that its holder made for one subnet."""

HoldingDeposit: Constant[Rao] = constant(Rao(10**8))
"""Reserved from whoever presents a credential, until its gate is gone."""


@dataclass(frozen=True, slots=True)
class Gate:
    """The issuer's RSA modulus (its exponent is 65537), by hash and in full."""

    issuer: Hash
    modulus: Modulus
    since: BlockNumber


@dataclass(frozen=True, slots=True)
class Holding:
    """Who holds a credential of which issuer, and who paid the deposit."""

    person: Person
    hotkey: AccountId
    issuer: Hash
    payer: AccountId


Gates: Map[Identity[NetUid], Gate | None] = storage()
"""The issuer whose credentials a subnet asks for."""

IssuerOf: Map[Blake2[Hash], NetUid | None] = storage()
"""Which subnet an issuer's key is for; a key is for one subnet and for good."""

Holdings: Map[Identity[NetUid], Blake2[Person], Holding | None] = storage()
"""What each credential is held by."""

Holders: Map[Identity[NetUid], Blake2[AccountId], Person | None] = storage()
"""The credential of a hot key."""


@event(0)
class GateSet:
    """A subnet asks for credentials of this issuer from now on."""

    netuid: NetUid
    issuer: Hash


@event(1)
class GateRemoved:
    """A subnet asks for no credentials any more."""

    netuid: NetUid


@event(2)
class Presented:
    """A hot key holds a credential."""

    netuid: NetUid
    person: Person
    hotkey: AccountId


@event(3)
class Forgotten:
    """A credential whose gate is gone was removed, and its deposit is back."""

    netuid: NetUid
    person: Person


class Error(Errors):
    """What can go wrong."""

    UnknownSubnet = error(0, "There is no subnet of this number.")
    BadIssuer = error(1, "An issuer's key is an odd number of 2048 to 4096 bits.")
    IssuerInUse = error(2, "This key is or was another gate's: each subnet needs one of its own.")
    NoGate = error(3, "This subnet asks for no credentials.")
    BadCredential = error(4, "The credential is not signed by the issuer for this subnet and key.")
    BadStatement = error(5, "The key of the credential has not signed for this hot key.")
    PersonTaken = error(6, "A hot key holds this credential already.")
    HotkeyTaken = error(7, "The hot key holds a credential already.")
    NoPerson = error(8, "This subnet wants a credential of personhood before a hot key registers.")
    HoldsPerson = error(9, "A hot key that holds a credential cannot be swapped there.")
    StillValid = error(10, "The gate of this credential still stands, or there is none such.")


@call(0, weight=60_000_000, reads=4, writes=2)
def set_gate(s: State, who: SignedOrRoot, netuid: NetUid, modulus: Modulus | None) -> None:
    """Ask for credentials of an issuer, or of nobody any more. By the subnet's owner or root."""
    ensure(s[NetworksAdded, netuid], Error.UnknownSubnet)
    ensure_subnet_owner_or_root(s, who, netuid)
    if modulus is None:
        ensure(standing(s, netuid) is not None, Error.NoGate)
        del s[Gates, netuid]
        s.emit(GateRemoved(netuid))
        return
    try:
        blindrsa.public_key(modulus)
    except BlindError as e:
        raise Error.BadIssuer from e
    issuer = Hash(blake2_256(modulus))
    ensure(s[IssuerOf, issuer] is None, Error.IssuerInUse)
    s[IssuerOf, issuer] = netuid
    s[Gates, netuid] = Gate(issuer, modulus, block_number(s))
    s.emit(GateSet(netuid, issuer))


@call(1, weight=250_000_000, reads=6, writes=3)
def present(
    s: State,
    who: Signed,
    netuid: NetUid,
    hotkey: AccountId,
    person: Person,
    credential: Modulus,
    statement: Annotated[bytes, Fixed(64)],
) -> None:
    """Show a credential: `hotkey`, which its key names in a statement, holds it from now on."""
    gate, genesis = standing(s, netuid), s[BlockHash, BlockNumber(0)]
    if gate is None:
        raise Error.NoGate
    ensure(held(s, gate, s[Holdings, netuid, person]) is None, Error.PersonTaken)
    ensure(not holds(s, gate, netuid, hotkey), Error.HotkeyTaken)
    message = credential_message(genesis, netuid, person)
    ensure(blindrsa.verify(gate.modulus, message, credential), Error.BadCredential)
    said = holding_hash(genesis, netuid, hotkey)
    ensure(verify(person, said, statement, CryptoType.ED25519), Error.BadStatement)
    give_back(s, netuid, s[Holdings, netuid, person])
    old = s[Holders, netuid, hotkey]
    give_back(s, netuid, None if old is None else s[Holdings, netuid, old])
    reserve(s, who, HoldingDeposit.value)
    s[Holdings, netuid, person] = Holding(person, hotkey, gate.issuer, who)
    s[Holders, netuid, hotkey] = person
    s.emit(Presented(netuid, person, hotkey))


@call(2, weight=40_000_000, reads=3, writes=3)
def forget(s: State, who: Signed, netuid: NetUid, person: Person) -> None:
    """Remove a credential whose gate is gone; the deposit goes back to who paid it."""
    holding, gate = s[Holdings, netuid, person], standing(s, netuid)
    gone = holding is not None and (gate is None or gate.issuer != holding.issuer)
    ensure(gone, Error.StillValid)
    give_back(s, netuid, holding)
    s.emit(Forgotten(netuid, person))


def standing(s: State, netuid: NetUid) -> Gate | None:
    """The gate of a subnet; one that an earlier subnet of this number put up does not count."""
    gate = s[Gates, netuid]
    if gate is None or not s[NetworksAdded, netuid]:
        return None
    return gate if s[NetworkRegisteredAt, netuid] <= gate.since else None


def held(s: State, gate: Gate, holding: Holding | None) -> Holding | None:
    """A holding if it is of this gate's issuer."""
    return holding if holding is not None and holding.issuer == gate.issuer else None


def holds(s: State, gate: Gate, netuid: NetUid, hotkey: AccountId) -> bool:
    """Whether a hot key holds a credential of the gate's issuer."""
    person = s[Holders, netuid, hotkey]
    return person is not None and held(s, gate, s[Holdings, netuid, person]) is not None


def give_back(s: State, netuid: NetUid, holding: Holding | None) -> None:
    """Remove a holding, if there is one, and free its deposit."""
    if holding is not None:
        unreserve(s, holding.payer, HoldingDeposit.value)
        del s[Holdings, netuid, holding.person]
        if s[Holders, netuid, holding.hotkey] == holding.person:
            del s[Holders, netuid, holding.hotkey]


SUBTENSOR = 7
REGISTERING = {6: 4, 7: 1, 134: 1}
"""register, burned_register, register_limit: where in their arguments the hot key is."""
SWAPPING = (70, 72)
"""swap_hotkey, swap_hotkey_v2."""
WATCHED = frozenset((SUBTENSOR, index) for index in (*REGISTERING, *SWAPPING))


def guard(s: State, call: RuntimeCall, origin: Origin) -> None:
    """Keep hot keys without a credential from seats on gated subnets, and holders from swaps,
    which would leave one person with two hot keys. Root passes."""
    if (call.pallet, call.index) not in WATCHED or origin.who is None or s.is_empty(Gates):
        return
    if call.index in REGISTERING:
        netuid, hotkey = call.args[0], call.args[REGISTERING[call.index]]
        gate = standing(s, netuid)
        seated = s[Uids, netuid, hotkey] is not None  # the call itself says so
        if gate is not None and not seated:
            ensure(holds(s, gate, netuid, hotkey), Error.NoPerson)
    elif call.index in SWAPPING:
        old, netuid = call.args[0], call.args[2]
        for where in gated(s) if netuid is None else (netuid,):
            gate = standing(s, where)
            ensure(gate is None or not holds(s, gate, where, old), Error.HoldsPerson)


def gated(s: State) -> tuple[NetUid, ...]:
    """The subnets that have or had a gate."""
    return tuple(iter_keys(s, Gates))


pallet = Pallet("Personhood", __name__).seal()
