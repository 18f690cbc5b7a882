"""What trades are expected to cost: assumed at first, learned from own executions as they come in."""

from collections.abc import Sequence

import numpy as np

from contracts.base import Message
from contracts.trading import ExecutionCost
from strategy_plane.history import AsOfView
from strategy_plane.optimizers.costs import participation_costs
from strategy_plane.optimizers.port import TradingCosts

_LEAST_VALUE = 1.0
"""Value traded in a period that a symbol without volume counts with, in account currency."""


class CostBook:
    """The newest `ExecutionCost` of each symbol on top of assumptions.

    ``fixed`` is the assumed cost of a trade as a fraction of its value, and ``impact`` what trading all the volume of
    a bar would add. What was learned of a symbol replaces them after ``trusted_after`` executions, the impact only
    when it exceeds its standard error; a cost below zero counts as none. Volumes are means over ``window`` bars, and
    a rebalance happens ``per_year`` times a year.
    """

    def __init__(self, fixed: float, impact: float, trusted_after: int, window: int, per_year: float) -> None:
        self._fixed = fixed
        self._impact = impact
        self._trusted_after = trusted_after
        self._window = window
        self._per_year = per_year
        self._learned: dict[str, ExecutionCost] = {}

    @property
    def bars(self) -> int:
        """Whole bars that it reads."""
        return self._window

    def learn(self, message: Message) -> None:
        """Take the estimate of a symbol; one older than the known one is passed over.

        An order plane that was started anew may learn from nothing again; until it knows enough, what was known counts.
        """
        if not isinstance(message, ExecutionCost):
            return
        known = self._learned.get(message.symbol)
        enough = min(known.observations, self._trusted_after) if known else 0
        if known is None or (known.timestamp <= message.timestamp and message.observations >= enough):
            self._learned[message.symbol] = message

    def of(self, symbols: Sequence[str], view: AsOfView, equity: float, rates: Sequence[float]) -> TradingCosts:
        """Costs of changing the weights of ``symbols``, in their order, at ``equity`` (account currency).

        ``rates`` are account currency for one unit of the currency of each symbol.
        """
        found = [self._of_symbol(symbol) for symbol in symbols]
        volumes = (self._traded(symbol, view) for symbol in symbols)
        traded = [max(_LEAST_VALUE, volume * rate) for volume, rate in zip(volumes, rates, strict=True)]
        fixed, impact = (np.array(values) for values in zip(*found, strict=True))
        return participation_costs(fixed, impact, np.array(traded), equity, self._per_year)

    def _of_symbol(self, symbol: str) -> tuple[float, float]:
        learned = self._learned.get(symbol)
        if learned is None or learned.observations < self._trusted_after:
            return self._fixed, self._impact
        known = learned.impact_error is not None and learned.impact > learned.impact_error
        return (max(0.0, learned.fixed), learned.impact) if known else (max(0.0, learned.slippage), self._impact)

    def _traded(self, symbol: str, view: AsOfView) -> float:
        bars = view.bars(symbol, self._window)
        return float((bars.close * bars.volume).mean()) if len(bars.close) else 0.0
