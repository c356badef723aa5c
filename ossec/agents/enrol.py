"""The agent's side of enrolment: ask a server's ossec-authd for a key (spec/protocol.md, section 10)."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import random
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from ossec.agents import keyfile
from ossec.agents.keyfile import BadKey, Row
from ossec.errors import OssecError
from ossec.messages import enrolment

PORT = 1515
PATIENCE = 30.0  # seconds for connecting, and for each answer; a server gives a dialogue no longer
READ = 4096
RETRY_PAUSES = (1.0, 2.0, 4.0, 8.0)  # seconds, give or take half: a rack that enrols at once is spread out
CIPHERS = (
    "EECDH+AESGCM:EDH+AESGCM:EECDH+AES256:EDH+AES256:EECDH+AES128:EDH+AES128:HIGH:"
    "!kRSA:!ADH:!EXP:!MD5:!RC4:!3DES:!CAMELLIA:@STRENGTH"
)


class EnrolmentFailed(OssecError):
    """No key: the reason, for people."""


@dataclass(frozen=True, slots=True)
class Manager:
    """Where to ask, and how to know that it is the right one.

    `ca`: a file with the certificate that the server's must be signed by (or be); the name must fit too.
    `fingerprint`: SHA-256 of the server's certificate, 64 hex digits; that alone is enough.
    """

    host: str
    port: int = PORT
    ca: str | None = None
    fingerprint: str | None = None
    certificate: str | None = None
    key: str | None = None
    ciphers: str = CIPHERS


def make_context(manager: Manager) -> ssl.SSLContext:
    """The TLS settings; EnrolmentFailed when a file or the cipher list is none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # done in `verify`, as OSSEC does it: a name or an address, SAN or CN
    context.verify_mode = ssl.CERT_REQUIRED if manager.ca else ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.set_ciphers(manager.ciphers)
        if manager.ca:
            context.load_verify_locations(manager.ca)
        if manager.certificate or manager.key:
            context.load_cert_chain(manager.certificate or "", manager.key)
    except (ssl.SSLError, OSError) as error:
        raise EnrolmentFailed(f"certificate, key or ciphers cannot be used: {error}") from None
    return context


def request_key(manager: Manager, name: str, password: str | None, say: Callable[[str], None]) -> bytes:
    """Hold the dialogue and return what the server said; EnrolmentFailed.  `say` gets OSSEC's lines on the way."""
    context = make_context(manager)
    with _connect(manager, context, say) as channel:
        try:
            say(f"INFO: Connected to {manager.host}:{manager.port}")
            if manager.ca or manager.fingerprint:
                say("INFO: Verifying manager's certificate")
                verify(channel, manager)
            say(f"INFO: Using agent name as: {name}")
            channel.sendall(enrolment.encode_request(name, password))
            say("INFO: Send request to manager. Waiting for reply.")
            return _read_all(channel)
        except OSError as error:
            raise EnrolmentFailed(f"SSL error ({getattr(error, 'reason', None) or error})") from None


def _connect(manager: Manager, context: ssl.SSLContext, say: Callable[[str], None]) -> ssl.SSLSocket:
    """A TLS connection; tried again where the server turns us away because many ask at once."""
    server_name = None if _is_address(manager.host) else manager.host
    for pause in (*RETRY_PAUSES, 0.0):
        try:
            stream = socket.create_connection((manager.host, manager.port), PATIENCE)
        except OSError as error:
            reason = error.strerror or str(error)
            raise EnrolmentFailed(f"Unable to connect to {manager.host}:{manager.port}: {reason}") from None
        try:
            return context.wrap_socket(stream, server_hostname=server_name)
        except ssl.SSLCertVerificationError as error:
            say(f"INFO: Connected to {manager.host}:{manager.port}")
            say("INFO: Verifying manager's certificate")
            raise EnrolmentFailed(f"The manager's certificate is not trusted: {error.verify_message}") from None
        except (ssl.SSLEOFError, ConnectionResetError):
            stream.close()
            time.sleep(pause * random.uniform(0.5, 1.5))
        except OSError as error:
            stream.close()
            raise EnrolmentFailed(f"SSL error ({getattr(error, 'reason', None) or error})") from None
    raise EnrolmentFailed("The manager closed the connection")


def verify(channel: ssl.SSLSocket, manager: Manager) -> None:
    """Whether the certificate is the manager's; EnrolmentFailed."""
    if manager.fingerprint:
        der = channel.getpeercert(binary_form=True) or b""
        found = hashlib.sha256(der).hexdigest()
        wanted = manager.fingerprint.replace(":", "").lower()
        if not hmac.compare_digest(found.encode(), wanted.encode("utf-8", "replace")):
            raise EnrolmentFailed(f"The manager's certificate has the fingerprint {found}: not the one given")
    if manager.ca and not names_host(channel.getpeercert() or {}, manager.host):
        raise EnrolmentFailed(f"The manager's certificate is not for '{manager.host}'")


def names_host(certificate: object, host: str) -> bool:
    """Whether a certificate, as `getpeercert` gives it, is for this name or address: SAN, CN, `*` as a first label."""
    if not isinstance(certificate, dict):
        return False
    names = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    addresses = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "IP Address"]
    names += [value for part in certificate.get("subject", ()) for kind, value in part if kind == "commonName"]
    if _is_address(host):
        wanted = ipaddress.ip_address(host)
        return any(_is_address(value) and ipaddress.ip_address(value) == wanted for value in [*addresses, *names])
    return any(_fits(name.lower(), host.lower().rstrip(".")) for name in names)


def _fits(pattern: str, host: str) -> bool:
    if pattern.startswith("*."):
        label, dot, rest = host.partition(".")
        return bool(label and dot) and "." in rest and rest == pattern[2:]
    return pattern == host


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _read_all(channel: ssl.SSLSocket) -> bytes:
    """Until the server closes, well or badly, or has said a key."""
    data = b""
    while len(data) < enrolment.MAX_REPLY:
        try:
            more = channel.recv(READ)
        except (ssl.SSLEOFError, ConnectionResetError):
            break  # OSSEC's server closes without a word
        if not more:
            break
        data += more
        if data.startswith(enrolment.KEY_HEAD) and data.endswith(enrolment.END):
            break
    return data


def check_key(line: str) -> Row:
    """The agent of a key that a server gave; BadKey."""
    row = keyfile.parse_row(line)
    keyfile.check_import(row)
    if not keyfile.is_secret(row.secret):
        raise BadKey("its key is not 64 hex digits")
    return row
