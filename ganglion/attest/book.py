"""Who may be trusted with a secret now: verdicts by miner, and when each ends. Without IO.

A verdict begins with a block: the evidence carries its hash, so it was made after it. It ends a
number of blocks later, at the latest after one epoch of the subnet, and with the attested key.
While the chain cannot be read nobody can tell how many blocks went by: then none lives for long.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from ganglion import ss58
from ganglion.attest.attestor import Attestor
from ganglion.attest.evidence import BadEvidence, parse
from ganglion.attest.policy import AttestPolicy
from ganglion.attest.statement import SignedStatement
from ganglion.attest.verdict import Verdict
from ganglion.wire.sealed import SealKey

BLIND_SECONDS = 120.0
"""How long verdicts live without a look at the chain."""

BLOCK_SECONDS = 12.0
MOST_MINERS = 4096


@dataclass(frozen=True, slots=True)
class Live:
    """A miner's attested keys, with the verdicts on them (the machine's first) and their end.

    It ends after `last_block`, or at `until` (seconds since 1970).
    """

    key: SealKey
    signer: bytes
    verdicts: tuple[Verdict, ...]
    first_block: int
    last_block: int
    until: float

    @property
    def kind(self) -> str:
        """The kind of machine, or mock."""
        return self.verdicts[0].kind


class VerdictBook:
    """The live verdicts of one subnet's miners under one policy.

    Tell it of blocks with `on_block`; a nonce is the hash of one of them.
    """

    def __init__(
        self, attestor: Attestor, policy: AttestPolicy, genesis: bytes, netuid: int
    ) -> None:
        self.attestor, self.policy, self.genesis, self.netuid = attestor, policy, genesis, netuid
        self._blocks: OrderedDict[bytes, int] = OrderedDict()
        self._live: OrderedDict[str, Live] = OrderedDict()
        self.block, self.nonce, self._seen_at = -1, b"", 0.0
        self.life = policy.max_age_blocks

    def on_block(self, number: int, block_hash: bytes, now: float, tempo: int = 0) -> None:
        """The best block as of `now`; `tempo` (blocks) shortens verdicts to one epoch."""
        self.life = min(self.policy.max_age_blocks, max(tempo, 1) if tempo else 1 << 30)
        self.block, self.nonce, self._seen_at = number, block_hash, now
        self._blocks[block_hash] = number
        for known, at in list(self._blocks.items()):
            if at + self.life < number or at > number:  # too old, or on a branch that was left
                del self._blocks[known]
        for hotkey in [h for h in self._live if self.live(h, now) is None]:
            del self._live[hotkey]

    def admit(self, hotkey: str, nonce: bytes, body: bytes, now: float) -> Live:
        """Judge a miner's answer for a nonce; its verdict lives from now on.

        Raises BadMessage (BadEvidence mostly) or AttestUnavailable; then an older verdict stays
        until its own end.
        """
        if nonce not in self._blocks:
            raise BadEvidence("the block it was asked for is too old by now: ask again")
        signed = SignedStatement.from_bytes(body)
        signed.check(self.genesis, self.netuid, ss58.decode(hotkey, prefix=None), now)
        said = signed.statement
        if said.nonce != nonce:
            raise BadEvidence("the evidence is for another block than was asked for: a replay")
        verdicts = self.attestor.accept(
            parse(signed.evidence), self.policy, said.report_data(), now
        )
        first = self._blocks[nonce]
        made = Live(
            said.seal, said.signer, verdicts, first, first + self.life, float(said.seal.until)
        )
        self._live[hotkey] = made
        while len(self._live) > MOST_MINERS:
            self._live.popitem(last=False)
        return made

    def drop(self, hotkey: str) -> None:
        """End a miner's verdict now."""
        self._live.pop(hotkey, None)

    def live(self, hotkey: str, now: float) -> Live | None:
        """The verdict on a miner that holds now; None without one."""
        found = self._live.get(hotkey)
        if found is None or now - self._seen_at > BLIND_SECONDS:
            return None
        last = min(found.last_block, found.first_block + self.life)
        return found if self.block <= last and now < found.until else None

    def due(self, hotkey: str, now: float) -> bool:
        """Whether it is time to ask a miner again: half of its verdict's life is over."""
        found = self.live(hotkey, now)
        return found is None or 2 * (self.block - found.first_block) >= self.life

    def everyone(self, now: float) -> frozenset[str]:
        """The hotkeys that may be trusted now."""
        return frozenset(hotkey for hotkey in self._live if self.live(hotkey, now) is not None)

    def badge(self, hotkey: str, now: float) -> dict[str, Any] | None:
        """What may be shown of a miner: kind and expected end (seconds since 1970); None if it
        is not to be trusted. The kind says `mock` where a policy for tests let a mock pass."""
        found = self.live(hotkey, now)
        if found is None:
            return None
        end = min(now + (found.last_block - self.block) * BLOCK_SECONDS, found.until)
        return {"kind": found.kind, "expires": int(end), "last_block": found.last_block}
