"""One server and several agents, each in a network namespace with a real address, on one bridge."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.integration.network import run
from tests.integration.suite import Suite, section
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
COUNTED = """\
<group name="fleet,">
  <rule id="100900" level="3">
    <match>fleet event </match>
    <description>An event that a test counts.</description>
  </rule>
</group>
"""


MAX_DOUBLED = 1000  # what an agent has in flight at most
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

    def start(self) -> None:
        """Open, install, enrol, configure a response, start, wait for all agents."""
        self.open()
        self.install()
        server = self.server.suite
        (server.layout.rules_dir / "local_rules.xml").write_text(COUNTED)
        server.append(section("active-response", command="firewall-drop", location="local", level=15, timeout=5))
        enrol(self)
        server.start()
        for agent in self.agents:
            agent.suite.start()
        wait_for_agents(server, [agent.name for agent in self.agents])

    def sit_out(self, silently: bool, seconds: float) -> tuple[int, int]:
        """Cut the first agent off under load; how many events it wrote, and how many of them came twice."""
        agent = self.agents[0]
        number = 0
        pace = threading.Event()  # never set: what keeps the load at 400 events/s
        cut = agent.swallow if silently else lambda on: agent.link("down" if on else "up")

        def load(seconds: float) -> None:
            nonlocal number
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                log(agent, range(number, number + 20))
                number += 20
                pace.wait(0.05)

        load(1.0)
        cut(True)
        load(seconds)
        cut(False)
        load(1.0)
        wait_until(lambda: len(set(arrived(self, agent))) == number, "all events", 90)
        return number, len(arrived(self, agent)) - number

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


def enrol(fleet: Fleet) -> None:
    """By ossec-authd on the server and one command on each agent."""
    server = fleet.server.suite
    server.layout.authd_password.write_text("s3cret\n")
    started = server.python("-m", "ossec.authd", "-i", "-D", str(server.layout.home))
    assert started.returncode == 0, started.stderr
    password = fleet.folder / "password"
    password.write_text("s3cret\n")
    for agent in fleet.agents:
        done = agent.suite.python(
            *("-m", "ossec.cli.agent_auth", "-D", str(agent.suite.layout.home)),
            *("-m", SERVER, "-A", agent.name, "-P", str(password)),
        )
        assert done.returncode == 0, done.stdout + done.stderr
    server.kill("ossec-authd")


def identity(host: Host) -> str:
    """The id that the agent was given."""
    return host.suite.layout.client_keys.read_text().split()[0]


def log(host: Host, numbers: range) -> None:
    host.suite.write(*(f"fleet event {host.name} {number}" for number in numbers), program="app")


def arrived(fleet: Fleet, host: Host) -> list[int]:
    """The numbers of this host's events in the server's alerts, in order of arrival."""
    pattern = re.compile(rf"fleet event {host.name} (\d+)")
    logs = (alert["full_log"] for alert in fleet.server.suite.alerts(100900))
    return [int(match[1]) for text in logs if (match := pattern.search(text))]
