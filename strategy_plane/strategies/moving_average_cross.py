"""Hold a fixed number of units while the fast moving average is above the slow one."""

from contracts.market import BarEvent, SliceEvent
from strategy_plane.signals.technical import MovingAverageSpread
from strategy_plane.strategies.port import Basis, Portfolio, Targets


class MovingAverageCross:
    """Long ``units`` of each symbol while its ``fast`` mean exceeds its ``slow`` mean of closes.

    Otherwise flat, or short the same units when ``allow_short``. A tie counts as not above.
    """

    __slots__ = ("_above", "_below", "_fast", "_slow", "_spreads", "_targets", "_units")

    period = 1

    def __init__(self, fast: int = 20, slow: int = 50, units: float = 100.0, *, allow_short: bool = False) -> None:
        if not 1 <= fast < slow:
            raise ValueError("fast must be at least 1 and below slow")
        self._fast = fast
        self._slow = slow
        self._above = units
        self._below = -units if allow_short else 0.0
        self._spreads: dict[str, MovingAverageSpread] = {}
        self._units: dict[str, float] = {}
        self._targets: Targets | None = None

    @property
    def warm_up(self) -> int:
        """The slow window."""
        return self._slow

    def on_bar(self, bar: BarEvent) -> None:
        """Take one close, and change what is wanted of its symbol when the means have crossed."""
        symbol = bar.symbol
        of_symbol = self._spreads.get(symbol)
        if of_symbol is None:
            of_symbol = self._spreads[symbol] = MovingAverageSpread(self._fast, self._slow)
        spread = of_symbol.push(bar.close)
        if spread is not None:
            units = self._above if spread > 0.0 else self._below
            if self._units.get(symbol) != units:
                self._units[symbol] = units
                self._targets = Targets(dict(self._units), Basis.UNITS)

    def decide(self, moment: SliceEvent, portfolio: Portfolio) -> Targets | None:
        """Units for every symbol with a full slow window; the same object until a cross."""
        return self._targets
