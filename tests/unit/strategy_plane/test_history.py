"""History keeps bounded windows and never shows a reader its future."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from contracts.market import BarEvent
from strategy_plane.history import History, LookAheadError

START = datetime(2024, 1, 1, tzinfo=UTC)


def at(day: int) -> datetime:
    return START + timedelta(days=day)


def bar(symbol: str, day: int, close: float) -> BarEvent:
    return BarEvent(
        symbol=symbol, timestamp=at(day), open=close, high=close, low=close, close=close, volume=1.0, bar_size="1d"
    )


def test_returns_the_newest_closes_oldest_first():
    history = History(3)
    for day in range(10):
        history.append(bar("A", day, 100.0 + day))
    assert history.as_of(at(9)).closes("A", 3).tolist() == [107.0, 108.0, 109.0]
    assert history.as_of(at(9)).closes("A", 2).tolist() == [108.0, 109.0]


def test_returns_what_there_is_while_warming_up():
    history = History(5)
    history.append(bar("A", 0, 1.0))
    view = history.as_of(at(0))
    assert view.closes("A", 5).tolist() == [1.0]
    assert view.closes("unknown", 5).tolist() == []
    assert view.symbols == ("A",)


def test_a_view_does_not_see_bars_that_came_later():
    history = History(4)
    history.append(bar("A", 0, 1.0))
    view = history.as_of(at(0))
    history.append(bar("A", 1, 2.0))
    history.append(bar("B", 1, 5.0))
    assert view.closes("A", 4).tolist() == [1.0]
    assert view.symbols == ("A",)
    assert view.panel(4).closes.tolist() == [[1.0]]


def test_a_carried_close_is_the_one_before_and_never_a_later_one():
    history = History(20)
    for day in range(20):
        for symbol, missing in (("A", ()), ("B", (0, 5, 12)), ("C", range(6)), ("D", range(3, 20, 2)), ("E", (19,))):
            if day not in missing:
                history.append(bar(symbol, day, 10.0 * day + ord(symbol)))
    view = history.as_of(at(19))
    found = view.carried(15, 1 / 15)
    assert found.symbols == ("A", "E")  # C and D lack more, and so does B with its two
    wide = view.carried(15, 0.2)
    assert wide.symbols == ("A", "B", "E")  # C has nothing to carry into the first moment
    expected = view.panel(15, wide.symbols).closes.copy()
    expected[0, 1], expected[7, 1], expected[14, 2] = 40.0 + ord("B"), 110.0 + ord("B"), 180.0 + ord("E")
    assert wide.closes.tolist() == expected.tolist()
    assert not wide.closes.flags.writeable
    assert history.as_of(at(7)).carried(3).closes.tolist() == view.as_of(at(7)).carried(3).closes.tolist()


def test_asking_past_the_view_is_an_error():
    history = History(4)
    history.append(bar("A", 0, 1.0))
    history.append(bar("A", 1, 2.0))
    view = history.as_of(at(0))
    with pytest.raises(LookAheadError):
        view.closes("A", 1, until=at(1))
    with pytest.raises(LookAheadError):
        view.as_of(at(1))
    assert history.as_of(at(1)).as_of(at(0)).closes("A", 2).tolist() == [1.0]
    assert history.as_of(at(1)).closes("A", 2, until=at(0)).tolist() == [1.0]


def test_a_bar_before_the_newest_is_refused():
    history = History(4)
    history.append(bar("A", 0, 1.0))
    history.append(bar("A", 2, 2.0))
    with pytest.raises(LookAheadError, match="A: a bar arrived after a later one"):
        history.append(bar("A", 1, 3.0))


def test_a_repeated_bar_is_ignored_and_counted():
    history = History(4)
    assert history.append(bar("A", 0, 1.0))
    assert not history.append(bar("A", 0, 9.0))
    assert history.duplicates == 1
    assert history.as_of(at(0)).closes("A", 4).tolist() == [1.0]


def test_arrays_are_copies_that_cannot_be_written():
    history = History(4)
    history.append(bar("A", 0, 1.0))
    view = history.as_of(at(0))
    for array in (view.closes("A", 1), view.panel(1).closes):
        assert array.base is None
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 7.0
    assert view.closes("A", 1).tolist() == [1.0]


def test_a_panel_aligns_symbols_by_moment_and_fills_nothing_in():
    history = History(4)
    for day in range(4):
        history.append(bar("B", day, 10.0 + day))
    history.append(bar("A", 0, 1.0))
    history.append(bar("A", 1, 2.0))
    history.append(bar("A", 3, 4.0))
    panel = history.as_of(at(3)).panel(3)
    assert panel.symbols == ("A", "B")
    assert panel.moments == (at(1), at(2), at(3))
    np.testing.assert_array_equal(panel.closes, [[2.0, 11.0], [np.nan, 12.0], [4.0, 13.0]])
    assert history.as_of(at(3)).panel(2, ["B"]).closes.tolist() == [[12.0], [13.0]]


def test_a_panel_knows_moments_that_one_symbol_reported_late():
    history = History(4)
    for day in (0, 2):
        history.append(bar("A", day, 1.0))
    history.append(bar("B", 1, 5.0))
    assert history.as_of(at(2)).panel(4).moments == (at(0), at(1), at(2))


def test_windows_stay_bounded():
    history = History(50)
    for day in range(1000):
        history.append(bar("A", day, 1.0 + day))
    assert len(history._windows["A"].closes) < 100
    assert len(history._moments) < 100


@pytest.mark.parametrize("wanted", [0, 5])
def test_more_than_is_kept_cannot_be_asked(wanted: int):
    with pytest.raises(ValueError, match="keeps 1 to 4"):
        History(4).as_of(at(0)).panel(wanted)
