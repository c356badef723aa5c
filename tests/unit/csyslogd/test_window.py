"""What is in doubt, and for how long."""

from __future__ import annotations

from datetime import date

from ossec.alertstream import Position
from ossec.config.model import SyslogOutput
from ossec.csyslogd.destination import names_of
from ossec.csyslogd.window import Limits, Window

DAY = date(2026, 11, 22)


def test_a_message_has_arrived_when_it_is_acknowledged_and_old_enough() -> None:
    window = Window(Limits(0.5, 1000))
    window.add(10, 10, 0.0, Position(DAY, 1))
    assert window.settle(10, 0.4) is None
    assert window.settle(9, 0.6) is None
    assert window.settle(10, 0.6) == Position(DAY, 1)
    assert len(window) == 0


def test_one_message_tries_a_connection_and_then_the_window_is_open() -> None:
    window = Window(Limits(0.5, 100))
    assert not window.full
    window.add(10, 10, 0.0, Position(DAY, 1))
    assert window.full
    window.settle(10, 1.0)
    for number in range(10):
        assert not window.full
        window.add(20 + number * 10, 10, 1.0, Position(DAY, number))
    assert window.full
    assert window.settle(60, 2.0) == Position(DAY, 4)
    assert not window.full


def test_each_destination_keeps_its_name() -> None:
    one, other = SyslogOutput(server="a"), SyslogOutput(server="b")
    assert names_of((one, other)) == names_of((other, one))[::-1]
    assert len(set(names_of((one, one, one, other)))) == 4
