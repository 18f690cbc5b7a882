"""Bars streamed to disk are the same bytes however they arrived."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from backtest.bar_file import ROWS_PER_GROUP, BarFile

SERIES = [("B", "1min"), ("A", "1min")]
MOMENTS = 12_500


@pytest.fixture(scope="module")
def bars():
    at = np.repeat(np.arange(MOMENTS, dtype=np.int64) * 60_000_000, 2)
    codes = np.tile(np.array([0, 1], np.int32), MOMENTS)
    values = np.random.default_rng(1).normal(100.0, 1.0, (2 * MOMENTS, 5))
    return at, codes, values


def write(path, bars, cuts, order=None):
    at, codes, values = (column if order is None else column[order] for column in bars)
    file = BarFile(path)
    for begin, end in zip([0, *cuts], [*cuts, len(at)], strict=True):
        file.append(at[begin:end], codes[begin:end], values[begin:end], SERIES)
    return file.close()


def test_blocks_cut_anywhere_between_moments_give_the_same_bytes(tmp_path, bars):
    whole = write(tmp_path / "whole", bars, [])
    assert write(tmp_path / "cut", bars, [2, 9_998, 20_002]).read_bytes() == whole.read_bytes()


def test_arrival_out_of_order_and_twice_gives_the_bytes_of_the_ordered_run(tmp_path, bars):
    whole = write(tmp_path / "whole", bars, [])
    order = np.random.default_rng(2).permutation(np.append(np.arange(2 * MOMENTS), np.arange(0, 2 * MOMENTS, 7)))
    mixed = write(tmp_path / "mixed", bars, [1, 5_001, 20_000], order)
    assert mixed.read_bytes() == whole.read_bytes()


def test_a_moment_cut_in_two_is_put_back_into_symbol_order(tmp_path, bars):
    whole = write(tmp_path / "whole", bars, [])
    assert write(tmp_path / "cut", bars, [10_001]).read_bytes() == whole.read_bytes()


def test_rows_are_sorted_by_time_then_symbol_in_row_groups_of_fixed_size(tmp_path, bars):
    path = write(tmp_path / "bars", bars, [])
    table = pq.read_table(path)
    assert table["symbol"].to_pylist()[:4] == ["A", "B", "A", "B"]
    assert table["open"].to_pylist()[:2] == [bars[2][1, 0], bars[2][0, 0]]
    metadata = pq.read_metadata(path)
    sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert sizes == [ROWS_PER_GROUP, ROWS_PER_GROUP, 2 * MOMENTS - 2 * ROWS_PER_GROUP]


def test_a_file_without_bars_can_be_read(tmp_path):
    assert len(pq.read_table(BarFile(tmp_path / "none").close())) == 0
