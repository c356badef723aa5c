"""Alerts as a ZeroMQ stream: a PUB socket, two parts a message, `ossec.alerts` and the JSON (spec/analysis.md, 12.4).

Who does not keep up loses: an alert is dropped for a subscriber whose queue is full, the others get it, and nobody here
waits.  `missed` counts such alerts.  With a server certificate the socket speaks CURVE; with a client certificate
besides, only the holder of that one may listen.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ossec.errors import ConfigError

if TYPE_CHECKING:
    from zmq.auth.thread import ThreadAuthenticator

log = logging.getLogger("ossec.analysisd")

TOPIC = b"ossec.alerts"
MAX_WAITING = 10_000  # alerts for one subscriber that does not read
DEFAULT_URI = "tcp://127.0.0.1:11111"


class StreamError(ConfigError):
    """The stream cannot be opened as configured."""


class AlertStream:
    """A bound PUB socket.  To be made after the process is in the background: ZeroMQ has a thread of its own."""

    def __init__(self, uri: str, server_certificate: str | None = None, client_certificate: str | None = None) -> None:
        """StreamError when the address or a certificate cannot be used."""
        import zmq

        self.sent = 0  # alerts handed to ZeroMQ
        self.missed = 0  # of these, alerts that at least one subscriber had no room for
        self._nodrop = zmq.XPUB_NODROP
        self._error = zmq.ZMQError
        self._flags = zmq.NOBLOCK
        self._context: Any = zmq.Context(1)
        self._guard: ThreadAuthenticator | None = None
        self._socket: Any = self._context.socket(zmq.PUB)
        try:
            self._socket.sndhwm = MAX_WAITING
            self._socket.linger = 0
            self._socket.setsockopt(zmq.XPUB_NODROP, 1)  # a full queue is told, so that it can be counted
            if client_certificate and not server_certificate:
                raise ValueError("zeromq_client_cert needs a zeromq_server_cert")
            if client_certificate:
                self._admit_only(Path(client_certificate))
            if server_certificate:
                self._secure(Path(server_certificate))
            self._socket.bind(uri)
            self.uri = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        except (zmq.ZMQError, OSError, ValueError) as error:
            self.close()
            raise StreamError(f"zeromq_uri {uri}: {error}") from error

    def _secure(self, path: Path) -> None:
        from zmq.auth import load_certificate

        public, secret = load_certificate(path)
        if secret is None:
            raise ValueError(f"{path} holds no secret key")
        self._socket.curve_publickey, self._socket.curve_secretkey = public, secret
        self._socket.curve_server = True

    def _admit_only(self, path: Path) -> None:
        from zmq.auth import load_certificate
        from zmq.auth.thread import ThreadAuthenticator
        from zmq.utils import z85

        admitted = z85.decode(load_certificate(path)[0])

        class Admission:
            def callback(self, domain: str, key: bytes) -> bool:
                return z85.decode(key) == admitted

        self._guard = ThreadAuthenticator(self._context)
        self._guard.start()
        self._guard.configure_curve_callback("*", Admission())

    def send(self, line: bytes) -> None:
        """Publish one line of alerts.json."""
        message = (TOPIC, line.rstrip(b"\n"))
        socket = self._socket
        self.sent += 1
        try:
            socket.send_multipart(message, self._flags)
        except self._error:  # some subscriber's queue is full: now to those that have room
            self.missed += 1
            socket.setsockopt(self._nodrop, 0)
            socket.send_multipart(message, self._flags)
            socket.setsockopt(self._nodrop, 1)

    def close(self) -> None:
        if self._guard is not None:
            self._guard.stop()
        self._socket.close()
        self._context.term()
