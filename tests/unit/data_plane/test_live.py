from datetime import UTC, datetime, timedelta

import pytest

from contracts.market import SliceEvent
from data_plane.composition import build_stage
from data_plane.connectors.ibkr import Batch
from data_plane.connectors.port import RawBar
from data_plane.live import Outside, play
from data_plane.settings import DataSettings
from kernel.flow import Stopped

OPEN = datetime(2024, 7, 1, 13, 30, tzinfo=UTC)


def a_bar(minute):
    at = OPEN + timedelta(minutes=minute)
    return RawBar("A", at, 100.0, 100.0, 100.0, 100.0, 10.0 + minute, "1min", "gateway", minute)


class Source:
    """A gateway without a past, which tells the bars of ``rounds``, each round in batches, each batch in minutes."""

    def __init__(self, rounds):
        self.rounds = rounds

    def now(self):
        return OPEN + timedelta(hours=1)

    def backfill(self, first):
        return ()

    def past(self, first):
        return self

    def rows(self):
        return ()

    def begin(self, newest):
        assert newest == {}

    def batches(self, timeout):
        for minutes in self.rounds.pop(0):
            yield Batch([a_bar(minute) for minute in minutes], OPEN + timedelta(minutes=minutes[-1]))


def played(*rounds):
    """The minute of each slice that was sent, and whether it was late."""
    given = {"sources": [{"files": ["unused"]}], "bar_size": "1min", "symbols": ["A"]}
    stage, sent, source = build_stage(DataSettings.model_validate(given), lambda _: None), [], Source([*rounds])
    outside = Outside(sent.append, lambda _: None, lambda: not source.rounds, lambda _: None)
    with pytest.raises(Stopped):
        play(source, stage, OPEN.date(), timedelta(0), timedelta(hours=2), outside)
    slices = [each for each in sent if isinstance(each, SliceEvent)]
    return [((each.timestamp - OPEN) // timedelta(minutes=1), each.late) for each in slices]


def test_moments_that_come_one_by_one_are_all_decided_on():
    assert played([[1]], [[2]], [[3]]) == [(1, False), (2, False), (3, False)]


def test_of_moments_that_come_at_once_only_the_newest_is_decided_on():
    assert played([[1, 2, 3]], [], [[4], [5]]) == [(1, True), (2, True), (3, False), (4, True), (5, False)]
