from datetime import UTC, datetime
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from contracts.trading import ExecutionReport, OrderStatus, Side
from domain.ids import intent_id
from domain.ledger import Ledger
from domain.money import to_micros

MOMENT = datetime(2024, 1, 2, 21, 0, tzinfo=UTC)
SYMBOLS = ("AAPL", "MSFT", "IBM")

lots = st.one_of(st.integers(1, 10_000).map(float), st.integers(1, 10**8).map(lambda units: units / 10**8))
prices = st.floats(0.01, 10_000.0)


@st.composite
def histories(draw: st.DrawFn) -> list[list[ExecutionReport]]:
    """For each of a few orders, its reports from the first to the last."""
    orders = []
    for number in range(draw(st.integers(1, 5))):
        symbol, side = draw(st.sampled_from(SYMBOLS)), draw(st.sampled_from(Side))
        filled, commission, reports = 0.0, 0.0, []
        for sequence in range(1, draw(st.integers(1, 5)) + 1):
            if draw(st.booleans()):
                filled += draw(lots)
                commission += draw(st.integers(0, 200)) / 100
            reports.append(
                ExecutionReport(
                    intent_id=intent_id("s", symbol, MOMENT, number),
                    order_id=f"o{number}",
                    symbol=symbol,
                    status=OrderStatus.PARTIAL_FILL if filled else OrderStatus.ACKNOWLEDGED,
                    filled_quantity=filled,
                    avg_fill_price=draw(prices) if filled else None,
                    timestamp=MOMENT,
                    sequence=sequence,
                    direction=side,
                    commission=commission,
                )
            )
        orders.append(reports)
    return orders


@st.composite
def told_twice(draw: st.DrawFn) -> tuple[list[ExecutionReport], list[ExecutionReport]]:
    """A history in its order, and the same with repeats in any order."""
    told = [report for order in draw(histories()) for report in order]
    repeats = draw(st.lists(st.sampled_from(told), max_size=10))
    return told, draw(st.permutations(told + repeats))


def ledger_of(reports: list[ExecutionReport], cash: float = 0.0) -> Ledger:
    ledger = Ledger(cash)
    for report in reports:
        ledger.apply(report)
    return ledger


@given(told_twice())
def test_neither_order_nor_repetition_of_reports_matters(histories):
    told, retold = histories
    one, other = ledger_of(told), ledger_of(retold)

    assert dict(one.positions) == dict(other.positions)
    assert one.cash == other.cash


@given(told_twice())
def test_the_units_added_sum_to_the_position(histories):
    _, retold = histories
    ledger = Ledger()
    added = dict.fromkeys(SYMBOLS, Fraction(0))
    for report in retold:
        added[report.symbol] += Fraction(ledger.apply(report))

    for symbol in SYMBOLS:
        assert abs(added[symbol] - Fraction(ledger.positions.get(symbol, 0.0))) < Fraction(1, 10**8)


@given(histories())
def test_cash_is_exact_to_the_millionth(orders):
    last = [order[-1] for order in orders if order[-1].filled_quantity]
    spent = sum(
        to_micros(
            (1 if report.direction is Side.BUY else -1) * report.filled_quantity * report.avg_fill_price
            + report.commission
        )
        for report in last
    )

    ledger = ledger_of([report for order in orders for report in order], cash=100_000.0)

    assert to_micros(ledger.cash) == to_micros(100_000.0) - spent


@given(histories())
def test_what_one_side_gains_the_other_loses(orders):
    """Units and, commissions apart, money are conserved between a buyer and the seller."""
    free = [report.model_copy(update={"commission": 0.0}) for order in orders for report in order]
    opposite = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}
    mirrored = [report.model_copy(update={"direction": opposite[report.direction]}) for report in free]

    buyer, seller = ledger_of(free), ledger_of(mirrored)

    assert buyer.cash == -seller.cash
    assert dict(buyer.positions) == {symbol: -units for symbol, units in seller.positions.items()}


@given(histories(), st.fixed_dictionaries({symbol: prices for symbol in SYMBOLS}), prices)
def test_equity_moves_with_the_mark_by_the_units_held(orders, marks, new_mark):
    ledger = ledger_of([report for order in orders for report in order], cash=1000.0)
    held = ledger.positions.get("AAPL", 0.0)

    before, after = ledger.equity(marks), ledger.equity({**marks, "AAPL": new_mark})

    scale = 1.0 + abs(before) + abs(after) + abs(held) * (marks["AAPL"] + new_mark)
    assert abs((after - before) - held * (new_mark - marks["AAPL"])) <= 1e-9 * scale


@given(histories())
def test_closing_every_position_leaves_cash_alone_as_equity(orders):
    ledger = ledger_of([report for order in orders for report in order])
    for number, (symbol, units) in enumerate(sorted(ledger.positions.items())):
        ledger.apply(
            ExecutionReport(
                intent_id=intent_id("closing", symbol, MOMENT, number),
                order_id="c",
                symbol=symbol,
                status=OrderStatus.FILLED,
                filled_quantity=abs(units),
                avg_fill_price=10.0,
                timestamp=MOMENT,
                direction=Side.SELL if units > 0 else Side.BUY,
            )
        )

    assert dict(ledger.positions) == {}
    assert ledger.equity({}) == ledger.cash
