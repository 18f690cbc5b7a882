"""What a signal has shown - IC, ICIR, t-value, its long-short portfolio - against alphalens, moment by moment."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from strategy_plane.ensemble.information import Outcome, information_coefficient, long_short, summary
from strategy_plane.ensemble.record import TrackRecord

pytestmark = pytest.mark.filterwarnings("ignore")
SYMBOLS = tuple("ABCDEFG")
MOMENTS = 40


@pytest.fixture
def scores() -> list[dict[str, float]]:
    generator = np.random.default_rng(2)
    drift = np.cumsum(generator.normal(0.0, 0.3, (MOMENTS, 7)), axis=0)
    return [dict(zip(SYMBOLS, row, strict=True)) for row in np.round(drift, 1).tolist()]  # some are equal


@pytest.fixture
def returns(scores: list[dict[str, float]]) -> list[dict[str, float]]:
    noise = np.random.default_rng(3).normal(0.0, 0.02, (MOMENTS, 7))
    follow = 0.004 * np.array([list(row.values()) for row in scores])
    return [dict(zip(SYMBOLS, row, strict=True)) for row in (follow + noise).tolist()]


def as_factor_data(oracle, scores: list[dict[str, float]], returns: list[dict[str, float]]):
    """The table that alphalens reads: scores and forward returns by day and asset."""
    pd = oracle("pandas")
    days = [datetime(2024, 1, 1) + timedelta(days=number) for number in range(len(scores))]  # noqa: DTZ001
    index = pd.MultiIndex.from_product([pd.DatetimeIndex(days), SYMBOLS], names=["date", "asset"])
    columns = [[row[symbol] for row in rows for symbol in SYMBOLS] for rows in (returns, scores)]
    return pd.DataFrame({"1D": columns[0], "factor": columns[1], "factor_quantile": 1}, index=index)


def test_coefficients_and_their_summary_are_those_of_alphalens(oracle, scores, returns):
    table = as_factor_data(oracle, scores, returns)
    theirs = oracle("alphalens.performance").factor_information_coefficient(table)
    ics = [information_coefficient(*pair) for pair in zip(scores, returns, strict=True)]
    assert ics == pytest.approx(theirs["1D"].tolist())
    told = summary([Outcome(ic, 0.0, 0.0, 1.0) for ic in ics], spacing=1, horizon=1, periods_per_year=252.0)
    shown = oracle("alphalens.plotting").plot_information_table(theirs, return_df=True).loc["1D"]
    assert told.mean == pytest.approx(shown["IC Mean"])
    assert told.ratio == pytest.approx(shown["Risk-Adjusted IC"])
    assert told.statistic == pytest.approx(shown["t-stat(IC)"])


def test_long_short_weights_and_what_they_earn_are_those_of_alphalens(oracle, scores, returns):
    table = as_factor_data(oracle, scores, returns)
    measures = oracle("alphalens.performance")
    weights = measures.factor_weights(table)
    for day, row in zip(table.index.levels[0], scores, strict=True):
        assert long_short(row) == pytest.approx(weights[day].to_dict())
    earned = measures.factor_returns(table)["1D"].tolist()
    told = summary(outcomes(scores, returns), spacing=1, horizon=1, periods_per_year=252.0)
    assert told.earned == pytest.approx(np.mean(earned) * 252.0)
    assert told.contribution == pytest.approx(0.4 * np.mean(earned) * 252.0)
    changes = weights.unstack().diff().abs().sum(axis=1).iloc[1:]
    assert told.turnover == pytest.approx(changes.mean())


def outcomes(scores: list[dict[str, float]], returns: list[dict[str, float]]) -> list[Outcome]:
    """As they come when the signal is scored at every moment and weighs 0.4 in the ensemble."""
    record, prices = TrackRecord(["s"], horizon=1), dict.fromkeys(SYMBOLS, 100.0)
    for scored, moved in zip(scores, returns, strict=True):
        record.score({"s": scored}, {"s": 0.4}, prices)
        prices = {symbol: price * (1.0 + moved[symbol]) for symbol, price in prices.items()}
        record.advance(prices)
    return record.outcomes["s"]
