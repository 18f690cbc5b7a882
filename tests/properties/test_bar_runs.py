"""Bars taken in runs give what the same bars give one by one."""

from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.codec import encode
from data_plane.composition import build_stage
from data_plane.connectors.layout import SourceFile, chunk_of, moment_of
from data_plane.connectors.port import Chunk
from data_plane.quality import Finding
from data_plane.settings import DataSettings, RowKind

START = datetime(2024, 7, 1, 13, 30, tzinfo=UTC)
SOURCE = SourceFile(Path("A.csv"), RowKind.BARS, "1min", "A")

steps = st.sampled_from([1] * 30 + [0, 2, 5, 400])
"""Minutes from one bar to the next: mostly the next one due, now and then a repeat, a gap or another session."""
prices = st.sampled_from([100.0, 100.5, 101.0, 99.5, 100.0, 250.0, 0.0, -1.0, float("nan"), 1e-7])
shapes = st.sampled_from(["plain"] * 30 + ["inverted", "silent"])


@st.composite
def bars(draw):
    """Columns of up to 120 bars of one symbol: long stretches of good ones with bad ones strewn in."""
    count = draw(st.integers(1, 120))
    at, stamps, numbers = START, [], []
    for place in range(count):
        at += timedelta(minutes=draw(steps))
        stamps.append(at)
        close = draw(prices) if draw(st.integers(0, 15)) == 0 else 100.0 + place % 7 / 8
        low, high = min(close, 100.0) - 0.5, max(close, 100.0) + 0.5
        shape = draw(shapes)
        numbers.append((100.0, low, high, close, 1.0) if shape == "inverted" else (100.0, high, low, close, 1.0))
    return stamps, numbers


def chunk(stamps, numbers) -> Chunk:
    columns = [np.array(column, dtype=np.float64) for column in zip(*numbers, strict=True)]
    moments = np.array([moment_of(stamp) for stamp in stamps], dtype=np.int64)
    return chunk_of(SOURCE, ["A"] * len(stamps), stamps, moments, columns, [], list(range(1, len(stamps) + 1)))


def stage(found: list[Finding], calendar: str, symbols: tuple[str, ...], actions: Path | None):
    settings = DataSettings(
        sources=[{"files": ["A.csv"]}],
        bar_size="1min",
        calendar=calendar,
        symbols=symbols,
        adjust=True,
        actions_file=actions,
    )
    return build_stage(settings, found.append)


@pytest.fixture(scope="module")
def actions(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("actions") / "actions.csv"
    path.write_text("symbol,ex_date,kind,value\nA,2024-07-02,split,2.0\nA,2024-07-03,dividend,0.5\n")
    return path


@settings(deadline=None, max_examples=80)
@given(bars(), st.sampled_from(["XNYS", "24/7"]), st.sampled_from([("A",), ("A", "B"), ()]), st.integers(9, 40))
def test_a_source_in_columns_gives_what_its_rows_give(actions, given_bars, calendar, symbols, longest):
    columns = chunk(*given_bars)
    found_in_columns, found_in_rows = [], []

    parts = [columns.part(begin, begin + longest) for begin in range(0, len(columns.symbols), longest)]
    in_columns = list(chain(*stage(found_in_columns, calendar, symbols, actions).play(parts)))
    in_rows = list(chain(*stage(found_in_rows, calendar, symbols, actions).play([columns.rows()])))

    assert list(map(encode, in_columns)) == list(map(encode, in_rows))
    assert found_in_columns == found_in_rows


def test_regular_bars_are_published_in_runs(actions):
    count = 300
    stamps = [START + timedelta(minutes=place + 1) for place in range(count)]
    numbers = [(100.0, 101.0, 99.0, 100.0 + place % 2 / 4, 1.0) for place in range(count)]

    sizes = [len(many) for many in stage([], "24/7", ("A",), None).play([chunk(stamps, numbers)])]

    assert sum(sizes) == 2 * count
    assert max(sizes) > 100
