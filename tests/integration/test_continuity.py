"""Lines written while the suite is restarted, reloaded or killed: how many are analysed, and how often."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.integration.suite import Suite, section
from tests.support import wait_until

BATCH = 512  # lines that a SIGKILL may repeat: what logcollector hands over between two notes of its position
LINES_PER_TURN = 20


@pytest.fixture
def archiving(suite: Suite) -> Suite:
    suite.append(section("global", logall="yes"))
    suite.start()
    return suite


@contextmanager
def writing(suite: Suite) -> Iterator[list[int]]:
    """Numbered lines, a few every few milliseconds, until the block ends; yields the numbers written."""
    numbers: list[int] = []
    end = threading.Event()

    def write() -> None:
        while not end.wait(0.02):
            batch = range(len(numbers), len(numbers) + LINES_PER_TURN)
            suite.write(*(f"line {number} of the test" for number in batch), program="demo")
            numbers.extend(batch)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield numbers
    finally:
        end.set()
        thread.join()


def archived(suite: Suite) -> Counter[int]:
    path = suite.layout.archives_dir / "archives.log"
    text = path.read_text() if path.exists() else ""
    return Counter(int(number) for number in re.findall(r"demo: line (\d+) of the test\n", text))


def restart(suite: Suite) -> None:
    assert suite.control("restart").returncode == 0


def reload(suite: Suite) -> None:
    assert suite.control("reload").returncode == 0


def kill_collector(suite: Suite) -> None:
    suite.kill("ossec-logcollector")
    suite.start()


def kill_analysis(suite: Suite) -> None:
    suite.kill("ossec-analysisd")
    suite.start()


@pytest.mark.parametrize(
    ("disturb", "repeats"),
    [(restart, 0), (reload, 0), (kill_collector, BATCH), (kill_analysis, BATCH)],
)
def test_no_line_is_lost(archiving: Suite, disturb: Callable[[Suite], None], repeats: int) -> None:
    with writing(archiving) as numbers:
        wait_until(lambda: archived(archiving), "the first lines")
        disturb(archiving)
        count = len(numbers)
        wait_until(lambda: len(numbers) > count + 10 * LINES_PER_TURN, "lines after it")
    wait_until(lambda: set(archived(archiving)) >= set(numbers), f"all {len(numbers)} lines")
    seen = archived(archiving)
    assert set(seen) == set(numbers)
    assert sum(seen.values()) - len(numbers) <= repeats
