"""Answer whether a process is alive, ready, and what it has counted, over HTTP."""

import json
import logging
import socket
import socketserver
import sys
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase, BytesIO
from threading import BoundedSemaphore, Thread
from types import TracebackType
from typing import Self

from kernel.clock import monotonic
from kernel.metrics import CONTENT_TYPE

Check = Callable[[], bool]
"""Whether one thing that readiness needs holds; called from another thread, so it only reads."""
_Request = socket.socket | tuple[bytes, socket.socket]
Answer = tuple[HTTPStatus, str, bytes]

_logger = logging.getLogger(__name__)
_REQUESTS_AT_ONCE = 16
_LARGEST_REQUEST_BYTES = 8 * 1024
_PATIENCE_SECONDS = 5.0
_JSON = "application/json"
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Connection": "close",
}


class PortUnavailable(RuntimeError):
    """The health server cannot listen where it was told to."""


class Pulse:
    """The sign of life of one loop: it must beat at least every ``max_age_seconds``."""

    def __init__(self, max_age_seconds: float, now: Callable[[], float] = monotonic) -> None:
        self._max_age = max_age_seconds
        self._now = now
        self._last = now()

    def beat(self) -> None:
        """Say that the loop goes round."""
        self._last = self._now()

    def age_seconds(self) -> float:
        """Time since the last beat."""
        return self._now() - self._last

    def alive(self) -> bool:
        """Whether the last beat is recent enough."""
        return self.age_seconds() <= self._max_age


class HealthServer:
    """Serves ``/health``, ``/ready`` and ``/metrics`` from a thread of its own while the context is open.

    ``/health`` depends on the pulse alone, so a broker that is away never gets a process killed;
    ``/ready`` answers 503 with the names of the checks that fail. Port 0 takes a free one; see `port`.
    """

    def __init__(
        self,
        pulse: Pulse,
        checks: Mapping[str, Check],
        metrics: Callable[[], bytes],
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._pulse = pulse
        self._checks = dict(checks)
        self._metrics = metrics
        self._address = (host, port)
        self._routes: Mapping[str, Callable[[], Answer]] = {
            "/health": self._health,
            "/ready": self._ready,
            "/metrics": lambda: (HTTPStatus.OK, CONTENT_TYPE, self._metrics()),
        }

    def __enter__(self) -> Self:
        """Start to listen.

        Raises:
            PortUnavailable: when the address is taken or not of this machine.
        """
        try:
            self._server = _Server(self._address, self._routes)
        except OSError as error:
            host, port = self._address
            raise PortUnavailable(
                f"the health server cannot listen on {host} port {port} ({error.strerror}); "
                "another run may hold it; choose another run.health port of the plane, or 0 for any free one"
            ) from None
        self._thread = Thread(target=self._server.serve_forever, args=(0.1,), name="health", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def _health(self) -> Answer:
        alive = self._pulse.alive()
        status = HTTPStatus.OK if alive else HTTPStatus.SERVICE_UNAVAILABLE
        return _json(status, {"alive": alive, "seconds_since_beat": round(self._pulse.age_seconds(), 3)})

    def _ready(self) -> Answer:
        results = {name: check() for name, check in self._checks.items()}
        failing = [name for name, passed in results.items() if not passed]
        status = HTTPStatus.SERVICE_UNAVAILABLE if failing else HTTPStatus.OK
        return _json(status, {"ready": not failing, "failing": failing, "checks": results})


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], routes: Mapping[str, Callable[[], Answer]]) -> None:
        self.routes = routes
        self._free = BoundedSemaphore(_REQUESTS_AT_ONCE)
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server who we are, which may take long."""
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: _Request, client_address: object) -> None:
        """Answer in a thread of its own, or hang up when too many are at it."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: _Request, client_address: object) -> None:
        """Answer one request."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: _Request, client_address: object) -> None:
        """Hang up; worth a line unless it was the client who went away."""
        error = sys.exception()
        if not isinstance(error, OSError):
            _logger.error("a health request got no answer", exc_info=error)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _PATIENCE_SECONDS
    default_request_version = "HTTP/1.0"

    def setup(self) -> None:
        """Read no more of the client than one small request head."""
        super().setup()
        self.rfile = BytesIO(_head(self.rfile))

    def do_GET(self) -> None:
        """Answer one of the routes."""
        route = self.server.routes.get(self.path.partition("?")[0])
        self._answer(route() if route else _json(HTTPStatus.NOT_FOUND, {"error": "no such page"}))

    do_HEAD = do_GET  # noqa: N815 - the name http.server looks for

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse without repeating anything of the request."""
        status = HTTPStatus(code)
        if status is HTTPStatus.NOT_IMPLEMENTED:
            status = HTTPStatus.METHOD_NOT_ALLOWED
        self._answer(_json(status, {"error": status.phrase}))

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged: probes come every few seconds."""

    def version_string(self) -> str:
        """Who answers, without versions."""
        return "algotrade"

    def _answer(self, answer: Answer) -> None:
        status, content_type, body = answer
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _head(stream: BufferedIOBase) -> bytes:
    """The request up to its empty line; what is too long stays a line without an end and is refused."""
    head = b""
    while len(head) < _LARGEST_REQUEST_BYTES:
        line = stream.readline(_LARGEST_REQUEST_BYTES - len(head))
        head += line
        if line in (b"\r\n", b"\n", b""):
            return head
    return b"-\r\n"


def _json(status: HTTPStatus, content: Mapping[str, object]) -> Answer:
    return status, _JSON, json.dumps(content).encode()
