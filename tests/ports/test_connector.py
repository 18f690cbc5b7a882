"""What every connector must do, whatever it reads."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from data_plane.connectors.informed import InformedConnector
from data_plane.connectors.port import BadRow, Connector, Row
from data_plane.connectors.replay import ReplayConnector, SourceFile
from data_plane.connectors.table_source import TableFile, TableSource
from data_plane.settings import RowKind

GENERATED = Path("fixtures/generated")


def _file(path: Path, kind: RowKind, bar_size: str = "1min") -> SourceFile:
    return SourceFile(path=path, kind=kind, bar_size=bar_size, symbol=path.name.split(".")[0])


def daily_parquet(folder: Path) -> Connector:
    return ReplayConnector(
        [_file(path, RowKind.BARS, "1d") for path in sorted(Path("fixtures/bars").glob("*.parquet"))]
    )


def minute_parquet(folder: Path) -> Connector:
    return ReplayConnector([_file(path, RowKind.BARS) for path in sorted(GENERATED.glob("minute_bars_*"))])


def mixed_parquet(folder: Path) -> Connector:
    quotes = [_file(path, RowKind.QUOTES) for path in sorted(GENERATED.glob("quotes_*"))]
    return ReplayConnector([*quotes, *(_file(path, RowKind.TICKS) for path in sorted(GENERATED.glob("trades_*")))])


def minute_csv(folder: Path) -> Connector:
    for path in GENERATED.glob("minute_bars_*"):
        table = pq.read_table(path)
        stamps = [at.isoformat() for at in table["timestamp"].to_pylist()]
        pyarrow.csv.write_csv(table.set_column(1, "timestamp", [stamps]), folder / f"{path.stem}.csv")
    with (folder / "minute_bars_ALFA.csv").open("a") as file:
        file.write("ALFA,not a time,1,1,1,1,1\n")
    return ReplayConnector([_file(path, RowKind.BARS) for path in sorted(folder.glob("*.csv"))])


def minute_with_table(folder: Path) -> Connector:
    lines = [f"{symbol},2024-07-01,2024-07-0{day}T14:00:30Z,1.5" for day in (2, 1) for symbol in ("BRAV", "ALFA")]
    path = folder / "table.csv"
    path.write_text("\n".join(["symbol,event_time,knowledge_time,eps", *lines, "ALFA,2024-07-01,soon,1"]))
    return InformedConnector(minute_parquet(folder), TableSource([TableFile(path, "earnings")]), {})


@pytest.fixture(params=[daily_parquet, minute_parquet, mixed_parquet, minute_csv, minute_with_table])
def connector(request: pytest.FixtureRequest, tmp_path: Path) -> Connector:
    build: Callable[[Path], Connector] = request.param
    return build(tmp_path)


def _moment(row: Row) -> datetime:
    assert not isinstance(row, BadRow)
    return row.timestamp if isinstance(row.timestamp, datetime) else datetime.combine(row.timestamp, time(), UTC)


def test_begins_anew_with_the_same_rows_each_time(connector: Connector) -> None:
    first = list(connector.rows())
    assert first
    assert list(connector.rows()) == first


def test_two_readers_do_not_disturb_each_other(connector: Connector) -> None:
    one, other = connector.rows(), connector.rows()
    for _ in range(50):
        next(one)
    rest = list(one)
    assert list(other)[50:] == rest


def test_rows_come_by_time_and_then_by_symbol(connector: Connector) -> None:
    rows = [row for row in connector.rows() if not isinstance(row, BadRow)]
    order = [(_moment(row), row.symbol) for row in rows]
    assert order == sorted(order)


def test_times_are_utc_or_dates(connector: Connector) -> None:
    for row in connector.rows():
        if isinstance(row, BadRow):
            continue
        stamp = row.timestamp
        assert stamp.tzinfo is UTC if isinstance(stamp, datetime) else type(stamp) is date


def test_every_row_says_where_it_was(connector: Connector) -> None:
    places = [(row.source, row.line) for row in connector.rows()]
    assert len(set(places)) == len(places)
