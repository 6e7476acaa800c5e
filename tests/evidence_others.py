"""Reports of SEV-SNP and tokens of GPUs, signed by keys of the test's own, and miners' keys."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from evidence_intel import der, name

CHIP = bytes(range(64))
TCB = {"bootloader": 3, "tee": 0, "snp": 8, "microcode": 115}
POLICY_TCB = {"bootloader": 3, "tee": 0, "snp": 8, "microcode": 115}
EXTENSIONS = {
    "1.3.6.1.4.1.3704.1.3.1": der(2, b"\x03"),
    "1.3.6.1.4.1.3704.1.3.2": der(2, b"\x00"),
    "1.3.6.1.4.1.3704.1.3.3": der(2, b"\x08"),
    "1.3.6.1.4.1.3704.1.3.8": der(2, b"\x73"),
    "1.3.6.1.4.1.3704.1.4": CHIP,
}


@cache
def rsa_key(which: int) -> rsa.RSAPrivateKey:
    """Slow to make, so made once."""
    del which
    return rsa.generate_private_key(65537, 4096)


def amd_certificate(
    subject: str,
    issuer: str,
    public: Any,
    signer: rsa.RSAPrivateKey,
    now: datetime,
    extensions: dict[str, bytes] | None = None,
) -> x509.Certificate:
    """A certificate with AMD's kind of signature: RSA-PSS."""
    made = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=365))
        .not_valid_after(now + timedelta(days=365))
    )
    for oid, value in (extensions or {}).items():
        made = made.add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value), False
        )
    pss = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
    return made.sign(signer, hashes.SHA384(), rsa_padding=pss)


@dataclass
class Amd:
    """A manufacturer: root, signing key (with the root's key, to save time) and one chip."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    which: int = 0
    extensions: dict[str, bytes] = field(default_factory=lambda: dict(EXTENSIONS))

    def __post_init__(self) -> None:
        key = rsa_key(self.which)
        self.chip = ec.generate_private_key(ec.SECP384R1())
        self.root = amd_certificate("ARK", "ARK", key.public_key(), key, self.now)
        self.signer = amd_certificate("ASK", "ARK", key.public_key(), key, self.now)
        self.vcek = amd_certificate(
            "VCEK", "ASK", self.chip.public_key(), key, self.now, self.extensions
        )

    def pem(self) -> str:
        chain = (self.vcek, self.signer, self.root)
        return "".join(c.public_bytes(Encoding.PEM).decode() for c in chain)

    def crl(self, *revoked: x509.Certificate) -> x509.CertificateRevocationList:
        """The root's revocation list."""
        made = x509.CertificateRevocationListBuilder().issuer_name(self.root.subject)
        made = made.last_update(self.now).next_update(self.now + timedelta(days=30))
        for one in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(one.serial_number)
            made = made.add_revoked_certificate(entry.revocation_date(self.now).build())
        return made.sign(rsa_key(self.which), hashes.SHA384())

    def report(self, report_data: bytes, **changes: bytes) -> bytes:
        """A report; `changes` put bytes at hex offsets before it is signed (`x08=...`)."""
        out = bytearray(0x4A0)
        out[0:4] = (2).to_bytes(4, "little")
        out[0x08:0x10] = (0x30000).to_bytes(8, "little")
        out[0x34] = 1
        out[0x50:0x90] = report_data
        out[0x90:0xC0] = b"\xee" * 48
        out[0x180:0x188] = bytes([3, 0, 0, 0, 0, 0, 8, 115])
        out[0x1A0:0x1E0] = CHIP
        for at, value in changes.items():
            start = int(at[1:], 16)
            out[start : start + len(value)] = value
        r, s = decode_dss_signature(self.chip.sign(bytes(out[:0x2A0]), ec.ECDSA(hashes.SHA384())))
        out[0x2A0:0x2E8] = r.to_bytes(72, "little")
        out[0x2E8:0x330] = s.to_bytes(72, "little")
        return bytes(out)

    def evidence(self, report_data: bytes, **changes: bytes) -> dict[str, Any]:
        report = self.report(report_data, **changes)
        return {"kind": "sev-snp", "report": "0x" + report.hex(), "certificates": self.pem()}


def packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Nvidia:
    """An attestation service with one key."""

    now: float
    kid: str = "key-1"

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP384R1())

    def jwks(self) -> bytes:
        numbers = self.key.public_key().public_numbers()
        x, y = (packed(v.to_bytes(48, "big")) for v in (numbers.x, numbers.y))
        entry = {"kty": "EC", "crv": "P-384", "kid": self.kid, "x": x, "y": y}
        return json.dumps({"keys": [entry]}).encode()

    def token(self, claims: dict[str, Any], **header: Any) -> str:
        """A signed token; `header` replaces fields of its head."""
        head = {"alg": "ES384", "typ": "JWT", "kid": self.kid} | header
        signed = f"{packed(json.dumps(head).encode())}.{packed(json.dumps(claims).encode())}"
        r, s = decode_dss_signature(self.key.sign(signed.encode(), ec.ECDSA(hashes.SHA384())))
        return f"{signed}.{packed(r.to_bytes(48, 'big') + s.to_bytes(48, 'big'))}"

    def claims(self, nonce: bytes, **more: Any) -> dict[str, Any]:
        begin = int(self.now)
        return {"eat_nonce": nonce.hex(), "iat": begin, "nbf": begin, "exp": begin + 3600} | more

    def gpu(self, nonce: bytes, number: int, **more: Any) -> str:
        """The token of one GPU."""
        good = {"measres": "success", "secboot": True, "dbgstat": "disabled", "hwmodel": "GH100"}
        found = {
            "ueid": f"device-{number}",
            "x-nvidia-gpu-driver-version": "570.1",
            "x-nvidia-gpu-arch-check": True,
            "x-nvidia-gpu-driver-rim-cert-chain": {"x-nvidia-cert-status": "valid"},
        }
        return self.token(self.claims(nonce, **good, **found) | more)

    def evidence(self, tokens: dict[str, str], nonce: bytes, **more: Any) -> dict[str, Any]:
        """The bundle over these GPUs' tokens; `more` changes the overall claims."""
        submods = {
            which: ["DIGEST", ["SHA-256", hashlib.sha256(token.encode()).hexdigest()]]
            for which, token in tokens.items()
        }
        overall = self.claims(nonce, submods=submods, **{"x-nvidia-overall-att-result": True})
        return {"kind": "nvidia-eat", "token": [["JWT", self.token(overall | more)], tokens]}
