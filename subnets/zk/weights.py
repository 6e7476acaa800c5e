"""A proof of weights: made by a validator, checked by anyone who knows the weights.

It says: "the scores that I committed to, put through the scoring rule, give exactly these
weights". The scores stay hidden behind a salted hash. A context (genesis hash, subnet, hotkey,
block: whatever the two sides agree on) is hashed together with the weights, so a proof cannot be
passed off as another validator's or another day's.

Wire form: "GZKW", version, exponent, slots (u16), id of the verifying key (16), commitment (32),
then the prover's bytes.
"""

from __future__ import annotations

import secrets
import struct
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from ganglion.hashing import blake2_128
from subnets.scoring import U16_MAX
from subnets.zk.circuit import FIELD, Circuit, Recipe, element, make_test_srs, poseidon, srs_path
from subnets.zk.graph import scoring_graph
from subnets.zk.rule import SCORE_MAX, SLOTS, Shape, ZkError, shape_for, spread, weights_of

MAGIC, VERSION = b"GZKW", 1
HEAD = struct.Struct("<4sBBH16s32s")
BODY = 4_928
"""Bytes of the prover's part. It follows from the columns of the circuit, which all shapes share,
and the library ignores what lies behind it: only this length keeps strangers from adding some."""

BASE_BITS = 10
SALT_BYTES = 16


class BadProof(ZkError):
    """A proof that shows nothing: malformed, of another key, or of other weights."""


@dataclass(frozen=True, slots=True)
class WeightProof:
    """A proof as it travels."""

    shape: Shape
    key: bytes
    commitment: bytes
    body: bytes

    def to_bytes(self) -> bytes:
        """The wire form."""
        shape = self.shape
        head = HEAD.pack(MAGIC, VERSION, shape.exponent, shape.slots, self.key, self.commitment)
        return head + self.body

    @classmethod
    def from_bytes(cls, data: bytes) -> WeightProof:
        """Read a stranger's proof; BadProof says what is wrong with it."""
        if len(data) != HEAD.size + BODY:
            raise BadProof(f"a proof of weights has {HEAD.size + BODY} bytes, this has {len(data)}")
        magic, version, exponent, slots, key, commitment = HEAD.unpack_from(data)
        if magic != MAGIC or version != VERSION:
            raise BadProof(f"these bytes are no proof of weights of version {VERSION}")
        if slots not in SLOTS:
            raise BadProof(f"the proof is for {slots} slots; circuits have {SLOTS}")
        try:
            shape = Shape(slots, exponent)
        except ZkError as e:
            raise BadProof(str(e)) from None
        if int.from_bytes(commitment, "little") >= FIELD:
            raise BadProof("the proof's commitment is no field element")
        return cls(shape, key, commitment, data[HEAD.size :])


def circuit_of(folder: Path, shape: Shape) -> Circuit:
    """The circuit of a shape in a folder of keys, made or not."""
    return Circuit(folder / f"weights-{shape.slots}-{shape.exponent}")


def set_up(folder: Path, shape: Shape, *, test_srs: bool = False) -> Circuit:
    """Make what the proofs of a shape need, circuit and keys, in seconds; kept once made.

    The SRS `kzgK.srs` must lie in `folder`, or `test_srs` makes one that is for tests only.
    """
    circuit = circuit_of(folder, shape)
    if circuit.has_keys:
        return circuit
    legs = ceil(shape.bits / BASE_BITS)
    logrows = circuit.compile(scoring_graph(shape), Recipe(0, "hashed", 1 << BASE_BITS, legs))
    if test_srs and not srs_path(folder, logrows).exists():
        make_test_srs(folder, logrows)
    circuit.make_keys()
    return circuit


def new_salt() -> bytes:
    """What hides the scores behind their commitment: keep it, or the commitment never opens."""
    return secrets.token_bytes(SALT_BYTES)


def _halves(data: bytes) -> list[int]:
    """16 bytes as the two tail elements of a vector."""
    if len(data) != SALT_BYTES:
        raise ZkError(f"a salt has {SALT_BYTES} bytes, not {len(data)}")
    return [int.from_bytes(data[:8], "little"), int.from_bytes(data[8:], "little")]


def _hidden(scores: Mapping[int, int], salt: bytes, slots: int) -> list[int]:
    return spread(scores, slots, SCORE_MAX, "a score of") + _halves(salt)


def _shown(weights: Mapping[int, int], context: bytes, slots: int) -> list[int]:
    return spread(weights, slots, U16_MAX, "a weight of") + _halves(blake2_128(context))


def commit(scores: Mapping[int, int], salt: bytes, slots: int) -> bytes:
    """The commitment to scores: 32 bytes. Who is given scores and salt checks it with this."""
    return poseidon(_hidden(scores, salt, slots))


def _explain(scores: Mapping[int, int], weights: Mapping[int, int], exponent: int) -> None:
    """ZkError naming the first weight that does not follow from the scores."""
    right = weights_of(scores, exponent)
    if not right:
        raise ZkError("no miner has earned a weight yet, so there is nothing to prove")
    for uid in sorted(right.keys() | weights.keys()):
        if right.get(uid, 0) != weights.get(uid, 0):
            raise ZkError(
                f"these weights do not follow from these scores: uid {uid} has "
                f"{weights.get(uid, 0)}, and the rule says {right.get(uid, 0)}"
            )


def prove(
    folder: Path,
    scores: Mapping[int, int],
    weights: Mapping[int, int],
    *,
    salt: bytes,
    context: bytes = b"",
    exponent: int = 2,
) -> bytes:
    """Prove that `scores` (by uid, as `scores_of` gives them) yield `weights`.

    ZkError if they do not, if keys are missing, or if ezkl is.
    """
    shape = shape_for(scores.keys() | weights.keys(), exponent)
    inputs = [_hidden(scores, salt, shape.slots), _shown(weights, context, shape.slots)]
    _explain(scores, weights, exponent)
    circuit = circuit_of(folder, shape)
    key = circuit.key_id()
    with tempfile.TemporaryDirectory(prefix="ganglion-zk-") as work:
        circuit.run(inputs, Path(work))
        body, public = circuit.prove(Path(work))
    if len(body) != BODY or public[-1] != element(0):
        raise ZkError("EZKL made another proof than this program expects: install ezkl 23.0.5")
    return WeightProof(shape, key, bytes.fromhex(public[0]), body).to_bytes()


def check(
    folder: Path, data: bytes, weights: Mapping[int, int], *, context: bytes = b""
) -> WeightProof:
    """Check a stranger's proof of `weights`; BadProof says why it shows nothing.

    ZkError when it is our side that cannot check: no ezkl, no keys.
    """
    proof = WeightProof.from_bytes(data)
    circuit = circuit_of(folder, proof.shape)
    if proof.key != circuit.key_id():
        raise BadProof(
            "the proof was made with other keys: both sides must set up from the same SRS file"
        )
    try:
        shown = _shown(weights, context, proof.shape.slots)
    except ZkError as e:
        raise BadProof(str(e)) from None
    public = [proof.commitment.hex(), poseidon(shown).hex(), element(0)]
    if not circuit.verify(proof.body, public):
        raise BadProof(
            "the proof does not show that these weights follow from the committed scores"
        )
    return proof


def verify(folder: Path, data: bytes, weights: Mapping[int, int], *, context: bytes = b"") -> bool:
    """Whether a stranger's proof shows these weights; ZkError as `check`."""
    try:
        check(folder, data, weights, context=context)
    except BadProof:
        return False
    return True
