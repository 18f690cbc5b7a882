"""What only a broker can show: dead letters on the wire, groups, offsets and history."""

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from contracts.codec import encode
from contracts.control import KillSwitchCommand
from contracts.market import BarEvent, SliceEvent
from contracts.trading import ExecutionCost, ExecutionReport, OrderIntent, OrderStatus, OrderType, Side
from domain.ids import intent_id
from kernel.clock import monotonic
from kernel.kafka_errors import HistoryLost, StateBehind
from kernel.kafka_history import Span
from kernel.ports import DeliveryFailed

START = datetime(2024, 1, 2, 21, tzinfo=UTC)
POISON = {
    b"not json at all": "NOT_JSON",
    b'{"event_type":"bar_event","symbol":"A\xff"}': "NOT_UTF8",
    "{}".encode("utf-16"): "NOT_UTF8",
    b"": "NOT_JSON",
    None: "NOT_JSON",
    b'{"event_type":"order_intent"}': "UNKNOWN_SCHEMA",
}


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


def cost(symbol, observations):
    return ExecutionCost(
        symbol=symbol,
        timestamp=START,
        slippage=0.0,
        fixed=0.0,
        impact=0.0,
        impact_error=None,
        observations=observations,
    )


def messages(received):
    return [each.message for each in received]


def publish(bus, *what):
    for message in what:
        bus.publish(message)
    bus.flush()


@pytest.mark.fault("F25 F30: poison")
def test_foreign_poison_is_dead_lettered_byte_for_byte_and_stops_nothing(wide_world):
    world = wide_world
    sink = world.connect("strategy", [BarEvent])
    nan = encode(bar(1)).replace(b"11.0", b"NaN")
    twice = encode(bar(1)).replace(b"{", b'{"symbol":"IBM",', 1)
    poison = {**POISON, nan: "NON_FINITE", twice: "DUPLICATE_KEY"}
    wire = [("source", b"elsewhere"), ("tag", b"1"), ("tag", b"2"), ("empty", None), ("raw", b"\x00\xff")]
    world.foreign("market_events", list(poison), headers=wire, partition=2, timestamp_ms=1_700_000_000_123)
    publish(world.connect("data", []), bar(7))
    assert messages(world.drain(sink, 1)) == [bar(7)]
    sink.poll(0.2)
    sink.commit()

    letters = world.dead_letters("dlq_market_events")
    assert {letter.value: letter.code for letter, _ in letters} == poison
    for letter, partition in letters:
        assert (partition, letter.source_partition, letter.key) == (2, 2, b"FOREIGN")
        assert list(letter.headers) == wire
        assert letter.source_timestamp_ms == 1_700_000_000_123
        assert letter.intact
    assert sorted(letter.source_offset for letter, _ in letters) == list(range(len(poison)))


def test_poison_alone_is_committed_without_a_caller(kafka_world):
    sink = kafka_world.connect("strategy", [BarEvent])
    kafka_world.foreign("market_events", [b"x", b"y"])
    deadline = monotonic() + 20
    while sink.positions["market_events/0"] < 2 and monotonic() < deadline:
        assert not sink.poll(0.2)
    assert sink.dead_lettered.total() == 2
    assert kafka_world.committed("strategy", "market_events") == 2
    assert sink.positions["market_events/0"] == 2


@pytest.mark.kafka
def test_a_dead_letter_that_cannot_be_written_stops_the_plane_before_the_offset_moves(apache_world):
    world = apache_world
    sink = world.connect("strategy", [BarEvent])
    limit = ConfigEntry("max.message.bytes", "100", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(
        ResourceType.TOPIC, world.settings.topic("dlq_market_events"), incremental_configs=[limit]
    )
    admin = AdminClient({"bootstrap.servers": world.settings.bootstrap_servers})
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(10)
    world.foreign("market_events", [b"poison"])
    with pytest.raises(DeliveryFailed):
        world.drain(sink, 1)
    with pytest.raises(DeliveryFailed):
        sink.commit()
    assert world.committed("strategy", "market_events") == 0


def test_positions_and_ends_show_that_nothing_is_in_flight(kafka_world):
    source = kafka_world.connect("data", [], [BarEvent])
    sink = kafka_world.connect("strategy", [BarEvent, ExecutionReport], [OrderIntent])
    assert set(sink.positions) == {"market_events/0", "execution_reports/0"}
    assert set(sink.positions.values()) == {0}
    assert sink.ends == {"order_intents/0": 0}

    publish(source, *(bar(1, symbol) for symbol in ("AAPL", "IBM", "MSFT", "GOOG")))
    assert sum(source.ends.values()) == 4
    world_positions = sink.positions
    kafka_world.drain(sink, 4)
    assert sink.positions == world_positions
    sink.commit()
    assert {name: end for name, end in sink.positions.items() if name in source.ends} == source.ends


def test_ends_are_known_after_a_restart(kafka_world):
    source = kafka_world.connect("data", [], [BarEvent])
    publish(source, bar(1), bar(2))
    assert kafka_world.crash(source).ends == source.ends


def test_history_is_what_was_handled_and_what_was_said_in_the_order_of_time(kafka_world):
    world = kafka_world
    source = world.connect("data", [])
    strategy = world.connect("strategy", [BarEvent], [OrderIntent])
    for minute in range(3):
        publish(source, bar(minute, "AAPL"), bar(minute, "IBM"))
        world.drain(strategy, 2)
        time.sleep(0.003)  # records carry milliseconds
        publish(strategy, intent(minute))
        strategy.commit()
        time.sleep(0.003)
    world.foreign("market_events", [b"poison"])
    publish(source, bar(8))
    strategy.poll(0.5)
    publish(strategy, intent(8))

    told = list(world.crash(strategy).history())
    assert {each.message.symbol for each in told[:2]} == {"AAPL", "IBM"}
    assert told[2].message == intent(0)
    assert {each.message.timestamp for each in told} == {START + timedelta(minutes=m) for m in (0, 1, 2, 8)}
    assert [each.message for each in told if each.topic == "order_intents"] == [intent(m) for m in (0, 1, 2, 8)]
    assert bar(8) not in messages(told)
    assert all(before.timestamp_ms <= after.timestamp_ms for before, after in pairwise(told))


def test_history_of_a_plane_that_never_ran_is_empty(kafka_world):
    publish(kafka_world.connect("data", []), bar(1))
    assert list(kafka_world.connect("strategy", [BarEvent], [OrderIntent]).history()) == []


@pytest.mark.kafka
@pytest.mark.parametrize("topic", ["order_intents", "market_events"])
def test_a_log_that_lost_its_beginning_rebuilds_nothing(apache_world, topic):
    world = apache_world
    source = world.connect("strategy", [BarEvent], [OrderIntent])
    world.foreign(topic, [b"gone", b"kept"])
    admin = AdminClient({"bootstrap.servers": world.settings.bootstrap_servers})
    trimmed = TopicPartition(world.settings.topic(topic), 0, 1)
    for future in admin.delete_records([trimmed]).values():
        future.result(10)
    with pytest.raises(HistoryLost, match=rf"{topic}/0 begins at offset 1.*kafka\.topic_prefix"):
        list(source.history())
    assert list(source.history([BarEvent], (), span=Span(newest=10))) == [], "who needs the newest only reads on"


def test_history_to_the_end_tells_what_arrived_while_the_plane_was_away(kafka_world):
    world = kafka_world
    source = world.connect("data", [])
    order = world.connect("order", [BarEvent, KillSwitchCommand], [ExecutionReport])
    publish(source, *(bar(minute) for minute in range(4)))
    world.drain(order, 4)
    order.commit()
    kill = KillSwitchCommand(command_id=UUID(int=1), timestamp=START, engage=True, operator="ada", reason="drill")
    publish(source, bar(4), kill)
    order = world.crash(order)
    assert bar(4) not in messages(order.history())

    order = world.crash(order)
    told = messages(order.history([BarEvent, KillSwitchCommand], (), span=Span(newest=2, to_end=True)))
    assert [each for each in told if isinstance(each, BarEvent)] == [bar(3), bar(4)]
    assert kill in told
    whole = Span(newest=0, to_end=True, whole=frozenset({"control"}))
    assert messages(order.history([BarEvent, KillSwitchCommand], (), span=whole)) == [kill], "a kill is never too old"
    assert messages(world.drain(order, 2)) in ([bar(4), kill], [kill, bar(4)]), "it is handled in its turn all the same"


@pytest.mark.fault("F33: the log has lost what a plane must know")
def test_a_state_that_is_behind_its_group_stops_the_plane_instead_of_trading_on_it(kafka_world):
    world = kafka_world
    source = world.connect("data", [])
    old = world.connect("strategy", [BarEvent], [OrderIntent])
    assert list(old.history()) == []
    publish(source, *(bar(1, f"SYM{number}") for number in range(40)))
    successor = world.connect("strategy", [BarEvent], [OrderIntent], wait=False)
    assert list(successor.history()) == [], "nothing is handled when the successor rebuilds its state"
    assert world.drain(old, 20)
    old.commit()
    old.close()
    with pytest.raises(StateBehind, match="Run one instance"):
        world.drain(successor, 40)

    successor.close()
    successor = world.connect("strategy", [BarEvent], [OrderIntent], wait=False)
    restored = len(list(successor.history()))
    assert restored + len(world.drain(successor, 40 - restored)) == 40


def test_two_members_share_the_partitions_of_a_wide_topic_and_one_takes_over(wide_world):
    world = wide_world
    source = world.connect("data", [])
    symbols = [f"SYM{number}" for number in range(40)]
    first = world.connect("strategy", [BarEvent])
    assert len(first.positions) == 4
    second = world.connect("strategy", [BarEvent], wait=False)
    while len(first.positions) != 2 or len(second.positions) != 2:
        first.poll(0.1)
        second.poll(0.1)
    assert not set(first.positions) & set(second.positions)

    publish(source, *(bar(1, symbol) for symbol in symbols))
    seen = []
    while len(seen) < 40:
        for member in (first, second):
            batch = member.poll(0.1)
            seen += batch
            member.commit()
    assert sorted(each.message.symbol for each in seen) == sorted(symbols)

    second.close()
    publish(source, *(bar(2, symbol) for symbol in symbols))
    assert {each.message.symbol for each in world.drain(first, 40)} == set(symbols)
    assert len(first.positions) == 4


def test_what_a_revoked_member_had_in_hand_is_neither_committed_nor_lost(wide_world):
    world = wide_world
    source = world.connect("data", [])
    symbols = [f"SYM{number}" for number in range(40)]
    first = world.connect("strategy", [BarEvent])
    publish(source, *(bar(1, symbol) for symbol in symbols))
    assert len(world.drain(first, 40)) == 40
    second = world.connect("strategy", [BarEvent], wait=False)
    while len(first.positions) != 2 or len(second.positions) != 2:
        first.poll(0.1)
        second.poll(0.0)
    first.commit()
    lost = {each.split("/")[1] for each in second.positions}
    again = {str(each.partition) for each in world.drain(second, 10, seconds=2.0)}
    assert again <= lost
    assert world.committed("strategy", "market_events") < 40


def test_one_trace_runs_from_the_bar_to_the_report(kafka_world):
    world = kafka_world
    data = world.connect("data", [])
    strategy = world.connect("strategy", [BarEvent, ExecutionReport])
    order = world.connect("order", [OrderIntent])
    publish(data, bar(1))
    [cause] = world.drain(strategy, 1)
    strategy.publish(intent(1), cause)
    strategy.flush()
    [wish] = world.drain(order, 1)
    publish(
        order,
        ExecutionReport(
            intent_id=wish.message.intent_id,
            order_id="1",
            symbol="AAPL",
            status=OrderStatus.SUBMITTED,
            filled_quantity=0.0,
            timestamp=START,
        ),
    )
    [answer] = world.drain(strategy, 1)
    traces = {each.headers["traceparent"][3:35] for each in (cause, wish, answer)}
    spans = {each.headers["traceparent"][36:52] for each in (cause, wish, answer)}
    assert len(traces) == 1
    assert len(spans) == 3
    assert answer.headers["schema"] == b"execution_report.v1"


def test_what_is_said_together_waits_for_the_last_and_keeps_its_order(kafka_world):
    source, sink = kafka_world.connect("data", []), kafka_world.connect("strategy", [BarEvent])
    source.publish(bar(1), more=True)
    source.publish(bar(2), more=True)
    assert not sink.poll(0.3)
    source.publish(bar(3))
    assert messages(kafka_world.drain(sink, 3)) == [bar(1), bar(2), bar(3)]


@pytest.mark.parametrize(
    "next_call",
    [lambda bus: bus.poll(0), lambda bus: bus.flush(), lambda bus: bus.finish(), lambda bus: bus.commit()],
    ids=["poll", "flush", "finish", "commit"],
)
def test_what_waits_for_more_leaves_when_the_bus_is_next_asked_for_anything(kafka_world, next_call):
    source, sink = kafka_world.connect("data", []), kafka_world.connect("strategy", [BarEvent])
    source.publish(bar(1), more=True)
    next_call(source)
    assert messages(kafka_world.drain(sink, 1)) == [bar(1)]


def test_what_waits_for_more_goes_when_the_next_is_one_that_only_the_newest_counts_of(kafka_world):
    source, sink = kafka_world.connect("order", []), kafka_world.connect("strategy", [BarEvent])
    source.publish(bar(1), more=True)
    source.publish(cost("AAPL", 1))
    assert messages(kafka_world.drain(sink, 1)) == [bar(1)]


def test_what_waited_for_more_is_durable_before_its_cause_is_done(kafka_world):
    data, strategy = kafka_world.connect("data", []), kafka_world.connect("strategy", [BarEvent], [OrderIntent])
    publish(data, bar(1))
    [cause] = kafka_world.drain(strategy, 1)
    strategy.publish(intent(1), cause, more=True)
    strategy.finish(7)
    deadline = monotonic() + 20
    while strategy.durable < 7 and monotonic() < deadline:
        assert not strategy.poll(0)
    assert strategy.durable == 7
    assert strategy.ends["order_intents/0"] == 1
    strategy.commit()
    assert strategy.positions["market_events/0"] == 1


def test_of_what_only_the_newest_counts_only_the_newest_leaves_before_its_cause_is_done(kafka_world):
    world = kafka_world
    data, sink = world.connect("data", [], [BarEvent]), world.connect("strategy", [ExecutionCost])
    order = world.connect("order", [BarEvent], [ExecutionCost])
    publish(data, bar(1))
    [cause] = world.drain(order, 1)
    for observations in range(1, 6):
        order.publish(cost("AAPL", observations), cause)
        order.publish(cost("MSFT", observations), cause)
    assert order.positions != data.ends
    order.commit()
    assert order.positions == data.ends
    heard = messages(world.drain(sink, 3, seconds=2.0))
    assert [(each.symbol, each.observations) for each in heard] == [("AAPL", 5), ("MSFT", 5)]
    assert sum(order.ends.values()) == 2


def test_a_maximum_size_poison_fits_into_its_dead_letter_topic(kafka_world):
    sink = kafka_world.connect("strategy", [BarEvent])
    largest = bytes(range(256)) * 1024
    kafka_world.foreign("market_events", [largest], headers=[("a", b"b" * 4096)])
    while not sink.dead_lettered:
        sink.poll(0.2)
    sink.flush()
    [(letter, _)] = kafka_world.dead_letters("dlq_market_events")
    assert letter.value == largest


def test_messages_passed_over_are_committed_too(kafka_world):
    sink = kafka_world.connect("order", [BarEvent])
    source = kafka_world.connect("data", [], [BarEvent])
    publish(source, SliceEvent(timestamp=START, bar_size="1d", symbols=("AAPL",)))
    kafka_world.drain(sink, 1, seconds=1.0)
    assert sink.positions == source.ends
