"""Market data through the real libraries: the past into a cache, the present whole over every kind of cut."""

import time
from datetime import UTC, date, datetime, timedelta

import pytest

from data_plane.bars import TickAggregator
from data_plane.connectors.ibkr import LiveSource, SourceTerms, UnknownSymbol
from data_plane.connectors.ibkr_terms import LiveTerms
from data_plane.connectors.ibkr_trades import Building
from data_plane.connectors.port import RawBar, RawQuote, RawTick
from data_plane.connectors.replay import ReplayConnector, SourceFile
from data_plane.session_grid import SessionGrid
from data_plane.settings import RowKind
from domain.exchange_sessions import load_calendar
from ibkr_client.lifeline import Address
from ibkr_sim.synthetic_bars import minute_bars

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

OPENED = datetime(2024, 7, 10, 13, 30, tzinfo=UTC)
MONDAY, TUESDAY = date(2024, 7, 8), date(2024, 7, 9)
CUTS = [
    {"do": "drop_link", "seconds": 1.0},
    {"do": "connectivity", "seconds": 1.0, "data": "kept"},
    {"do": "connectivity", "seconds": 1.0, "data": "lost"},
    {"do": "nightly_reset", "seconds": 1.0},
]


@pytest.fixture
def connect(ibkr_library, tmp_path):
    made = []

    def connected(simulator, *symbols, bar_size="1min", building=None, **changes):
        address = Address("127.0.0.1", simulator.port, 8 + len(made), first_wait=0.05, patience=10.0)
        live = LiveTerms(symbols or ("AAPL",), bar_size, apart_seconds=2.0)
        source = LiveSource(
            address, SourceTerms(live, tmp_path / "cache", building=building, **changes), ibkr_library.__name__
        )
        made.append(source)
        return source

    yield connected
    for source in made:
        source.close()


@pytest.fixture
def building():
    grid = SessionGrid(load_calendar("XNYS", date(2024, 7, 1), date(2024, 7, 31)), "1min")
    return Building(grid, TickAggregator(grid, "1min"))


def fetched(source, first=MONDAY):
    steps = [step for step in source.backfill(first) if step.done]
    return steps, list(source.past(first).rows())


def truth(symbol, seed=7):
    """The simulator's own bars, by their close."""
    return {
        datetime.fromtimestamp(bar.start, UTC) + timedelta(minutes=1): (
            bar.open,
            bar.high,
            bar.low,
            bar.close,
            bar.volume,
        )
        for bar in minute_bars(symbol, seed)
    }


def test_the_rows_are_those_that_the_gateway_plays(simulator, connect):
    _, rows = fetched(connect(simulator, "AAPL", "MSFT"))
    assert len(rows) == 2 * 2 * 390
    markets = {symbol: truth(symbol) for symbol in ("AAPL", "MSFT")}
    assert all(row[2:7] == markets[row.symbol][row.timestamp] for row in rows)
    assert rows == sorted(rows, key=lambda row: (row.timestamp, row.symbol))


def test_the_rows_are_those_of_a_replay_of_the_same_bars(simulator, connect, tmp_path):
    _, rows = fetched(connect(simulator))
    paths = sorted(tmp_path.glob("cache/simulator-*/1min/*"))
    files = [SourceFile(path, RowKind.BARS, "1min", "AAPL") for path in paths]
    assert rows == list(ReplayConnector(files, MONDAY, TUESDAY).rows())


def test_daily_bars_bear_their_trading_day(simulator, connect):
    _, rows = fetched(connect(simulator, bar_size="1d"))
    assert [row.timestamp for row in rows] == [MONDAY, TUESDAY]


def test_what_is_in_the_cache_is_not_asked_for_again(simulator, connect):
    source = connect(simulator, bar_size="30s", pause=0.0)
    steps, first = fetched(source)
    simulator.fault(do="pacing_violation", times=100)
    again, second = fetched(source)
    assert second == first
    assert len(first) == 2 * 780
    assert [(step.done, step.of, step.symbols, step.bars) for step in steps] == [(1, 2, 0, 780), (2, 2, 1, 1560)]
    assert [step.bars for step in again] == [0, 0]


def test_a_pacing_error_is_waited_out_and_the_wait_is_told(simulator, connect):
    simulator.fault(do="pacing_violation", times=2)
    source = connect(simulator, pause=0.4)
    steps = list(source.backfill(MONDAY))
    assert len(list(source.past(MONDAY).rows())) == 780
    assert max(step.held_back for step in steps) > 0


def test_windows_of_many_symbols_come_in_turn_and_are_counted(simulator, connect):
    symbols = ("AAPL", "GOOG", "IBM", "MSFT", "SPY")
    steps, rows = fetched(connect(simulator, *symbols), date(2024, 6, 24))
    assert [(step.done, step.symbol) for step in steps] == [
        (number, symbols[(number - 1) // 4]) for number in range(1, 21)
    ]
    assert (steps[-1].symbols, steps[-1].of_symbols, steps[-1].bars) == (5, 5, len(rows))
    markets = {symbol: truth(symbol) for symbol in symbols}
    assert len(rows) == 5 * 780
    assert all(row[2:7] == markets[row.symbol][row.timestamp] for row in rows)


def test_a_connection_that_is_lost_during_a_back_fill_is_waited_for(simulator, connect):
    simulator.fault(do="drop_link", on="reqHistoricalData", seconds=0.5)
    source = connect(simulator)
    assert len(fetched(source)[1]) == 780
    assert source.connects == 2


def test_days_without_bars_are_an_empty_answer_and_an_unknown_symbol_is_none(simulator, connect):
    _, rows = fetched(connect(simulator), date(2024, 6, 3))
    assert [row.timestamp.date() for row in rows[::390]] == [MONDAY, TUESDAY]
    with pytest.raises(UnknownSymbol, match="NOPE"):
        connect(simulator, "AAPL", "NOPE")


def gather(source, count, seconds=40):
    """Batches from the source until they hold ``count`` bars more."""
    rows, through, deadline = [], [], time.monotonic() + seconds
    while sum(isinstance(row, RawBar) for row in rows) < count:
        assert time.monotonic() < deadline, rows[-3:]
        for batch in source.batches(0.2):
            rows += batch.rows
            through.append(batch.through)
            assert all(row.timestamp <= batch.through for row in batch.rows if isinstance(row, RawBar))
    assert through == sorted(through)
    return rows


def check_bars(rows, symbols, begin):
    """Every bar of every symbol once, by time and then symbol, as the market had it."""
    bars = [row for row in rows if isinstance(row, RawBar)]
    moments = [begin + timedelta(minutes=1 + number // len(symbols)) for number in range(len(bars))]
    assert [(row.timestamp, row.symbol) for row in bars] == [
        (at, symbols[number % len(symbols)]) for number, at in enumerate(moments)
    ]
    markets = {symbol: truth(symbol) for symbol in symbols}
    assert [row[2:7] for row in bars] == [markets[row.symbol][row.timestamp] for row in bars]


@pytest.mark.slow
@pytest.mark.parametrize("from_trades", [False, True], ids=["updates", "trades"])
def test_every_bar_comes_once_and_in_order_over_every_kind_of_cut(simulate, connect, building, from_trades):
    simulator = simulate("--speed", "60")
    symbols = ("AAPL", "MSFT")
    source = connect(simulator, *symbols, building=building if from_trades else None)
    source.begin(dict.fromkeys(symbols, OPENED))
    rows = gather(source, 4)
    for cut in CUTS:
        simulator.fault(**cut)
        rows += gather(source, 8)
    check_bars(rows, symbols, OPENED)
    assert source.connects == 3


@pytest.mark.slow
def test_small_bars_come_once_and_keep_to_the_pacing_rules_over_a_cut(simulate, connect):
    simulator = simulate("--speed", "20")
    symbols = ("AAPL", "MSFT")
    source = connect(simulator, *symbols, bar_size="30s")
    source.begin(dict.fromkeys(symbols, OPENED))
    rows = gather(source, 2)
    simulator.fault(do="connectivity", seconds=1.0, data="kept")
    rows += gather(source, 20)
    bars = [(row.timestamp, row.symbol) for row in rows]
    assert bars == [
        (OPENED + timedelta(seconds=30 * (1 + place // 2)), symbols[place % 2]) for place in range(len(bars))
    ]
    assert source.heard[162] == 0


@pytest.mark.slow
@pytest.mark.parametrize("farm", [0.5, 1.0, 1.5], ids=["before", "with", "after"])
def test_bars_from_trades_are_whole_on_every_line_whenever_their_farm_comes_back(simulate, connect, building, farm):
    simulator = simulate("--speed", "60")
    symbols = ("AAPL", "GOOG", "IBM", "MSFT", "SPY")  # as many as there are lines
    source = connect(simulator, *symbols, building=building)
    source.begin(dict.fromkeys(symbols, OPENED))
    rows = gather(source, 5)
    for _ in range(2):
        simulator.fault(do="connectivity", seconds=1.0, data="kept")
        time.sleep(farm)
        simulator.fault(do="notice", code=2104, text="Market data farm connection is OK:usfarm")
        rows += gather(source, 15)
    check_bars(rows, symbols, OPENED)
    assert source.heard[10190] == 0


def test_trades_themselves_are_told_besides_their_bars(simulate, connect, building):
    source = connect(simulate("--speed", "30"), building=building)
    source.begin({"AAPL": OPENED})
    rows = gather(source, 3)
    trades = [row for row in rows if isinstance(row, RawTick)]
    bar = [row for row in rows if isinstance(row, RawBar)][-1]
    inside = [row for row in trades if bar.timestamp - timedelta(minutes=1) <= row.timestamp < bar.timestamp]
    assert (inside[0].price, inside[-1].price) == (bar.open, bar.close)
    assert sum(row.size for row in inside) == bar.volume


@pytest.mark.parametrize(
    ("permission", "delayed", "told"), [("live", False, True), ("delayed", True, True), ("delayed", False, False)]
)
def test_quotes_come_live_or_delayed_as_far_as_they_are_allowed(simulate, connect, permission, delayed, told):
    simulator = simulate("--market-data", permission, "--start", "20240710 11:00:00")
    source = connect(simulator, quotes=True, delayed=delayed)
    source.begin({})
    deadline, quotes = time.monotonic() + (10 if told else 2), []
    while len(quotes) < 3 and time.monotonic() < deadline:
        quotes += [row for batch in source.batches(0.2) for row in batch.rows if isinstance(row, RawQuote)]
    assert bool(quotes) is told
    for quote in quotes:
        assert 0 < quote.bid_price < quote.ask_price
        assert min(quote.bid_size, quote.ask_size) > 0
    moments = [quote.timestamp for quote in quotes]
    assert moments == sorted(moments)


def test_a_bar_size_that_does_not_close_on_the_grid_is_refused(simulator, connect):
    source = connect(simulator, bar_size="1h")
    with pytest.raises(ValueError, match="30min"):
        fetched(source)
