"""The firewall scripts on real packets: two network namespaces, a client that asks, a host that drops."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

BIN = Path(__file__).parents[2] / "active-response" / "bin"
HOST = {4: "198.51.100.1", 6: "2001:db8:51::1"}
CLIENT = {4: "198.51.100.9", 6: "2001:db8:51::9"}
OTHER = {4: "198.51.100.10", 6: "2001:db8:51::10"}
MARK = {4: "198.51.100.200", 6: "2001:db8:51::200"}  # an address that nobody blocks
PORT = 7

needs = [name for name in ("ip", "nft", "iptables", "ip6tables") if shutil.which(name) is None]
pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(bool(needs), reason=f"not installed: {' '.join(needs)}"),
]


def run(*command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=check)


class Net:
    """A host and a client, each in a namespace, joined by a wire.  The client has several addresses of each family."""

    def __init__(self, home: Path) -> None:
        mark = uuid.uuid4().hex[:8]
        self.host, self.client = f"oh{mark}", f"oc{mark}"
        self.bin = home / "active-response" / "bin"
        shutil.copytree(BIN, self.bin)
        (home / "logs").mkdir()
        self.log = home / "logs" / "active-responses.log"
        run("ip", "netns", "add", self.host)
        run("ip", "netns", "add", self.client)
        wire, far = f"v{mark}", f"w{mark}"
        run("ip", "-n", self.host, "link", "add", wire, "type", "veth", "peer", "name", far, "netns", self.client)
        self._addresses(self.host, wire, [HOST])
        self._addresses(self.client, far, [CLIENT, OTHER, MARK])
        self.echo = self._listen()

    def _addresses(self, space: str, device: str, all_of: list[dict[int, str]]) -> None:
        for addresses in all_of:
            run("ip", "-n", space, "addr", "add", f"{addresses[4]}/24", "dev", device)
            run("ip", "-n", space, "addr", "add", f"{addresses[6]}/64", "dev", device, "nodad")
        run("ip", "-n", space, "link", "set", "lo", "up")
        run("ip", "-n", space, "link", "set", device, "up")

    def inside(self, space: str, *command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        return run("ip", "netns", "exec", space, *command, check=check)

    def _listen(self) -> dict[int, socket.socket]:
        """Sockets of the host that answer at once, without a process of their own."""
        return {
            family: self._socket(self.host, kind, lambda new, f=family: new.bind((HOST[f], PORT)))  # type: ignore[misc]
            for family, kind in ((4, socket.AF_INET), (6, socket.AF_INET6))
        }

    def _socket(self, space: str, kind: int, use) -> socket.socket:  # type: ignore[no-untyped-def]
        """A datagram socket that lives in a namespace."""
        own = os.open("/proc/self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{space}", os.O_RDONLY)
        try:
            setns(there)
            new = socket.socket(kind, socket.SOCK_DGRAM)
            new.settimeout(5)
            use(new)
            return new
        finally:
            setns(own)
            os.close(own)
            os.close(there)

    def reaches(self, family: int, source: dict[int, str]) -> bool:
        """Whether a packet from the client arrives; one from MARK, sent after it, tells that it never will."""
        kind = socket.AF_INET if family == 4 else socket.AF_INET6
        echo = self.echo[family]
        with self._socket(self.client, kind, lambda new: new.bind((source[family], 0))) as out:
            out.sendto(b"packet", (HOST[family], PORT))
        # Same wire, same order: when the mark is here, the packet is, or will never be.
        with self._socket(self.client, kind, lambda new: new.bind((MARK[family], 0))) as out:
            out.sendto(b"mark", (HOST[family], PORT))
        seen = []
        while not seen or seen[-1] != b"mark":
            seen.append(echo.recv(100))
        return b"packet" in seen

    def script(self, name: str, action: str, address: str, **environment: str) -> int:
        settings = [f"{key}={value}" for key, value in environment.items()]
        done = self.inside(
            self.host, "env", *settings, self.bin / name, action, "-", address, "1.1", "5712", check=False
        )
        assert done.stdout == ""
        return done.returncode

    def close(self) -> None:
        for listening in self.echo.values():
            listening.close()
        for space in (self.host, self.client):
            run("ip", "netns", "del", space, check=False)


def setns(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, 0x40000000) != 0:  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), "setns")


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    probe = f"op{uuid.uuid4().hex[:8]}"
    if run("ip", "netns", "add", probe, check=False).returncode != 0:
        pytest.skip("no network namespaces here")
    run("ip", "netns", "del", probe)
    made = Net(tmp_path / "home")
    yield made
    made.close()


@pytest.mark.parametrize("tool", ["nft", "iptables"])
def test_packets_stop_and_come_again(net: Net, tool: str) -> None:
    for family in (4, 6):
        assert net.reaches(family, CLIENT)
    for _ in range(2):  # a block may be made twice
        for family in (4, 6):
            assert net.script("firewall-drop.sh", "add", CLIENT[family], OSSEC_FW_TOOL=tool) == 0
    for family in (4, 6):
        assert not net.reaches(family, CLIENT)
        assert net.reaches(family, OTHER)
    assert net.script("firewall-drop.sh", "delete", CLIENT[4], OSSEC_FW_TOOL=tool) == 0
    assert net.reaches(4, CLIENT)
    assert not net.reaches(6, CLIENT)
    for _ in range(2):  # and undone twice
        for family in (4, 6):
            assert net.script("firewall-drop.sh", "delete", CLIENT[family], OSSEC_FW_TOOL=tool) == 0
    for family in (4, 6):
        assert net.reaches(family, CLIENT)
    assert len(net.log.read_text().splitlines()) == 9
    assert "Unable" not in net.log.read_text()


@pytest.mark.parametrize("tool", ["nft", "iptables"])
def test_undoing_what_was_never_made_is_a_success(net: Net, tool: str) -> None:
    for address in (*CLIENT.values(), "::ffff:192.0.2.1"):
        assert net.script("firewall-drop.sh", "delete", address, OSSEC_FW_TOOL=tool) == 0


@pytest.mark.parametrize("flush", ["nft flush ruleset", "nft flush table inet ossec", "nft delete table inet ossec"])
def test_a_firewall_that_was_flushed_is_made_whole_again(net: Net, flush: str) -> None:
    assert net.script("firewall-drop.sh", "add", CLIENT[4]) == 0
    net.inside(net.host, *flush.split())
    assert net.reaches(4, CLIENT)
    assert net.script("firewall-drop.sh", "add", CLIENT[4]) == 0
    assert not net.reaches(4, CLIENT)
    net.inside(net.host, *flush.split())
    assert net.script("firewall-drop.sh", "delete", CLIENT[4]) == 0


def test_a_block_from_before_nft_came_is_undone(net: Net) -> None:
    """What OSSEC's own script left, as often as it was called."""
    net.script("firewall-drop.sh", "add", CLIENT[4], OSSEC_FW_TOOL="iptables")
    net.inside(net.host, "iptables", "-w", "-I", "OSSEC", "-s", CLIENT[4], "-j", "DROP")
    assert net.script("firewall-drop.sh", "delete", CLIENT[4]) == 0
    assert net.reaches(4, CLIENT)


def test_our_table_leaves_the_rules_of_others_alone(net: Net) -> None:
    net.inside(
        net.host, "nft", "add table inet filter; add chain inet filter input { type filter hook input priority 0; }"
    )
    before = net.inside(net.host, "nft", "list", "table", "inet", "filter").stdout
    net.script("firewall-drop.sh", "add", CLIENT[4])
    net.script("firewall-drop.sh", "delete", CLIENT[4])
    assert net.inside(net.host, "nft", "list", "table", "inet", "filter").stdout == before


@pytest.mark.parametrize("tool", ["nft", "iptables"])
def test_many_at_once_all_get_in_and_out(net: Net, tool: str) -> None:
    script = net.bin / "firewall-drop.sh"
    addresses = [f"203.0.113.{number}" for number in range(1, 41)]
    for action, count in (("add", 40), ("delete", 0)):
        running = [
            subprocess.Popen(
                ["ip", "netns", "exec", net.host, "env", f"OSSEC_FW_TOOL={tool}", script, action, "-", address]
            )
            for address in addresses
        ]
        assert [process.wait(60) for process in running] == [0] * len(addresses)
        rules = net.inside(net.host, "nft", "list", "ruleset").stdout
        assert sum(address in rules.replace(",", " ").split() for address in addresses) == count


def test_a_failure_is_told(net: Net) -> None:
    """As nobody, no firewall can be changed: the status, the log and stderr say so."""
    done = net.inside(
        net.host,
        "setpriv",
        "--reuid=65534",
        "--clear-groups",
        net.bin / "firewall-drop.sh",
        "add",
        "-",
        CLIENT[4],
        check=False,
    )
    assert done.returncode != 0
    assert "nft returned" in done.stderr or "Permission denied" in done.stderr
    assert net.reaches(4, CLIENT)


def test_nftables_drop_uses_the_sets_of_the_administrator(net: Net) -> None:
    assert net.script("nftables-drop.sh", "add", CLIENT[4]) == 1  # there are none
    net.inside(
        net.host,
        "nft",
        "add table inet filter;"
        "add set inet filter ossec_ar4 { type ipv4_addr; }; add set inet filter ossec_ar6 { type ipv6_addr; };"
        "add chain inet filter input { type filter hook input priority 0; };"
        "add rule inet filter input ip saddr @ossec_ar4 drop; add rule inet filter input ip6 saddr @ossec_ar6 drop",
    )
    for family in (4, 6):
        for _ in range(2):
            assert net.script("nftables-drop.sh", "add", CLIENT[family]) == 0
        assert not net.reaches(family, CLIENT)
        for _ in range(2):
            assert net.script("nftables-drop.sh", "delete", CLIENT[family]) == 0
        assert net.reaches(family, CLIENT)


def test_route_null_swallows_the_answers(net: Net) -> None:
    for family in (4, 6):
        for _ in range(2):
            assert net.script("route-null.sh", "add", CLIENT[family]) == 0
        shown = net.inside(net.host, "ip", f"-{family}", "route", "show", "type", "blackhole").stdout
        assert shown.split()[:2] == ["blackhole", CLIENT[family]]
        for _ in range(2):
            assert net.script("route-null.sh", "delete", CLIENT[family]) == 0
        assert net.inside(net.host, "ip", f"-{family}", "route", "show", "type", "blackhole").stdout == ""
