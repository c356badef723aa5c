"""Any datagrams on execq and any ar.conf leave the policy whole."""

from __future__ import annotations

import re

from ossec.execd.effects import Command, Journal, Log, Outcome, Start
from ossec.execd.policy import MAX_WORDS, Policy
from ossec.execd.responses import make_table

NAMES = {b"fw5": Command(b"/bin/fw", 5), b"fw0": Command(b"/bin/fw", 0), b"no": Command(b"", 5)}
CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
SHOWN_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f]")


def fuzz_execd(data: bytes) -> None:
    """Each line of the data is a datagram: nothing raises, and no control character reaches a script or the log."""
    table, _ = make_table(data, "ar.conf", b"/bin", lambda _: True, True)
    policy = Policy((1, 2), lambda _: ({**table, **NAMES}, []))
    now = 1000.0
    running = []
    for line in (data, *data.split(b"\n"), b"fw5 " + data, b"fw0 - 1.2.3.4 " + data):
        effects = policy.receive(line, now)
        journalled = False
        for effect in effects:
            match effect:
                case Journal():
                    journalled = True
                case Start(run):
                    assert journalled or not run.block
                    assert len(run.words) <= MAX_WORDS
                    assert not any(CONTROL.search(word) for word in run.words)
                    running.append(run.id)
                case Log(text=text):
                    assert not SHOWN_CONTROL.search(text)
        now += 1.0
        effects += policy.tick(now)
    for number in running:
        policy.finished(number, Outcome(), now)
    policy.stop(now)
