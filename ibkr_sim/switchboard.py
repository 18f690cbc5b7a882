"""Sessions, timers and what is to be sent: the part of the gateway that every desk shares."""

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

from ibkr_sim.layout import Values
from ibkr_sim.pacing import Budget, MessageRate
from ibkr_sim.responses import message
from ibkr_sim.wire import frame

MARKET_LINK_DOWN = (1100, "Connectivity between IB and Trader Workstation has been lost.")


@dataclass(frozen=True, slots=True)
class Output:
    """Bytes for a link; None closes it."""

    link: int
    data: bytes | None


@dataclass(slots=True)
class Session:
    """One connection of a client; ``client_id`` is known once the client started the API.

    ``clock`` limits how often it is told the time.
    """

    link: int
    version: int
    rate: MessageRate
    clock: Budget
    client_id: int = -1
    closed: bool = False
    not_before: float = 0.0


@dataclass(slots=True)
class Timetable:
    """Market moments to seconds since the start: the market began at ``start`` and runs ``speed`` times as fast."""

    start: float
    speed: float

    def market(self, elapsed: float) -> float:
        """The market's moment, in epoch seconds."""
        return self.start + elapsed * self.speed

    def elapsed(self, market: float) -> float:
        """When the market gets there."""
        return (market - self.start) / self.speed


@dataclass
class Switchboard:
    """``now`` is in seconds since the start; ``slowness`` delays every answer, in seconds."""

    timetable: Timetable
    now: float = 0.0
    slowness: float = 0.0
    outputs: list[Output] = field(default_factory=list)
    sessions: dict[int, Session] = field(default_factory=dict)
    _timers: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: "count[int]" = field(default_factory=count)

    @property
    def market_now(self) -> float:
        """The market's moment, in epoch seconds."""
        return self.timetable.market(self.now)

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Do something ``when`` seconds after the start, or at once if that is past."""
        heappush(self._timers, (when, next(self._numbers), action))

    def at_market(self, moment: float, action: Callable[[], None]) -> None:
        """Do something when the market gets to ``moment``."""
        self.at(self.timetable.elapsed(moment), action)

    def next_due(self) -> float | None:
        """When the next timer is due, in seconds since the start."""
        return self._timers[0][0] if self._timers else None

    def advance(self, now: float) -> None:
        """Run the timers that are due, each at its own time."""
        while self._timers and self._timers[0][0] <= now:
            when, _, action = heappop(self._timers)
            self.now = max(self.now, when)
            action()
        self.now = max(self.now, now)

    def send(self, session: Session, name: str, **values: object) -> None:
        """Send a response of the API to one client."""
        self.send_values(session, name, values)

    def send_values(self, session: Session, name: str, values: Values) -> None:
        """Send a response whose fields are in a mapping."""
        if session.closed:
            return
        data = frame(message(name, values, session.version))
        release = max(session.not_before, self.now + self.slowness)
        if release <= self.now:
            self.outputs.append(Output(session.link, data))
            return
        session.not_before = release
        self.at(release, lambda: self.outputs.append(Output(session.link, data)))

    def error(self, session: Session, number: int, code: int, text: str) -> None:
        """Send an error or a notice about a request, an order or, with -1, about nothing in particular."""
        self.send(session, "error", id=number, code=code, text=text)

    def notice(self, code: int, text: str) -> None:
        """Send a notice to every client."""
        for session in self.clients():
            self.error(session, -1, code, text)

    def clients(self) -> list[Session]:
        """Sessions that started the API, oldest first."""
        return [session for session in self.sessions.values() if session.client_id >= 0 and not session.closed]

    def client(self, client_id: int) -> Session | None:
        """The session of a client id."""
        return next((session for session in self.clients() if session.client_id == client_id), None)

    def close(self, session: Session, after_answers: bool = True) -> None:
        """Close a session; without ``after_answers`` what was not sent yet is lost."""
        if session.closed:
            return
        session.closed = True
        self.sessions.pop(session.link, None)
        if not after_answers:
            self.outputs = [output for output in self.outputs if output.link != session.link]
        release = max(session.not_before, self.now) if after_answers else self.now
        if release <= self.now:
            self.outputs.append(Output(session.link, None))
        else:
            self.at(release, lambda: self.outputs.append(Output(session.link, None)))
