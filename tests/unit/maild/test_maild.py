"""Batching, spool, courier: what the vectors do not reach."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossec.alertstream import Position, RecordReader
from ossec.alertstream.filters import Filter
from ossec.daemon import Loop
from ossec.layout import Layout
from ossec.maild.batching import MAX_BATCH, Batcher, Draft, Item, Waiting
from ossec.maild.courier import Courier
from ossec.maild.message import MAX_SMS, render, title
from ossec.maild.settings import Extra, Server, Settings
from ossec.maild.spool import BadSpool, Mail, Spool, State, decode_state, encode_state
from ossec.maild.transport import Fate, Outcome
from tests.fuzz.fuzz_maild import fuzz_maild
from tests.support import wait_until

SERVER = Server("mail")


def item(number: int, level: int = 9, rule: int = 7, mail: bool = True, log: bytes = b"log") -> Item:
    flag = b"mail  " if mail else b""
    text = b"** Alert 1.%d: %b- g,\n2026 Nov 22 03:51:40 h->f\nRule: %d (level %d) -> 'c'\n%b\n\n"
    (parsed,) = RecordReader().feed(text % (number, flag, rule, level, log))
    return Item(parsed.record, parsed.raw)


def make(**changes: object) -> Settings:
    values: dict[str, object] = {"server": SERVER, "sender": "a@b", "recipients": ("c@d",), "per_hour": 100}
    return Settings(**(values | changes))  # type: ignore[arg-type]


def test_a_steady_stream_is_sent_once_a_minute() -> None:
    batcher = Batcher(make())
    ticks = []
    for tick in range(26):
        batcher.add(item(tick))
        if batcher.tick("h"):
            ticks.append(tick)
    assert ticks == [12, 24]


def test_a_burst_is_sent_in_full_mails() -> None:
    batcher = Batcher(make())
    drafts = [draft for number in range(MAX_BATCH * 2 + 5) for draft in batcher.add(item(number))]
    assert [len(draft.records) for draft in drafts] == [MAX_BATCH, MAX_BATCH]
    assert len(batcher.waiting.items) == 5


def test_an_alert_without_the_flag_is_not_mailed() -> None:
    batcher = Batcher(make(grouping=False))
    assert batcher.add(item(1, mail=False)) == []


def test_a_recipient_of_several_blocks_gets_an_alert_once() -> None:
    extras = (Extra("x@y", Filter(level=5)), Extra("x@y", Filter(rules=(7,))), Extra("x@y", Filter(rules=(8,))))
    batcher = Batcher(make(extras=extras, recipients=()))
    batcher.add(item(1))
    batcher.add(item(2, level=3, rule=8))
    batcher.add(item(3, level=3, rule=9))
    (draft,) = batcher.flush()
    assert draft.recipients == ("x@y",)
    assert [record.id for record in draft.records] == [b"1.1", b"1.2"]


def test_a_short_message_names_the_worst_alert() -> None:
    extras = (Extra("x@y", Filter(level=1), sms=True),)
    batcher = Batcher(make(extras=extras))
    batcher.add(item(1, log=b"\xe6\x97\xa5" * 80))
    batcher.add(item(2, level=12))
    full, short = batcher.flush()
    assert (full.recipients, short.recipients) == (("c@d",), ("x@y",))
    assert title(short, make()) == "OSSEC 12 - 7 - c (+1)"
    body = render(short, make(), 0, "h", 1).partition(b"\r\n\r\n")[2]
    assert len(body) <= MAX_SMS + 2


def test_a_mail_keeps_its_message_id() -> None:
    draft = Draft(("c@d",), (item(1).record,))
    assert render(draft, make(), 0, "h", 1) == render(draft, make(), 0, "h", 1)
    assert b"Message-ID: <1.1." in render(draft, make(), 0, "h", 1)
    assert render(draft, make(), 0, "h", 1) != render(draft, make(), 0, "h", 2)


MAILS = st.builds(
    Mail,
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=1, max_size=3).map(tuple),
    st.binary(max_size=100),
)


@given(MAILS)
def test_a_mail_comes_back_from_the_spool(mail: Mail) -> None:
    assert Mail.decode(mail.encode()) == mail


@given(
    st.lists(st.integers(0, 50), max_size=5),
    st.integers(1, 10**9),
    st.booleans(),
    st.dictionaries(st.integers(0, 99), st.tuples(st.text(max_size=5), st.integers(1, 99)), max_size=3),
    st.none() | st.builds(Position, st.dates(), st.integers(0, 10**9), st.integers(0, 2**32 - 1)),
)
def test_the_state_comes_back(
    items: list[int], number: int, held: bool, left_out: dict[int, tuple[str, int]], position: Position | None
) -> None:
    waiting = Waiting([item(each) for each in items], "2026-11-22 03", 4, held, left_out)
    state = State(position, number, waiting)
    assert decode_state(encode_state(state)) == state


@settings(max_examples=100)
@given(st.binary(max_size=300))
def test_any_bytes_are_mailed_safely(data: bytes) -> None:
    fuzz_maild(data)


def spool_in(path: Path) -> Spool:
    Layout(path).mail_dir.mkdir(parents=True)
    return Spool(Layout(path))


def test_a_mail_that_the_state_does_not_know_was_never_sent(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    spool.load()
    spool.write(1, Mail("a@b", ("c@d",), b"one"))
    spool.save(State(Position(date(2026, 11, 22)), 2))
    spool.write(2, Mail("a@b", ("c@d",), b"two"))
    state, names = Spool(Layout(tmp_path)).load()
    assert (state.number, names) == (2, ["0000000001.mail"])
    assert [path.name for path in Layout(tmp_path).mail_dir.glob("*.mail")] == names


def test_a_damaged_state_is_put_aside_and_the_mails_go(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    spool.load()
    spool.write(7, Mail("a@b", ("c@d",), b"one"))
    Layout(tmp_path).mail_state.write_bytes(b"torn")
    state, names = Spool(Layout(tmp_path)).load()
    assert (state.number, names) == (8, ["0000000007.mail"])
    assert Layout(tmp_path).mail("state.damaged").exists()


def test_a_foreign_file_is_no_mail() -> None:
    with pytest.raises(BadSpool):
        Mail.decode(b"ossec-mail 1\n{}\n")


class Post:
    """A courier whose server answers as told."""

    def __init__(self, home: Path, *outcomes: Outcome) -> None:
        self.spool = spool_in(home)
        self.spool.load()
        self.loop = Loop()
        self.outcomes = list(outcomes)
        self.seen: list[tuple[str, ...]] = []
        self.courier = Courier(self.loop, self.spool, SERVER, 1, lambda: None, self.send)

    def send(self, server: Server, mail: Mail) -> Outcome:
        self.seen.append(mail.recipients)
        return self.outcomes.pop(0)

    def post(self, *recipients: str) -> None:
        self.courier.enqueue([self.spool.write(len(self.seen) + 1, Mail("a@b", recipients, b"text"))])
        self.turn()

    def turn(self) -> None:
        wait_until(lambda: self.loop.turn(0.01) or self.courier.idle, "the worker")


def test_a_server_that_is_down_gets_the_mail_later(tmp_path: Path) -> None:
    post = Post(tmp_path, Outcome(Fate.LATER, "down"), Outcome(Fate.SENT))
    post.post("c@d")
    assert (post.courier.failures, post.courier.waiting) == (1, 1)
    post.courier.retry_now()
    post.turn()
    assert (post.courier.failures, post.courier.waiting, post.courier.sent) == (0, 0, 1)


def test_recipients_that_were_told_to_wait_are_tried_again_alone(tmp_path: Path) -> None:
    post = Post(tmp_path, Outcome(Fate.SENT, "", ("e@f",)), Outcome(Fate.SENT))
    post.post("c@d", "e@f")
    post.courier.retry_now()
    post.turn()
    assert post.seen == [("c@d", "e@f"), ("e@f",)]
    assert post.spool.count == 0


def test_a_defect_in_a_worker_keeps_the_mail(tmp_path: Path) -> None:
    post = Post(tmp_path)
    post.post("c@d")
    assert post.courier.waiting == 1
