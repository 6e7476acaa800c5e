"""What a validator publishes beside its weights: proof, weights, and where and when they were set.

A JSON object of a few kilobytes. The scores and the salt, which open the commitment, are never in
it: they stay in a file of the validator's own (`Opening`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from subnets.scoring import U16_MAX
from subnets.zk.rule import SCORE_MAX, SLOTS, ZkError
from subnets.zk.weights import SALT_BYTES, BadProof, WeightProof, check, commit, new_salt, prove

MAX_BYTES = 32_768
MAX_HOTKEY = 64


@dataclass(frozen=True, slots=True)
class Place:
    """What a proof is bound to: a chain (genesis hash), a subnet, a validator and a block."""

    genesis: bytes
    netuid: int
    hotkey: str
    block: int

    @property
    def context(self) -> bytes:
        """The bytes that the proof commits to."""
        return f"{self.genesis.hex()}/{self.netuid}/{self.hotkey}/{self.block}".encode()


@dataclass(frozen=True, slots=True)
class Opening:
    """What the validator keeps: with it, an auditor whom it trusts sees the scores."""

    scores: Mapping[int, int]
    salt: bytes

    def to_json(self) -> bytes:
        """The file's content."""
        scores = {str(uid): score for uid, score in sorted(self.scores.items())}
        return json.dumps({"scores": scores, "salt": self.salt.hex()}).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Opening:
        """Read an opening; BadProof if it is none."""
        value = _object(data, {"scores", "salt"})
        salt = _hex(value["salt"], "salt", SALT_BYTES)
        return cls(_by_uid(value["scores"], "scores", SCORE_MAX), salt)

    def opens(self, proof: WeightProof) -> bool:
        """Whether these are the scores that a proof commits to."""
        return commit(self.scores, self.salt, proof.shape.slots) == proof.commitment


@dataclass(frozen=True, slots=True)
class Bundle:
    """A proof with what it takes to check it."""

    place: Place
    weights: Mapping[int, int]
    proof: bytes

    def to_json(self) -> bytes:
        """The published form."""
        place = self.place
        return json.dumps(
            {
                "genesis": place.genesis.hex(),
                "netuid": place.netuid,
                "hotkey": place.hotkey,
                "block": place.block,
                "weights": {str(uid): weight for uid, weight in sorted(self.weights.items())},
                "proof": self.proof.hex(),
            }
        ).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Bundle:
        """Read a stranger's bundle; BadProof says what is wrong with it."""
        value = _object(data, {"genesis", "netuid", "hotkey", "block", "weights", "proof"})
        hotkey = value["hotkey"]
        if not isinstance(hotkey, str) or len(hotkey) > MAX_HOTKEY or not hotkey.isascii():
            raise BadProof("a published proof's hotkey is an address")
        place = Place(
            _hex(value["genesis"], "genesis", 32),
            _number(value["netuid"], "netuid", U16_MAX),
            hotkey,
            _number(value["block"], "block", 1 << 32),
        )
        weights = _by_uid(value["weights"], "weights", U16_MAX)
        return cls(place, weights, _hex(value["proof"], "proof"))

    def check(self, folder: Path) -> WeightProof:
        """Check the proof with the keys in `folder`; errors as `weights.check`."""
        return check(folder, self.proof, self.weights, context=self.place.context)


def make(
    folder: Path,
    place: Place,
    scores: Mapping[int, int],
    weights: Mapping[int, int],
    exponent: int,
) -> tuple[Bundle, Opening]:
    """Prove weights under a fresh salt; errors as `weights.prove`."""
    opening = Opening(dict(scores), new_salt())
    proof = prove(
        folder, scores, weights, salt=opening.salt, context=place.context, exponent=exponent
    )
    return Bundle(place, dict(weights), proof), opening


def read(path: Path, limit: int = MAX_BYTES) -> bytes:
    """A file's bytes; ZkError if it cannot be read or is larger than any of ours."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as e:
        raise ZkError(f"{path} cannot be read: {e.strerror}") from e
    if len(data) > limit:
        raise ZkError(f"{path} has more than {limit} bytes, so it is not one of these files")
    return data


def _object(data: bytes, names: set[str]) -> dict[str, Any]:
    if len(data) > MAX_BYTES:
        raise BadProof(f"a published proof has at most {MAX_BYTES} bytes")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as e:
        raise BadProof("a published proof is a JSON object, and this is no JSON") from e
    if not isinstance(value, dict) or value.keys() != names:
        raise BadProof(f"a JSON object with exactly {', '.join(sorted(names))} was expected")
    return value


def _hex(value: object, name: str, length: int | None = None) -> bytes:
    try:
        data = bytes.fromhex(value) if isinstance(value, str) else None
    except ValueError:
        data = None
    if data is None or (length is not None and len(data) != length):
        raise BadProof(f"{name} must be {f'{length} bytes' if length else 'bytes'} in hex")
    return data


def _number(value: object, name: str, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise BadProof(f"{name} must be a whole number from 0 to {most}")
    return value


def _by_uid(value: object, name: str, most: int) -> dict[int, int]:
    if not isinstance(value, dict) or len(value) > max(SLOTS):
        raise BadProof(f"{name} must be an object of at most {max(SLOTS)} uids")
    found = {}
    for key, number in value.items():
        if not (key.isascii() and key.isdecimal() and len(key) <= 3 and str(int(key)) == key):
            raise BadProof(f"{name} has the key {key[:20]!r}, which is no uid")
        found[int(key)] = _number(number, f"{name} of uid {key}", most)
    return found
