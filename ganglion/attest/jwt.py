"""Signed tokens (JWT, RFC 7519) with the one algorithm that NVIDIA signs with: ES384."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from ganglion.attest.evidence import BadEvidence

MAX_TOKEN = 64 << 10
CLOCK_SLACK = 60
_PART = re.compile(r"[A-Za-z0-9_-]+")


class BadToken(BadEvidence):
    """A token that is malformed, forged, expired or not yet valid."""


def unpacked(text: object) -> bytes:
    """Base64url without padding; BadToken otherwise."""
    if not isinstance(text, str) or not _PART.fullmatch(text):
        raise BadToken("a part of the token is no base64url text")
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as e:
        raise BadToken(f"a part of the token is no base64url text: {e}") from e


def _object(part: str, what: str) -> dict[str, Any]:
    try:
        value = orjson.loads(unpacked(part))
    except orjson.JSONDecodeError as e:
        raise BadToken(f"the token's {what} is no JSON") from e
    if not isinstance(value, dict):
        raise BadToken(f"the token's {what} is no object")
    return value


def key_of(entry: object) -> tuple[str, ec.EllipticCurvePublicKey]:
    """The id and the P-384 key of one entry of a JWKS."""
    if not isinstance(entry, dict) or (entry.get("kty"), entry.get("crv")) != ("EC", "P-384"):
        raise BadToken("a signing key is no EC key on P-384")
    kid = entry.get("kid")
    if not isinstance(kid, str) or not kid:
        raise BadToken("a signing key has no kid")
    x, y = (int.from_bytes(unpacked(entry.get(name)), "big") for name in ("x", "y"))
    try:
        return kid, ec.EllipticCurvePublicNumbers(x, y, ec.SECP384R1()).public_key()
    except ValueError as e:
        raise BadToken(f"the signing key {kid[:60]} is no point of P-384") from e


def opened(
    token: object, keys: Mapping[str, ec.EllipticCurvePublicKey], now: float
) -> dict[str, Any]:
    """The claims of a token that one of `keys` signed and that is valid now; BadToken otherwise."""
    if not isinstance(token, str) or len(token) > MAX_TOKEN:
        raise BadToken(f"a token is text of at most {MAX_TOKEN} characters")
    parts = token.split(".")
    if len(parts) != 3:
        raise BadToken("a token has three parts")
    header = _object(parts[0], "header")
    if header.get("alg") != "ES384":
        raise BadToken("the token is not signed with ES384")
    kid = header.get("kid")
    key = keys.get(kid) if isinstance(kid, str) else None
    if key is None:
        raise BadToken(f"nobody trusted signs with the key {str(kid)[:60]!r}")
    signature = unpacked(parts[2])
    if len(signature) != 96:
        raise BadToken("an ES384 signature has 96 bytes")
    r, s = int.from_bytes(signature[:48], "big"), int.from_bytes(signature[48:], "big")
    try:
        key.verify(
            encode_dss_signature(r, s), f"{parts[0]}.{parts[1]}".encode(), ec.ECDSA(hashes.SHA384())
        )
    except InvalidSignature as e:
        raise BadToken("the token's signature does not hold") from e
    claims = _object(parts[1], "body")
    _check_times(claims, now)
    return claims


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    expiry, begin = claims.get("exp"), claims.get("nbf", claims.get("iat", 0))
    if not all(type(t) in (int, float) for t in (expiry, begin)):
        raise BadToken("the token does not say when it expires")
    if now >= claims["exp"]:
        raise BadToken("the token has expired")
    if now + CLOCK_SLACK < float(begin):
        raise BadToken("the token is not valid yet")
