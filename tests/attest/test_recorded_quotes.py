"""Quotes recorded on real TDX and SGX machines: good at their time, bound, and brittle.

They test the verifier. They say nothing about anybody's machines.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from recorded_quotes import Recorded, recorded

from ganglion.attest.attestor import Attestor
from ganglion.attest.evidence import SGX, TDX, BadEvidence, Evidence
from ganglion.attest.policy import AttestPolicy
from ganglion.attest.verdict import Verdict

SIGNED = {TDX: 48 + 584, SGX: 48 + 384}
REPORT_DATA = {TDX: slice(48 + 520, 48 + 584), SGX: slice(48 + 320, 48 + 384)}
STATUSES = frozenset({"UpToDate", "ConfigurationAndSWHardeningNeeded"})
POLICY = AttestPolicy(frozenset({TDX, SGX}), any_software=True, statuses=STATUSES)
SAMPLES = {TDX: "tdx_quote", SGX: "sgx_quote"}
MONTH = 31 * 86_400


def judged(kind: str, found: Recorded, policy: AttestPolicy = POLICY, **changes: object) -> Verdict:
    evidence = Evidence(kind, found.fields(**changes))  # type: ignore[arg-type]
    return Attestor().verify(evidence, policy, found.quote[REPORT_DATA[kind]], found.time)


def test_a_recorded_tdx_quote_is_accepted_at_its_time() -> None:
    found = recorded("tdx_quote")
    verdict = judged(TDX, found)
    assert (verdict.kind, verdict.status, verdict.advisories) == (TDX, "UpToDate", ())
    assert verdict.measurements["mrtd"] == found.quote[48 + 136 : 48 + 184].hex()
    assert verdict.measurements["rtmr3"] == found.quote[48 + 472 : 48 + 520].hex()
    assert verdict.confidential


def test_a_recorded_sgx_quote_is_accepted_at_its_time() -> None:
    found = recorded("sgx_quote")
    verdict = judged(SGX, found)
    assert verdict.status == "ConfigurationAndSWHardeningNeeded"
    assert "INTEL-SA-00289" in verdict.advisories
    assert verdict.measurements["mrenclave"] == found.quote[48 + 64 : 48 + 96].hex()


@pytest.mark.parametrize("kind", [TDX, SGX])
def test_a_tampered_recorded_quote_is_rejected(kind: str) -> None:
    found, end = recorded(SAMPLES[kind]), SIGNED[kind]
    places = [*range(0, end, 7), *range(end + 4, end + 4 + 128, 5)]  # signed part, signature, key
    for place in places:
        quote = bytearray(found.quote)
        quote[place] ^= 1
        with pytest.raises(BadEvidence):
            judged(kind, found, quote=bytes(quote))


@pytest.mark.parametrize("kind", [TDX, SGX])
@pytest.mark.parametrize("part", ["tcb_info", "qe_identity", "root_ca_crl", "pck_crl"])
def test_tampered_collateral_is_rejected(kind: str, part: str) -> None:
    found = recorded(SAMPLES[kind])
    text = found.collateral[part]
    at = len(text) // 2
    changed = text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :]
    with pytest.raises(BadEvidence, match="the quote does not hold"):
        judged(kind, found, **{part: changed})


@pytest.mark.parametrize("kind", [TDX, SGX])
@pytest.mark.parametrize("late", [-MONTH, MONTH, 20 * 365 * 86_400])
def test_a_recorded_quote_is_rejected_outside_its_time(kind: str, late: int) -> None:
    found = recorded(SAMPLES[kind])
    with pytest.raises(BadEvidence, match="the quote does not hold"):
        judged(kind, replace(found, time=found.time + late))


@pytest.mark.parametrize("kind", [TDX, SGX])
def test_a_recorded_quote_is_bound_to_its_report_data(kind: str) -> None:
    found = recorded(SAMPLES[kind])
    data = bytearray(found.quote[REPORT_DATA[kind]])
    data[40] ^= 1
    with pytest.raises(BadEvidence, match="bound to another miner, key or block"):
        Attestor().verify(Evidence(kind, found.fields()), POLICY, bytes(data), found.time)


def test_known_weaknesses_and_bad_states_are_the_policys_to_refuse() -> None:
    found = recorded("sgx_quote")
    with pytest.raises(BadEvidence, match="the firmware's status is ConfigurationAndSW"):
        judged(SGX, found, AttestPolicy(frozenset({SGX}), any_software=True))
    weak = replace(POLICY, reject_advisories=frozenset({"INTEL-SA-00289"}))
    with pytest.raises(BadEvidence, match="known weakness INTEL-SA-00289"):
        judged(SGX, found, weak)


def test_only_named_programs_are_trusted() -> None:
    found = recorded("tdx_quote")
    mrtd = found.quote[48 + 136 : 48 + 184].hex()
    named = AttestPolicy(frozenset({TDX}), ({"kind": TDX, "mrtd": mrtd},))
    assert judged(TDX, found, named).status == "UpToDate"
    other = AttestPolicy(frozenset({TDX}), ({"kind": TDX, "mrtd": mrtd, "rtmr3": "11" * 48},))
    with pytest.raises(BadEvidence, match="not those of a trusted program"):
        judged(TDX, found, other)
