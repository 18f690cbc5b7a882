"""A source does not run away from a consumer that has stopped, and nothing is trimmed unread meanwhile."""

from datetime import UTC, datetime, timedelta

import pytest

from contracts.market import FactEvent
from kernel.embedded_broker import WIDEST_WINDOW, MockCluster
from kernel.flow import ConsumersStalled, Progress, Window, waiter
from kernel.kafka_bus import KafkaBus
from kernel.kafka_offsets import watermarks
from kernel.kafka_settings import KafkaSettings

START = datetime(2024, 1, 2, tzinfo=UTC)


@pytest.fixture
def kafka():
    cluster = MockCluster()
    cluster.create_topics()
    yield KafkaSettings(bootstrap_servers=cluster.bootstrap_servers, embedded=True)
    cluster.close()


def fact(number):
    """A message of one partition, larger than any bar."""
    at = START + timedelta(seconds=number)
    values = {f"measure_{place}": number + 0.123456789 for place in range(12)}
    return FactEvent(table="t", symbol="A", timestamp=at, event_time=at, values=values)


def test_a_stopped_consumer_holds_the_source_and_nothing_is_lost(kafka):
    progress = Progress({"strategy": ("market_events",)})
    published = 0
    with KafkaBus(kafka, "data", (), [FactEvent]) as bus:

        def wait(condition):
            bus.flush()
            progress.wrote(bus.ends)
            waiter(lambda seconds: None, lambda: False, patience_seconds=0.2)(condition)

        gate = Window(progress, wait, WIDEST_WINDOW)

        def run():
            nonlocal published
            while True:
                gate.before(fact(published))
                bus.publish(fact(published))
                published += 1

        with pytest.raises(ConsumersStalled):
            run()
    assert WIDEST_WINDOW <= published <= WIDEST_WINDOW * 5 // 4
    kept = watermarks(kafka, ["market_events"])
    assert sum(high - low for low, high in kept.values()) == published
