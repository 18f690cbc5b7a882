"""A strategy that is one plain function of what was known at a moment."""

from collections.abc import Callable, Mapping, Sequence

from contracts.market import BarEvent, SliceEvent
from strategy_plane.history import AsOfView, History
from strategy_plane.strategies.port import LARGEST_WEIGHT, Alarm, Portfolio, Targets

Rule = Callable[[AsOfView], Mapping[str, float] | None]
"""From a view to weights by symbol, fractions of equity; None leaves everything as it is."""


class OwnRule:
    """Asks ``rule`` for weights every ``period`` moments, once there are ``bars`` moments of history.

    The rule sees whole bars up to the moment and cannot change them. Symbols with a bar now that it does not name
    are sold, so weights say everything; None changes nothing. It names the best first: what cash does not pay for is
    the last that it names.
    """

    def __init__(self, rule: Rule, bars: int, period: int = 1) -> None:
        if bars < 1 or period < 1:
            raise ValueError("bars and period must be at least 1")
        self._rule = rule
        self._bars = bars
        self._period = period
        self._history = History(bars, whole_bars=True)

    @property
    def warm_up(self) -> int:
        """The moments that the rule looks back on."""
        return self._bars

    @property
    def period(self) -> int:
        """Moments between two decisions."""
        return self._period

    def on_bar(self, bar: BarEvent) -> None:
        """Take one bar."""
        self._history.append(bar)

    def decide(self, moment: SliceEvent, portfolio: Portfolio) -> Targets | None:
        """The rule's weights; an alarm instead of weights that are no numbers."""
        view = self._history.as_of(moment.timestamp)
        answer = self._rule(view)
        if answer is None:
            return None
        try:
            weights = {str(symbol): float(weight) for symbol, weight in answer.items()}
        except (AttributeError, TypeError, ValueError, OverflowError):
            return Targets({}, alarm=Alarm("OWN_STRATEGY", "the strategy must return weights by symbol, or None"))
        unknown = sorted(symbol for symbol, weight in weights.items() if not abs(weight) <= LARGEST_WEIGHT)
        if unknown:
            told = f"the weight of {_named(unknown)} is no number, or more than {LARGEST_WEIGHT:g} times equity"
            return Targets({}, alarm=Alarm("OWN_STRATEGY", told))
        strange = sorted(weights.keys() - set(view.symbols))
        told = f"weights of symbols that never had a bar: {_named(strange)}"
        others = {*moment.symbols, *portfolio.symbols} - weights.keys()
        alarm = Alarm("OWN_STRATEGY", told) if strange else None
        return Targets(weights | dict.fromkeys(sorted(others), 0.0), alarm=alarm)


def _named(names: Sequence[str]) -> str:
    return ", ".join(ascii(name[:32]) for name in names[:5])
