import json
import socket
import stat
import threading
import time

import pytest

from order_plane.command_channel import CommandChannel, CommandRefused, NobodyListens, ask


def refuse(fields):
    raise CommandRefused("not today")


def burst(fields):
    raise RuntimeError("disk full at /secret")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "order.sock"


@pytest.fixture
def channel(path):
    channel = CommandChannel(
        path, {"add": lambda fields: {"sum": fields["a"] + fields["b"]}, "no": refuse, "burst": burst}
    )
    yield channel
    channel.close()


@pytest.fixture
def listening(channel):
    """The channel, polled as a plane's loop does; ``errors`` are what left `poll`."""
    done, errors = threading.Event(), []

    def loop():
        while not done.is_set():
            try:
                channel.poll()
            except RuntimeError as error:
                errors.append(error)
            time.sleep(0.002)

    thread = threading.Thread(target=loop)
    thread.start()
    yield errors
    done.set()
    thread.join(10)


def test_a_command_is_carried_out_and_answered(path, listening):
    assert ask(path, "add", {"a": 1, "b": 2}) == {"sum": 3}
    assert ask(path, "add", {"a": 3, "b": 2}) == {"sum": 5}


def test_a_refusal_is_told_with_its_reason(path, listening):
    with pytest.raises(CommandRefused, match="not today"):
        ask(path, "no", {})
    with pytest.raises(CommandRefused, match="known are add, burst, no"):
        ask(path, "sell everything", {})


def test_an_error_stops_the_plane_and_is_told_without_its_text(path, listening):
    with pytest.raises(NobodyListens, match="stops: RuntimeError") as refused:
        ask(path, "burst", {})
    assert "secret" not in str(refused.value)
    until = time.monotonic() + 30.0
    while not listening and time.monotonic() < until:  # who asked may hear of it first
        time.sleep(0.002)
    assert [str(error) for error in listening] == ["disk full at /secret"]


def test_only_the_owner_can_reach_it(path, channel):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nobody_listens(path, channel):
    channel.close()
    with pytest.raises(NobodyListens, match="no order plane listens"):
        ask(path, "add", {})
    assert not path.exists()


def test_a_plane_that_does_not_poll_is_not_waited_for(path, channel):
    with pytest.raises(NobodyListens, match="may still act"):
        ask(path, "add", {"a": 1, "b": 2}, timeout_seconds=0.1)


def test_the_socket_of_a_killed_plane_is_taken_over(path, channel):
    again = CommandChannel(path, {})
    assert path.exists()
    again.close()


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"nonsense\n", b"[1]\n", b"\xff\n", b"{" * 70_000 + b"\n", b'{"command":{}}\n'),
        *(b"[" * 60_000 + b"\n", b'{"command":' + b"[" * 60_000 + b"\n", b'{"command":"add","a":"\\ud800"}\n'),
    ],
)
def test_nonsense_is_answered_and_harms_nobody(path, listening, line):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        client.connect(str(path))
        try:
            client.sendall(line)
            client.shutdown(socket.SHUT_WR)
            answer = client.makefile("rb").readline()
        except (BrokenPipeError, ConnectionResetError):
            answer = b""
        assert not answer or json.loads(answer)["ok"] is False
    assert ask(path, "add", {"a": 1, "b": 2}) == {"sum": 3}


def test_a_silent_client_holds_up_neither_the_plane_nor_others(path, channel, listening):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.connect(str(path))
        silent.sendall(b'{"command"')
        assert ask(path, "add", {"a": 1, "b": 2}) == {"sum": 3}


def test_a_path_that_is_too_long_for_a_socket_works(tmp_path):
    deep = tmp_path / ("x" * 60) / ("y" * 60) / "order.sock"
    channel = CommandChannel(deep, {"hello": lambda fields: {"hello": True}})
    answers = []
    asking = threading.Thread(target=lambda: answers.append(ask(deep, "hello", {})))
    asking.start()
    while not answers and asking.is_alive():
        channel.poll()
        time.sleep(0.002)
    asking.join(10)
    channel.close()
    assert answers == [{"hello": True}]
