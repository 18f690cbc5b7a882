"""When a rebalance is due: at the first complete moment of a period, or when holdings have drifted."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from strategy_plane.strategies.port import Frequency

_A_YEAR = {Frequency.DAILY: 252.0, Frequency.WEEKLY: 52.0, Frequency.MONTHLY: 12.0, Frequency.QUARTERLY: 4.0}


def moments_between(frequency: Frequency, periods_per_year: float) -> int:
    """About how many moments lie between two rebalances; at least one. A year has 252 days of trading."""
    return max(1, round(periods_per_year / _A_YEAR[frequency]))


class RebalanceCalendar:
    """Knows since when a rebalance is due; the first moment of all is due, too."""

    __slots__ = ("_frequency", "_period", "due_since")

    def __init__(self, frequency: Frequency) -> None:
        self._frequency = frequency
        self._period = ""
        self.due_since: datetime | None = None

    def note(self, moment: datetime) -> None:
        """Take the next moment, in time order."""
        period = period_of(moment, self._frequency)
        if period != self._period:
            self._period = period
            self.due_since = moment

    def is_due(self, planned: datetime | None) -> bool:
        """Whether nothing was planned since the present period began; ``planned`` is the newest plan's moment."""
        return self.due_since is not None and (planned is None or planned < self.due_since)

    @property
    def period(self) -> str:
        """The present period, as a person writes it."""
        return self._period


class SymbolCalendar:
    """Knows whether a symbol with a bar at a moment has not been decided on in the present period."""

    __slots__ = ("_decided", "_frequency", "_period")

    def __init__(self, frequency: Frequency) -> None:
        self._frequency = frequency
        self._period = ""
        self._decided: set[str] = set()

    def is_due(self, moment: datetime, symbols: Iterable[str]) -> bool:
        """Whether a decision on one of ``symbols`` is due; moments come in time order."""
        period = period_of(moment, self._frequency)
        if period != self._period:
            self._period = period
            self._decided.clear()
        return not self._decided.issuperset(symbols)

    def decided(self, symbols: Iterable[str]) -> None:
        """A decision was taken while ``symbols`` could be traded."""
        self._decided.update(symbols)


def period_of(moment: datetime, frequency: Frequency) -> str:
    """The period that ``moment`` falls into, such as 2024-03, 2024-W09 or 2024-Q1."""
    day = moment.astimezone(UTC).date()
    if frequency is Frequency.DAILY:
        return day.isoformat()
    if frequency is Frequency.WEEKLY:
        year, week, _ = day.isocalendar()
        return f"{year}-W{week:02}"
    if frequency is Frequency.MONTHLY:
        return f"{day:%Y-%m}"
    return f"{day.year}-Q{(day.month + 2) // 3}"


def drifted(reference: Mapping[str, float], weights: Mapping[str, float], band: float) -> list[str]:
    """Symbols whose weight is further than ``band`` from its reference, sorted; none with a band of zero."""
    if not band:
        return []
    symbols = sorted(reference.keys() | weights.keys())
    return [each for each in symbols if abs(weights.get(each, 0.0) - reference.get(each, 0.0)) > band]
