"""Sessions, orders and shared files on remoted's core."""

from __future__ import annotations

import pytest

from ossec.crypto import counters
from ossec.crypto.channel import Channel, Method
from ossec.crypto.keys import AgentKey, parse
from ossec.messages import control, merged
from ossec.remoted.agents import Agent
from ossec.remoted.core import INTRODUCTION_WAIT, MAX_ORDERS_WAITING, PUSH_BURST, Remoted
from ossec.remoted.shared import SharedFiles
from tests.unit.remoted.recorder import Recorder

SECRET = "0123456789abcdef" * 4
WEB = AgentKey.parse(f"001 web01 192.0.2.1 {SECRET}")
ROAMING = AgentKey.parse(f"002 dyn02 any 1{SECRET[1:]}")
NET = AgentKey.parse(f"003 cidr03 198.51.100.0/24 2{SECRET[1:]}")
AWAY = AgentKey.parse(f"004 solo04 192.0.2.4 3{SECRET[1:]}")
UNAME = b"Linux web01 6.1 #1 SMP x86_64 - OSSEC HIDS v4.2.0"


class Sender:
    """An agent's side: counts and seals."""

    def __init__(self, key: AgentKey, address: str, method: Method = Method.AES) -> None:
        self.channel = Channel(key, prefixed=not key.single_host)
        self.peer = (address, 50000)
        self.method = method
        self.counter = counters.START

    def seal(self, text: bytes) -> bytes:
        self.counter = counters.following(self.counter)
        return self.channel.seal(text, self.counter, self.method)


@pytest.fixture
def ports() -> Recorder:
    return Recorder()


@pytest.fixture
def core(ports: Recorder) -> Remoted:
    core = Remoted(ports)
    core.load_keys([WEB, ROAMING, NET, AWAY], {})
    return core


@pytest.fixture
def web() -> Sender:
    return Sender(WEB, "192.0.2.1")


def connect(core: Remoted, ports: Recorder, *senders: Sender) -> None:
    for sender in senders:
        core.receive(sender.seal(control.STARTUP), sender.peer, 0.0)
    assert [text for _, text in ports.texts(core)] == [control.ACK] * len(senders)
    ports.sent.clear()


def test_an_event_is_handed_on_with_the_agents_name(core: Remoted, ports: Recorder, web: Sender) -> None:
    core.receive(web.seal(b"1:/var/log/auth.log:hello"), web.peer, 0.0)
    assert ports.events == [b"1:(web01) 192.0.2.1->/var/log/auth.log:hello"]


def test_an_agent_of_a_network_is_shown_by_its_address(core: Remoted, ports: Recorder) -> None:
    sender = Sender(NET, "198.51.100.77")
    core.receive(sender.seal(b"1:x:y"), sender.peer, 0.0)
    assert ports.events == [b"1:(cidr03) 198.51.100.0->x:y"]


def test_several_agents_behind_one_address(core: Remoted, ports: Recorder) -> None:
    for sender in (Sender(ROAMING, "198.51.100.9"), Sender(NET, "198.51.100.9")):
        core.receive(sender.seal(b"1:x:y"), sender.peer, 0.0)
    assert len(ports.events) == 2


def test_a_refused_datagram_changes_nothing(core: Remoted, ports: Recorder, web: Sender) -> None:
    connect(core, ports, web)
    before = core.agents.by_id["001"]
    state = (before.counter, before.method, before.peer, before.last_contact)
    for datagram in (b":x", b"#AES:", b"!001!:", Sender(NET, "x").seal(b"1:x:y"), b"", b"!"):
        core.receive(datagram, ("192.0.2.1", 666), 5.0)
    assert (before.counter, before.method, before.peer, before.last_contact) == state
    assert ports.events == []
    assert ports.sent == []
    assert sum(core.counts.refused.values()) == 6


def test_the_counter_is_saved_before_the_event_is_handed_on(core: Remoted, ports: Recorder, web: Sender) -> None:
    order: list[str] = []
    ports.save_counter = lambda agent: order.append(f"save {agent.counter}")  # type: ignore[method-assign]
    ports.forward = lambda event: order.append("forward")  # type: ignore[method-assign]
    core.receive(web.seal(b"1:x:y"), web.peer, 0.0)
    assert order == ["save (0, 1)", "forward"]


def test_a_replay_is_refused_also_after_the_keys_were_read_again(core: Remoted, ports: Recorder, web: Sender) -> None:
    datagram = web.seal(b"1:x:y")
    core.receive(datagram, web.peer, 0.0)
    core.load_keys([WEB, NET], {})
    core.receive(datagram, web.peer, 1.0)
    assert len(ports.events) == 1


def test_an_agent_that_counts_from_anew_is_told_the_remedy(core: Remoted, ports: Recorder, web: Sender) -> None:
    web.counter = (7, 1)
    core.receive(web.seal(b"1:x:y"), web.peer, 0.0)
    reinstalled = Sender(WEB, "192.0.2.1")
    core.receive(reinstalled.seal(b"1:x:y"), web.peer, 1.0)
    assert len(ports.events) == 1
    assert any("--reset-counter 001" in line for line in ports.log)


def test_a_new_key_starts_a_new_count(core: Remoted, ports: Recorder, web: Sender) -> None:
    web.counter = (7, 1)
    core.receive(web.seal(b"1:x:y"), web.peer, 0.0)
    renewed = AgentKey.parse(f"001 web01 192.0.2.1 9{SECRET[1:]}")
    core.load_keys([renewed], {})
    sender = Sender(renewed, "192.0.2.1")
    core.receive(sender.seal(b"1:x:z"), sender.peer, 1.0)
    assert len(ports.events) == 2


def test_the_reply_uses_the_agents_cipher(core: Remoted, ports: Recorder) -> None:
    sender = Sender(WEB, "192.0.2.1", Method.BLOWFISH)
    connect(core, ports, sender)
    sender.method = Method.AES
    core.receive(sender.seal(control.STARTUP), sender.peer, 1.0)
    assert ports.sent[0][0].startswith(b"#AES:")


@pytest.mark.parametrize(("aes", "blowfish", "accepted"), [(True, False, 1), (False, True, 1), (True, True, 2)])
def test_crypto_accept(core: Remoted, ports: Recorder, aes: bool, blowfish: bool, accepted: int) -> None:
    core.accept_aes, core.accept_blowfish = aes, blowfish
    for method in Method:
        sender = Sender(ROAMING, "192.0.2.9", method)
        sender.counter = core.agents.by_id["002"].counter
        core.receive(sender.seal(b"1:x:y"), sender.peer, 0.0)
    assert len(ports.events) == accepted


def test_the_same_complaint_is_written_once_and_counted(core: Remoted, ports: Recorder) -> None:
    for _ in range(100):
        core.receive(b":junk", ("203.0.113.5", 1), 0.0)
    assert ports.log == ["ossec-remoted(1213): WARN: Message from '203.0.113.5' not allowed."]
    core.complaints.flush(100.0)
    assert ports.log[1] == "ossec-remoted(1213): WARN: Message from '203.0.113.5' not allowed. (99 more since)"


def test_a_flood_of_different_complaints_is_bounded(core: Remoted, ports: Recorder) -> None:
    for number in range(5000):
        core.receive(b":junk", (f"203.0.{number // 250}.{number % 250}", 1), 0.0)
    assert len(ports.log) < 1100
    core.complaints.flush(100.0)
    assert "more complaints about strangers" in ports.log[-1]


def test_a_keepalive_is_recorded_and_answered(core: Remoted, ports: Recorder, web: Sender) -> None:
    core.receive(web.seal(b"#!-" + UNAME + b"\n" + b"0" * 32 + b" merged.mg\n\nnoise"), web.peer, 0.0)
    assert ports.info == {"web01-192.0.2.1": UNAME + b"\ncrypto_method:aes\n"}
    assert ports.texts(core)[0] == ("001", control.ACK)


def test_an_agent_without_the_shared_files_gets_them_once(core: Remoted, ports: Recorder, web: Sender) -> None:
    content = b"".join(b"line %d\n" % number for number in range(6000))
    core.shared = SharedFiles([("agent.conf", content), ("b.txt", b"B")])
    keepalive = b"#!-" + UNAME + b"\nx merged.mg\n\n"
    core.receive(web.seal(keepalive), web.peer, 0.0)
    core.receive(web.seal(keepalive), web.peer, 0.1)  # while it is on its way: not again
    assert len(ports.sent) == 2 + PUSH_BURST
    now = 0.0
    while (due := core.tick(now)) is not None:
        now = due
    texts = [text for _, text in ports.texts(core) if text != control.ACK]
    start = control.parse_from_server(texts[0])
    assert start == control.FileStart(core.shared.merge.digest, "merged.mg")
    assert texts[-1] == control.FILE_END
    assert b"".join(texts[1:-1]) == core.shared.merge.content
    assert dict(merged.parse_merged(core.shared.merge.content)) == {"agent.conf": content, "b.txt": b"B"}
    assert all(len(datagram) <= 1024 for datagram, _ in ports.sent)


def test_an_agent_with_the_shared_files_gets_none(core: Remoted, ports: Recorder, web: Sender) -> None:
    core.shared = SharedFiles([("agent.conf", b"x")])
    keepalive = b"#!-%b\n%b merged.mg\n\n" % (UNAME, core.shared.merge.digest.encode())
    core.receive(web.seal(keepalive), web.peer, 0.0)
    assert len(ports.sent) == 1


def test_a_change_of_the_shared_files_reaches_agents_at_once(core: Remoted, ports: Recorder, web: Sender) -> None:
    core.receive(web.seal(b"#!-%b\n%b merged.mg\n\n" % (UNAME, core.shared.merge.digest.encode())), web.peer, 0.0)
    ports.sent.clear()
    for content in (b"one", b"two", b"two"):
        core.share(SharedFiles([("agent.conf", content)]), 5.0)
        now: float | None = 5.0
        while now is not None:
            now = core.tick(now)
    texts = [text for _, text in ports.texts(core)]
    assert [text for text in texts if text.startswith(b"!")] == [b"!3 agent.conf\none", b"!3 agent.conf\ntwo"]


def test_what_cannot_be_shared_is_said() -> None:
    shared = SharedFiles(
        [("a\nb", b""), ("nul", b"\0"), (".hidden", b""), ("old~", b""), ("merged.mg", b""), ("a", b"")]
    )
    assert [file.name for file in shared.files] == ["a"]
    assert [name for name, _ in shared.left_out] == ["a\nb", "nul"]


@pytest.mark.parametrize(
    ("order", "texts"),
    [
        ("(msg_to_agent) [] NNS 002 fw0 - 1.2.3.4 a b", [("002", "#!-execd fw0 - 1.2.3.4 a b")]),
        ("(msg_to_agent) [] ANN (null) fw0 - 1.2.3.4 a b", [(n, "#!-execd fw0 - 1.2.3.4 a b") for n in ("001", "002")]),
        ("(msg_to_agent) [] N!S 002 syscheck restart", [("002", "#!-syscheck restart")]),
        ("(dyn02) any->/var/log/my app.log NRN (null) fw0 - 1.2.3.4 x", [("002", "#!-execd fw0 - 1.2.3.4 x")]),
        ("(web01) 192.0.2.1->x NRS 002 fw0 - 1.2.3.4 x", [("001", "#!-execd fw0 - 1.2.3.4 x")]),
        ("(web01) 192.0.2.1->x NNN 002 fw0 - 1.2.3.4 x", []),
        ("(msg_to_agent) [] NNS 099 fw0 - 1.2.3.4 a b", []),
        ("nonsense", []),
    ],
)
def test_orders_reach_whom_they_name(core: Remoted, ports: Recorder, order: str, texts: list[tuple[str, str]]) -> None:
    connect(core, ports, Sender(WEB, "192.0.2.1"))
    connect(core, ports, Sender(ROAMING, "192.0.2.8"))
    core.order(order.encode() + b"\0", 10.0)
    assert [(agent, text.decode()) for agent, text in ports.texts(core)] == texts


def test_an_order_for_an_agent_that_is_away_waits_for_it(core: Remoted, ports: Recorder) -> None:
    for number in range(MAX_ORDERS_WAITING + 3):
        core.order(b"(msg_to_agent) [] NNS 004 fw%d - 1.2.3.4 a b" % number, 10.0)
    assert ports.sent == []
    assert "(004) is not connected" in ports.log[0]
    sender = Sender(AWAY, "192.0.2.4")
    core.receive(sender.seal(control.STARTUP), sender.peer, 20.0)
    texts = [text for _, text in ports.texts(core)]
    assert texts[0] == control.ACK
    assert texts[1:] == [b"#!-execd fw%d - 1.2.3.4 a b" % number for number in range(3, MAX_ORDERS_WAITING + 3)]
    assert core.counts.orders_lost == 3


def test_looking_up_an_agent_takes_no_scan(ports: Recorder) -> None:
    keys = "\n".join(f"{n:05d} a{n} 10.{n >> 16}.{n >> 8 & 255}.{n & 255} {SECRET}" for n in range(10_000))
    core = Remoted(ports)
    core.load_keys(parse(keys.encode()).keys, {})
    looked_at: list[Agent] = []
    core.agents.by_id = type("Watched", (dict,), {"__iter__": lambda _: looked_at.append})(core.agents.by_id)
    assert core.agents.find(None, "10.0.39.15").key.id == "09999"
    assert core.agents.find("00007", "10.0.0.7").key.name == "a7"
    assert looked_at == []


STARTED = b"1:(web01) 192.0.2.1->ossec:ossec: Agent started: 'web01->192.0.2.1'."
KEEPALIVE = b"#!-" + UNAME + b"\nx merged.mg\n\n"


def test_a_new_agent_is_introduced_where_its_own_word_was_lost(core: Remoted, ports: Recorder, web: Sender) -> None:
    core.shared = SharedFiles()
    core.receive(web.seal(KEEPALIVE), web.peer, 100.0)
    while (due := core.tick(100.0)) == 100.0:
        pass
    assert due == 100.0 + INTRODUCTION_WAIT
    assert ports.events == []
    core.tick(due)
    assert ports.events == [STARTED]
    core.receive(web.seal(KEEPALIVE + b"again"), web.peer, 200.0)
    core.load_keys([WEB, NET], {})
    assert core.tick(900.0) is None
    assert ports.events == [STARTED]


@pytest.mark.parametrize("before", [True, False])
def test_a_new_agent_that_speaks_for_itself_is_not_introduced_twice(
    core: Remoted, ports: Recorder, web: Sender, before: bool
) -> None:
    texts = [STARTED.replace(b"(web01) 192.0.2.1->", b""), KEEPALIVE]
    for text in texts if before else texts[::-1]:
        core.receive(web.seal(text), web.peer, 100.0)
    core.tick(500.0)
    assert ports.events == [STARTED]


def test_a_new_agent_is_introduced_before_remoted_ends(core: Remoted, ports: Recorder, web: Sender) -> None:
    core.receive(web.seal(KEEPALIVE), web.peer, 100.0)
    core.close()
    assert ports.events == [STARTED]


def test_an_agent_known_from_an_earlier_run_is_not_introduced(core: Remoted, ports: Recorder, web: Sender) -> None:
    ports.info["web01-192.0.2.1"] = b"from before"
    core.receive(web.seal(KEEPALIVE), web.peer, 100.0)
    core.tick(500.0)
    assert ports.events == []


def test_an_agent_that_is_removed_is_not_introduced(core: Remoted, ports: Recorder, web: Sender) -> None:
    core.receive(web.seal(KEEPALIVE), web.peer, 100.0)
    core.load_keys([NET], {})
    core.tick(500.0)
    assert ports.events == []
