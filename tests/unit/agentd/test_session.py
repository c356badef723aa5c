"""The agent's session against remoted's core, over a network that the test breaks, on a virtual clock."""

from __future__ import annotations

import heapq
import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossec.agentd.session import MAX_PAUSE, WINDOW, Session
from ossec.crypto import counters
from ossec.crypto.channel import Channel, Method
from ossec.crypto.keys import AgentKey
from ossec.messages import control
from ossec.remoted.core import Remoted
from ossec.remoted.shared import SharedFiles
from tests.unit.remoted.recorder import Recorder

KEY = AgentKey.parse("001 web01 192.0.2.1 " + "0123456789abcdef" * 4)
PEER = ("192.0.2.1", 40000)
LATENCY = 0.001


class Memory:
    """Events in memory, with the spool's face."""

    def __init__(self) -> None:
        self.events: list[bytes] = []
        self.acked = 0

    @property
    def end(self) -> int:
        return len(self.events)

    def read(self, number: int, limit: int) -> list[bytes]:
        return self.events[number : number + limit] if limit > 0 else []

    def acknowledge(self, number: int) -> None:
        self.acked = max(self.acked, number)

    def __len__(self) -> int:
        return self.end - self.acked


class World:
    """One agent, one server, a clock, and a wire that drops what `drop(now)` says."""

    def __init__(self, servers: int = 1) -> None:
        self.now = 0.0
        self.wire: list[tuple[float, int, str, bytes]] = []
        self.order = itertools.count()
        self.down: list[tuple[float, float]] = []
        self.dead_servers: set[int] = set()
        self.turned_to: list[int] = []
        self.asked_at: list[float] = []
        self.log: list[str] = []
        self.executed: list[bytes] = []
        self.stored: dict[str, bytes] = {}
        self.syscheck_restarts = 0
        self.counter = counters.START
        self.uname = control.format_uname("Linux", "web01", "6.1", "#1", "x86_64")
        self.merged_sum: str | None = None
        self.events = Memory()
        self.recorder = Recorder()
        self.recorder.send = self._server_sends  # type: ignore[method-assign]
        self.server = Remoted(self.recorder)
        self.server.load_keys([KEY], {})
        self.session = Session(
            self,
            self.events,
            Channel(KEY),
            server_names=[f"10.0.0.{number}" for number in range(servers)],
            server_counter=counters.START,
            jitter=lambda: 0.5,
        )
        self.session.start(self.now)

    # the session's ports
    def send(self, datagram: bytes) -> None:
        self.asked_at.append(self.now)
        self._put("server", datagram)

    def connect(self, server: int) -> None:
        self.turned_to.append(server)

    def execute(self, text: bytes) -> None:
        self.executed.append(text)

    def restart_syscheck(self) -> None:
        self.syscheck_restarts += 1

    def store_shared(self, name: str, digest: str, content: bytes) -> None:
        self.stored[name] = content

    def next_counter(self) -> counters.Pair:
        self.counter = counters.following(self.counter)
        return self.counter

    def save_counter(self, pair: counters.Pair) -> None:
        pass

    def keepalive(self) -> bytes:
        return control.format_keepalive(self.uname, None, self.merged_sum, "noise")

    def note(self, level: int, number: int | None, text: str) -> None:
        self.log.append(text)

    # the wire
    def _server_sends(self, datagram: bytes, peer: object) -> None:
        self._put("agent", datagram)

    def _put(self, to: str, datagram: bytes) -> None:
        lost = any(start <= self.now < end for start, end in self.down) or self.session_server() in self.dead_servers
        if not lost:
            heapq.heappush(self.wire, (self.now + LATENCY, next(self.order), to, datagram))

    def session_server(self) -> int:
        return self.session.server if hasattr(self, "session") else 0

    def run(self, until: float, feed: list[tuple[float, bytes]] | None = None) -> None:
        waiting = sorted(feed or [])
        while True:
            due = self.session.tick(self.now)
            push = self.server.tick(self.now)
            times = [due, until]
            times += [push] if push is not None else []
            times += [self.wire[0][0]] if self.wire else []
            times += [waiting[0][0]] if waiting else []
            self.now = max(self.now, min(times))
            if self.now >= until:
                return
            while waiting and waiting[0][0] <= self.now:
                self.events.events.append(waiting.pop(0)[1])
                self.session.flush(self.now)
            while self.wire and self.wire[0][0] <= self.now:
                _, _, to, datagram = heapq.heappop(self.wire)
                if to == "server":
                    self.server.receive(datagram, PEER, self.now)
                else:
                    self.session.receive(datagram, self.now)

    def arrived(self) -> list[bytes]:
        return [event.split(b"->x:", 1)[1] for event in self.recorder.events if b"->x:" in event]


def stream(number: int, start: float, end: float) -> list[tuple[float, bytes]]:
    return [(start + (end - start) * i / number, b"1:x:%d" % i) for i in range(number)]


def last_seen(arrived: list[bytes]) -> list[bytes]:
    """Each event where it came last: what was sent again comes in order."""
    return list(dict.fromkeys(reversed(arrived)))[::-1]


def wanted(number: int) -> list[bytes]:
    return [b"%d" % i for i in range(number)]


def test_events_arrive_once_and_in_order_on_a_sound_network() -> None:
    world = World()
    world.run(60.0, stream(5000, 1.0, 50.0))
    assert world.arrived() == wanted(5000)
    assert world.events.acked == 5000
    assert world.session.sent_again == 0


def test_what_a_minute_without_network_held_up_arrives_in_order() -> None:
    world = World()
    world.down = [(20.0, 80.0)]
    world.run(300.0, stream(6000, 1.0, 120.0))
    first_seen = list(dict.fromkeys(world.arrived()))
    assert first_seen == wanted(6000)
    assert world.events.acked == 6000
    doubled = len(world.arrived()) - 6000
    assert doubled <= WINDOW
    assert any("does not answer" in line for line in world.log)


@settings(max_examples=25, deadline=None)
@given(outages=st.lists(st.tuples(st.floats(0, 100), st.floats(1.2, 40)), max_size=4))
def test_no_outage_loses_an_event(outages: list[tuple[float, float]]) -> None:
    world = World()
    world.down = [(start, start + length) for start, length in outages]
    world.run(700.0, stream(800, 0.0, 100.0))
    assert last_seen(world.arrived()) == wanted(800)


def test_the_window_bounds_what_may_be_sent_twice() -> None:
    world = World()
    world.run(5.0)
    world.down = [(5.0, 1000.0)]
    before = len(world.asked_at)
    world.run(8.0, stream(5000, 5.0, 6.0))
    assert len(world.asked_at) - before <= WINDOW + WINDOW // 250 + 2


def test_a_silent_server_is_asked_with_growing_pauses() -> None:
    world = World()
    world.down = [(0.0, 10_000.0)]
    world.run(900.0)
    gaps = [b - a for a, b in itertools.pairwise(world.asked_at)]
    assert world.asked_at[:2] == [0.0, 4.0]
    assert max(gaps) <= MAX_PAUSE * 1.25 + 8
    assert len(world.asked_at) < 80
    assert any("Tried: '10.0.0.0'" in line for line in world.log)


def test_the_next_server_takes_over() -> None:
    world = World(servers=3)
    world.dead_servers = {0, 1}
    world.run(60.0, stream(10, 0.0, 1.0))
    assert world.session.server == 2
    assert world.arrived() == wanted(10)


def test_responses_and_shared_files_come_through() -> None:
    world = World()
    world.server.shared = SharedFiles([("agent.conf", b"<agent_config/>" * 500)])
    world.run(10.0)
    assert world.stored == {"merged.mg": world.server.shared.merge.content}
    world.merged_sum = world.server.shared.merge.digest
    world.server.order(b"(msg_to_agent) [] NNS 001 fw5 - 198.51.100.7 a b", world.now)
    world.server.order(b"(msg_to_agent) [] N!S 001 syscheck restart", world.now)
    world.run(20.0)
    assert world.executed == [b"fw5 - 198.51.100.7 a b"]
    assert world.syscheck_restarts == 1


def test_a_replayed_or_foreign_datagram_changes_nothing() -> None:
    world = World()
    world.run(1.0)
    server = Channel(KEY)
    order = server.seal(b"#!-execd fw0 - 1.2.3.4 a b", (9, 1))
    world.session.receive(order, 1.0)
    world.session.receive(order, 1.1)
    world.session.receive(b":junk", 1.2)
    other = AgentKey.parse("001 web01 192.0.2.1 " + "f" * 64)
    world.session.receive(Channel(other).seal(b"#!-execd fw0 - 9.9.9.9 a b", (10, 1)), 1.3)
    assert world.executed == [b"fw0 - 1.2.3.4 a b"]
    assert world.session.refused == 3


@pytest.mark.parametrize("method", Method)
def test_both_ciphers_are_understood(method: Method) -> None:
    world = World()
    world.session.receive(Channel(KEY).seal(control.ACK, (1, 1), method), 0.5)
    assert world.session.connected


def test_a_shared_file_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    world = World()
    world.run(1.0)
    world.session.receive(Channel(KEY).seal(control.format_file_start("0" * 32, "big"), (9, 1)), 1.0)
    from ossec.agentd import session as module

    world.session._take_content(b"x" * (module.MAX_SHARED + 1))
    world.session.receive(Channel(KEY).seal(control.FILE_END, (9, 2)), 1.0)
    assert "big" not in world.stored


def test_the_keepalive_comes_when_it_is_due() -> None:
    world = World()
    world.run(3000.0)
    assert world.server.counts.control == 2 + 4  # startup, first keepalive, then one each 600 s
