"""What coldkeys and owners say about themselves and their subnets.

Upstream: pallets/subtensor/src/utils/identity.rs
"""

from __future__ import annotations

from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_network import ChainIdentitySet, SubnetIdentitySet
from chain.pallets.subtensor.neurons import get_memberships
from chain.pallets.subtensor.storage_keys import IdentitiesV2, OwnedHotkeys
from chain.pallets.subtensor.storage_network import SubnetIdentitiesV3, SubnetOwner
from chain.pallets.subtensor.types import ChainIdentityV2, SubnetIdentityV3
from chain.runtime.errors import ensure
from chain.runtime.origin import Signed
from chain.runtime.pallet import call
from chain.runtime.state import State
from ganglion.units import NetUid

SHORT = 256
LONG = 1024


def is_valid_identity(identity: ChainIdentityV2) -> bool:
    """Whether every field is short enough."""
    short = (identity.name, identity.url, identity.github_repo, identity.discord)
    long = (identity.image, identity.description, identity.additional)
    return max(map(len, short)) <= SHORT and max(map(len, long)) <= LONG


def is_valid_subnet_identity(identity: SubnetIdentityV3) -> bool:
    """Whether every field is short enough."""
    short = (identity.subnet_name, identity.discord)
    long = (
        identity.github_repo,
        identity.subnet_contact,
        identity.subnet_url,
        identity.description,
        identity.logo_url,
        identity.additional,
    )
    return max(map(len, short)) <= SHORT and max(map(len, long)) <= LONG


def do_set_subnet_identity(s: State, netuid: NetUid, identity: SubnetIdentityV3) -> None:
    """Store a subnet's identity; raises InvalidIdentity."""
    ensure(is_valid_subnet_identity(identity), Error.InvalidIdentity)
    s[SubnetIdentitiesV3, netuid] = identity
    s.emit(SubnetIdentitySet(netuid))


@call(68, weight=32_040_000, reads=3, writes=1)
def set_identity(
    s: State,
    coldkey: Signed,
    name: bytes,
    url: bytes,
    github_repo: bytes,
    image: bytes,
    discord: bytes,
    description: bytes,
    additional: bytes,
) -> None:
    """Say who is behind a coldkey; one of its hotkeys must be registered somewhere."""
    known = any(get_memberships(s, hotkey) for hotkey in s[OwnedHotkeys, coldkey])
    ensure(known, Error.HotKeyNotRegisteredInNetwork)
    identity = ChainIdentityV2(name, url, github_repo, image, discord, description, additional)
    ensure(is_valid_identity(identity), Error.InvalidIdentity)
    s[IdentitiesV2, coldkey] = identity
    s.emit(ChainIdentitySet(coldkey))


@call(78, weight=17_513_000, reads=1, writes=1)
def set_subnet_identity(
    s: State,
    coldkey: Signed,
    netuid: NetUid,
    subnet_name: bytes,
    github_repo: bytes,
    subnet_contact: bytes,
    subnet_url: bytes,
    discord: bytes,
    description: bytes,
    logo_url: bytes,
    additional: bytes,
) -> None:
    """Say what a subnet is for; only its owner may."""
    ensure(s[SubnetOwner, netuid] == coldkey, Error.NotSubnetOwner)
    identity = SubnetIdentityV3(
        subnet_name,
        github_repo,
        subnet_contact,
        subnet_url,
        discord,
        description,
        logo_url,
        additional,
    )
    do_set_subnet_identity(s, netuid, identity)
