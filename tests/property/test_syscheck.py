"""Whatever two texts hold, a diff leads from one to the other; whatever a name holds, it arrives, or its hash does."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from ossec.agents import integrity
from ossec.messages import syscheck
from ossec.messages.syscheck import FileMessage
from ossec.syscheckd import differences, sums

LINES = st.lists(st.sampled_from([b"a", b"b", b"{", b"}", b"", b"\x0c", b"x\ry"]), max_size=12)
TEXTS = st.builds(lambda lines, last: b"\n".join(lines) + (b"\n" if last and lines else b""), LINES, st.booleans())
COMMAND = re.compile(rb"(\d+)(?:,(\d+))?([acd])(\d+)(?:,(\d+))?")
NUMBERS = st.integers(min_value=0, max_value=2**63)
HASHES = st.sampled_from([b"", b"xxx", b"0" * 32, b"f" * 64])


def patch(old: bytes, text: bytes) -> bytes:
    """What patch(1) makes of a normal diff."""
    lines = differences._lines(old)
    result: list[bytes] = []
    at = 0
    for raw in text.replace(b"\n\\ No newline at end of file\n", b"\x00").replace(b"\x00", b"\x01\n").split(b"\n"):
        if match := COMMAND.fullmatch(raw):
            start = int(match[1])
            end = int(match[2] or start)
            upto = start if match[3] == b"a" else start - 1
            result += lines[at:upto]
            at = upto if match[3] == b"a" else end
        elif raw.startswith(b"> "):
            result.append(raw[2:-1] if raw.endswith(b"\x01") else raw[2:] + b"\n")
    return b"".join(result + lines[at:])


@given(TEXTS, TEXTS)
@settings(max_examples=300)
def test_a_diff_leads_from_the_old_to_the_new(old: bytes, new: bytes) -> None:
    assert patch(old, differences.diff(old, new)) == new


@given(TEXTS, TEXTS)
def test_changes_are_in_order_and_apart(old: bytes, new: bytes) -> None:
    last_a = last_b = -1
    for a, b, c, d in differences.changes(differences._lines(old), differences._lines(new)):
        assert last_a < a <= b and last_b < c <= d and (a, c) != (b, d)
        last_a, last_b = b, d


@given(st.binary(max_size=6500).map(lambda name: b"/" + name), st.binary(max_size=300))
def test_a_message_gives_back_what_it_was_made_of(path: bytes, diff: bytes) -> None:
    text = syscheck.encode(FileMessage(b"1:2:3:4:a:b:c", path, diff))
    assert len(text) <= syscheck.MAX_TEXT
    message = syscheck.decode(text)
    shown = syscheck.show_path(path)
    if len(shown) + 14 <= syscheck.MAX_TEXT:
        assert message.path == shown
        assert diff.startswith(message.diff)
    else:
        assert message.path.startswith(shown[:200])
    assert syscheck.encode(message) == text


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, HASHES, HASHES, HASHES)
def test_a_sum_gives_back_what_it_was_made_of(
    size: int, mode: int, uid: int, gid: int, md5: bytes, sha1: bytes, sha256: bytes
) -> None:
    text = sums.make(127, size, mode, uid, gid, md5, sha1, sha256)
    parts = sums.Parts.parse(text)
    assert parts.format() == text
    assert tuple(map(int, parts[:4])) == (size, mode, uid, gid)
    assert parts[4:] == (md5 or b"xxx", sha1 or b"xxx", sha256 or b"xxx")


@given(
    st.sampled_from([b"+++", b"!++", b"#!!"]),
    st.sampled_from([b"-1", b"1:2:3"]),
    st.integers(0, 2**40),
    st.binary(min_size=1, max_size=50).filter(lambda path: b"\n" not in path),
)
def test_a_line_of_the_database_gives_back_what_it_was_made_of(
    flags: bytes, text: bytes, when: int, path: bytes
) -> None:
    line = integrity.Line(flags, text, when, path, 7)
    assert integrity.parse(line.format(), 7) == line
