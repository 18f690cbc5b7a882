"""What holds of the data plane whatever it is told."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.codec import decode, encode
from contracts.market import BarEvent, SliceEvent, TickType
from data_plane.bars import TickAggregator
from data_plane.composition import build_stage
from data_plane.connectors.merge import merged
from data_plane.connectors.port import BadRow, Chunk, RawBar, RawQuote, RawTick
from data_plane.session_grid import SessionGrid
from data_plane.settings import DataSettings
from domain.exchange_sessions import load_calendar

OPEN = datetime(2024, 7, 1, 13, 30, tzinfo=UTC)
CALENDAR = load_calendar("XNYS", date(2024, 7, 1), date(2024, 7, 5))
SETTINGS = DataSettings(
    sources=[{"files": ["unused"]}],
    bar_size="1min",
    symbols=["A", "B"],
    start="2024-07-01",
    end="2024-07-05",
    gates={"stale_repeats": 3, "outlier_return": 0.5},
)

numbers = st.one_of(st.sampled_from([100.0, 100.0, 100.0, 101.0, 99.0, 30.0, 400.0]), st.floats())
moments = st.integers(-2, 400).map(lambda minute: OPEN + timedelta(minutes=minute))
names = st.sampled_from(["A", "A", "B", " b", "C", "", "two words"])
bars = st.builds(
    RawBar, names, moments, numbers, numbers, numbers, numbers, numbers, st.sampled_from(["1min", "1min", "1d"]),
    st.just("s"), st.integers(1, 9),
)  # fmt: skip
ticks = st.builds(RawTick, names, moments, numbers, numbers, st.sampled_from(TickType), st.just("s"), st.integers(1, 9))
quotes = st.builds(RawQuote, names, moments, numbers, numbers, numbers, numbers, st.just("s"), st.integers(1, 9))
bad_rows = st.builds(BadRow, st.just("s"), st.integers(1, 9), st.just("broken"))


@st.composite
def walks(draw):
    """Mostly good bars of two symbols, minute by minute, with faults strewn in."""
    rows = []
    for minute in range(1, draw(st.integers(1, 25))):
        for symbol in draw(st.sampled_from(["A", "B", "AB", "AB", "BA"])):
            close = draw(st.sampled_from([100.0, 101.0, 102.0, 102.0, 151.0, 300.0]))
            low, high = draw(st.sampled_from([(1.0, 1.0), (0.9, 1.1), (0.4, 1.0), (1.1, 1.2)]))
            at = OPEN + timedelta(minutes=draw(st.sampled_from([minute, minute, minute, minute - 1, minute + 3])))
            volume = draw(st.sampled_from([1.0, 1.0, 2.0, -1.0]))
            rows.append(RawBar(symbol, at, close, close * high, close * low, close, volume, "1min", "s", len(rows)))
    return rows


@settings(deadline=None)
@given(st.lists(st.one_of(bars, ticks, quotes, bad_rows), max_size=60))
def test_no_row_raises_and_every_message_meets_its_contract(rows):
    findings = []
    stage = build_stage(SETTINGS, findings.append)
    messages = [message for row in rows for message in stage.handle(row)]
    messages += stage.finish()
    assert [decode(encode(message)) for message in messages] == messages
    assert stage.quarantined.total() == sum(finding.refused for finding in findings)


@settings(deadline=None)
@given(st.lists(bars, max_size=40))
def test_every_bar_is_published_or_refused_or_ignored(rows):
    stage = build_stage(SETTINGS)
    messages = [message for row in rows for message in stage.handle(row)]
    published = sum(isinstance(message, BarEvent) for message in messages)
    assert published + stage.quarantined.total() + stage.ignored == len(rows)


@settings(deadline=None)
@given(walks())
def test_short_cut_never_decides_otherwise_than_the_gates(rows):
    quick, slow = build_stage(SETTINGS), build_stage(SETTINGS)
    for row in rows:
        for history in slow._bars.histories.values():
            history.due = None
        assert list(quick.handle(row)) == list(slow.handle(row))
    assert quick.quarantined == slow.quarantined
    assert quick.noticed == slow.noticed


@settings(deadline=None)
@given(walks())
def test_each_slice_names_exactly_the_bars_of_its_moment_and_time_never_goes_back(rows):
    stage = build_stage(SETTINGS)
    messages = [message for row in rows for message in stage.handle(row)]
    messages += stage.finish()
    at_hand, last = [], OPEN
    for message in messages:
        if isinstance(message, SliceEvent):
            assert message.timestamp > last
            assert list(message.symbols) == sorted(at_hand)
            assert not set(message.symbols) & set(message.missing)
            at_hand, last = [], message.timestamp
        else:
            assert message.timestamp > last
            at_hand.append(message.symbol)
    assert at_hand == []


trades = st.lists(
    st.tuples(st.integers(0, 3600 * 10), st.sampled_from("AB"), st.floats(1, 1000), st.integers(1, 1000).map(float)),
    min_size=1,
    max_size=80,
)


@settings(deadline=None)
@given(trades, st.sampled_from(["1s", "7min", "1h", "1d"]))
def test_bars_conserve_their_trades(told, size):
    grid = SessionGrid(CALENDAR, size)
    aggregator = TickAggregator(grid, size)
    rows, by_bar = [], {}
    for tenths, symbol, price, units in sorted(told):
        tick = RawTick(symbol, OPEN + timedelta(seconds=tenths / 10), price, units, TickType.TRADE, "s", 1)
        rows += aggregator.add(tick)
        by_bar.setdefault((symbol, grid.interval(tick.timestamp).end), []).append(tick)
    rows += aggregator.expire(OPEN + timedelta(days=1))
    assert sum(row.volume for row in rows) == sum(units for *_, units in told)
    assert {(row.symbol, row.timestamp) for row in rows} == set(by_bar)
    for row in rows:
        prices = [tick.price for tick in by_bar[row.symbol, row.timestamp]]
        assert row[2:6] == (prices[0], max(prices), min(prices), prices[-1])


@st.composite
def files(draw):
    """Several files of (moment, symbol) rows, not all in order, each cut into chunks at random."""
    made = []
    for number in range(draw(st.integers(1, 4))):
        rows = draw(st.lists(st.tuples(st.integers(0, 20), st.sampled_from("AB")), max_size=30))
        made.append([(moment, symbol, number, place) for place, (moment, symbol) in enumerate(rows)])
    return made


def _chunks(rows, size):
    for begin in range(0, len(rows), size):
        part = rows[begin : begin + size]
        moments = np.array([moment for moment, *_ in part], dtype=np.int64)
        yield Chunk(None, (part,), moments, [symbol for _, symbol, *_ in part])


@settings(deadline=None)
@given(files(), st.integers(1, 12))
def test_merged_order_is_that_of_one_sort_however_files_are_cut(given_files, size):
    expected = []
    for rows in given_files:
        latest = -1
        for row in rows:
            latest = max(latest, row[0])
            expected.append(((latest, row[1], row[2], row[3]), row))
    blocks = merged([_chunks(rows, size) for rows in given_files])
    merged_rows = [row for block in blocks for row in (block.rows() if isinstance(block, Chunk) else block)]
    assert merged_rows == [row for _, row in sorted(expected)]
