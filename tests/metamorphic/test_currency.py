"""The same market quoted in another currency is traded and valued the same; without a rate it is not traded."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backtest.run_record import RunRecord
from backtest.simulation import simulate
from backtest.summary import summarise
from backtest.tables import Tables
from contracts.control import RebalancePlan, RiskAlert
from data_plane.settings import DataSettings
from launcher.settings import Settings

FIRST, DAYS = date(2024, 1, 1), 90
SYMBOLS, FOREIGN = ("A", "B", "C"), ("B", "C")
RATE = 1024.0
"""A power of two, so that no product with it is rounded."""
MOMENTUM = {
    "name": "momentum_mean_variance",
    "signal": {"lookback": 20, "skip": 3},
    "limits": {"box": 0.5, "turnover": 0.8},
    **{"risk_window": 25, "rebalance_every": 3, "costs": {"trusted_after": 5, "window": 5}},
}
CROSS = {"name": "ma_crossover", "fast": 3, "slow": 8, "units": 400.0}
WAYS: dict[str, dict[str, Any]] = {
    "weights": {"strategy": MOMENTUM, "cash_buffer": 0.1, "no_trade_band": 0.002},
    "units": {"strategy": CROSS, "min_trade_value": 100.0, "position_risk": {"risk": 0.004, "window": 5}},
    "plans": {"strategy": MOMENTUM, "rebalancing": {"every": "weekly"}, "volatility_target": {"window": 15}},
}
ORDER: dict[str, Any] = {
    "mode": "simulation",
    "guards": [{}],
    "limits": {"max_order_value": 2e5, "max_leverage": 1.5, "max_concentration": 0.6, "max_net_exposure": 1e6},
    "costs": {"commission_model": "basis_points", "commission": 2.0},
}


class Told:
    """Keeps the plans and the alerts of a run."""

    def __init__(self) -> None:
        self.plans: list[RebalancePlan] = []
        self.alerts: list[RiskAlert] = []

    @property
    def handlers(self):
        return {RebalancePlan: self._take(self.plans), RiskAlert: self._take(self.alerts)}

    def note(self, messages, begin, end):
        """Market events are of no interest."""

    @staticmethod
    def _take(into):
        return lambda message: into.append(message) or ()


def closes() -> np.ndarray:
    steps = np.random.default_rng(8).normal(0.001, 0.02, (DAYS, len(SYMBOLS)))
    return 100.0 * np.exp(np.cumsum(steps, axis=0))


def write(folder: Path, symbol: str, close: np.ndarray, begin: int = 0) -> None:
    days = [FIRST + timedelta(days=day) for day in range(begin, DAYS)]
    prices = {"open": close * 0.999, "high": close * 1.01, "low": close * 0.99, "close": close}
    volumes = pa.array(np.full(len(days), 1e6))
    columns = {name: pa.array(values[begin:]) for name, values in prices.items()}
    pq.write_table(pa.table({"timestamp": pa.array(days), **columns, "volume": volumes}), folder / f"{symbol}.parquet")


def run(folder: Path, chosen: dict[str, Any], foreign: dict[str, str], symbols: tuple[str, ...]) -> tuple[Tables, Told]:
    data = {
        "sources": [{"files": [str(folder / "*.parquet")]}],
        "symbols": symbols,
        "calendar": "24/7",
        "gates": {"stale_repeats": 0},
    }
    universe = {"universe": SYMBOLS}
    order = ORDER | {"instruments": {symbol: {"currency": one} for symbol, one in foreign.items()}}
    settings = Settings(
        data=DataSettings.model_validate(data),
        strategy=chosen | universe | {"currencies": foreign},  # type: ignore[arg-type]
        order=order,  # type: ignore[arg-type]
    )
    told, strategy = Told(), settings.strategy
    record = RunRecord(strategy.initial_cash, currencies=strategy.quoted)
    simulate(settings.data, strategy, settings.order, record, (told,))
    return record.tables(), told


@pytest.fixture(params=sorted(WAYS))
def chosen(request: pytest.FixtureRequest) -> dict[str, Any]:
    return WAYS[request.param]


@pytest.fixture
def plain(tmp_path: Path, chosen: dict[str, Any]) -> tuple[Tables, Told]:
    folder = tmp_path / "plain"
    folder.mkdir()
    for symbol, close in zip(SYMBOLS, closes().T, strict=True):
        write(folder, symbol, close)
    return run(folder, chosen, {}, SYMBOLS)


@pytest.mark.parametrize(("pair", "price"), [("USDKRW", RATE), ("KRWUSD", 1.0 / RATE)])
def test_another_currency_at_a_constant_rate_changes_no_unit_and_no_equity(
    tmp_path: Path, chosen: dict[str, Any], plain: tuple[Tables, Told], pair: str, price: float
):
    for symbol, close in zip(SYMBOLS, closes().T, strict=True):
        write(tmp_path, symbol, close * RATE if symbol in FOREIGN else close)
    write(tmp_path, pair, np.full(DAYS, price))
    found, told = run(tmp_path, chosen, dict.fromkeys(FOREIGN, "KRW"), (*SYMBOLS, pair))
    expected, alerts = plain[0], plain[1].alerts
    assert len(expected.fills) >= 10
    assert set(expected.fills["symbol"].to_pylist()) >= {"A", "B"}
    for column in ("symbol", "side", "quantity", "decided_at", "status"):
        assert found.orders[column].equals(expected.orders[column])
    assert found.fills["quantity"].equals(expected.fills["quantity"])
    for column in ("equity", "cash", "gross", "net"):
        assert found.equity[column].to_numpy() == pytest.approx(expected.equity[column].to_numpy(), abs=1e-3)
    assert found.positions["value"].to_numpy() == pytest.approx(expected.positions["value"].to_numpy(), abs=1e-3)
    figures = [summarise(tables, 1e6)["metrics"] for tables in (found, expected)]
    assert figures[0] == pytest.approx(figures[1], rel=1e-6)
    assert [(each.code, each.detail) for each in told.alerts] == [(each.code, each.detail) for each in alerts]


@pytest.mark.parametrize("late", [0, 60])
def test_without_a_rate_only_the_rest_is_traded_and_the_reason_is_named(
    tmp_path: Path, chosen: dict[str, Any], late: int
):
    for symbol, close in zip(SYMBOLS, closes().T, strict=True):
        write(tmp_path, symbol, close * RATE if symbol in FOREIGN else close)
    if late:
        write(tmp_path, "USDKRW", np.full(DAYS, RATE), begin=late)
    found, told = run(tmp_path, chosen, dict.fromkeys(FOREIGN, "KRW"), (*SYMBOLS, "USDKRW"))
    known = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=late) if late else datetime.max.replace(tzinfo=UTC)
    fills = zip(found.orders["decided_at"].to_pylist(), found.orders["symbol"].to_pylist(), strict=True)
    early = {symbol for at, symbol in fills if at < known}
    assert early == {"A"}
    assert ("B" in found.orders["symbol"].to_pylist()) is bool(late)
    reasons = {alert.detail for alert in told.alerts if alert.code == "RATE_UNKNOWN"}
    assert reasons == {"not traded, since nothing says what its currency is worth: B (KRW), C (KRW)"}
    assert all(each.reason == "NO_RATE" for plan in told.plans for each in plan.skipped if each.symbol in FOREIGN)


def test_both_planes_must_be_told_the_same():
    with pytest.raises(ValueError, match=r"strategy and order must agree .* look at B"):
        Settings.model_validate(
            {
                "data": {"sources": [{"files": ["none.csv"]}]},
                "strategy": {"currencies": {"B": "KRW"}},
                "order": {"instruments": {"B": {"currency": "JPY"}}},
            }
        )
