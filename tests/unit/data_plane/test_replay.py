import gzip
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contracts.market import TickType
from data_plane.connectors.port import BadRow, RawBar, RawQuote, RawTick
from data_plane.connectors.replay import ReplayConnector, SourceFile, UnreadableSourceError
from data_plane.settings import RowKind

HEADER = "symbol,timestamp,open,high,low,close,volume\n"
NUMBERS = "1.0,2.0,0.5,1.5,10"


def source(path: Path, kind: RowKind = RowKind.BARS, **changes: object) -> SourceFile:
    return SourceFile(path=path, kind=kind, **({"bar_size": "1min", "symbol": path.name.split(".")[0]} | changes))


def csv_rows(tmp_path, text, kind=RowKind.BARS, **changes):
    path = tmp_path / "X.csv"
    path.write_text(text)
    return list(ReplayConnector([source(path, kind, **changes)]).rows())


def test_csv_bar_has_its_time_in_utc_and_its_line(tmp_path):
    rows = csv_rows(tmp_path, HEADER + f"A,2024-07-01T09:31:00-04:00,{NUMBERS}\n")
    assert rows == [RawBar("A", datetime(2024, 7, 1, 13, 31, tzinfo=UTC), 1.0, 2.0, 0.5, 1.5, 10.0, "1min", "X.csv", 2)]
    assert rows[0].timestamp.tzinfo is UTC


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("A,2024-07-01T13:32:00Z,1.0,n/a,0.5,1.5,10", "high is not a number"),
        ("A,2024-07-01T13:32:00Z,1.0,,0.5,1.5,10", "high is not a number"),
        ("A,2024-07-01T13:32:00Z,1.0,1_0,0.5,1.5,10", "high is not a number"),
        ("A,2024-07-01T13:32:00Z,1.0,\uff11\uff12,0.5,1.5,10", "high is not a number"),
        ("A,2024-07-01T13:32:00Z,1.0,2.0", "cells"),
        ("A,2024-07-01T13:32:00Z,1.0,2.0,0.5,1.5,10,7", "cells"),
        ("A,yesterday,1.0,2.0,0.5,1.5,10", "timestamp"),
        ("A,2024-13-01T13:32:00Z,1.0,2.0,0.5,1.5,10", "timestamp"),
        ("A,1719840720,1.0,2.0,0.5,1.5,10", "timestamp"),
    ],
)
def test_bad_csv_line_is_told_with_its_number_and_the_others_are_read(tmp_path, line, reason):
    good = [f"A,2024-07-01T13:3{minute}:00Z,{NUMBERS}" for minute in (1, 3)]
    rows = csv_rows(tmp_path, HEADER + "\n".join([good[0], line, good[1]]) + "\n")
    assert [type(row) for row in rows] == [RawBar, BadRow, RawBar]
    assert [row.line for row in rows] == [2, 3, 4]
    assert reason in rows[1].reason
    assert line.split(",")[3] not in rows[1].reason or not line.split(",")[3]


def test_lines_are_those_of_the_file_though_some_are_blank_or_continued(tmp_path):
    text = HEADER + f'\nA,2024-07-01T13:31:00Z,{NUMBERS}\n"A\nB",2024-07-01T13:32:00Z,{NUMBERS}\nA,bad,{NUMBERS}\n'
    assert [row.line for row in csv_rows(tmp_path, text)] == [3, 5, 6]


def test_csv_without_symbol_or_with_other_names_of_columns(tmp_path):
    text = "Date,Open,High,Low,Last,Volume,Note\n2024-07-01,1.0,2.0,0.5,1.5,10,x\n"
    names = {"timestamp": "Date", "open": "Open", "high": "High", "low": "Low", "close": "Last", "volume": "Volume"}
    rows = csv_rows(tmp_path, text, columns=names, bar_size="1d")
    assert rows == [RawBar("X", date(2024, 7, 1), 1.0, 2.0, 0.5, 1.5, 10.0, "1d", "X.csv", 2)]


def test_gzipped_csv_with_byte_order_mark_is_read(tmp_path):
    path = tmp_path / "X.csv.gz"
    path.write_bytes(gzip.compress(("\ufeff" + HEADER + f"A,2024-07-01T13:31:00Z,{NUMBERS}\n").encode()))
    assert [row.symbol for row in ReplayConnector([source(path)]).rows()] == ["A"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_local_times_and_times_at_the_open_become_utc_closes(tmp_path, suffix):
    path = tmp_path / f"X{suffix}"
    if suffix == ".csv":
        path.write_text(HEADER + f"A,2024-07-01T09:30:00,{NUMBERS}\n")
    else:
        stamps = pa.array([datetime(2024, 7, 1, 9, 30)], pa.timestamp("ns"))  # noqa: DTZ001
        numbers = {name: [1.0] for name in ("open", "high", "low", "close", "volume")}
        pq.write_table(pa.table({"symbol": ["A"], "timestamp": stamps} | numbers), path)
    read = ReplayConnector([source(path, timezone="America/New_York", stamped_at_open=True)]).rows()
    stamp = next(read).timestamp
    assert stamp == datetime(2024, 7, 1, 13, 31, tzinfo=UTC)
    assert stamp.tzinfo is UTC


def test_ticks_and_quotes_of_csv(tmp_path):
    ticks = (
        "timestamp,price,size,tick_type\n2024-07-01T13:31:00.000001Z,1.5,10,LAST\n2024-07-01T13:32:00Z,1.5,10,GUESS\n"
    )
    good, bad = csv_rows(tmp_path, ticks, RowKind.TICKS)
    assert good == RawTick("X", datetime(2024, 7, 1, 13, 31, 0, 1, tzinfo=UTC), 1.5, 10.0, TickType.LAST, "X.csv", 2)
    assert "tick_type" in bad.reason
    quotes = "timestamp,bid_price,bid_size,ask_price,ask_size\n2024-07-01T13:31:00Z,1.5,10,1.6,20\n2024-07-01,1,1,2,1\n"
    good, bad = csv_rows(tmp_path, quotes, RowKind.QUOTES)
    assert good == RawQuote("X", datetime(2024, 7, 1, 13, 31, tzinfo=UTC), 1.5, 10.0, 1.6, 20.0, "X.csv", 2)
    assert "timestamp" in bad.reason


def test_parquet_row_without_a_time_or_with_an_unknown_type_is_told_and_a_missing_number_left_to_the_gates(tmp_path):
    path = tmp_path / "X.parquet"
    at = datetime(2024, 7, 1, 13, 31, tzinfo=UTC)
    table = {
        "timestamp": pa.array([at, None, at, at], pa.timestamp("us", "UTC")),
        "price": [1.0, 2.0, None, 4.0],
        "size": [1, 1, 1, 1],
        "tick_type": ["TRADE", "TRADE", "TRADE", "GUESS"],
    }
    pq.write_table(pa.table(table), path)
    rows = list(ReplayConnector([source(path, RowKind.TICKS)]).rows())
    assert sorted((row.line, type(row)) for row in rows if isinstance(row, BadRow)) == [(2, BadRow), (4, BadRow)]
    assert [row.line for row in rows if isinstance(row, RawTick)] == [1, 3]


def test_period_is_cut_to_the_days_asked_for(tmp_path):
    path = tmp_path / "X.csv"
    days = ("2024-06-30", "2024-07-01", "2024-07-02", "2024-07-03")
    path.write_text(HEADER + "".join(f"A,{day},{NUMBERS}\n" for day in days) + "A,bad,1,1,1,1,1\n")
    rows = ReplayConnector([source(path, bar_size="1d")], date(2024, 7, 1), date(2024, 7, 2)).rows()
    assert [row.line for row in rows] == [3, 4, 6]


def test_row_out_of_order_keeps_its_place_in_its_file(tmp_path):
    path = tmp_path / "X.csv"
    path.write_text(HEADER + "".join(f"A,2024-07-01T13:3{m}:00Z,{NUMBERS}\n" for m in (1, 3, 2, 4)))
    assert [row.line for row in ReplayConnector([source(path)]).rows()] == [2, 3, 4, 5]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("X.csv", "", "no column 'timestamp'"),
        ("X.csv", "timestamp,open,high,low,close\n", "no column 'volume'.*sources.columns"),
        ("X.txt", HEADER, "only .parquet, .csv"),
    ],
)
def test_file_of_another_shape_is_named(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(UnreadableSourceError, match=message):
        list(ReplayConnector([source(path)]).rows())


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("close", ["x"], "'close' is not numeric"),
        ("timestamp", ["2024"], "neither date nor timestamp"),
        ("low", None, "'low'"),
    ],
)
def test_parquet_column_of_another_type_is_named(tmp_path, column, values, message):
    path = tmp_path / "X.parquet"
    table = {name: [1.0] for name in ("open", "high", "low", "close", "volume")}
    table["timestamp"] = [date(2024, 7, 1)]
    table[column] = values
    pq.write_table(pa.table({name: cells for name, cells in table.items() if cells is not None}), path)
    with pytest.raises(UnreadableSourceError, match=message):
        list(ReplayConnector([source(path)]).rows())


def test_unknown_time_zone_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"Mars/Base.*no time zone"):
        csv_rows(tmp_path, HEADER, timezone="Mars/Base")
