"""Slices come out complete, in order, and with exactly their own bars."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from contracts.base import Message
from contracts.control import RiskAlert
from contracts.market import BarEvent, SliceEvent
from strategy_plane.engines.slices import STALLED_SLICES, SliceAssembler

START = datetime(2024, 1, 1, tzinfo=UTC)


def bar(symbol: str, day: int, close: float = 1.0, bar_size: str = "1d") -> BarEvent:
    moment = START + timedelta(days=day)
    return BarEvent(
        symbol=symbol, timestamp=moment, open=close, high=close, low=close, close=close, volume=0.0, bar_size=bar_size
    )


def slice_of(day: int, *symbols: str, bar_size: str = "1d") -> SliceEvent:
    return SliceEvent(timestamp=START + timedelta(days=day), bar_size=bar_size, symbols=symbols)


class Witness:
    """Feeds an assembler and notes what it releases."""

    def __init__(self, universe: Sequence[str] = ()) -> None:
        self.slices = SliceAssembler("1d", universe)
        self.seen: list[tuple[int, list[tuple[str, float]]]] = []

    def tell(self, *messages: BarEvent | SliceEvent) -> list[Message]:
        said: list[Message] = []
        for message in messages:
            if isinstance(message, BarEvent):
                said += self.slices.on_bar(self._note, message)
            else:
                said += self.slices.on_slice(self._note, message)
        return said

    def _note(self, moment: SliceEvent, bars: Sequence[BarEvent]) -> Sequence[Message]:
        self.seen.append(((moment.timestamp - START).days, [(found.symbol, found.close) for found in bars]))
        return ()


@pytest.fixture
def witness() -> Witness:
    return Witness()


def test_a_slice_whose_bars_are_here_is_released_at_once(witness: Witness):
    witness.tell(bar("A", 0), bar("B", 0), slice_of(0, "A", "B"))
    assert witness.seen == [(0, [("A", 1.0), ("B", 1.0)])]


def test_bars_come_in_the_order_of_the_slice(witness: Witness):
    witness.tell(bar("B", 0), bar("A", 0), slice_of(0, "A", "B"))
    assert witness.seen == [(0, [("A", 1.0), ("B", 1.0)])]


def test_a_slice_waits_for_the_bar_it_lacks(witness: Witness):
    witness.tell(bar("A", 0), slice_of(0, "A", "B"))
    assert witness.seen == []
    witness.tell(bar("B", 0))
    assert witness.seen == [(0, [("A", 1.0), ("B", 1.0)])]


def test_bars_of_later_moments_stay_hidden(witness: Witness):
    witness.tell(bar("A", 0), bar("A", 1), bar("A", 2), bar("B", 0), slice_of(0, "A", "B"))
    assert witness.seen == [(0, [("A", 1.0), ("B", 1.0)])]


def test_slices_wait_for_the_ones_before_them(witness: Witness):
    witness.tell(slice_of(0, "A", "B"), bar("A", 0), bar("A", 1), slice_of(1, "A"))
    assert witness.seen == []
    witness.tell(bar("B", 0))
    assert [day for day, _ in witness.seen] == [0, 1]


def test_the_first_of_two_bars_for_one_moment_counts(witness: Witness):
    witness.tell(bar("A", 0, 1.0), bar("A", 0, 2.0), slice_of(0, "A"))
    assert witness.seen == [(0, [("A", 1.0)])]
    assert witness.slices.ignored == 1


def test_repeats_and_late_bars_are_ignored_and_counted(witness: Witness):
    witness.tell(bar("A", 0), slice_of(0, "A"), bar("A", 0), slice_of(0, "A"), bar("B", 0), bar("A", 1))
    witness.tell(slice_of(1, "A"))
    assert witness.seen == [(0, [("A", 1.0)]), (1, [("A", 1.0)])]
    assert witness.slices.ignored == 3


def test_a_repeated_bar_does_not_stand_in_for_the_next_one(witness: Witness):
    witness.tell(bar("A", 0, 1.0), slice_of(0, "A"), bar("A", 0, 1.0), slice_of(1, "A"))
    assert [day for day, _ in witness.seen] == [0]
    witness.tell(bar("A", 1, 2.0))
    assert witness.seen[1:] == [(1, [("A", 2.0)])]


def test_a_bar_that_its_slice_does_not_list_is_dropped_whenever_it_comes(witness: Witness):
    witness.tell(bar("A", 0), bar("B", 0), slice_of(0, "A"), bar("C", 0), bar("A", 1), slice_of(1, "A"))
    assert witness.seen == [(0, [("A", 1.0)]), (1, [("A", 1.0)])]


def test_other_bar_sizes_are_not_for_this_strategy(witness: Witness):
    witness.tell(bar("A", 0, 5.0, "1min"), slice_of(0, "A", bar_size="1min"), bar("A", 0), slice_of(0, "A"))
    assert witness.seen == [(0, [("A", 1.0)])]


def test_only_the_universe_is_waited_for():
    witness = Witness(universe=("B",))
    witness.tell(bar("A", 0), slice_of(0, "A", "B"), bar("B", 0))
    assert witness.seen == [(0, [("B", 1.0)])]


def test_a_slice_without_bars_passes(witness: Witness):
    witness.tell(slice_of(0), slice_of(1))
    assert witness.seen == [(0, []), (1, [])]


def test_a_symbol_listed_twice_counts_once(witness: Witness):
    witness.tell(bar("A", 0), slice_of(0, "A", "A"))
    assert witness.seen == [(0, [("A", 1.0)])]


def test_a_person_is_told_once_when_a_bar_stays_away(witness: Witness):
    said = [
        message
        for day in range(STALLED_SLICES + 50)
        for message in witness.tell(bar("A", day), slice_of(day, *(("A", "B") if day == 0 else ("A",))))
    ]
    assert [alert.code for alert in said if isinstance(alert, RiskAlert)] == ["SLICE_INCOMPLETE"]
    assert "B" in said[0].detail
    witness.tell(bar("B", 0))
    assert len(witness.seen) == STALLED_SLICES + 50
