"""Subscriptions that send again and again, each at its own pace, until they are cancelled or their client is gone."""

from collections.abc import Callable
from dataclasses import dataclass

from ibkr_sim.switchboard import Session, Switchboard

Key = tuple[int, int]
"""Link of the session and request id."""


@dataclass(frozen=True, slots=True)
class Stream:
    """``due`` says at which market moment to ``emit`` next, given the present one; None when never."""

    kind: str
    due: Callable[[float], float | None]
    emit: Callable[[], None]
    spacing: float = 0.0


class Streams:
    """Running subscriptions; while ``linked`` is off they keep silent."""

    def __init__(self, board: Switchboard) -> None:
        self._board = board
        self._running: dict[Key, Stream] = {}
        self.linked = True

    def __contains__(self, key: Key) -> bool:
        return key in self._running

    def count(self, link: int, *kinds: str) -> int:
        """How many subscriptions of these kinds a session has."""
        return sum(key[0] == link and stream.kind in kinds for key, stream in self._running.items())

    def kind(self, key: Key) -> str:
        """The kind of a subscription; empty when there is none."""
        return self._running[key].kind if key in self._running else ""

    def start(self, session: Session, request_id: int, stream: Stream) -> None:
        """Run a subscription; ``spacing`` is the least time between two messages, in seconds."""
        key = session.link, request_id
        self._running[key] = stream
        self._schedule(key, stream)

    def stop(self, key: Key) -> bool:
        """End a subscription; whether there was one."""
        return self._running.pop(key, None) is not None

    def forget(self, link: int) -> None:
        """End the subscriptions of a session."""
        self._running = {key: stream for key, stream in self._running.items() if key[0] != link}

    def keys(self, kind: str) -> list[Key]:
        """The subscriptions of one kind, of all sessions."""
        return [key for key, stream in self._running.items() if stream.kind == kind]

    def end(self, *kinds: str) -> None:
        """End the subscriptions of these kinds, of all sessions, without a word."""
        self._running = {key: stream for key, stream in self._running.items() if stream.kind not in kinds}

    def _schedule(self, key: Key, stream: Stream) -> None:
        moment = stream.due(self._board.market_now)
        if moment is None:
            return
        when = max(self._board.timetable.elapsed(moment), self._board.now + stream.spacing)
        self._board.at(when, lambda: self._emit(key, stream))

    def _emit(self, key: Key, stream: Stream) -> None:
        if self._running.get(key) is not stream:
            return
        if self.linked:
            stream.emit()
        if self._running.get(key) is stream:
            self._schedule(key, stream)
