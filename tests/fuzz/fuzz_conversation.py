"""Any texts that are sealed well, said by a server to our agent and by an agent to our server, and any shared file."""

from __future__ import annotations

import hashlib

from ossec.agentd import shared
from ossec.agentd.session import Session
from ossec.crypto import counters
from ossec.crypto.channel import Channel
from ossec.crypto.keys import AgentKey
from ossec.messages import control, merged
from ossec.remoted.core import Remoted
from ossec.remoted.shared import SharedFiles
from tests.unit.remoted.recorder import Recorder

KEY = AgentKey.parse("001 web01 192.0.2.1 " + "0123456789abcdef" * 4)
CHANNEL = Channel(KEY)
HEADS = (b"", control.HEAD, control.FILE_HEAD, control.EXECD, b"1:x:")


def texts_of(data: bytes) -> list[bytes]:
    """Cut at byte 255, each with the head that its first byte names."""
    return [HEADS[part[0] % len(HEADS)] + part[1:] for part in data.split(b"\xff") if part]


class NoEvents:
    """A spool with nothing in it."""

    acked = 0
    end = 0

    def read(self, number: int, limit: int) -> list[bytes]:
        return []

    def acknowledge(self, number: int) -> None: ...

    def __len__(self) -> int:
        return 0


class Agent:
    """The session's ports; a shared file is judged as the daemon does it."""

    def send(self, datagram: bytes) -> None: ...

    def connect(self, server: int) -> None: ...

    def execute(self, text: bytes) -> None: ...

    def restart_syscheck(self) -> None: ...

    def store_shared(self, name: str, digest: str, content: bytes) -> None:
        fuzz_shared(content, name)

    def next_counter(self) -> counters.Pair:
        return (1, 1)

    def save_counter(self, pair: counters.Pair) -> None: ...

    def keepalive(self) -> bytes:
        return control.STARTUP

    def note(self, level: int, number: int | None, text: str) -> None: ...


def fuzz_agent_session(data: bytes) -> None:
    session = Session(Agent(), NoEvents(), CHANNEL, server_names=["x"], server_counter=counters.START)
    session.start(0.0)
    for number, text in enumerate(texts_of(data), 1):
        if text:
            session.receive(CHANNEL.seal(text[:6016], (1, number)), float(number))
        session.receive(text, float(number))
        session.tick(float(number))


def fuzz_server_session(data: bytes) -> None:
    ports = Recorder()
    core = Remoted(ports)
    core.load_keys([KEY], {})
    core.shared = SharedFiles([("agent.conf", b"x" * 2000)])
    for number, text in enumerate(texts_of(data), 1):
        if text:
            core.receive(CHANNEL.seal(text[:6016], (1, number)), ("192.0.2.1", 1), float(number))
        core.receive(text, ("192.0.2.1", 1), float(number))
        core.order(text, float(number))
        core.tick(float(number))
    assert all(len(event) <= 6143 for event in ports.events)


def fuzz_shared(data: bytes, name: str = control.MERGED) -> None:
    """What an agent would write stays in its directory, under names that its disk takes."""
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    try:
        change = shared.judge(name, digest, data)
    except shared.BadTransfer:
        return
    for inner, _ in change.files:
        assert merged.safe_name(inner) is not None
