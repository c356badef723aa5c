"""The shell of ossec-remoted: sockets, files and timers around `core` (spec/protocol.md, sections 3 to 7).

Policy when analysisd is behind or away: this daemon stops reading, the kernel's receive buffer holds what comes, and
what that cannot hold is lost and counted (`kernel_drops` in the state file, and a warning).
"""

from __future__ import annotations

import logging
import os
import socket
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ossec import config
from ossec.config.model import Remote
from ossec.crypto import counters, keys
from ossec.crypto.rids import Rids
from ossec.daemon import CleanExit, Context, Service, code, ready_made
from ossec.errors import ConfigError
from ossec.messages import queue
from ossec.queues import Delivery, Inbox, Outbox
from ossec.remoted import syslog
from ossec.remoted.agents import Agent, Peer
from ossec.remoted.core import MAX_DATAGRAM, Remoted
from ossec.remoted.shared import SharedFiles

log = logging.getLogger("ossec.remoted")

KIND = "server"  # only a server has agents
BATCH = 256  # datagrams of one socket in one turn, so that none starves the others
RECEIVE_BUFFER = 256 * 1024 * 1024  # asked of the kernel, which grants what it permits
SO_RCVBUFFORCE = 33  # beyond net.core.rmem_max, for root; Python does not name it
SO_MEMINFO = 55
MEMINFO_WORDS = 9
MEMINFO_DROPS = 8  # index of the drop count in SO_MEMINFO's array
HOUSEKEEPING = 1.0  # seconds between two looks at client.keys and at what was dropped
SHARED_INTERVAL = 5.0  # seconds between two looks at etc/shared
FLUSH_INTERVAL = 60.0  # seconds that repeated complaints are held back
RETRY = 0.05  # seconds until analysisd is tried again
PKTINFO = 20  # bytes: one of our addresses, and the number of its interface
LINK_LOCAL = b"\xfe\x80"
BESIDE = socket.CMSG_SPACE(PKTINFO)
MAX_SHARED_FILE = 16 * 1024 * 1024  # bytes; a transfer is 28 kB/s, so a larger one never ends
MAX_STREAMS = 512  # TCP connections of syslog senders
STREAM_READ = 65536


@dataclass(slots=True)
class Connection:
    """A TCP syslog sender."""

    socket: socket.socket
    address: str
    stream: syslog.Stream


class RemotedService(Service):
    """See the module's head; the class is the core's `Ports`."""

    name = "ossec-remoted"
    summary = "Receive events from agents and syslog senders, and send agents their responses and shared files."
    user = "ossecr"
    debug_option = "remoted.debug"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        loaded = config.load(self.layout, path=context.config_path, program=self.name, kind=KIND)
        for line in loaded.warnings:
            log.warning("%s", line, extra=ready_made)
        self.remotes = loaded.remotes
        if not self.remotes.connections:
            raise CleanExit("")
        self.secure = [remote for remote in self.remotes.connections if remote.connection == "secure"]
        if len(self.secure) > 1:
            raise ConfigError("Only one secure remoted connection is supported.", *self.secure[1].place)
        verify = bool(context.internal.get("remoted.verify_msg_id"))
        self.core = Remoted(self, verify_counters=verify)
        self.core.accept_aes = self.remotes.crypto_accept != "blowfish"
        self.core.accept_blowfish = self.remotes.crypto_accept != "aes"
        self.rids = Rids(self.layout.rids_dir)
        self.outbox = Outbox(self.layout.event_queue)
        self.pending: list[bytes] = []  # at most one turn's rest: nothing is read while it is not empty
        self.paused = False
        self.delivery = Delivery.SENT  # what became of the last event
        self.reading: dict[int, Callable[[], None]] = {}
        self.datagram_sockets: list[socket.socket] = []
        self.streams: dict[int, Connection] = {}
        self.key_stamp: tuple[int, int] | None = None
        self.shared_stamp: object = None
        self.drops = 0
        self.unsent = 0
        self.push_timer = self.loop.call_later(0, lambda: None)

    @classmethod
    def test(cls, context: Context) -> int:
        lines, status = config.check(
            context.layout, path=context.config_path, program=cls.name, kind=KIND, options=context.internal
        )
        for line in lines:
            log.error("%s", line, extra=ready_made)
        return status

    # start and end
    def prepare(self) -> None:
        """Ports below 1024 and large buffers need root."""
        self.secure_socket = self._bind(self.secure[0], socket.SOCK_DGRAM) if self.secure else None
        self.syslog_sockets = [
            (remote, self._bind(remote, socket.SOCK_STREAM if remote.protocol == "tcp" else socket.SOCK_DGRAM))
            for remote in self.remotes.connections
            if remote.connection == "syslog"
        ]
        if self.syslog_sockets and not self.remotes.allowed:
            raise ConfigError("No IP or network allowed for syslog. No use running it: add <allowed-ips>.")
        self.inbox = Inbox(self.layout.ar_queue) if self.secure else None

    def open(self) -> None:
        self.rids.start_sending(time.time())
        self._load_keys()
        self._load_shared()
        if self.secure_socket is not None and self.inbox is not None:
            self._watch(self.secure_socket, self._receive)
            self.loop.on_readable(self.inbox.fileno(), self._receive_orders)
        for remote, listener in self.syslog_sockets:
            if remote.protocol == "tcp":
                self._watch(listener, lambda listener=listener: self._accept(listener))  # type: ignore[misc]
            else:
                self._watch(listener, lambda listener=listener: self._receive_syslog(listener))  # type: ignore[misc]
        self.loop.call_every(HOUSEKEEPING, self._keep_house)
        self.loop.call_every(SHARED_INTERVAL, self._load_shared)
        self.loop.call_every(FLUSH_INTERVAL, lambda: self.core.complaints.flush(time.time()))

    def reload(self) -> None:
        self._load_keys(force=True)
        self.shared_stamp = None
        self._load_shared()

    def close(self) -> None:
        self.core.close()
        self._flush()
        if self.pending:
            log.warning("%d events could not be handed to analysisd.", len(self.pending))
        if self.inbox is not None:
            self.inbox.close()
        self.rids.close()

    def state(self) -> Mapping[str, object]:
        counts = self.core.counts
        refused = {f"refused_{number or 'policy'}": amount for number, amount in sorted(counts.refused.items())}
        connected = sum(agent.last_contact is not None for agent in self.core.agents)
        return {
            "agents": len(self.core.agents),
            "agents_heard": connected,
            "received": counts.received,
            "events": counts.events,
            "control": counts.control,
            "orders_sent": counts.orders_sent,
            "orders_lost": counts.orders_lost,
            "kernel_drops": self.drops,
            "unsent": self.unsent,
            **refused,
        }

    # Ports
    def forward(self, event: bytes) -> None:
        if self.pending:
            self.pending.append(event + b"\0")
            return
        self.delivery = self.outbox.send(event + b"\0")
        if self.delivery is not Delivery.SENT:
            self.pending.append(event + b"\0")

    def send(self, datagram: bytes, peer: Peer) -> None:
        assert self.secure_socket is not None
        address = peer[0] if ":" in peer[0] or self.secure_socket.family == socket.AF_INET else f"::ffff:{peer[0]}"
        try:
            if len(peer) == 3 and peer[2]:
                ours = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, peer[2])]
                self.secure_socket.sendmsg([datagram], ours, 0, (address, peer[1]))
            else:
                self.secure_socket.sendto(datagram, (address, peer[1]))
        except OSError as error:
            self.unsent += 1
            self.core.complaints.say(logging.WARNING, None, f"Cannot send to {peer[0]}: {error.strerror}", time.time())

    def note(self, level: int, number: int | None, text: str) -> None:
        log.log(level, "%s", text, extra=code(number) if number is not None else None)

    def save_counter(self, agent: Agent) -> None:
        try:
            self.rids.save(agent.key.id, agent.counter)
        except OSError as error:  # a full disk must not make the server deaf; it remembers while it runs
            text = (
                f"Counters of agents cannot be saved: {error.strerror}. A restart now would take old datagrams again."
            )
            self.core.complaints.say(logging.ERROR, None, text, time.time())

    def take_sender_counter(self) -> counters.Pair:
        return self.rids.next()

    def write_info(self, agent: Agent, content: bytes) -> bool:
        path = self.layout.agent_info(agent.info_name)
        new = not path.exists()
        if new:
            source = agent.peer[0] if agent.peer is not None else "?"
            log.info("Agent '%s' (%s) connects for the first time, from %s.", agent.key.name, agent.key.id, source)
        try:
            path.write_bytes(content)
        except OSError as error:
            log.error("%s cannot be written: %s", path, error.strerror)
        return new

    def touch_info(self, agent: Agent) -> None:
        path = self.layout.agent_info(agent.info_name)
        try:
            os.utime(path)
        except FileNotFoundError:
            if agent.info is not None:
                self.write_info(agent, agent.info)

    # network
    def _bind(self, remote: Remote, kind: socket.SocketKind) -> socket.socket:
        """Both families on one socket where no address is given; OSSEC's 1206 where it does not go."""
        bound = _open_socket(kind, remote.local_ip)
        family = bound.family
        try:
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                if kind == socket.SOCK_DGRAM and not remote.local_ip:
                    bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            if kind == socket.SOCK_STREAM:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((remote.local_ip or ("::" if family == socket.AF_INET6 else "0.0.0.0"), remote.port))
            if kind == socket.SOCK_STREAM:
                bound.listen(128)
        except OSError as error:
            bound.close()
            raise ConfigError(
                f"Unable to Bind port '{remote.port}' ({error.strerror}). Is another remoted or syslog running?",
                *remote.place,
            ) from None
        if kind == socket.SOCK_DGRAM:
            try:
                bound.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
            except OSError:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            self.datagram_sockets.append(bound)
        return bound

    def _watch(self, watched: socket.socket, read: Callable[[], None]) -> None:
        self.reading[watched.fileno()] = read
        self.loop.on_readable(watched.fileno(), read)

    def _receive(self) -> None:
        assert self.secure_socket is not None
        receive, take, pending = self.secure_socket.recvmsg, self.core.receive, self.pending
        now = time.time()
        try:
            for _ in range(BATCH):
                datagram, beside, _, address = receive(MAX_DATAGRAM, BESIDE)
                take(datagram, (_plain(address[0]), address[1], _asked(beside)), now)
                if pending:
                    break
        except BlockingIOError:
            pass
        except OSError as error:  # an ICMP error for something we sent
            log.debug("receiving: %s", error)
        self._after_receiving(now)

    def _receive_syslog(self, listener: socket.socket) -> None:
        now = time.time()
        try:
            for _ in range(BATCH):
                message, address = listener.recvfrom(MAX_DATAGRAM)
                sender = _plain(address[0])
                if self._may_send_syslog(sender, now):
                    self.forward(syslog.event(message, sender)[:-1])
                if self.pending:
                    break
        except BlockingIOError:
            pass
        self._after_receiving(now)

    def _may_send_syslog(self, address: str, now: float) -> bool:
        if not syslog.permitted(address, self.remotes.allowed, self.remotes.denied):
            self.core.counts.refuse(1213)
            self.core.complaints.say(logging.WARNING, 1213, f"Message from '{address}' not allowed.", now)
            return False
        return True

    def _accept(self, listener: socket.socket) -> None:
        try:
            accepted, address = listener.accept()
        except OSError:
            return
        sender = _plain(address[0])
        if not self._may_send_syslog(sender, time.time()) or len(self.streams) >= MAX_STREAMS:
            accepted.close()
            return
        accepted.setblocking(False)
        connection = Connection(accepted, sender, syslog.Stream())
        self.streams[accepted.fileno()] = connection
        self._watch(accepted, lambda: self._read_stream(connection))

    def _read_stream(self, connection: Connection) -> None:
        try:
            data = connection.socket.recv(STREAM_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        lines = connection.stream.feed(data) if data else connection.stream.close()
        for line in lines:
            self.forward(queue.encode(queue.SYSLOG, connection.address.encode(), syslog.clean(line))[:-1])
        if not data:
            descriptor = connection.socket.fileno()
            self.loop.forget(descriptor)
            self.reading.pop(descriptor, None)
            self.streams.pop(descriptor, None)
            connection.socket.close()
        self._after_receiving(time.time())

    def _receive_orders(self) -> None:
        assert self.inbox is not None
        now = time.time()
        for datagram in self.inbox.receive(BATCH):
            self.core.order(datagram, now)
        self._after_receiving(now)

    def _after_receiving(self, now: float) -> None:
        if self.pending:
            self._pause()
        due = self.core.tick(now)
        if due is not None and (self.push_timer.cancelled or self.push_timer.deadline <= self.loop.now()):
            self.push_timer = self.loop.call_later(max(0.0, due - now), lambda: self._after_receiving(time.time()))

    # analysisd behind or away
    def _pause(self) -> None:
        if self.paused:
            return
        self.paused = True
        for descriptor in self.reading:
            self.loop.forget_readable(descriptor)
        self._wait_for_analysisd()

    def _wait_for_analysisd(self) -> None:
        if self.delivery is Delivery.FULL:
            self.loop.on_writable(self.outbox.fileno(), self._resume)
        else:
            self.loop.call_later(RETRY, self._resume)

    def _resume(self) -> None:
        self.loop.forget(self.outbox.fileno())
        self._flush()
        if self.pending:
            self._wait_for_analysisd()
            return
        self.paused = False
        for descriptor, read in self.reading.items():
            self.loop.on_readable(descriptor, read)

    def _flush(self) -> None:
        sent, self.delivery = self.outbox.send_many(self.pending)
        del self.pending[:sent]

    # files
    def _keep_house(self) -> None:
        self._load_keys()
        self._reset_counters()
        dropped = sum(_dropped(bound) for bound in self.datagram_sockets)
        if dropped > self.drops:
            log.warning("The kernel dropped %d datagrams: they came faster than they were read.", dropped - self.drops)
            self.drops = dropped

    def _reset_counters(self) -> None:
        """An agent whose file in `queue/rids` was taken away counts from anew: `agent_control --reset-counter`."""
        counted = {agent.key.id: agent for agent in self.core.agents if agent.counter != counters.START}
        for identity in self.rids.vanished(counted):
            self.rids.release(identity)
            counted[identity].counter = counters.START
            log.info("Counter of agent '%s' (%s) reset.", counted[identity].key.name, identity)

    def _load_keys(self, force: bool = False) -> None:
        path = self.layout.client_keys
        try:
            status = path.stat()
        except OSError:
            if self.key_stamp is None:
                log.warning("File client.keys not found or empty. Waiting for agents.", extra=code(1751))
            self.key_stamp = (0, 0)
            return
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp == self.key_stamp and not force:
            return
        self.key_stamp = stamp
        found = keys.parse(path.read_bytes())
        for line, reason in found.skipped:
            log.error("%s:%d: %s. The line is left out.", path, line, reason)
        before = {agent.key.id: agent.key for agent in self.core.agents}
        for key in found.keys:
            if key.id in before and before[key.id].secret != key.secret:
                self.rids.forget(key.id)  # enrolled anew: it counts from the start
        for identity in before.keys() - {key.id for key in found.keys}:
            self.rids.release(identity)
        self.core.load_keys(found.keys, {key.id: self.rids.load(key.id) for key in found.keys})
        log.info("Reading authentication keys file.", extra=code(1410))

    def _load_shared(self) -> None:
        directory = self.layout.shared_dir
        entries = sorted(path for path in directory.iterdir() if path.is_file()) if directory.is_dir() else []
        stamp = [(path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in entries]
        if stamp == self.shared_stamp:
            return
        self.shared_stamp = stamp
        shared = SharedFiles(_read_shared(path) for path in entries if path != self.layout.merged_mg)
        for name, reason in shared.left_out:
            log.warning("etc/shared/%s is not shared: %s.", name, reason)
        self.core.share(shared, time.time())
        self._after_receiving(time.time())
        try:
            self.layout.merged_mg.write_bytes(shared.merge.content)
        except OSError as error:
            log.error("%s cannot be written: %s", self.layout.merged_mg, error.strerror)


def _read_shared(path: Path) -> tuple[str, bytes]:
    """A file's name and content; one that cannot be read, or is too large, is said and counts as hidden."""
    try:
        if path.stat().st_size > MAX_SHARED_FILE:
            log.warning("etc/shared/%s is larger than %d bytes and not shared.", path.name, MAX_SHARED_FILE)
            return ".", b""
        return path.name, path.read_bytes()
    except OSError as error:
        log.error("Error accessing file '%s': %s", path, error.strerror)
        return ".", b""


def _open_socket(kind: socket.SocketKind, local_ip: str | None) -> socket.socket:
    """Of IPv6, which takes IPv4 as well, where the address or the kernel do not want it otherwise."""
    flags = kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    if local_ip and ":" not in local_ip:
        return socket.socket(socket.AF_INET, flags)
    try:
        return socket.socket(socket.AF_INET6, flags)
    except OSError:
        if local_ip:
            raise
        return socket.socket(socket.AF_INET, flags)  # a kernel without IPv6


def _plain(address: str) -> str:
    """An IPv4-mapped address as IPv4, and no zone."""
    return address.removeprefix("::ffff:").partition("%")[0]


def _asked(beside: list[tuple[int, int, bytes]]) -> bytes:
    """Which of our addresses a datagram was sent to, as an answer from there needs it; empty where there is but one.

    An agent's socket takes answers from the address that it asked only.  The way back is the kernel's to choose, so
    the interface is left open, except where an address holds on one link alone.
    """
    for _, kind, info in beside:
        if kind == socket.IPV6_PKTINFO and len(info) == PKTINFO:
            return info if info.startswith(LINK_LOCAL) else info[:16] + b"\0\0\0\0"
    return b""


def _dropped(bound: socket.socket) -> int:
    """How many datagrams the kernel dropped on this socket for want of room."""
    try:
        info = bound.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4 * MEMINFO_WORDS)
    except OSError:
        return 0
    return int(struct.unpack(f"{len(info) // 4}I", info)[MEMINFO_DROPS]) if len(info) >= 4 * MEMINFO_WORDS else 0
