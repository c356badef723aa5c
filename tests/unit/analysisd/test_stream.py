"""The ZeroMQ stream of alerts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import zmq
from zmq.auth import create_certificates, load_certificate

from ossec.analysisd.stream import TOPIC, AlertStream, StreamError
from tests.support import wait_until

ANYWHERE = "tcp://127.0.0.1:*"


def subscribe(context: zmq.Context, stream: AlertStream, keys: tuple[Path, Path] | None = None) -> zmq.Socket:
    """A subscriber; `keys`: the server's public and its own secret certificate."""
    socket = context.socket(zmq.SUB)
    socket.linger = 0
    socket.rcvtimeo = 0
    socket.subscribe(TOPIC)
    if keys is not None:
        socket.curve_serverkey = load_certificate(keys[0])[0]
        socket.curve_publickey, socket.curve_secretkey = load_certificate(keys[1])
    socket.connect(stream.uri)
    return socket


def hear(stream: AlertStream, socket: zmq.Socket) -> list[bytes]:
    """Publish until the subscriber, who joins in his own time, has heard something."""

    def heard() -> list[bytes] | None:
        stream.send(b'{"id":"1.1"}\n')
        try:
            return socket.recv_multipart()
        except zmq.Again:
            return None

    found = wait_until(heard, "a published alert")
    assert found is not None
    return found


def test_a_subscriber_gets_topic_and_json() -> None:
    stream = AlertStream(ANYWHERE)
    with zmq.Context() as context, subscribe(context, stream) as socket:
        assert hear(stream, socket) == [TOPIC, b'{"id":"1.1"}']
    stream.close()


def test_only_the_holder_of_the_client_certificate_may_listen(tmp_path: Path) -> None:
    certificates = {name: create_certificates(tmp_path, name) for name in ("server", "friend", "stranger")}
    public, secret = certificates["server"]
    stream = AlertStream(ANYWHERE, secret, certificates["friend"][0])
    with (
        zmq.Context() as context,
        subscribe(context, stream, (Path(public), Path(certificates["stranger"][1]))) as stranger,
        subscribe(context, stream, (Path(public), Path(certificates["friend"][1]))) as friend,
    ):
        assert hear(stream, friend)[0] == TOPIC
        with pytest.raises(zmq.Again):
            stranger.recv_multipart()
    stream.close()


def test_a_subscriber_that_does_not_read_delays_nobody_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ossec.analysisd.stream.MAX_WAITING", 10)
    stream = AlertStream(ANYWHERE)
    line = b"x" * 200_000  # some of these fill what the kernel keeps for a connection
    with zmq.Context() as context:
        context.setsockopt(zmq.RCVHWM, 10)
        with subscribe(context, stream) as lazy, subscribe(context, stream) as eager:
            hear(stream, lazy)
            hear(stream, eager)
            for number in range(1000):
                wanted = [TOPIC, b"%d" % number + line]
                stream.send(wanted[1])
                wait_until(lambda: _next(eager) == wanted, "what is published")  # noqa: B023 - called at once
                if stream.missed:
                    break
            assert stream.missed == 1
            assert stream.sent > number
    stream.close()


def _next(socket: zmq.Socket) -> list[bytes] | None:
    try:
        return socket.recv_multipart()
    except zmq.Again:
        return None


def test_a_client_certificate_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StreamError, match="needs a zeromq_server_cert"):
        AlertStream(ANYWHERE, None, create_certificates(tmp_path, "friend")[0])


@pytest.mark.parametrize("uri", ["nonsense", "tcp://256.1.1.1:1"])
def test_an_address_that_cannot_be_used_is_told(uri: str) -> None:
    with pytest.raises(StreamError):
        AlertStream(uri)


def test_a_certificate_without_secret_is_refused(tmp_path: Path) -> None:
    public, _ = create_certificates(tmp_path, "server")
    with pytest.raises(StreamError):
        AlertStream(ANYWHERE, public)


def test_who_wants_neither_stream_nor_places_does_not_load_their_libraries() -> None:
    code = "import sys, ossec.analysisd.daemon; print([n for n in ('zmq', 'maxminddb') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=Path(__file__).parents[3])
    assert done.stdout == b"[]\n"
