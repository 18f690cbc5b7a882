"""Minute bars of a made-up market, for runs without bar files."""

from collections.abc import Sequence
from datetime import date, timedelta
from math import exp, sqrt

from ibkr_sim.draws import Draws
from ibkr_sim.market_time import moment_of
from ibkr_sim.tape import Bar

FIRST_DAY = date(2024, 7, 8)
SESSIONS = 10
_MINUTES = 390
_BAR_VOLATILITY = 0.02 / sqrt(_MINUTES)
"""The volatility of a minute that makes 2 % in a day."""


def minute_bars(symbol: str, seed: int, first_day: date = FIRST_DAY, sessions: int = SESSIONS) -> Sequence[Bar]:
    """``sessions`` weekdays of 390 one-minute bars: a geometric random walk in cents, each opening where one closed."""
    draws = Draws(seed, "bars", symbol)
    price = round(20.0 + 180.0 * draws.uniform(), 2)
    bars: list[Bar] = []
    day = first_day
    for _ in range(sessions):
        while day.weekday() > 4:
            day += timedelta(days=1)
        begin = moment_of(day, 9, 30)
        for minute in range(_MINUTES):
            bar = _minute(begin + 60.0 * minute, price, draws)
            bars.append(bar)
            price = bar.close
        day += timedelta(days=1)
    return bars


def _minute(start: float, opened: float, draws: Draws) -> Bar:
    closed = _cents(opened * exp(_BAR_VOLATILITY * draws.normal()))
    high = max(opened, closed, _cents(max(opened, closed) * (1 + _BAR_VOLATILITY * draws.uniform())))
    low = min(opened, closed, _cents(min(opened, closed) * (1 - _BAR_VOLATILITY * draws.uniform())))
    volume = float(1_000 + draws.below(20_000))
    return Bar(start, start + 60.0, opened, high, low, closed, volume, round((opened + closed) / 2, 4), 60)


def _cents(price: float) -> float:
    return max(0.02, round(price, 2))
