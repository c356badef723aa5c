"""An agent's conversation with its server, as plain state (spec/protocol.md, sections 2, 4 and 5).

Theory of operation.  States: *seeking* (startups to one server after the other, with growing pauses) and *connected*.
While connected, events go out from the spool in order, at most `WINDOW` beyond what the server is known to have.  The
compatible protocol acknowledges control messages only, so a *probe* (a startup, which a server of OSSEC answers with
an ack and nothing else) follows every `PROBE_EVERY` events, and the last ones after `PROBE_AFTER` seconds.  At most
one control message waits for its ack at a time, and none longer than `PROBE_TIMEOUT`, so an ack can only be its own:
it covers what was sent before it.  A probe without answer *suspends* the events; probes alone go on, and the first
answer sends again all that is not covered.  After `PROBE_TRIES` the server counts as gone and is sought.

So an event that an outage took is sent again, and may arrive twice.  What the network loses between two probes that
both pass (single datagrams, an outage below `PROBE_AFTER`) is not noticed: a true acknowledgement will take the place
of `_covered`.

Our counters start above the clock, so an agent restored from a snapshot, or without its queue/rids, is not refused.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ossec.crypto import counters
from ossec.crypto.channel import BadSize, Channel, Method, SealError, WrongKey
from ossec.daemon.complaints import Complaints
from ossec.messages import control

WINDOW = 1000  # events sent and not known to have arrived; what a server's receive buffer surely holds
PROBE_EVERY = 250
PROBE_AFTER = 1.0  # seconds from an event that no probe follows yet
PROBE_TIMEOUT = 4.0
PROBE_TRIES = 3
STARTUP_TIMES = (0.0, PROBE_TIMEOUT)  # seconds at which a server is asked, from the first time on
STARTUP_PATIENCE = 2 * PROBE_TIMEOUT  # seconds until the next server
MAX_PAUSE = 60.0  # seconds between two rounds over all servers; the first is 1, then doubled
MAX_DATAGRAM = 6144
COMPLAINTS_FLUSH = 60.0  # seconds, at least, until what was held back of the same complaints is said


class Ports(Protocol):
    """What the session asks of its shell; none of it may wait."""

    def send(self, datagram: bytes) -> None:
        """To the server that `connect` named last; a network error is the shell's to log."""

    def connect(self, server: int) -> None:
        """Turn to this one of the configured servers."""

    def execute(self, text: bytes) -> None:
        """A response for execd."""

    def restart_syscheck(self) -> None: ...

    def store_shared(self, name: str, digest: str, content: bytes) -> None:
        """A shared file came whole; its digest is not yet compared."""

    def next_counter(self) -> counters.Pair:
        """For the next datagram, safe from being used twice."""

    def save_counter(self, pair: counters.Pair) -> None:
        """Of the server's last datagram, before what it holds is done."""

    def keepalive(self) -> bytes:
        """What to say about this host now."""

    def note(self, level: int, number: int | None, text: str) -> None:
        """A line for ossec.log."""


class Events(Protocol):
    """What is to be sent: a `Spool`."""

    acked: int

    @property
    def end(self) -> int: ...
    def read(self, number: int, limit: int) -> list[bytes]: ...
    def acknowledge(self, number: int) -> None: ...
    def __len__(self) -> int: ...


@dataclass(slots=True)
class Probe:
    """A control message that waits for its ack; `covers` events below this number were sent before it."""

    covers: int
    sent: float


MAX_SHARED = 64 * 1024 * 1024  # bytes of one shared file; more is a server gone mad


class Session:
    """`servers`: how many there are.  All times are seconds of one clock that never steps back.

    Deadlines are compared as sums, exactly as `tick` returns them: a difference may round to just below."""

    def __init__(
        self,
        ports: Ports,
        events: Events,
        channel: Channel,
        *,
        server_names: list[str],
        server_counter: counters.Pair,
        method: Method = Method.AES,
        notify_time: float = 600.0,
        reconnect_time: float = 1800.0,
        verify_counters: bool = True,
        complaint_interval: float = 60.0,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.ports = ports
        self.events = events
        self.channel = channel
        self.server_names = server_names
        self.server_counter = server_counter
        self.method = method
        self.notify_time = notify_time
        self.reconnect_time = reconnect_time
        self.verify_counters = verify_counters
        self.jitter = jitter
        self.complaints = Complaints(ports.note, complaint_interval)
        self._complaints_due = 0.0
        self.connected = False
        self.connections = 0
        self.server = 0
        self.next_event = events.acked
        self.sent_again = 0
        self.refused = 0
        self._waiting_probe: Probe | None = None
        self._suspended = False
        self._lost_probes = 0
        self._unprobed_since: float | None = None
        self._probed = events.acked  # events below it have a probe behind them
        self._asked = 0
        self._asking_since = 0.0
        self._pause = 1.0
        self._resting_until: float | None = None
        self._heard = 0.0
        self._keepalive_due = 0.0
        self._file: tuple[control.FileStart, list[bytes], int] | None = None

    # time
    def start(self, now: float) -> None:
        """Seek the first server."""
        self._seek(now)

    def tick(self, now: float) -> float:
        """Do what is due; returns when something next is (a time of the same clock)."""
        if now >= self._complaints_due:
            self._complaints_due = now + COMPLAINTS_FLUSH
            self.complaints.flush(now)
        if not self.connected:
            return self._ask(now)
        if now >= self._heard + self.reconnect_time:
            self.ports.note(30, None, "Server unavailable. Looking for one; events wait on disk.")
            self._seek(now)
            return self._ask(now)
        self._judge_probe(now)
        if not self.connected:
            return self._ask(now)
        if now >= self._keepalive_due and self._waiting_probe is None:
            self._keepalive_due = now + self.notify_time
            self._send_control(self.ports.keepalive(), now)
        self.flush(now)
        due = [self._heard + self.reconnect_time]
        if self._waiting_probe is not None:
            due.append(self._waiting_probe.sent + PROBE_TIMEOUT)
        else:
            due.append(self._keepalive_due)
            if self._unprobed_since is not None:
                due.append(self._unprobed_since + PROBE_AFTER)
        return min(due)

    def flush(self, now: float) -> None:
        """Send what the window lets go, with a probe behind every so many and behind the last."""
        if not self.connected or self._suspended:
            return
        while batch := self.events.read(
            self.next_event, min(PROBE_EVERY, self.events.acked + WINDOW - self.next_event)
        ):
            for event in batch:
                self._seal_and_send(event)
            self.next_event += len(batch)
            if self._unprobed_since is None:
                self._unprobed_since = now
            if self.next_event - self._probed >= PROBE_EVERY:
                self._probe(now)
        if self._unprobed_since is not None and now >= self._unprobed_since + PROBE_AFTER:
            self._probe(now)

    # from the server
    def receive(self, datagram: bytes, now: float) -> None:
        """One datagram from the server; a bad one is refused and changes nothing."""
        try:
            opened = self.channel.open(datagram)
        except SealError as error:
            self._refuse(error.code, error.complaint(self.channel.key, self._name), now)
            return
        if self.verify_counters and not counters.accepts(self.server_counter, opened.counter):
            if opened.counter[0] == self.server_counter[0]:
                self._refuse(1407, f"Duplicated counter for '{self.channel.key.name}'.", now)
            else:
                self._refuse(1404, WrongKey.text(self._name), now)
            return
        self.server_counter = opened.counter
        self.ports.save_counter(opened.counter)
        message = control.parse_from_server(opened.text)
        if isinstance(message, control.Content) and self._file is None:
            self.ports.note(30, None, "Unknown message received. No action defined.")
            return
        self._heard = now
        match message:
            case control.Ack():
                self._acknowledged(now)
            case control.Execd(text):
                self.ports.execute(text)
            case control.SyscheckRestart():
                self.ports.restart_syscheck()
            case control.FileStart():
                self._file = (message, [], 0)
            case control.Content(text):
                self._take_content(text)
            case control.FileEnd():
                self._finish_file()
            case control.Unknown():
                self._file = None
                self.ports.note(30, None, "Unknown message received from server.")

    def _refuse(self, code: int, reason: str, now: float) -> None:
        self.refused += 1
        self.complaints.say(40, code, reason, now)
        self.complaints.say(30, 1214, f"Problem receiving message from '{self._name}'.", now)

    def _acknowledged(self, now: float) -> None:
        if not self.connected:
            self._connect(now)
            return
        probe, self._waiting_probe = self._waiting_probe, None
        self._lost_probes = 0
        if self._suspended:
            self._suspended = False
            self._rewind()
        elif probe is not None:
            self._covered(probe.covers)
        self.flush(now)

    def _covered(self, number: int) -> None:
        """The seam for a true acknowledgement: the server has all events below `number`."""
        self.events.acknowledge(number)
        self.next_event = max(self.next_event, self.events.acked)

    def _take_content(self, text: bytes) -> None:
        assert self._file is not None
        start, parts, size = self._file
        if size + len(text) > MAX_SHARED:
            self.ports.note(40, None, f"Shared file '{start.name}' is larger than {MAX_SHARED} bytes: dropped.")
            self._file = None
            return
        parts.append(text)
        self._file = (start, parts, size + len(text))

    def _finish_file(self) -> None:
        if self._file is not None:
            start, parts, _ = self._file
            self._file = None
            self.ports.store_shared(start.name, start.digest, b"".join(parts))

    # connected
    def _connect(self, now: float) -> None:
        self.connected = True
        self.connections += 1
        self._pause = 1.0
        self._waiting_probe = None
        self._suspended = False
        self._lost_probes = 0
        self._rewind()
        if self.connections == 1:
            self.ports.note(20, 4102, f"Connected to server {self._name}.")
        else:
            self.ports.note(20, None, f"Server {self._name} responded. Sending {len(self.events)} events that waited.")
        self._keepalive_due = now + self.notify_time
        self._send_control(self.ports.keepalive(), now)
        self.flush(now)

    def _rewind(self) -> None:
        """Send again all that is not known to have arrived."""
        self.sent_again += self.next_event - self.events.acked
        self.next_event = self._probed = self.events.acked
        self._unprobed_since = None

    def _judge_probe(self, now: float) -> None:
        if self._waiting_probe is None or now < self._waiting_probe.sent + PROBE_TIMEOUT:
            return
        self._lost_probes += 1
        if self._lost_probes >= PROBE_TRIES:
            self.ports.note(30, None, f"Server {self._name} does not answer. Looking for one; events wait on disk.")
            self._seek(now)
            return
        self._waiting_probe = None
        self._suspended = True
        self._probe(now)

    def _probe(self, now: float) -> None:
        if self._waiting_probe is None:
            self._send_control(control.STARTUP, now)

    def _send_control(self, text: bytes, now: float) -> None:
        """Every control message is acknowledged, so every one is a probe."""
        self._seal_and_send(text)
        self._probed = self.next_event
        self._unprobed_since = None
        self._waiting_probe = Probe(self.next_event, now)

    def _seal_and_send(self, text: bytes) -> None:
        try:
            self.ports.send(self.channel.seal(text, self.ports.next_counter(), self.method))
        except BadSize as error:
            self.ports.note(40, 1217, f"Error creating encrypted message: {error}. It is left out.")

    # seeking
    def _seek(self, now: float) -> None:
        self.connected = False
        self._waiting_probe = None
        self._file = None
        self._asked = 0
        self._asking_since = now
        self._resting_until = None
        self.ports.connect(self.server)

    def _ask(self, now: float) -> float:
        """Ask the server at the times of STARTUP_TIMES, then turn to the next; after a round, rest."""
        if self._resting_until is not None:
            if now < self._resting_until:
                return self._resting_until
            self._resting_until = None
            self._asked = 0
            self._asking_since = now
            self.ports.connect(self.server)
        while self._asked < len(STARTUP_TIMES) and now >= self._asking_since + STARTUP_TIMES[self._asked]:
            self._asked += 1
            self._seal_and_send(control.STARTUP)
        if self._asked < len(STARTUP_TIMES):
            return self._asking_since + STARTUP_TIMES[self._asked]
        if now < self._asking_since + STARTUP_PATIENCE:
            return self._asking_since + STARTUP_PATIENCE
        self.ports.note(30, 4101, f"Waiting for server reply (not started). Tried: '{self._name}'.")
        self.server = (self.server + 1) % len(self.server_names)
        self._resting_until = now
        if self.server == 0:
            self._resting_until = now + self._pause * (0.75 + self.jitter() / 2)
            self._pause = min(self._pause * 2, MAX_PAUSE)
        return self._resting_until

    @property
    def _name(self) -> str:
        return self.server_names[self.server]
