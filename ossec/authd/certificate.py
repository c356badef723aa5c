"""The server's own certificate, made at the first start where none was given.

It is self-signed: an agent trusts it by a copy (`agent-auth -v`) or by its fingerprint (`agent-auth --fingerprint`).
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import os
import socket
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ossec.errors import ConfigError

LIFETIME = datetime.timedelta(days=3650)
BACKDATED = datetime.timedelta(days=1)  # an agent's clock may be behind
MAX_NAME = 64  # characters of a common name
KEY_MODE = 0o640
CERTIFICATE_MODE = 0o644


def make(host: str, addresses: list[str], now: datetime.datetime) -> tuple[bytes, bytes]:
    """(certificate, key) in PEM, for a host with these names and addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:MAX_NAME] or "ossec")])
    names: list[x509.GeneralName] = [x509.DNSName(host)] if host.isascii() and host else []
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def ensure(certificate: Path, key: Path) -> bool:
    """Make both where neither is; whether they were made.  ConfigError where only one is there."""
    if certificate.exists() and key.exists():
        return False
    if certificate.exists() or key.exists():
        missing = key if certificate.exists() else certificate
        raise ConfigError(
            "is missing, but its other half is there. Bring it back, or remove both for new ones", missing
        )
    host = socket.gethostname()
    made = make(host, own_addresses(host), datetime.datetime.now(datetime.UTC))
    for path, data, mode in ((key, made[1], KEY_MODE), (certificate, made[0], CERTIFICATE_MODE)):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as out:
            out.write(data)
    return True


def own_addresses(host: str) -> list[str]:
    """What this machine's name resolves to, and the address that its default route uses."""
    found: list[str] = []
    try:
        found += [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except OSError:
        pass
    for family, far in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((far, 9))  # sends nothing: the kernel only chooses a route
                found.append(str(probe.getsockname()[0]))
        except OSError:
            continue
    return [address for address in dict.fromkeys(found) if "%" not in address]


def fingerprint(pem: bytes) -> str:
    """SHA-256 of a certificate in PEM, 64 hex digits; ConfigError."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise ConfigError(f"no certificate in PEM ({error})") from None
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()
