"""A home for one output daemon: the test writes the alert files, the daemon is a real process."""

from __future__ import annotations

import datetime
import ipaddress
import os
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support import make_bare_home, wait_until

CHECKOUT = Path(__file__).resolve().parents[2]


def alert(number: int, log: bytes = b"", mail: bool = True, group: bytes = b"local,syslog,") -> bytes:
    flag = b"mail  " if mail else b""
    head = b"** Alert 1795319500.%d: %b- %b\n2026 Nov 22 03:51:40 web1->/var/log/app.log\n" % (number, flag, group)
    return head + b"Rule: 100999 (level 9) -> 'Hand made alert.'\n%b\n\n" % (log or b"alert number <%d>" % number)


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class OutputHome:
    """`module` is the daemon's package; `sections` go into ossec.conf."""

    def __init__(self, home: Path, module: str) -> None:
        self.layout = make_bare_home(home)
        self.module = module
        self.process: subprocess.Popen[bytes] | None = None
        self.environment: dict[str, str] = {}
        (home / "tmp").mkdir(exist_ok=True)
        self.layout.logs_dir.mkdir(exist_ok=True)

    def configure(self, sections: str, options: str = "") -> None:
        self.layout.ossec_conf.write_text(f"<ossec_config>\n{sections}</ossec_config>\n")
        self.layout.local_internal_options.write_text(options)

    def write(self, data: bytes) -> None:
        path = self.layout.alerts_of(datetime.date.today())
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as out:
            out.write(data)

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", f"ossec.{self.module}", "--home", str(self.layout.home), *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words), capture_output=True, text=True, check=False, cwd=CHECKOUT, timeout=60
        )

    def start(self) -> None:
        """Until it says so."""
        before = self.log().count("Started (pid")
        environment = {**os.environ, **self.environment}
        self.process = subprocess.Popen(self.command("-f"), cwd=CHECKOUT, env=environment, stderr=subprocess.DEVNULL)
        process = self.process
        wait_until(
            lambda: process.poll() is not None or self.log().count("Started (pid") > before, f"ossec.{self.module}"
        )
        assert process.poll() is None, self.log()

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        status = self.process.wait(40)
        self.process = None
        return status

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    def log(self) -> str:
        return self.layout.ossec_log.read_text() if self.layout.ossec_log.exists() else ""


def make_certificate(folder: Path) -> ssl.SSLContext:
    """A private CA's certificate for 127.0.0.1, in ca.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sink")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return context
