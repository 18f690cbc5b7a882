"""Each month the best of each market, as long as they have gained at all."""

from collections.abc import Mapping, Sequence

import numpy as np

from contracts.market import BarEvent, SliceEvent
from strategy_plane.history import AsOfView, History
from strategy_plane.strategies.port import Frequency, Portfolio, Targets

_NEWEST = 5
"""Moments among which a symbol must have a bar: one may be missing, and markets may close at different hours."""


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
    """Relative and absolute momentum (Antonacci 2014), market by market, once a month.

    In every market of ``markets`` the ``per_market`` symbols with the highest simple return over ``lookback`` bars (63
    daily bars are three months) are chosen (relative), if that return is above ``hurdle`` (absolute). They get
    `capped_equal_weights`; everything else of the markets is sold. Bars are counted symbol by
    symbol, so that neither a missing one nor a market with other hours changes what a return is of; a symbol whose
    newest bar is not among the last few moments is not chosen. Targets name the best first.
    """

    period = Frequency.MONTHLY

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
        self._history = History(max(self.warm_up, _NEWEST))

    @property
    def warm_up(self) -> int:
        """Both ends of the look-back."""
        return self._lookback + 1

    def on_bar(self, bar: BarEvent) -> None:
        """Take one close."""
        self._history.append(bar)

    def decide(self, moment: SliceEvent, portfolio: Portfolio) -> Targets | None:
        """New weights; None as long as no symbol has bars enough."""
        returns = self._returns(self._history.as_of(moment.timestamp))
        if not returns:
            return None
        ranked = sorted(returns, key=lambda symbol: (-returns[symbol], symbol))
        risen = [symbol for symbol in ranked if returns[symbol] > self._hurdle]
        chosen = {
            market: [symbol for symbol in risen if symbol in symbols][: self._per_market]
            for market, symbols in self._markets.items()
        }
        weights = capped_equal_weights(chosen, self._cap, self._market_cap)
        names = {symbol for symbols in self._markets.values() for symbol in symbols}
        others = {*names, *portfolio.symbols} - weights.keys()
        return Targets({s: weights[s] for s in risen if s in weights} | dict.fromkeys(sorted(others), 0.0))

    def _returns(self, view: AsOfView) -> dict[str, float]:
        """Returns over the look-back of every symbol that has traded lately, from its own newest closes."""
        names = [symbol for symbols in self._markets.values() for symbol in symbols]
        newest = view.panel(_NEWEST, names).closes
        found = {}
        for place, symbol in enumerate(names):
            closes = view.closes(symbol, self.warm_up)
            if len(closes) == self.warm_up and not np.isnan(newest[:, place]).all():
                found[symbol] = float(closes[-1] / closes[0]) - 1.0
        return found
