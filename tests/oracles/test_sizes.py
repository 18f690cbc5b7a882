"""Sizes at a risk against nautilus_trader."""

from decimal import Decimal

import pytest

from strategy_plane.sizing import units_at_risk, whole_lots

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize(
    ("equity", "risk", "true_range", "multiple", "lot"),
    [
        (1_000_000.0, 0.01, 592.20, 1.0, "1"),
        (1_000_000.0, 0.01, 592.20, 1.0, "0"),
        (250_000.0, 0.005, 37.31, 2.0, "0"),
        (250_000.0, 0.005, 37.31, 2.0, "0.25"),
        (4_321.0, 0.02, 1_234.56, 0.5, "0"),
        (4_321.0, 0.02, 1_234.56, 0.5, "0.001"),
    ],
)
def test_units_at_risk_are_those_of_nautilus(
    oracle, equity: float, risk: float, true_range: float, multiple: float, lot: str
):
    """Their stop stands that many true ranges below the entry; a batch is our lot, and none leaves six places."""
    sizing, model = oracle("nautilus_trader.risk.sizing"), oracle("nautilus_trader.model.objects")
    bitcoin = oracle("nautilus_trader.test_kit.providers").TestInstrumentProvider.btcusdt_binance()
    found = sizing.FixedRiskSizer(bitcoin).calculate(
        model.Price(50_000.0, 2),
        model.Price(50_000.0 - multiple * true_range, 2),
        model.Money(equity, bitcoin.quote_currency),
        Decimal(str(risk)),
        unit_batch_size=Decimal(lot),
    )
    units = units_at_risk(equity, risk, true_range, multiple)
    expected = whole_lots(units, float(lot)) if lot != "0" else units
    assert float(found) == pytest.approx(expected, abs=1e-6)
