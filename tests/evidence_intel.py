"""Quotes of TDX and SGX with all their collateral, signed by a root of the test's own.

The layouts are Intel's; the roots are not, so a verifier takes these only when told to trust them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

FMSPC = bytes.fromhex("b0c06f000000")
SGX_OID = "1.2.840.113741.1.13.1"
VENDOR = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
QE_SIGNER = b"\x0a" * 32
KeyUsage = x509.KeyUsage


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def der(tag: int, content: bytes) -> bytes:
    """One DER value."""
    size = len(content)
    length = bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + length + content


def oid(text: str) -> bytes:
    first, second, *rest = (int(n) for n in text.split("."))
    out = bytes([40 * first + second])
    for number in rest:
        digits = [number & 0x7F]
        while number := number >> 7:
            digits.append(0x80 | number & 0x7F)
        out += bytes(reversed(digits))
    return der(6, out)


def entry(path: str, value: bytes) -> bytes:
    return der(0x30, oid(f"{SGX_OID}.{path}") + value)


def raw_signature(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]


@dataclass
class Authority:
    """A key with its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def crl(self, now: datetime, revoked: tuple[int, ...] = ()) -> bytes:
        made = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now - timedelta(days=1))
            .next_update(now + timedelta(days=29))
            .add_extension(x509.CRLNumber(1), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False
            )
        )
        for serial in revoked:
            one = x509.RevokedCertificateBuilder().serial_number(serial)
            made = made.add_revoked_certificate(one.revocation_date(now).build())
        return made.sign(self.key, hashes.SHA256()).public_bytes(Encoding.DER)


def authority(
    subject: str, issuer: Authority | None, now: datetime, extra: bytes = b"", ca: bool = True
) -> Authority:
    """A certificate on P-256; `extra` is the SGX extension of a PCK certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    signer = issuer.key if issuer else key
    made = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(issuer.certificate.subject if issuer else name(subject))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=365))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca, None), True)
        .add_extension(
            KeyUsage(not ca, False, False, False, False, ca, ca, False, False), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False
        )
    )
    if extra:
        made = made.add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier(SGX_OID), extra), False
        )
    return Authority(key, made.sign(signer, hashes.SHA256()))


def sgx_extension() -> bytes:
    """What a PCK certificate says of its platform."""
    tcb = b"".join(entry(f"2.{i}", der(2, b"\x05")) for i in range(1, 17))
    tcb += entry("2.17", der(2, b"\x0b")) + entry("2.18", der(4, b"\x05" * 16))
    return der(
        0x30,
        entry("1", der(4, b"\x01" * 16))
        + entry("2", der(0x30, tcb))
        + entry("3", der(4, bytes(2)))
        + entry("4", der(4, FMSPC))
        + entry("5", der(10, b"\0")),
    )


def enclave_report(signer: bytes, product: int, data: bytes, enclave: bytes = bytes(32)) -> bytes:
    """384 bytes of an SGX report; not debuggable."""
    out = bytearray(384)
    out[0:16] = b"\x05" * 16
    out[48:64] = bytes.fromhex("1100000000000000e700000000000000")
    out[64:96], out[128:160] = enclave, signer
    out[256:258], out[258:260] = product.to_bytes(2, "little"), (8).to_bytes(2, "little")
    out[320 : 320 + len(data)] = data
    return bytes(out)


@dataclass
class Intel:
    """A manufacturer: its root, and platforms that quote whatever they are asked to."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    status: str = "UpToDate"
    revoke: bool = False

    def __post_init__(self) -> None:
        self.root = authority("Root", None, self.now)
        self.pck_ca = authority("Platform CA", self.root, self.now)
        self.pck = authority("PCK", self.pck_ca, self.now, sgx_extension(), ca=False)
        self.signing = authority("TCB Signing", self.root, self.now, ca=False)
        self.attestation = ec.generate_private_key(ec.SECP256R1())

    def root_der(self) -> bytes:
        return self.root.certificate.public_bytes(Encoding.DER)

    def _dates(self) -> dict[str, str]:
        form, issued = "%Y-%m-%dT%H:%M:%SZ", self.now - timedelta(days=1)
        later = issued + timedelta(days=30)
        return {"issueDate": issued.strftime(form), "nextUpdate": later.strftime(form)}

    def _tcb_info(self, tdx: bool) -> str:
        components = [{"svn": 5}] * 16
        tcb = {"sgxtcbcomponents": components, "pcesvn": 11}
        level = {"tcbDate": "2024-03-13T00:00:00Z", "tcbStatus": self.status}
        if self.status != "UpToDate":
            level |= {"advisoryIDs": ["INTEL-SA-00001"]}
        module: dict[str, Any] = {
            "mrsigner": "00" * 48,
            "attributes": "00" * 8,
            "attributesMask": "FF" * 8,
        }
        more = {"tdxModule": module, "tdxModuleIdentities": []} if tdx else {}
        tcb |= {"tdxtcbcomponents": [{"svn": 5}, {"svn": 0}, *components[2:]]} if tdx else {}
        return json.dumps(
            {"id": "TDX" if tdx else "SGX", "version": 3, **self._dates(), "fmspc": FMSPC.hex()}
            | {"pceId": "0000", "tcbType": 0, "tcbEvaluationDataNumber": 17, **more}
            | {"tcbLevels": [{"tcb": tcb, **level}]}
        )

    def _qe_identity(self, tdx: bool) -> str:
        level = {"tcb": {"isvsvn": 8}, "tcbDate": "2024-03-13T00:00:00Z", "tcbStatus": "UpToDate"}
        return json.dumps(
            {"id": "TD_QE" if tdx else "QE", "version": 2, **self._dates()}
            | {"tcbEvaluationDataNumber": 17, "miscselect": "00" * 4, "miscselectMask": "FF" * 4}
            | {"attributes": "11" + "00" * 15, "attributesMask": "FB" + "FF" * 7 + "00" * 8}
            | {"mrsigner": QE_SIGNER.hex(), "isvprodid": 2, "tcbLevels": [level]}
        )

    def collateral(self, tdx: bool) -> dict[str, str]:
        tcb, qe = self._tcb_info(tdx), self._qe_identity(tdx)
        chain = self.signing.pem() + self.root.pem()
        gone = (self.pck.certificate.serial_number,) if self.revoke else ()
        return {
            "pck_crl_issuer_chain": self.pck_ca.pem() + self.root.pem(),
            "root_ca_crl": self.root.crl(self.now).hex(),
            "pck_crl": self.pck_ca.crl(self.now, gone).hex(),
            "tcb_info_issuer_chain": chain,
            "tcb_info": tcb,
            "tcb_info_signature": raw_signature(self.signing.key, tcb.encode()).hex(),
            "qe_identity_issuer_chain": chain,
            "qe_identity": qe,
            "qe_identity_signature": raw_signature(self.signing.key, qe.encode()).hex(),
        }

    def _authentication(self, signed: bytes, v4: bool) -> bytes:
        """The part of a quote behind header and report, with its length."""
        more = b"\x07" * 32
        bound = sha256(point(self.attestation) + more).digest()
        report = enclave_report(QE_SIGNER, 2, bound)
        pem = (self.pck.pem() + self.pck_ca.pem() + self.root.pem()).encode()
        inner = report + raw_signature(self.pck.key, report)
        inner += len(more).to_bytes(2, "little") + more
        inner += (5).to_bytes(2, "little") + len(pem).to_bytes(4, "little") + pem
        head = raw_signature(self.attestation, signed) + point(self.attestation)
        if v4:
            head += (6).to_bytes(2, "little") + len(inner).to_bytes(4, "little")
        return len(head + inner).to_bytes(4, "little") + head + inner

    def tdx(self, report_data: bytes, attributes: str = "0000001000000000") -> bytes:
        """A TDX quote of version 4. Its MRTD is 0xaa.., RTMR0 to 3 0xb0.. to 0xb3..."""
        header = (4).to_bytes(2, "little") + (2).to_bytes(2, "little")
        header += (0x81).to_bytes(4, "little") + bytes(4) + VENDOR + bytes(20)
        body = bytearray(584)
        body[0:16] = b"\x05\x00" + b"\x05" * 14
        body[120:128] = bytes.fromhex(attributes)
        body[128:136] = bytes.fromhex("e702060000000000")
        body[136:184] = b"\xaa" * 48
        for i in range(4):
            body[328 + 48 * i : 376 + 48 * i] = bytes([0xB0 + i]) * 48
        body[520:584] = report_data
        signed = header + bytes(body)
        return signed + self._authentication(signed, v4=True)

    def sgx(self, report_data: bytes) -> bytes:
        """An SGX quote of version 3. Its MRENCLAVE is 0xcc.., its MRSIGNER 0xdd..."""
        header = (3).to_bytes(2, "little") + (2).to_bytes(2, "little") + bytes(8)
        signed = header + VENDOR + bytes(20)
        signed += enclave_report(b"\xdd" * 32, 1, report_data, b"\xcc" * 32)
        return signed + self._authentication(signed, v4=False)

    def evidence(self, kind: str, report_data: bytes) -> dict[str, Any]:
        """A piece of evidence of kind tdx-v4 or sgx."""
        tdx = kind == "tdx-v4"
        quote = self.tdx(report_data) if tdx else self.sgx(report_data)
        return {"kind": kind, "quote": "0x" + quote.hex(), "collateral": self.collateral(tdx)}
