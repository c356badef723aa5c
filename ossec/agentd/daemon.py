"""The shell of ossec-agentd: the local queue, the spool, the line to the server (spec/protocol.md, section 5).

Policies: while the spool is full the local queue is not read, so collectors wait and their files keep; responses wait
for execd in a bounded list, the oldest going first; a datagram that the kernel does not take is the session's to miss.
"""

from __future__ import annotations

import hashlib
import logging
import os
import random
import socket
import string
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ossec import config
from ossec.agentd import shared
from ossec.agentd.session import Session
from ossec.agentd.spool import Spool
from ossec.crypto import counters
from ossec.crypto.channel import Channel, Method
from ossec.crypto.keys import AgentKey, parse
from ossec.crypto.rids import Rids
from ossec.daemon import Context, Service, Timer, code, ready_made
from ossec.errors import ConfigError
from ossec.messages import control
from ossec.queues import Delivery, Inbox, Outbox

log = logging.getLogger("ossec.agentd")

KIND = "agent"
BATCH = 512  # events taken from the local queue in one turn
RECEIVE_BATCH = 64
SEND_BUFFER = 4 * 1024 * 1024
MAX_RESPONSES = 256  # that wait for execd
RESPONSE_RETRY = 1.0  # seconds
FULL_RETRY = 0.5  # seconds until a full spool, or a full disk, is looked at again
MAX_NOISE = 698  # characters at the end of a keep-alive, as OSSEC's
NOISE = string.ascii_letters + string.digits + "!@#$%^&*()_+-=;'[],./?"
OWN_FILES = ("ossec_conf", "internal_options")  # whose integrity an agent reports when it starts


class AgentService(Service):
    """See the module's head; the class is the session's `Ports`."""

    name = "ossec-agentd"
    summary = "Send this agent's events to its server, and do what the server orders."
    user = "ossec"
    debug_option = "agent.debug"

    @classmethod
    def test(cls, context: Context) -> int:
        lines, status = config.check(
            context.layout, path=context.config_path, program=cls.name, kind=KIND, options=context.internal
        )
        for line in lines:
            log.error("%s", line, extra=ready_made)
        if status == 0:
            cls(context)
        return status

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        loaded = config.load(self.layout, path=context.config_path, program=self.name, kind=KIND)
        for line in loaded.warnings:
            log.warning("%s", line, extra=ready_made)
        if loaded.client is None:
            raise ConfigError("No client configured. Exiting.", context.config_path)
        self.client = loaded.client
        self.key = self._read_key()
        self.verify = bool(context.internal.get("remoted.verify_msg_id"))
        self.responses: deque[bytes] = deque(maxlen=MAX_RESPONSES)
        self.out: socket.socket | None = None
        self.resolving = 0
        self.timer: Timer | None = None
        self.reading = False
        self.unkept: list[bytes] = []  # read, and not yet in the spool: its disk is full; at most two batches
        self.received = 0

    def _read_key(self) -> AgentKey:
        try:
            found = parse(self.layout.client_keys.read_bytes()).keys
        except FileNotFoundError:
            found = ()
        if not found:
            log.error("Unable to start without auth keys. Exiting.", extra=code(4109))
            raise ConfigError(
                "no key in it. Enrol this agent: agent-auth -m SERVER, or manage_agents -i KEY", self.layout.client_keys
            )
        return found[0]

    # start and end
    def prepare(self) -> None:
        self.inbox = Inbox(self.layout.event_queue)

    def open(self) -> None:
        self.layout.wait_file.unlink(missing_ok=True)  # an agent of OSSEC stops its collectors with it; ours spools
        profile = self.client.config_profile or "-"
        self.layout.agent_info_file.write_text(f"{self.key.name}\n-\n{self.key.id}\n{profile}\n")
        self.spool = Spool(self.layout.agent_spool_dir)
        if self.spool.damaged:
            log.warning("%d bytes of the spool were damaged and are lost.", self.spool.damaged)
        if len(self.spool):
            log.info("%d events wait for the server from before.", len(self.spool))
        self.rids = Rids(self.layout.rids_dir)
        self.rids.start_sending(time.time())
        self.execd = Outbox(self.layout.exec_queue)
        self.session = Session(
            self,
            self.spool,
            Channel(self.key, prefixed=not self.key.single_host),
            server_names=[server.name for server in self.client.servers],
            server_counter=self.rids.load(self.key.id),
            method=Method(self.client.crypto_method),
            notify_time=float(self.client.notify_time),
            reconnect_time=float(self.client.reconnect_time),
            verify_counters=self.verify,
        )
        self._read_on()
        self._introduce()
        self.session.start(self.loop.now())
        self.loop.after_turn(self._turn_over)
        self.loop.call_soon(lambda: None)

    def _introduce(self) -> None:
        """What OSSEC's agent says first: that it started, and the sums of its own configuration."""
        started = f"ossec: Agent started: '{self.key.name}->{self.key.address_text}'."
        events = [b"1:ossec:" + started.encode("utf-8", "surrogateescape")]
        for name in OWN_FILES:
            path: Path = getattr(self.layout, name)
            events.append(b"8:syscheck:" + _own_sum(path) + b" " + os.fsencode(path))
        self._keep(events)

    def reload(self) -> None:
        """A new key or server list wants a restart, and says so."""
        loaded = config.load(self.layout, path=self.context.config_path, program=self.name, kind=KIND)
        if loaded.client != self.client or self._read_key() != self.key:
            log.warning("The server, or the key, changed: ossec-control restart makes agentd use it.")

    def close(self) -> None:
        if not self.unkept:
            self._read_queue()
        else:
            self._keep([])
        self.inbox.close()
        self.session.flush(self.loop.now())
        if self.unkept:
            log.error("%d events are lost: the spool cannot be written.", len(self.unkept))
        self.spool.close()
        self.rids.close()

    def state(self) -> Mapping[str, object]:
        return {
            "connected": int(self.session.connected),
            "server": self.client.servers[self.session.server].name,
            "connections": self.session.connections,
            "received": self.received,
            "waiting": len(self.spool) + len(self.unkept),
            "spool_bytes": self.spool.size,
            "sent_again": self.session.sent_again,
            "refused": self.session.refused,
        }

    # the local queue
    def _read_on(self) -> None:
        if not self.reading:
            self.reading = True
            self.loop.on_readable(self.inbox.fileno(), self._read_queue)

    def _read_queue(self) -> None:
        events = [datagram.split(b"\0", 1)[0] for datagram in self.inbox.receive(BATCH)]
        self.received += len(events)
        # only remoted speaks in control messages: a local text that looks like one is no event
        self._keep([event for event in events if event and not event.startswith(control.HEAD)])

    def _keep(self, events: list[bytes]) -> None:
        if not events and not self.unkept:
            return
        try:
            self.spool.append(self.unkept + events)
        except OSError as error:
            log.error("The spool cannot be written: %s. Collectors wait until it can.", error.strerror)
            self.unkept += events
            self._rest()
            return
        self.unkept = []
        if self.spool.full:
            log.warning("The spool is full: collectors wait until the server takes events.")
            self._rest()

    def _rest(self) -> None:
        if self.reading:
            self.reading = False
            self.loop.forget_readable(self.inbox.fileno())
            self.loop.call_later(FULL_RETRY, self._after_rest)

    def _after_rest(self) -> None:
        if self.unkept and not self.spool.full:
            waiting, self.unkept = self.unkept, []
            try:
                self.spool.append(waiting)
            except OSError:
                self.unkept = waiting
            else:
                log.info("The spool can be written again.")
        if self.unkept or self.spool.full:
            self.loop.call_later(FULL_RETRY, self._after_rest)
        else:
            self._read_on()

    # the session's turn
    def _turn_over(self) -> None:
        now = self.loop.now()
        self.session.flush(now)
        due = self.session.tick(now)
        if self.timer is None or self.timer.cancelled or abs(self.timer.deadline - due) > 0.001 or due <= now:
            if self.timer is not None:
                self.timer.cancel()
            self.timer = self.loop.call_at(max(due, now + 0.001), lambda: None)

    # Ports
    def connect(self, server: int) -> None:
        """Resolve beside the loop; what is sent before the address is known is lost, and asked for again."""
        self._hang_up()
        self.resolving += 1
        chosen, turn = self.client.servers[server], self.resolving

        def resolve() -> None:
            try:
                found = socket.getaddrinfo(chosen.name, self.client.port, type=socket.SOCK_DGRAM)
            except OSError as error:
                reason = str(error)
                self.loop.call_from_thread(lambda: self._not_found(turn, chosen.name, reason))
            else:
                self.loop.call_from_thread(lambda: self._dial(turn, found))

        if chosen.by_name:
            threading.Thread(target=resolve, name="resolver", daemon=True).start()
        else:
            self._dial(turn, socket.getaddrinfo(chosen.name, self.client.port, type=socket.SOCK_DGRAM))

    def _not_found(self, turn: int, name: str, reason: str) -> None:
        if turn == self.resolving:
            log.warning("Invalid hostname: '%s' (%s).", name, reason, extra=code(4104))

    def _dial(self, turn: int, found: Sequence[Any]) -> None:
        if turn != self.resolving:
            return
        family, _, _, _, address = found[0]
        new = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            new.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            if self.client.local_ip:
                new.bind((self.client.local_ip, 0))
            new.connect(address)
        except OSError as error:
            new.close()
            log.warning("Unable to connect to '%s' (%s).", address, error.strerror, extra=code(1216))
            return
        self.out = new
        self.loop.on_readable(new.fileno(), self._receive)
        log.info("Trying to connect to server (%s:%d).", *address[:2])

    def _hang_up(self) -> None:
        if self.out is not None:
            self.loop.forget(self.out.fileno())
            self.out.close()
            self.out = None

    def _receive(self) -> None:
        now = self.loop.now()
        for _ in range(RECEIVE_BATCH):
            if self.out is None:
                return
            try:
                datagram = self.out.recv(65536)
            except BlockingIOError:
                return
            except OSError as error:  # nobody listens there (an ICMP error)
                log.debug("server: %s", error.strerror)
                return
            self.session.receive(datagram, now)

    def send(self, datagram: bytes) -> None:
        if self.out is None:
            return
        try:
            self.out.send(datagram)
        except OSError as error:  # no route, a full buffer: the probe behind it will miss it
            log.debug("send: %s", error.strerror)

    def execute(self, text: bytes) -> None:
        if self.client.disable_active_response:
            return
        if len(self.responses) == MAX_RESPONSES:
            log.error("Error communicating with execd: %d responses wait, the oldest is dropped.", MAX_RESPONSES)
        self.responses.append(text + b"\0")
        self._hand_over()

    def _hand_over(self) -> None:
        while self.responses:
            if self.execd.send(self.responses[0]) is not Delivery.SENT:
                if len(self.responses) == 1:
                    log.warning("Error communicating with execd: responses wait for it.")
                self.loop.call_later(RESPONSE_RETRY, self._hand_over)
                return
            self.responses.popleft()

    def restart_syscheck(self) -> None:
        self.layout.syscheck_run_file.write_text("/var/run/.syscheck_run\n")

    def store_shared(self, name: str, digest: str, content: bytes) -> None:
        try:
            change = shared.judge(name, digest, content)
            changed = shared.apply(change, self.layout.shared_file, self.layout.shared_origin)
        except shared.BadTransfer as error:
            log.warning("Shared file refused: %s.", error)
            return
        except OSError as error:
            log.error("Shared file '%s' cannot be stored: %s.", name, error)
            return
        for refused in change.refused:
            log.warning("A shared file called %r is refused.", refused)
        if changed:
            log.info("Shared files changed: %s.", ", ".join(changed))

    def next_counter(self) -> counters.Pair:
        return self.rids.next()

    def save_counter(self, pair: counters.Pair) -> None:
        try:
            self.rids.save(self.key.id, pair)
        except OSError as error:  # a full disk must not make the agent deaf; it remembers while it runs
            text = f"The server's counter cannot be saved: {error.strerror}."
            self.session.complaints.say(logging.ERROR, None, text, self.loop.now())

    def keepalive(self) -> bytes:
        system = os.uname()
        uname = control.format_uname(system.sysname, system.nodename, system.release, system.version, system.machine)
        noise = "".join(random.choices(NOISE, k=random.randrange(MAX_NOISE + 1)))
        return control.format_keepalive(uname, _md5(self.layout.agent_conf), _md5(self.layout.merged_mg), noise)

    def note(self, level: int, number: int | None, text: str) -> None:
        log.log(level, "%s", text, extra=code(number) if number is not None else None)


def _md5(path: Path) -> str | None:
    try:
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    except OSError:
        return None


def _own_sum(path: Path) -> bytes:
    """`SIZE:MODE:UID:GID:MD5:SHA1` of a file, `-1` where there is none."""
    try:
        content, status = path.read_bytes(), path.stat()
    except OSError:
        return b"-1"
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    return f"{status.st_size}:{status.st_mode}:{status.st_uid}:{status.st_gid}:{md5}:{sha1}".encode()
