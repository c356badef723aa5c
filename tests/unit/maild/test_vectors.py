"""Mails and their timing against what OSSEC's maild sent for the same alerts (vectors/outputs/mail, alerts)."""

from __future__ import annotations

import email
import email.policy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from ossec.alertstream import RecordReader
from ossec.alertstream.filters import Filter
from ossec.maild.batching import TICK, Batcher, Draft, Item
from ossec.maild.message import render
from ossec.maild.settings import Extra, Server, Settings

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "vectors" / "outputs"


def load(name: str) -> list[dict[str, Any]]:
    path = SHARED / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


ALERTS = {case["name"]: case for case in load("alerts/alerts.jsonl")}
SCENARIOS = {case["scenario"]: case for case in load("mail/scenarios.jsonl")}
ALL_SETTINGS = Settings(
    server=Server("127.0.0.1"),
    sender="ossecm@example.com",
    recipients=("admin@example.com", "second@example.com"),
    reply_to="noreply@example.com",
    idsname="ids-one",
    grouping=False,
    per_hour=9999,
)
DELIBERATE = {  # alerts whose mails differ, and why
    "very-long-description": "the subject is folded, not cut",
    "hm-field-lines-inside-log": "a log does not set fields",
    "latin1-invalid-utf8": "bytes that are no UTF-8 are shown as \\xff",
    "syscheck-all-attributes-changed": "size and owners are shown",
    "hm-syscheck-what-changed": "the size is shown",
    "hm-dot-line": "a line with a dot does not end the mail",
}
OURS = ("Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type", "Content-Transfer-Encoding")


def items(text: str) -> list[Item]:
    reader = RecordReader()
    found = reader.feed(text.encode("latin-1")) + reader.finish()
    return [Item(parsed.record, parsed.raw) for parsed in found]


def comparable(message: bytes) -> tuple[list[str], str]:
    """Headers but for the date and ours, and the text as a reader of mail sees it."""
    parsed = email.message_from_bytes(message, policy=email.policy.compat32)
    headers = [f"{name}: {value}" for name, value in parsed.items() if name not in ("Date", *OURS)]
    payload = parsed.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return headers, payload.decode("utf-8", "surrogateescape")


def recorded(data: str) -> tuple[list[str], str]:
    text = data.encode("latin-1")
    assert text.endswith(b"\r\n.\r\n")
    return comparable(text[:-5])


MAILED = [case for case in ALERTS.values() if case["mail_data"]]


@pytest.mark.parametrize("case", MAILED, ids=lambda case: case["name"])
def test_the_mail_of_each_alert(case: dict[str, Any]) -> None:
    (draft,) = Batcher(ALL_SETTINGS).add(items(case["alert"])[0])
    message = render(draft, ALL_SETTINGS, 0, "host", 1)
    assert all(len(line) <= 998 for line in message.split(b"\r\n"))
    headers, text = comparable(message)
    expected_headers, expected = recorded(case["mail_data"])
    name = case["name"]
    if name in ("very-long-description",):
        assert headers[:-1] == expected_headers[:-1]
        assert "so that it is cut." in headers[-1]
        assert text.strip() == expected.strip()
    elif name == "hm-field-lines-inside-log":
        assert "Rule: 100999 fired (level 9)" in text
        assert "application says:\r\nUser: intruder\r\n" in text
    elif name == "latin1-invalid-utf8":
        assert text == expected.encode("utf-8", "surrogateescape").replace(b"\xff\xfe", rb"\xff\xfe").decode()
    elif name == "hm-dot-line":
        assert "\r\n.\r\n..leading dots\r\n" in text
        assert text.endswith(" --END OF NOTIFICATION\r\n\r\n\r\n")
    else:
        assert headers == expected_headers
        shown = re.sub(r"(Size changed|Ownership was|Group ownership was|Src Port:|Dst Port:) ?[^\r]*\r\n", "", text)
        assert shown == expected
        assert (text != expected) == (name in DELIBERATE or "Port: " in text)


# --- scenarios ---

START = 11 * 3600 + 59 * 60 + 5  # hour-changing scenarios start 55 s before the hour


def settings_of(scenario: dict[str, Any], share: bool) -> Settings:
    text = scenario["config"]

    def all_of(name: str, inside: str = text) -> list[str]:
        return re.findall(rf"<{name}>(.*?)</{name}>", inside)

    head, _, blocks = text.partition("</global>")
    extras = []
    for block in re.findall(r"<email_alerts>(.*?)</email_alerts>", blocks):
        level = all_of("level", block)
        rules = [int(rule) for value in all_of("rule_id", block) for rule in value.split(",")]
        group, place = all_of("group", block), all_of("event_location", block)
        chosen = Filter(
            int(level[0]) if level else 0, tuple(rules), group[0] if group else None, place[0] if place else None
        )
        now, alone = "<do_not_delay" in block, "<do_not_group" in block
        extras.append(Extra(all_of("email_to", block)[0], chosen, now=now, alone=alone))
    options = scenario["internal_options"]
    return Settings(
        server=Server("127.0.0.1"),
        sender="ossecm@example.com",
        recipients=tuple(all_of("email_to", head)),
        extras=tuple(extras),
        per_hour=int(all_of("email_maxperhour", head)[0]),
        grouping=bool(options["groupping"]),
        full_subject=bool(options["full_subject"]),
        share=share,
    )


def appended(scenario: dict[str, Any]) -> list[tuple[float, list[Item]]]:
    rows = []
    for at, names in scenario["appended"]:
        found: list[Item] = []
        for name in names:
            if name == "many105":
                base = ALERTS["hm-all-fields"]["alert"]
                for number in range(1, 106):
                    found += items(base.replace("the log", f"filler {number:03d}"))
            else:
                found += items(ALERTS[name]["alert"])
        rows.append((at, found))
    return rows


def play(scenario: dict[str, Any], settings: Settings, seconds: int = 130) -> list[tuple[float, Draft]]:
    """OSSEC polls at 3, 8, 13 … seconds after the start; so does this."""
    batcher = Batcher(settings)
    rows = appended(scenario)
    changes = "rollover" in scenario["scenario"] or "backlog" in scenario["scenario"]
    sent: list[tuple[float, Draft]] = []
    at = 3.0
    batcher.tick(hour_at(0.0, changes))
    while at < seconds:
        drafts = []
        for when, found in rows:
            if at - TICK < when <= at:
                for item in found:
                    drafts += batcher.add(item)
        drafts += batcher.tick(hour_at(at, changes))
        sent += [(at, draft) for draft in drafts]
        at += TICK
    return sent


def hour_at(seconds: float, changes: bool) -> str:
    return str(int((START + seconds) // 3600)) if changes else "4"


def seen(mails: list[tuple[float, Draft]], settings: Settings) -> list[tuple[list[str], list[str], str]]:
    rows = []
    for number, (_, draft) in enumerate(mails):
        headers, text = comparable(render(draft, settings, 0, "host", number))
        text = re.sub(r"(Src Port|Dst Port|Size changed|Ownership was|Group ownership was)[^\r]*\r\n", "", text)
        rows.append((list(draft.recipients), headers, text))
    return rows


def recorded_mails(scenario: dict[str, Any]) -> list[tuple[float, list[str], list[str], str]]:
    rows = []
    for mail in scenario["mails"]:
        commands = [text for who, text in mail["dialogue"] if who == "C"]
        to = [found[1] for text in commands if (found := re.match(r"Rcpt To: <(.*)>", text))]
        data = [text for text in commands if text.startswith("To: ")]
        if data:
            rows.append((mail["at"], to, *recorded(data[0])))
    return rows


SAME = (
    "group3",
    "group-two-bursts",
    "full-subject-1",
    "no-helo-no-replyto-no-idsname",
    "granular-full",
    "granular-do-not-delay",
    "maxperhour-2-nogroup",
    "maxperhour-1-hour-rollover",
    "three-email-to",
    "do-not-group-alone",
    "alert-every-4-seconds",
    "do-not-delay-flushes-pending",
    "strict-1-end-550",
    "helo-double-banner",
    "rcpt-granular-550",
)


@pytest.mark.parametrize("name", SAME)
def test_scenarios_go_as_from_ossec(name: str) -> None:
    if not SCENARIOS:
        pytest.skip("needs ../shared/vectors")
    scenario = SCENARIOS[name]
    settings = settings_of(scenario, share=True)
    mails = play(scenario, settings, 54 if "rollover" in name else 130)
    expected = recorded_mails(scenario)
    assert [at for at, _ in mails] == [int(at) for at, *_ in expected]
    assert seen(mails, settings) == [(to, headers, text) for _, to, headers, text in expected]


def test_without_grouping_each_alert_is_a_mail() -> None:
    if not SCENARIOS:
        pytest.skip("needs ../shared/vectors")
    scenario = SCENARIOS["nogroup-3"]
    settings = settings_of(scenario, share=True)
    mails = play(scenario, settings)
    ours = sorted(seen(mails, settings), key=str)
    assert ours == sorted([tuple(row[1:]) for row in recorded_mails(scenario)], key=str)
    assert [at for at, _ in mails] == [3.0] * 3


def test_what_waited_for_the_hour_goes_within_a_tick_of_it() -> None:
    """OSSEC notices the hour up to 90 s late."""
    if not SCENARIOS:
        pytest.skip("needs ../shared/vectors")
    scenario = SCENARIOS["maxperhour-1-hour-rollover-long"]
    settings = settings_of(scenario, share=True)
    mails = play(scenario, settings)
    assert [at for at, _ in mails] == [13.0, 58.0]
    assert seen(mails, settings) == [tuple(row[1:]) for row in recorded_mails(scenario)]


def test_a_backlog_keeps_the_last_96_and_tells_of_the_others() -> None:
    if not SCENARIOS:
        pytest.skip("needs ../shared/vectors")
    scenario = SCENARIOS["maxperhour-1-backlog-105"]
    settings = settings_of(scenario, share=True)
    mails = play(scenario, settings)
    ours, theirs = seen(mails, settings), [tuple(row[1:]) for row in recorded_mails(scenario)]
    assert ours[0] == theirs[0]
    assert ours[1][2].startswith(theirs[1][2])
    note = ours[1][2][len(theirs[1][2]) :]
    assert note.split("\r\n")[1:3] == [
        "9 earlier alerts are not in this mail; they are in logs/alerts:",
        ' 9 of rule 100999 -> "Hand made alert."',
    ]


def test_granular_recipients_get_their_alerts_only() -> None:
    """OSSEC: everybody gets both."""
    if not SCENARIOS:
        pytest.skip("needs ../shared/vectors")
    mails = play(SCENARIOS["granular-full"], settings_of(SCENARIOS["granular-full"], share=False))
    got = [(draft.recipients, [record.rule for record in draft.records]) for _, draft in mails]
    assert got == [
        (("admin@example.com",), [5403, 5108]),
        (("lvl@example.com", "rule@example.com"), [5108]),
        (("grp@example.com", "loc@example.com"), [5403]),
    ]


def test_do_not_group_goes_alone() -> None:
    """OSSEC puts what is pending into it."""
    if not SCENARIOS:
        pytest.skip("needs ../shared/vectors")
    mails = play(SCENARIOS["granular-do-not-group"], settings_of(SCENARIOS["granular-do-not-group"], share=False))
    got = [(at, draft.recipients, [record.rule for record in draft.records]) for at, draft in mails]
    assert got == [
        (3.0, ("admin@example.com", "single@example.com"), [5108]),
        (13.0, ("admin@example.com",), [10100, 5902]),
    ]
