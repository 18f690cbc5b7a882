import http.client
import json
import socket
import threading

import pytest

from kernel.health import HealthServer, PortUnavailable, Pulse


class Time:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def checks() -> dict[str, bool]:
    return {"assigned": True, "caught_up": True}


@pytest.fixture
def server(time, checks):
    pulse = Pulse(5.0, time)
    named = {name: (lambda name=name: checks[name]) for name in checks}
    with HealthServer(pulse, named, lambda: b"algotrade_x 1.0\n") as server:
        server.pulse = pulse
        yield server


def ask(server: HealthServer, path: str, method: str = "GET"):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request(method, path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, response.headers, body


def raw(server: HealthServer, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(sent)
        answer = b""
        try:
            while chunk := client.recv(4096):
                answer += chunk
        except ConnectionResetError:
            pass
    return answer


def test_a_process_is_alive_while_its_loop_goes_round(server, time):
    assert ask(server, "/health")[0] == 200

    time.seconds += 5.5
    status, _, body = ask(server, "/health")
    assert status == 503
    assert json.loads(body) == {"alive": False, "seconds_since_beat": 5.5}

    server.pulse.beat()
    assert ask(server, "/health")[0] == 200


def test_liveness_does_not_depend_on_what_readiness_needs(server, checks):
    checks["assigned"] = False

    assert ask(server, "/health")[0] == 200


def test_readiness_names_what_fails(server, checks):
    assert json.loads(ask(server, "/ready")[2]) == {
        "ready": True,
        "failing": [],
        "checks": {"assigned": True, "caught_up": True},
    }

    checks["caught_up"] = False
    status, headers, body = ask(server, "/ready")
    assert status == 503
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body)["failing"] == ["caught_up"]


def test_metrics_are_served_as_prometheus_text(server):
    status, headers, body = ask(server, "/metrics?name=x")

    assert (status, body) == (200, b"algotrade_x 1.0\n")
    assert headers["Content-Type"].startswith("text/plain; version=")


def test_a_head_request_has_no_body(server):
    status, headers, body = ask(server, "/metrics", "HEAD")

    assert (status, body, headers["Content-Length"]) == (200, b"", "16")


@pytest.mark.parametrize("path", ["/", "/metrics/", "/../etc/passwd", "/healthz"])
def test_there_are_no_other_pages(server, path):
    status, _, body = ask(server, path)

    assert status == 404
    assert path[1:] not in json.loads(body)["error"] or path == "/"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "TRACE", "OPTIONS"])
def test_no_other_method_is_allowed(server, method):
    status, headers, _ = ask(server, "/health", method)

    assert (status, headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(("path", "method"), [("/health", "GET"), ("/none", "GET"), ("/health", "POST")])
def test_every_answer_is_plain_uncached_and_says_little(server, path, method):
    _, headers, _ = ask(server, path, method)

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Security-Policy"] == "default-src 'none'"
    assert headers["Server"] == "algotrade"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /" + b"a" * 20_000 + b" HTTP/1.0\r\n\r\n",
        b"GET /health HTTP/1.0\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"\x16\x03\x01\r\n\r\n",
        b"GET /health HTTP/9.9\r\n\r\n",
    ],
)
def test_a_malformed_or_oversized_request_is_refused_and_the_server_lives(server, request_bytes):
    answer = raw(server, request_bytes)

    assert answer == b"" or answer.split()[1][:1] in (b"4", b"5")
    assert ask(server, "/health")[0] == 200


def test_a_silent_client_does_not_keep_others_waiting(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10):
        assert ask(server, "/health")[0] == 200


def test_a_check_that_breaks_gives_no_answer_and_the_server_lives(caplog):
    def broken() -> bool:
        raise RuntimeError("no idea")

    with HealthServer(Pulse(5.0), {"broken": broken}, bytes) as server:
        with pytest.raises(http.client.BadStatusLine):
            ask(server, "/ready")
        assert ask(server, "/health")[0] == 200
    assert "a health request got no answer" in caplog.text


def test_requests_are_not_logged(server, capfd, caplog):
    ask(server, "/health")
    ask(server, "/none")

    assert capfd.readouterr().err == ""
    assert caplog.text == ""


def test_it_stops_listening_and_leaves_no_thread():
    before = threading.active_count()
    with HealthServer(Pulse(5.0), {}, bytes) as server:
        port = server.port

    assert not [thread for thread in threading.enumerate() if thread.name == "health"]
    assert threading.active_count() <= before
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()


def test_a_taken_port_is_refused_with_the_way_out(server):
    second = HealthServer(Pulse(5.0), {}, bytes, port=server.port)

    with pytest.raises(PortUnavailable, match=r"run\.health"):
        second.__enter__()
