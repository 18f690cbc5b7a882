"""Many backtests of variants of one configuration, as daily returns over the same days."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from backtest.run_record import RunRecord
from backtest.simulation import simulate
from backtest.summary import DAY, JSON, daily_rows, moments
from contracts.market import BarEvent
from data_plane.composition import build_connector
from data_plane.composition import build_stage as build_data_stage
from data_plane.settings import DataSettings
from domain.performance import simple_returns
from order_plane.settings import OrderSettings
from strategy_plane.settings import StrategySettings

Days = NDArray[np.datetime64]
Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]


class TrialRuined(ValueError):
    """A trial lost everything, so it has no returns that others could be compared with."""


@dataclass(frozen=True, slots=True)
class TrialReturns:
    """Simple return of each UTC day of one trial, the first from the starting capital."""

    days: Days
    returns: Vector

    @property
    def invested(self) -> Vector:
        """The returns since the first that is not zero; empty when there is none."""
        moved = np.flatnonzero(self.returns)
        return self.returns[moved[0] :] if len(moved) else self.returns[:0]


@dataclass(frozen=True, slots=True)
class TrialRun:
    """What one trial returned, None when it lost everything, and what it was alarmed about (`AlertLog.by_code`)."""

    returns: TrialReturns | None
    alerts: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class Comparison:
    """``returns`` of shape (days, trials) and ``benchmark`` of shape (days,), from the first day of any investment."""

    days: Days
    returns: Matrix
    benchmark: Vector


def run_trial(data: DataSettings, strategy: StrategySettings, order: OrderSettings) -> TrialRun:
    """Backtest one variant in memory; nothing is written."""
    record = RunRecord(strategy.initial_cash, currencies=strategy.quoted)
    simulate(data, strategy, order, record)
    alerts = record.alerts.by_code()
    try:
        return TrialRun(daily_returns(record.tables().equity, strategy.initial_cash), alerts)
    except TrialRuined:
        return TrialRun(None, alerts)


def daily_returns(equity: pa.Table, initial_cash: float) -> TrialReturns:
    """What a run with this table of equity returned.

    Raises:
        TrialRuined: when equity does not stay above zero.
    """
    rows = daily_rows(equity)
    values = np.concatenate(([initial_cash], equity["equity"].to_numpy()[rows]))
    if np.any(values <= 0.0):
        raise TrialRuined("equity fell to zero")
    return TrialReturns(moments(equity)[rows].astype(DAY), simple_returns(values))


def equal_weight_returns(data: DataSettings, traded: Callable[[str], bool]) -> TrialReturns:
    """Daily return of holding every ``traded`` symbol that has a close on the day in equal parts, without costs.

    What anybody gets who buys the same universe and decides nothing; published prices are total-return prices. What a
    symbol did while it had no close comes on the day on which it has one again.

    Raises:
        ValueError: when there are fewer than two days of bars.
    """
    closes = DailyCloses()
    for message in chain.from_iterable(build_data_stage(data).play(build_connector(data).blocks())):
        if isinstance(message, BarEvent) and traded(message.symbol):
            closes.take(message)
    days, values = closes.table()
    if len(days) < 2:
        raise ValueError("fewer than two days of bars: there is nothing to hold")
    return TrialReturns(days, mean_returns(values))


def mean_returns(closes: Matrix) -> Vector:
    """Mean of the symbols' simple returns, shape (days,); ``closes`` of shape (days, symbols), NaN where there is none.

    Each return is since the symbol's close before, and counts on a day on which it has one; the first day has zero.
    """
    rows = np.where(np.isnan(closes), 0, np.arange(len(closes))[:, None])
    carried = np.take_along_axis(closes, np.maximum.accumulate(rows, axis=0), axis=0)
    returns = closes[1:] / carried[:-1] - 1.0
    known = ~np.isnan(returns)
    means: Vector = np.where(known, returns, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.append(0.0, means)


class DailyCloses:
    """The last close of each symbol and UTC day."""

    def __init__(self) -> None:
        self._closes: dict[tuple[date, str], float] = {}

    def take(self, bar: BarEvent) -> None:
        """Take note of one bar."""
        self._closes[bar.timestamp.date(), bar.symbol] = bar.close

    def table(self) -> tuple[Days, Matrix]:
        """Days, and closes of shape (days, symbols); NaN where a symbol has none."""
        days = sorted({day for day, _ in self._closes})
        symbols = sorted({symbol for _, symbol in self._closes})
        rows, columns = ({each: place for place, each in enumerate(names)} for names in (days, symbols))
        values = np.full((len(days), len(symbols)), np.nan)
        for (day, symbol), close in self._closes.items():
            values[rows[day], columns[symbol]] = close
        return np.array(days, DAY), values


def compare(trials: Sequence[TrialReturns], benchmark: TrialReturns | None = None) -> Comparison:
    """Put trials side by side on the days that all of them and ``benchmark`` have; without one it is cash.

    Raises:
        ValueError: when no trial was ever invested.
    """
    days = trials[0].days
    for trial in (*trials[1:], benchmark):
        days = days if trial is None else np.intersect1d(days, trial.days)
    columns = [trial.returns[np.isin(trial.days, days)] for trial in trials]
    returns = np.column_stack(columns)
    held = np.zeros(len(days)) if benchmark is None else benchmark.returns[np.isin(benchmark.days, days)]
    invested = np.flatnonzero((returns != 0.0).any(axis=1))
    if not len(invested):
        raise ValueError("no trial ever held anything: there is nothing to judge")
    since = invested[0]
    return Comparison(days[since:], returns[since:], held[since:])
