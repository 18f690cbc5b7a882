"""Hold a fixed number of units while the fast moving average is above the slow one."""

from contracts.market import BarEvent, SliceEvent
from strategy_plane.history import Vector
from strategy_plane.signals.technical import MovingAveragePair
from strategy_plane.strategies.port import Basis, Bound, Portfolio, Targets


class MovingAverageCross:
    """Long ``units`` of each symbol while its ``fast`` mean exceeds its ``slow`` mean of closes.

    Otherwise flat, or short the same units when ``allow_short``. A tie counts as not above. ``bounds`` are kept by what
    is held when it is traded; what prices make of it is left until the next cross.
    """

    __slots__ = ("_above", "_bounds", "_fast", "_pairs", "_slow", "_targets", "_units")

    period = 1

    def __init__(
        self,
        fast: int = 20,
        slow: int = 50,
        units: float = 100.0,
        *,
        allow_short: bool = False,
        bounds: tuple[Bound, ...] = (),
    ) -> None:
        if not 1 <= fast < slow:
            raise ValueError("fast must be at least 1 and below slow")
        self._fast = fast
        self._slow = slow
        self._bounds = bounds
        self._units = {True: units, False: -units if allow_short else 0.0}
        self._pairs: dict[str, MovingAveragePair] = {}
        self._above: dict[str, bool] = {}
        self._targets: Targets | None = None

    @property
    def warm_up(self) -> int:
        """The slow window."""
        return self._slow

    def on_bar(self, bar: BarEvent) -> None:
        """Take one close, and change what is wanted of its symbol when the means have crossed."""
        fields = bar.__dict__
        symbol = fields["symbol"]
        pair = self._pairs.get(symbol)
        if pair is None:
            pair = self._pairs[symbol] = MovingAveragePair(self._fast, self._slow)
        above = pair.push(fields["close"])
        if above is not None and above is not self._above.get(symbol):
            self._turn(symbol, above)

    def skim(self, symbol: str, closes: Vector, begin: int, end: int) -> int:
        """Take closes up to the one at which the means cross."""
        above = self._above.get(symbol)
        if above is None:
            return begin
        place, crossed = self._pairs[symbol].push_until(closes, begin, end, above)
        if crossed:
            self._turn(symbol, not above)
        return place

    def _turn(self, symbol: str, above: bool) -> None:
        self._above[symbol] = above
        units = self._units
        values = {name: units[is_above] for name, is_above in self._above.items()}
        self._targets = Targets(values, Basis.UNITS, bounds=self._bounds)

    def decide(self, moment: SliceEvent, portfolio: Portfolio) -> Targets | None:
        """Units for every symbol with a full slow window; the same object until a cross."""
        return self._targets
