"""What the survey finds below a root of our making."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ossec.suite.machine import LogSource, find_route, port_is_free, survey


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def locations(logs: tuple[LogSource, ...], root: Path) -> dict[str, str]:
    return {log.location.removeprefix(str(root)): log.log_format for log in logs}


def test_logs_that_exist_are_named_with_their_format(tmp_path: Path) -> None:
    touch(tmp_path, "var/log/auth.log", "var/log/nginx/access.log", "var/log/snort/alert", "var/log/unknown.log")
    assert locations(survey(tmp_path).logs, tmp_path) == {
        "/var/log/auth.log": "syslog",
        "/var/log/nginx/access.log": "apache",
        "/var/log/snort/alert": "snort-full",
    }


def test_the_journal_replaces_what_a_syslog_daemon_left_behind(tmp_path: Path) -> None:
    touch(tmp_path, "var/log/auth.log", "var/log/dpkg.log", "run/systemd/journal/socket")
    touch(tmp_path, "run/log/journal/abc/system.journal")
    machine = survey(tmp_path)
    assert machine.journal
    assert locations(machine.logs, tmp_path) == {"/var/log/dpkg.log": "syslog"}


def test_where_a_syslog_daemon_runs_its_files_are_read_and_not_the_journal(tmp_path: Path) -> None:
    touch(tmp_path, "var/log/auth.log", "run/systemd/journal/socket", "run/rsyslogd.pid")
    touch(tmp_path, "run/log/journal/abc/system.journal")
    machine = survey(tmp_path)
    assert not machine.journal
    assert locations(machine.logs, tmp_path) == {"/var/log/auth.log": "syslog"}


def test_a_journal_left_on_disk_without_journald_is_not_read(tmp_path: Path) -> None:
    touch(tmp_path, "var/log/journal/abc/system.journal", "var/log/syslog")
    assert not survey(tmp_path).journal


def test_name_servers_come_from_resolv_conf(tmp_path: Path) -> None:
    path = tmp_path / "etc/resolv.conf"
    path.parent.mkdir()
    path.write_text(
        "# nameserver 192.0.2.9\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver 192.0.2.1\nnameserver\n"
    )
    assert survey(tmp_path).nameservers == ("192.0.2.1", "fe80::1")


@pytest.mark.parametrize(("line", "expected"), [("127.0.0.1 localhost.localdomain x", 1), ("127.0.0.1 localhost", 0)])
def test_the_local_name_is_allowed_only_where_it_is_known(tmp_path: Path, line: str, expected: int) -> None:
    touch(tmp_path, "etc/hosts")
    (tmp_path / "etc/hosts").write_text(f"{line}\n# localhost.localdomain\n")
    assert len(survey(tmp_path).local_names) == expected


def test_a_folder_that_is_closed_to_us_is_named_and_no_error(tmp_path: Path) -> None:
    touch(tmp_path, "var/log/exim4/mainlog", "var/log/dpkg.log")
    (tmp_path / "var/log/exim4").chmod(0)
    program = "import sys; from pathlib import Path; from ossec.suite.machine import survey; "
    program += "machine = survey(Path(sys.argv[1])); print(len(machine.logs), *machine.unreadable)"
    command = [sys.executable, "-c", program, str(tmp_path)]
    if os.geteuid() == 0:  # root may enter everything, unless it gives that up
        drop = "-dac_override,-dac_read_search"
        command = ["setpriv", f"--bounding-set={drop}", f"--inh-caps={drop}", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"1 {tmp_path}/var/log/exim4/mainlog\n"


def test_a_port_in_use_and_a_host_without_address_are_noticed() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("", 0))
        port = holder.getsockname()[1]
        assert not port_is_free(port)
    assert port_is_free(port)
    assert find_route("127.0.0.1", 1514) == ""
    assert find_route("no..such..host", 1514) != ""


def test_an_empty_machine_is_no_error(tmp_path: Path) -> None:
    machine = survey(tmp_path)
    assert (machine.logs, machine.journal, machine.nameservers) == ((), False, ())
