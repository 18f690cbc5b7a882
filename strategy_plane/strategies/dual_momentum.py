"""Each month the best of each market, as long as they have gained at all."""

from collections.abc import Mapping, Sequence

from contracts.market import BarEvent, SliceEvent
from strategy_plane.history import History
from strategy_plane.strategies.port import Portfolio, Targets


def capped_equal_weights(
    chosen: Mapping[str, Sequence[str]], cap: float, market_cap: float, exposure: float = 1.0
) -> dict[str, float]:
    """Equal weights that sum to ``exposure`` as far as the caps allow.

    ``chosen`` are the symbols of each market. No symbol has more than ``cap`` and no market more than ``market_cap``;
    what a market cannot take is spread equally over the symbols of the others, and what nobody can take stays cash.
    """
    free = {market: tuple(symbols) for market, symbols in chosen.items() if symbols}
    weights: dict[str, float] = {}
    remaining = exposure
    while free:
        share = min(cap, remaining / sum(map(len, free.values())))
        full = sorted(market for market, symbols in free.items() if share * len(symbols) > market_cap)
        if not full:
            return weights | {symbol: share for symbols in free.values() for symbol in symbols}
        for market in full:
            symbols = free.pop(market)
            weights |= dict.fromkeys(symbols, market_cap / len(symbols))
            remaining -= market_cap
    return weights


class DualMomentum:
    """Relative and absolute momentum (Antonacci 2014), market by market, on the first moment of each month.

    In every market of ``markets`` the ``per_market`` symbols with the highest simple return over ``lookback`` bars (63
    daily bars are three months) are chosen (relative), if that return is above ``hurdle`` (absolute). They get
    `capped_equal_weights`; everything else of the markets is sold. A month is a calendar month in UTC. A symbol needs
    a bar at the moment and one exactly ``lookback`` moments before.
    """

    period = 1

    def __init__(
        self,
        markets: Mapping[str, Sequence[str]],
        lookback: int = 63,
        per_market: int = 1,
        hurdle: float = 0.0,
        cap: float = 0.3,
        market_cap: float = 0.5,
    ) -> None:
        names = [symbol for symbols in markets.values() for symbol in symbols]
        if not names or len(set(names)) != len(names):
            raise ValueError("markets must name at least one symbol, and each symbol once")
        if lookback < 1 or per_market < 1:
            raise ValueError("lookback and per_market must be at least 1")
        self._markets = {market: tuple(symbols) for market, symbols in markets.items()}
        self._lookback = lookback
        self._per_market = per_market
        self._hurdle = hurdle
        self._cap = cap
        self._market_cap = market_cap
        self._history = History(self.warm_up)

    @property
    def warm_up(self) -> int:
        """Both ends of the look-back."""
        return self._lookback + 1

    def on_bar(self, bar: BarEvent) -> None:
        """Take one close."""
        self._history.append(bar)

    def decide(self, moment: SliceEvent, portfolio: Portfolio) -> Targets | None:
        """New weights when a month begins, otherwise None."""
        view = self._history.as_of(moment.timestamp)
        names = [symbol for symbols in self._markets.values() for symbol in symbols]
        panel = view.panel(self.warm_up, names)
        newest = panel.moments[-2:]
        if len(panel.moments) < self.warm_up or (newest[0].year, newest[0].month) == (newest[1].year, newest[1].month):
            return None
        returns = dict(zip(names, (panel.closes[-1] / panel.closes[0] - 1.0).tolist(), strict=True))
        chosen = {market: self._best(symbols, returns) for market, symbols in self._markets.items()}
        weights = capped_equal_weights(chosen, self._cap, self._market_cap)
        return Targets(dict.fromkeys(sorted({*names, *portfolio.symbols}), 0.0) | weights)

    def _best(self, symbols: Sequence[str], returns: Mapping[str, float]) -> list[str]:
        risen = [symbol for symbol in symbols if returns[symbol] > self._hurdle]  # NaN is not above anything
        return sorted(risen, key=lambda symbol: (-returns[symbol], symbol))[: self._per_market]
