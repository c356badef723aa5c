"""ossec-makelists, as OSSEC's answered; what it writes is read by other tools."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ossec.analysisd import cdb
from ossec.cli import makelists
from ossec.layout import Layout
from tests.support import make_bare_home

RECORDED: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "analysis" / "cdb.json").read_text(encoding="utf-8")
)


def make_home(folder: Path, lists: dict[str, str], declared: list[str] | None = None) -> Layout:
    layout = make_bare_home(folder / "home")
    (layout.home / "lists").mkdir()
    for name, content in lists.items():
        (layout.home / "lists" / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    names = "".join(f"<list>{name}</list>\n" for name in declared or [f"lists/{name}" for name in lists])
    layout.ossec_conf.write_text(f"<ossec_config>\n<rules>\n{names}</rules>\n</ossec_config>\n")
    return layout


def run(layout: Layout, *arguments: str) -> Result:
    return CliRunner().invoke(makelists.command, ["-D", str(layout.home), *arguments])


def test_it_answers_and_writes_as_recorded(tmp_path: Path) -> None:
    cases = RECORDED["lists"]
    layout = make_home(tmp_path, {case["name"]: case["text"] for case in cases})
    first = run(layout)
    assert (first.exit_code, first.stdout, first.stderr) == (0, RECORDED["first_run"], "")
    for case in cases:
        written = layout.home / "lists" / f"{case['name']}.cdb"
        assert written.read_bytes().hex() == case["cdb_hex"]
        assert oct(stat.S_IMODE(written.stat().st_mode)) == RECORDED["cdb_file_mode"]
    for recorded in (RECORDED["second_run"], RECORDED["forced_run"]):
        done = run(layout, *recorded["args"])
        assert (done.exit_code, done.stdout, done.stderr) == (recorded["exit"], recorded["stdout"], recorded["stderr"])
    assert not list((layout.home / "lists").glob("*.tmp"))


def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    layout = make_home(tmp_path, {"a": "k:v\n"})
    before = os.umask(0o077)
    try:
        run(layout)
    finally:
        os.umask(before)
    assert stat.S_IMODE((layout.home / "lists" / "a.cdb").stat().st_mode) == 0o644


def test_names_with_cdb_and_texts_with_txt_are_understood(tmp_path: Path) -> None:
    layout = make_home(tmp_path, {"a.txt": "k:v\n", "b": "k:v\n"}, ["lists/a", "lists/b.cdb"])
    assert run(layout).stdout.splitlines() == [
        " * File lists/a.cdb needs to be updated",
        " * File lists/b.cdb needs to be updated",
    ]
    assert cdb.decode((layout.home / "lists" / "a.cdb").read_bytes()) == {b"k": b"v"}


def test_only_what_is_newer_is_compiled_again(tmp_path: Path) -> None:
    layout = make_home(tmp_path, {"a": "k:v\n", "b": "k:v\n"})
    run(layout)
    text = layout.home / "lists" / "a"
    text.write_text("k:w\n")
    later = (layout.home / "lists" / "a.cdb").stat().st_mtime_ns + 1
    os.utime(text, ns=(later, later))
    assert run(layout).stdout.splitlines() == [
        " * File lists/a.cdb needs to be updated",
        " * File lists/b.cdb does not need to be compiled",
    ]
    assert cdb.decode((layout.home / "lists" / "a.cdb").read_bytes()) == {b"k": b"w"}


def test_a_list_that_is_missing_is_told_by_line_and_the_others_are_compiled(tmp_path: Path) -> None:
    layout = make_home(tmp_path, {"b": "k:v\n"}, ["lists/a", "lists/b"])
    done = run(layout)
    assert done.exit_code == 1
    assert done.stdout == " * File lists/b.cdb needs to be updated\n"
    assert f"{layout.ossec_conf}:3: the list 'lists/a' cannot be compiled" in done.stderr
    assert "there is no such list" in done.stderr


def test_a_full_disk_leaves_the_old_list(tmp_path: Path) -> None:
    layout = make_home(tmp_path, {"a": "k:v\n"}, ["lists/a"])
    run(layout)
    before = (layout.home / "lists" / "a.cdb").read_bytes()
    (layout.home / "lists" / "a.tmp").mkdir()  # where the new one would be written
    done = run(layout, "-F")
    assert done.exit_code == 1
    assert (layout.home / "lists" / "a.cdb").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["-V"], 0, "OSSEC HIDS v4.2.0"),
        (["-h"], 0, ""),
        (["-Z"], 1, "No such option"),
        (["-t"], 0, ""),
    ],
)
def test_options(tmp_path: Path, arguments: list[str], status: int, said: str) -> None:
    layout = make_home(tmp_path, {"a": "k:v\n"})
    code = "from ossec.cli.makelists import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "-D", str(layout.home), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == status
    assert said in done.stderr
    assert not (layout.home / "lists" / "a.cdb").exists()


def test_a_configuration_that_is_refused_is_told(tmp_path: Path) -> None:
    layout = make_home(tmp_path, {})
    layout.ossec_conf.write_text("<ossec_config><rules><nonsense>x</nonsense></rules></ossec_config>")
    for arguments in ([], ["-t"]):
        done = run(layout, *arguments)
        assert done.exit_code == 1
        assert "nonsense" in done.stderr


@pytest.mark.skipif(shutil.which("cdb") is None, reason="needs the tool cdb (Debian: tinycdb)")
def test_another_tool_reads_what_we_write(tmp_path: Path) -> None:
    layout = make_home(tmp_path, {"a": "".join(f"key{n}:value {n}\n" for n in range(500)) + "key7:other\n"})
    run(layout)
    path = str(layout.home / "lists" / "a.cdb")
    found = subprocess.run(["cdb", "-n", "1", "-q", path, "key7"], capture_output=True, check=True).stdout
    assert found == b"value 7"
    dumped = subprocess.run(["cdb", "-d", "-m", path], capture_output=True, check=True).stdout
    assert dumped.count(b"\n") == 501
    subprocess.run(["cdb", "-s", path], capture_output=True, check=True)


@pytest.mark.skipif(shutil.which("cdb") is None, reason="needs the tool cdb (Debian: tinycdb)")
def test_we_read_what_another_tool_writes(tmp_path: Path) -> None:
    path = tmp_path / "other.cdb"
    records = b"".join(b"+%d,%d:k%d->v%d\n" % (len(b"k%d" % n), len(b"v%d" % n), n, n) for n in range(300))
    subprocess.run(["cdb", "-c", str(path)], input=records + b"\n", check=True)
    assert cdb.decode(path.read_bytes()) == {b"k%d" % n: b"v%d" % n for n in range(300)}
