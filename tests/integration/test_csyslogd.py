"""The real ossec-csyslogd against real sockets."""

from __future__ import annotations

import re
import select
import signal
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.outputs import OutputHome, alert, free_port, make_certificate
from tests.support import wait_until


class Server:
    """A syslog server; `stop()` closes everything as a process that ends does, `start()` listens on the same port."""

    def __init__(self, kind: str = "tcp", context: ssl.SSLContext | None = None) -> None:
        self.kind = kind
        self.port = free_port(socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
        self.data = b""
        self.datagrams: list[bytes] = []
        self._context = context
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._stopping.clear()
        kind = socket.SOCK_DGRAM if self.kind == "udp" else socket.SOCK_STREAM
        listener = socket.socket(socket.AF_INET, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        if self.kind == "tcp":
            listener.listen()
        self._thread = threading.Thread(target=self._serve, args=(listener,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(10)
            self._thread = None

    def _serve(self, listener: socket.socket) -> None:
        peers: list[socket.socket] = []
        while not self._stopping.is_set():
            ready = select.select([listener, *peers], [], [], 0.02)[0]
            for each in ready:
                try:
                    if each is listener and self.kind == "udp":
                        self.datagrams.append(listener.recv(65536))
                    elif each is listener:
                        peer = listener.accept()[0]
                        peer.settimeout(5)
                        peers.append(self._context.wrap_socket(peer, server_side=True) if self._context else peer)
                    else:
                        data = each.recv(65536)
                        self.data += data
                        while isinstance(each, ssl.SSLSocket) and each.pending():
                            self.data += each.recv(65536)
                        if not data:
                            peers.remove(each)
                            each.close()
                except OSError:
                    if each in peers:
                        peers.remove(each)
                        each.close()
        for each in [listener, *peers]:
            each.close()

    def numbers(self) -> Counter[int]:
        text = b"\n".join([self.data, *self.datagrams])
        return Counter(int(number) for number in re.findall(rb"alert number <(\d+)>", text))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[OutputHome]:
    home = OutputHome(tmp_path / "home", "csyslogd")
    home.layout.readers_dir.mkdir(parents=True)
    yield home
    home.end()


def section(server: Server, more: str = "") -> str:
    protocol = "" if "tls" in more else f"<protocol>{server.kind}</protocol>"
    return f"<syslog_output><server>127.0.0.1</server><port>{server.port}</port>{protocol}{more}</syslog_output>\n"


def alerts(*numbers: int) -> bytes:
    return b"".join(alert(number) for number in numbers)


@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_alerts_arrive_and_a_clean_stop_ends_it(home: OutputHome, kind: str) -> None:
    server = Server(kind)
    server.start()
    home.configure(section(server))
    home.start()
    home.write(alerts(1, 2, 3))
    wait_until(lambda: sorted(server.numbers()) == [1, 2, 3], "three alerts")
    assert home.stop() == 0
    home.start()
    home.write(alerts(4))
    wait_until(lambda: 4 in server.numbers(), "the fourth")
    assert home.stop() == 0
    server.stop()
    assert server.numbers() == Counter([1, 2, 3, 4])
    assert f"INFO: Forwarding alerts via syslog ({kind}) to: '127.0.0.1:{server.port}'." in home.log()


@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_a_destination_that_is_down_gets_everything_later_and_delays_no_other(home: OutputHome, kind: str) -> None:
    server, other = Server(kind), Server("tcp")
    other.start()
    home.configure(section(server) + section(other))
    home.start()
    home.write(alerts(*range(100)))
    wait_until(lambda: len(other.numbers()) == 100, "the other's alerts")
    assert not server.numbers()
    home.stop(signal.SIGKILL)
    home.write(alerts(*range(100, 200)))
    home.start()
    server.start()
    wait_until(lambda: set(server.numbers()) == set(range(200)), "all alerts", 40)
    assert home.stop() == 0
    server.stop()
    other.stop()
    assert set(other.numbers()) == set(range(200))
    if kind == "tcp":
        assert "ERROR: Unable to connect to '127.0.0.1'." in home.log()


def test_a_server_that_ends_in_the_middle_misses_nothing(home: OutputHome) -> None:
    server = Server("tcp")
    server.start()
    home.configure(section(server))
    home.start()
    total = 4000
    home.write(alerts(*range(total)))
    wait_until(lambda: len(server.numbers()) > 200, "some alerts")
    server.stop()
    server.start()
    wait_until(lambda: set(server.numbers()) == set(range(total)), "all alerts", 60)
    assert home.stop() == 0
    server.stop()
    doubled = sum(count - 1 for count in server.numbers().values())
    shortest = min(len(line) for line in server.data.splitlines() if line.endswith(b">"))
    assert doubled * shortest <= 128 * 1024 + 2048  # what the window holds


def test_tls_checks_the_certificate(home: OutputHome, tmp_path: Path) -> None:
    server = Server("tcp", make_certificate(tmp_path))
    server.start()
    home.configure(section(server, "<tls>yes</tls><format>json</format>"))
    home.start()
    home.write(alerts(1))
    wait_until(lambda: "certificate verify failed" in home.log(), "the refusal")
    assert not server.numbers()
    home.stop()
    home.configure(section(server, f"<tls>yes</tls><format>json</format><tls_ca>{tmp_path}/ca.pem</tls_ca>"))
    home.start()
    home.write(alerts(2))
    wait_until(lambda: sorted(server.numbers()) == [1, 2], "both alerts")
    assert home.stop() == 0
    server.stop()
    assert b'"message":"alert number <1>"' in server.data


def test_filters_and_a_reload(home: OutputHome) -> None:
    server = Server("udp")
    server.start()
    home.configure(section(server, "<level>10</level>"))
    home.start()
    home.write(alerts(1))
    home.configure(section(server, "<level>9</level>"))
    assert home.process is not None
    wait_until(lambda: b" 0 " not in position(home), "the first alert to be passed over")
    home.process.send_signal(signal.SIGHUP)
    wait_until(lambda: home.log().count("Forwarding alerts via syslog") == 2, "the reload")
    home.write(alerts(2))
    wait_until(lambda: server.numbers(), "the second alert")
    assert home.stop() == 0
    server.stop()
    assert server.numbers() == Counter([2])


def position(home: OutputHome) -> bytes:
    (path,) = home.layout.readers_dir.iterdir()
    return path.read_bytes()


def test_without_destinations_it_leaves(home: OutputHome) -> None:
    home.configure("<global></global>")
    done = home.run("-f")
    assert done.returncode == 0
    assert "ossec-csyslogd: INFO: Remote syslog server not configured. Clean exit." in done.stderr


def test_a_name_that_does_not_resolve_is_waited_for(home: OutputHome) -> None:
    home.configure("<syslog_output><server>no-such-host.invalid</server></syslog_output>")
    assert home.run("-t").returncode == 1
    home.start()
    wait_until(lambda: "(1216): ERROR: Unable to connect to 'no-such-host.invalid'." in home.log(), "the complaint")
    assert home.stop() == 0
