"""The keys that hardware makers sign with: what an operator trusts, from a folder of files.

Intel's root is pinned by the verifier of its quotes. AMD's and NVIDIA's are not part of this
project: fetch them from their makers, over a way you trust, and pass them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from ganglion.attest.evidence import AttestUnavailable
from ganglion.attest.jwt import BadToken, key_of

MAX_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class Roots:
    """Intel's root (DER; None: the pinned one), AMD's roots and revocations, NVIDIA's keys."""

    intel: bytes | None = None
    amd: tuple[x509.Certificate, ...] = ()
    amd_crls: tuple[x509.CertificateRevocationList, ...] = ()
    nvidia: Mapping[str, ec.EllipticCurvePublicKey] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> Roots:
        """What a folder holds: `amd-*.pem` (ARK certificates), `amd-*.crl`, `nvidia-jwks.json`,
        and `intel-root.pem` to replace the pinned one. AttestUnavailable if it cannot be used."""
        try:
            files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
            amd = [x509.load_pem_x509_certificates(b) for n, b in _like(files, "amd-", ".pem")]
            crls = [_crl(body) for _, body in _like(files, "amd-", ".crl")]
            intel = files.get("intel-root.pem")
            root = None if intel is None else x509.load_pem_x509_certificate(intel)
            keys = keys_of(files.get("nvidia-jwks.json"))
        except (OSError, ValueError, x509.InvalidVersion) as e:
            raise AttestUnavailable(f"the roots of trust in {folder} cannot be read: {e}") from e
        own = tuple(c for chain in amd for c in chain if c.subject == c.issuer)
        if not (own or keys or root):
            raise AttestUnavailable(
                f"{folder} holds no root of trust: put amd-*.pem or nvidia-jwks.json there"
            )
        der = None if root is None else root.public_bytes(Encoding.DER)
        return cls(der, own, tuple(crls), keys)


def _like(files: Mapping[str, bytes], start: str, end: str) -> list[tuple[str, bytes]]:
    return [(n, b) for n, b in files.items() if n.startswith(start) and n.endswith(end)]


def _crl(body: bytes) -> x509.CertificateRevocationList:
    if body.startswith(b"-----"):
        return x509.load_pem_x509_crl(body)
    return x509.load_der_x509_crl(body)


def keys_of(jwks: bytes | None) -> dict[str, ec.EllipticCurvePublicKey]:
    """The P-384 keys of a JWKS by their ids; ValueError if it is malformed."""
    if jwks is None:
        return {}
    value = orjson.loads(jwks)
    entries = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(entries, list) or len(jwks) > MAX_FILE:
        raise BadToken("nvidia-jwks.json has no list of keys")
    return dict(key_of(entry) for entry in entries)
