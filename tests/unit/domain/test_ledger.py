from datetime import UTC, datetime
from math import isnan, nan

import pytest

from contracts.trading import ExecutionReport, OrderStatus, Side
from domain.currency import Currencies, currencies_of
from domain.ids import intent_id
from domain.ledger import Ledger, UnknownDirectionError

MOMENT = datetime(2024, 1, 2, 21, 0, tzinfo=UTC)


def report(
    order: int = 0, sequence: int = 1, filled: float = 0.0, price: float | None = None, **other
) -> ExecutionReport:
    fields = {"symbol": "AAPL", "direction": Side.BUY, "status": OrderStatus.PARTIAL_FILL, "commission": 0.0} | other
    return ExecutionReport(
        intent_id=intent_id("s", "AAPL", MOMENT, order),
        order_id=f"o{order}",
        filled_quantity=filled,
        avg_fill_price=price,
        timestamp=MOMENT,
        sequence=sequence,
        **fields,
    )


def test_a_purchase_moves_cash_into_units():
    ledger = Ledger(1000.0)

    added = ledger.apply(report(filled=3.0, price=100.1, commission=1.25))

    assert added == 3.0
    assert ledger.positions == {"AAPL": 3.0}
    assert ledger.cash == 1000.0 - 300.3 - 1.25


def test_a_sale_without_a_position_is_a_short_position():
    ledger = Ledger(1000.0)

    assert ledger.apply(report(filled=2.0, price=50.0, direction=Side.SELL, commission=1.0)) == -2.0
    assert ledger.positions == {"AAPL": -2.0}
    assert ledger.cash == 1099.0


def test_reports_are_cumulative():
    ledger = Ledger(1000.0)

    assert ledger.apply(report(sequence=1, filled=1.0, price=100.0, commission=1.0)) == 1.0
    assert ledger.apply(report(sequence=2, filled=4.0, price=110.0, commission=1.0)) == 3.0
    assert ledger.positions == {"AAPL": 4.0}
    assert ledger.cash == 1000.0 - 440.0 - 1.0


@pytest.mark.parametrize("status", [OrderStatus.SUBMITTED, OrderStatus.ACKNOWLEDGED, OrderStatus.IN_DOUBT])
def test_a_report_without_a_fill_books_nothing(status):
    ledger = Ledger(1000.0)

    assert ledger.apply(report(status=status, direction=None)) == 0.0
    assert ledger.positions == {}
    assert ledger.cash == 1000.0


def test_a_cancelled_rest_keeps_what_was_filled():
    ledger = Ledger(1000.0)
    ledger.apply(report(sequence=1, filled=1.0, price=100.0))

    assert ledger.apply(report(sequence=2, filled=1.0, price=100.0, status=OrderStatus.CANCELED)) == 0.0
    assert ledger.positions == {"AAPL": 1.0}
    assert ledger.cash == 900.0


def test_a_commission_that_comes_later_is_booked_once():
    ledger = Ledger(1000.0)
    late = report(sequence=2, filled=1.0, price=100.0, commission=0.5)
    ledger.apply(report(sequence=1, filled=1.0, price=100.0))

    for _ in range(2):
        assert ledger.apply(late) == 0.0
    assert ledger.cash == 899.5


def test_a_flat_symbol_is_absent():
    ledger = Ledger()
    ledger.apply(report(0, filled=2.0, price=10.0))
    ledger.apply(report(1, filled=2.0, price=11.0, direction=Side.SELL))

    assert ledger.positions == {}
    assert ledger.cash == 2.0


def test_fractions_of_units_end_flat_too():
    ledger = Ledger()
    ledger.apply(report(0, filled=0.1, price=10.0))
    ledger.apply(report(1, filled=0.2, price=10.0))
    ledger.apply(report(2, filled=0.3, price=10.0, direction=Side.SELL))

    assert ledger.positions == {}
    assert ledger.cash == 0.0


def test_a_fill_without_a_direction_is_refused_and_books_nothing():
    ledger = Ledger(1000.0)

    with pytest.raises(UnknownDirectionError):
        ledger.apply(report(filled=1.0, price=100.0, direction=None))
    assert ledger.cash == 1000.0


def test_equity_is_cash_and_positions_at_their_marks():
    ledger = Ledger(1000.0)
    ledger.apply(report(0, filled=2.0, price=100.0))
    ledger.apply(report(1, filled=1.0, price=50.0, direction=Side.SELL, symbol="MSFT"))

    assert ledger.equity({"AAPL": 110.0, "MSFT": 40.0, "IBM": 1.0}) == 1000.0 + 20.0 + 10.0
    with pytest.raises(KeyError, match="MSFT"):
        ledger.equity({"AAPL": 110.0})


def test_a_forgotten_order_leaves_its_fills():
    ledger = Ledger()
    last = report(filled=2.0, price=10.0)
    ledger.apply(last)

    ledger.forget(last.intent_id)
    ledger.forget(last.intent_id)

    assert ledger.positions == {"AAPL": 2.0}
    assert ledger.cash == -20.0


def test_whole_units_of_any_size_are_exact():
    ledger = Ledger()
    ledger.apply(report(0, filled=5_000_000_003.0, price=1.0))
    ledger.apply(report(1, filled=999_999_999_999_999.0, price=1.0, symbol="MSFT"))

    assert ledger.positions == {"AAPL": 5_000_000_003.0, "MSFT": 999_999_999_999_999.0}


def test_a_busted_fill_leaves_nothing_behind_whatever_the_order_of_the_reports():
    fill = report(sequence=1, filled=6.0, price=10.0)
    bust = report(sequence=2, filled=0.0, price=None)
    for history in ([fill, bust], [bust, fill], [fill, bust, fill]):
        ledger = Ledger(100.0)
        for each in history:
            ledger.apply(each)
        assert ledger.positions == {}
        assert ledger.cash == 100.0


ABROAD = currencies_of("USD", {"SAMSUNG": "KRW", "AAPL": "USD", "IBM": None})


def test_what_trades_abroad_is_paid_for_there_and_only_its_profit_depends_on_the_rate():
    ledger = Ledger(1000.0, ABROAD)
    ledger.apply(report(filled=10.0, price=50_000.0, commission=500.0, symbol="SAMSUNG"))
    assert (ledger.cash, ledger.foreign) == (1000.0, {"KRW": -500_500.0})
    marks = {"SAMSUNG": 50_000.0, "USDKRW": 1250.0}
    assert ledger.equity(marks) == pytest.approx(1000.0 - 0.4)
    assert ledger.equity(marks | {"SAMSUNG": 60_000.0}) == pytest.approx(1000.0 + 100_000.0 / 1250.0 - 0.4)
    assert ledger.equity(marks | {"SAMSUNG": 60_000.0, "USDKRW": 1000.0}) == pytest.approx(1000.0 + 99.5)
    assert ledger.money(marks) == pytest.approx(1000.0 - 400.4)


def test_cash_abroad_does_not_depend_on_the_order_of_reports():
    reports = [
        report(0, sequence=number, filled=3.0 * number, price=100.1 + number, symbol="SAMSUNG") for number in (1, 2)
    ] + [report(1, filled=4.0, price=99.3, direction=Side.SELL, symbol="SAMSUNG")]
    found = []
    for told in (reports, reports[::-1]):
        ledger = Ledger(0.0, ABROAD)
        for each in told:
            ledger.apply(each)
        found.append((ledger.foreign, dict(ledger.positions)))
    assert found[0] == found[1]


def test_without_a_rate_the_worth_is_unknown_and_a_flat_account_needs_none():
    ledger = Ledger(1000.0, ABROAD)
    assert ledger.equity({}) == 1000.0
    ledger.apply(report(filled=1.0, price=50_000.0, symbol="SAMSUNG"))
    assert isnan(ledger.equity({"SAMSUNG": 50_000.0}))


def test_a_pair_says_the_rate_in_either_direction():
    prices = {"EURUSD": 1.25, "USDKRW": 1250.0}
    many = Currencies("USD", {"SAP": "EUR", "SAMSUNG": "KRW"})
    assert many.pairs == {"EURUSD", "USDEUR", "KRWUSD", "USDKRW"}
    rates = {symbol: many.rate_of(symbol, lambda pair: prices.get(pair, nan)) for symbol in ("SAP", "SAMSUNG", "IBM")}
    assert rates == {"SAP": 1.25, "SAMSUNG": 1.0 / 1250.0, "IBM": 1.0}
    assert ABROAD.of == {"SAMSUNG": "KRW"}
    assert not Currencies().pairs
