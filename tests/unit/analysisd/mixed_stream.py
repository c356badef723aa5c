"""A mixed stream through a real analysisd with our own rules: what alerts.log holds, without times."""

from __future__ import annotations

import random
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from ossec.layout import Layout, data_dir
from tests.support import make_bare_home, wait_until
from tests.unit.analysisd.test_daemon import Running

EXAMPLES = Path(__file__).resolve().parents[2] / "rules"
LOCATIONS = (
    b"/var/log/auth.log",
    b"/var/log/syslog",
    b"10.0.0.9",
    b"(web01) 10.0.0.5->/var/log/auth.log",
    b"(db) 10.0.0.6->/var/log/syslog",
)
PATIENCE = 120.0  # seconds for a loaded machine; the windows of the rules are as long, so a slower one proves nothing
TIMES = re.compile(rb"^(\*\* Alert )\d+(\.\d+: .*\n).*? (?=\S+->|\()", re.MULTILINE)


def mixed_stream(count: int, seed: int = 4) -> Iterator[bytes]:
    """Datagrams: the rules' examples from several places, and attackers who try passwords in between."""
    draw = random.Random(seed)
    lines = [line for path in sorted(EXAMPLES.glob("*/events.log")) for line in path.read_bytes().splitlines() if line]
    for number in range(count):
        line = draw.choice(lines)
        if draw.random() < 0.2:
            attacker, port = draw.randrange(1, 40), draw.randrange(1024, 65000)
            name = b"Invalid user u%d" % (number % 7) if draw.random() < 0.5 else b"Failed password for root"
            line = b"Nov 22 03:58:11 web01 sshd[%d]: %b from 198.51.100.%d port %d" % (number, name, attacker, port)
            line += b" ssh2" if name.startswith(b"F") else b""
        yield b"1:" + draw.choice(LOCATIONS) + b":" + line + b"\0"


def make_home(home: Path) -> Layout:
    layout = make_bare_home(home)
    source = data_dir() / "etc"
    shutil.copytree(source / "rules", layout.rules_dir, dirs_exist_ok=True)
    shutil.copy(source / "decoder.xml", layout.decoder_xml)
    names = [line.split("#")[0].strip() for line in (source / "rules.list").read_text().splitlines()]
    includes = "".join(f"<include>{name}</include>" for name in names if name)
    layout.ossec_conf.write_text(f"<ossec_config><rules>{includes}</rules></ossec_config>")
    layout.init_conf.write_text('TYPE="local"\n')
    return layout


def run(home: Path, count: int) -> bytes:
    """alerts.log of a fresh home after `count` events and a stop, without times and dates."""
    daemon = Running(make_home(home))
    daemon.start()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.settimeout(PATIENCE)
            out.connect(str(daemon.layout.event_queue))
            for datagram in mixed_stream(count):
                out.send(datagram)
        assert daemon.stop() == 0
    finally:
        if daemon.process is not None:
            daemon.process.kill()
            daemon.process.wait()
    wait_until(daemon.layout.alerts_log.exists)
    return TIMES.sub(rb"\1\2", daemon.layout.alerts_log.read_bytes())
