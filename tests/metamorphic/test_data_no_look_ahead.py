"""Changing the input in a way that must not matter changes nothing that was published."""

from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from contracts.market import BarEvent, SliceEvent
from data_plane.composition import build_connector, build_stage
from data_plane.connectors.replay import ReplayConnector, SourceFile
from data_plane.settings import DataSettings, RowKind

BARS = Path("fixtures/bars")
SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
CUTS = (
    date(2000, 3, 1),
    date(2000, 6, 20),  # the day before a split
    date(2000, 6, 21),  # the split
    date(2003, 2, 18),  # a split, with a dividend the day after
    date(2004, 8, 18),  # the day before GOOG is listed
    date(2004, 8, 19),
    date(2004, 11, 12),  # the session before a special dividend
    date(2004, 11, 15),
    date(2012, 5, 18),
    date(2013, 2, 28),
)


def daily(folder=BARS, symbols=SYMBOLS, **changes):
    settings = {
        "sources": [{"files": [str(folder / f"{symbol}.parquet") for symbol in symbols]}],
        "symbols": symbols,
        "listings": {"GOOG": {"first": "2004-08-19"}, "FB": {"first": "2012-05-18"}},
        "actions_file": BARS / "actions.csv",
        "start": "2000-03-01",
        "end": "2013-03-01",
    }
    return DataSettings.model_validate(settings | changes)


def published(settings):
    stage = build_stage(settings)
    messages = [message for row in build_connector(settings).rows() for message in stage.handle(row)]
    return [*messages, *stage.finish()]


@pytest.fixture(scope="module")
def everything():
    return published(daily())


@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_what_was_published_before_a_cut_does_not_depend_on_what_came_after(everything, tmp_path, cut):
    for symbol in SYMBOLS:
        table = pq.read_table(BARS / f"{symbol}.parquet")
        pq.write_table(table.filter(pc.less_equal(table["timestamp"], pa.scalar(cut))), tmp_path / f"{symbol}.parquet")
    seen = published(daily(tmp_path))
    assert seen == [message for message in everything if message.timestamp.date() <= cut]


def test_actions_of_the_future_change_nothing(everything, tmp_path):
    cut = date(2004, 11, 14)
    known = [line for line in (BARS / "actions.csv").read_text().splitlines() if not line.split(",")[1] > str(cut)]
    actions = tmp_path / "actions.csv"
    actions.write_text("\n".join(["symbol,ex_date,kind,value", *known]) + "\n")
    seen = published(daily(actions_file=actions))
    assert [m for m in seen if m.timestamp.date() <= cut] == [m for m in everything if m.timestamp.date() <= cut]
    assert seen != everything


def test_missing_bars_are_told_the_same_whether_or_not_the_symbol_returns(tmp_path):
    table = pq.read_table(BARS / "IBM.parquet")
    hole = pc.or_(
        pc.less(table["timestamp"], pa.scalar(date(2001, 3, 1))),
        pc.greater(table["timestamp"], pa.scalar(date(2001, 4, 1))),
    )
    settings = {"start": "2000-03-01", "end": "2001-12-31", "symbols": ("AAPL", "IBM"), "listings": {}}
    pq.write_table(pq.read_table(BARS / "AAPL.parquet"), tmp_path / "AAPL.parquet")
    pq.write_table(table.filter(hole), tmp_path / "IBM.parquet")
    returns = published(daily(tmp_path, **settings))
    pq.write_table(table.filter(pc.less(table["timestamp"], pa.scalar(date(2001, 3, 1)))), tmp_path / "IBM.parquet")
    never = published(daily(tmp_path, **settings))
    cut = date(2001, 4, 1)
    assert [m for m in returns if m.timestamp.date() < cut] == [m for m in never if m.timestamp.date() < cut]
    assert sum(m.missing == ("IBM",) for m in never if isinstance(m, SliceEvent)) == 5


@pytest.mark.parametrize("symbols", [SYMBOLS[::-1], ("IBM", "AAPL", "MSFT", "FB", "GOOG")])
def test_order_of_files_and_of_the_universe_does_not_matter(everything, symbols):
    assert published(daily(symbols=symbols)) == everything


def test_files_and_symbols_may_be_mixed_in_one_file(everything, tmp_path):
    tables = []
    for symbol in SYMBOLS[::-1]:
        table = pq.read_table(BARS / f"{symbol}.parquet")
        tables.append(table.append_column("symbol", pa.array([symbol.lower()] * len(table))))
    pq.write_table(pa.concat_tables(tables).sort_by("timestamp"), tmp_path / "all.parquet")
    assert published(daily(sources=[{"files": [str(tmp_path / "all.parquet")]}])) == everything


@pytest.mark.parametrize("chunk_rows", [1, 7, 389, 100_000])
def test_size_of_a_chunk_does_not_matter(chunk_rows):
    files = [
        SourceFile(path=path, kind=RowKind.BARS, bar_size="1min", symbol="")
        for path in sorted(Path("fixtures/generated").glob("minute_bars_*.parquet"))
    ]
    usual = list(ReplayConnector(files).rows())
    assert list(ReplayConnector(files, chunk_rows=chunk_rows).rows()) == usual


def test_run_repeats_itself_exactly(everything):
    assert published(daily()) == everything


def test_symbol_alone_is_published_like_among_others(everything):
    alone = [m for m in published(daily(symbols=("MSFT",), listings={})) if isinstance(m, BarEvent)]
    assert alone == [m for m in everything if isinstance(m, BarEvent) and m.symbol == "MSFT"]


def test_split_told_to_the_data_plane_leaves_no_trace_in_what_it_publishes(tmp_path):
    split_at = date(2006, 7, 3)
    table = pq.read_table(BARS / "GOOG.parquet")
    later = pc.greater_equal(table["timestamp"], pa.scalar(split_at))
    halved = table
    for name in ("open", "high", "low", "close"):
        column = pc.if_else(later, pc.divide(table[name], 4.0), table[name])
        halved = halved.set_column(halved.schema.get_field_index(name), name, column)
    volume = pc.if_else(later, pc.multiply(table["volume"], 4), table["volume"])
    halved = halved.set_column(halved.schema.get_field_index("volume"), "volume", volume)
    pq.write_table(halved, tmp_path / "GOOG.parquet")
    actions = tmp_path / "actions.csv"
    actions.write_text(f"symbol,ex_date,kind,value\nGOOG,{split_at},split,4\n")
    with_split = published(daily(tmp_path, symbols=("GOOG",), listings={}, actions_file=actions))
    without = published(daily(symbols=("GOOG",), listings={}))
    assert with_split == without  # a division by four is exact


def test_later_start_changes_levels_and_not_returns(everything):
    begin = date(2004, 1, 2)
    late = [m for m in published(daily(start=begin)) if isinstance(m, BarEvent) and m.symbol == "MSFT"]
    full = [m for m in everything if isinstance(m, BarEvent) and m.symbol == "MSFT" and m.timestamp.date() >= begin]
    ratio = full[0].close / late[0].close
    assert [bar.close * ratio for bar in late] == pytest.approx([bar.close for bar in full], rel=1e-12)
    assert late[-1].timestamp - late[0].timestamp > timedelta(days=3000)
