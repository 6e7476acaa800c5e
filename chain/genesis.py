"""Genesis: a preset becomes the raw state of block 0.

Upstream's localnet: Alice, Bob and Charlie are rich, Alice is sudo, root (netuid 0) and
subnet 1 exist. Every fresh chain gets a nonce of its own under a well-known raw key, because
clients cache metadata by genesis hash.
"""

from __future__ import annotations

from dataclasses import dataclass

from chain.pallets import aura, balances_ops, grandpa, system
from chain.pallets.system_types import LastRuntimeUpgradeInfo
from chain.runtime.runtime import Runtime
from chain.runtime.state import DictBackend, State
from ganglion.units import AccountId, BlockNumber, Hash, Rao

CODE = b":code"
NONCE = b":ganglion:genesis_nonce"
CODE_MARKER = b"ganglion: this runtime is Python, not Wasm"
"""What `:code` holds: clients ask whether it is there; none of ours is executable."""


@dataclass(frozen=True)
class Genesis:
    """What a chain starts with. Keys are 32-byte public keys; balances are rao.

    With `local_beacon` the authors make the pulses that open timelocks (`chain.beacon`);
    without, somebody has to fetch drand's.
    """

    balances: tuple[tuple[AccountId, Rao], ...]
    authorities: tuple[bytes, ...]
    voters: tuple[bytes, ...]
    sudo: AccountId | None = None
    nonce: bytes = b""
    subnets: bool = True
    local_beacon: bool = True


def build_genesis(runtime: Runtime, genesis: Genesis) -> dict[bytes, bytes]:
    """The raw state of block 0."""
    s = State(DictBackend())
    version = runtime.version
    s[system.BlockHash, BlockNumber(0)] = Hash(b"\x45" * 32)  # frame_system's own placeholder
    s[system.ParentHash] = Hash(b"\x45" * 32)
    s[system.LastRuntimeUpgrade] = LastRuntimeUpgradeInfo(version.spec_version, version.spec_name)
    s[system.UpgradedToU32RefCount] = True
    s[system.UpgradedToTripleRefCount] = True
    for who, amount in genesis.balances:
        balances_ops.set_free(s, who, amount)
    s[aura.Authorities] = genesis.authorities
    s[grandpa.Authorities] = tuple((key, 1) for key in genesis.voters)
    for build in runtime.hooks("genesis"):
        build(s, genesis)
    s.events.clear()
    s.raw_set(CODE, CODE_MARKER)
    if genesis.nonce:
        s.raw_set(NONCE, genesis.nonce)
    return {key: value for key, value in s.changes().items() if value is not None}
