"""Named reasons for which a row of market data is not published."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from data_plane.connectors.port import AFTER_ALL, RawBar
from data_plane.corporate_actions import Effect, Factors
from data_plane.session_grid import SessionGrid

MIN_PRICE, MAX_PRICE, MAX_VOLUME = 1e-10, 1e12, 1e15
"""What the market contracts accept, in price per unit and in units."""
BEFORE_ALL = datetime.min.replace(tzinfo=UTC)
_AHEAD = timedelta(days=1)


class Reason(StrEnum):
    """Why a row was quarantined, or in the case of GAP and REPLACED what was noticed when it was published."""

    SCHEMA = "SCHEMA"
    OHLC = "OHLC"
    CROSSED = "CROSSED"
    NOT_A_SESSION = "NOT_A_SESSION"
    NOT_LISTED = "NOT_LISTED"
    FUTURE = "FUTURE"
    OUT_OF_ORDER = "OUT_OF_ORDER"
    DUPLICATE = "DUPLICATE"
    STALE = "STALE"
    OUTLIER = "OUTLIER"
    GAP = "GAP"
    REPLACED = "REPLACED"


class Finding(NamedTuple):
    """One verdict: which row, which rule; ``refused`` is False when the row was published all the same."""

    source: str
    line: int
    symbol: str
    reason: Reason
    detail: str
    refused: bool = True


class Limits(NamedTuple):
    """How far a gate lets data go.

    ``outlier_return`` is the largest simple return, up or down, from the last accepted close to any price of the
    bar on the same share basis; ``stale_repeats`` is how many equal bars in a row refuse the last of them, 0 for any.
    """

    outlier_return: float = 0.6
    stale_repeats: int = 5


class Horizon:
    """The moment after which no row can be true, since it has not come yet; without a clock there is none.

    Were such a row accepted, every honest one after it would be out of order.
    """

    __slots__ = ("until",)

    def __init__(self, until: datetime = AFTER_ALL) -> None:
        self.until = until

    def follow(self, now: datetime) -> None:
        """Move on to a day after ``now``; never back."""
        reach = now + _AHEAD
        self.until = reach if self.until == AFTER_ALL else max(self.until, reach)

    def holds(self, at: datetime) -> bool:
        """Whether a row may be of ``at``."""
        return at <= self.until


class SymbolHistory:
    """What is remembered of one symbol.

    ``latest`` is the last accepted row, ``last`` its close in UTC and ``close`` its raw close, 0 before the first bar.
    ``due`` is the close of the bar that would follow without a gap, None when the next bar must be examined in full
    whatever it is; before ``regular_until`` it advances by one bar length. ``suspect`` is the raw close of the outlier
    refused last, 0 for none. ``adjusted`` says that ``factors`` are not 1. ``template`` holds the fields of a bar
    event in order, with what is the same in all of them filled in.
    """

    __slots__ = (
        "_repeated", "_repeats", "adjusted", "close", "due", "effects", "factors", "last", "latest", "regular_until",
        "suspect", "symbol", "template",
    )  # fmt: skip

    def __init__(self, symbol: str, effects: Sequence[Effect]) -> None:
        self.symbol = symbol
        self.effects = effects
        self.factors = Factors()
        self.adjusted = False
        self.close = 0.0
        self.due: datetime | None = None
        self.last: datetime | None = None
        self.latest: RawBar | None = None
        self.regular_until = BEFORE_ALL
        self.suspect = 0.0
        self.template: dict[str, Any] = {}
        self._repeats = 1
        self._repeated: RawBar | None = None

    def run_length(self, row: RawBar) -> int:
        """How many equal bars in a row there would be with ``row``."""
        if self.latest is None or row[2:7] != self.latest[2:7]:
            return 1
        return 1 + (self._repeats if self._repeated is self.latest else 1)

    def take(self, bar: "Candidate") -> None:
        """Remember what accepting ``bar`` means for the gates; `BarIntake` keeps the rest."""
        self._repeats = self.run_length(bar.row)
        self._repeated = bar.row
        self.factors = bar.factors
        self.adjusted = bar.factors[:2] != (1.0, 1.0)
        self.suspect = 0.0


class Candidate(NamedTuple):
    """A bar to be judged: its row, its close in UTC, the factors it would have.

    ``previous`` and ``suspect`` are those of the history on this bar's share basis, 0 for none.
    """

    row: RawBar
    timestamp: datetime
    factors: Factors
    previous: float
    suspect: float


Gate = Callable[[Candidate, SymbolHistory], str | None]
"""Says what is wrong with a bar, or None."""


def schema(bar: Candidate, history: SymbolHistory) -> str | None:
    """Every number finite and within what the contract accepts, published as well as raw."""
    price, units, _ = bar.factors
    for raw in bar.row[2:6]:
        if not (MIN_PRICE <= raw <= MAX_PRICE and MIN_PRICE <= raw * price <= MAX_PRICE):
            return "a price is missing, not above zero or beyond the contract"
    if not (0 <= bar.row.volume <= MAX_VOLUME and bar.row.volume / units <= MAX_VOLUME):
        return "the volume is missing, negative or beyond the contract"
    return None


def ohlc(bar: Candidate, history: SymbolHistory) -> str | None:
    """The open and the close lie between the low and the high."""
    row = bar.row
    if row.low <= row.open <= row.high and row.low <= row.close <= row.high:
        return None
    return "open and close must lie between low and high"


def out_of_order(bar: Candidate, history: SymbolHistory) -> str | None:
    """No bar older than the last accepted one."""
    if history.last is not None and bar.timestamp < history.last:
        return "older than a bar of this symbol that was already accepted"
    return None


def duplicate(bar: Candidate, history: SymbolHistory) -> str | None:
    """One bar for each symbol and moment; the first one stays."""
    return "a bar of this symbol and time was already accepted" if bar.timestamp == history.last else None


def not_a_session(grid: SessionGrid) -> Gate:
    """Only moments at which a bar closes within a session of ``grid``."""

    def gate(bar: Candidate, history: SymbolHistory) -> str | None:
        return None if grid.closes_at(bar.timestamp) else "no bar of this size closes at that time in any session"

    return gate


def stale(limits: Limits) -> Gate:
    """Fewer than ``stale_repeats`` equal bars in a row: a feed that repeats itself has stopped."""

    def gate(bar: Candidate, history: SymbolHistory) -> str | None:
        if limits.stale_repeats and history.run_length(bar.row) >= limits.stale_repeats:
            return "repeats the bars before it in every number"
        return None

    return gate


def outlier(limits: Limits) -> Gate:
    """No price farther from the last accepted close than ``outlier_return``, unless the refused bar before agrees.

    A jump is refused once; when the bar after it is near it, the new level is taken as true.
    """
    down, up = 1 - limits.outlier_return, 1 + limits.outlier_return

    def near(row: RawBar, level: float) -> bool:
        return level * down <= row.low and row.high <= level * up

    def gate(bar: Candidate, history: SymbolHistory) -> str | None:
        if not bar.previous or near(bar.row, bar.previous) or (bar.suspect and near(bar.row, bar.suspect)):
            return None
        return "a price is farther from the last close than outlier_return allows"

    return gate


def bar_gates(grid: SessionGrid, limits: Limits) -> tuple[tuple[Reason, Gate], ...]:
    """The gates of bars in the order in which they judge; the first refusal counts."""
    return (
        (Reason.SCHEMA, schema),
        (Reason.OHLC, ohlc),
        (Reason.NOT_A_SESSION, not_a_session(grid)),
        (Reason.OUT_OF_ORDER, out_of_order),
        (Reason.DUPLICATE, duplicate),
        (Reason.STALE, stale(limits)),
        (Reason.OUTLIER, outlier(limits)),
    )
