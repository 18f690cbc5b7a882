from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from contracts.base import Message
from contracts.market import BarEvent, SliceEvent
from data_plane.feed import CatchUp, Feed, LiveFeed, SourceChanged
from kernel.flow import ConsumersStalled, Progress

START = datetime(2024, 1, 2, 21, tzinfo=UTC)


def bar(day: int, symbol: str = "A", close: float = 10.0) -> BarEvent:
    at = START + timedelta(days=day)
    return BarEvent(symbol=symbol, timestamp=at, open=10.0, high=99.0, low=1.0, close=close, volume=1.0)


def moment(day: int) -> SliceEvent:
    return SliceEvent(timestamp=START + timedelta(days=day), bar_size="1d", symbols=("A",))


class Log:
    """Writes down what is published and where the gate was asked, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def publish(self, message: Message) -> None:
        self.lines.append(f"publish {_name(message)}")

    def before(self, message: Message) -> None:
        self.lines.append(f"before {_name(message)}")

    def after(self, message: Message) -> None:
        self.lines.append(f"after {_name(message)}")

    @property
    def published(self) -> list[str]:
        return [line.removeprefix("publish ") for line in self.lines if line.startswith("publish")]


def _name(message: Message) -> str:
    day = (message.timestamp - START).days
    return f"slice{day}" if isinstance(message, SliceEvent) else f"{message.symbol}{day}"


def test_every_message_passes_the_gate_before_and_after_it_is_published():
    log = Log()
    Feed(log.publish, [log]).send(bar(1))
    assert log.lines == ["before A1", "publish A1", "after A1"]


def test_a_second_life_goes_on_where_each_key_ended():
    log = Log()
    feed = Feed(log.publish, [log], [bar(1), bar(1, "B"), bar(2)])
    for message in (bar(1), bar(1, "B"), bar(2), bar(2, "B"), bar(3)):
        feed.send(message)
    assert log.published == ["B2", "A3"]
    assert feed.published == 5


def test_what_the_earlier_life_left_in_flight_is_waited_for_before_anything_new():
    log = Log()
    feed = Feed(log.publish, [log], [bar(1), moment(1)])
    for message in (bar(1), moment(1), bar(2)):
        feed.send(message)
    assert log.lines == ["after slice1", "before A2", "publish A2", "after A2"]


def test_a_message_that_a_retry_wrote_twice_is_skipped_once():
    log = Log()
    feed = Feed(log.publish, [], [bar(1), bar(1), bar(2)])
    for day in (1, 2, 3):
        feed.send(bar(day))
    assert log.published == ["A3"]


@pytest.mark.parametrize("now", [bar(2, close=11.0), bar(3)])
def test_another_source_than_the_log_was_written_from_is_refused(now):
    log = Log()
    feed = Feed(log.publish, [], [bar(1), bar(2)])
    feed.send(bar(1))
    with pytest.raises(SourceChanged, match="under A"):
        feed.send(now)
    assert log.published == []


def live(log: Log, *already: Message, now: int = 9) -> LiveFeed:
    """A feed at the end of day ``now``, on which a day may pass before a decision is late."""
    clock = START + timedelta(days=now)
    return LiveFeed(log.publish, [log], already, lambda: clock, timedelta(days=1))


def test_a_live_feed_goes_on_after_the_newest_of_each_symbol_whatever_its_source_has_now():
    log = Log()
    feed = live(log, bar(1), bar(2), bar(1, "B"), moment(1))
    for message in (bar(1, close=11.0), bar(2, close=12.0), bar(2, "B"), moment(1), moment(2), bar(3)):
        feed.send(message)
    assert log.published == ["B2", "slice2", "A3"]
    assert (feed.published, feed.first_bar) == (7, START + timedelta(days=1))


def test_only_a_moment_that_was_over_long_before_it_was_told_is_late():
    feed = live(Log(), now=9)
    assert [feed.send(moment(day)).late for day in (1, 7, 8, 9)] == [True, True, False, False]
    assert feed.send(bar(1)) == bar(1)


def caught_up(log: Log, wait: Callable[[Callable[[], bool]], None]) -> LiveFeed:
    """A feed at the end of day 9, on which days up to 7 are late."""
    clock = START + timedelta(days=9)
    return LiveFeed(log.publish, [CatchUp(Progress({}), wait)], (), lambda: clock, timedelta(days=1))


def test_a_moment_that_follows_late_ones_waits_until_they_were_read():
    log = Log()
    feed = caught_up(log, lambda read: log.lines.append(f"wait {read()}"))
    for message in (bar(1), moment(1), bar(8), moment(8), bar(9), moment(9)):
        feed.send(message)
    assert log.lines == [
        *("publish A1", "publish slice1", "publish A8", "wait True", "publish slice8"),
        *("publish A9", "publish slice9"),
    ]


def test_the_first_moment_of_a_life_waits_for_what_the_life_before_left():
    log = Log()
    feed = caught_up(log, lambda read: log.lines.append("wait"))
    feed.send(moment(9))
    assert log.lines == ["wait", "publish slice9"]


def test_a_plane_that_is_away_keeps_no_moment_for_ever():
    log = Log()

    def stalled(read: Callable[[], bool]) -> None:
        raise ConsumersStalled("away")

    caught_up(log, stalled).send(moment(9))
    assert log.published == ["slice9"]


def test_a_moment_that_a_gate_kept_for_too_long_is_late_and_the_next_one_waits_for_it():
    log, clock = Log(), [START + timedelta(days=1)]

    class Slow(Log):
        def before(self, message: Message) -> None:
            clock[0] = START + timedelta(days=9)

    catch_up = CatchUp(Progress({}), lambda read: log.lines.append("wait"))
    feed = LiveFeed(log.publish, [Slow(), catch_up], (), lambda: clock[0], timedelta(days=1))
    assert [feed.send(moment(day)).late for day in (1, 9)] == [True, False]
    assert log.lines == ["wait", "publish slice1", "wait", "publish slice9"]
