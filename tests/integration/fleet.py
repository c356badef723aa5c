"""One server and several agents, each in a network namespace with a real address, on one bridge."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests.integration.network import run
from tests.integration.suite import Suite
from tests.support import wait_until

NETWORK = "198.51.100"
SERVER = f"{NETWORK}.1"
STRANGER = f"{NETWORK}.7"
TOOLS = ("ip", "nft")
LISTEN = """\
import socket, sys
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
while True:
    server.accept()[0].close()
"""
_number = itertools.count()


def missing_tools() -> list[str]:
    search = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return [tool for tool in TOOLS if shutil.which(tool, path=search) is None]


class Host:
    """A namespace with an address, and perhaps a home of the suite."""

    def __init__(self, fleet: Fleet, name: str, address: str) -> None:
        self.fleet = fleet
        self.name = name
        self.address = address
        self.namespace = f"ossec-f{fleet.number}-{name}"
        self.cable = f"f{fleet.number}{name}"[:15]
        self.suite = Suite(fleet.folder / name, prefix=["ip", "netns", "exec", self.namespace])

    def open(self) -> None:
        run("ip", "netns", "add", self.namespace)
        switch = self.fleet.switch
        run("ip", "link", "add", self.cable, "netns", switch, "type", "veth", "peer", "eth0", "netns", self.namespace)
        run("ip", "-n", self.fleet.switch, "link", "set", self.cable, "master", "bridge", "up")
        run("ip", "-n", self.namespace, "address", "add", f"{self.address}/24", "dev", "eth0")
        run("ip", "-n", self.namespace, "link", "set", "eth0", "up")
        run("ip", "-n", self.namespace, "link", "set", "lo", "up")

    def link(self, state: str) -> None:
        """Pull the cable (`down`) or plug it in (`up`)."""
        run("ip", "-n", self.fleet.switch, "link", "set", self.cable, state)

    def swallow(self, on: bool) -> None:
        """Drop everything that this host sends or gets, without a word to it."""
        words = ["ip", "netns", "exec", self.namespace, "nft"]
        if on:
            chains = "".join(
                f"chain {hook} {{\ntype filter hook {hook} priority 0\n{way} eth0 drop\n}}\n"
                for hook, way in (("output", "oif"), ("input", "iif"))
            )
            rules = f"table inet hole {{\n{chains}}}\n"
            subprocess.run([*words, "-f", "-"], input=rules.encode(), check=True)
        else:
            run(*words, "delete", "table", "inet", "hole")

    def listen(self, port: int) -> None:
        command = ["ip", "netns", "exec", self.namespace, sys.executable, "-c", LISTEN, self.address, str(port)]
        self.fleet.processes.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))

    def reaches(self, address: str, port: int, patience: float = 0.5) -> bool:
        """Whether a TCP connection to `address` comes about within `patience` seconds."""
        code = f"import socket; socket.create_connection(({address!r}, {port}), timeout={patience}).close()"
        command = ["ip", "netns", "exec", self.namespace, sys.executable, "-c", code]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


class Fleet:
    """`server`, `agents` and a `stranger`, all reaching each other."""

    def __init__(self, folder: Path, agents: int = 3) -> None:
        self.folder = folder
        self.number = f"{os.getpid()}{next(_number)}"
        self.switch = f"ossec-f{self.number}-switch"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.server = Host(self, "srv", SERVER)
        self.agents = [Host(self, f"a{n}", f"{NETWORK}.{10 + n}") for n in range(1, agents + 1)]
        self.stranger = Host(self, "str", STRANGER)

    @property
    def hosts(self) -> list[Host]:
        return [self.server, *self.agents, self.stranger]

    def open(self) -> None:
        run("ip", "netns", "add", self.switch)
        run("ip", "-n", self.switch, "link", "add", "bridge", "type", "bridge")
        run("ip", "-n", self.switch, "link", "set", "bridge", "up")
        for host in self.hosts:
            host.open()

    def install(self) -> None:
        """A server home and an agent home on each agent; nobody is enrolled or started."""
        self.server.suite.install("--type", "server", "--no-firewall-response")
        for agent in self.agents:
            agent.suite.install("--type", "agent", "--server-ip", SERVER)

    def close(self) -> None:
        for host in self.hosts:
            host.suite.end()
        for process in self.processes:
            process.kill()
            process.wait()
        for namespace in [host.namespace for host in self.hosts] + [self.switch]:
            listing = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False)
            for pid in listing.stdout.split():
                os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "delete", namespace], capture_output=True, check=False)


def wait_for_agents(server: Suite, names: list[str]) -> None:
    """Until all of them have been heard."""
    wait_until(
        lambda: {path.name.split("-")[0] for path in server.layout.agent_info_dir.iterdir()} >= set(names),
        f"agents {names} to connect; the server said: {server.ossec_log()[-2000:]}",
        40,
    )
