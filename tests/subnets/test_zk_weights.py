"""Proofs of weights: what is proven holds, what is changed is refused, strangers break nothing."""

from __future__ import annotations

import json
import random
import re
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subnets.zk.circuit import FIELD, Circuit, element, poseidon
from subnets.zk.rule import SCORE_MAX, Shape, ZkError, spread, violation, weights_of
from subnets.zk.weights import (
    BODY,
    HEAD,
    MAGIC,
    VERSION,
    BadProof,
    WeightProof,
    check,
    circuit_of,
    commit,
    prove,
    set_up,
    verify,
)

SHAPE = Shape(16, 2)
SALT, CONTEXT = bytes(range(16)), b"genesis, subnet 2, hotkey, block 360"
MUTATIONS = 200


@dataclass(frozen=True)
class Made:
    """Keys, and one proof that they made."""

    folder: Path
    scores: dict[int, int]
    weights: dict[int, int]
    proof: bytes
    seconds: float

    @property
    def circuit(self) -> Circuit:
        return circuit_of(self.folder, SHAPE)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    pytest.importorskip("ezkl")
    folder = tmp_path_factory.mktemp("zk")
    set_up(folder, SHAPE, test_srs=True)
    draw = random.Random(4)
    scores = {uid: draw.randint(1, SCORE_MAX) for uid in (0, 1, 2, 5, 11, 15)} | {7: SCORE_MAX}
    weights = weights_of(scores, 2)
    start = time.perf_counter()
    proof = prove(folder, scores, weights, salt=SALT, context=CONTEXT)
    return Made(folder, scores, weights, proof, time.perf_counter() - start)


def test_a_proof_shows_its_weights(made: Made) -> None:
    assert verify(made.folder, made.proof, made.weights, context=CONTEXT)
    shown = check(made.folder, made.proof, made.weights, context=CONTEXT)
    assert shown.commitment == commit(made.scores, SALT, 16)
    assert WeightProof.from_bytes(made.proof).to_bytes() == made.proof


def test_proving_and_verifying_are_quick_enough_to_use(made: Made) -> None:
    """The bounds of the market table; the proof takes a tenth of them."""
    assert made.seconds < 30
    times = []
    for _ in range(5):
        start = time.perf_counter()
        verify(made.folder, made.proof, made.weights, context=CONTEXT)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.1


@pytest.mark.parametrize("by", [-1, 1])
@pytest.mark.parametrize("uid", [0, 5, 7])
def test_a_weight_that_is_off_by_one_is_refused(made: Made, uid: int, by: int) -> None:
    changed = made.weights | {uid: made.weights[uid] + by}
    assert not verify(made.folder, made.proof, changed, context=CONTEXT)
    with pytest.raises(ZkError, match=f"uid {uid} has (a weight of )?{changed[uid]}[,:]"):
        prove(made.folder, made.scores, changed, salt=SALT, context=CONTEXT)


def test_changed_scores_are_refused(made: Made) -> None:
    """Another commitment does not fit the proof, and other scores do not give these weights."""
    scores = made.scores | {5: made.scores[5] // 2}
    proof = WeightProof.from_bytes(made.proof)
    for other in (commit(scores, SALT, 16), commit(made.scores, bytes(16), 16)):
        assert other != proof.commitment
        forged = replace(proof, commitment=other).to_bytes()
        assert not verify(made.folder, forged, made.weights, context=CONTEXT)
    with pytest.raises(ZkError, match="uid 5 has"):
        prove(made.folder, scores, made.weights, salt=SALT, context=CONTEXT)


def test_a_proof_is_of_one_context_and_one_set_of_uids(made: Made) -> None:
    assert not verify(made.folder, made.proof, made.weights, context=b"another block")
    moved = {uid + 1 if uid == 11 else uid: w for uid, w in made.weights.items()}
    assert not verify(made.folder, made.proof, moved, context=CONTEXT)
    assert not verify(made.folder, made.proof, {300: 1}, context=CONTEXT)
    assert not verify(made.folder, made.proof, {0: 1 << 80}, context=CONTEXT)


def test_the_circuit_computes_the_rule(made: Made, tmp_path: Path) -> None:
    draw = random.Random(5)
    for _ in range(12):
        scores = {uid: draw.choice([1, 77, draw.randint(0, SCORE_MAX)]) for uid in range(16)}
        vector = spread(scores, 16, SCORE_MAX, "a score of")
        weights = spread(weights_of(scores, 2), 16, 65_535, "a weight of")
        uid = draw.randrange(16)
        weights[uid] = max(0, weights[uid] + draw.choice([-1, 0, 0, 1]))
        out = made.circuit.run([[*vector, 1, 2], [*weights, 3, 4]], tmp_path)["outputs"][0]
        assert out == [element(violation(vector, weights, 2))]


def test_a_cheating_prover_has_no_proof(made: Made, tmp_path: Path) -> None:
    """It leaves out our checks: first proves what its circuit says, then claims that it said 0."""
    wrong = made.weights | {5: made.weights[5] + 1}
    scores = [*spread(made.scores, 16, SCORE_MAX, ""), 1, 2]
    weights = [*spread(wrong, 16, 65_535, ""), 3, 4]
    made.circuit.run([scores, weights], tmp_path)
    body, public = made.circuit.prove(tmp_path)
    assert public == [poseidon(scores).hex(), poseidon(weights).hex(), public[2]]
    assert made.circuit.verify(body, public)
    assert public[2] != element(0)
    assert not made.circuit.verify(body, [*public[:2], element(0)])

    witness = json.loads((tmp_path / "witness.json").read_text())
    text = json.dumps(witness).replace(public[2], element(0))
    (tmp_path / "witness.json").write_text(text)
    try:
        body, _ = made.circuit.prove(tmp_path)
    except ZkError:
        return
    assert not made.circuit.verify(body, [*public[:2], element(0)])


def test_mutations_of_a_proof_are_refused(made: Made) -> None:
    """Bits, runs, points of the curve moved: `False`, never an exception."""
    draw = random.Random(6)
    for _ in range(MUTATIONS):
        data = bytearray(made.proof)
        at = draw.randrange(len(data))
        match draw.randrange(5):
            case 0:
                data[at] ^= 1 << draw.randrange(8)
            case 1:
                data[at : at + 32] = draw.randbytes(len(data[at : at + 32]))
            case 2:
                block = HEAD.size + draw.randrange(BODY // 32) * 32
                data[block : block + 32] = bytes(32)
            case 3:
                one, two = (HEAD.size + draw.randrange(BODY // 32) * 32 for _ in range(2))
                data[one : one + 32] = data[two : two + 32]
            case _:
                data = data[:at] if draw.random() < 0.5 else data + draw.randbytes(at)
        if data != made.proof:
            assert not verify(made.folder, bytes(data), made.weights, context=CONTEXT)


HEADS = st.tuples(st.sampled_from([VERSION, 0, 2]), st.integers(0, 9), st.integers(0, 300)).map(
    lambda t: MAGIC + bytes(t[:2]) + t[2].to_bytes(2, "little")
)


@given(st.binary(max_size=200) | HEADS.map(lambda h: h.ljust(HEAD.size + BODY, b"\xff")))
def test_strange_bytes_are_no_proof(data: bytes) -> None:
    with pytest.raises(BadProof):
        WeightProof.from_bytes(data)


def test_a_commitment_beyond_the_field_is_no_proof(made: Made) -> None:
    proof = WeightProof.from_bytes(made.proof)
    beyond = int.from_bytes(proof.commitment, "little") + FIELD
    data = replace(proof, commitment=beyond.to_bytes(32, "little")).to_bytes()
    with pytest.raises(BadProof, match="no field element"):
        check(made.folder, data, made.weights, context=CONTEXT)


def test_other_keys_are_named(made: Made) -> None:
    data = replace(WeightProof.from_bytes(made.proof), key=bytes(16)).to_bytes()
    with pytest.raises(BadProof, match="the same SRS file"):
        check(made.folder, data, made.weights, context=CONTEXT)


def test_keys_are_kept_and_marked_as_for_tests(made: Made) -> None:
    before = made.circuit.key_id()
    assert set_up(made.folder, SHAPE).key_id() == before
    assert made.circuit.for_tests


def test_what_is_missing_is_said(made: Made, tmp_path: Path) -> None:
    with pytest.raises(ZkError, match="vk is missing: run the set-up"):
        prove(tmp_path, made.scores, made.weights, salt=SALT)
    with pytest.raises(ZkError, match=r"kzg11\.srs is missing: put the ceremony's file"):
        set_up(tmp_path, SHAPE)
    with pytest.raises(ZkError, match="no miner has earned"):
        prove(made.folder, {}, {}, salt=SALT)
    with pytest.raises(ZkError, match="a salt has 16 bytes, not 3"):
        commit(made.scores, b"abc", 16)


def test_without_ezkl_one_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything else of subnets works without it, and nothing is left behind."""
    sentence = re.escape("which is not installed: pip install 'ganglion[zk]'")
    for module in ("ezkl", "onnx"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            with pytest.raises(ZkError, match=f"proofs of weights need {module}, {sentence}"):
                set_up(tmp_path / "keys", SHAPE, test_srs=True)
    assert not (tmp_path / "keys" / "weights-16-2" / "vk").exists()
