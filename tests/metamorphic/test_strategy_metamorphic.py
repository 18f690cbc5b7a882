"""Changes to the input that must change the strategy plane's decisions in a known way, or not at all."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from order_messages import filled

from contracts.base import Message
from contracts.codec import encode
from contracts.market import BarEvent
from contracts.trading import OrderIntent
from kernel.ports import Stage
from strategy_plane.composition import build_stage
from strategy_plane.settings import (
    EnsembleLimitSettings,
    LimitSettings,
    MomentumMeanVarianceSettings,
    MomentumSettings,
    MovingAverageCrossSettings,
    SignalEnsembleSettings,
    StrategySettings,
)
from strategy_plane.signal_settings import TechnicalSettings

START = datetime(2024, 1, 1, tzinfo=UTC)
SYMBOLS = ("A", "B", "C", "D")
MOMENTUM = MomentumMeanVarianceSettings(
    signal=MomentumSettings(lookback=15, skip=3),
    limits=LimitSettings(gross=1.5, net=1.0, box=0.6, long_only=False),
    risk_window=20,
    rebalance_every=3,
)
ENSEMBLE = SignalEnsembleSettings(
    signals={"TSX": TechnicalSettings(lookback=15, skip=3, trend_bars=10, rsi_length=2, short_bars=4, long_bars=12)},
    limits=EnsembleLimitSettings(gross=1.5, net=1.0, box=0.6, long_only=False),
    risk_window=20,
    **{"rebalance_every": 2, "score_every": 2, "horizon": 3},
)
CHOICES = {"cross": MovingAverageCrossSettings(fast=3, slow=8), "momentum": MOMENTUM, "ensemble": ENSEMBLE}


@pytest.fixture(params=sorted(CHOICES))
def chosen(request: pytest.FixtureRequest) -> StrategySettings:
    return StrategySettings(strategy=CHOICES[request.param])


@pytest.fixture
def prices() -> np.ndarray:
    steps = np.random.default_rng(11).normal(0.0005, 0.03, (45, len(SYMBOLS)))
    return 100.0 * np.exp(np.cumsum(steps, axis=0))


Market = Callable[..., list[list[Message]]]


@pytest.fixture
def market(daily_bars) -> Market:
    return lambda prices, symbols=SYMBOLS: daily_bars(prices, symbols, START)


def tell(stage: Stage, messages: Iterable[Message]) -> list[Message]:
    return [said for message in messages for said in stage.handlers[type(message)](message)]


def run(settings: StrategySettings, days: list[list[Message]], copies: int = 1) -> list[OrderIntent]:
    """Intents of a run in which every order fills at the close; every input is told ``copies`` times."""
    stage, said = build_stage(settings), []
    for day in days:
        intents = [m for m in tell(stage, [m for m in day for _ in range(copies)]) if isinstance(m, OrderIntent)]
        closes = {bar.symbol: bar.close for bar in day if isinstance(bar, BarEvent)}
        reports = [filled(intent, closes[intent.symbol]) for intent in intents]
        tell(stage, [report for report in reports for _ in range(copies)])
        said += intents
    return said


def trades(intents: list[OrderIntent]) -> list[tuple[datetime, str, str, float]]:
    return [(intent.timestamp, intent.symbol, intent.direction, intent.quantity) for intent in intents]


def test_there_is_something_to_compare(chosen: StrategySettings, prices: np.ndarray, market: Market):
    assert len(run(chosen, market(prices))) > 10


def test_telling_everything_three_times_changes_nothing(chosen: StrategySettings, prices: np.ndarray, market: Market):
    days = market(prices)
    assert list(map(encode, run(chosen, days, copies=3))) == list(map(encode, run(chosen, days)))


@pytest.mark.parametrize("cut", [20, 30, 38])
def test_scrambling_the_future_leaves_the_past(chosen: StrategySettings, prices: np.ndarray, market: Market, cut: int):
    other = prices.copy()
    other[cut:] = other[cut:][::-1] * np.random.default_rng(cut).uniform(0.8, 1.25, other[cut:].shape)
    end = START + timedelta(days=cut)
    kept = [[encode(i) for i in run(chosen, market(path)) if i.timestamp < end] for path in (prices, other)]
    truncated = [encode(i) for i in run(chosen, market(prices[:cut]))]
    assert kept[0] == kept[1] == truncated


def test_doubling_prices_and_cash_leaves_every_trade(chosen: StrategySettings, prices: np.ndarray, market: Market):
    richer = chosen.model_copy(update={"initial_cash": chosen.initial_cash * 2.0})
    assert trades(run(richer, market(prices * 2.0))) == trades(run(chosen, market(prices)))


def test_renaming_symbols_renames_the_trades(chosen: StrategySettings, prices: np.ndarray, market: Market):
    names = dict(zip(SYMBOLS, ("Z", "Y", "X", "W"), strict=True))
    plain = {(at, names[symbol], side): units for at, symbol, side, units in trades(run(chosen, market(prices)))}
    renamed = {
        (at, symbol, side): units
        for at, symbol, side, units in trades(run(chosen, market(prices, tuple(names.values()))))
    }
    # weights of permuted problems agree to the grid: a trade of 1e-6 of equity or less may come or go
    for trade in plain.keys() | renamed.keys():
        assert abs(plain.get(trade, 0.0) - renamed.get(trade, 0.0)) <= 1.0


@pytest.mark.parametrize("optimizer", ["mean_variance", "hierarchical_risk_parity", "risk_parity", "minimum_variance"])
@pytest.mark.parametrize("kind", [MOMENTUM, ENSEMBLE], ids=["momentum", "ensemble"])
def test_a_little_noise_in_prices_moves_weights_a_little(
    kind: MomentumMeanVarianceSettings | SignalEnsembleSettings, optimizer: str, prices: np.ndarray, market: Market
):
    """The noise is a hundredth of a basis point, and no weight of the first decision moves by more than a percent."""
    chosen = type(kind).model_validate(kind.model_dump() | {"optimizer": {"name": optimizer}})
    noise = np.random.default_rng(5).normal(0.0, 1e-6, prices.shape)
    before, after = (
        first_weights(StrategySettings(strategy=chosen), path, market) for path in (prices, prices * (1 + noise))
    )
    assert before
    assert max(map(abs, before.values())) > 0.05
    assert max(abs(before.get(symbol, 0.0) - after.get(symbol, 0.0)) for symbol in SYMBOLS) < 0.01


def first_weights(settings: StrategySettings, prices: np.ndarray, market: Market) -> dict[str, float]:
    intents = run(settings, market(prices))
    day = (intents[0].timestamp - START).days
    closes = dict(zip(SYMBOLS, prices[day].tolist(), strict=True))
    signs = {"BUY": 1.0, "SELL": -1.0}
    return {
        intent.symbol: signs[intent.direction] * intent.quantity * closes[intent.symbol] / settings.initial_cash
        for intent in intents
        if intent.timestamp == intents[0].timestamp
    }
