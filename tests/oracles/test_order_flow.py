"""Flow of orders and imbalance of queues, from quotes to what is scored, against wickra."""

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from contracts.market import BarEvent, OFIEvent
from data_plane.connectors.port import RawQuote
from data_plane.order_flow import flow_of
from strategy_plane.history import History
from strategy_plane.market import Market
from strategy_plane.signals.order_flow import OrderFlow, order_flow_imbalance, queue_imbalance
from strategy_plane.signals.standardise import cross_section

pytestmark = pytest.mark.filterwarnings("ignore")
START = datetime(2024, 1, 2, 15, tzinfo=UTC)
Snapshot = tuple[list[float], list[float], list[float], list[float]]


def snapshots(seed: int, count: int) -> list[Snapshot]:
    """Best quotes that move by a tick or not at all; prices and sizes of bid and ask, one level each."""
    generator = np.random.default_rng(seed)
    bids = 1000 + np.cumsum(generator.integers(-1, 2, count))
    asks = bids + generator.integers(1, 3, count)
    sizes = generator.integers(1, 50, (2, count)).astype(float)
    table = np.column_stack([bids / 100, sizes[0], asks / 100, sizes[1]]).tolist()
    return [([bid], [bid_size], [ask], [ask_size]) for bid, bid_size, ask, ask_size in table]


def quotes(seen: list[Snapshot]) -> list[RawQuote]:
    return [
        RawQuote("A", START + timedelta(seconds=second), *(value for (value,) in each), "a test", second)
        for second, each in enumerate(seen)
    ]


@pytest.mark.parametrize("window", [1, 10, 60])
def test_flow_is_that_of_wickra(oracle, window: int):
    seen = snapshots(window, 300)
    theirs = [oracle("wickra").OrderFlowImbalance(window)]
    expected = [theirs[0].update(*each) for each in seen][window:]
    flows = [flow_of(*pair) for pair in pairwise(quotes(seen))]
    found = [math.fsum(flows[end - window : end]) for end in range(window, len(flows) + 1)]
    assert found == pytest.approx(expected)


def test_scores_are_made_of_what_wickra_measures(oracle):
    """Three symbols, four intervals of a minute: flow over depth, and the balance of the queues at their ends."""
    wickra, market, window = oracle("wickra"), Market(History(5)), 4
    flow, balance = {}, {}
    for place, symbol in enumerate("ABC"):
        seen = snapshots(30 + place, 60 * window + 1)
        total = wickra.OrderFlowImbalance(60 * window)
        ends = seen[60::60]
        depth = np.mean([(bid + ask) / 2 for _, (bid,), _, (ask,) in ends])
        flow[symbol] = [total.update(*each) for each in seen][-1] / depth
        balance[symbol] = np.mean([wickra.OrderBookImbalanceTop1().update(*end) for end in ends])
        of_quotes = [flow_of(*pair) for pair in pairwise(quotes(seen))]
        for number, (_, (bid,), _, (ask,)) in enumerate(ends):
            market.learn(
                OFIEvent(
                    symbol=symbol,
                    timestamp=START + timedelta(minutes=number + 1),
                    ofi_value=math.fsum(of_quotes[60 * number : 60 * number + 60]),
                    volume_imbalance=(bid - ask) / (bid + ask),
                    bid_volume=bid,
                    ask_volume=ask,
                )
            )
        prices = dict.fromkeys(("open", "high", "low", "close"), 10.0)
        market.learn(BarEvent(symbol=symbol, timestamp=START + timedelta(hours=1), volume=1.0, bar_size="1h", **prices))
    view = market.as_of(START + timedelta(hours=1))
    assert OrderFlow(order_flow_imbalance, window)(view) == pytest.approx(cross_section(flow))
    assert OrderFlow(queue_imbalance, window)(view) == pytest.approx(cross_section(balance))
