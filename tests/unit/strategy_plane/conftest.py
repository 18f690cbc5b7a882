"""A small market that a test fills day by day."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from contracts.market import BarEvent, FactEvent, OFIEvent
from strategy_plane.history import History
from strategy_plane.market import Market, MarketView

START = datetime(2024, 1, 1, 21, tzinfo=UTC)


def day(number: float) -> datetime:
    return START + timedelta(days=number)


class Scene:
    """A market with daily bars at 21:00 UTC; days may be fractions."""

    def __init__(self, length: int = 400) -> None:
        self.market = Market(History(length, whole_bars=True))

    def bar(self, symbol: str, at: float, close: float, **prices: float) -> None:
        fields = {"open": close, "high": close, "low": close, "volume": 1.0} | prices
        self.market.learn(BarEvent(symbol=symbol, timestamp=day(at), close=close, bar_size="1d", **fields))

    def closes(self, paths: Mapping[str, np.ndarray]) -> None:
        for number, row in enumerate(zip(*paths.values(), strict=True)):
            for symbol, close in zip(paths, row, strict=True):
                self.bar(symbol, number, float(close))

    def fact(self, table: str, symbol: str, known: float, event: float, **values: float) -> None:
        self.market.learn(
            FactEvent(table=table, symbol=symbol, timestamp=day(known), event_time=day(event), values=values)
        )

    def flow(self, symbol: str, at: float, flow: float, bid: float, ask: float) -> None:
        self.market.learn(
            OFIEvent(
                symbol=symbol,
                timestamp=day(at),
                ofi_value=flow,
                volume_imbalance=(bid - ask) / (bid + ask) if bid + ask else 0.0,
                bid_volume=bid,
                ask_volume=ask,
            )
        )

    def at(self, number: float) -> MarketView:
        return self.market.as_of(day(number))


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def date() -> Callable[[float], datetime]:
    return day
