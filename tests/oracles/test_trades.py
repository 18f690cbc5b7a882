"""Profits of trades, turnover, exposure and the share of gains against backtrader, pyfolio, alphalens and wickra."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from domain import performance

pytestmark = pytest.mark.filterwarnings("ignore")
DAYS = 60


def fills(seed: int, count: int = 80) -> tuple[list[float], list[float], list[float]]:
    """Signed units, prices and commissions; the last one closes what is held."""
    generator = np.random.default_rng(seed)
    units = generator.integers(-40, 41, count).astype(float)
    units[units == 0.0] = 5.0
    units[-1] = -units[:-1].sum()
    prices = np.round(50.0 * np.exp(np.cumsum(generator.normal(0.0, 0.02, count))), 2)
    return units.tolist(), prices.tolist(), np.round(generator.uniform(0.0, 3.0, count), 2).tolist()


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_profits_at_average_cost_are_those_of_backtrader(oracle, seed: int):
    bt = oracle("backtrader")
    units, prices, _ = fills(seed)
    position, terms, expected = bt.Position(), bt.CommInfoBase(stocklike=True), []
    for traded, price in zip(units, prices, strict=True):
        basis = position.price
        _, _, _, closed = position.update(traded, price)
        if closed:
            expected.append(terms.profitandloss(-closed, basis, price))
    found = performance.closed_profits(units, prices, [0.0] * len(units))
    assert found.tolist() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_profits_and_commissions_from_flat_to_flat_are_those_of_backtrader(oracle, seed: int):
    """Their trade pays commissions when they are due and ours when units are closed; by the end both paid all."""
    bt = oracle("backtrader")
    units, prices, commissions = fills(seed)
    position, terms, total = bt.Position(), bt.CommInfoBase(stocklike=True), 0.0
    for traded, price, commission in zip(units, prices, commissions, strict=True):
        basis = position.price
        _, _, _, closed = position.update(traded, price)
        total += terms.profitandloss(-closed, basis, price) - commission
    assert position.size == 0.0
    assert performance.closed_profits(units, prices, commissions).sum() == pytest.approx(total)


@pytest.fixture
def outcomes() -> list[float]:
    return np.round(np.random.default_rng(2).normal(0.5, 10.0, 50), 1).tolist()


def test_gains_and_losses_are_those_of_wickra(oracle, outcomes: list[float]):
    """Theirs counts a zero as no gain and ours leaves it out, so there is none here."""
    assert 0.0 not in outcomes
    assert performance.hit_rate(outcomes) == pytest.approx(oracle("wickra").WinRate(50).batch(outcomes)[-1])
    assert performance.profit_factor(outcomes) == pytest.approx(oracle("wickra").ProfitFactor(50).batch(outcomes)[-1])


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_the_longest_drawdown_is_that_of_wickra(oracle, seed: int):
    equity = (100.0 * np.cumprod(1.0 + np.random.default_rng(seed).normal(0.0, 0.01, 200))).tolist()
    assert performance.longest_drawdown(equity) == max(oracle("wickra").DrawdownDuration().batch(equity))


def book(oracle):
    """Daily values of two positions and cash by day, and the trades that made them."""
    pd, generator = oracle("pandas"), np.random.default_rng(6)
    days = pd.DatetimeIndex([datetime(2024, 1, 1) + timedelta(days=number) for number in range(DAYS)])  # noqa: DTZ001
    traded = generator.integers(-20, 21, (DAYS, 2))
    prices = 50.0 * np.exp(np.cumsum(generator.normal(0.0, 0.01, (DAYS, 2)), axis=0))
    held = np.cumsum(traded, axis=0) * prices
    positions = pd.DataFrame(held, days, ["A", "B"])
    positions["cash"] = 10_000.0 - np.cumsum((traded * prices).sum(axis=1))
    trades = pd.DataFrame(
        {"amount": traded.ravel(), "price": prices.ravel(), "symbol": ["A", "B"] * DAYS}, index=days.repeat(2)
    )
    return positions, trades


def test_exposure_is_that_of_pyfolio(oracle):
    positions, _ = book(oracle)
    equity = positions.sum(axis=1).to_numpy()
    gross = positions[["A", "B"]].abs().sum(axis=1).to_numpy()
    theirs = oracle("pyfolio.timeseries").gross_lev(positions).mean()
    assert performance.mean_exposure(gross, equity) == pytest.approx(theirs)


def test_turnover_is_that_of_pyfolio(oracle):
    """Theirs is by day, over the equity of the day; ours is by year, over mean equity: days weigh by their equity."""
    positions, trades = book(oracle)
    equity = positions.sum(axis=1).to_numpy()
    daily = oracle("pyfolio.txn").get_turnover(positions, trades, "portfolio_value").to_numpy()
    found = performance.turnover(np.abs(trades["amount"] * trades["price"]), equity, periods_per_year=252)
    assert found == pytest.approx(float(np.average(daily, weights=equity)) * 252 * DAYS / (DAYS - 1))
