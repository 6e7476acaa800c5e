"""Every kind of evidence, made by manufacturers of the test's own: what holds and what does not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from evidence_intel import Intel
from evidence_others import EXTENSIONS, POLICY_TCB, Amd, Nvidia

from ganglion.attest.attestor import Attestor
from ganglion.attest.evidence import (
    MOCK,
    NVIDIA,
    SGX,
    SNP,
    TDX,
    AttestUnavailable,
    BadEvidence,
    Evidence,
    parse,
)
from ganglion.attest.policy import AttestPolicy
from ganglion.attest.roots import Roots, keys_of
from ganglion.attest.verdict import Verdict

DATA = os.urandom(64)
NOW = time.time()
ANY = AttestPolicy(frozenset({TDX, SGX, SNP}), any_software=True, minimum_tcb=POLICY_TCB)


def piece(value: dict[str, Any]) -> Evidence:
    return parse(orjson.dumps(value))[0]


@pytest.fixture(scope="module")
def intel() -> Intel:
    pytest.importorskip("dcap_qvl", reason="quotes are judged by dcap-qvl, which is not here")
    return Intel()


@pytest.fixture(scope="module")
def amd() -> Amd:
    return Amd()


@pytest.fixture(scope="module")
def nvidia() -> Nvidia:
    return Nvidia(NOW)


# --- Intel ---------------------------------------------------------------------------------------


def of_intel(made: Intel, value: dict[str, Any], data: bytes = DATA) -> Verdict:
    return Attestor(Roots(intel=made.root_der())).verify(piece(value), ANY, data, NOW)


@pytest.mark.parametrize(("kind", "name"), [(TDX, "mrtd"), (SGX, "mrenclave")])
def test_quotes_of_a_known_root_hold(intel: Intel, kind: str, name: str) -> None:
    verdict = of_intel(intel, intel.evidence(kind, DATA))
    assert (verdict.kind, verdict.status) == (kind, "UpToDate")
    assert verdict.measurements[name] == ("aa" * 48 if kind == TDX else "cc" * 32)


@pytest.mark.parametrize("kind", [TDX, SGX])
def test_quotes_of_another_root_do_not(intel: Intel, kind: str) -> None:
    with pytest.raises(BadEvidence, match="the quote does not hold"):
        Attestor().verify(piece(intel.evidence(kind, DATA)), ANY, DATA, NOW)


@pytest.mark.parametrize("kind", [TDX, SGX])
def test_quotes_are_bound_to_their_report_data(intel: Intel, kind: str) -> None:
    with pytest.raises(BadEvidence, match="bound to another miner, key or block"):
        of_intel(intel, intel.evidence(kind, DATA), bytes(64))


def test_a_quote_of_one_kind_is_none_of_another(intel: Intel) -> None:
    with pytest.raises(BadEvidence, match="no quote of kind sgx"):
        of_intel(intel, intel.evidence(TDX, DATA) | {"kind": SGX})


def test_a_machine_that_can_be_debugged_is_refused(intel: Intel) -> None:
    value = intel.evidence(TDX, DATA)
    value["quote"] = intel.tdx(DATA, attributes="0100001000000000").hex()
    with pytest.raises(BadEvidence, match=r"[Dd]ebug"):
        of_intel(intel, value)


def test_an_outdated_or_revoked_machine_is_refused() -> None:
    pytest.importorskip("dcap_qvl", reason="quotes are judged by dcap-qvl, which is not here")
    old = Intel(status="OutOfDate")
    with pytest.raises(BadEvidence, match="status is OutOfDate"):
        of_intel(old, old.evidence(TDX, DATA))
    lenient = replace(ANY, statuses=frozenset({"OutOfDate"}))
    attestor = Attestor(Roots(intel=old.root_der()))
    found = attestor.verify(piece(old.evidence(TDX, DATA)), lenient, DATA, NOW)
    assert found.advisories == ("INTEL-SA-00001",)
    revoked = Intel(revoke=True)
    with pytest.raises(BadEvidence, match="Revoked"):
        of_intel(revoked, revoked.evidence(TDX, DATA))


# --- AMD -----------------------------------------------------------------------------------------


def of_amd(
    made: Amd, value: dict[str, Any], *crls: Any, policy: AttestPolicy = ANY, now: float = NOW
) -> Verdict:
    roots = Roots(amd=(made.root,), amd_crls=crls)
    return Attestor(roots).verify(piece(value), policy, DATA, now)


def test_a_report_of_a_known_root_holds(amd: Amd) -> None:
    verdict = of_amd(amd, amd.evidence(DATA))
    assert (verdict.kind, verdict.status, verdict.confidential) == (SNP, "UpToDate", True)
    assert verdict.measurements["measurement"] == "ee" * 48


@pytest.mark.parametrize(
    "place", [0x00, 0x31, 0x60, 0x95, 0x182, 0x1A4, 0x29F, 0x2A1, 0x300, 0x400]
)
def test_a_tampered_report_does_not(amd: Amd, place: int) -> None:
    value, report = amd.evidence(DATA), bytearray(amd.report(DATA))
    report[place] ^= 1
    with pytest.raises(BadEvidence):
        of_amd(amd, value | {"report": "0x" + report.hex()})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"x50": bytes(64)}, "another miner, key or block"),
        ({"x0a": b"\x0b"}, "can be debugged"),
        ({"x0a": b"\x07"}, "moved by an agent"),
        ({"x30": b"\xff\xff\xff\xff"}, "asked for by the host"),
        ({"x48": b"\x04"}, "chip's own key"),
        ({"x48": b"\x02"}, "another chip"),
        ({"x1a0": bytes(64)}, "another chip"),
        ({"x180": b"\x04"}, "another version of the bootloader"),
        ({"x187": b"\x01"}, "another version of the microcode"),
        ({"x00": b"\x63"}, "version"),
        ({"x34": b"\x02"}, "P-384"),
    ],
)
def test_reports_that_cannot_be_trusted(amd: Amd, changes: dict[str, bytes], said: str) -> None:
    with pytest.raises(BadEvidence, match=said):
        of_amd(amd, amd.evidence(DATA, **changes))


def test_old_firmware_is_out_of_date(amd: Amd) -> None:
    newer = replace(ANY, minimum_tcb=POLICY_TCB | {"microcode": 116})
    with pytest.raises(BadEvidence, match="status is OutOfDate"):
        of_amd(amd, amd.evidence(DATA), policy=newer)


def test_a_chain_must_lead_to_a_known_root_and_be_in_date(amd: Amd) -> None:
    stranger = Amd(which=1)
    with pytest.raises(BadEvidence, match="does not lead to a root"):
        of_amd(amd, stranger.evidence(DATA))
    with pytest.raises(BadEvidence, match="not valid at this time"):
        of_amd(amd, amd.evidence(DATA), now=NOW + 2 * 365 * 86_400)
    crossed = amd.evidence(DATA) | {"certificates": stranger.evidence(DATA)["certificates"]}
    with pytest.raises(BadEvidence, match="does not lead to a root"):
        of_amd(amd, crossed)


def test_what_amd_revoked_is_refused(amd: Amd) -> None:
    assert of_amd(amd, amd.evidence(DATA), amd.crl()).status == "UpToDate"
    with pytest.raises(BadEvidence, match="revoked"):
        of_amd(amd, amd.evidence(DATA), amd.crl(amd.signer))


def test_a_certificate_without_its_chip_is_refused() -> None:
    blank = Amd(extensions={k: v for k, v in EXTENSIONS.items() if not k.endswith("1.4")})
    with pytest.raises(BadEvidence, match="does not say which chip"):
        of_amd(blank, blank.evidence(DATA))


# --- NVIDIA --------------------------------------------------------------------------------------


def of_nvidia(made: Nvidia, value: dict[str, Any], now: float = NOW) -> Verdict:
    return Attestor(Roots(nvidia=keys_of(made.jwks()))).verify(piece(value), ANY, DATA, now)


def two(made: Nvidia, nonce: bytes = DATA[:32]) -> dict[str, str]:
    return {f"GPU-{i}": made.gpu(nonce, i) for i in range(2)}


def test_all_gpus_are_vouched_for(nvidia: Nvidia) -> None:
    verdict = of_nvidia(nvidia, nvidia.evidence(two(nvidia), DATA[:32]))
    assert verdict.measurements["hwmodel"] == "GH100"
    assert not verdict.confidential  # of the machine it says nothing


Spoil = Callable[[Nvidia, dict[str, Any]], object]
SPOILT: dict[str, tuple[Spoil, str]] = {
    "one left out": (lambda n, v: v["token"][1].pop("GPU-1"), "not those that the overall"),
    "one added": (
        lambda n, v: v["token"][1].update({"GPU-2": n.gpu(DATA[:32], 2)}),
        "not those that the overall",
    ),
    "one exchanged": (
        lambda n, v: v["token"][1].update({"GPU-1": n.gpu(DATA[:32], 7)}),
        "not those that the overall",
    ),
    "none": (lambda n, v: v["token"][1].clear(), "tokens for 1 to 16"),
    "another key": (
        lambda n, v: v["token"][0].__setitem__(1, Nvidia(NOW).token({})),
        "signature does not hold",
    ),
    "unknown key": (
        lambda n, v: v["token"][0].__setitem__(1, n.token({}, kid="other")),
        "nobody trusted",
    ),
    "no algorithm": (
        lambda n, v: v["token"][0].__setitem__(1, n.token({}, alg="none")),
        "not signed with ES384",
    ),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_bundle_is_refused(nvidia: Nvidia, how: str) -> None:
    spoil, said = SPOILT[how]
    value = nvidia.evidence(two(nvidia), DATA[:32])
    spoil(nvidia, value)
    with pytest.raises(BadEvidence, match=said):
        of_nvidia(nvidia, value)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"eat_nonce": "00" * 32}, "token of 'GPU-0' is about another miner"),
        ({"measres": "fail"}, "firmware that is not NVIDIA's"),
        ({"secboot": False}, "no secure boot"),
        ({"dbgstat": "enabled"}, "debugging"),
        ({"exp": int(NOW) - 1}, "expired"),
        ({"exp": None}, "when it expires"),
        ({"nbf": int(NOW) + 600}, "not valid yet"),
        ({"ueid": ""}, "names no device"),
        ({"x-nvidia-gpu-driver-rim-signature-verified": False}, "reports a failure: 'x-nvidia"),
        (
            {"x-nvidia-gpu-vbios-rim-cert-chain": {"x-nvidia-cert-status": "revoked"}},
            "reports a failure: 'x-nvidia-gpu-vbios-rim-cert-chain'",
        ),
        ({"iat": int(NOW) - 9000, "exp": int(NOW) + 9000}, "older than"),
    ],
)
def test_an_unfit_gpu_is_refused(nvidia: Nvidia, more: dict[str, Any], said: str) -> None:
    tokens = {"GPU-0": nvidia.gpu(DATA[:32], 0, **more), "GPU-1": nvidia.gpu(DATA[:32], 1)}
    with pytest.raises(BadEvidence, match=said):
        of_nvidia(nvidia, nvidia.evidence(tokens, DATA[:32]))


def test_a_stale_bundle_or_one_gpu_twice_is_refused(nvidia: Nvidia) -> None:
    good = nvidia.evidence(two(nvidia), DATA[:32])
    with pytest.raises(BadEvidence, match="expired"):
        of_nvidia(nvidia, good, NOW + 3601)
    with pytest.raises(BadEvidence, match="overall token is about another miner"):
        of_nvidia(nvidia, nvidia.evidence(two(nvidia), bytes(32)))
    with pytest.raises(BadEvidence, match="did not find these GPUs fit"):
        unfit = nvidia.evidence(two(nvidia), DATA[:32], **{"x-nvidia-overall-att-result": False})
        of_nvidia(nvidia, unfit)
    twice = {f"GPU-{i}": nvidia.gpu(DATA[:32], 0) for i in range(2)}
    with pytest.raises(BadEvidence, match="counted twice"):
        of_nvidia(nvidia, nvidia.evidence(twice, DATA[:32]))


# --- all together --------------------------------------------------------------------------------


def test_without_roots_the_way_out_is_said(amd: Amd, nvidia: Nvidia) -> None:
    gpus = nvidia.evidence(two(nvidia), DATA[:32])
    for value, said in ((amd.evidence(DATA), "fetch the ARK"), (gpus, "fetch the key set")):
        with pytest.raises(AttestUnavailable, match=said):
            Attestor().verify(piece(value), ANY, DATA, NOW)


def test_a_mock_is_refused_but_by_policies_for_tests() -> None:
    value = piece({"kind": MOCK, "report_data": "0x" + DATA.hex()})
    with pytest.raises(BadEvidence, match="proves nothing"):
        Attestor().verify(value, ANY, DATA, NOW)
    verdict = Attestor().verify(value, replace(ANY, test_only_mock=True), DATA, NOW)
    assert (verdict.kind, verdict.confidential) == (MOCK, False)
    with pytest.raises(BadEvidence, match="another miner, key or block"):
        Attestor().verify(value, replace(ANY, test_only_mock=True), bytes(64), NOW)


def test_a_policy_gets_all_it_asks_for(intel: Intel, nvidia: Nvidia) -> None:
    attestor = Attestor(Roots(intel.root_der(), nvidia=keys_of(nvidia.jwks())))
    gpus = piece(nvidia.evidence(two(nvidia), DATA[:32]))
    machine = piece(intel.evidence(TDX, DATA))
    both = replace(ANY, gpu=True)
    found = attestor.accept((gpus, machine), both, DATA, NOW)
    assert [verdict.kind for verdict in found] == [TDX, NVIDIA, NVIDIA]
    with pytest.raises(BadEvidence, match="evidence of the GPUs too"):
        attestor.accept((machine,), both, DATA, NOW)
    with pytest.raises(BadEvidence, match="there is none"):
        attestor.accept((gpus,), both, DATA, NOW)
    with pytest.raises(BadEvidence, match="does not accept machines of kind tdx-v4"):
        attestor.verify(machine, replace(ANY, kinds=frozenset({SNP})), DATA, NOW)


def test_roots_come_from_a_folder(amd: Amd, nvidia: Nvidia, intel: Intel, tmp_path: Any) -> None:
    with pytest.raises(AttestUnavailable, match="holds no root of trust"):
        Roots.load(tmp_path)
    with pytest.raises(AttestUnavailable, match="cannot be read"):
        Roots.load(tmp_path / "nowhere")
    (tmp_path / "amd-milan.pem").write_text(amd.pem())
    (tmp_path / "nvidia-jwks.json").write_bytes(nvidia.jwks())
    (tmp_path / "intel-root.pem").write_text(intel.root.pem())
    roots = Roots.load(tmp_path)
    assert roots.amd == (amd.root,)
    assert list(roots.nvidia) == ["key-1"]
    assert roots.intel == intel.root_der()
    (tmp_path / "nvidia-jwks.json").write_bytes(b'{"keys": [{"kty": "EC"}]}')
    with pytest.raises(AttestUnavailable, match="P-384"):
        Roots.load(tmp_path)


def test_times_are_those_of_the_caller() -> None:
    """Nothing here looks at a clock: yesterday's verifier says what it would have said."""
    past = datetime.now(UTC).replace(microsecond=0) - timedelta(days=900)
    old = Amd(now=past)
    assert of_amd(old, old.evidence(DATA), now=past.timestamp()).status == "UpToDate"
