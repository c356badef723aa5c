"""Control messages and the merge of shared files: both directions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossec.messages import control, merged

UNAME = control.format_uname("Linux", "web01", "6.1.0", "#1 SMP", "x86_64")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"#!-agent ack ", control.Ack()),
        (b"#!-agent ack", control.Unknown(b"agent ack")),
        (b"#!-execd fw0 - 1.2.3.4", control.Execd(b"fw0 - 1.2.3.4")),
        (b"#!-execd ", control.Execd(b"")),
        (b"#!-syscheck restart", control.SyscheckRestart()),
        (b"#!-up file abc two words.txt\n", control.FileStart("abc", "two words.txt")),
        (b"#!-up file abc", control.Unknown(b"up file abc")),
        (b"#!-close file ", control.FileEnd()),
        (b"!5 x\nabc", control.Content(b"!5 x\nabc")),
    ],
)
def test_what_a_server_says(text: bytes, message: control.FromServer) -> None:
    assert control.parse_from_server(text) == message


def test_a_keepalive_survives_the_way() -> None:
    text = control.format_keepalive(UNAME, "1" * 32, None, "a b!c")
    parsed = control.parse_from_agent(text)
    assert isinstance(parsed, control.Keepalive)
    assert parsed.uname == f"{UNAME} / {'1' * 32}".encode()
    assert parsed.files == (("x", "merged.mg"),)
    assert parsed.fault is None
    assert UNAME.endswith(" - OSSEC HIDS v4.2.0")


def test_a_windows_agents_keepalive_has_no_noise() -> None:
    parsed = control.parse_keepalive(b"#!-Microsoft Windows Server 2019 - OSSEC HIDS v4.2.0\nabc merged.mg\n")
    assert parsed.sum_of("merged.mg") == "abc"
    assert parsed.fault is None


@pytest.mark.parametrize(
    ("listing", "files", "fault"),
    [
        (b"a agent.conf\n", 1, None),
        (b"", 0, None),
        (b"\nnoise", 0, "strchr ' '"),
        (b"nospace\n", 0, "strchr ' '"),
        (b"a merged.mg", 0, "strchr \\n"),
    ],
)
def test_a_broken_list_is_named(listing: bytes, files: int, fault: str | None) -> None:
    parsed = control.parse_keepalive(b"#!-uname\n" + listing)
    assert (len(parsed.files), parsed.fault) == (files, fault)


names = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1).filter(lambda name: "\n" not in name)


@given(files=st.lists(st.tuples(names, st.binary())))
def test_a_merge_gives_its_files_back(files: list[tuple[str, bytes]]) -> None:
    assert list(merged.parse_merged(merged.format_merged(files))) == files


@given(content=st.binary(max_size=3000), at=st.integers(0, 2000))
def test_chunks_carry_everything_and_never_look_like_a_command(content: bytes, at: int) -> None:
    content = content[:at] + b"#!-#!-" + content[at:]
    pieces = merged.chunks(content)
    assert b"".join(pieces) == content
    assert all(0 < len(piece) <= merged.CHUNK for piece in pieces)
    assert not any(piece.startswith(b"#!-") for piece in pieces[1:])


@pytest.mark.parametrize("name", ["", ".", "..", ".profile", "../x", "a/b", "a\\b", "a\nb", "a\r"])
def test_a_name_that_leaves_the_directory_is_refused(name: str) -> None:
    assert merged.safe_name(name) is None


def test_a_subdirectory_of_a_server_of_ossec_hides_no_file_behind_it() -> None:
    merge = b"!9223372036854775807 sub\n!2 a.txt\nA\n"
    assert list(merged.parse_merged(merge)) == [("a.txt", b"A\n")]


sums = st.none() | st.from_regex("[0-9a-f]{32}", fullmatch=True)
words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)


@given(host=st.tuples(words, words, words, words, words), agent_conf=sums, merge=sums, noise=words)
def test_a_keepalive_says_what_it_was_given(
    host: tuple[str, str, str, str, str], agent_conf: str | None, merge: str | None, noise: str
) -> None:
    uname = control.format_uname(*host)
    parsed = control.parse_from_agent(control.format_keepalive(uname, agent_conf, merge, noise))
    assert isinstance(parsed, control.Keepalive)
    assert parsed.uname == (uname + (f" / {agent_conf}" if agent_conf else "")).encode()
    assert parsed.files == ((merge or "x", "merged.mg"),)
    assert parsed.fault is None


@given(digest=st.from_regex("[0-9a-f]{32}", fullmatch=True), name=names, command=st.binary(max_size=200))
def test_what_a_server_says_is_understood_as_meant(digest: str, name: str, command: bytes) -> None:
    assert control.parse_from_server(control.format_file_start(digest, name)) == control.FileStart(digest, name)
    assert control.parse_from_server(control.format_execd(command)) == control.Execd(command)
    assert control.parse_from_server(control.ACK) == control.Ack()
    assert control.parse_from_server(control.FILE_END) == control.FileEnd()
