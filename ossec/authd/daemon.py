"""The shell of ossec-authd: TLS dialogues, each non-blocking on the one loop, each with an end (`DIALOGUE_LIMIT`).

A dialogue: handshake, request (put together from as many reads as it takes), a wish to the keeper and its answer,
answer, TLS close.  At most `authd.max_connections` at a time, a quarter of them from one address; what comes beyond
waits in the kernel's queue.
"""

from __future__ import annotations

import enum
import logging
import socket
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ossec.authd import certificate, keeper, password
from ossec.authd.core import Line, RateLimit, Verdict, Wish, judge
from ossec.daemon import Context, Service, Timer
from ossec.errors import ConfigError, OssecError
from ossec.messages import enrolment

if TYPE_CHECKING:
    import click

log = logging.getLogger("ossec.authd")

DEFAULT_PORT = 1515
CIPHERS = (
    "EECDH+AESGCM:EDH+AESGCM:EECDH+AES256:EDH+AES256:EECDH+AES128:EDH+AES128:HIGH:"
    "!kRSA:!ADH:!EXP:!MD5:!RC4:!3DES:!CAMELLIA:@STRENGTH"
)
DIALOGUE_LIMIT = 30.0  # seconds for one connection, as in OSSEC
BACKLOG = 128
SHARE = 4  # one address has at most this part of the connections
READ = 4096
MAX_WISHES = 1024  # answers taken from the keeper in one turn


class Step(enum.Enum):
    """Where a dialogue is."""

    HANDSHAKE = enum.auto()
    REQUEST = enum.auto()
    WAITING = enum.auto()  # for the keeper
    ANSWER = enum.auto()
    CLOSING = enum.auto()


class Dialogue:
    """One connection."""

    def __init__(self, number: int, stream: ssl.SSLSocket, source: str, limit: Timer) -> None:
        self.number = number
        self.stream = stream
        self.source = source
        self.limit = limit
        self.step = Step.HANDSHAKE
        self.request = b""
        self.answer = b""


class AuthdService(Service):
    """See the module's head."""

    name = "ossec-authd"
    summary = "Enrol agents: give a key to whoever asks over TLS and knows the password."
    user = "ossec"
    flags = "ug"
    debug_option = "authd.debug"

    @classmethod
    def own_options(cls) -> list[click.Parameter]:
        import click

        return [
            click.Option(
                ["-p", "--port"], type=click.IntRange(1, 65535), default=DEFAULT_PORT, help="Listen on this TCP port."
            ),
            click.Option(
                ["-i", "--source-ip", "use_source"],
                is_flag=True,
                help="Bind each agent to the address that it enrols from (default: any).",
            ),
            click.Option(["-n", "--no-password", "open"], is_flag=True, help="Ask for no password."),
            click.Option(["-c", "--ciphers"], metavar="LIST", default=CIPHERS, help="OpenSSL cipher list for TLS 1.2."),
            click.Option(["-v", "--ca"], metavar="FILE", help="Demand client certificates that this CA has signed."),
            click.Option(["-x", "--cert"], metavar="FILE", help="Server certificate (default: etc/sslmanager.cert)."),
            click.Option(["-k", "--key"], metavar="FILE", help="Its key (default: etc/sslmanager.key)."),
        ]

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.extra = context.options.extra
        self.limit = context.internal.get("authd.max_connections")
        self.password: str | None = None
        self.from_file = False
        self._read_password()
        self.rate = RateLimit()
        self.dialogues: dict[int, Dialogue] = {}
        self.last = 0
        self.accepting = False
        self.counts = {"connections": 0, "added": 0, "refused": 0, "turned_away": 0}

    @classmethod
    def test(cls, context: Context) -> int:
        """Also whether the certificate can be used, where there is one."""
        service = cls(context)
        if service._certificate().exists() and service._key().exists():
            service._make_context()
        return 0

    def _read_password(self) -> None:
        if self.extra["open"]:
            return
        path = self.layout.authd_password
        try:
            found = password.read(path)
        except OSError as error:
            raise ConfigError(f"cannot be read ({error.strerror})", path) from None
        self.from_file = found is not None
        if found is not None:
            self.password = found
        elif self.password is None:
            self.password = password.make()

    def _certificate(self) -> Path:
        return Path(self.extra["cert"]) if self.extra["cert"] else self.layout.manager_certificate

    def _key(self) -> Path:
        return Path(self.extra["key"]) if self.extra["key"] else self.layout.manager_key

    def _make_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        try:
            context.set_ciphers(self.extra["ciphers"])
        except ssl.SSLError:
            raise ConfigError(f"-c: OpenSSL knows no cipher of {self.extra['ciphers']!r}") from None
        try:
            context.load_cert_chain(self._certificate(), self._key())
        except (ssl.SSLError, OSError) as error:
            raise ConfigError(f"certificate and key cannot be used ({error})", self._certificate()) from None
        if self.extra["ca"]:
            try:
                context.load_verify_locations(self.extra["ca"])
            except (ssl.SSLError, OSError) as error:
                raise ConfigError(f"no CA certificate ({error})", self.extra["ca"]) from None
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    # life
    def prepare(self) -> None:
        """The certificate's key and the port may need root, and client.keys does."""
        if certificate.ensure(self._certificate(), self._key()):
            log.info("Certificate generated: %s", self._certificate())
        self.tls = self._make_context()
        fingerprint = certificate.fingerprint(self._certificate().read_bytes())
        log.info("Certificate fingerprint (SHA-256), for agent-auth --fingerprint: %s", fingerprint)
        self.listener = self._listen()
        self.keeper = keeper.start(self.layout, bool(self.extra["use_source"]))

    def _listen(self) -> socket.socket:
        port = self.extra["port"]
        try:
            bound = socket.socket(socket.AF_INET6, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            anywhere = "::"
        except OSError:  # a kernel without IPv6
            bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
            anywhere = "0.0.0.0"
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((anywhere, port))
            bound.listen(BACKLOG)
        except OSError as error:
            bound.close()
            raise ConfigError(f"Unable to bind to port {port} ({error.strerror})") from None
        return bound

    def open(self) -> None:
        if self.password is None:
            log.info("Accepting connections. No password required (not recommended)")
        elif self.from_file:
            log.info("Accepting connections. Using password specified on file: %s", self.layout.authd_password)
        else:
            log.info("Accepting connections. Random password chosen for agent authentication: %s", self.password)
        self.loop.on_readable(self.keeper.fileno(), self._take_answers)
        self._accept_or_wait()

    def reload(self) -> None:
        """The password file."""
        self._read_password()

    def close(self) -> None:
        self.listener.close()
        for dialogue in list(self.dialogues.values()):
            self._end(dialogue)
        self.keeper.close()

    def state(self) -> Mapping[str, object]:
        return {"open": len(self.dialogues), **self.counts}

    # connections
    def _accept_or_wait(self) -> None:
        wanted = len(self.dialogues) < self.limit
        if wanted == self.accepting:
            return
        self.accepting = wanted
        if wanted:
            self.loop.on_readable(self.listener.fileno(), self._accept)
        else:
            self.loop.forget_readable(self.listener.fileno())

    def _accept(self) -> None:
        try:
            accepted, address = self.listener.accept()
        except OSError as error:
            log.debug("accepting: %s", error)
            return
        source = str(address[0]).removeprefix("::ffff:").partition("%")[0]
        self.counts["connections"] += 1
        crowd = sum(dialogue.source == source for dialogue in self.dialogues.values())
        if not self.rate.admit(source, self.loop.now()) or crowd >= max(1, self.limit // SHARE):
            self.counts["turned_away"] += 1
            if self.rate.first_refusal(source):
                log.warning("Too many connections from %s: turned away until they are fewer.", source)
            accepted.close()
            return
        accepted.setblocking(False)
        stream = self.tls.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
        self.last += 1
        number = self.last
        limit = self.loop.call_later(DIALOGUE_LIMIT, lambda: self._give_up(number))
        dialogue = self.dialogues[number] = Dialogue(number, stream, source, limit)
        log.info("New connection from %s", source)
        self._accept_or_wait()
        self._advance(dialogue)

    def _give_up(self, number: int) -> None:
        dialogue = self.dialogues.get(number)
        if dialogue is not None:
            if dialogue.step is not Step.CLOSING:
                log.error("SSL I/O timed out after %g seconds (%s).", DIALOGUE_LIMIT, dialogue.source)
            self._end(dialogue)

    def _end(self, dialogue: Dialogue) -> None:
        self.loop.forget(dialogue.stream.fileno())
        dialogue.limit.cancel()
        dialogue.stream.close()
        del self.dialogues[dialogue.number]
        if self.listener.fileno() >= 0:
            self._accept_or_wait()

    def _advance(self, dialogue: Dialogue) -> None:
        """Go on until the peer has to do something."""
        descriptor = dialogue.stream.fileno()
        try:
            while self._step(dialogue):
                pass
        except ssl.SSLWantReadError:
            self.loop.forget_writable(descriptor)
            self.loop.on_readable(descriptor, lambda: self._advance(dialogue))
        except ssl.SSLWantWriteError:
            self.loop.forget_readable(descriptor)
            self.loop.on_writable(descriptor, lambda: self._advance(dialogue))
        except (ssl.SSLError, OSError) as error:
            if dialogue.step is Step.HANDSHAKE:
                log.error("SSL Error (%s): %s", dialogue.source, _reason(error))
            self._end(dialogue)

    def _step(self, dialogue: Dialogue) -> bool:
        """One step; False when nothing more is to be done now."""
        match dialogue.step:
            case Step.HANDSHAKE:
                dialogue.stream.do_handshake()
                dialogue.step = Step.REQUEST
            case Step.REQUEST:
                data = dialogue.stream.recv(READ)
                dialogue.request += data
                if not data or enrolment.is_complete(dialogue.request):
                    self._judge(dialogue)
            case Step.WAITING:
                self.loop.forget(dialogue.stream.fileno())
                return False
            case Step.ANSWER:
                while dialogue.answer:
                    dialogue.answer = dialogue.answer[dialogue.stream.send(dialogue.answer) :]
                dialogue.step = Step.CLOSING
            case Step.CLOSING:
                try:
                    dialogue.stream.unwrap()
                except ssl.SSLWantReadError:
                    pass  # our close is out; theirs need not come
                self._end(dialogue)
                return False
        return True

    # requests
    def _judge(self, dialogue: Dialogue) -> None:
        judged = judge(dialogue.request[: enrolment.MAX_REQUEST], dialogue.source, self.password)
        if isinstance(judged, Verdict):
            self._settle(dialogue, judged.answer, judged.log)
            if judged.guess:
                self.rate.penalise(dialogue.source, self.loop.now())
            return
        _write(judged.log)
        dialogue.step = Step.WAITING
        self._ask_keeper(dialogue, judged)

    def _ask_keeper(self, dialogue: Dialogue, wish: Wish) -> None:
        """At most `authd.max_connections` wishes wait, which a socket's buffer holds."""
        try:
            self.keeper.send(keeper.encode_wish(dialogue.number, wish))
        except OSError as error:
            raise OssecError(f"the process that writes client.keys is gone ({error.strerror})") from None

    def _take_answers(self) -> None:
        for _ in range(MAX_WISHES):
            try:
                datagram = self.keeper.recv(keeper.MAX_MESSAGE)
            except BlockingIOError:
                return
            if not datagram:
                raise OssecError("the process that writes client.keys is gone")
            number, answer, lines = keeper.decode_answer(datagram)
            dialogue = self.dialogues.get(number)
            if dialogue is not None:
                self._settle(dialogue, answer, lines)
                self._advance(dialogue)
            else:
                _write(lines)

    def _settle(self, dialogue: Dialogue, answer: bytes, lines: Iterable[Line]) -> None:
        _write(lines)
        added = answer.startswith(enrolment.KEY_HEAD)
        self.counts["added" if added else "refused"] += 1
        if added:
            self.rate.refund(dialogue.source, self.loop.now())
        dialogue.answer = answer
        dialogue.step = Step.ANSWER


def _write(lines: Iterable[Line]) -> None:
    for level, text in lines:
        log.log(level, "%s", text)


def _reason(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error.strerror or error)
