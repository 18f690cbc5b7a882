"""Bars through the real libraries: the past into a cache, the present whole over every kind of cut."""

import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest

from data_plane.connectors.ibkr import LiveSource, Wanted, backfill
from data_plane.connectors.port import RawBar
from data_plane.connectors.replay import ReplayConnector, SourceFile
from data_plane.settings import RowKind
from ibkr_client.inbox import RequestRefused
from ibkr_client.lifeline import Address
from ibkr_sim.synthetic_bars import minute_bars

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

TODAY = date(2024, 7, 10)


def wanted(*symbols, bar_size="1min", first=date(2024, 7, 8), last=date(2024, 7, 9)):
    return Wanted(symbols or ("AAPL",), bar_size, first, last, TODAY)


@pytest.fixture
def fetch(ibkr_library, tmp_path):
    def fetched(simulator, asked, **options):
        address = Address("127.0.0.1", simulator.port, 9, first_wait=0.05)
        return backfill(address, {}, asked, tmp_path / "cache", library=ibkr_library.__name__, **options)

    return fetched


def test_the_rows_are_those_that_the_gateway_plays(simulator, fetch):
    rows = [row for row in fetch(simulator, wanted("AAPL", "MSFT")).rows() if isinstance(row, RawBar)]
    assert len(rows) == 2 * 2 * 390
    truth = {
        (symbol, datetime.fromtimestamp(bar.start, UTC) + timedelta(minutes=1)): bar
        for symbol in ("AAPL", "MSFT")
        for bar in minute_bars(symbol, 7)
    }
    for row in rows:
        bar = truth[row.symbol, row.timestamp]
        assert row[2:7] == (bar.open, bar.high, bar.low, bar.close, bar.volume)
    assert rows == sorted(rows, key=lambda row: (row.timestamp, row.symbol))


def test_the_rows_are_those_of_a_replay_of_the_same_bars(simulator, fetch, tmp_path):
    connector = fetch(simulator, wanted())
    again = ReplayConnector(
        [SourceFile(path, RowKind.BARS, "1min", "AAPL") for path in sorted((tmp_path / "cache" / "1min").iterdir())],
        date(2024, 7, 8),
        date(2024, 7, 9),
    )
    assert list(connector.rows()) == list(again.rows())


def test_daily_bars_bear_their_trading_day(simulator, fetch):
    rows = list(fetch(simulator, wanted(bar_size="1d")).rows())
    assert [row.timestamp for row in rows] == [date(2024, 7, 8), date(2024, 7, 9)]


def test_what_is_in_the_cache_is_not_asked_for_again(simulator, fetch):
    steps = []
    asked = wanted(bar_size="30s", first=date(2024, 7, 8), last=date(2024, 7, 8))
    first = list(fetch(simulator, asked, progress=lambda *step: steps.append(step)).rows())
    simulator.fault(do="pacing_violation", times=100)
    assert list(fetch(simulator, asked, pause=0.0).rows()) == first
    assert len(first) == 780
    assert steps == [(1, 1, "AAPL")]


def test_a_pacing_error_is_waited_out(simulator, fetch):
    simulator.fault(do="pacing_violation", times=2)
    assert len(list(fetch(simulator, wanted(), pause=0.05).rows())) == 780


def test_days_without_bars_are_an_empty_answer_and_an_unknown_symbol_is_none(simulator, fetch):
    assert list(fetch(simulator, wanted(first=date(2024, 6, 3), last=date(2024, 6, 4))).rows()) == []
    with pytest.raises(RequestRefused, match="200"):
        fetch(simulator, wanted("NOPE"))


@pytest.fixture
def live(ibkr_library):
    made = []

    def start(simulator, symbols=("AAPL",), newest=None):
        address = Address("127.0.0.1", simulator.port, 8, first_wait=0.05, patience=3.0)
        clock = datetime(2024, 7, 10, 13, 30, tzinfo=UTC)
        source = LiveSource(address, {}, symbols, "1min", lambda: clock, newest, ibkr_library.__name__)
        made.append(source)
        return source

    yield start
    for source in made:
        source.close()


def gather(source, until, seconds=30):
    """Rows from the source until one closes at or after ``until``."""
    rows, deadline = [], time.monotonic() + seconds
    while not (rows and rows[-1].timestamp >= until):
        assert time.monotonic() < deadline, rows[-3:]
        rows += source.rows(0.2)
    return rows


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        None,
        {"do": "drop_link", "seconds": 1.0},
        {"do": "connectivity", "seconds": 1.0, "data": "kept"},
        {"do": "connectivity", "seconds": 1.0, "data": "lost"},
        {"do": "nightly_reset", "seconds": 1.0},
    ],
)
def test_every_bar_comes_once_and_in_order_over_every_kind_of_cut(simulate, live, fault):
    simulator = simulate("--speed", "60")
    opened = datetime(2024, 7, 10, 13, 30, tzinfo=UTC)
    source = live(simulator, newest={"AAPL": opened})
    rows = gather(source, opened + timedelta(minutes=2))
    if fault is not None:
        simulator.fault(**fault)
    rows += gather(source, rows[-1].timestamp + timedelta(minutes=7))
    times = [row.timestamp for row in rows]
    assert times == [opened + timedelta(minutes=number) for number in range(1, len(rows) + 1)]
    truth = {datetime.fromtimestamp(bar.start, UTC) + timedelta(minutes=1): bar for bar in minute_bars("AAPL", 7)}
    assert Counter(row[2:7] for row in rows) == Counter(
        (bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in map(truth.__getitem__, times)
    )


def test_a_bar_size_that_does_not_close_on_the_grid_is_refused(simulator, fetch):
    with pytest.raises(ValueError, match="30min"):
        fetch(simulator, wanted(bar_size="1h"))
