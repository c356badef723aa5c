"""The scripts that talk to a service, against a service of the test's own."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

BIN = Path(__file__).parents[3] / "active-response" / "bin"
SERVICES = sorted(path.name for path in BIN.glob("*.sh") if "python3" in path.read_text().partition("\n")[0])
ALERT = """** Alert 1795320577.42: - syslog,sshd,
2026 Nov 22 05:00:00 host->/var/log/auth.log
Rule: 5712 (level 10) -> 'x'
"""


class Service(ThreadingHTTPServer):
    """Keeps what it was asked; answers as the cloud does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str, Any, dict[str, str]]] = []
        self.rules: dict[str, dict[str, Any]] = {}
        self.status = 0  # of every answer, if not 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Service

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.asked.append((self.command, self.path, body, dict(self.headers)))
        status, value = self.server.status or 200, {"success": self.server.status == 0}
        if self.server.status == 0 and "access_rules" in self.path:
            status, value = self.cloudflare(body)
        elif self.server.status == 0 and "enqueue" in self.path:
            status = 202
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def cloudflare(self, body: Any) -> tuple[int, dict[str, Any]]:
        rules = self.server.rules
        if self.command == "POST":
            if any(rule["configuration"] == body["configuration"] for rule in rules.values()):
                return 400, {"success": False, "errors": [{"code": 10009}]}
            rules[f"id{len(rules)}"] = body
            return 200, {"success": True}
        if self.command == "DELETE":
            del rules[self.path.rpartition("/")[2]]
            return 200, {"success": True}
        wanted = parse_qs(urlsplit(self.path).query)["configuration.value"][0]
        found = [{"id": key, **rule} for key, rule in rules.items() if rule["configuration"]["value"] == wanted]
        return 200, {"success": True, "result": found}

    do_GET = do_POST = do_DELETE = answer

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as made:
        threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture
def home(tmp_path: Path, service: Service) -> Path:
    for folder in ("active-response/bin", "logs/alerts", "etc"):
        (tmp_path / folder).mkdir(parents=True)
    for name in SERVICES:
        shutil.copy(BIN / name, tmp_path / "active-response" / "bin" / name)
    (tmp_path / "logs" / "alerts" / "alerts.log").write_text(f"** Alert 1.1: x\nother\n\n{ALERT}\n** Alert 9.9: y\n\n")
    for name, text in (
        ("slack.secret", f"{service.url}/hook\n"),
        ("pagerduty.secret", f"key {service.url}/v2/enqueue\n"),
        ("cloudflare.secret", f"token zones/7 {service.url}\n"),
    ):
        path = tmp_path / "etc" / name
        path.write_text(text)
        path.chmod(0o600)
    return tmp_path


def run(home: Path, script: str, action: str, address: str = "192.0.2.1") -> subprocess.CompletedProcess[str]:
    command = [str(home / "active-response" / "bin" / script), action, "-", address, "1795320577.42", "5712", "/x", "-"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd="/")
    assert done.stdout == ""
    return done


def lines(home: Path) -> list[str]:
    log = home / "logs" / "active-responses.log"
    return [line.split(" ", 6)[6] for line in log.read_text().splitlines()] if log.exists() else []


def test_slack_gets_the_alert(home: Path, service: Service) -> None:
    assert run(home, "ossec-slack.sh", "add").returncode == 0
    ((method, path, body, _),) = service.asked
    assert (method, path) == ("POST", "/hook")
    assert body == {"text": f"```\n{ALERT.strip()}\n```"}
    script = home / "active-response" / "bin" / "ossec-slack.sh"
    assert lines(home) == [f"{script} add - 192.0.2.1 1795320577.42 5712"]


def test_pagerduty_gets_an_incident(home: Path, service: Service) -> None:
    assert run(home, "ossec-pagerduty.sh", "add").returncode == 0
    ((_, _, body, _),) = service.asked
    assert (body["routing_key"], body["event_action"]) == ("key", "trigger")
    assert body["payload"]["summary"] == "Rule: 5712 (level 10) -> 'x'"
    assert body["dedup_key"].endswith("1795320577.42")


@pytest.mark.parametrize("script", ["ossec-slack.sh", "ossec-pagerduty.sh"])
def test_undoing_a_message_does_nothing(home: Path, service: Service, script: str) -> None:
    assert run(home, script, "delete").returncode == 0
    assert service.asked == []
    assert lines(home) == []


def test_cloudflare_blocks_and_releases_again_and_again(home: Path, service: Service) -> None:
    for address in ("192.0.2.1", "2001:DB8::1"):
        for _ in range(2):
            assert run(home, "cloudflare-ban.sh", "add", address).returncode == 0
    assert [rule["configuration"] for rule in service.rules.values()] == [
        {"target": "ip", "value": "192.0.2.1"},
        {"target": "ip6", "value": "2001:db8::1"},
    ]
    service.rules["mine"] = {"notes": "by hand", "configuration": {"target": "ip", "value": "192.0.2.1"}}
    for _ in range(2):
        assert run(home, "cloudflare-ban.sh", "delete", "192.0.2.1").returncode == 0
    assert set(service.rules) == {"id1", "mine"}
    assert all(path.startswith("/zones/7/firewall/access_rules/rules") for _, path, _, _ in service.asked)
    assert all(headers["Authorization"] == "Bearer token" for _, _, _, headers in service.asked)


@pytest.mark.parametrize("script", SERVICES)
def test_a_refusal_is_told_and_the_secret_is_not(home: Path, service: Service, script: str) -> None:
    service.status = 403
    done = run(home, script, "add")
    assert done.returncode == 1
    assert "answered 403" in done.stderr
    (line,) = lines(home)
    assert line.startswith("Unable to run (")
    assert "token" not in line + done.stderr
    assert service.url not in line + done.stderr


@pytest.mark.parametrize("script", SERVICES)
def test_nobody_there_is_told_and_the_address_is_not(home: Path, service: Service, script: str) -> None:
    service.server_close()
    done = run(home, script, "add")
    assert done.returncode == 1
    assert done.stderr.startswith("no answer: ")
    assert service.url not in done.stderr


@pytest.mark.parametrize("script", SERVICES)
def test_a_secret_that_everybody_reads_is_refused(home: Path, service: Service, script: str) -> None:
    for path in (home / "etc").iterdir():
        path.chmod(0o644)
    assert "can be read by everybody" in run(home, script, "add").stderr
    for path in (home / "etc").iterdir():
        path.unlink()
    assert "No such file" in run(home, script, "add").stderr
    assert service.asked == []


def test_what_is_no_address_never_reaches_cloudflare(home: Path, service: Service) -> None:
    assert run(home, "cloudflare-ban.sh", "add", "evil.example.com").returncode == 1
    assert service.asked == []


def test_what_these_scripts_share_is_the_same_in_all() -> None:
    texts = [(BIN / name).read_text() for name in SERVICES]
    shared = {
        text[text.index("# --- the same in every script that talks") : text.index("# --- until here")] for text in texts
    }
    assert len(shared) == 1
