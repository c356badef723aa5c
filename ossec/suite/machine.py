"""What this machine has that a configuration should name: logs, the journal, name servers, programs.

`survey(root)` looks below `root`, so a test, or an installation into a mounted image, can look elsewhere.
"""

from __future__ import annotations

import errno
import os
import platform
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

# What syslog daemons write.  Where only the journal is written these are missing, or left over from an older system.
SYSLOG_FILES = (
    "messages",
    "syslog",
    "auth.log",
    "authlog",
    "secure",
    "mail.log",
    "maillog",
    "cron",
    "cron.log",
    "xferlog",
)

# Logs that programs write themselves: (path or glob below /var/log, log_format).
PROGRAM_LOGS = (
    ("dpkg.log", "syslog"),
    ("dnf.rpm.log", "syslog"),
    ("yum.log", "syslog"),
    ("exim4/mainlog", "syslog"),
    ("vsftpd.log", "syslog"),
    ("proftpd/proftpd.log", "syslog"),
    ("proxmox-backup/api/auth.log", "syslog"),
    ("apache2/error.log", "apache"),
    ("apache2/access.log", "apache"),
    ("apache2/other_vhosts_access.log", "apache"),
    ("httpd/error_log", "apache"),
    ("httpd/access_log", "apache"),
    ("httpd/ssl_error_log", "apache"),
    ("httpd/ssl_access_log", "apache"),
    ("nginx/error.log", "apache"),
    ("nginx/access.log", "apache"),
    ("lighttpd/error.log", "apache"),
    ("lighttpd/access.log", "apache"),
    ("squid/access.log", "squid"),
    ("snort/alert", "snort-full"),
    ("suricata/fast.log", "snort-fast"),
    ("mysql/error.log", "mysql_log"),
)
SYSLOG_PID_FILES = ("run/rsyslogd.pid", "run/syslog-ng.pid", "run/syslogd.pid")
JOURNAL_SOCKET = "run/systemd/journal/socket"  # there while journald runs
JOURNAL_DIRS = ("run/log/journal", "var/log/journal")
LOCAL_NAMES = ("localhost.localdomain",)  # OSSEC allows it always; where nobody knows it that is a warning each start
MAX_NAMESERVERS = 8  # a resolver reads three; more are a mistake that must not fill the allow list


@dataclass(frozen=True, slots=True)
class LogSource:
    """One `<localfile>`."""

    location: str
    log_format: str


@dataclass(frozen=True, slots=True)
class Machine:
    """What was found.  `unreadable` logs exist but this user may not read them."""

    hostname: str
    logs: tuple[LogSource, ...] = ()
    unreadable: tuple[str, ...] = ()
    journal: bool = False
    nameservers: tuple[str, ...] = ()
    local_names: tuple[str, ...] = ()  # of LOCAL_NAMES, those that /etc/hosts knows
    programs: frozenset[str] = frozenset()


def survey(root: Path = Path("/")) -> Machine:
    """Look around.  Nothing is opened for writing and nothing is started."""
    journal = _journal_is_read(root)
    names = [] if journal else [(name, "syslog") for name in SYSLOG_FILES]
    logs, unreadable = [], []
    for name, log_format in (*names, *PROGRAM_LOGS):
        path = root / "var/log" / name
        shown = f"/var/log/{name}" if root == Path("/") else str(path)
        try:
            if not path.is_file():
                continue
            if os.access(path, os.R_OK):
                logs.append(LogSource(shown, log_format))
                continue
        except PermissionError:  # its folder is closed, so whether it exists we cannot know
            if not path.parent.exists():
                continue
        unreadable.append(shown)
    return Machine(
        hostname=platform.node() or "localhost",
        logs=tuple(logs),
        unreadable=tuple(unreadable),
        journal=journal,
        nameservers=_nameservers(root / "etc/resolv.conf"),
        local_names=tuple(name for name in LOCAL_NAMES if name in _words(root / "etc/hosts")),
        programs=frozenset(name for name in ("df", "ss", "netstat", "last") if shutil.which(name)),
    )


def port_is_free(port: int) -> bool:
    """Whether a UDP port can be bound here; OSError of another kind (no right to it) counts as free."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("", port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def find_route(host: str, port: int) -> str:
    """Why no datagram can be sent to `host`; empty where one can.  Says nothing of firewalls in between."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(address)
    except OSError as error:
        return error.strerror or str(error)
    except UnicodeError:
        return "this cannot be a host's name"
    return ""


def _journal_is_read(root: Path) -> bool:
    """Whether to read the journal: journald runs, we may read it, and no syslog daemon writes the same to files.

    Both together would show every event twice, and a frequency rule would fire after half its number.
    """
    if not (root / JOURNAL_SOCKET).exists() or any((root / name).exists() for name in SYSLOG_PID_FILES):
        return False
    files = (file for directory in JOURNAL_DIRS for file in (root / directory).glob("*/*.journal"))
    return any(os.access(file, os.R_OK) for file in files)


def _lines(path: Path) -> list[str]:
    """Without comments; none where it cannot be read."""
    try:
        return [line.partition("#")[0] for line in path.read_text("utf-8", "replace").splitlines()]
    except OSError:
        return []


def _words(path: Path) -> set[str]:
    return {word for line in _lines(path) for word in line.split()}


def _nameservers(path: Path) -> tuple[str, ...]:
    words = (line.split() for line in _lines(path))
    found = [pair[1].partition("%")[0] for pair in words if len(pair) > 1 and pair[0] == "nameserver"]
    return tuple(dict.fromkeys(found))[:MAX_NAMESERVERS]
