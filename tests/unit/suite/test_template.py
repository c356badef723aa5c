"""The generated ossec.conf, read back by our own reader of OSSEC's dialect."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from ossec.config import dialect
from ossec.errors import ConfigError
from ossec.suite.machine import LogSource, Machine
from ossec.suite.template import InstallType, Mail, Settings, Stock, render, render_sub_agent

HOME = Path("/var/ossec")
MACHINE = Machine(
    hostname="host1",
    logs=(LogSource("/var/log/auth.log", "syslog"),),
    journal=True,
    nameservers=("192.0.2.53",),
    local_names=("localhost.localdomain",),
    programs=frozenset({"df", "ss", "last"}),
)
STOCK = Stock(("rules_config.xml", "sshd_rules.xml", "local_rules.xml"), ("rootkit_files.txt",))
Section = tuple[str, list[tuple[str, str]]]


def read(text: str) -> list[Section]:
    (root,) = dialect.parse(text.encode())
    assert root.name == "ossec_config"
    return [(section.name, [(child.name, child.text) for child in section.children]) for section in root.children]


def values(sections: list[Section], section: str, element: str) -> list[str]:
    return [text for name, rows in sections if name == section for child, text in rows if child == element]


def test_a_local_home_watches_alerts_and_blocks() -> None:
    sections = read(render(Settings(HOME, InstallType.LOCAL, allow=("10.0.0.0/8",)), MACHINE, STOCK))
    assert [name for name, _ in sections] == [
        "global", "rules", "syscheck", "rootcheck", "global", "alerts",
        *["command"] * 5, *["active-response"] * 2, *["localfile"] * 5,
    ]  # fmt: skip
    assert values(sections, "rules", "include") == list(STOCK.rules)
    hosts = ["127.0.0.1", "::1", "localhost.localdomain", "192.0.2.53", "10.0.0.0/8"]
    assert values(sections, "global", "allow_list") == hosts
    responses = [dict(rows) for name, rows in sections if name == "active-response"]
    assert responses == [
        {"command": name, "location": "local", "level": "6", "timeout": "600"}
        for name in ("host-deny", "firewall-drop")
    ]
    assert values(sections, "localfile", "location") == ["all", "/var/log/auth.log"]
    assert values(sections, "rootcheck", "rootkit_files") == ["/var/ossec/etc/shared/rootkit_files.txt"]
    assert values(sections, "global", "email_notification") == ["no"]


def test_a_server_listens_to_agents_and_to_devices_where_wanted() -> None:
    settings = Settings(HOME, InstallType.SERVER, remote_syslog=True, allow=("192.0.2.7",))
    sections = read(render(settings, MACHINE, STOCK))
    assert values(sections, "remote", "connection") == ["syslog", "secure"]
    assert values(sections, "remote", "allowed-ips") == ["192.0.2.7"]


@pytest.mark.parametrize(
    ("server", "element"),
    [("192.0.2.1", "server-ip"), ("2001:db8::1", "server-ip"), ("ossec.example.com", "server-hostname")],
)
def test_an_agent_names_its_server(server: str, element: str) -> None:
    sections = read(render(Settings(HOME, InstallType.AGENT, server=server), MACHINE, STOCK))
    assert dict(sections)["client"] == [(element, server)]
    assert not {"global", "rules", "alerts", "command", "active-response"} & {name for name, _ in sections}


def test_what_is_refused_is_written_down() -> None:
    settings = Settings(HOME, InstallType.LOCAL, syscheck=False, rootcheck=False, active_response=False)
    sections = read(render(settings, MACHINE, STOCK))
    for name in ("syscheck", "rootcheck", "active-response"):
        assert [rows for section, rows in sections if section == name] == [[("disabled", "yes")]]
    assert "command" not in dict(sections)


def test_mail_is_written_before_what_depends_on_it() -> None:
    settings = Settings(HOME, InstallType.LOCAL, mail=Mail("root@example.com", "192.0.2.25", "ossecm@host1"))
    assert read(render(settings, MACHINE, STOCK))[0][1][:4] == [
        ("email_notification", "yes"),
        ("email_to", "root@example.com"),
        ("smtp_server", "192.0.2.25"),
        ("email_from", "ossecm@host1"),
    ]


def test_the_agent_of_a_hybrid_home_follows_its_alerts() -> None:
    sections = dict(read(render_sub_agent(Settings(HOME, InstallType.HYBRID, server="192.0.2.1"))))
    assert sections["localfile"] == [("log_format", "ossecalert"), ("location", "/var/ossec/logs/alerts/alerts.log")]


def test_no_section_is_ever_empty() -> None:
    """OSSEC refuses an empty section; ours must stay readable for it."""
    bare = Machine("h")
    for kind, flag in itertools.product(InstallType, (True, False)):
        settings = Settings(
            HOME, kind, server="h", syscheck=flag, rootcheck=flag, active_response=flag, firewall_response=flag
        )
        assert all(rows for _, rows in read(render(settings, bare, STOCK)))


@pytest.mark.parametrize("text", ["a<b", "a\nb", "a\0b"])
def test_an_answer_that_the_dialect_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        Settings(HOME, InstallType.LOCAL, mail=Mail(text, "h", "f"))
