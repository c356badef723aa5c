"""The failures of active response that an administrator of OSSEC 2.6 wrote down, each with his own case."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from ossec.execd import store
from ossec.messages import queue
from ossec.queues import Inbox
from tests.integration.execd import CHECKOUT, RealExecd
from tests.integration.suite import FAILED_LOGIN, Suite, section
from tests.support import wait_until

MAIL_HOST = "203.83.62.99"
BY_RULE = f"firewall-drop600 - {MAIL_HOST} 1326738019.2370422 3301"
# Keeps a chain in a file, and refuses to delete while `refusing` is there.
IPTABLES = """\
#!/bin/sh
cd {folder} || exit 3
[ "$1" = -w ] && shift
case $1 in
-C) grep -Fqx -e "$*" rules 2>/dev/null || grep -Fqx -e "-I${{*#-C}}" rules 2>/dev/null || exit 1 ;;
-D) [ ! -e refusing ] || {{ echo "iptables: Bad rule (does a matching rule exist in that chain?)." >&2; exit 1; }}
    grep -Fvx -e "-I${{*#-D}}" rules >new; mv new rules ;;
-I | -N) echo "$*" >>rules ;;
-n) grep -q -e "^-N" rules 2>/dev/null || exit 1 ;;
esac
"""


@pytest.fixture
def execd(tmp_path: Path) -> Iterator[RealExecd]:
    execd = RealExecd(tmp_path / "home")
    yield execd
    execd.end()


def test_a_mail_host_is_not_blocked_for_ever_when_iptables_refuses_the_delete(execd: RealExecd, tmp_path: Path) -> None:
    """His case: `Unable to run (iptables returning != 1)`, once, and then silence."""
    folder = tmp_path / "tools"
    folder.mkdir()
    tool = folder / "iptables"
    tool.write_text(IPTABLES.format(folder=folder))
    tool.chmod(0o755)
    rules = folder / "rules"
    script = (CHECKOUT / "active-response/bin/firewall-drop.sh").read_text()
    execd.script("firewall-drop.sh", text=script)
    (execd.layout.home / "logs").mkdir(exist_ok=True)
    execd.ar_conf("firewall-drop600 - firewall-drop.sh - 1\n")  # ten minutes are one second here
    (folder / "refusing").touch()
    events = Inbox(execd.layout.event_queue)
    execd.start(
        before=f"import os; os.environ.update(PATH='{folder}:' + os.environ['PATH'], OSSEC_FW_TOOL='iptables')\n"
        "import ossec.execd.policy as p; p.DELETE_PAUSES = (0.05,)"
    )
    execd.send(BY_RULE.encode())
    wait_until(lambda: rules.exists() and MAIL_HOST in rules.read_text(), "the block")

    told = wait_until(lambda: [*events.receive(10)], "the event that tells")
    message = queue.decode(told[0])
    assert message.log.startswith(
        f"ossec: active response: 'firewall-drop600' delete - {MAIL_HOST} failed (3 times): exit 1".encode()
    )
    assert b"It stays in force; next try in" in message.log
    log = (execd.layout.home / "logs/active-responses.log").read_text()
    assert "Unable to run (iptables returned 1: iptables: Bad rule" in log
    assert f"firewall-drop.sh delete - {MAIL_HOST} 1326738019.2370422 3301" in log
    assert MAIL_HOST in rules.read_text()

    (folder / "refusing").unlink()
    wait_until(lambda: MAIL_HOST not in rules.read_text(), "the release")
    wait_until(lambda: execd.blocks() == 0, "the journal to forget it")
    healed = wait_until(lambda: [*events.receive(10)], "the event that it is over")
    assert b"succeeded after" in queue.decode(healed[-1]).log
    events.close()


def test_one_command_serves_several_responses_each_with_its_own_time(suite: Suite) -> None:
    """He: it is not possible to have one command for responses with different parameters."""
    suite.respond("5710", timeout=1)
    suite.append(section("active-response", command="note", location="local", rules_id="5712", timeout=600))
    suite.start()
    lines = suite.layout.ar_conf.read_text().splitlines()
    assert [line for line in lines if line.startswith("note")] == ["note1 - note.sh - 1", "note600 - note.sh - 600"]
    suite.write(FAILED_LOGIN.format(ip="198.51.100.7"))
    wait_until(lambda: [words[0] for words in suite.noted()] == ["add", "delete"], "the short one to end")
    guess = FAILED_LOGIN.format(ip="198.51.100.8")
    suite.write(*[guess.replace("4242", str(port)) for port in range(4000, 4012)])
    suite.wait_for_alert(5712)

    def long_one() -> bool:
        entries = store.read(suite.layout.execd_journal).entries.values()
        return any(entry.words[1] == b"198.51.100.8" and entry.expires - entry.started > 590 for entry in entries)

    wait_until(long_one, "the long one, which the short one of the same address does not swallow")


def test_an_unknown_response_is_named_and_known_as_soon_as_ar_conf_has_it(execd: RealExecd) -> None:
    """He: the file is read again, then an error is signalled; nobody who asked hears of it."""
    execd.script("fw.sh")
    execd.ar_conf("other600 - fw.sh - 600\n")
    execd.start()
    execd.send(b"firewall-drop600 - 192.168.1.1 (from_the_server) (no_rule_id)")
    execd.barrier()
    assert "ossec-execd(1311): ERROR: Invalid command name 'firewall-drop600' provided." in execd.log()
    assert execd.calls() == []
    execd.ar_conf("other600 - fw.sh - 600\nfirewall-drop600 - fw.sh - 600\n")
    execd.send(b"firewall-drop600 - 192.168.1.1 (from_the_server) (no_rule_id)")
    assert execd.wait_for_calls(1)[0][1:] == [b"add", b"-", b"192.168.1.1", b"(from_the_server)", b"(no_rule_id)"]


def test_repeated_offenders_are_not_ignored(tmp_path: Path) -> None:
    """He: this element and its value are ignored."""
    conf = (
        "<ossec_config><active-response><repeated_offenders>30,60</repeated_offenders></active-response></ossec_config>"
    )
    execd = RealExecd(tmp_path / "home", conf)
    try:
        execd.script("fw.sh")
        execd.ar_conf("fw1 - fw.sh - 1\n")
        execd.start()
        execd.send(b"fw1 - 192.0.2.1 1326977549.1 3301")
        execd.wait_for_calls(2)
        execd.send(b"fw1 - 192.0.2.1 1326977559.2 3301")
        execd.wait_for_calls(3)
        (entry,) = store.read(execd.layout.execd_journal).entries.values()
        assert entry.expires - entry.started == 30 * 60
    finally:
        execd.end()


def test_ar_conf_is_written_once_however_often_the_configuration_is_read(suite: Suite) -> None:
    """He: it is written each time that the section is read, so the operation is not idempotent."""
    suite.respond("5710", timeout=1)
    suite.start()
    path = suite.layout.ar_conf
    before = path.stat()
    text = path.read_text()
    assert text.count("note1 - note.sh - 1\n") == 1
    assert stat.S_IMODE(before.st_mode) == 0o440
    for words in (("-m", "ossec.analysisd", "-t", "--home", str(suite.layout.home)),) * 2:
        assert suite.python(*words).returncode == 0
    assert suite.control("reload").returncode == 0
    assert suite.control("restart").returncode == 0
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert path.read_text() == text
