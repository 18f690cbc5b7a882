"""What the record of a run says, whatever order its facts came in."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow.parquet as pq
import pytest

from backtest.artifacts import content_digests
from backtest.run_record import RunRecord
from contracts.control import AlertSeverity, RiskAlert
from contracts.market import BarEvent, SliceEvent, TickEvent, TickType
from contracts.trading import ExecutionReport, OrderIntent, OrderStatus, OrderType, Side
from data_plane.connectors.layout import moment_of
from domain.bar_run import BarRun, Moments
from domain.ledger import Ledger
from domain.valuation import Valuation
from kernel.memory_bus import MemoryBus

DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rows(table):
    return table.to_pylist()


def test_equity_in_order_equals_the_ledger_folded_by_hand(market, recorded):
    ledger, marks, expected = Ledger(100_000.0), {}, []
    for message in market.messages:
        if isinstance(message, BarEvent):
            marks[message.symbol] = message.close
        elif isinstance(message, ExecutionReport):
            ledger.apply(message)
        elif isinstance(message, SliceEvent):
            expected.append((ledger.cash, ledger.equity(marks)))
    equity = recorded(market.messages).tables().equity
    assert list(zip(equity["cash"].to_pylist(), equity["equity"].to_pylist(), strict=True)) == expected


def test_the_valuation_shown_meanwhile_is_the_newest_equity_of_the_table(market, recorded):
    valuation = Valuation(100_000.0)
    for message in market.messages:
        valuation.take(message)
    record = recorded(market.messages)
    assert valuation.equity == pytest.approx(record.tables().equity["equity"].to_pylist()[-1], abs=1e-6)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_order_of_arrival_with_repeats_gives_the_same_tables_and_bars(market, recorded, seed):
    rng = np.random.default_rng(seed)
    again = [market.messages[i] for i in rng.integers(0, len(market.messages), 60)]
    shuffled = market.messages + again
    rng.shuffle(shuffled)
    straight, mixed = recorded(market.messages), recorded(shuffled)
    assert content_digests(mixed) == content_digests(straight)
    assert mixed.tables().positions.equals(straight.tables().positions)
    assert mixed.bar_file().read_bytes() == straight.bar_file().read_bytes()


def test_a_fill_counts_from_its_own_moment_even_when_its_report_comes_after_the_slice(recorded, scenario):
    at = scenario.start
    order = scenario.intent("AAA", at, Side.BUY, 10)
    late = [
        scenario.bar("AAA", at, 100.0),
        scenario.moment(at, "AAA"),
        order,
        scenario.bar("AAA", at + DAY, 110.0),
        scenario.moment(at + DAY, "AAA"),
        scenario.bar("AAA", at + 2 * DAY, 120.0),
        scenario.moment(at + 2 * DAY, "AAA"),
        scenario.fill(order, at + DAY, 1, 105.0, commission=2.0),
    ]
    equity = recorded(late).tables().equity
    assert equity["equity"].to_pylist() == [100_000.0, 100_048.0, 100_148.0]
    assert equity["cash"].to_pylist() == [100_000.0, 98_948.0, 98_948.0]
    assert equity["net"].to_pylist() == [0.0, 1_100.0, 1_200.0]


def test_partial_fills_become_one_row_each_with_their_own_price_and_commission(recorded, scenario):
    at = scenario.start
    order = scenario.intent("AAA", at, Side.SELL, 10)
    first = {"filled_quantity": 4.0, "avg_fill_price": 100.0, "last_quantity": 4.0, "last_price": 100.0}
    second = {"filled_quantity": 10.0, "avg_fill_price": 103.0, "last_quantity": 6.0, "last_price": 105.0}
    reports = [
        scenario.report(order, at + DAY, 1, OrderStatus.ACKNOWLEDGED),
        scenario.report(order, at + DAY, 2, OrderStatus.PARTIAL_FILL, commission=1.0, **first),
        scenario.report(order, at + 2 * DAY, 3, OrderStatus.FILLED, commission=2.5, **second),
    ]
    tables = recorded([order, *reports]).tables()
    told = [(r["execution"], r["side"], r["quantity"], r["price"], r["commission"]) for r in rows(tables.fills)]
    assert told == [(1, "SELL", 4.0, 100.0, 1.0), (2, "SELL", 6.0, 105.0, 1.5)]
    assert rows(tables.orders)[0]["status"] == "FILLED"
    assert rows(tables.orders)[0]["avg_fill_price"] == 103.0


def test_a_lost_partial_report_is_made_up_for_by_the_averages_of_the_next(recorded, scenario):
    order = scenario.intent("AAA", scenario.start, Side.BUY, 10)
    third = {"filled_quantity": 10.0, "avg_fill_price": 103.0, "last_quantity": 6.0, "last_price": 105.0}
    only = scenario.report(order, scenario.start + DAY, 3, OrderStatus.FILLED, commission=2.0, **third)
    (fill,) = rows(recorded([order, only]).tables().fills)
    assert (fill["quantity"], fill["price"], fill["commission"]) == (10.0, 103.0, 2.0)


def test_a_later_commission_is_a_row_of_quantity_zero_and_costs_cash_then(recorded, scenario):
    at = scenario.start
    order = scenario.intent("AAA", at, Side.BUY, 10)
    filled = scenario.fill(order, at, 1, 100.0)
    charged = filled.model_copy(update={"sequence": 2, "report_id": None, "commission": 3.0, "timestamp": at + DAY})
    bars = [scenario.bar("AAA", at, 100.0), scenario.moment(at, "AAA"), scenario.moment(at + DAY, "AAA")]
    tables = recorded([order, filled, charged, *bars]).tables()
    assert [(r["quantity"], r["side"], r["commission"]) for r in rows(tables.fills)] == [
        (10.0, "BUY", 0.0),
        (0.0, "BUY", 3.0),
    ]
    assert tables.equity["equity"].to_pylist() == [100_000.0, 99_997.0]


def test_orders_carry_what_was_asked_and_why_it_was_refused(recorded, scenario):
    at = scenario.start
    asked = scenario.intent("BBB", at, Side.BUY, 5, order_type=OrderType.STOP_LIMIT, limit_price=9.0, stop_price=8.0)
    refused = scenario.report(asked, at, 1, OrderStatus.REJECTED, reject_reason="PRICE_COLLAR: too far away")
    silent = scenario.intent("AAA", at, Side.SELL, 1)
    first, second = rows(recorded([asked, refused, silent]).tables().orders)
    assert (first["symbol"], first["status"], first["limit_price"], first["avg_fill_price"]) == (
        "AAA",
        "UNANSWERED",
        None,
        None,
    )
    assert (second["order_type"], second["limit_price"], second["stop_price"]) == ("STOP_LIMIT", 9.0, 8.0)
    assert (second["status"], second["reject_reason"]) == ("REJECTED", "PRICE_COLLAR: too far away")


def test_a_fill_of_an_order_never_seen_is_booked_and_listed(recorded, scenario):
    order = scenario.intent("AAA", scenario.start, Side.BUY, 2)
    tables = recorded([scenario.fill(order, scenario.start, 1, 50.0)]).tables()
    (row,) = rows(tables.orders)
    assert (row["symbol"], row["side"], row["quantity"], row["decided_at"]) == ("AAA", "BUY", None, None)
    assert len(tables.fills) == 1


def test_positions_are_told_on_change_at_month_ends_and_at_the_end(recorded, scenario):
    start = scenario.start.replace(day=30)
    order = scenario.intent("AAA", start, Side.BUY, 3)
    messages = [order, scenario.fill(order, start + DAY, 1, 10.0)]
    for day in range(5):
        messages += [scenario.bar("AAA", start + day * DAY, 10.0 + day), scenario.moment(start + day * DAY, "AAA")]
    told = [(r["timestamp"].day, r["units"], r["value"]) for r in rows(recorded(messages).tables().positions)]
    assert told == [(31, 3.0, 33.0), (3, 3.0, 42.0)]


def test_a_fraction_bought_in_parts_and_sold_whole_leaves_nothing(recorded, scenario):
    at, messages = scenario.start, []
    for day, (side, quantity) in enumerate([(Side.BUY, 0.1), (Side.BUY, 0.2), (Side.SELL, 0.3)]):
        order = scenario.intent("AAA", at + day * DAY, side, quantity)
        messages += [order, scenario.fill(order, at + day * DAY, 1, 10.0), scenario.moment(at + day * DAY, "AAA")]
    assert [r["units"] for r in rows(recorded(messages).tables().positions)] == [0.1, 0.3, 0.0]


def test_drawdown_counts_from_the_starting_capital(recorded, scenario):
    at = scenario.start
    order = scenario.intent("AAA", at, Side.BUY, 100)
    messages = [order, scenario.fill(order, at, 1, 100.0), scenario.bar("AAA", at, 90.0), scenario.moment(at, "AAA")]
    assert recorded(messages).tables().equity["drawdown"].to_pylist() == [pytest.approx(-0.01)]


def test_only_the_named_strategies_are_recorded(recorded, scenario):
    mine = scenario.intent("AAA", scenario.start, Side.BUY, 1)
    other = scenario.intent("AAA", scenario.start, Side.BUY, 1, strategy="other")
    messages = [
        mine,
        other,
        scenario.fill(mine, scenario.start, 1, 10.0),
        scenario.fill(other, scenario.start, 1, 10.0),
    ]
    tables = recorded(messages, strategies=["s"]).tables()
    assert (len(tables.orders), len(tables.fills)) == (1, 1)


def test_it_listens_on_the_memory_bus_and_says_nothing(market):
    record, bus = RunRecord(100_000.0), MemoryBus()
    for kind, handler in record.handlers.items():
        bus.subscribe(kind, handler)
    for message in market.messages:
        bus.publish(message)
    bus.drain()
    kinds = {"bars": BarEvent, "slices": SliceEvent, "intents": OrderIntent, "reports": ExecutionReport}
    assert record.counts == {
        name: sum(type(message) is kind for message in market.messages) for name, kind in kinds.items()
    }


def test_other_messages_are_passed_over(scenario):
    record = RunRecord(1.0)
    record.observe(TickEvent(symbol="AAA", timestamp=scenario.start, price=1.0, size=1.0, tick_type=TickType.TRADE))
    assert set(record.counts.values()) == {0}


def test_bars_of_two_sizes_are_both_kept_and_the_newest_close_marks(recorded, scenario):
    at = scenario.start
    order = scenario.intent("AAA", at, Side.BUY, 1)
    messages = [
        order,
        scenario.fill(order, at, 1, 10.0),
        scenario.bar("AAA", at, 10.0, "1h"),
        scenario.bar("AAA", at + DAY, 12.0, "1d"),
        scenario.bar("AAA", at + DAY, 12.0, "1h"),
        scenario.moment(at + DAY, "AAA"),
    ]
    record = recorded(messages)
    assert record.tables().equity["net"].to_pylist() == [12.0]
    assert pq.read_table(record.bar_file())["bar_size"].to_pylist() == ["1h", "1d", "1h"]


def test_a_run_without_any_fact_has_empty_tables():
    tables = RunRecord(1_000.0).tables()
    assert [len(getattr(tables, name)) for name in ("orders", "fills", "positions", "equity")] == [0, 0, 0, 0]


def test_bars_must_be_asked_for_and_end_with_the_file(recorded, scenario):
    with pytest.raises(ValueError, match="bars_to"):
        RunRecord(1.0).bar_file()
    record = recorded([scenario.bar("AAA", scenario.start, 1.0)])
    record.bar_file()
    record.observe(scenario.bar("AAA", scenario.start + DAY, 1.0))
    with pytest.raises(RuntimeError, match="closed"):
        record.tables()


@pytest.mark.parametrize("cash", [0.0, -1.0, float("nan")])
def test_a_run_needs_capital(cash):
    with pytest.raises(ValueError, match="initial_cash"):
        RunRecord(cash)


def kept(at, detail, **fields):
    return RiskAlert(timestamp=at, severity=AlertSeverity.WARNING, code="OPTIMIZER_KEPT", detail=detail, **fields)


def test_alerts_are_counted_by_code_with_the_first_whatever_order_they_came_in(recorded, scenario):
    at = scenario.start
    lost = RiskAlert(timestamp=at, severity=AlertSeverity.CRITICAL, code="LOST", detail="who knows", symbol="AAA")
    said = [kept(at + 2 * DAY, "net"), kept(at + DAY, "turnover"), lost, kept(at + DAY, "turnover")]
    expected = {
        "LOST": {"count": 1, "severity": "CRITICAL", "first": at.isoformat(), "detail": "AAA: who knows"},
        "OPTIMIZER_KEPT": {
            "count": 2,
            "severity": "WARNING",
            "first": (at + DAY).isoformat(),
            "detail": "turnover",
        },
    }
    assert recorded(said).alerts.by_code() == expected
    assert recorded(said[::-1]).alerts.by_code() == expected


def test_alerts_change_nothing_of_what_runs_are_compared_by(market, recorded):
    said = [kept(message.timestamp, "net") for message in market.messages[:5]]
    assert content_digests(recorded([*said, *market.messages])) == content_digests(recorded(market.messages))


@pytest.mark.parametrize("longest", [1, 2, 7, 30_000])
def test_a_run_of_bars_noted_piece_by_piece_is_what_its_messages_are_one_by_one(tmp_path, scenario, longest):
    minutes, first = 12_000, moment_of(scenario.start)
    micros = first + 60_000_000 * np.arange(minutes, dtype=np.int64)
    numbers = np.full((5, minutes), 100.0) + np.arange(minutes) % 9
    fields = {**scenario.bar("AAA", scenario.start, 1.0, "1min").__dict__}
    run = BarRun(fields, scenario.moment(scenario.start, "AAA").__dict__, micros, numbers)
    noted, observed = (RunRecord(1.0, bars_to=tmp_path / name) for name in ("noted", "observed"))
    for begin in range(0, len(run), longest):
        noted.note(run, begin, min(len(run), begin + longest))
    for message in run:
        observed.observe(message)
    assert noted.counts == observed.counts
    assert content_digests(noted) == content_digests(observed)
    assert noted.bar_file().read_bytes() == observed.bar_file().read_bytes()


def test_moments_of_a_column_are_exact_however_they_are_asked_for():
    micros = np.array([-1, 0, 1_577_836_800_000_001, 253_402_300_799_999_999], dtype=np.int64)
    column = Moments(micros.view("m8[us]"))
    expected = [EPOCH + timedelta(microseconds=each) for each in micros.tolist()]
    assert [*column] == [column[place] for place in range(4)] == expected
    assert [*column[1:3]] == expected[1:3]
    assert (column[-1], len(column)) == (expected[-1], 4)
    with pytest.raises(IndexError):
        column[4]
