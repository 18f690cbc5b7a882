"""The limit on an order by what its symbol trades in a day, and the memory of that."""

import json
from collections import deque
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from math import fsum, inf, isfinite, nan

from contracts.market import BarEvent
from contracts.trading import OrderIntent
from order_plane.risk.port import Refusal, RiskCheck, RiskView

_STALE = timedelta(days=15)
"""No exchange stays closed for longer than its longest holidays; an average that ends before is of another market."""
_NAME = "volume "


class _Day:
    """What was traded so far of one symbol on one UTC day."""

    __slots__ = ("bar_size", "ends", "newest", "of", "volume")

    def __init__(self, bar: BarEvent) -> None:
        self.bar_size, self.of = bar.bar_size, bar.timestamp.astimezone(UTC).date()
        self.ends = datetime.combine(self.of, time.max, UTC)
        self.newest, self.volume = bar.timestamp, _sound(bar.volume)


class DailyVolumes:
    """The volume of each symbol on its newest ``days`` UTC days that are over, by bars of the size seen first.

    Each figure is at most what was traded: bars that nobody told are missing from it, repeated ones and those of
    another size do not count. So an average is rather too low than too high, and what a gap leaves out makes the limit
    tighter. The days survive a restart as `changed` and `restore` tell the journal; those that neither it nor the bars
    told again at the start know are unknown, and as long as there are too few of them the limit denies.
    """

    def __init__(self, days: int) -> None:
        self._days = days
        self._open: dict[str, _Day] = {}
        self._over: dict[str, deque[tuple[date, float]]] = {}
        self._changed: set[str] = set()

    def hear(self, bar: BarEvent) -> None:
        """Count ``bar``; the first one of a later day ends the day before."""
        symbol, at = bar.symbol, bar.timestamp
        day = self._open.get(symbol)
        if day is None:
            self._open[symbol] = _Day(bar)
        elif at > day.newest and bar.bar_size == day.bar_size:
            if at <= day.ends:
                day.newest = at
                day.volume += _sound(bar.volume)
            else:
                self._remember(symbol, day.of, day.volume)
                self._changed.add(symbol)
                self._open[symbol] = _Day(bar)

    def average(self, symbol: str, at: datetime) -> float:
        """Mean units a day; not-a-number with fewer days than are asked for, or none shortly before ``at``."""
        over = self._over.get(symbol)
        if over is None or len(over) < self._days or at.astimezone(UTC).date() - over[-1][0] > _STALE:
            return nan
        return fsum([volume for _, volume in over]) / self._days

    def changed(self) -> dict[str, str]:
        """The days of each symbol of which one has ended since this was last asked, to be kept under their names."""
        changed, self._changed = self._changed, set()
        return {
            f"{_NAME}{symbol}": json.dumps([[of.isoformat(), volume] for of, volume in self._over[symbol]])
            for symbol in changed
        }

    def restore(self, notes: Mapping[str, str]) -> None:
        """Take back what was kept, beside what was heard since; what cannot be read is unknown."""
        for name, text in notes.items():
            if name.startswith(_NAME):
                for of, volume in _days_of(text):
                    self._remember(name.removeprefix(_NAME), of, volume)

    def _remember(self, symbol: str, of: date, volume: float) -> None:
        """Two counts of one day are both too low, so the higher one is nearer."""
        known = dict(self._over.get(symbol, ()))
        before = known.get(of, volume)
        known[of] = max(volume, before) if isfinite(volume) and isfinite(before) else nan
        self._over[symbol] = deque(sorted(known.items()), self._days)


def max_volume_share(fraction: float, volumes: DailyVolumes) -> RiskCheck:
    """Refuse more units in one order than ``fraction`` of what the symbol trades in a day on average."""

    def check(intent: OrderIntent, view: RiskView) -> Refusal | None:
        if intent.quantity <= fraction * volumes.average(intent.symbol, view.now):
            return None
        return Refusal("VOLUME_SHARE_EXCEEDED", f"quantity is not known to be within {fraction:.2%} of daily volume")

    return check


def _sound(volume: float) -> float:
    return volume if 0.0 <= volume < inf else nan


def _days_of(text: str) -> list[tuple[date, float]]:
    try:
        return [(date.fromisoformat(of), float(volume)) for of, volume in json.loads(text)]
    except (TypeError, ValueError):
        return []
