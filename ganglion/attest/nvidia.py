"""NVIDIA's verdict on GPUs in confidential mode: a signed token for all, and one for each GPU.

The list that NVIDIA's attestation service answers with: `[["JWT", overall], {"GPU-0": token}]`.
The overall token names the hash of every GPU's token, so that none can be left out, added or
exchanged; each token is signed, in date and about our nonce. It says nothing of the machine the
GPUs are in: that takes the evidence of the machine beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from ganglion.attest.evidence import NVIDIA, AttestUnavailable, BadEvidence, Evidence
from ganglion.attest.jwt import opened
from ganglion.attest.verdict import Verdict
from ganglion.wire import fields

MOST_GPUS = 16
MAX_AGE = 3600
"""Seconds after which a token is too old, whatever it says itself."""

NAMES = {
    "hwmodel": "hwmodel",
    "driver": "x-nvidia-gpu-driver-version",
    "vbios": "x-nvidia-gpu-vbios-version",
    "ueid": "ueid",
}
Keys = Mapping[str, ec.EllipticCurvePublicKey]


def verify(
    evidence: Evidence, expected_report_data: bytes, now: float, keys: Keys
) -> tuple[Verdict, ...]:
    """A verdict for each GPU; BadEvidence if one is missing, unfit, stale, or not about us.

    The nonce is the first half of the report data. AttestUnavailable without NVIDIA's keys.
    """
    if not keys:
        raise AttestUnavailable(
            "no key of NVIDIA's is known here: fetch the key set (JWKS) of its attestation service "
            "and pass the folder with nvidia-jwks.json as --attest-roots"
        )
    fields.only(evidence.fields, frozenset({"token"}))
    overall, tokens = _parts(evidence.fields.get("token"))
    nonce = expected_report_data[:32].hex()
    claims = opened(overall, keys, now)
    _check_fresh(claims, nonce, now, "the GPUs' overall token")
    if claims.get("x-nvidia-overall-att-result") is not True:
        raise BadEvidence("NVIDIA did not find these GPUs fit")
    if _digests(claims.get("submods")) != {
        name: hashlib.sha256(token.encode()).hexdigest() for name, token in tokens.items()
    }:
        raise BadEvidence("the GPUs' tokens are not those that the overall token is about")
    found = [_gpu(name, opened(token, keys, now), nonce, now) for name, token in tokens.items()]
    if len({verdict.measurements["ueid"] for verdict in found}) < len(found):
        raise BadEvidence("one GPU is counted twice")
    return tuple(found)


def _parts(value: object) -> tuple[object, dict[str, str]]:
    """The overall token and the GPUs' tokens by name."""
    if not isinstance(value, list) or len(value) != 2:
        raise BadEvidence('the GPUs\' evidence is [["JWT", token], {"GPU-0": token}]')
    first, rest = value
    if not isinstance(first, list) or len(first) != 2 or first[0] != "JWT":
        raise BadEvidence('the GPUs\' evidence begins with ["JWT", token]')
    if not isinstance(rest, dict) or not 0 < len(rest) <= MOST_GPUS:
        raise BadEvidence(f"there are tokens for 1 to {MOST_GPUS} GPUs")
    if not all(isinstance(token, str) for token in rest.values()):
        raise BadEvidence("a GPU's token is text")
    return first[1], rest


def _digests(submods: object) -> dict[str, str]:
    """The hash of each GPU's token, from `{"GPU-0": ["DIGEST", ["SHA-256", hex]]}`."""
    made = {}
    for name, entry in submods.items() if isinstance(submods, dict) else ():
        match entry:
            case ["DIGEST", ["SHA-256" | "SHA256", str(digest)]]:
                made[name] = digest.lower()
            case _:
                raise BadEvidence("a GPU's token is named by its SHA-256 digest")
    return made


def _check_fresh(claims: Mapping[str, Any], nonce: str, now: float, what: str) -> None:
    said = claims.get("eat_nonce")
    if not isinstance(said, str) or said.lower().removeprefix("0x") != nonce:
        raise BadEvidence(f"{what} is about another miner, key or block")
    issued = claims.get("iat", claims.get("nbf"))
    if type(issued) not in (int, float) or now - float(issued) > MAX_AGE:
        raise BadEvidence(f"{what} is older than {MAX_AGE} seconds")


def _gpu(name: str, claims: Mapping[str, Any], nonce: str, now: float) -> Verdict:
    what = f"the token of {name[:20]!r}"
    _check_fresh(claims, nonce, now, what)
    if str(claims.get("measres")).lower() not in ("success", "comparison-successful"):
        raise BadEvidence(f"{what} reports firmware that is not NVIDIA's")
    if claims.get("secboot") is not True or claims.get("dbgstat") not in (
        "disabled",
        "disabled-since-boot",
        "disabled-permanently",
    ):
        raise BadEvidence(f"{what} reports no secure boot, or debugging")
    failed = next((name for name, value in claims.items() if _failed(name, value)), None)
    if failed is not None:
        raise BadEvidence(f"{what} reports a failure: {failed[:80]!r}")
    found = {ours: str(claims.get(theirs, ""))[:200] for ours, theirs in NAMES.items()}
    if not found["ueid"]:
        raise BadEvidence(f"{what} names no device")
    return Verdict(NVIDIA, "UpToDate", found)


def _failed(name: str, value: object) -> bool:
    """Whether a claim on a GPU tells of a failed check, or of a certificate that is not valid."""
    if not name.startswith("x-nvidia-gpu-"):
        return False
    if isinstance(value, dict):
        return value.get("x-nvidia-cert-status") != "valid"
    return value is False
