"""Quotes of Intel TDX (version 4) and SGX (version 3), by the library dcap-qvl.

The library checks the whole chain from Intel's root: certificates, revocation lists, the firmware
levels and the quoting enclave's identity, all as of a given time, and refuses debuggable guests.
The signed collateral comes with the quote; whoever sent it cannot change it, and Intel's own
dates end its use.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import orjson

from ganglion.attest.evidence import SGX, TDX, AttestUnavailable, BadEvidence, Evidence
from ganglion.attest.verdict import Verdict
from ganglion.wire import fields

MAX_QUOTE, MAX_COLLATERAL = 32 << 10, 256 << 10
COLLATERAL = frozenset(
    {
        "pck_crl_issuer_chain",
        "root_ca_crl",
        "pck_crl",
        "tcb_info_issuer_chain",
        "tcb_info",
        "tcb_info_signature",
        "qe_identity_issuer_chain",
        "qe_identity",
        "qe_identity_signature",
        "pck_certificate_chain",
    }
)
HEADERS = {TDX: (4, 0x81), SGX: (3, 0)}
"""Version and type of machine in a quote's first eight bytes."""

TDX_NAMES = {
    "mrtd": "mr_td",
    "rtmr0": "rt_mr0",
    "rtmr1": "rt_mr1",
    "rtmr2": "rt_mr2",
    "rtmr3": "rt_mr3",
    "mrconfigid": "mr_config_id",
    "mrowner": "mr_owner",
    "mrseam": "mr_seam",
    "td_attributes": "td_attributes",
}
SGX_NAMES = {"mrenclave": "mr_enclave", "mrsigner": "mr_signer"}
SGX_DEBUG, TDX_DEBUG = 0x02, 0xFF


def verify(
    evidence: Evidence, expected_report_data: bytes, now: float, root: bytes | None
) -> Verdict:
    """The verdict on a quote; BadEvidence if it does not hold now or is bound to something else.

    `root` replaces Intel's certificate (DER). AttestUnavailable without dcap-qvl.
    """
    given = evidence.fields
    fields.only(given, frozenset({"quote", "collateral"}))
    quote = _hexadecimal(given.get("quote"))
    version, machine = int.from_bytes(quote[:2], "little"), int.from_bytes(quote[4:8], "little")
    if (version, machine) != HEADERS[evidence.kind]:
        raise BadEvidence(f"this is no quote of kind {evidence.kind}")
    report = _verified(quote, _collateral(given.get("collateral")), int(now), root)
    body = report["report"]["TD10" if evidence.kind == TDX else "SgxEnclave"]
    if bytes.fromhex(body["report_data"]) != expected_report_data:
        raise BadEvidence("the quote is bound to another miner, key or block")
    attributes = bytes.fromhex(body["td_attributes" if evidence.kind == TDX else "attributes"])
    if attributes[0] & (TDX_DEBUG if evidence.kind == TDX else SGX_DEBUG):
        raise BadEvidence("the machine can be debugged, so nothing in it is secret")
    names = TDX_NAMES if evidence.kind == TDX else SGX_NAMES
    found = {ours: str(body[theirs]) for ours, theirs in names.items()}
    if evidence.kind == SGX:
        found["isvprodid"] = int(body["isv_prod_id"]).to_bytes(2, "little").hex()
        found["isvsvn"] = int(body["isv_svn"]).to_bytes(2, "little").hex()
    return Verdict(evidence.kind, report["status"], found, tuple(report["advisory_ids"]))


def _hexadecimal(value: object) -> bytes:
    if not isinstance(value, str) or len(value) > 2 * MAX_QUOTE + 2:
        raise BadEvidence(f"a quote is hex text of at most {MAX_QUOTE} bytes")
    try:
        return bytes.fromhex(value.removeprefix("0x"))
    except ValueError as e:
        raise BadEvidence("a quote is hex text") from e


def _collateral(value: object) -> str:
    if not isinstance(value, dict):
        raise BadEvidence("a quote comes with Intel's collateral, an object")
    fields.only(value, COLLATERAL)
    if not all(isinstance(text, str) or text is None for text in value.values()):
        raise BadEvidence("every part of the collateral is text")
    text = orjson.dumps(value)
    if len(text) > MAX_COLLATERAL:
        raise BadEvidence(f"collateral has at most {MAX_COLLATERAL} bytes")
    return text.decode()


def _verified(quote: bytes, collateral: str, now: int, root: bytes | None) -> Mapping[str, Any]:
    """What the library says of a quote, as its JSON."""
    try:
        qvl = import_module("dcap_qvl")
    except ModuleNotFoundError as e:
        raise AttestUnavailable(
            "quotes of Intel's machines are judged by dcap-qvl: pip install 'ganglion[attest]'"
        ) from e
    try:
        signed = qvl.QuoteCollateralV3.from_json(collateral)
        if root is None:
            report = qvl.verify(quote, signed, now)
        else:
            report = qvl.verify_with_root_ca(quote, signed, root, now)
        found: Mapping[str, Any] = orjson.loads(report.to_json())
    except (ValueError, OverflowError) as e:
        raise BadEvidence(f"the quote does not hold: {' '.join(str(e).split())[:300]}") from e
    return found
