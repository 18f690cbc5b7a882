from datetime import UTC, datetime
from uuid import UUID

from contracts.codec import encode
from contracts.trading import ExecutionReport, OrderIntent, OrderType, Side
from kernel.clock import monotonic
from kernel.kafka_bus import KafkaBus
from kernel.kafka_producer import DurableProducer
from launcher.consumed_intents import consumed_intents


def an_intent(number):
    return OrderIntent(
        intent_id=UUID(int=number),
        symbol="AAPL",
        direction=Side.BUY,
        quantity=10.0,
        order_type=OrderType.MARKET,
        timestamp=datetime(2024, 1, 2, 17, tzinfo=UTC),
    )


def test_what_was_consumed_is_told_from_what_waits_and_from_dead_letters(embedded_settings):
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
    assert (consumed.refused, consumed.vanished) == (1, ())
