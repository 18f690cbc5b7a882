"""What another instance of a plane says is told to the one that is given its partitions, and own words are no news."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from contracts.market import BarEvent
from contracts.trading import ExecutionReport, OrderStatus
from kernel.clock import monotonic

START = datetime(2024, 1, 2, 21, tzinfo=UTC)


def bar(minute):
    at = START + timedelta(minutes=minute)
    return BarEvent(symbol="AAPL", timestamp=at, open=10.0, high=12.0, low=9.0, close=11.0, volume=100.0)


def report(number):
    return ExecutionReport(
        intent_id=UUID(int=number),
        order_id=str(number),
        symbol="AAPL",
        status=OrderStatus.SUBMITTED,
        filled_quantity=0.0,
        timestamp=START,
    )


def say(bus, *what):
    for message in what:
        bus.publish(message)
    bus.flush()


def an_order_plane(world, heard, *, wait=True):
    bus = world.connect("order", [BarEvent], [ExecutionReport], wait=wait)
    assert list(bus.history(others=heard.append)) == []
    return bus


def test_what_another_instance_said_is_told_before_its_messages_are_handled(kafka_world):
    heard = []
    old = kafka_world.connect("order", [BarEvent], [ExecutionReport])
    successor = an_order_plane(kafka_world, heard, wait=False)
    say(old, report(1), report(2))
    say(kafka_world.connect("data", []), bar(1))
    old.close()
    batch, deadline = [], monotonic() + 30
    while not batch and monotonic() < deadline:
        batch = successor.poll(0.2)
    assert [each.message for each in batch] == [bar(1)]
    assert heard == [report(1), report(2)]


def test_own_words_are_no_news(kafka_world):
    heard = []
    order = an_order_plane(kafka_world, heard)
    order.poll(0.2)
    for number in range(3):
        say(order, report(number))
        order.poll(0.1)
    assert heard == []


def test_what_another_instance_says_late_is_told_after_the_next_own_words(kafka_world):
    heard = []
    order = an_order_plane(kafka_world, heard)
    say(order, report(1))
    order.poll(0.2)
    heard.clear()  # the first assignment may have come behind the own words
    say(kafka_world.connect("elsewhere", []), report(2))
    order.poll(0.2)
    assert heard == [], "nobody reads this log all the time"
    say(order, report(3))
    order.poll(0.2)
    assert heard == [report(2), report(3)]
    say(order, report(4))
    order.poll(0.2)
    assert heard == [report(2), report(3)], "each is told once"


def test_a_message_of_another_kind_is_not_told(kafka_world):
    heard = []
    order = an_order_plane(kafka_world, heard)
    kafka_world.foreign("execution_reports", [b"rubbish", b""])
    say(order, report(1))
    order.poll(0.2)
    assert set(map(type, heard)) <= {ExecutionReport}
