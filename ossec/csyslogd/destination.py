"""One `<syslog_output>`: reads the stream for itself, so that it delays no other and is delayed by none.

Theory of operation.  Down: nothing is read.  A timer resolves the name (in a thread) and connects.  Up: alerts that
pass the filter become messages, as long as the window is not full; positions are saved as messages leave it.  When
the connection is lost the stream goes back to the saved position.  Pauses between attempts grow to half a minute.
"""

from __future__ import annotations

import hashlib
import logging
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from ossec.alertstream import AlertStream, BadPosition, Entry, Follower, Position, PositionFile
from ossec.alertstream.filters import Filter
from ossec.config.model import SyslogOutput
from ossec.csyslogd.formats import FORMATS
from ossec.csyslogd.links import DatagramLink, Link, StreamLink
from ossec.csyslogd.window import DATAGRAM, STREAM, Window
from ossec.daemon import code
from ossec.daemon.loop import Loop, Timer
from ossec.layout import Layout

log = logging.getLogger("ossec.csyslogd")

FIRST_PAUSE = 1.0  # seconds after a connection was lost
LONGEST_PAUSE = 30.0  # seconds; a server that is back is found within this
CONNECT_LIMIT = 10.0  # seconds until an attempt is given up, as in OSSEC
SETTLE = 0.05  # seconds between two looks at what has arrived
MAX_QUEUED = 1000  # messages made and not yet sent; more stay in the file
PREFIX = "csyslogd-"  # of position files

Address = tuple[int, tuple[object, ...]]


def names_of(outputs: tuple[SyslogOutput, ...]) -> list[str]:
    """A name for the position of each, the same as long as it is the same destination."""
    names: list[str] = []
    for output in outputs:
        text = f"{output.server} {output.port} {output.protocol}"
        base = PREFIX + hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        names.append(base if base not in names else f"{base}-{sum(name.startswith(base) for name in names) + 1}")
    return names


class Destination:
    """`context` is the TLS of it, if it has; `host` the name that we send."""

    def __init__(
        self,
        loop: Loop,
        layout: Layout,
        output: SyslogOutput,
        name: str,
        host: bytes,
        context: ssl.SSLContext | None,
    ) -> None:
        self.sent = 0
        self.losses = 0  # of the connection
        self.label = f"{output.server}:{output.port}"
        self._loop = loop
        self._output = output
        self._filter = Filter(output.level, output.rule_ids, output.group, output.location)
        self._format = FORMATS[output.format]
        self._host = host if output.use_fqdn else host.partition(b".")[0]
        self._context = context
        self._limits = STREAM if output.protocol == "tcp" else DATAGRAM
        self._file = PositionFile(layout.reader_position(name))
        try:
            position = self._file.load()
        except BadPosition as error:
            log.error(
                "%s is damaged (%s): forwarding to '%s' begins with new alerts.", self._file.path, error, self.label
            )
            position = None
        follower = Follower(layout, position)
        self._settled: Position = follower.position
        self._stream = AlertStream(loop, follower, self._take)
        self._stream.pause()
        self._queue: deque[tuple[bytes, Position]] = deque()
        self._window = Window(self._limits)
        self._link: Link | None = None
        self._up = False
        self._told_down = False
        self._pause = FIRST_PAUSE
        self._attempt = 0
        self._timers: list[Timer] = []
        self._limit: Timer | None = None
        self._closed = False

    @property
    def path(self) -> Path:
        return self._file.path

    @property
    def up(self) -> bool:
        return self._up

    @property
    def idle(self) -> bool:
        """Nothing is on its way."""
        return not self._up or (not self._queue and not self._window)

    def start(self) -> None:
        self._save()
        self._stream.start()
        self._timers.append(self._loop.call_every(SETTLE, self._settle))
        self._connect()

    def finish(self) -> None:
        """Send what is there, before the end."""
        if self._up:
            self._stream.read_now()
            self._send()

    def close(self) -> None:
        self._closed = True
        self._settle()
        self._stream.stop()
        for timer in self._timers:
            timer.cancel()
        self._drop_link()

    # connection
    def _connect(self) -> None:
        if self._closed:
            return
        self._attempt += 1
        number = self._attempt
        threading.Thread(target=self._resolve, args=(number,), daemon=True).start()
        self._limit = self._loop.call_later(CONNECT_LIMIT, lambda: self._lose(TimeoutError("no answer in 10 s")))

    def _resolve(self, number: int) -> None:
        """In a thread: names may take their time."""
        kind = socket.SOCK_STREAM if self._output.protocol == "tcp" else socket.SOCK_DGRAM
        found: Address | None = None
        problem: OSError | None = None
        try:
            family, _, _, _, address = socket.getaddrinfo(self._output.server, self._output.port, type=kind)[0]
            found = family, address
        except (OSError, UnicodeError) as error:
            problem = error if isinstance(error, OSError) else OSError(str(error))
        self._loop.call_from_thread(lambda: self._resolved(number, found, problem))

    def _resolved(self, number: int, found: Address | None, problem: OSError | None) -> None:
        if self._closed or number != self._attempt or self._link is not None:
            return
        if found is None:
            self._lose(problem or OSError("no address"))
            return
        try:
            if self._output.protocol == "tcp":
                self._link = StreamLink(*found, self._context, self._output.server)
            else:
                self._link = DatagramLink(*found)
        except (OSError, ValueError) as error:
            self._lose(error)
            return
        self._window = Window(self._limits)
        self._loop.on_readable(self._link.fileno(), self._on_readable)
        self._guarded(self._advance)

    def _on_readable(self) -> None:
        self._guarded(self._receive)

    def _on_writable(self) -> None:
        self._guarded(self._advance)

    def _receive(self) -> None:
        assert self._link is not None
        self._link.receive()
        self._advance()

    def _advance(self) -> None:
        link = self._link
        assert link is not None
        link.pump()
        if link.ready and not self._up:
            self._up = True
            if self._limit is not None:
                self._limit.cancel()
            if not self._told_down:
                kind = "tcp+tls" if self._context else self._output.protocol
                log.info("Forwarding alerts via syslog (%s) to: '%s'.", kind, self.label)
            self._stream.resume()
        if self._up:
            self._fill()
        if link.wants_write:
            self._loop.on_writable(link.fileno(), self._on_writable)
        else:
            self._loop.forget_writable(link.fileno())

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except OSError as error:
            self._lose(error)

    def _lose(self, error: Exception) -> None:
        """The connection is gone, or did not come: go back to what is sure, and try again later."""
        if self._closed:
            return
        was_up = self._up
        if not self._told_down:
            self._told_down = True
            if was_up:
                log.warning("syslog_output send to '%s' failed; reconnecting. (%s)", self.label, error)
            else:
                log.error("Unable to connect to '%s'. (%s)", self._output.server, error, extra=code(1216))
        self.losses += was_up
        self._stream.pause()
        self._drop_link()
        self._queue.clear()
        self._window = Window(self._limits)
        self._stream.follower.seek(self._settled)
        self._loop.call_later(self._pause, self._connect)
        self._pause = min(LONGEST_PAUSE, self._pause * 2)

    def _drop_link(self) -> None:
        self._attempt += 1
        self._up = False
        if self._limit is not None:
            self._limit.cancel()
        if self._link is not None:
            self._loop.forget(self._link.fileno())
            self._link.close()
            self._link = None

    # alerts
    def _take(self, entries: list[Entry]) -> None:
        for entry in entries:
            if self._filter.wants(entry.record):
                self._queue.append((self._format(entry.record, self._host), entry.position))
            elif not self._queue and not self._window:
                self._settled = entry.position
        self._send()

    def _send(self) -> None:
        if self._link is not None:
            self._guarded(self._advance)

    def _fill(self) -> None:
        """Send what the window and the socket take."""
        link = self._link
        assert link is not None
        now = self._loop.now()
        while self._queue and not self._window.full:
            message, position = self._queue[0]
            before = link.sent
            if not link.send(message):
                break
            self._queue.popleft()
            self.sent += 1
            self._window.add(link.sent, link.sent - before, now, position)
        link.pump()
        if len(self._queue) >= MAX_QUEUED:
            self._stream.pause()
        else:
            self._stream.resume()

    def _settle(self) -> None:
        """What has arrived is dealt with."""
        link = self._link
        if link is None or not self._up:
            self._save()
            return
        try:
            position = self._window.settle(link.arrived, self._loop.now())
        except OSError as error:
            self._lose(error)
            return
        if position is not None:
            self._settled = position
            self._pause = FIRST_PAUSE
            if self._told_down:
                self._told_down = False
                log.info("Alerts reach '%s' again.", self.label)
        if not self._queue and not self._window:
            self._settled = self._stream.follower.position
        self._save()
        if self._queue:
            self._send()

    def _save(self) -> None:
        try:
            self._file.save(self._settled)
        except OSError as error:
            log.debug("%s cannot be written: %s", self._file.path, error)
