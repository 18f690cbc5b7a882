"""The trades of one symbol: since when they are heard, and which of its bars are seen whole."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import inf
from operator import attrgetter

from data_plane.connectors.ibkr_terms import BEFORE_ALL
from data_plane.connectors.port import RawBar
from data_plane.session_grid import SessionGrid

NEVER = datetime.max.replace(tzinfo=UTC)
_MARGIN = timedelta(seconds=1)


@dataclass(slots=True)
class Tape:
    """One symbol: bars that close after ``whole_after`` are seen whole; ``patched`` when those before were fetched.

    ``since`` is the newest time that the gateway had told when it was subscribed, ``heard_at`` that of the last trade,
    or when it was last made sure that there was none, and ``given`` the close of the newest bar that was given.
    A symbol that is ``refused`` something keeps nobody waiting.
    """

    symbol: str
    number: int = 0
    given: datetime = BEFORE_ALL
    since: datetime = NEVER
    whole_after: datetime = NEVER
    heard_at: datetime = NEVER
    patched: bool = False
    patching: bool = False
    patches: int = 0
    refused: bool = False
    refused_at: float = 0.0
    asked_at: float = -inf
    held: list[RawBar] = field(default_factory=list)

    def begin(self, number: int, told: datetime) -> None:
        """Trades come under ``number`` from now on."""
        self.number, self.since, self.whole_after, self.heard_at = number, told, NEVER, told
        self.refused = False

    def end(self) -> None:
        """No trade counts any more, and no bar that was not given."""
        self.number, self.patched, self.patches, self.whole_after = 0, False, 0, NEVER
        self.held.clear()

    def refuse(self, now: float) -> None:
        """Nobody waits for it, and it is asked for again later."""
        self.refused, self.refused_at = True, now

    def learn(self, told: datetime, grid: SessionGrid) -> None:
        """What closes after the bar that is open now is seen whole, once the subscription is older than ``told``."""
        if self.number and self.whole_after == NEVER and told > self.since:
            interval = grid.interval(told + _MARGIN)
            self.whole_after = told if interval is None else interval.end

    def through(self, due: datetime) -> datetime:
        """The moment up to which every bar was given that will come, if all others are by ``due``."""
        return max(self.given, due) if self.patched or self.refused else self.given

    def is_unpatched(self, due: datetime) -> bool:
        """Whether the bar that was not seen whole has closed by ``due`` and must be fetched."""
        return bool(self.number) and not self.patched and self.whole_after <= due

    def is_silent(self, told: datetime, seconds: float, grid: SessionGrid) -> bool:
        """Whether nothing was heard of it for so long within a session."""
        longest = timedelta(seconds=seconds)
        return self.patched and told - self.heard_at > longest and grid.interval(told - longest) is not None

    def lacks(self, bars: Iterable[RawBar], due: datetime) -> bool:
        """Whether there was trade in a bar that has closed by ``due`` and should have been seen, and was not."""
        seen = max(self.given, self.whole_after)
        return any(bar.volume > 0 and seen < close_of(bar) <= due for bar in bars)


close_of: Callable[[RawBar], datetime] = attrgetter("timestamp")
"""When an intraday bar closes."""
