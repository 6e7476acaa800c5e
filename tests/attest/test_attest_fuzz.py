"""Whatever a stranger sends as evidence is judged or refused with one sentence."""

from __future__ import annotations

import json
import os
import random
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from evidence_intel import Intel
from evidence_others import POLICY_TCB, Amd, Nvidia
from hypothesis import given
from hypothesis import strategies as st

from ganglion.attest.attestor import Attestor
from ganglion.attest.evidence import KINDS, MAX_EVIDENCE, BadEvidence, parse
from ganglion.attest.policy import AttestPolicy
from ganglion.attest.roots import Roots, keys_of
from ganglion.attest.statement import SignedStatement
from ganglion.wire.fields import BadMessage

NOW, DATA = time.time(), os.urandom(64)
AMD, NVIDIA = Amd(), Nvidia(NOW)
GPUS = {f"GPU-{i}": NVIDIA.gpu(DATA[:32], i) for i in range(2)}
POLICY = AttestPolicy(
    frozenset({"tdx-v4", "sgx", "sev-snp"}),
    any_software=True,
    minimum_tcb=POLICY_TCB,
    test_only_mock=True,
)
FIELDS = ("kind", "quote", "collateral", "report", "certificates", "token", "report_data")


@dataclass(repr=False)
class Samples:
    """Who judges, and good evidence of every kind."""

    attestor: Attestor
    made: list[dict[str, Any]]


@pytest.fixture(scope="module")
def samples() -> Samples:
    pytest.importorskip("dcap_qvl", reason="quotes are judged by dcap-qvl, which is not here")
    intel = Intel()
    roots = Roots(intel.root_der(), (AMD.root,), (), keys_of(NVIDIA.jwks()))
    made = [
        intel.evidence("tdx-v4", DATA),
        intel.evidence("sgx", DATA),
        AMD.evidence(DATA),
        NVIDIA.evidence(GPUS, DATA[:32]),
        {"kind": "mock", "report_data": "0x" + DATA.hex()},
    ]
    return Samples(Attestor(roots), made)


def judged(attestor: Attestor, body: bytes) -> bool:
    """Whether the evidence holds; anything but a refusal with a sentence is the test's failure."""
    try:
        for piece in parse(body):
            attestor.verify(piece, POLICY, DATA, NOW)
    except BadEvidence as e:
        said = str(e)
    else:
        return True
    assert 0 < len(said) < 1000
    return False


def spoilt(value: Any, rng: random.Random) -> Any:
    """The value with something in it changed: text flipped, cut, grown or of another type."""
    if isinstance(value, dict) and value:
        key = rng.choice(list(value))
        return value | {key: spoilt(value[key], rng)}
    if isinstance(value, list) and value:
        at = rng.randrange(len(value))
        return [*value[:at], spoilt(value[at], rng), *value[at + 1 :]]
    if isinstance(value, str) and value and rng.random() < 0.9:
        at, how = rng.randrange(len(value)), rng.randrange(4)
        if how == 0:
            return value[:at]
        if how == 1:
            return value[:at] + rng.choice("0f~A \u00e9\x00") + value[at:]
        other = rng.choice('0123456789abcdefABCXYZ{}":,-_\n')
        return value[:at] + other + value[at + 1 :]
    return rng.choice((None, True, 0, -1, 1e300, "", "0x", [], {}, [[]], "x" * 70_000))


def test_the_samples_hold(samples: Samples) -> None:
    attestor, made = samples.attestor, samples.made
    assert all(judged(attestor, orjson.dumps(value)) for value in made)
    assert not judged(attestor, orjson.dumps([made[0], made[0]]))


@given(st.integers(0, 2**64), st.integers(1, 3))
def test_spoilt_evidence_is_refused(samples: Samples, seed: int, times: int) -> None:
    attestor, made = samples.attestor, samples.made
    rng = random.Random(seed)
    for value in made:
        changed = value
        for _ in range(times):
            changed = spoilt(changed, rng)
        body = json.dumps(changed).encode()
        if judged(attestor, body):  # what may differ in good evidence: unsigned surroundings
            assert changed.get("kind") == value["kind"]


@given(st.binary(max_size=400), st.sampled_from(["sev-snp", "tdx-v4", "sgx"]), st.booleans())
def test_noise_is_no_report(samples: Samples, noise: bytes, kind: str, long: bool) -> None:
    attestor = samples.attestor
    data = "0x" + (noise * 12 if long else noise).hex()
    value = {"kind": kind, "report": data, "certificates": AMD.pem()}
    assert not judged(attestor, orjson.dumps(value))
    assert not judged(attestor, orjson.dumps({"kind": kind, "quote": data, "collateral": {}}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(JSON, st.sampled_from(KINDS))
def test_any_json_is_judged_or_refused(samples: Samples, value: Any, kind: str) -> None:
    attestor = samples.attestor
    body = value | {"kind": kind} if isinstance(value, dict) else value
    assert not judged(attestor, json.dumps(body).encode())


@given(st.binary(max_size=300))
def test_any_bytes_are_no_evidence_and_no_statement(body: bytes) -> None:
    with suppress(BadEvidence):
        parse(body)
    with suppress(BadMessage):
        SignedStatement.from_bytes(body)


@given(JSON)
def test_any_json_is_no_statement(value: Any) -> None:
    with pytest.raises(BadMessage):
        SignedStatement.from_bytes(json.dumps({"statement": value, "evidence": value}).encode())


def test_what_is_too_long_is_not_looked_at() -> None:
    for body in (b"[" * 5_000_000, b" " * (MAX_EVIDENCE + 1), b"[" * 100_000):
        with pytest.raises(BadEvidence):
            parse(body)


def test_tokens_and_key_sets_are_bounded() -> None:
    keys = keys_of(NVIDIA.jwks())
    attestor = Attestor(Roots(nvidia=keys))
    for token in ("a" * 100_000, "..", "a.b", "a.b.c.d", "\u00e9.b.c", "e30.e30.e30"):
        value = {"kind": "nvidia-eat", "token": [["JWT", token], GPUS]}
        assert not judged(attestor, json.dumps(value).encode())
    for jwks in (b"[]", b"{}", b'{"keys": [1]}', b'{"keys": [{"kty": "EC", "crv": "P-384"}]}'):
        with pytest.raises(ValueError, match=r".+"):
            keys_of(jwks)
