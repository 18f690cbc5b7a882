import json
from datetime import UTC, datetime, timedelta

import pytest

from contracts.market import BarEvent, OFIEvent, SliceEvent, TickEvent
from contracts.trading import OrderIntent
from data_plane.composition import build_connector, build_stage
from data_plane.quality import Finding, Reason
from data_plane.settings import DataSettings
from data_plane.store import EventStore, QuarantineFile, read_events

FIFTH_MINUTE = datetime(2024, 7, 1, 13, 35, tzinfo=UTC)


@pytest.fixture(scope="module")
def events():
    settings = DataSettings(
        sources=[
            {"files": ["fixtures/generated/quotes_*.parquet"], "kind": "quotes"},
            {"files": ["fixtures/generated/trades_*.parquet"], "kind": "ticks"},
        ],
        bar_size="1min",
        symbols=["ALFA", "BRAV"],
        start="2024-07-01",
        end="2024-07-01",
    )
    stage = build_stage(settings)
    published = [message for row in build_connector(settings).rows() for message in stage.handle(row)]
    return [*published, *stage.finish()]


def test_what_was_published_is_read_back_equal_and_in_order(events, tmp_path):
    with EventStore(tmp_path / "run") as store:
        for event in events:
            store.append(event)
    for kind in (BarEvent, TickEvent, OFIEvent, SliceEvent):
        assert list(read_events(tmp_path / "run", kind)) == [event for event in events if type(event) is kind]


def test_reading_as_of_a_moment_shows_nothing_that_became_known_later(events, tmp_path):
    with EventStore(tmp_path) as store:
        for event in events:
            store.append(event)
    known = list(read_events(tmp_path, BarEvent, known_at=FIFTH_MINUTE))
    assert {bar.timestamp for bar in known} == {FIFTH_MINUTE - timedelta(minutes=n) for n in range(5)}


def test_rows_beyond_one_row_group_are_kept(tmp_path):
    bar = BarEvent(symbol="A", timestamp=FIFTH_MINUTE, open=1.0, high=1.0, low=1.0, close=1.0, volume=0.0)
    with EventStore(tmp_path) as store:
        for _ in range(50_001):
            store.append(bar)
    assert sum(1 for _ in read_events(tmp_path, BarEvent)) == 50_001


def test_published_history_is_never_overwritten(events, tmp_path):
    with EventStore(tmp_path) as store:
        store.append(next(event for event in events if isinstance(event, BarEvent)))
    with pytest.raises(FileExistsError, match=r"bar_event\.parquet"):
        EventStore(tmp_path)


def test_broken_run_leaves_no_complete_file(events, tmp_path):
    def broken():
        with EventStore(tmp_path) as store:
            store.append(events[0])
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        broken()
    assert list(tmp_path.glob("*.parquet")) == []


def test_only_market_events_are_kept(tmp_path):
    with EventStore(tmp_path) as store, pytest.raises(KeyError):
        store.append(OrderIntent.model_construct())


def test_each_finding_is_one_line_of_json_at_once_and_a_restart_appends(tmp_path):
    path = tmp_path / "state" / "quarantine.jsonl"
    for line in (7, 8):
        with QuarantineFile(path) as quarantine:
            quarantine(Finding("bars.csv", line, "A", Reason.OHLC, "open and close must lie between low and high"))
            assert json.loads(path.read_text().splitlines()[-1])["line"] == line
    first = json.loads(path.read_text().splitlines()[0])
    assert first == {
        "source": "bars.csv",
        "line": 7,
        "symbol": "A",
        "reason": "OHLC",
        "detail": "open and close must lie between low and high",
        "refused": True,
    }
