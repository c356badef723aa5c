"""Lists that change while the engine runs."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from ossec.analysisd import cdb
from ossec.analysisd.decoder_loader import Source, load_decoders
from ossec.analysisd.diagnostics import Report
from ossec.analysisd.engine import Engine, EngineOptions
from ossec.analysisd.event import Event
from ossec.analysisd.lists import FileLists, ListPlace
from ossec.analysisd.rule_loader import LoadOptions, load_rules
from ossec.analysisd.stores import Stores
from ossec.layout import Layout
from tests.unit.analysisd.engine_support import ROOT

START = 1_700_000_000_000_000_000


def write(path: Path, data: bytes, second: int) -> None:
    """A file as written `second` seconds after the beginning."""
    path.write_bytes(data)
    os.utime(path, ns=(START + second * 10**9,) * 2)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    (tmp_path / "lists").mkdir()
    return Layout(tmp_path)


def lists_of(layout: Layout) -> FileLists:
    return FileLists(layout, frozenset(["lists/a", "lists/b.cdb"]))


def test_a_compiled_list_is_read_again_when_it_changes(layout: Layout) -> None:
    path = layout.home / "lists" / "a.cdb"
    write(path, cdb.encode([(b"k", b"1")]), 0)
    lists = lists_of(layout)
    assert lists.find("lists/a") == {b"k": b"1"}
    write(path, cdb.encode([(b"k", b"2")]), 1)
    assert lists.find("lists/a") == {b"k": b"1"}, "only refresh looks at the disk"
    lists.refresh()
    assert lists.find("lists/a") == {b"k": b"2"}


def test_a_newer_text_counts_until_it_is_compiled(layout: Layout) -> None:
    text, compiled = layout.home / "lists" / "b.txt", layout.home / "lists" / "b.cdb"
    write(compiled, cdb.encode([(b"k", b"old")]), 0)
    lists = lists_of(layout)
    assert lists.find("lists/b") == {b"k": b"old"}
    write(text, b"k:new\n", 1)
    lists.refresh()
    assert lists.find("lists/b") == {b"k": b"new"}
    ListPlace.of(layout, "lists/b").compile()
    assert cdb.decode(compiled.read_bytes()) == {b"k": b"new"}
    assert not ListPlace.of(layout, "lists/b").outdated


def test_a_missing_list_is_used_once_it_comes(layout: Layout, caplog: pytest.LogCaptureFixture) -> None:
    lists = lists_of(layout)
    for _ in range(3):
        assert lists.find("lists/a") is None
        lists.refresh()
    assert len(caplog.records) == 1
    write(layout.home / "lists" / "a", b"k:1\n", 0)
    lists.refresh()
    assert lists.find("lists/a") == {b"k": b"1"}


@pytest.mark.parametrize("damage", [b"no cdb", None], ids=["garbage", "gone"])
def test_a_list_that_breaks_stays_as_it_was(
    layout: Layout, damage: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    path = layout.home / "lists" / "a.cdb"
    write(path, cdb.encode([(b"k", b"1")]), 0)
    lists = lists_of(layout)
    lists.find("lists/a")
    if damage is None:
        path.unlink()
    else:
        write(path, damage, 1)
    lists.refresh()
    lists.refresh()
    assert lists.find("lists/a") == {b"k": b"1"}
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_what_nobody_asked_for_is_not_read(layout: Layout) -> None:
    lists = lists_of(layout)
    write(layout.home / "lists" / "a.cdb", b"no cdb", 0)
    lists.refresh()
    assert not lists.declared("lists/c")
    assert lists.find("lists/c") is None


@pytest.mark.parametrize(
    ("fixed", "matching"),
    [
        ("", {"10.1.2.3": None, "10.2.2.2": 100, "10.9.9.9": 100}),
        (' fixed="yes"', {"10.1.2.3": 100, "10.2.2.2": None, "10.9.9.9": None}),
    ],
)
def test_the_inverted_lookup_is_warned_of_and_can_be_turned(
    layout: Layout, tmp_path: Path, fixed: str, matching: dict[str, int | None]
) -> None:
    (layout.home / "lists").mkdir(exist_ok=True)
    (layout.home / "lists" / "zones").write_text("10.1.:inside\n10.2.:outside\n")
    (tmp_path / "decoder.xml").write_text(
        '<decoder name="app"><prematch>^from </prematch><regex>^from (\\S+)</regex><order>srcip</order></decoder>'
        '<decoder name="other"><program_name>^other</program_name></decoder>'
    )
    (tmp_path / "rules.xml").write_text(
        f'{ROOT}<group name="t,"><rule id="100" level="5"><decoded_as>app</decoded_as><list field="srcip"{fixed} '
        'lookup="address_match_key_value" check_value="^inside">lists/zones</list><description>x</description></rule>'
        "</group>"
    )
    report, names = Report(), frozenset({"lists/zones"})
    decoders = load_decoders([Source(tmp_path / "decoder.xml", "/etc/decoder.xml")], report)
    rules = load_rules([Source(tmp_path / "rules.xml", "rules.xml")], report, decoders.keys(), LoadOptions(lists=names))
    assert any("as in OSSEC" in str(note) for note in report.notes) == (not fixed)
    engine = Engine(decoders, rules, EngineOptions(), Stores(lists=FileLists(layout, names, False)))
    for address, rule in matching.items():
        event = Event(b"1", b"/a", b"from " + address.encode(), 0.0)
        engine.process(event)
        assert (event.rule and event.rule.id) == rule, address
