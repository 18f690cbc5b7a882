"""What the bus does when its broker misbehaves: every fault ends in a named error or in recovery, in bounded time."""

import os
import signal
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event
from uuid import UUID

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from contracts.codec import encode
from contracts.control import AlertSeverity, KillSwitchCommand, RiskAlert
from contracts.market import BarEvent
from kernel.clock import monotonic
from kernel.embedded_broker import MockCluster, start_embedded_broker
from kernel.kafka_admin import check_topics, create_topics, topic_states
from kernel.kafka_bus import KafkaBus
from kernel.kafka_errors import BrokerUnavailable, CommitFailed, ConsumptionFailed, OffsetLost, TopicMismatch, text_of
from kernel.kafka_producer import DurableProducer
from kernel.kafka_settings import KafkaSettings
from kernel.ports import DeliveryFailed

CONSUMER_GROUP_HEARTBEAT = 68
OFFSET_COMMIT = 8
PRODUCE = 0
NOBODY = "127.0.0.1:9"
KILL = KillSwitchCommand(
    command_id=UUID(int=1), timestamp=datetime(2024, 1, 2, tzinfo=UTC), engage=True, operator="ada", reason="drill"
)
ALERT = RiskAlert(
    timestamp=datetime(2024, 1, 2, tzinfo=UTC), severity=AlertSeverity.WARNING, code="DRILL", detail="nothing happened"
)


def bar(minute):
    at = datetime(2024, 1, 2, 21, tzinfo=UTC) + timedelta(minutes=minute)
    return BarEvent(symbol="AAPL", timestamp=at, open=10.0, high=12.0, low=9.0, close=11.0, volume=100.0)


@pytest.fixture
def cluster():
    with closing(MockCluster()) as made:
        made.create_topics()
        yield made


@pytest.fixture
def settings(cluster):
    return KafkaSettings(bootstrap_servers=cluster.bootstrap_servers, embedded=True, delivery_timeout_ms=3000)


@contextmanager
def strategy(settings):
    with KafkaBus(settings, "strategy", [BarEvent]) as bus:
        assert bus.wait_ready(60.0)
        yield bus


def foreign(settings, values, topic="market_events", partition=0):
    producer = Producer({"bootstrap.servers": settings.bootstrap_servers, "log_level": 0})
    for value in values:
        producer.produce(topic, value, b"AAPL", partition)
    assert producer.flush(10.0) == 0


def committed(settings, partition=0):
    group = {"bootstrap.servers": settings.bootstrap_servers, "group.id": settings.group("strategy")}
    with closing(Consumer(group)) as consumer:
        return consumer.committed([TopicPartition("market_events", partition)], timeout=10.0)[0].offset


def poll_until(bus, condition, seconds=10.0):
    received, deadline = [], monotonic() + seconds
    while not condition(received) and monotonic() < deadline:
        received += bus.poll(0.1)
    return received


def progress(bus):
    """Sum of what the broker has recorded as done."""
    return sum(bus.positions.values())


def test_no_broker_is_said_at_once_with_its_address_and_without_codes():
    told = rf"^no Kafka broker answers at {NOBODY}: (no connection|no answer in time); start one \(algotrade broker"
    with pytest.raises(BrokerUnavailable, match=told):
        KafkaBus(KafkaSettings(bootstrap_servers=NOBODY, start_timeout_seconds=0.5), "strategy", [BarEvent])


@pytest.mark.parametrize(
    ("code", "reason", "told"),
    [
        (KafkaError._TRANSPORT, "Failed to get metadata: Local: Broker transport failure", "no connection"),
        (KafkaError._TIMED_OUT, "Failed to get metadata: Local: Timed out", "no answer in time"),
        (KafkaError._TRANSPORT, "kafka:9092/1: connection refused", "_TRANSPORT (kafka:9092/1: connection refused)"),
        (KafkaError._AUTHENTICATION, "wrong password", "_AUTHENTICATION (wrong password)"),
    ],
)
def test_an_error_has_a_code_where_that_says_more_than_silence(code, reason, told):
    assert text_of(KafkaError(code, reason)) == told


def test_a_missing_topic_is_said_with_the_command_that_makes_it(cluster, settings):
    elsewhere = settings.model_copy(update={"topic_prefix": "other."})
    with pytest.raises(TopicMismatch, match=r"other\.market_events.*algotrade topics create"):
        KafkaBus(elsewhere, "strategy", [BarEvent])
    with pytest.raises(TopicMismatch, match="when it starts"):
        create_topics(elsewhere)


def test_a_dead_letter_topic_with_too_few_partitions_is_refused(cluster, settings):
    cluster.create_topic("narrow.market_events", 4)
    cluster.create_topic("narrow.dlq_market_events", 2)
    narrow = settings.model_copy(update={"topic_prefix": "narrow."})
    with pytest.raises(TopicMismatch, match="2 partitions"):
        check_topics(narrow, ["market_events"])
    verdicts = {state.topic.name: state.verdict for state in topic_states(narrow)}
    assert verdicts["market_events"] == "wider than the table's 1, usable"


def test_a_dead_letter_topic_that_refuses_stops_the_plane_and_the_message_comes_again(cluster, settings):
    with strategy(settings) as bus:
        foreign(settings, [b"poison"])
        cluster.refuse_topic("dlq_market_events", KafkaError.TOPIC_AUTHORIZATION_FAILED)
        with pytest.raises(DeliveryFailed, match="TOPIC_AUTHORIZATION_FAILED"):
            poll_until(bus, bool)
        with pytest.raises(DeliveryFailed):
            bus.commit()
    assert committed(settings) < 0
    cluster.refuse_topic("dlq_market_events", KafkaError.NO_ERROR)
    with strategy(settings) as bus:
        poll_until(bus, lambda _: progress(bus))
    assert committed(settings) == 1


def test_a_refused_output_is_raised_and_nothing_is_committed_behind_it(cluster, settings):
    with strategy(settings) as bus:
        bus.publish(bar(1))
        bus.flush()
        assert poll_until(bus, bool)
        cluster.fail_requests(PRODUCE, [KafkaError.TOPIC_AUTHORIZATION_FAILED])
        bus.publish(bar(2))
        with pytest.raises(DeliveryFailed, match="TOPIC_AUTHORIZATION_FAILED"):
            bus.flush()
        with pytest.raises(DeliveryFailed):
            bus.commit()
        with pytest.raises(DeliveryFailed):
            bus.publish(bar(3))


def test_a_killed_broker_ends_in_an_error_and_not_in_a_wait():
    with start_embedded_broker() as broker:
        settings = KafkaSettings(
            bootstrap_servers=broker.bootstrap_servers, embedded=True, delivery_timeout_ms=1000, start_timeout_seconds=2
        )
        with strategy(settings) as bus:
            os.kill(broker.process.pid, signal.SIGKILL)
            broker.process.wait()
            poll_until(bus, lambda _: not bus.healthy)
            assert not bus.healthy
            assert not bus.ready
            began = monotonic()
            bus.publish(bar(1))
            with pytest.raises(DeliveryFailed):
                bus.flush()
            assert monotonic() - began < 10
            began = monotonic()
        assert monotonic() - began < 10


def test_progress_that_cannot_be_recorded_is_said_in_bounded_time_and_what_was_closed_is_silent(caplog):
    with start_embedded_broker() as broker:
        settings = KafkaSettings(
            bootstrap_servers=broker.bootstrap_servers, embedded=True, delivery_timeout_ms=1000, start_timeout_seconds=2
        )
        with strategy(settings) as bus:
            bus.publish(bar(1))
            bus.flush()
            assert poll_until(bus, bool)
            os.kill(broker.process.pid, signal.SIGKILL)
            broker.process.wait()
            began = monotonic()
            with pytest.raises(CommitFailed):
                bus.commit()
            assert monotonic() - began < 20
        caplog.clear()
        Event().wait(3.0)
        assert [each for each in caplog.records if each.name == "kernel.kafka_consumer"] == []


def test_the_embedded_broker_ends_when_its_input_closes():
    with start_embedded_broker() as broker:
        broker.process.stdin.close()
        assert broker.process.wait(10.0) == 0


def test_messages_removed_unread_stop_the_plane_with_an_instruction(cluster, settings):
    with strategy(settings) as bus:
        foreign(settings, [b"first"])
        poll_until(bus, lambda _: progress(bus))
    assert committed(settings) == 1
    foreign(settings, [bytes(250_000)] * 30)  # more than the embedded broker keeps of a partition
    with KafkaBus(settings, "strategy", [BarEvent]) as bus, pytest.raises(OffsetLost, match="reset-offsets"):
        poll_until(bus, bool)
    assert committed(settings) == 1


def test_a_storm_of_dead_letters_pauses_and_an_operator_resumes(cluster, settings):
    with strategy(settings) as bus:
        foreign(settings, [b"poison"] * 30)
        poll_until(bus, lambda _: bus.storm)
        assert bus.dead_lettered.total() == 20
        assert not bus.ready
        assert poll_until(bus, bool, seconds=0.5) == []
        assert committed(settings) == 20

        bus.resume()
        assert bus.ready
        bus.publish(bar(1))
        bus.flush()
        poll_until(bus, lambda received: received and bus.dead_lettered.total() == 30)
        assert bus.dead_lettered.total() == 30


def test_a_broker_without_consumer_protocol_is_joined_the_classic_way(cluster, settings):
    cluster.fail_requests(CONSUMER_GROUP_HEARTBEAT, [KafkaError.UNSUPPORTED_VERSION])
    with strategy(settings) as bus:
        bus.publish(bar(1))
        bus.flush()
        assert [each.message for each in poll_until(bus, bool)] == [bar(1)]
        bus.commit()
    with strategy(settings.model_copy(update={"group_protocol": "classic"})) as bus:
        assert sum(bus.positions.values()) == 1


def test_the_consumer_protocol_is_not_given_up_when_it_was_asked_for(cluster, settings):
    cluster.fail_requests(CONSUMER_GROUP_HEARTBEAT, [KafkaError.UNSUPPORTED_VERSION])
    bus = KafkaBus(settings.model_copy(update={"group_protocol": "consumer"}), "strategy", [BarEvent])
    with bus, pytest.raises(ConsumptionFailed, match="not supported"):
        poll_until(bus, bool, seconds=5.0)


def test_a_commit_that_meets_a_rebalance_is_repeated(cluster, settings):
    with strategy(settings) as bus:
        bus.publish(bar(1))
        bus.flush()
        [received] = poll_until(bus, bool)
        cluster.fail_requests(OFFSET_COMMIT, [KafkaError.STALE_MEMBER_EPOCH])
        bus.commit()
        assert bus.positions[f"market_events/{received.partition}"] == 0
        poll_until(bus, lambda _: progress(bus))
        assert bus.positions[f"market_events/{received.partition}"] == 1


def test_more_is_handled_while_outputs_wait_for_their_acknowledgement_and_no_offset_overtakes_them(cluster, settings):
    with strategy(settings.model_copy(update={"batch_max": 1})) as bus:
        foreign(settings, [encode(bar(1)), encode(bar(2))])
        assert len(poll_until(bus, bool)) == 1
        cluster.fail_requests(PRODUCE, [KafkaError.REQUEST_TIMED_OUT] * 4)  # sent again a little later each time
        bus.publish(bar(3))
        bus.finish(mark=1)
        assert [each.message for each in poll_until(bus, bool)] == [bar(2)]
        bus.finish(mark=2)
        assert (bus.durable, progress(bus)) == (0, 0)
        assert committed(settings) < 0

        poll_until(bus, lambda _: progress(bus) == 2)
        assert bus.durable == 2
    assert committed(settings) == 2


def test_an_output_that_is_refused_while_more_is_handled_stops_the_plane_and_holds_its_offset(cluster, settings):
    with strategy(settings.model_copy(update={"batch_max": 1})) as bus:
        foreign(settings, [encode(bar(1)), encode(bar(2))])
        assert len(poll_until(bus, bool)) == 1
        bus.finish()
        poll_until(bus, lambda _: progress(bus) == 1)
        cluster.fail_requests(PRODUCE, [KafkaError.TOPIC_AUTHORIZATION_FAILED])
        bus.publish(bar(3))
        bus.finish(mark=1)
        with pytest.raises(DeliveryFailed, match="TOPIC_AUTHORIZATION_FAILED"):
            poll_until(bus, lambda _: False)
        assert bus.durable == 0
    assert committed(settings) == 1


def test_progress_that_is_refused_for_good_stops_the_plane(cluster, settings):
    with strategy(settings) as bus:
        foreign(settings, [encode(bar(1))])
        assert poll_until(bus, bool)
        cluster.fail_requests(OFFSET_COMMIT, [KafkaError.GROUP_AUTHORIZATION_FAILED])
        bus.finish()
        with pytest.raises(CommitFailed, match="GROUP_AUTHORIZATION_FAILED"):
            poll_until(bus, lambda _: False)


def test_a_storm_of_dead_letters_never_pauses_the_kill_switch(cluster, settings):
    with KafkaBus(settings, "strategy", [BarEvent, RiskAlert, KillSwitchCommand]) as bus:
        assert bus.wait_ready(60.0)
        foreign(settings, [b"poison"] * 30)
        poll_until(bus, lambda _: bus.storm)
        foreign(settings, [b"poison too", encode(KILL)], topic="control")
        foreign(settings, [encode(ALERT)], topic="risk_alerts")
        assert [each.message for each in poll_until(bus, bool)] == [KILL]
        assert bus.dead_lettered["control", "NOT_JSON"] == 1
        assert poll_until(bus, bool, seconds=0.5) == []


def test_a_full_queue_waits_and_then_says_so_and_drops_nothing_silently():
    producer = DurableProducer(KafkaSettings(bootstrap_servers=NOBODY, delivery_timeout_ms=1000))

    def flood():
        for _ in range(200_000):
            producer.send("market_events", b"value", b"key", [])

    with pytest.raises(DeliveryFailed):
        flood()
    producer.close()
