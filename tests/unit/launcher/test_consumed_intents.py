from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from backtest.run_record import RunRecord
from contracts.claims import IntentsHandedOver
from contracts.codec import encode
from contracts.trading import ExecutionReport, OrderIntent, OrderType, Side
from kernel.clock import monotonic
from kernel.kafka_bus import KafkaBus
from kernel.kafka_producer import DurableProducer
from kernel.kafka_strict_log import append
from launcher.collector import Collector
from launcher.consumed_intents import (
    AT_THE_END,
    KEPT,
    WHILE_IT_RAN,
    IntentWitness,
    committed_positions,
    consumed_intents,
    kept_intents,
)

NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)


def an_intent(number):
    return OrderIntent(
        intent_id=UUID(int=number),
        symbol="AAPL",
        direction=Side.BUY,
        quantity=10.0,
        order_type=OrderType.MARKET,
        timestamp=datetime(2024, 1, 2, 17, tzinfo=UTC),
    )


def test_what_was_consumed_is_told_from_what_waits_and_from_dead_letters(embedded_settings, tmp_path):
    producer = DurableProducer(embedded_settings)
    topic = embedded_settings.topic("order_intents")

    def write(*values):
        for value in values:
            producer.send(topic, value, b"AAPL", [])
        producer.flush()

    write(encode(an_intent(1)), b"nonsense", encode(an_intent(2)))
    with KafkaBus(embedded_settings, "order", [OrderIntent], [ExecutionReport]) as bus:
        assert bus.wait_ready(20.0)
        seen, deadline = 0, monotonic() + 20.0
        while seen < 2 and monotonic() < deadline:
            seen += len(bus.poll(0.2))
        bus.commit()
    write(encode(an_intent(3)))
    producer.close()
    consumed = consumed_intents(embedded_settings)
    assert consumed.intents == (UUID(int=1), UUID(int=2))
    assert (consumed.refused, consumed.vanished, consumed.unread, consumed.unseen) == (1, (), 1, 0)
    assert "Kafka at" in consumed.source

    with IntentWitness(tmp_path / KEPT) as witness:
        with Collector(embedded_settings, RunRecord(1.0), witness) as collector:
            collector.drain()
        witness.committed(committed_positions(embedded_settings), AT_THE_END)
    kept = kept_intents(tmp_path / KEPT)
    assert kept is not None
    assert replace(kept, source="") == replace(consumed, source="")
    assert kept.source.endswith(f"is from {AT_THE_END}")


def test_the_mark_of_a_hand_over_is_no_intent_that_was_lost(embedded_settings, tmp_path):
    append(embedded_settings, an_intent(1))
    append(embedded_settings, IntentsHandedOver(timestamp=NOON, journal_id="new", predecessor="old"))
    with KafkaBus(embedded_settings, "order", [OrderIntent, IntentsHandedOver], [ExecutionReport]) as bus:
        deadline, seen = monotonic() + 20.0, 0
        while seen < 2 and monotonic() < deadline:
            seen += len(bus.poll(0.2))
        bus.commit()
    consumed = consumed_intents(embedded_settings)
    with IntentWitness(tmp_path / KEPT) as witness:
        with Collector(embedded_settings, RunRecord(1.0), witness) as collector:
            collector.drain()
        witness.committed(committed_positions(embedded_settings), AT_THE_END)
    kept = kept_intents(tmp_path / KEPT)
    for each in (consumed, kept):
        assert (each.intents, each.refused, each.vanished, each.unread, each.unseen) == ((UUID(int=1),), 0, (), 0, 0)


def test_what_a_run_kept_is_read_up_to_where_its_process_was_killed(tmp_path):
    with IntentWitness(tmp_path / KEPT) as witness:
        for offset, name in enumerate((1, 2, None, 1, 4, 5)):
            witness.published(0, offset, None if name is None else UUID(int=name))
        witness.committed({"order_intents/0": 5, "market_events/0": 9}, WHILE_IT_RAN)
    with (tmp_path / KEPT).open("a") as file:
        file.write('{"committed": {"order_intents/0": 6}, "told')
    kept = kept_intents(tmp_path / KEPT)
    assert kept is not None
    assert kept.intents == tuple(UUID(int=number) for number in (1, 2, 4))
    assert (kept.refused, kept.vanished, kept.unread) == (0, ("order_intents/0/2",), 0)
    assert kept.unknown == (UUID(int=5),), "the plane may have consumed it after what was committed when last asked"
    assert WHILE_IT_RAN in kept.source


def test_nothing_kept_is_no_evidence(tmp_path):
    assert kept_intents(tmp_path / KEPT) is None
