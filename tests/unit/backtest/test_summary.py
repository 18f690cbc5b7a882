"""The figures of a run, in the file and on the terminal."""

import math
from datetime import timedelta

import pytest
from rich.console import Console

from backtest.summary import realised_profits, summarise, traded_values
from backtest.summary_view import FIGURES, render, shown
from contracts.trading import Side

DAY = timedelta(days=1)


def text_of(renderable):
    console = Console(width=100, no_color=True)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def two_round_trips(scenario):
    """Buy 10 at 100 and sell at 110, then buy 10 at 110 and sell at 104, one dollar each."""
    messages = []
    for day, (side, price) in enumerate([(Side.BUY, 100), (Side.SELL, 110), (Side.BUY, 110), (Side.SELL, 104)]):
        at = scenario.start + day * DAY
        order = scenario.intent("AAA", at, side, 10)
        messages += [order, scenario.fill(order, at, 1, price, 1.0), scenario.bar("AAA", at, price)]
        messages.append(scenario.moment(at, "AAA"))
    return messages


def test_trades_and_equity_are_told_in_figures(recorded, scenario):
    summary = summarise(recorded(two_round_trips(scenario)).tables(), 100_000.0)
    metrics = summary["metrics"]
    assert metrics["final_equity"] == 100_036.0
    assert metrics["realised_profit"] == pytest.approx(36.0)
    assert (metrics["closed_trades"], metrics["hit_rate"]) == (2, 0.5)
    assert metrics["profit_factor"] == pytest.approx(98.0 / 62.0)
    assert metrics["commission"] == 4.0
    assert metrics["traded_value"] == 4_240.0
    assert metrics["time_in_market"] == 0.5
    assert metrics["max_drawdown"] == pytest.approx(100_036.0 / 100_098.0 - 1.0)
    assert summary["period"]["days"] == 4


def test_ratios_are_of_daily_returns_even_when_slices_are_intraday(recorded, scenario):
    order = scenario.intent("AAA", scenario.start, Side.BUY, 100)
    daily = [order, scenario.fill(order, scenario.start, 1, 100.0)]
    intraday = list(daily)
    for day, close in enumerate([100.0, 103.0, 101.0, 106.0]):
        at = scenario.start + day * DAY
        for hours, price in ((2, 90.0), (1, 120.0), (0, close)):
            stamp = at - timedelta(hours=hours)
            bars = [scenario.bar("AAA", stamp, price), scenario.moment(stamp, "AAA")]
            intraday += bars
            daily += bars if hours == 0 else []
    ratios = ("sharpe", "sortino", "volatility", "cagr", "best_day")
    told = [summarise(recorded(messages).tables(), 100_000.0)["metrics"] for messages in (daily, intraday)]
    assert [told[0][name] for name in ratios] == [told[1][name] for name in ratios]
    assert told[1]["max_drawdown"] < told[0]["max_drawdown"]


def test_what_the_first_day_lost_counts_in_growth_and_ratios(recorded, scenario):
    order = scenario.intent("AAA", scenario.start, Side.BUY, 100)
    messages = [order]
    for hours, close in ((0, 100.0), (1, 90.0), (24, 93.0)):
        at = scenario.start + timedelta(hours=hours)
        filled = [scenario.fill(order, at, 1, 100.0)] if hours == 1 else []
        messages += [*filled, scenario.bar("AAA", at, close), scenario.moment(at, "AAA")]
    metrics = summarise(recorded(messages).tables(), 100_000.0)["metrics"]
    assert metrics["total_return"] == pytest.approx(-0.007)
    assert metrics["cagr"] == pytest.approx(0.993**126 - 1.0)  # two days of 252
    assert (metrics["worst_day"], metrics["winning_days"]) == (pytest.approx(-0.01), 0.5)
    assert metrics["sharpe"] < 0.0
    assert metrics["turnover"] == pytest.approx(10_000.0 / 99_433.333333 * 126.0)


def test_a_run_that_did_nothing_has_figures_or_none_but_no_nan(recorded):
    metrics = summarise(recorded([]).tables(), 1_000.0)["metrics"]
    assert metrics["final_equity"] == 1_000.0
    assert metrics["sharpe"] is None
    assert all(value is None or math.isfinite(value) for value in metrics.values())
    assert set(FIGURES) <= set(metrics)


def test_a_run_that_lost_everything_still_has_a_summary(recorded, scenario):
    at = scenario.start
    order = scenario.intent("AAA", at, Side.SELL, 2_000)
    messages = [order, scenario.fill(order, at, 1, 100.0)]
    for day, price in enumerate([100.0, 200.0]):
        messages += [scenario.bar("AAA", at + day * DAY, price), scenario.moment(at + day * DAY, "AAA")]
    metrics = summarise(recorded(messages).tables(), 100_000.0)["metrics"]
    assert metrics["total_return"] == -2.0
    assert metrics["sharpe"] is None
    assert set(FIGURES) <= set(metrics)


def test_profits_are_told_symbol_by_symbol(recorded, scenario):
    messages = []
    for symbol, bought, sold in (("AAA", 10, 13), ("BBB", 20, 15)):
        for day, (side, price) in enumerate([(Side.BUY, bought), (Side.SELL, sold)]):
            order = scenario.intent(symbol, scenario.start + day * DAY, side, 1)
            messages += [order, scenario.fill(order, scenario.start + day * DAY, 1, price)]
    assert realised_profits(recorded(messages).tables().fills).tolist() == [3.0, -5.0]


def test_the_terminal_shows_every_figure_and_what_was_lost(market, recorded):
    summary = summarise(recorded(market.messages).tables(), 100_000.0)
    text = text_of(render(summary | {"dead_letters": {"NOT_JSON": 2}, "quarantined": {"gap": 5}}))
    for name, (title, _) in FIGURES.items():
        assert title in text
        assert shown(summary, name) in text
    assert "Orders rejected: MAX_ORDER_VALUE" in text
    assert "Dead letters: NOT_JSON 2" in text
    assert "Source rows quarantined: gap 5" in text


def test_a_quiet_run_shows_no_losses(recorded, scenario):
    text = text_of(render(summarise(recorded(two_round_trips(scenario)).tables(), 100_000.0)))
    assert "rejected" not in text
    assert "quarantined" not in text


def days_of(scenario, count):
    """So many days on which the price of what is held goes up and down."""
    order = scenario.intent("AAA", scenario.start, Side.BUY, 10)
    messages = [order, scenario.fill(order, scenario.start, 1, 100.0)]
    for day in range(count):
        at = scenario.start + day * DAY
        messages += [scenario.bar("AAA", at, 100.0 + day % 3), scenario.moment(at, "AAA")]
    return messages


@pytest.mark.parametrize(
    ("days", "year", "short"), [(4, 252, True), (62, 252, True), (63, 252, False), (63, 365, True)]
)
def test_figures_of_less_than_a_quarter_of_a_year_are_said_to_be_annualised(recorded, scenario, days, year, short):
    summary = summarise(recorded(days_of(scenario, days)).tables(), 100_000.0, year)
    text = text_of(render(summary))
    annual = ("Annual growth (CAGR)", "Volatility, annual", "Sharpe", "Sortino", "Calmar", "Turnover, times a year")
    assert [title for title, _ in FIGURES.values() if f"{title} *" in text] == [each for each in annual if short]
    assert (f"* annualised from {days} days" in text) is short


def test_a_summary_without_days_says_nothing_of_them(recorded):
    summary = summarise(recorded([]).tables(), 1_000.0)
    assert "annualised" not in text_of(render(summary))
    del summary["period"]
    assert "annualised" not in text_of(render(summary))


def test_a_run_written_when_there_was_one_currency_is_still_read(recorded, market):
    fills = recorded(market.messages).tables().fills
    old = fills.drop_columns(["rate"])
    assert len(old) > 1
    assert realised_profits(old).tolist() == realised_profits(fills).tolist()
    assert traded_values(old).tolist() == traded_values(fills).tolist()


def test_the_terminal_says_what_was_alarmed_the_most_frequent_first(market, recorded):
    few = {"count": 2, "severity": "CRITICAL", "first": "2024-01-02T21:00:00+00:00", "detail": "who knows"}
    many = {"count": 14, "severity": "WARNING", "first": "2024-01-01T21:00:00+00:00", "detail": "net: [too low]"}
    summary = summarise(recorded(market.messages).tables(), 100_000.0)
    text = text_of(render(summary | {"alerts": {"FEW": few, "MANY": many}}))
    assert "Alert MANY, times 14, first 2024-01-01T21:00: net: [too low]" in text
    assert text.index("Alert MANY") < text.index("Alert FEW, times 2")
    assert "Alert" not in text_of(render(summary | {"alerts": {}}))
