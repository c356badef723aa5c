"""Whole attacks, line by line as sshd and PAM write them: which rule speaks up, when, and against whom."""

from __future__ import annotations

import pytest

from ossec.analysisd.engine import Engine, EngineOptions, Verdict
from ossec.analysisd.event import Event
from ossec.analysisd.predecode import clean
from tests.rules.runner import load_engine

ATTACKER = b"203.0.113.9"
KNOWN = (
    "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={ip}  user=root",
    "Failed password for root from {ip} port 40022 ssh2",
    "Connection closed by authenticating user root {ip} port 40022 [preauth]",
)
UNKNOWN = (
    "Invalid user admin{n} from {ip} port 40022",
    "pam_unix(sshd:auth): check pass; user unknown",
    "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={ip} ",
    "Failed password for invalid user admin{n} from {ip} port 40022 ssh2",
    "Connection closed by invalid user admin{n} {ip} port 40022 [preauth]",
)
ATTACKS = {
    # what one attempt writes, OSSEC's rule for it, and at which attempt it fires (frequency 6: on the 8th event)
    "a known account": (KNOWN, 5720, 8),
    "a known account, without PAM": (KNOWN[1:], 5720, 8),
    "unknown accounts": (UNKNOWN, 5712, 4),  # two lines of each attempt count
}


def _attack(engine: Engine, lines: tuple[str, ...], attempts: int) -> list[tuple[int, Event]]:
    """(attempt, event) of each alert of level 10 and more."""
    alerts = []
    now = 1000.0
    for attempt in range(1, attempts + 1):
        for line in lines:
            now += 1
            text = line.format(ip=ATTACKER.decode(), n=attempt)
            log = f"Nov 22 05:40:17 bastion sshd-session[{4000 + attempt}]: {text}".encode()
            event = Event(b"1", b"/var/log/auth.log", clean(log), now)
            verdict = engine.process(event)
            if verdict is Verdict.ALERT and event.rule is not None and event.rule.level >= 10:
                alerts.append((attempt, event))
    return alerts


@pytest.mark.parametrize("compat", [False, True], ids=["windows", "marks"])
@pytest.mark.parametrize("name", ATTACKS)
def test_guessing_is_told_by_ossecs_rule_at_ossecs_time(name: str, compat: bool) -> None:
    lines, rule, attempt = ATTACKS[name]
    loaded, _ = load_engine()
    engine = Engine(loaded.decoders, loaded.rules, EngineOptions(compat=compat))
    alerts = [(when, event.rule.id, event.srcip) for when, event in _attack(engine, lines, 8) if event.rule is not None]
    assert (attempt, rule, ATTACKER) in alerts
    assert min(when for when, _, _ in alerts) == attempt


def test_a_person_who_mistypes_twice_is_left_alone() -> None:
    engine, _ = load_engine()
    assert _attack(engine, KNOWN, 2) == []
    login = b"Nov 22 05:40:17 bastion sshd-session[4002]: Accepted password for root from 203.0.113.9 port 40022 ssh2"
    event = Event(b"1", b"/var/log/auth.log", clean(login), 1010.0)
    engine.process(event)
    assert event.rule is not None
    assert event.rule.level < 5
