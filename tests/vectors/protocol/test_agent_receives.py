"""What a real agent did with datagrams of its server, done by ours (spec/protocol.md, sections 2, 4 and 6)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ossec.agentd import shared
from ossec.agentd.session import Session
from ossec.agentd.spool import Spool
from ossec.crypto import counters
from ossec.crypto.channel import Channel, Method
from ossec.crypto.keys import AgentKey
from ossec.messages import control

HERE = Path(__file__).parent
SERVER = "10.9.0.12"
LEVELS = {20: "INFO", 30: "WARN", 40: "ERROR"}
DEBUG = "Duplicate error:"

# Where ours deliberately does not do as OSSEC; docs/differences.md has the reasons.
KEPT = "a file that did not arrive whole leaves the one before it alone"
UNCHECKED = "a file whose sum was never compared is not stored"
NAME = "a name that leaves the directory, breaks a line or is the merge's own is refused and said"
DELIBERATE = {
    "other_cipher_blowfish": "either marker is understood, as the server's cipher may lag behind",
    "other_cipher_aes": "the same",
    "aes:colon_only": "the same: OSSEC's takes it for AES and names the key's address, ours the sender",
    "push_merged_bad_md5": KEPT,
    "push_no_close_then_new_push": UNCHECKED,
    "unknown_control_between_chunks_closes_file": "what was half sent is forgotten, its end means nothing",
    "chunk_that_starts_with_control_header": "the same",
    "close_without_trailing_space": UNCHECKED,
    "up_file_no_space_after_sum": "told as unknown",
    "merged_negative_size": "a size below zero heads no file",
    "merged_name_traversal": NAME,
    "merged_crlf": NAME,
    "merged_overwrites_itself": NAME,
}
LONG = "random_bytes_"  # datagrams above 1,024 bytes are read whole


class Agent:
    """A session with etc/shared in a folder; the class is its `Ports`."""

    def __init__(self, home: Path, setup: dict[str, Any]) -> None:
        self.folder = home / "shared"
        self.folder.mkdir()
        self.origin = home / "origin"
        self.log: list[str] = []
        self.sent: list[bytes] = []
        self.executed: list[bytes] = []
        self.syscheck = False
        key = AgentKey.parse(setup["key_line"])
        channel, method = Channel(key), Method(setup["crypto_method"])
        self.session = Session(
            self,
            Spool(home / "spool"),
            channel,
            server_names=[SERVER],
            server_counter=counters.START,
            method=method,
            complaint_interval=0,
        )
        self.session.start(0.0)
        self.session.receive(channel.seal(control.ACK, (0, 1), method), 0.0)
        assert self.session.connected

    def send(self, datagram: bytes) -> None:
        self.sent.append(datagram)

    def connect(self, server: int) -> None: ...

    def execute(self, text: bytes) -> None:
        self.executed.append(text)

    def restart_syscheck(self) -> None:
        self.syscheck = True

    def store_shared(self, name: str, digest: str, content: bytes) -> None:
        try:
            change = shared.judge(name, digest, content)
        except shared.BadTransfer:
            self.log.append(f"ossec-agentd: ERROR: Failed md5 for: /etc/shared/{name} -- deleting.")
            return
        shared.apply(change, lambda name: self.folder / name, self.origin)
        self.log += [f"refused {name}" for name in change.refused]

    def next_counter(self) -> counters.Pair:
        return (9, 1)

    def save_counter(self, pair: counters.Pair) -> None: ...

    def keepalive(self) -> bytes:
        return control.format_keepalive("x", None, None, "")

    def note(self, level: int, number: int | None, text: str) -> None:
        code = f"({number})" if number is not None else ""
        self.log.append(f"ossec-agentd{code}: {LEVELS[level]}: {text}")

    def files(self) -> dict[str, str]:
        return {path.name: path.read_bytes().decode("latin-1") for path in self.folder.iterdir()}

    def become(self, files: dict[str, str]) -> None:
        """etc/shared as the row found it, none of it ours to remove."""
        for path in self.folder.iterdir():
            path.unlink()
        for name, content in files.items():
            (self.folder / name).write_bytes(content.encode("latin-1"))
        self.origin.unlink(missing_ok=True)
        self.log.clear()
        self.sent.clear()
        self.executed.clear()
        self.syscheck = False


@pytest.mark.parametrize("method", ["aes", "blowfish"])
def test_a_real_agents_doings(method: str, tmp_path: Path) -> None:
    recorded = (HERE / f"agent_receive_{method}.jsonl").read_text(encoding="utf-8").splitlines()
    setup, *rows = map(json.loads, recorded)
    agent = Agent(tmp_path, setup)
    differ: list[object] = []
    deliberate: set[str] = set()
    for row in rows:
        agent.become(row["etc_shared_before"])
        for datagram in row["datagrams"]:
            agent.session.receive(bytes.fromhex(datagram), 1.0)
        ours = {
            "agentd_log": list(agent.log),
            "execq": [text.decode("latin-1") for text in agent.executed],
            "sent_back": agent.sent,
            "etc_shared_after": agent.files(),
            "syscheck_run": agent.syscheck,
        }
        theirs = {name: row[name] for name in ours}
        theirs["agentd_log"] = [line for line in row["agentd_log"] if not line.startswith(DEBUG)]
        if ours == theirs:
            continue
        names = {row["case"], f"{method}:{row['case']}"} & DELIBERATE.keys()
        if names or row["case"].startswith(LONG):
            deliberate |= names
            continue
        differ.append((row["case"], {name: (ours[name], theirs[name]) for name in ours if ours[name] != theirs[name]}))
    assert not differ
    present = {row["case"] for row in rows} | {f"{method}:{row['case']}" for row in rows}
    assert present & DELIBERATE.keys() == deliberate  # what agrees by now must not stay in the list
    assert len(rows) == 51


@pytest.mark.parametrize("case", ["push_merged_bad_md5", "push_merged_upper_case_md5"])
def test_a_transfer_that_failed_leaves_the_files_that_were_there(case: str, tmp_path: Path) -> None:
    """OSSEC deletes the file that it had, and asks for it again ten minutes later."""
    recorded = (HERE / "agent_receive_aes.jsonl").read_text(encoding="utf-8").splitlines()
    setup, *rows = map(json.loads, recorded)
    row = next(row for row in rows if row["case"] == case)
    agent = Agent(tmp_path, setup)
    agent.become({"merged.mg": "before", "a.txt": "before"})
    for datagram in row["datagrams"]:
        agent.session.receive(bytes.fromhex(datagram), 1.0)
    assert agent.files() == {"merged.mg": "before", "a.txt": "before"}
