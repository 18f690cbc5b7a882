"""One suite over every adapter of the bus port: memory, embedded broker, real Apache Kafka."""

from datetime import UTC, datetime, timedelta

import pytest

from contracts.codec import ContractViolation, ErrorCode, FieldError
from contracts.market import BarEvent, SliceEvent
from contracts.trading import ExecutionReport, OrderIntent, OrderStatus, OrderType, Side
from domain.ids import intent_id

START = datetime(2024, 1, 2, 21, tzinfo=UTC)


def bar(minute, symbol="AAPL"):
    at = START + timedelta(minutes=minute)
    return BarEvent(symbol=symbol, timestamp=at, open=10.0, high=12.0, low=9.0, close=11.0, volume=100.0)


def intent(minute, symbol="AAPL"):
    at = START + timedelta(minutes=minute)
    return OrderIntent(
        intent_id=intent_id("default", symbol, at),
        symbol=symbol,
        direction=Side.BUY,
        quantity=5.0,
        order_type=OrderType.MARKET,
        timestamp=at,
    )


def report(of):
    return ExecutionReport(
        intent_id=of.intent_id,
        order_id="1",
        symbol=of.symbol,
        status=OrderStatus.ACKNOWLEDGED,
        filled_quantity=0.0,
        timestamp=of.timestamp,
    )


def messages(received):
    return [each.message for each in received]


def test_what_is_published_arrives_unchanged_with_its_place_and_bytes(world):
    source, sink = world.connect("data", []), world.connect("strategy", [BarEvent])
    source.publish(bar(1))
    source.flush()
    [received] = world.drain(sink, 1)
    assert received.message == bar(1)
    assert (received.topic, received.offset, received.key) == ("market_events", 0, b"AAPL")
    assert b'"symbol":"AAPL"' in received.raw


def test_messages_of_one_key_keep_their_order(world):
    source, sink = world.connect("data", []), world.connect("strategy", [BarEvent])
    symbols = ("AAPL", "IBM", "MSFT", "GOOG", "FB")
    for minute in range(40):
        for symbol in symbols:
            source.publish(bar(minute, symbol))
    source.flush()
    arrived = messages(world.drain(sink, 200))
    assert len(arrived) == 200
    for symbol in symbols:
        assert [each for each in arrived if each.symbol == symbol] == [bar(minute, symbol) for minute in range(40)]


def test_a_plane_receives_only_the_messages_it_asked_for(world):
    source, sink = world.connect("data", []), world.connect("order", [BarEvent])
    source.publish(SliceEvent(timestamp=START, bar_size="1d", symbols=("AAPL",)))
    source.publish(bar(1))
    source.flush()
    assert messages(world.drain(sink, 1)) == [bar(1)]


def test_what_was_not_committed_comes_again_after_a_crash(world):
    source, sink = world.connect("data", []), world.connect("strategy", [BarEvent])
    for minute in range(3):
        source.publish(bar(minute))
    source.flush()
    assert len(world.drain(sink, 3)) == 3
    sink = world.crash(sink)
    assert messages(world.drain(sink, 3)) == [bar(minute) for minute in range(3)]


def test_what_was_committed_does_not_come_again_after_a_crash(world):
    source, sink = world.connect("data", []), world.connect("strategy", [BarEvent])
    source.publish(bar(1))
    source.flush()
    world.drain(sink, 1)
    sink.commit()
    source.publish(bar(2))
    source.flush()
    world.drain(sink, 1)
    sink = world.crash(sink)
    assert messages(world.drain(sink, 1)) == [bar(2)]


def test_a_message_that_breaks_its_contract_cannot_be_published(world):
    source, sink = world.connect("data", []), world.connect("strategy", [BarEvent])
    with pytest.raises(ContractViolation):
        source.publish(BarEvent.trusted({**dict(bar(1)), "close": float("nan")}))
    with pytest.raises(ContractViolation):
        source.publish(BarEvent.trusted({**dict(bar(1)), "high": 1.0}))
    source.publish(bar(2))
    source.flush()
    assert messages(world.drain(sink, 1)) == [bar(2)]


def test_a_message_larger_than_the_limit_cannot_be_published(world):
    source = world.connect("data", [])
    names = tuple(f"{number:032d}" for number in range(5000))
    with pytest.raises(ContractViolation, match="TOO_LARGE"):
        source.publish(SliceEvent(timestamp=START, bar_size="1d", symbols=names, missing=names))


def test_the_largest_slice_arrives(world):
    source, sink = world.connect("data", []), world.connect("strategy", [SliceEvent])
    names = tuple(f"{number:032d}" for number in range(5000))
    largest = SliceEvent(timestamp=START, bar_size="1d", symbols=names, missing=names[:2480])
    source.publish(largest)
    source.flush()
    assert messages(world.drain(sink, 1)) == [largest]


def test_polling_nothing_returns_nothing(world):
    sink = world.connect("strategy", [BarEvent])
    assert list(sink.poll(0.01)) == []


def test_what_a_handler_refuses_is_kept_with_its_reason_and_trading_goes_on(world):
    source, sink = world.connect("data", []), world.connect("strategy", [BarEvent])
    for minute in range(2):
        source.publish(bar(minute))
    source.flush()
    first = world.drain(sink, 2)[0]
    sink.dead_letter(first, FieldError("/timestamp", "older than allowed", ErrorCode.STALE))
    sink.flush()
    sink.commit()
    [refused] = world.refused(sink, "market_events")
    assert (refused.value, refused.code, refused.partition) == (first.raw, "STALE", first.partition)
    sink = world.crash(sink)
    source.publish(bar(5))
    source.flush()
    assert messages(world.drain(sink, 1)) == [bar(5)]


def test_each_consuming_plane_receives_every_message(world):
    source = world.connect("data", [])
    strategy, order = world.connect("strategy", [BarEvent]), world.connect("order", [BarEvent])
    source.publish(bar(1))
    source.flush()
    assert messages(world.drain(strategy, 1)) == messages(world.drain(order, 1)) == [bar(1)]


def test_a_round_trip_through_three_planes(world):
    data = world.connect("data", [])
    strategy = world.connect("strategy", [BarEvent, ExecutionReport], [OrderIntent])
    order = world.connect("order", [OrderIntent], [ExecutionReport])
    data.publish(bar(1))
    data.flush()
    [cause] = world.drain(strategy, 1)
    strategy.publish(intent(1), cause)
    strategy.flush()
    strategy.commit()
    [wish] = world.drain(order, 1)
    order.publish(report(wish.message))
    order.flush()
    order.commit()
    assert messages(world.drain(strategy, 1)) == [report(intent(1))]
