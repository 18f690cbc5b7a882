"""Scores from order flow: who moved the best quotes lately, and how the queues stand."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from strategy_plane.market import MarketView
from strategy_plane.signals.port import Inputs, Scores
from strategy_plane.signals.standardise import cross_section
from strategy_plane.tables import Flows

RECENT = timedelta(days=7)
"""By default order flow counts over a weekend and holidays, but not after a feed has been silent for longer."""


Measure = Callable[[Flows], float | None]
"""From a window of order flow to a raw score; none when it has none."""


@dataclass(frozen=True, slots=True)
class OrderFlow:
    """What ``measure`` makes of the newest ``window`` intervals, standardised over the cross-section (family OFI).

    A symbol without order flow for longer than ``max_age``, before the moment or within the window, is not scored.
    """

    measure: Measure
    window: int = 5
    max_age: timedelta = RECENT
    half_life: float = 1.0

    @property
    def inputs(self) -> Inputs:
        """Order flow only."""
        return Inputs(intervals=self.window)

    @property
    def warm_up(self) -> int:
        """One bar: the moment itself."""
        return 1

    def __call__(self, view: MarketView) -> Scores:
        """One score per symbol with a full window of recent intervals."""
        found = ((symbol, self.measure(flows)) for symbol, flows in _recent(view, self.window, self.max_age))
        return cross_section({symbol: raw for symbol, raw in found if raw is not None})


def order_flow_imbalance(flows: Flows) -> float | None:
    """Order-flow imbalance, in units of queue depth; none of empty queues.

    Sum of the flows of Cont, Kukanov and Stoikov (2014, "The Price Impact of Order Book Events", J. Financial
    Econometrics 12(1)) over mean depth, where the depth of an interval is the mean of its bid and ask queues. Their
    model has price changes of flow / (2 depth) ticks, so dividing by depth makes symbols comparable. A **flow**: what
    happened between quotes, not how the queues stand; see `queue_imbalance`.
    """
    depth = math.fsum(flows.bids) + math.fsum(flows.asks)
    return math.fsum(flows.flow) / (depth / (2 * len(flows.moments))) if depth > 0.0 else None


def queue_imbalance(flows: Flows) -> float:
    """Mean of (bid - ask) / (bid + ask) over the ends of the intervals, in [-1, 1].

    The plain ratio of queue volumes: a **state** of the book, which is not the flow of `order_flow_imbalance`
    (Gould and Bonart 2016, "Queue Imbalance as a One-Tick-Ahead Price Predictor"). Intervals that ended with empty
    queues count as balanced.
    """
    pairs = zip(flows.bids.tolist(), flows.asks.tolist(), strict=True)
    return math.fsum((b - a) / (b + a) if b + a else 0.0 for b, a in pairs) / len(flows.moments)


def _recent(view: MarketView, window: int, max_age: timedelta) -> Iterator[tuple[str, Flows]]:
    """Each symbol with all of its newest ``window`` intervals, none of which is followed by a longer silence."""
    for symbol in view.symbols:
        flows = view.flow.window(symbol, window)
        silences = (later - earlier for earlier, later in pairwise((*flows.moments, view.at)))
        if len(flows.moments) == window and all(silence <= max_age for silence in silences):
            yield symbol, flows
