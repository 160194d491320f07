"""The report server's certificate: made by the operator itself, signed by an authority of its own.

The pods trust that authority alone, so nothing else needs to know it. Pure: PEM in, PEM out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 3650
SERVER_DAYS = 90
RENEW_DAYS = 30
"""Before its end."""
EARLIER = timedelta(hours=1)
"""Clocks differ."""


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, and the authority that signed it; all in PEM."""

    certificate: bytes
    key: bytes
    authority: bytes
    authority_key: bytes = b""
    """Empty where somebody else signs."""


def is_due(held: Certificate, names: Sequence[str], now: datetime) -> bool:
    """Whether it should be made anew: it ends soon, cannot be read, or is for other names."""
    try:
        found = x509.load_pem_x509_certificate(held.certificate)
        extension = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (ValueError, x509.ExtensionNotFound):
        return True
    missing = set(names) - set(extension.value.get_values_for_type(x509.DNSName))
    return bool(missing) or found.not_valid_after_utc - now < timedelta(days=RENEW_DAYS)


def signs_itself(held: Certificate) -> bool:
    """Whether the authority is ours: its key is there, and is the one of its certificate."""
    try:
        authority = x509.load_pem_x509_certificate(held.authority)
        key = serialization.load_pem_private_key(held.authority_key, None)
    except ValueError:
        return False
    return key.public_key() == authority.public_key()


def make_certificate(
    names: Sequence[str], now: datetime, before: Certificate | None = None
) -> Certificate:
    """A new certificate for these DNS names, by the authority of `before`, or by a new one."""
    authority, authority_key = _authority(now, before)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _certificate(names[0], key, authority.subject, now, SERVER_DAYS)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    return Certificate(
        certificate=certificate.public_bytes(serialization.Encoding.PEM),
        key=_key_pem(key),
        authority=authority.public_bytes(serialization.Encoding.PEM),
        authority_key=_key_pem(authority_key),
    )


def _authority(
    now: datetime, before: Certificate | None
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    if before and signs_itself(before):
        certificate = x509.load_pem_x509_certificate(before.authority)
        loaded = serialization.load_pem_private_key(before.authority_key, None)
        left = certificate.not_valid_after_utc - now
        if isinstance(loaded, ec.EllipticCurvePrivateKey) and left.days > SERVER_DAYS:
            return certificate, loaded
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("text-to-video-operator authority")
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _certificate("text-to-video-operator authority", key, name, now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def _certificate(
    subject: str, key: ec.EllipticCurvePrivateKey, issuer: x509.Name, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - EARLIER)
        .not_valid_after(now.astimezone(UTC) + timedelta(days=days))
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
