"""Attestation reports of AMD SEV-SNP: 1,184 bytes, signed by a key of the chip.

The chip's key (VCEK) is certified by AMD's signing key (ASK), and that by AMD's root (ARK), which
the operator passes. Its certificate states the chip's id and the firmware's versions, so both
must be those of the report. Layout: AMD's document 56860, "Attestation Report".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from ganglion.attest.evidence import SNP, AttestUnavailable, BadEvidence, Evidence
from ganglion.attest.roots import Roots
from ganglion.attest.verdict import Verdict
from ganglion.wire import fields

SIZE, SIGNED = 0x4A0, 0x2A0
VERSIONS = range(2, 6)
ECDSA_P384_SHA384 = 1
DEBUG, MIGRATION_AGENT = 1 << 19, 1 << 18
TURIN_FAMILY = 0x1A
MOST_CERTIFICATES, MAX_CERTIFICATES = 4, 64 << 10
UNREADABLE = (
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
)
HARDWARE_ID = "1.3.6.1.4.1.3704.1.4"
SPL = {
    "bootloader": "1.3.6.1.4.1.3704.1.3.1",
    "tee": "1.3.6.1.4.1.3704.1.3.2",
    "snp": "1.3.6.1.4.1.3704.1.3.3",
    "microcode": "1.3.6.1.4.1.3704.1.3.8",
}
"""The VCEK's extensions with the versions that its key was derived from."""

TCB_BYTES = {"bootloader": 0, "tee": 1, "snp": 6, "microcode": 7}
TURIN_BYTES = {"bootloader": 1, "tee": 2, "snp": 3, "microcode": 7}
MEASUREMENTS = {
    "measurement": (0x90, 48),
    "host_data": (0xC0, 32),
    "id_key_digest": (0xE0, 48),
    "author_key_digest": (0x110, 48),
    "family_id": (0x10, 16),
    "image_id": (0x20, 16),
}


def verify(
    evidence: Evidence,
    expected_report_data: bytes,
    now: float,
    roots: Roots,
    minimum_tcb: Mapping[str, int],
) -> Verdict:
    """The verdict on a report; BadEvidence if it does not hold now or is bound to something else.

    The status is UpToDate from `minimum_tcb` on, else OutOfDate. AttestUnavailable without roots.
    """
    if not roots.amd:
        raise AttestUnavailable(
            "no root of AMD's is known here: fetch the ARK certificates from AMD, put them as "
            "amd-*.pem into a folder and pass it as --attest-roots"
        )
    given = evidence.fields
    fields.only(given, frozenset({"report", "certificates"}))
    report = fields.hexadecimal(given, "report", SIZE)
    chip_key = _chain(given.get("certificates"), roots, now)
    _check_form(report)
    _check_signature(report, chip_key)
    versions = tcb(report, 0x180)
    _check_chip(report, versions, chip_key)
    if report[0x50:0x90] != expected_report_data:
        raise BadEvidence("the report is bound to another miner, key or block")
    found = {n: report[at : at + size].hex() for n, (at, size) in MEASUREMENTS.items()}
    found["policy"] = report[0x08:0x10].hex()
    new = all(versions[name] >= least for name, least in minimum_tcb.items())
    return Verdict(SNP, "UpToDate" if new else "OutOfDate", found)


def tcb(report: bytes, at: int) -> dict[str, int]:
    """The firmware's versions in the eight bytes from `at`; Turin orders them in its own way."""
    version = int.from_bytes(report[:4], "little")
    turin = version >= 3 and report[0x188] >= TURIN_FAMILY
    return {name: report[at + i] for name, i in (TURIN_BYTES if turin else TCB_BYTES).items()}


def _check_form(report: bytes) -> None:
    """BadEvidence for reports that cannot be trusted whoever signed them."""
    if int.from_bytes(report[:4], "little") not in VERSIONS:
        raise BadEvidence("reports of this version are unknown here")
    if int.from_bytes(report[0x34:0x38], "little") != ECDSA_P384_SHA384:
        raise BadEvidence("the report is not signed with ECDSA on P-384")
    policy = int.from_bytes(report[0x08:0x10], "little")
    if policy & DEBUG:
        raise BadEvidence("the machine can be debugged, so nothing in it is secret")
    if policy & MIGRATION_AGENT:
        raise BadEvidence("the machine may be moved by an agent that nobody vouched for")
    if int.from_bytes(report[0x30:0x34], "little") > 3:
        raise BadEvidence("the report was asked for by the host, not by the machine")
    if (int.from_bytes(report[0x48:0x4C], "little") >> 2) & 7:
        raise BadEvidence("the report is not signed by the chip's own key (VCEK)")


def _check_signature(report: bytes, certificate: x509.Certificate) -> None:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise BadEvidence("the chip's certificate has no key on P-384")
    r = int.from_bytes(report[0x2A0 : 0x2A0 + 72], "little")
    s = int.from_bytes(report[0x2E8 : 0x2E8 + 72], "little")
    if report[0x330:].strip(b"\0"):
        raise BadEvidence("there is something behind the report's signature")
    try:
        key.verify(encode_dss_signature(r, s), report[:SIGNED], ec.ECDSA(hashes.SHA384()))
    except InvalidSignature as e:
        raise BadEvidence("the report's signature does not hold") from e


def _check_chip(report: bytes, versions: Mapping[str, int], certificate: x509.Certificate) -> None:
    """BadEvidence unless the certificate is of this chip with this firmware."""
    masked = int.from_bytes(report[0x48:0x4C], "little") & 2
    chip = report[0x1A0:0x1E0]
    certified = _extension(certificate, HARDWARE_ID)
    if masked or chip[: len(certified)] != certified or chip[len(certified) :].strip(b"\0"):
        raise BadEvidence("the certificate is of another chip than the report")
    for name, oid in SPL.items():
        value = _extension(certificate, oid)
        if len(value) < 3 or value[0] != 2 or int.from_bytes(value[2:], "big") != versions[name]:
            raise BadEvidence(f"the certificate is of another version of the {name} firmware")


def _extension(certificate: x509.Certificate, oid: str) -> bytes:
    try:
        found = certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier(oid)).value
    except x509.ExtensionNotFound as e:
        raise BadEvidence("the chip's certificate does not say which chip it is of") from e
    if not isinstance(found, x509.UnrecognizedExtension) or not found.value:
        raise BadEvidence("the chip's certificate does not say which chip it is of")
    return found.value


def _chain(value: object, roots: Roots, now: float) -> x509.Certificate:
    """The chip's certificate, first of a PEM chain that leads to a root; BadEvidence if not."""
    if not isinstance(value, str) or len(value) > MAX_CERTIFICATES:
        raise BadEvidence("a report comes with certificates: PEM text, the chip's (VCEK) first")
    try:
        chain = x509.load_pem_x509_certificates(value.encode())
        for certificate in chain:  # read all that is asked of them below
            certificate.public_key()
            list(certificate.extensions)
    except (ValueError, TypeError, *UNREADABLE) as e:
        raise BadEvidence(f"the certificates cannot be read: {str(e)[:200]}") from e
    if not 2 <= len(chain) <= MOST_CERTIFICATES:
        raise BadEvidence("the certificates are the chip's (VCEK) and AMD's signing key (ASK)")
    chip, signer = chain[0], chain[1]
    root = next((r for r in roots.amd if _issued(signer, r)), None)
    if root is None or not _issued(chip, signer):
        raise BadEvidence("the chip's certificate does not lead to a root of AMD's known here")
    _check_dates((chip, signer, root), now)
    _check_revoked((chip, signer), (signer, root), roots.amd_crls)
    return chip


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether an RSA key of 4096 bits of `issuer` signed this certificate."""
    key = issuer.public_key()
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size != 4096:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _check_dates(chain: Sequence[x509.Certificate], now: float) -> None:
    moment = datetime.fromtimestamp(now, UTC)
    for certificate in chain:
        if not certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc:
            raise BadEvidence("a certificate of the chip's chain is not valid at this time")


def _check_revoked(
    chain: Sequence[x509.Certificate],
    issuers: Sequence[x509.Certificate],
    crls: Sequence[x509.CertificateRevocationList],
) -> None:
    """BadEvidence if an issuer's revocation list, of those passed, names its certificate."""
    for certificate, issuer in zip(chain, issuers):
        for crl in crls:
            if crl.issuer != issuer.subject:
                continue
            if not crl.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]
                continue
            if crl.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None:
                raise BadEvidence("AMD has revoked a certificate of the chip's chain")
