from datetime import UTC, datetime, timedelta

import pytest

from contracts.codec import decode, encode
from contracts.market import BarEvent, OFIEvent, SliceEvent, TickEvent, TickType
from data_plane.composition import build_connector, build_stage
from data_plane.connectors.port import BadRow, RawQuote, RawTick
from data_plane.quality import Reason
from data_plane.settings import DataSettings

OPEN = datetime(2024, 7, 1, 13, 30, tzinfo=UTC)


def tick(seconds, price=100.0, size=1.0, symbol="A", kind=TickType.TRADE):
    return RawTick(symbol, OPEN + timedelta(seconds=seconds), price, size, kind, "ticks", 1)


def quote(seconds, bid=99.0, ask=101.0, bid_size=5.0, ask_size=5.0, symbol="A"):
    return RawQuote(symbol, OPEN + timedelta(seconds=seconds), bid, bid_size, ask, ask_size, "quotes", 1)


def kinds(messages):
    return [type(message).__name__ for message in messages]


def test_real_bars_pass_every_gate_and_give_a_slice_a_session():
    settings = DataSettings(
        sources=[{"files": ["fixtures/bars/*.parquet"]}],
        symbols=["AAPL", "FB", "GOOG", "IBM", "MSFT"],
        listings={"GOOG": {"first": "2004-08-19"}, "FB": {"first": "2012-05-18"}},
        actions_file="fixtures/bars/actions.csv",
        start="2000-03-01",
        end="2013-03-01",
    )
    stage = build_stage(settings)
    messages = [message for row in build_connector(settings).rows() for message in stage.handle(row)]
    assert stage.finish() == ()
    assert kinds(messages).count("BarEvent") == 3 * 3270 + 2148 + 196
    assert kinds(messages).count("SliceEvent") == 3270
    assert not any(message.missing for message in messages if isinstance(message, SliceEvent))
    assert not stage.quarantined
    assert not stage.noticed
    assert all(decode(encode(message)) == message for message in messages)


def test_row_that_could_not_be_read_is_a_finding_and_the_run_goes_on(start):
    run = start(symbols=["A"])
    assert run.tell(BadRow("bars.csv", 17, "close is not a number")) == ()
    assert [(f.source, f.line, f.reason) for f in run.findings] == [("bars.csv", 17, Reason.SCHEMA)]
    assert kinds(run.bar(1)) == ["BarEvent", "SliceEvent"]


def test_trades_become_ticks_and_bars_and_slices(start):
    run = start(symbols=["A"])
    assert kinds(run.tell(tick(1))) == ["TickEvent"]
    assert kinds(run.tell(tick(61, 101.0))) == ["BarEvent", "SliceEvent", "TickEvent"]
    assert kinds(run.stage.finish()) == ["BarEvent", "SliceEvent"]


def test_clock_ends_bars_built_here_after_the_grace(start):
    run = start(symbols=["A"], grace_seconds=2)
    run.tell(tick(1))
    assert run.stage.on_time(OPEN + timedelta(seconds=61)) == ()
    assert kinds(run.stage.on_time(OPEN + timedelta(seconds=62))) == ["BarEvent", "SliceEvent"]


def test_quotes_become_both_sides_and_order_flow(start):
    run = start(symbols=["A"])
    told = run.tell(quote(1))
    assert [(t.tick_type, t.price) for t in told] == [(TickType.BID, 99.0), (TickType.ASK, 101.0)]
    told = run.tell(quote(60, bid_size=9.0))
    assert kinds(told) == ["OFIEvent", "TickEvent", "TickEvent"]
    assert isinstance(told[0], OFIEvent)


def test_order_flow_is_out_before_the_bar_that_ends_after_it(start):
    run = start(symbols=["A"], aggregate=False, publish_ticks=False)
    run.tell(quote(1))
    assert kinds(run.bar(3)) == ["OFIEvent", "BarEvent", "SliceEvent"]
    other = start(symbols=["A"], publish_ticks=False)
    other.tell(quote(1))
    other.tell(tick(2))
    assert kinds(other.tell(tick(61, 101.0))) == ["OFIEvent", "BarEvent", "SliceEvent"]


def test_ticks_need_not_be_published_nor_bars_built_nor_flow_summed(start):
    run = start(symbols=["A"], publish_ticks=False, aggregate=False, order_flow_interval=None)
    for row in (tick(1), quote(1), tick(61), quote(61)):
        assert run.tell(row) == ()
    assert run.stage.finish() == ()


def test_sides_of_the_book_told_as_ticks_make_no_bar(start):
    run = start(symbols=["A"])
    run.tell(tick(1, kind=TickType.BID))
    assert run.stage.finish() == ()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (tick(2, price=0.0), "SCHEMA"),
        (tick(2, price=float("nan")), "SCHEMA"),
        (tick(2, size=-1.0), "SCHEMA"),
        (tick(2, symbol="two words"), "SCHEMA"),
        (tick(0.5), "OUT_OF_ORDER"),
        (tick(-1), "NOT_A_SESSION"),
        (tick(2, price=161.0), "OUTLIER"),
        (quote(2, bid=101.01), "CROSSED"),
        (quote(2, bid=float("inf")), "SCHEMA"),
        (quote(2, ask_size=float("nan")), "SCHEMA"),
        (quote(0.5), "OUT_OF_ORDER"),
        (quote(24 * 3600 * 4), None),
        (quote(24 * 3600 * 5), "NOT_A_SESSION"),
        (quote(2, bid=200.0, ask=201.0), "OUTLIER"),
        (quote(2, bid=101.0), None),
        (tick(2, price=160.0), None),
        (tick(1), None),
    ],
)
def test_gates_of_trades_and_quotes(start, row, reason):
    run = start(symbols=["A"])
    run.tell(tick(1))
    run.tell(quote(1))
    run.tell(row)
    assert run.reasons == ([] if reason is None else [reason])


def test_second_trade_at_a_new_level_confirms_it(start):
    run = start(symbols=["A"])
    for n, price in enumerate((100.0, 10.0, 10.1, 10.2)):
        run.tell(tick(n, price))
    assert run.reasons == ["OUTLIER"]


def test_trade_older_than_a_closed_bar_of_its_symbol_is_out_of_order(start):
    run = start(symbols=["A", "B"])
    run.tell(tick(1, symbol="A"))
    run.tell(tick(61, symbol="A"))
    run.tell(tick(59, symbol="B"))
    assert run.reasons == ["OUT_OF_ORDER"]


def test_rows_of_symbols_nobody_asked_for_are_counted_and_rows_before_a_listing_refused(start):
    run = start(symbols=["A"], listings={"A": {"first": "2024-07-02"}})
    run.tell(tick(1, symbol="Z"))
    run.tell(quote(1, symbol="Z"))
    run.tell(tick(1))
    run.tell(quote(1))
    assert run.stage.ignored == 2
    assert run.reasons == ["NOT_LISTED"] * 2


def test_trades_and_their_bars_are_adjusted_alike(start, tmp_path):
    actions = tmp_path / "actions.csv"
    actions.write_text("symbol,ex_date,kind,value\nA,2024-07-02,split,2\nA,2024-07-02,dividend,1\n")
    run = start(symbols=["A"], actions_file=actions)
    day = 24 * 3600
    for row in (tick(1, 100.0, 8.0), tick(day + 1, 49.0, 8.0), quote(1, 99.0, 101.0), quote(day + 1, 48.0, 50.0)):
        run.tell(row)
    run.published += run.stage.finish()
    trades = [m for m in run.published if isinstance(m, TickEvent) and m.tick_type is TickType.TRADE]
    bars = [m for m in run.published if isinstance(m, BarEvent)]
    factor = 2 * 50 / 49
    assert [t.price for t in trades] == pytest.approx([100.0, 49.0 * factor])
    assert [t.size for t in trades] == [8.0, 4.0]
    assert [(b.close, b.volume) for b in bars] == [(t.price, t.size) for t in trades]
    asks = [m.price for m in run.published if isinstance(m, TickEvent) and m.tick_type is TickType.ASK]
    assert asks == pytest.approx([101.0, 50.0 * factor])
