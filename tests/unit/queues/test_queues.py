"""Inbox and Outbox against each other, over real sockets."""

from __future__ import annotations

from pathlib import Path

from ossec.queues import Delivery, Inbox, Outbox


def test_datagrams_arrive_in_order_and_in_batches(tmp_path: Path) -> None:
    inbox, outbox = Inbox(tmp_path / "q"), Outbox(tmp_path / "q")
    sent = [b"%d" % number for number in range(8)]
    assert outbox.send_many(sent) == (8, Delivery.SENT)
    assert inbox.receive(5) + inbox.receive(5) == sent
    assert inbox.receive(5) == []
    inbox.close()
    outbox.close()


def test_without_a_reader_the_sender_is_told(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "q")
    assert outbox.send(b"x") is Delivery.GONE
    assert isinstance(outbox.error, FileNotFoundError)


def test_a_reader_that_was_restarted_is_found_again(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "q")
    first = Inbox(tmp_path / "q")
    assert outbox.send(b"1") is Delivery.SENT
    assert first.receive(10) == [b"1"]
    assert outbox.send(b"2") is Delivery.SENT
    assert first.receive(10) == [b"2"]
    first.close()
    assert outbox.send(b"3") is Delivery.GONE
    second = Inbox(tmp_path / "q")
    assert outbox.send(b"3") is Delivery.SENT
    assert second.receive(10) == [b"3"]
    second.close()
    outbox.close()


def test_what_a_reader_left_unread_goes_to_the_next(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "q")
    first = Inbox(tmp_path / "q")
    assert outbox.send_many([b"1", b"2", b"3"]) == (3, Delivery.SENT)
    assert first.receive(1) == [b"1"]
    first.close()  # 2 and 3 are gone with it, as a SIGKILL would have it
    assert outbox.send(b"4") is Delivery.GONE
    second = Inbox(tmp_path / "q")
    assert outbox.send_many([b"4", b"5"]) == (2, Delivery.SENT)
    assert second.receive(10) == [b"1", b"2", b"3", b"4", b"5"]
    second.close()
    third = Inbox(tmp_path / "q")
    assert outbox.send(b"6") is Delivery.SENT
    assert third.receive(10)[-1] == b"6"
    third.close()


def test_what_was_read_is_not_remembered_for_ever(tmp_path: Path) -> None:
    inbox, outbox = Inbox(tmp_path / "q"), Outbox(tmp_path / "q")
    for number in range(2000):
        assert outbox.send(b"%d" % number) is Delivery.SENT
        assert inbox.receive(10) == [b"%d" % number]
    inbox._socket.close()  # killed: nobody said that all was read
    again = Inbox(tmp_path / "q")
    assert outbox.send(b"last") is Delivery.SENT
    assert again.receive(10) == [b"1999", b"last"]
    again.close()


def test_a_full_queue_is_said_not_waited_for(tmp_path: Path) -> None:
    inbox, outbox = Inbox(tmp_path / "q"), Outbox(tmp_path / "q")
    delivered, delivery = outbox.send_many([b"x"] * 100_000)
    assert delivery is Delivery.FULL
    assert 0 < delivered < 100_000
    assert len(inbox.receive(100_000)) == delivered
    assert outbox.send(b"y") is Delivery.SENT
    inbox.close()
    outbox.close()


def test_closing_leaves_the_name_of_a_successor_alone(tmp_path: Path) -> None:
    old = Inbox(tmp_path / "q")
    new = Inbox(tmp_path / "q")
    old.close()
    assert (tmp_path / "q").exists()
    new.close()
    assert not (tmp_path / "q").exists()


def test_a_home_may_lie_deep(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    inbox, outbox = Inbox(deep / "queue"), Outbox(deep / "queue")
    assert outbox.send(b"x") is Delivery.SENT
    assert inbox.receive(1) == [b"x"]
    inbox.close()
    outbox.close()


def test_the_mode_is_as_asked(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "q", mode=0o660)
    assert (tmp_path / "q").stat().st_mode & 0o777 == 0o660
    inbox.close()
