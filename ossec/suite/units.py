"""systemd units: one service per daemon and a target for all, as text (spec/configuration.md, section 8).

Each daemon tests its configuration first, runs in the foreground, tells systemd when it is ready, reloads on SIGHUP,
and is confined as far as its work allows: execd runs scripts that may change anything, so it is hardly confined.
`ossec-control` works beside them: both know a daemon by its pid file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ossec.config.kind import Kind
from ossec.suite.roster import Roster

UNIT_DIR = Path("/etc/systemd/system")
SUMMARIES: Mapping[str, str] = {
    "ossec-agentd": "connection to the server",
    "ossec-agentlessd": "checks of devices without agent",
    "ossec-analysisd": "analysis",
    "ossec-csyslogd": "alerts by syslog",
    "ossec-dbd": "alerts into a database",
    "ossec-execd": "active responses",
    "ossec-logcollector": "log collector",
    "ossec-maild": "alerts by mail",
    "ossec-monitord": "monitor of agents and logs",
    "ossec-remoted": "connections of agents",
    "ossec-syscheckd": "integrity of files and rootkits",
}
# Every daemon.  A stop that undoes responses may last; ossec-control waits as long.
_COMMON = (
    "Restart=on-failure",
    "RestartSec=2",
    "TimeoutStopSec=45",
    "UMask=0027",
    "LockPersonality=yes",
    "RestrictRealtime=yes",
    "SystemCallArchitectures=native",
)
# All but execd.
_CONFINED = (
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ReadWritePaths={home}",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectControlGroups=yes",
    "RestrictSUIDSGID=yes",
    "RestrictNamespaces=yes",
)
# Those that look at the whole machine, as root, see its real /home, /tmp and /dev.
_LOOKS_AROUND = ("CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE CAP_CHOWN CAP_FOWNER CAP_SYS_PTRACE",)
# Those that give up root once their sockets are bound.
_GIVES_UP_ROOT = (
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectHome=read-only",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    "CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE CAP_KILL CAP_NET_BIND_SERVICE",
)
_LOOKERS = ("ossec-logcollector", "ossec-syscheckd")


def target_of(roster: Roster) -> str:
    return "ossec-agent.target" if roster.home_type is Kind.AGENT else "ossec-server.target"


def render_units(home: Path, roster: Roster) -> dict[str, str]:
    """File name -> text, for every daemon of the roster and their target."""
    target = target_of(roster)
    services = {f"{name}.service": _service(home, name, roster, target) for name in roster.start_order}
    wants = " ".join(services)
    text = f"[Unit]\nDescription=OSSEC in {home}\nWants={wants}\n\n[Install]\nWantedBy=multi-user.target\n"
    return {**services, target: text}


def _service(home: Path, name: str, roster: Roster, target: str) -> str:
    program = home / "bin" / name
    receiver = roster.receiver
    after = ["network.target"]
    if name not in (receiver, "ossec-execd") and receiver in roster.start_order:
        after.append(f"{receiver}.service")
    if name == "ossec-execd":
        confinement: tuple[str, ...] = ()
    else:
        confinement = _CONFINED + (_LOOKS_AROUND if name in _LOOKERS else _GIVES_UP_ROOT)
    lines = [
        "[Unit]",
        f"Description=OSSEC {SUMMARIES.get(name, name)} in {home}",
        f"PartOf={target}",
        f"After={' '.join(after)}",
        "",
        "[Service]",
        "Type=notify",
        f"ExecStartPre={program} -t",
        f"ExecStart={program} -f",
        "ExecReload=/bin/kill -HUP $MAINPID",
        *(("KillMode=process",) if name == "ossec-execd" else ()),  # its scripts may outlive it: one restarts the suite
        *_COMMON,
        *(line.format(home=home) for line in confinement),
        "",
        "[Install]",
        f"WantedBy={target}",
    ]
    return "\n".join(lines) + "\n"
