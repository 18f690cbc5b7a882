"""Commands of an operator on this machine to the order plane, over a socket that works without Kafka."""

import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import JsonValue

from kernel.clock import monotonic

Fields = Mapping[str, JsonValue]
Answer = dict[str, JsonValue]
CommandHandler = Callable[[Fields], Answer]
"""Carries out one command; raises `CommandRefused` when it may not or cannot be."""
SOCKET = "order.sock"
"""Name of the socket in the state directory of the order plane."""
_LONGEST = 64 * 1024
_PATIENCE_SECONDS = 2.0
"""How long a client may take to write its line; the plane never waits for it."""
_WAITING = 8


class CommandRefused(ValueError):
    """The command was understood and not carried out; the text says why."""


class NobodyListens(ConnectionError):
    """No order plane listens on the socket."""


class CommandChannel:
    """A Unix socket that only its owner may use: one JSON object in one line asks, one answers.

    Nothing happens but in `poll`, which the plane's loop calls between batches and which never waits.
    """

    def __init__(self, path: Path, handlers: Mapping[str, CommandHandler]) -> None:
        self._path = path
        self._handlers = dict(handlers)
        self._clients: list[tuple[socket.socket, bytearray, float]] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # of a plane that was killed; a living one holds the journal, so this one is alone
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _short(path) as name:
                self._socket.bind(name)
            path.chmod(0o600)
            self._socket.listen(_WAITING)
            self._socket.setblocking(False)
        except BaseException:
            self._socket.close()
            raise

    def poll(self) -> None:
        """Carry out the commands that have arrived; an error that is no refusal is answered and raised."""
        self._accept()
        waiting, self._clients = self._clients, []
        for index, (client, text, until) in enumerate(waiting):
            if not self._read(client, text):
                if monotonic() < until:
                    self._clients.append((client, text, until))
                else:
                    client.close()
                continue
            try:
                _send(client, self._answer(bytes(text)))
            except Exception as error:
                _send(client, {"ok": False, "stops": True, "error": type(error).__name__})
                self._clients += waiting[index + 1 :]
                raise
            finally:
                client.close()

    def waiting(self) -> list[Fields]:
        """What was asked and waits for `poll`, for a loop that must know before it gets there; never waits either."""
        self._accept()
        lines = [bytes(text) for client, text, _ in self._clients if self._read(client, text)]
        return [request for request in map(_request, lines) if request is not None]

    def close(self) -> None:
        """Listen no more."""
        for client, _, _ in self._clients:
            client.close()
        self._clients.clear()
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while len(self._clients) < _WAITING:
            try:
                client, _ = self._socket.accept()
            except OSError:  # nobody else, or somebody who is gone
                return
            client.setblocking(False)
            self._clients.append((client, bytearray(), monotonic() + _PATIENCE_SECONDS))

    @staticmethod
    def _read(client: socket.socket, text: bytearray) -> bool:
        """Whether ``client`` has written its line, or ended."""
        try:
            while not text.endswith(b"\n"):
                part = client.recv(8192)
                text += part
                if not part or len(text) > _LONGEST:
                    break
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def _answer(self, line: bytes) -> Answer:
        request = _request(line)
        if request is None:
            return {"ok": False, "error": "expected one JSON object in one line"}
        handler = self._handlers.get(str(request.get("command")))
        if handler is None:
            return {"ok": False, "error": f"unknown command; known are {', '.join(sorted(self._handlers))}"}
        try:
            return {"ok": True, **handler(request)}
        except CommandRefused as refusal:
            return {"ok": False, "error": str(refusal)}


def ask(path: Path, command: str, fields: Fields, timeout_seconds: float = 10.0) -> Answer:
    """Have the order plane that listens at ``path`` carry out ``command`` and return its answer.

    Raises:
        NobodyListens: when no plane listens there, or it does not answer in time or stops over it; then it may have
            acted on it, or still do so.
        CommandRefused: when it refuses.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(timeout_seconds)
        try:
            with _short(path) as name:
                client.connect(name)
            client.sendall(json.dumps({**fields, "command": command}).encode() + b"\n")
            with client.makefile("rb") as answers:
                line = answers.readline()
        except TimeoutError:
            raise NobodyListens(f"the order plane at {path} did not answer in time; it may still act on it") from None
        except OSError:
            raise NobodyListens(f"no order plane listens at {path}") from None
    if not line:
        raise NobodyListens(f"the order plane at {path} ended before it answered; it may have acted on it")
    answer: Answer = json.loads(line)
    if answer.get("stops"):
        raise NobodyListens(f"the order plane stops: {answer.get('error')}; it may have acted on it")
    if answer.pop("ok", False) is not True:
        raise CommandRefused(str(answer.get("error", "refused")))
    return answer


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name of ``path`` that fits into a socket address, however long its own is."""
    if len(os.fsencode(path)) < 100:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def _request(line: bytes) -> Fields | None:
    """The command in a line, None when it is none."""
    try:
        request = json.loads(line) if len(line) <= _LONGEST else None
        json.dumps(request, ensure_ascii=False).encode()  # half a surrogate pair is read and can be written nowhere
    except (ValueError, RecursionError):
        return None
    return request if isinstance(request, dict) else None


def _send(client: socket.socket, answer: Answer) -> None:
    client.settimeout(_PATIENCE_SECONDS)
    with suppress(OSError):  # who asked is gone; what was asked is done
        client.sendall(json.dumps(answer).encode() + b"\n")
