from datetime import UTC, datetime, timedelta

import pytest

from contracts.market import OFIEvent, SliceEvent
from data_plane.composition import build_stage
from data_plane.connectors.ibkr import Batch
from data_plane.connectors.port import RawBar, RawQuote
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
            if isinstance(minutes, Batch):
                yield minutes
            else:
                yield Batch([a_bar(minute) for minute in minutes], OPEN + timedelta(minutes=minutes[-1]))


def sent_by(*rounds):
    """What was published."""
    given = {"sources": [{"files": ["unused"]}], "bar_size": "1min", "symbols": ["A"]}
    stage, sent, source = build_stage(DataSettings.model_validate(given), lambda _: None), [], Source([*rounds])
    outside = Outside(sent.append, lambda _: None, lambda: not source.rounds, lambda _: None)
    with pytest.raises(Stopped):
        play(source, stage, OPEN.date(), timedelta(0), timedelta(hours=2), outside)
    return sent


def played(*rounds):
    """The minute of each slice that was sent, and whether it was late."""
    slices = [each for each in sent_by(*rounds) if isinstance(each, SliceEvent)]
    return [((each.timestamp - OPEN) // timedelta(minutes=1), each.late) for each in slices]


def test_moments_that_come_one_by_one_are_all_decided_on():
    assert played([[1]], [[2]], [[3]]) == [(1, False), (2, False), (3, False)]


def test_of_moments_that_come_at_once_only_the_newest_is_decided_on():
    assert played([[1, 2, 3]], [], [[4], [5]]) == [(1, True), (2, True), (3, False), (4, True), (5, False)]


@pytest.mark.parametrize(("cut", "flow"), [(False, 500.0), (True, 0.0)])
def test_quotes_on_both_sides_of_a_cut_are_not_compared(cut, flow):
    def quoted(seconds, bid, size):
        return RawQuote("A", OPEN + timedelta(seconds=seconds), bid, size, bid + 1.0, 7.0, "gateway", 0)

    before, after = Batch([quoted(1, 99.0, 100.0)], OPEN), Batch([quoted(2, 99.0, 600.0)], OPEN, cut=cut)
    sent = sent_by([before, after], [[1], [2]])
    assert [each.ofi_value for each in sent if isinstance(each, OFIEvent)] == [flow]
