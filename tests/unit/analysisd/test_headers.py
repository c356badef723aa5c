"""Headers that OSSEC does not know; and what a stranger wrote never becomes a host, a program or a field."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossec.analysisd.event import Event
from ossec.analysisd.headers import MAX_PARAMETERS
from ossec.analysisd.predecode import predecode
from tests.unit.analysisd.engine_support import make_engine

SD = b'[a@1 k="v" e="1\\"2\\]3\\\\4"][b q="] [c d=\\"e\\""]'.replace(b"] [c", b"\\] [c")


def read(line: bytes, *, compat: bool = False) -> Event:
    event = Event(b"1", b"/var/log/m", line, 0.0)
    predecode(event, b"me", compat)
    return event


@pytest.mark.parametrize(
    ("line", "host", "program", "log"),
    [
        (b"2026-11-22T03:58:11Z web01 sshd[7]: text", b"web01", b"sshd", b"text"),
        (b"2026-11-22T03:58:11.123456Z web01 sshd: text", b"web01", b"sshd", b"text"),
        (b"2026-11-22T03:58:11,123 web01 sshd[7]: text", b"web01", b"sshd", b"text"),
        (b"2026-11-22T03:58:11+0100 10.0.0.7 sshd[7]: text", b"10.0.0.7", b"sshd", b"text"),
        (b"2026-11-22T03:58:11Z web01 su: [ID 1 auth.info] text", b"web01", b"su", b"text"),
        (b"2026-11-22 03:58:11.123 web01 app[1]: x", b"web01", b"app", b"x"),
        (b"2026-11-22 03:58:11 web01 app[1]: x", b"web01", b"app", b"x"),
        (b"2026-11-22 03:58:11.5+01:00 web01 app: x", b"web01", b"app", b"x"),
        (b"Jan 28 06:43:28 2017 web01 app[1]: x", b"web01", b"app", b"x"),
        (b"1 2026-11-22T03:58:11.003Z web01.example.com su - ID47 - x y", b"web01.example.com", b"su", b"x y"),
        (b"<34>1 2026-11-22T03:58:11+01:00 2001:db8::1 app 8 - - \xef\xbb\xbfx", b"2001:db8::1", b"app", b"x"),
        (b"1 2026-11-22T03:58:11Z web01 app 8 ID " + SD + b" x [n m]", b"web01", b"app", b"x [n m]"),
        (b"1 - - - - - -", b"me", None, b""),
        (b"1 - - app - - - text", b"me", b"app", b"text"),
    ],
)
def test_a_whole_header_is_read(line: bytes, host: bytes, program: bytes | None, log: bytes) -> None:
    event = read(line)
    assert (event.hostname, event.program_name, event.log) == (host, program, log)
    assert read(line, compat=True).log != log or log == b""


@pytest.mark.parametrize(
    "line",
    [
        # a web server's client that calls itself `sshd:`, a mail server's
        b"2026-11-22 03:58:11 198.51.100.7 sshd: SMTPSVC1 MX 192.0.2.2 0 HELO - +sshd: 250",
        b"2026-11-22 03:58:11 198.51.100.7 sshd[1]: x",
        b"2026-11-22 03:58:11 UTC LOG: connection of user root sshd: x",
        b"2026-11-22 03:58:11.123 ERROR login: user root sshd[1]: x",
        b"2026-11-22 03:58:11: INFO: peer web01 sshd[1]: x",
        b"2026-11-22 03:58:11  web01 sshd[1]: x",
        b"2026-11-22T03:58:11Z app: user web01 sshd[1]: x",
        b"2026-11-22T03:58:11.12Z app: xx web01 sshd[1]: x",  # OSSEC takes the third colon for the zone's
        b"2026-11-22T03:58:11Z GET /web01 sshd: x",
        b"2026-11-22T03:58:11Z level=info msg=x web01 sshd[1]: x",
        b"2026-13-22T03:58:11Z web01 sshd[1]: x",
        b"2026-11-22T24:58:11Z web01 sshd[1]: x",
        b"1 2026-11-22T03:58:11Z web01 app 8 ID [a k=v] x",
        b'1 2026-11-22T03:58:11Z web01 app 8 ID [a k="v"x',
        b'1 2026-11-22T03:58:11Z (web01)->x app 8 ID [a k="v"] x',
        b"2 2026-11-22T03:58:11Z web01 app 8 - - x",
    ],
)
def test_a_date_alone_makes_no_host(line: bytes) -> None:
    event = read(line)
    assert (event.hostname, event.program_name, event.log, event.fields) == (b"me", None, line, None)


def test_a_host_that_is_called_as_a_year_keeps_its_log() -> None:
    event = read(b"Jan 28 06:43:28 2017 user web01 sshd[1]: x")
    assert (event.hostname, event.program_name, event.log) == (b"2017", None, b"user web01 sshd[1]: x")


def test_structured_data_become_dynamic_fields(tmp_path: Path) -> None:
    event = read(b"1 2026-11-22T03:58:11Z web01 app 8 ID " + SD + b' x [a@1 k="w"]')
    assert event.fields == {"a@1.k": b"v", "a@1.e": b'1"2]3\\4', "b.q": b'] [c d="e"'}
    twice = read(b'1 - h app - - [a k="first" k="second"][a k="third"] x')
    assert twice.fields == {"a.k": b"first"}
    many = b"".join(b' k%d="v"' % number for number in range(MAX_PARAMETERS + 9))
    assert len(read(b"1 - h app - - [a" + many + b"] x").fields or ()) == MAX_PARAMETERS
    engine = make_engine(
        tmp_path,
        '<rule id="100" level="5"><decoded_as>app</decoded_as><field name="origin.ip">^192.0.2.</field>'
        "<description>x</description></rule>",
    )
    seen = Event(b"1", b"10.0.0.1", b'1 - h app - - [origin ip="192.0.2.9"] login joe from 192.0.2.1', 0.0)
    shown: list[tuple[str, bytes]] = []
    engine.decode(seen, shown)
    engine.judge(seen)
    assert seen.rule is not None and seen.rule.id == 100 and seen.srcip == b"192.0.2.1"
    assert shown[0] == ("origin.ip", b"192.0.2.9")
    assert seen.fields == {"origin.ip": b"192.0.2.9"}


def test_an_agents_location_stays_its_host() -> None:
    event = Event(b"1", b"(web) 10.0.0.1->/var/log/m", b"2026-11-22T03:58:11Z web01 sshd[7]: text", 0.0)
    predecode(event, b"me")
    assert (event.hostname, event.program_name) == (event.location, b"sshd")


@given(
    st.binary(max_size=80), st.sampled_from([b"", b"1 - h a - - ", b"2026-11-22T03:58:11Z ", b"2026-11-22 03:58:11 "])
)
def test_any_line_ends_in_a_piece_of_itself(line: bytes, start: bytes) -> None:
    event = read(start + line)
    assert (start + line).endswith(event.log) or event.log in start + line
    assert event.program_name is None or event.program_name in start + line


def test_long_headers_cost_no_time() -> None:
    """Linear: six thousand bytes that nearly are a header."""
    for line in (
        b"1 - h a - - " + b'[a k="v"' * 700,
        b"1 - h a - - [a" + b' k="v"' * 1000 + b"x",
        b"2026-11-22T03:58:11Z " + b"a" * 6000,
        b"2026-11-22T03:58:11Z h a: [ID " + b"[ID " * 1500,
    ):
        assert read(line).hostname in (b"me", b"h")
