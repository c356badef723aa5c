"""Two machines in one: network namespaces joined by a cable, a real sshd in one, its log written by a real rsyslogd.

Everything has a name with this process's pid in it, so tests may run side by side, and goes away with `close()`.
Nothing outside is touched: sshd gets a /dev and a /run of its own in a mount namespace, and host keys of its own.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests.support import wait_until

TOOLS = ("ip", "nft", "unshare", "mount", "rsyslogd", "sshd", "ssh", "sshpass", "ssh-keygen")
# By version of the protocol: the victim's address, the attacker's, the length of their network's prefix.
ADDRESSES = {4: ("198.51.100.1", "198.51.100.66", 24), 6: ("2001:db8::1", "2001:db8::66", 64)}
PASSWORD = "wrong-password"
CONNECT = """\
import socket, sys
try:
    socket.create_connection((sys.argv[1], 22), timeout=float(sys.argv[2])).close()
except OSError as error:
    sys.exit(str(error))
"""
SSHD_CONFIG = """\
Port 22
ListenAddress {address}
HostKey {folder}/host_key
PidFile none
UsePAM no
UseDNS no
PasswordAuthentication yes
KbdInteractiveAuthentication no
PubkeyAuthentication no
PermitRootLogin yes
StrictModes no
MaxStartups 100
"""
RSYSLOG_CONFIG = """\
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{folder}/devlog" CreatePath="on")
action(type="omfile" file="{folder}/auth.log" template="RSYSLOG_TraditionalFileFormat")
"""
# sshd logs to /dev/log and wants /run/sshd: it gets both in a mount namespace of its own.
SSHD_SCRIPT = """\
set -eu
mount --make-rprivate /
mkdir "$1/dev"
mount -t tmpfs tmpfs "$1/dev"
for device in null zero full random urandom tty; do
    touch "$1/dev/$device"
    mount --bind "/dev/$device" "$1/dev/$device"
done
mkdir "$1/dev/pts"
mount --rbind /dev/pts "$1/dev/pts"
ln -s pts/ptmx "$1/dev/ptmx"
ln -s "$1/devlog" "$1/dev/log"
mount --rbind "$1/dev" /dev
mount -t tmpfs tmpfs /run
mkdir -m 755 /run/sshd
exec "$2" -D -f "$1/sshd_config" -o LogLevel=INFO
"""
_number = itertools.count()


def missing_tools() -> list[str]:
    search = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return [tool for tool in TOOLS if shutil.which(tool, path=search) is None]


def run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
    return done.stdout


class Cable:
    """A victim with sshd and an attacker, in namespaces of their own; one protocol (4 or 6) between them."""

    def __init__(self, folder: Path, protocol: int = 4) -> None:
        self.folder = folder
        self.victim_address, self.attacker_address, self.prefix = ADDRESSES[protocol]
        name = f"{os.getpid()}-{next(_number)}"
        self.victim, self.attacker = f"ossec-v-{name}", f"ossec-a-{name}"
        self.ends = f"v{name}", f"a{name}"
        self.processes: list[subprocess.Popen[bytes]] = []

    @property
    def auth_log(self) -> Path:
        return self.folder / "auth.log"

    def on_victim(self) -> list[str]:
        return ["ip", "netns", "exec", self.victim]

    def open(self) -> None:
        for namespace in (self.victim, self.attacker):
            run("ip", "netns", "add", namespace)
        inside, outside = self.ends
        nodad = ["nodad"] if ":" in self.victim_address else []  # usable at once
        run("ip", "link", "add", inside, "netns", self.victim, "type", "veth", "peer", outside, "netns", self.attacker)
        for namespace, end, address in (
            (self.victim, inside, self.victim_address),
            (self.attacker, outside, self.attacker_address),
        ):
            run("ip", "-n", namespace, "address", "add", f"{address}/{self.prefix}", "dev", end, *nodad)
            run("ip", "-n", namespace, "link", "set", end, "up")
            run("ip", "-n", namespace, "link", "set", "lo", "up")
        self._start_rsyslogd()
        self._start_sshd()

    def _start_rsyslogd(self) -> None:
        conf = self.folder / "rsyslog.conf"
        conf.write_text(RSYSLOG_CONFIG.format(folder=self.folder))
        self.auth_log.touch()
        self._spawn(["rsyslogd", "-n", "-f", str(conf), "-i", str(self.folder / "rsyslogd.pid")], "rsyslogd")
        wait_until((self.folder / "devlog").exists, "rsyslogd's socket")

    def _start_sshd(self) -> None:
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / "host_key"))
        (self.folder / "sshd_config").write_text(SSHD_CONFIG.format(folder=self.folder, address=self.victim_address))
        sshd = shutil.which("sshd", path="/usr/sbin:/sbin:/usr/bin") or "sshd"
        script = ["unshare", "-m", "sh", "-c", SSHD_SCRIPT, "sh", str(self.folder), sshd]
        self._spawn([*self.on_victim(), *script], "sshd")
        wait_until(lambda: self.connects(1.0), f"sshd; it said: {(self.folder / 'sshd.out')}")

    def _spawn(self, command: list[str], name: str) -> None:
        environment = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
        with (self.folder / f"{name}.out").open("wb") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True
            )
        self.processes.append(process)

    # the attacker
    def connects(self, patience: float = 0.5) -> bool:
        """Whether a TCP connection from the attacker to sshd comes about within `patience` seconds."""
        command = [
            "ip",
            "netns",
            "exec",
            self.attacker,
            sys.executable,
            "-c",
            CONNECT,
            self.victim_address,
            str(patience),
        ]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def log_in(self, user: str) -> None:
        """One real attempt with a wrong password."""
        options = {
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "PreferredAuthentications": "password",
            "NumberOfPasswordPrompts": "1",
            "ConnectTimeout": "2",
        }
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        subprocess.run(
            [
                "ip",
                "netns",
                "exec",
                self.attacker,
                "sshpass",
                "-p",
                PASSWORD,
                "ssh",
                *words,
                f"{user}@{self.victim_address}",
            ],
            capture_output=True,
            check=False,
            timeout=30,
        )

    # the victim's firewall
    def firewall(self) -> str:
        return run(*self.on_victim(), "nft", "list", "ruleset")

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for namespace in (self.victim, self.attacker):
            listing = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False)
            for pid in listing.stdout.split():
                os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "delete", namespace], capture_output=True, check=False)
