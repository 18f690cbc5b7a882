"""No position is larger than its average true range allows, whatever engine trades it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.control import RebalancePlan, RiskAlert
from contracts.market import BarEvent, SliceEvent
from contracts.trading import OrderIntent
from strategy_plane.composition import build_stage
from strategy_plane.engines.adjusted import Adjusted
from strategy_plane.engines.position_risk import PositionRisk
from strategy_plane.settings import StrategySettings
from strategy_plane.strategies.moving_average_cross import MovingAverageCross
from strategy_plane.strategies.own_rule import OwnRule
from strategy_plane.strategies.port import Targets

START = datetime(2024, 1, 1, 21, tzinfo=UTC)
RANGES = {"WILD": 10.0, "CALM": 1.0}


def said(days: int, **chosen: Any) -> list[Any]:
    """Two symbols that rise by one a day, with bars as wide as `RANGES`."""
    stage = build_stage(StrategySettings.model_validate(chosen))
    found: list[Any] = []
    for day in range(days):
        moment, close = START + timedelta(days=day), 100.0 + day
        for symbol, wide in sorted(RANGES.items()):
            prices = {"open": close, "high": close + wide / 2.0, "low": close - wide / 2.0, "close": close}
            bar = BarEvent(symbol=symbol, timestamp=moment, volume=1.0, bar_size="1d", **prices)
            found += stage.handlers[BarEvent](bar)
        listed = tuple(sorted(RANGES))
        found += stage.handlers[SliceEvent](SliceEvent(timestamp=moment, bar_size="1d", symbols=listed))
    return found


CROSS = {"name": "moving_average_cross", "fast": 2, "slow": 4, "units": 3000.0}
MOMENTUM = {"name": "momentum", "signal": {"lookback": 4, "skip": 0}, "winners": 2, "rebalance_every": 100}


def test_units_are_cut_to_what_a_move_of_two_ranges_may_cost():
    found = said(6, strategy=CROSS, position_risk={"risk": 0.01, "window": 5})
    units = {each.symbol: each.quantity for each in found if isinstance(each, OrderIntent)}
    # true ranges: 10 for WILD; 1.5 for CALM, since a bar opens one above the close before it
    assert units == {"WILD": 500.0, "CALM": 3000.0}


@pytest.mark.parametrize("rebalancing", [None, {"every": "monthly"}])
def test_weights_are_cut_by_either_engine(rebalancing: dict[str, str] | None):
    found = said(7, strategy=MOMENTUM, position_risk={"risk": 0.01, "window": 5}, rebalancing=rebalancing)
    units = {each.symbol: each.quantity for each in found if isinstance(each, OrderIntent)}
    price = 105.0
    assert units == {"WILD": 500.0, "CALM": pytest.approx(0.01e6 / (2 * 1.5), abs=1.0)}
    assert units["CALM"] * price < 0.5e6
    assert any(isinstance(each, RebalancePlan) for each in found) is (rebalancing is not None)


def test_a_position_without_a_range_is_not_opened():
    strategy = Adjusted(MovingAverageCross(1, 2, 100.0), PositionRisk(0.01, window=5))
    assert strategy.warm_up == 6
    for day in range(2):
        close = 100.0 + day
        prices = dict.fromkeys(("open", "high", "low", "close"), close)
        moment = START + timedelta(days=day)
        strategy.on_bar(BarEvent(symbol="A", timestamp=moment, volume=1.0, bar_size="1d", **prices))
    targets = strategy.decide(SliceEvent(timestamp=moment, bar_size="1d", symbols=("A",)), Rich())
    assert targets is not None
    assert targets.values == {"A": 0.0}
    assert targets.alarm is not None
    assert targets.alarm.code == "RANGE_UNKNOWN"


def test_without_a_position_to_cut_everything_stays():
    plain = said(6, strategy=CROSS | {"units": 10.0})
    assert plain == said(6, strategy=CROSS | {"units": 10.0}, position_risk={"risk": 0.5, "window": 3})
    assert not any(isinstance(each, RiskAlert) for each in plain)


@pytest.mark.parametrize(("held", "left"), [(0.3, 0.3), (0.8, 0.5), (0.0, 0.0), (-0.2, 0.0)])
def test_a_position_whose_price_stands_still_is_neither_enlarged_nor_closed(held: float, left: float):
    strategy = Adjusted(OwnRule(lambda view: {"A": 0.5}, bars=1), PositionRisk(0.01, window=1))
    prices = dict.fromkeys(("open", "high", "low", "close"), 100.0)
    for day in range(8):
        moment = START + timedelta(days=day)
        strategy.on_bar(BarEvent(symbol="A", timestamp=moment, volume=1.0, bar_size="1d", **prices))
    targets = strategy.decide(SliceEvent(timestamp=moment, bar_size="1d", symbols=("A",)), Rich(held))
    assert targets is not None
    assert targets.values == {"A": left}
    assert targets.alarm is not None
    assert targets.alarm.code == "RANGE_UNKNOWN"


@pytest.mark.parametrize("rate", [1.0, 0.5, 8.0])
def test_a_weight_is_cut_alike_whatever_currency_the_price_is_in(rate: float):
    risk, portfolio = PositionRisk(0.01, window=1), Rich()
    portfolio.rate = lambda symbol: rate
    for day, close in enumerate((100.0, 104.0)):
        prices = dict.fromkeys(("open", "high", "low", "close"), close)
        moment = START + timedelta(days=day)
        risk.history.append(BarEvent(symbol="A", timestamp=moment, volume=1.0, bar_size="1d", **prices))
    cut = risk(Targets({"A": 0.5}), risk.history.as_of(moment), portfolio)
    assert cut.values == {"A": pytest.approx(0.01 / (2.0 * 4.0 / 104.0))}


class Rich:
    """A portfolio of cash, and of one weight held of whatever it is asked for."""

    symbols = ()

    def __init__(self, held: float = 0.0) -> None:
        self.held = held

    def holding(self, symbol: str) -> float:
        return 0.0

    def equity(self) -> float:
        return 1e6

    def rate(self, symbol: str) -> float:
        return 1.0

    def weight(self, symbol: str) -> float:
        return self.held


@pytest.mark.parametrize("wrong", [{"risk": 0.0}, {"risk": 0.1, "window": 0}, {"risk": 0.1, "multiple": 0.0}])
def test_parameters_without_meaning_are_refused(wrong: dict[str, Any]):
    with pytest.raises(ValueError, match="must be positive"):
        PositionRisk(**wrong)
