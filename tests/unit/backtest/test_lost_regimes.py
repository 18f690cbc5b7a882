"""A study shows when the regime could not be told, and not the last one that could."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from backtest.signal_study import SignalStudy
from contracts.market import BarEvent, SliceEvent
from strategy_plane.ensemble_composition import build_observer
from strategy_plane.settings import SignalEnsembleSettings
from strategy_plane.signal_settings import RegimeSettings, TechnicalSettings

START = datetime(2024, 1, 1, 21, tzinfo=UTC)
CHOSEN = SignalEnsembleSettings(
    signals={"TSX": TechnicalSettings(lookback=5, skip=1, trend_bars=5, rsi_length=2, short_bars=2, long_bars=5)},
    regime=RegimeSettings(first_fit=500, fit_window=500, volatility_bars=5, correlation_bars=5, drawdown_bars=10),
    **{"horizon": 3, "score_every": 2},
)


@pytest.fixture
def study() -> SignalStudy:
    """Four symbols over sixty days, of which each lacks every other bar from day 30 to 44."""
    prices = 100.0 * np.cumprod(1.0 + np.random.default_rng(3).normal(0.0, 0.01, (60, 4)), axis=0)
    observer = build_observer(CHOSEN, lambda symbol: True)
    for number, row in enumerate(prices.tolist()):
        at, names = START + timedelta(days=number), "ABCD"[number % 2 :: 2] if 30 <= number < 45 else "ABCD"
        day = [
            BarEvent(symbol=name, timestamp=at, open=p, high=p, low=p, close=p, volume=1.0, bar_size="1d")
            for name, p in zip("ABCD", row, strict=True)
            if name in names
        ]
        observer.note([*day, SliceEvent(timestamp=at, bar_size="1d", symbols=tuple(names))], 0, len(day) + 1)
    return SignalStudy(observer.summaries(), observer.diary)


def test_spans_in_which_the_regime_was_lost_have_no_name_of_a_regime(study: SignalStudy):
    spans = [(name, (datetime.fromisoformat(begin) - START).days) for name, begin, _ in study.regimes()]
    assert [name for name, _ in spans] == ["NORMAL", "UNKNOWN", "NORMAL"]
    assert 30 < spans[1][1] < 38
    assert study.as_json()["regimes"] == [list(span) for span in study.regimes()]


def test_shares_say_how_long_it_was_lost(study: SignalStudy):
    shares = study.shares()
    assert set(shares) == {"NORMAL", "UNKNOWN"}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert 0.1 < shares["UNKNOWN"] < 0.5
