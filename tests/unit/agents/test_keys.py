"""client.keys as those who change it see it: lines kept, one writer at a time, nothing left of the removed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossec.agents import keyfile, traces
from ossec.agents.keyfile import AgentError, BadKey, KeyFile, Row
from ossec.agents.manage import Console, Manager, decode_export
from ossec.agents.store import KeyStore
from ossec.crypto import keys
from ossec.layout import Layout
from tests.fuzz.fuzz_client_keys import fuzz_client_keys

SECRET = "0123456789abcdef" * 4
WEB = Row("001", "web01", "192.0.2.1", SECRET)
FILE = f"# comment\n{WEB.format()}\nbroken line\n002 #*#*#\n1024 net 198.51.100.0/24 {SECRET}\n".encode()

ADD = """\
import sys
from pathlib import Path
from ossec.agents.keyfile import Row
from ossec.agents.store import KeyStore
store = KeyStore(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    store.change(lambda known: known.added(Row(known.default_id(), f"{sys.argv[2]}-{number}", "any", "k")))
"""


@given(st.binary(max_size=300))
def test_any_file_is_read_and_written_again(data: bytes) -> None:
    fuzz_client_keys(data)
    assert KeyFile.parse(KeyFile.parse(data).format()) == KeyFile.parse(data)


@given(
    st.from_regex(r"[0-9]{1,8}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9._-]{2,127}", fullmatch=True),
    st.sampled_from(["any", "192.0.2.7", "2001:db8::/64", "!10.0.0.1", "10.9"]),
)
def test_what_is_added_is_what_daemons_read_and_agents_import(identity: str, name: str, ip: str) -> None:
    row = Row(identity, name, ip, keyfile.make_secret())
    data = KeyFile().added(row).format()
    assert keys.parse(data).keys == (keys.AgentKey(*(row.id, row.name, row.ip, row.secret)),)
    assert decode_export(keys.parse(data).keys[0].export()) == row


def test_the_defaults_and_free_ids_count_removed_agents() -> None:
    known = KeyFile.parse(FILE)
    assert known.default_id() == "1025"
    assert known.free_id() == "1025"
    assert known.without("1024").free_id() == "1025"
    assert KeyFile.parse(b"002 #*#*#\n").default_id() == "003"
    many = KeyFile(tuple(f"{number} h{number} any k" for number in range(1024, 3072)))
    assert many.free_id() == "3072", "OSSEC has no ID beyond 3071"


@pytest.mark.parametrize("text", ["001", "1", "01", "0001"])
def test_an_agent_is_found_by_any_form_of_its_number(text: str) -> None:
    assert KeyFile.parse(FILE).find(text) == WEB


def test_an_exact_id_goes_before_its_number() -> None:
    both = KeyFile((f"1 one any {SECRET}", WEB.format()))
    assert both.find("1") == Row("1", "one", "any", SECRET)
    assert both.find("001") == WEB
    assert both.find("00001") is None, "two of that number"
    assert KeyFile.parse(FILE).find("002") is None
    assert KeyFile.parse(FILE).find("²") is None


def test_a_removed_agent_leaves_its_id_and_nothing_of_its_key() -> None:
    after = KeyFile.parse(FILE).without("001").format()
    assert SECRET.encode() not in after.split(b"\n")[1]
    assert after.split(b"\n")[1].startswith(b"001 #*#*#*#*#*#*#*#*#*#*#")
    assert len(after) == len(FILE), "in place, as OSSEC's"
    assert keys.parse(after).removed == ("001", "002")
    with pytest.raises(AgentError):
        KeyFile.parse(FILE).without("002")


@pytest.mark.parametrize("name", ["", "a", "..", "../x", "a b", "n" * 129, "ä1", "a\nb"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(AgentError):
        KeyFile().check_name(name)


@pytest.mark.parametrize(
    "line", ["x web any k", "001 ../web any k", "001 web 999.1.1.1 k", f"001 web any {'k' * 300}", "001 web any k l"]
)
def test_a_key_that_is_none_is_not_imported(line: str) -> None:
    with pytest.raises(BadKey):
        keyfile.check_import(keyfile.parse_row(line))


def test_two_programs_add_without_losing_or_doubling_one(tmp_path: Path) -> None:
    path = tmp_path / "client.keys"
    writers = [subprocess.Popen([sys.executable, "-c", ADD, str(path), name, "25"]) for name in ("a", "b")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    added = KeyStore(path).read().agents
    assert [row.id for row in added] == [keyfile.pad(str(number)) for number in range(1, 51)]
    assert len({row.name for row in added}) == 50


def test_a_change_that_fails_leaves_the_file(tmp_path: Path) -> None:
    path = tmp_path / "client.keys"
    path.write_bytes(FILE)
    before = path.stat()
    with suppress(AgentError):
        KeyStore(path).change(lambda known: known.without("077"))
    assert path.read_bytes() == FILE
    assert os.path.samestat(path.stat(), before)
    assert list(tmp_path.iterdir()) == [path]


def test_removing_leaves_no_trace_and_a_backup(bare_home: Layout) -> None:
    bare_home.rids_dir.mkdir()
    of_web = [*bare_home.agent_traces("web01", "192.0.2.1").values(), bare_home.rids("001")]
    of_other = [*bare_home.agent_traces("web012", "192.0.2.12").values(), bare_home.rids("0011")]
    for path in (*of_web, *of_other):
        path.write_text(path.name)
    bare_home.diff_entry("web01", 5).parent.mkdir(parents=True)
    bare_home.diff_entry("web01", 5).write_text("output")
    folder = traces.back_up(bare_home, WEB, 0.0)
    assert traces.remove(bare_home, WEB) == []
    assert not any(path.exists() for path in of_web)
    assert not bare_home.diff_outputs("web01").exists()
    assert all(path.exists() for path in of_other)
    assert (folder / "agent-info").read_text() == "web01-192.0.2.1"
    assert (folder / "syscheck").exists()


def test_a_name_written_by_hand_does_not_lead_out(bare_home: Layout) -> None:
    victim = bare_home.home / "queue" / "victim-x"
    victim.write_text("precious")
    for row in (
        Row("001", "../victim", "x", "k"),
        Row("../../queue/victim-x", "web", "x", "k"),
        Row("1", "..", "x", ""),
    ):
        assert traces.remove(bare_home, row)
        with pytest.raises(OSError):
            traces.back_up(bare_home, row, 0.0)
    assert victim.read_text() == "precious"
    assert bare_home.diff_dir.is_dir()


def test_a_bulk_passes_over_ids_that_are_taken(bare_home: Layout) -> None:
    bare_home.rids_dir.mkdir()
    bare_home.client_keys.write_text("34560 last any k\n34562 beyond any k\n")
    out = io.StringIO()
    manager = Manager(bare_home, Console(io.BytesIO(b""), out, out))
    assert manager.add_many([b"any,one01\n", b"any,two02\n", b"any,one01\n"]) == 1
    assert [row.id for row in KeyStore(bare_home.client_keys).read().agents] == ["34560", "34562", "34561", "34563"]
