"""Alerts as a ZeroMQ stream: a PUB socket, two parts a message, `ossec.alerts` and the JSON (spec/analysis.md, 12.4).

Who does not keep up loses: ZeroMQ drops for a subscriber whose queue is full, and nobody here waits.  With a server
certificate the socket speaks CURVE; with a client certificate besides, only the holder of that one may listen.
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

        self.sent = 0
        self._error = zmq.ZMQError
        self._flags = zmq.NOBLOCK
        self._context: Any = zmq.Context(1)
        self._guard: ThreadAuthenticator | None = None
        self._socket: Any = self._context.socket(zmq.PUB)
        try:
            self._socket.sndhwm = MAX_WAITING
            self._socket.linger = 0
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
        try:
            self._socket.send_multipart((TOPIC, line.rstrip(b"\n")), self._flags)
        except self._error as error:
            log.debug("An alert was not published: %s", error)
        else:
            self.sent += 1

    def close(self) -> None:
        if self._guard is not None:
            self._guard.stop()
        self._socket.close()
        self._context.term()
