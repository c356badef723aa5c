"""ossec-authd and agent-auth as processes, over real TLS on the loopback."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ossec.agents.store import KeyStore
from ossec.authd import certificate
from ossec.daemon.state import parse_state
from ossec.layout import Layout
from ossec.messages import enrolment
from tests.support import make_bare_home, wait_until

PASSWORD = "s3cret pass"


def free_port() -> int:
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        probe.bind(("::", 0))
        return int(probe.getsockname()[1])


class Authd:
    """A real ossec-authd; `before` is Python that runs in it first."""

    def __init__(self, layout: Layout, *options: str, before: str = "") -> None:
        self.layout = layout
        self.port = free_port()
        code = f"import sys\n{before}\nfrom ossec.authd.__main__ import main\nsys.argv[0] = 'ossec-authd'\nmain()"
        words = ["-f", "-D", str(layout.home), "-p", str(self.port), *options]
        self.process = subprocess.Popen([sys.executable, "-c", code, *words], stderr=subprocess.DEVNULL)
        wait_until(lambda: layout.pid_file("ossec-authd", self.process.pid).exists(), "authd to start")

    def log(self) -> str:
        return self.layout.ossec_log.read_text()

    def connect(self, version: ssl.TLSVersion | None = None) -> ssl.SSLSocket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if version is not None:
            context.minimum_version = context.maximum_version = version
        if version is ssl.TLSVersion.TLSv1_1:
            context.set_ciphers("ALL:@SECLEVEL=0")
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 20))

    def ask(self, *parts: bytes, version: ssl.TLSVersion | None = None) -> bytes:
        """Everything that is answered until the server closes; a close without TLS's own raises."""
        with self.connect(version) as stream:
            for part in parts:
                stream.sendall(part)
            answer = b""
            while more := stream.recv(4096):
                answer += more
            return answer

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Layout:
    layout = make_bare_home(tmp_path / "server")
    layout.rids_dir.mkdir()
    layout.authd_password.write_text(PASSWORD + "\n")
    return layout


@pytest.fixture
def authd(server: Layout) -> Iterator[Authd]:
    running = Authd(server)
    yield running
    running.end()


@pytest.fixture
def agent(tmp_path: Path) -> Layout:
    layout = make_bare_home(tmp_path / "agent")
    layout.rids_dir.mkdir()
    return layout


def agent_auth(layout: Layout, authd: Authd, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ossec.cli.agent_auth", "-m", "127.0.0.1", "-p", str(authd.port)]
    return subprocess.run(
        [*command, "-D", str(layout.home), *words], capture_output=True, text=True, check=False, timeout=60
    )


def test_one_command_enrols_an_agent(server: Layout, authd: Authd, agent: Layout) -> None:
    agent.rids("007").write_text("9:9:")
    agent.client_keys.write_text("007 old any k\n")
    fingerprint = certificate.fingerprint(server.manager_certificate.read_bytes())
    assert fingerprint in authd.log()
    done = agent_auth(agent, authd, "-A", "web01", "-P", str(server.authd_password), "--fingerprint", fingerprint)
    assert (done.returncode, done.stderr) == (0, "")
    [row] = KeyStore(server.client_keys).read().agents
    assert KeyStore(agent.client_keys).read().agents == [row]
    assert (row.id, row.name, row.ip) == ("1024", "web01", "any")
    assert server.client_keys.stat().st_mode & 0o7777 == 0o640
    assert not agent.rids("007").exists(), "counters of another server's key"
    assert authd.stop() == 0


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_and_a_request_in_pieces(authd: Authd, version: ssl.TLSVersion) -> None:
    request = enrolment.encode_request("host1", PASSWORD)
    answer = authd.ask(*(request[index : index + 1] for index in range(len(request))), version=version)
    assert answer.startswith(b"OSSEC K:'1024 host1 any ")
    assert answer.endswith(b"'\n\n")
    assert authd.ask(enrolment.encode_request("host1", PASSWORD + "x"), version=version) == (
        b"ERROR: Invalid password\n\nERROR: Unable to add agent.\n\n"
    )


def test_old_tls_is_refused(authd: Authd) -> None:
    with pytest.warns(DeprecationWarning), pytest.raises((ssl.SSLError, ConnectionError)):
        authd.ask(b"x", version=ssl.TLSVersion.TLSv1_1)
    wait_until(lambda: "SSL Error" in authd.log(), "the line about it")
    assert authd.ask(enrolment.encode_request("host1", PASSWORD)).startswith(b"OSSEC K:")


def test_a_silent_client_is_sent_away(server: Layout) -> None:
    authd = Authd(server, before="import ossec.authd.daemon as daemon\ndaemon.DIALOGUE_LIMIT = 0.3")
    try:
        with authd.connect() as stream, contextlib.suppress(ssl.SSLEOFError, ConnectionResetError):
            assert stream.recv(10) == b""
        with socket.create_connection(("127.0.0.1", authd.port), 20) as bare:
            assert bare.recv(10) == b"", "also one that never begins the handshake"
        assert authd.log().count("SSL I/O timed out after 0.3 seconds") == 2
    finally:
        authd.end()


def test_silent_clients_of_one_address_leave_room_for_others(server: Layout) -> None:
    server.internal_options.write_text("authd.max_connections=8\n")
    authd = Authd(server)
    try:
        silent = [socket.create_connection(("127.0.0.1", authd.port), 20) for _ in range(12)]
        wait_until(lambda: "Too many connections from 127.0.0.1" in authd.log(), "the limit")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        other = socket.create_connection(("127.0.0.1", authd.port), 20, source_address=("127.0.0.2", 0))
        with context.wrap_socket(other) as stream:
            stream.sendall(enrolment.encode_request("host1", PASSWORD))
            assert stream.recv(4096).startswith(b"OSSEC K:")
        for connection in silent:
            connection.close()
    finally:
        authd.end()


def test_guessing_is_slowed_down(authd: Authd) -> None:
    def guess(number: int) -> bool:
        with contextlib.suppress(OSError):
            return authd.ask(enrolment.encode_request("host1", f"guess {number}")).startswith(b"ERROR")
        return False

    answered = [guess(number) for number in range(12)]
    assert 3 <= sum(answered) <= 7
    assert not answered[-1]
    assert authd.log().count("Too many connections from") == 1


def test_many_at_once_get_different_ids(authd: Authd) -> None:
    with ThreadPoolExecutor(12) as pool:
        requests = [enrolment.encode_request("rack", PASSWORD)] * 12
        answers = list(pool.map(authd.ask, requests))
    rows = [enrolment.decode_reply(answer).key or "" for answer in answers]
    assert len({row.split()[0] for row in rows}) == 12
    assert {row.split()[1] for row in rows} == {"rack", *(f"rack{number}" for number in range(2, 13))}
    assert len(KeyStore(authd.layout.client_keys).read().agents) == 12


def test_client_certificates(server: Layout, agent: Layout, tmp_path: Path) -> None:
    import datetime

    pem, key = certificate.make("agent01", [], datetime.datetime.now(datetime.UTC))
    for name, data in (("agent.cert", pem), ("agent.key", key)):
        (tmp_path / name).write_bytes(data)
    authd = Authd(server, "-v", str(tmp_path / "agent.cert"), "-i")
    try:
        words = ("-A", "web01", "-P", str(server.authd_password))
        done = agent_auth(agent, authd, *words)
        assert done.returncode == 1
        assert not agent.client_keys.exists()
        mine = ("-x", str(tmp_path / "agent.cert"), "-k", str(tmp_path / "agent.key"))
        done = agent_auth(agent, authd, *words, *mine)
        assert done.returncode == 0, done.stdout + done.stderr
        assert KeyStore(agent.client_keys).read().agents[0].ip == "127.0.0.1"
    finally:
        authd.end()


def test_a_wrong_server_gets_no_password(authd: Authd, server: Layout, agent: Layout) -> None:
    words = ("-A", "web01", "-P", str(server.authd_password))
    for wrong in (("--fingerprint", "00" * 32), ("-v", str(other_certificate(agent)))):
        done = agent_auth(agent, authd, *words, *wrong)
        assert done.returncode == 1
        assert "Waiting for reply" not in done.stdout
    assert "Received request" not in authd.log()


def other_certificate(layout: Layout) -> Path:
    certificate.ensure(layout.manager_certificate, layout.manager_key)
    return layout.manager_certificate


@pytest.mark.parametrize(("content", "options"), [("", ()), ("\n", ()), ("\r\nx\n", ())])
def test_an_empty_password_is_no_password(server: Layout, content: str, options: tuple[str, ...]) -> None:
    server.authd_password.write_bytes(content.encode())
    command = [sys.executable, "-m", "ossec.authd", "-f", "-D", str(server.home), "-p", str(free_port())]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "holds no password" in done.stderr


def test_the_writing_process_goes_with_its_master(authd: Authd) -> None:
    children = Path(f"/proc/{authd.process.pid}/task/{authd.process.pid}/children").read_text().split()
    assert len(children) == 1
    authd.process.kill()
    authd.process.wait()
    wait_until(lambda: not Path(f"/proc/{children[0]}").exists() or is_zombie(children[0]), "its end")


def is_zombie(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_authd_ends_when_the_writing_process_is_killed(authd: Authd) -> None:
    [child] = Path(f"/proc/{authd.process.pid}/task/{authd.process.pid}/children").read_text().split()
    os.kill(int(child), signal.SIGKILL)
    assert authd.process.wait(20) == 1
    assert "client.keys is gone" in authd.log()


def test_in_the_background_it_is_ready_when_the_command_ends(server: Layout) -> None:
    port = free_port()
    command = [sys.executable, "-m", "ossec.authd", "-D", str(server.home), "-p", str(port)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    [pid_file] = server.run_dir.glob("ossec-authd-*.pid")
    socket.create_connection(("127.0.0.1", port), 20).close()
    wait_until(lambda: server.state_file("ossec-authd").exists(), "the state file")
    assert parse_state(server.state_file("ossec-authd").read_text())["added"] == "0"
    os.kill(int(pid_file.read_text()), signal.SIGTERM)
    wait_until(lambda: not pid_file.exists(), "its end")


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give it up")
def test_who_talks_to_strangers_is_not_root() -> None:
    with tempfile.TemporaryDirectory(prefix="ossec-authd-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)  # that of pytest is root's own
        layout = make_bare_home(Path(folder) / "home")
        layout.rids_dir.mkdir()
        nobody = pwd.getpwnam("nobody")
        for directory in (layout.run_dir, layout.logs_dir):
            os.chown(directory, nobody.pw_uid, nobody.pw_gid)
        layout.ossec_log.touch()
        os.chown(layout.ossec_log, nobody.pw_uid, nobody.pw_gid)
        layout.client_keys.parent.chmod(0o550)
        authd = Authd(layout, "-u", "nobody", "-g", grp.getgrgid(nobody.pw_gid).gr_name)
        try:
            status = Path(f"/proc/{authd.process.pid}/status").read_text()
            assert f"Uid:\t{nobody.pw_uid}\t{nobody.pw_uid}\t{nobody.pw_uid}" in status
            chosen = re.search(r"authentication: ([0-9a-f]{32})", authd.log())
            assert chosen is not None, "without a file the password is random, and said once"
            assert authd.ask(enrolment.encode_request("host1", chosen[1])).startswith(b"OSSEC K:'1024 host1 any ")
            assert layout.client_keys.stat().st_uid == 0
            assert authd.stop() == 0
        finally:
            authd.end()
