"""One connection to a syslog server: UDP, TCP, or TLS.  Nothing here waits; errors are OSErrors, as ssl.SSLError is."""

from __future__ import annotations

import fcntl
import socket
import ssl
import struct
import termios
from typing import Protocol

RECEIVE = 4096  # bytes read of what a server says, which is nothing but the end and TLS
MAX_UNSENT = 256 * 1024  # bytes kept here for a socket that takes none
KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 6))
USER_TIMEOUT = 10_000  # milliseconds without acknowledgement after which a connection is dead; OSSEC's limit of 10 s


class Closed(OSError):
    """The other side has closed the connection."""


def one_line(message: bytes) -> bytes:
    """As it goes over a stream, where a newline ends a message."""
    return message.replace(b"\r", b" ").replace(b"\n", b" ")


class Link(Protocol):
    """`send` takes a message as long as `ready`; `sent` and `arrived` count bytes of the connection."""

    ready: bool
    sent: int

    def fileno(self) -> int: ...
    def send(self, message: bytes) -> bool:
        """False: the socket takes no more now, and has not taken this one."""
        ...

    def pump(self) -> None:
        """Go on with what the socket did not take at once."""
        ...

    def receive(self) -> None:
        """Take what the server says; Closed at its end."""
        ...

    @property
    def wants_write(self) -> bool: ...
    @property
    def arrived(self) -> int: ...
    def close(self) -> None: ...


class DatagramLink:
    """UDP.  The socket is connected, so that a refusal comes back."""

    wants_write = False

    def __init__(self, family: int, address: tuple[object, ...]) -> None:
        self.ready = True
        self.sent = 0
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            self._socket.connect(address)
        except OSError:
            self._socket.close()
            raise

    @property
    def arrived(self) -> int:
        return self.sent

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, message: bytes) -> bool:
        try:
            self._socket.send(message)
        except BlockingIOError:
            return False
        self.sent += len(message)
        return True

    def pump(self) -> None:
        """Nothing is kept."""

    def receive(self) -> None:
        try:
            self._socket.recv(RECEIVE)
        except BlockingIOError:
            pass

    def close(self) -> None:
        self._socket.close()


class StreamLink:
    """TCP, with `context` TLS.  Not `ready` until it is connected, and the certificate is good."""

    def __init__(
        self, family: int, address: tuple[object, ...], context: ssl.SSLContext | None = None, name: str = ""
    ) -> None:
        self.ready = False
        self.sent = 0
        self._unsent = bytearray()
        self._connected = False
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, False, name) if context else None
        self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in KEEPALIVE:
                self._socket.setsockopt(socket.IPPROTO_TCP, option, value)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT)
            self._socket.connect(address)
        except BlockingIOError:
            pass
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def wants_write(self) -> bool:
        return not self._connected or bool(self._unsent)

    @property
    def arrived(self) -> int:
        """Bytes that the other kernel has acknowledged."""
        answer = fcntl.ioctl(self._socket, termios.TIOCOUTQ, struct.pack("i", 0))
        return self.sent - len(self._unsent) - int(struct.unpack("i", answer)[0])

    def send(self, message: bytes) -> bool:
        if len(self._unsent) >= MAX_UNSENT:
            return False
        line = one_line(message) + b"\n"
        if self._tls is not None:
            self._tls.write(line)
            line = self._outgoing.read()
        self._unsent += line
        self.sent += len(line)
        return True

    def pump(self) -> None:
        if not self._connected:
            error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, "not connected")
            try:
                self._socket.getpeername()
            except OSError:
                return  # not yet
            self._connected = True
            if self._tls is None:
                self.ready = True
            else:
                self._shake_hands()
        try:
            while self._unsent:
                taken = self._socket.send(self._unsent)
                del self._unsent[:taken]
        except BlockingIOError:
            pass

    def receive(self) -> None:
        try:
            data = self._socket.recv(RECEIVE)
        except BlockingIOError:
            return
        if not data:
            raise Closed("the server closed the connection")
        if self._tls is None:
            return
        self._incoming.write(data)
        if not self.ready:
            self._shake_hands()
        if self.ready:
            try:
                while self._tls.read(RECEIVE):
                    pass
                raise Closed("the server closed the connection")
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLZeroReturnError:
                raise Closed("the server closed the connection") from None
        self._take_outgoing()
        self.pump()

    def _shake_hands(self) -> None:
        assert self._tls is not None
        try:
            self._tls.do_handshake()
            self.ready = True
        except ssl.SSLWantReadError:
            pass
        finally:
            self._take_outgoing()

    def _take_outgoing(self) -> None:
        data = self._outgoing.read()
        self._unsent += data
        self.sent += len(data)

    def close(self) -> None:
        self._socket.close()


def tls_context(verify: bool, authority: str | None) -> ssl.SSLContext:
    """At least TLS 1.2.  OSError where the file of authorities cannot be used."""
    context = ssl.create_default_context(cafile=authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
