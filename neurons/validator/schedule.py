"""When to set, commit or reveal weights. Sans-IO: the chain's state comes in, actions go out.

With commit-reveal on, a vector of weights is committed as a hash and revealed exactly
`reveal_period` epochs later. The chain's own queue says in which epoch it counts a commitment,
so nothing is guessed here; only what is under each hash has to be remembered.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from ganglion.hashing import blake2_256
from ganglion.scale import Fixed, codec, u16, u64

Weights = tuple[tuple[int, int], ...]
SALT_WORDS = 8
MAX_COMMITS = 10


@dataclass(frozen=True, slots=True)
class Clock:
    """What the chain says about a validator's turn.

    `queue` holds (commit hash, epoch in which it was committed) of this hotkey, oldest first.
    """

    block: int
    epoch: int
    last_update: int
    rate_limit: int
    version_key: int
    commit_reveal: bool
    reveal_period: int = 1
    queue: tuple[tuple[bytes, int], ...] = ()

    @property
    def may_write(self) -> bool:
        """The rate limit allows another vector or commitment."""
        return self.last_update == 0 or self.block - self.last_update >= self.rate_limit


@dataclass(frozen=True, slots=True)
class Committed:
    """A vector of weights under a hash."""

    uids: tuple[int, ...]
    values: tuple[int, ...]
    salt: tuple[int, ...]
    version_key: int

    def hash(self, hotkey: bytes, netuid: int) -> bytes:
        """The commitment the chain checks a reveal against."""
        return blake2_256(
            _PREIMAGE.encode((hotkey, netuid, self.uids, self.values, self.salt, self.version_key))
        )

    def to_json(self) -> dict[str, Any]:
        """The form that is stored."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Committed:
        """Read a stored commitment; KeyError or TypeError if it is none."""
        uids, values, salt = (tuple(map(int, value[n])) for n in ("uids", "values", "salt"))
        return cls(uids, values, salt, int(value["version_key"]))


_PREIMAGE = codec(
    tuple[Annotated[bytes, Fixed(32)], u16, tuple[u16, ...], tuple[u16, ...], tuple[u16, ...], u64]
)


@dataclass(frozen=True, slots=True)
class SetWeights:
    """Set this vector in the open."""

    weights: Weights


@dataclass(frozen=True, slots=True)
class CommitWeights:
    """Commit to this vector."""

    committed: Committed


@dataclass(frozen=True, slots=True)
class RevealWeights:
    """Reveal this vector now; later is too late."""

    committed: Committed


Action = SetWeights | CommitWeights | RevealWeights


def draw_salt() -> tuple[int, ...]:
    """Fresh salt: nobody can guess the vector under the hash."""
    return tuple(secrets.randbits(16) for _ in range(SALT_WORDS))


def due(
    clock: Clock, weights: Weights, known: dict[bytes, Committed], salt: Sequence[int]
) -> list[Action]:
    """What to do at this block. `known` maps commit hashes to what is under them."""
    actions: list[Action] = [
        RevealWeights(known[commit])
        for commit, epoch in clock.queue
        if commit in known and clock.epoch == epoch + clock.reveal_period
    ]
    if not weights or not clock.may_write:
        return actions
    if not clock.commit_reveal:
        return [*actions, SetWeights(weights)]
    committed_now = any(epoch >= clock.epoch for _, epoch in clock.queue)
    if not committed_now and len(clock.queue) < MAX_COMMITS:
        uids, values = zip(*weights)
        actions.append(CommitWeights(Committed(uids, values, tuple(salt), clock.version_key)))
    return actions
