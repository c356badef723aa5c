"""Who is blocked, until when, and what runs: the policy on a host in memory."""

from __future__ import annotations

import errno
import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossec.execd import offenders, policy
from ossec.execd.allowed import Allowed
from ossec.execd.effects import Outcome, Run
from ossec.execd.journal import replay
from tests.unit.execd.host import BIN, GOOD, Host, ends_at_once

BAD = Outcome(status=3, said=b"iptables: no luck\nat all\n")
ADDRESS = "203.83.62.99"


def fails(*actions: bytes, outcome: Outcome = BAD):  # type: ignore[no-untyped-def]
    return lambda run: (0.0, outcome if run.action in actions else GOOD)


def hangs(_: Run) -> None:
    return None


def message(name: str = "fw5", address: str = ADDRESS, user: str = "-", alert: str = "1326738019.2370422") -> str:
    return f"{name} {user} {address} {alert} 3301 /var/log/maillog -"


# --- time ---


def test_a_block_ends_exactly_when_its_time_is_over() -> None:
    host = Host()
    host.run_to(0.75)
    host.send(message())
    host.run_to(60)
    assert host.moments() == [(0.75, f"add - {ADDRESS}"), (5.75, f"delete - {ADDRESS}")]
    assert host.policy.blocks == 0
    assert replay(host.disk).entries == {}


def test_a_repeat_moves_the_end_and_never_to_an_earlier_time() -> None:
    host = Host("fw5 - log.sh - 5\nfw60 - log.sh - 60\n")
    host.send(message("fw60"))
    host.run_to(10)
    host.send(message("fw5", alert="2.2"))
    host.run_to(58)
    host.send(message("fw5", alert="3.3"))
    host.run_to(200)
    assert host.moments() == [(0, f"add - {ADDRESS}"), (63, f"delete - {ADDRESS}")]


def test_two_responses_on_one_command_keep_the_longest_expiry() -> None:
    """The essay's case: one command in two active-responses with different timeouts, one event fires both."""
    for first, second in (("fw5", "fw60"), ("fw60", "fw5")):
        host = Host("fw5 - log.sh - 5\nfw60 - log.sh - 60\n", ladder=(600,))
        host.send(message(first))
        host.send(message(second))
        host.run_to(1000)
        assert host.moments() == [(0, f"add - {ADDRESS}"), (60, f"delete - {ADDRESS}")]


def test_one_address_has_one_block_however_it_is_written() -> None:
    host = Host()
    host.send(message(address="::ffff:203.83.62.99"))
    host.send(message(address=ADDRESS))
    host.send(message(address="2001:DB8:0::1"))
    host.send(message(address="2001:db8::1"))
    assert len(host.took()) == 2


@pytest.mark.parametrize("timeout", [0, -5])
def test_without_a_time_to_come_nothing_is_kept(timeout: int) -> None:
    host = Host(f"fw - log.sh - {timeout}\n")
    for _ in range(2):
        host.send(message("fw"))
    expected = ["add"] * 2 if timeout == 0 else ["add", "delete"] * 2
    assert [call.split()[0] for call in host.took()] == expected
    assert host.policy.blocks == 0


def test_a_negative_time_runs_both_also_while_the_last_delete_runs() -> None:
    host = Host("fw - log.sh - -5\n", answer=lambda run: None if run.action == b"delete" else (0.0, GOOD))
    host.send(message("fw", alert="1.1"))
    host.send(message("fw", alert="2.2"))
    host.end(host.runs[1])
    assert [(run.action, run.words[2]) for run in host.runs] == [
        (b"add", b"1.1"),
        (b"delete", b"1.1"),
        (b"add", b"2.2"),
        (b"delete", b"2.2"),
    ]


def test_a_lift_of_a_block_that_is_asked_for_while_its_delete_runs_makes_none() -> None:
    host = Host(answer=lambda run: None if run.action == b"delete" else (0.0, GOOD))
    host.send(message())
    host.run_to(5)
    host.send(message(alert="2.2"))
    host.send(lift(name="fw5"))
    host.end(host.runs[1], BAD)
    host.end(host.runs[2])
    assert [run.action for run in host.runs] == [b"add", b"delete", b"delete"]
    assert host.policy.blocks == 0


def test_a_clock_that_was_set_back_lengthens_no_block() -> None:
    host = Host()
    host.run_to(1000)
    host.send(message())
    host.at = 0.0
    later = Host(earlier=host)
    later.run_to(4)
    assert later.took() == []
    later.run_to(5)
    assert later.moments() == [(5, f"delete - {ADDRESS}")]


# --- offenders ---


def test_a_repeated_offender_climbs_over_restarts() -> None:
    host = Host(ladder=(1, 10))
    lengths = []
    for life in range(4):
        host.send(message(alert=f"{life}.1"))
        began = host.at
        host.run_to(began + 10_000)
        lengths.append(host.calls[-1][0] - began)
        host = Host(ladder=(1, 10), earlier=host)
    assert lengths == [5, 60, 600, 600]


def test_the_ladder_ends_at_its_first_zero() -> None:
    host = Host(ladder=(1, 0, 10))
    for life in range(3):
        host.send(message(alert=f"{life}.1"))
        host.run_to(host.at + 1000)
    assert [b - a for (a, _), (b, _) in zip(host.calls[::2], host.calls[1::2], strict=True)] == [5, 60, 60]


def test_offenders_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offenders, "MAX_OFFENDERS", 3)
    host = Host(ladder=(1,))
    for number in range(5):
        host.send(message(address=f"192.0.2.{number}", alert=f"{number}.1"))
    assert len(replay(host.disk).offenders) == 3


# --- order ---


def test_a_delete_never_overtakes_its_add() -> None:
    host = Host(answer=hangs)
    host.send(message())
    host.run_to(20)
    assert host.took() == [f"add - {ADDRESS} 1326738019.2370422 3301 /var/log/maillog -"]
    host.end(host.runs[-1])
    assert [call.split()[0] for call in host.took()] == ["delete"]


def test_an_add_waits_for_the_delete_before_it() -> None:
    host = Host(answer=lambda run: None if run.action == b"delete" else (0.0, GOOD))
    host.send(message())
    host.run_to(6)
    host.send(message(alert="2.2"))
    assert [call.split()[0] for call in host.took()] == ["add", "delete"]
    host.end(host.runs[1])
    assert [call.split()[:4] for call in host.took()] == [["add", "-", ADDRESS, "2.2"]]
    host.run_to(10.9)
    assert host.took() == []
    host.run_to(11)
    assert [call.split()[0] for call in host.took()] == ["delete"]


def test_calls_without_a_timeout_for_one_address_keep_their_order() -> None:
    host = Host("fw0 - log.sh - 0\nfw5 - log.sh - 5\n", answer=hangs)
    host.send(message("fw0", alert="1.1"))
    host.send(message("fw5", alert="2.2"))
    assert len(host.runs) == 1
    host.end(host.runs[0])
    assert [run.words[2] for run in host.runs] == [b"1.1", b"2.2"]


def test_calls_about_nobody_run_side_by_side() -> None:
    host = Host("note0 - log.sh - 0\n", answer=hangs)
    for number in range(3):
        host.send(message("note0", address="-", alert=f"{number}.1"))
    assert len(host.runs) == 3


def test_one_hanging_script_leaves_the_others_alone() -> None:
    host = Host(
        "slow5 - slow.sh - 5\nfw5 - log.sh - 5\n",
        ["slow.sh", "log.sh"],
        answer=lambda run: None if b"slow" in run.script else (0.0, GOOD),
    )
    for number in range(policy.MAX_PARALLEL + 10):
        host.send(message("slow5", address=f"10.0.0.{number}"))
    assert len(host.runs) == policy.MAX_PARALLEL
    assert host.policy.waiting == 10
    host.send(message("fw5"))
    assert host.runs[-1].script == f"{BIN}/log.sh".encode()
    for run in host.runs[:5]:
        host.end(run)
    assert host.policy.waiting == 5


def test_when_too_much_waits_the_messages_are_left_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "MAX_WAITING", 3)
    host = Host("note0 - log.sh - 0\n", answer=hangs)
    for number in range(policy.MAX_PARALLEL + 3):
        assert not host.policy.full
        host.send(message("note0", address="-", alert=f"{number}.1"))
    assert host.policy.full
    host.end(host.runs[0])
    assert not host.policy.full


def test_a_full_table_ends_the_block_that_would_end_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "MAX_BLOCKS", 3)
    host = Host("fw9 - log.sh - 9\nfw5 - log.sh - 5\n")
    for name, address in (("fw9", "a.x"), ("fw5", "b.x"), ("fw9", "c.x"), ("fw9", "d.x")):
        host.send(message(name, address=address))
    assert host.moments() == [
        *((0, f"add - {address}") for address in ("a.x", "b.x", "c.x")),
        (0, "delete - b.x"),
        (0, "add - d.x"),
    ]
    assert "'fw5' - b.x ends before its time" in "".join(host.log)


def test_what_two_blocks_share_stays_until_the_last_has_ended() -> None:
    host = Host("fw60 - log.sh - 60\nfw5 - log.sh - 5\n")
    host.send(message("fw60", user="alice"))
    host.send(message("fw5", user="-"))
    host.run_to(100)
    assert host.moments() == [
        (0, f"add alice {ADDRESS}"),
        (0, f"add - {ADDRESS}"),
        (5, f"delete - {ADDRESS}"),
        (5, f"add alice {ADDRESS}"),
        (60, f"delete alice {ADDRESS}"),
    ]


# --- failure ---


def test_a_failing_undo_is_tried_for_ever_and_told() -> None:
    """The mail server's case: iptables refused the delete, and the host stayed blocked in silence for good."""
    host = Host("fw600 - log.sh - 600\n", answer=fails(b"delete"))
    host.send(message("fw600"))
    host.run_to(600 + 24 * 3600)
    at = [int(when) - 600 for when, call in host.moments() if call.startswith("delete")]
    assert at[:8] == [0, 60, 180, 480, 1080, 2880, 6480, 10080]
    assert {later - earlier for earlier, later in pairwise(at[6:])} == {3600}
    reason = "exit 3 (iptables: no luck / at all)"
    assert host.alerts[0] == (
        f"'fw600' delete - {ADDRESS} failed (3 times): {reason}. It stays in force; next try in 300 s."
    )
    assert len(host.alerts) == 2
    assert f"ossec-execd: ERROR: 'fw600' delete - {ADDRESS}: {reason}, tried again in 60 seconds" in host.log
    host.answer = ends_at_once
    host.run_to(host.at + 3600)
    assert host.policy.blocks == 0
    assert host.alerts[-1].startswith(f"'fw600' delete - {ADDRESS} succeeded after ")


def test_a_failing_undo_goes_on_after_a_crash() -> None:
    host = Host(answer=fails(b"delete"))
    host.send(message())
    host.run_to(5)
    later = Host(earlier=host)
    assert later.moments() == [(5, f"delete - {ADDRESS}")]
    assert replay(later.disk).entries == {}


def test_a_new_trigger_while_the_undo_fails_blocks_again() -> None:
    host = Host(answer=fails(b"delete"))
    host.send(message())
    host.run_to(30)
    host.send(message(alert="2.2"))
    host.answer = ends_at_once
    host.run_to(100)
    assert host.moments() == [
        (0, f"add - {ADDRESS}"),
        (5, f"delete - {ADDRESS}"),
        (30, f"add - {ADDRESS}"),
        (35, f"delete - {ADDRESS}"),
    ]


def test_a_failing_block_is_tried_again_and_told() -> None:
    host = Host("fw600 - log.sh - 600\n", answer=fails(b"add", b"delete"))
    host.send(message("fw600"))
    host.run_to(599)
    assert host.moments() == [(at, f"add - {ADDRESS}") for at in (0, 1, 6, 26)]
    assert host.alerts == [
        f"'fw600' add - {ADDRESS} failed (4 times): exit 3 (iptables: no luck / at all). It is not in force."
    ]
    host.send(message("fw600", alert="2.2"))  # another reason to try
    host.run_to(700)
    assert [call for _, call in host.moments()] == [f"add - {ADDRESS}"] * 4
    host.run_to(100_000)
    assert [call for _, call in host.moments()] == [f"delete - {ADDRESS}"] * len(policy.DELETE_PAUSES)
    assert host.policy.blocks == 0, "what was never made is not undone for ever"


def test_a_block_that_succeeds_at_the_second_attempt_is_one() -> None:
    outcomes = iter([BAD, GOOD, GOOD])
    host = Host(answer=lambda _: (0.0, next(outcomes)))
    host.send(message())
    host.run_to(50)
    assert host.moments() == [(0, f"add - {ADDRESS}"), (1, f"add - {ADDRESS}"), (5, f"delete - {ADDRESS}")]
    assert host.alerts == []


def test_a_storm_of_failures_is_one_alert_a_minute() -> None:
    host = Host("fw0 - log.sh - 0\n", answer=fails(b"add"))
    for number in range(100):
        host.send(message("fw0", address=f"192.0.2.{number}"))
    host.run_to(61)
    host.send(message("fw0"))
    assert len(host.alerts) == 2
    assert host.alerts[1].endswith("99 more calls failed before it.")


@pytest.mark.parametrize(("number", "starts"), [(errno.ENOENT, 1), (errno.EAGAIN, 4)])
def test_a_script_that_cannot_start_is_told(number: int, starts: int) -> None:
    host = Host("fw60 - log.sh - 60\n", answer=fails(b"add", outcome=Outcome(errno=number)))
    host.send(message("fw60"))
    host.run_to(59)
    assert len(host.runs) == starts
    assert len(host.alerts) == 1


def test_a_script_that_hangs_is_ended_with_what_it_started() -> None:
    host = Host("fw600 - log.sh - 600\n", answer=hangs)
    host.send(message("fw600"))
    host.run_to(policy.RUN_LIMIT - 1)
    assert host.kills == []
    host.run_to(policy.RUN_LIMIT + policy.KILL_GRACE)
    assert [kill.hard for kill in host.kills] == [False, True]
    host.answer = ends_at_once
    host.end(host.runs[0], Outcome(signal=9))
    host.run_to(host.at + 1)
    assert [run.action for run in host.runs] == [b"add", b"add"]
    assert f"'fw600' add - {ADDRESS}: ended after 180 seconds, tried again in 1 seconds" in "".join(host.log)


def test_what_nothing_will_undo_may_take_its_time() -> None:
    host = Host("scan0 - log.sh - 0\n", answer=hangs)
    host.send(message("scan0"))
    host.run_to(policy.ONCE_LIMIT - 1)
    assert host.kills == []
    host.run_to(policy.ONCE_LIMIT)
    assert len(host.kills) == 1


# --- hostile messages ---

HOSTILE = [
    "fw5 -x 1.2.3.4",
    "fw5 -flush 1.2.3.4",
    "fw5 - -flush",
    "fw5 - 1.2.3.4;id",
    "fw5 - $(id)",
    "fw5 a/b 1.2.3.4",
    "fw5 - 1.2.3.4\tx",
    "fw5 - 1.2.3.4 1.1 5 /var/log/x\x1b[2J -",
    "fw5 - 1.2.3.4 1.1 5 a\nb -",
    "fw5 \xff 1.2.3.4",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_run_nothing_and_forge_no_line(text: str) -> None:
    host = Host()
    host.send(text)
    assert host.runs == []
    assert len(host.log) == 1
    assert re.fullmatch("[\t -~\udcff]*", host.log[0])
    assert host.log[0].endswith("Possible logging attack.")


@pytest.mark.parametrize(
    "address", ["1.2.3.4", "2001:db8::1", "fe80::1%eth0", "10.0.0.0/8", "good.example.com", "", "-"]
)
def test_what_an_operator_may_write_runs(address: str) -> None:
    host = Host()
    host.send(message(address=address))
    assert len(host.runs) == 1


# --- ar.conf ---


def test_a_new_response_is_found_without_a_restart() -> None:
    host = Host("fw5 - log.sh - 5\n")
    host.send(message("new5"))
    assert host.log == ["ossec-execd(1311): ERROR: Invalid command name 'new5' provided."]
    host.ar_conf = "fw5 - log.sh - 5\nnew5 - log.sh - 5\n"
    host.send(message("new5"))
    assert len(host.runs) == 1


def test_a_reload_reads_ar_conf_again() -> None:
    host = Host("fw5 - log.sh - 5\n")
    host.send(message("fw5"))
    host.ar_conf = "fw5 - log.sh - 50\n"
    host.policy.forget_table()
    host.send(message("fw5", address="192.0.2.7"))
    assert host.runs[-1].timeout == 50


def test_ar_conf_written_twice_changes_nothing() -> None:
    host = Host("fw5 - log.sh - 5\nfw5 - log.sh - 5\n")
    host.send(message())
    host.run_to(10)
    assert [call for _, call in host.moments()] == [f"add - {ADDRESS}", f"delete - {ADDRESS}"]


# --- by hand ---


def lift(address: str = ADDRESS, user: str = "-", name: str = "fw600") -> str:
    return f"!{name} {user} {address} (from_the_server) (no_rule_id)"


def test_an_operator_lifts_a_block() -> None:
    host = Host("fw600 - log.sh - 600\n", ladder=(30,))
    host.send(message("fw600"))
    host.send(message("fw600", user="alice"))
    host.send(message("fw600", address="192.0.2.1"))
    host.run_to(10)
    host.took()
    host.send(lift())
    assert sorted(call.split()[:3] for call in host.took()) == [["delete", "-", ADDRESS], ["delete", "alice", ADDRESS]]
    assert host.policy.blocks == 1
    assert len(replay(host.disk).offenders) == 1, "who was blocked by mistake is no offender"


def test_a_lift_of_what_we_do_not_know_runs_the_script() -> None:
    host = Host("fw600 - log.sh - 600\n")
    host.send(lift())
    assert [call.split()[:3] for call in host.took()] == [["delete", "-", ADDRESS]]


def test_a_lift_before_the_block_is_made_makes_none() -> None:
    host = Host("fw600 - log.sh - 600\n", answer=hangs)
    for number in range(policy.MAX_PARALLEL):
        host.send(message("fw600", address=f"10.0.0.{number}"))
    host.send(message("fw600"))
    host.send(lift())
    host.end(host.runs[0])
    assert not any(run.words[1] == ADDRESS.encode() for run in host.runs)


def test_a_lift_while_the_block_is_made_waits_for_it() -> None:
    host = Host("fw600 - log.sh - 600\n", answer=hangs)
    host.send(message("fw600"))
    host.send(lift())
    host.end(host.runs[0])
    assert [run.action for run in host.runs] == [b"add", b"delete"]


# --- the host's own allow list ---


def test_nobody_in_the_allow_list_is_blocked_whoever_asks() -> None:
    host = Host("fw600 - log.sh - 600\nnote0 - log.sh - 0\n")
    host.perform(host.policy.spare(Allowed(["10.0.0.0/8", "!192.0.2.7", "192.0.2.0/24", "2001:db8::/32"]), host.now))
    host.perform(host.policy.spare(Allowed([*host.policy.allowed.texts, "good.example.com", ".example.org"]), host.now))
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "192.0.2.8", "2001:db8::1", "Good.example.com", "a.example.org"):
        host.send(message("fw600", address=address))
        host.send(message("note0", address=address))
        assert host.took() == []
        assert host.log[-1] == f"ossec-execd: WARN: '{address}' is in the allow list: not blocked."
    for address in ("192.0.2.7", "198.51.100.1", "bad.example.com", "good.example.com.evil.example"):
        host.send(message("fw600", address=address))
        assert len(host.took()) == 1, address
    host.send(message("fw600", user="alice", address="-"))
    assert len(host.took()) == 1


def test_who_comes_into_the_allow_list_is_released() -> None:
    host = Host("fw600 - log.sh - 600\n", ladder=(30,))
    host.send(message("fw600"))
    host.send(message("fw600", address="192.0.2.77"))
    host.took()
    host.perform(host.policy.spare(Allowed([ADDRESS]), host.now))
    host.run_to(1)
    assert [call.split()[:3] for call in host.took()] == [["delete", "-", ADDRESS]]
    assert host.policy.blocks == 1


def test_blocks_of_one_address_that_wait_for_their_turn_are_spared_together() -> None:
    host = Host("fw600 - log.sh - 600\n", answer=hangs)
    for number in range(policy.MAX_PARALLEL):
        host.send(message("fw600", address=f"10.0.0.{number}"))
    for user in ("-", "alice"):
        host.send(message("fw600", user=user))
    host.perform(host.policy.spare(Allowed([ADDRESS]), host.now))
    host.end(host.runs[0])
    assert not any(run.words[1] == ADDRESS.encode() for run in host.runs)


def test_a_lift_reaches_who_is_in_the_allow_list() -> None:
    host = Host("fw600 - log.sh - 600\n")
    host.perform(host.policy.spare(Allowed([ADDRESS]), host.now))
    host.send(lift())
    assert [call.split()[:3] for call in host.took()] == [["delete", "-", ADDRESS]]


# --- stop, crash, reboot ---


def test_a_stop_undoes_everything_and_waits_for_it() -> None:
    host = Host("fw600 - log.sh - 600\nnote0 - log.sh - 0\n")
    host.send(message("fw600"))
    host.answer = hangs
    host.send(message("fw600", address="192.0.2.2"))
    host.send(message("note0", address="-"))
    host.stop()
    first, second = host.runs[0], host.runs[1]
    assert [run.action for run in host.runs] == [b"add", b"add", b"add", b"delete"]
    host.end(host.runs[3])
    assert not host.policy.settled
    host.end(second)
    host.end(host.runs[4])
    assert host.runs[4].words[1] == b"192.0.2.2"
    assert host.policy.settled, "a script that is not undone is not waited for"
    assert replay(host.disk).entries == {}
    assert first.words[1] == ADDRESS.encode()


def test_what_a_stop_cannot_undo_the_next_start_does() -> None:
    host = Host("fw600 - log.sh - 600\n", answer=fails(b"delete"))
    host.send(message("fw600"))
    host.stop()
    assert host.policy.settled
    assert host.policy.blocks == 1
    later = Host(earlier=host)
    assert later.moments() == [(0, f"delete - {ADDRESS}")]


def test_after_a_crash_timers_go_on_and_overdue_blocks_end() -> None:
    host = Host("fw60 - log.sh - 60\nfw9 - log.sh - 9\n")
    host.send(message("fw60"))
    host.send(message("fw9", address="192.0.2.9"))
    host.at = 20.0
    later = Host("fw60 - log.sh - 60\n", earlier=host)
    assert later.moments() == [(20, "delete - 192.0.2.9")]
    later.send(message("fw60", alert="2.2"))
    assert later.took() == [], "it is still blocked"
    later.run_to(200)
    assert later.moments() == [(80, f"delete - {ADDRESS}")]


def test_after_a_reboot_the_blocks_that_are_due_are_made_again() -> None:
    host = Host("fw60 - log.sh - 60\nfw9 - log.sh - 9\n")
    host.send(message("fw60"))
    host.send(message("fw9", address="192.0.2.9"))
    host.at = 20.0
    later = Host(earlier=host, same_boot=False)
    later.run_to(100)
    assert later.moments() == [(20, f"add - {ADDRESS}"), (20, "delete - 192.0.2.9"), (60, f"delete - {ADDRESS}")]


def test_a_block_whose_add_was_not_confirmed_is_made_again() -> None:
    host = Host(answer=hangs)
    host.send(message())
    later = Host(earlier=host)
    assert later.moments() == [(0, f"add - {ADDRESS}")]


def test_a_script_of_the_last_life_is_waited_for() -> None:
    host = Host(answer=hangs)
    host.send(message())
    later = Host(earlier=host, busy={1: 1})
    assert later.runs == []
    later.perform(later.policy.finished(1, None, later.now))
    later.run_to(1)
    assert later.moments() == [(0, f"add - {ADDRESS}")]


def test_a_block_is_on_the_disk_before_its_script_starts() -> None:
    host = Host()
    effects = host.policy.receive(message().encode(), host.now)
    assert [type(effect).__name__ for effect in effects] == ["Journal", "Start"]
    assert effects[0].sync


# --- anything ---

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.sampled_from(["fw5", "fw60", "fw0", "fw-1"]), st.sampled_from(["-", "bob"]),
                  st.sampled_from(["-", "1.1.1.1", "2.2.2.2"])),
        st.tuples(st.just("lift"), st.sampled_from(["fw5", "fw60"]), st.sampled_from(["-", "bob"]),
                  st.sampled_from(["-", "1.1.1.1"])),
        st.tuples(st.just("wait"), st.sampled_from([0.5, 4, 30, 400])),
        st.tuples(st.just("crash"), st.booleans()),
    ),
    max_size=25,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(STEPS, st.lists(st.tuples(st.sampled_from([0.0, 0.2, 7.0]), st.sampled_from([GOOD, GOOD, BAD])), max_size=40))
def test_nothing_stays_blocked_and_order_holds(steps: list[tuple], ends: list[tuple[float, Outcome]]) -> None:  # type: ignore[type-arg]
    """Whatever happens: per key one script at a time, and when scripts work again every block ends."""
    outcomes = iter(ends)

    def answer(_: Run) -> tuple[float, Outcome]:
        return next(outcomes, (0.0, GOOD))

    conf = "fw5 - log.sh - 5\nfw60 - log.sh - 60\nfw0 - log.sh - 0\nfw-1 - log.sh - -1\n"
    host = Host(conf, answer=answer)
    for step in steps:
        match step:
            case ("send", name, user, address):
                host.send(message(name, user=user, address=address, alert=f"{host.at:g}.1"))
            case ("lift", name, user, address):
                host.send(lift(address, user, name))
            case ("wait", seconds):
                host.run_to(host.at + seconds)
            case ("crash", same_boot):
                host = Host(conf, answer=answer, earlier=host, same_boot=same_boot)
    host.run_to(host.at + 1_000_000)
    assert host.policy.blocks == 0
    assert host.policy.running == 0
    assert host.policy.waiting == 0
    assert host.policy.next_wake() is None or host.policy.next_wake() > host.now
    assert replay(host.disk).entries == {}
    assert not host.policy._lanes
    assert not host.policy._shared
    assert not host.policy._places
