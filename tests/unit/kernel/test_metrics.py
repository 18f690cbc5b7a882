from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from contracts.codec import ErrorCode, FieldError
from contracts.control import AlertSeverity, RiskAlert
from contracts.market import BarEvent
from kernel.clock import ManualClock
from kernel.metrics import PlaneMetrics
from kernel.ports import Received

MOMENT = datetime(2024, 1, 2, 21, 0, tzinfo=UTC)
BAR = BarEvent(symbol="AAPL", timestamp=MOMENT, open=1.0, high=1.0, low=1.0, close=1.0, volume=1.0)
ALERT = RiskAlert(timestamp=MOMENT, severity=AlertSeverity.WARNING, code="X", detail="x")
STALE = FieldError("/timestamp", "too old", ErrorCode.STALE)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(MOMENT)


@pytest.fixture
def metrics(clock) -> PlaneMetrics:
    return PlaneMetrics("strategy", clock=clock, revision="abc123")


def received(published: datetime | None = None, topic: str = "market_events") -> Received:
    return Received(BAR, topic, timestamp_ms=0 if published is None else int(published.timestamp() * 1000))


def value(metrics: PlaneMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"algotrade_{name}", {"plane": "strategy", **labels})


def test_messages_are_counted_by_topic_in_and_out(metrics):
    metrics.handled(received(), [ALERT, ALERT], 0.001)
    metrics.handled(received(topic="execution_reports"), [], 0.001)
    metrics.settled([ALERT], 0.001)
    metrics.published(BAR)

    assert value(metrics, "messages_out_total", topic="market_events") == 1
    assert value(metrics, "messages_in_total", topic="market_events") == 1
    assert value(metrics, "messages_in_total", topic="execution_reports") == 1
    assert value(metrics, "messages_out_total", topic="risk_alerts") == 3


def test_latencies_land_in_their_buckets(metrics, clock):
    clock.advance(timedelta(milliseconds=30))
    metrics.handled(received(published=MOMENT), [], 0.0004)

    assert value(metrics, "end_to_end_seconds_bucket", topic="market_events", le="0.025") == 0
    assert value(metrics, "end_to_end_seconds_bucket", topic="market_events", le="0.05") == 1
    assert value(metrics, "end_to_end_seconds_sum", topic="market_events") == pytest.approx(0.03)
    assert value(metrics, "handling_seconds_bucket", topic="market_events", le="0.0005") == 1


def test_a_message_without_broker_time_has_no_end_to_end_latency(metrics):
    metrics.handled(received(), [], 0.001)

    assert value(metrics, "end_to_end_seconds_count", topic="market_events") == 0


def test_clocks_that_disagree_never_give_a_negative_latency(metrics):
    metrics.handled(received(published=MOMENT + timedelta(seconds=5)), [], 0.001)

    assert value(metrics, "end_to_end_seconds_sum", topic="market_events") == 0


def test_a_dead_letter_known_to_pump_and_bus_is_counted_once(metrics):
    metrics.refused(received(), STALE)
    for _ in range(2):
        metrics.progress({}, {("market_events", "STALE"): 1, ("market_events", "NOT_JSON"): 3})
    metrics.progress({}, {("market_events", "STALE"): 2, ("market_events", "NOT_JSON"): 3})

    assert value(metrics, "dead_letters_total", topic="market_events", code="STALE") == 2
    assert value(metrics, "dead_letters_total", topic="market_events", code="NOT_JSON") == 3


def test_lag_follows_the_assigned_partitions(metrics):
    metrics.progress({"market_events/0": 5, "market_events/1": 7}, {})
    metrics.progress({"market_events/1": 2}, {})

    assert value(metrics, "consumer_lag_records", topic="market_events", partition="0") is None
    assert value(metrics, "consumer_lag_records", topic="market_events", partition="1") == 2


def test_gauges_that_alerts_watch_are_there_from_the_start(metrics):
    assert value(metrics, "orders_in_doubt") == 0
    assert value(metrics, "kill_switch_engaged") == 0
    assert value(metrics, "kill_switch_reduce_only") == 0
    assert value(metrics, "stale_symbols") == 0
    assert value(metrics, "bar_close_to_submit_seconds_count") == 0

    metrics.kill_switch_engaged.set(1)
    metrics.orders_in_doubt.set(2)
    metrics.stale_symbols.set(3)
    metrics.bar_close_to_submit_seconds.observe(0.2)

    assert value(metrics, "kill_switch_engaged") == 1
    assert value(metrics, "orders_in_doubt") == 2
    assert value(metrics, "stale_symbols") == 3
    assert value(metrics, "bar_close_to_submit_seconds_bucket", le="0.25") == 1


def test_only_a_plane_with_a_gateway_tells_whether_it_can_be_used(metrics):
    assert value(metrics, "gateway_connected") is None
    metrics.gateway(connected=True)
    assert value(metrics, "gateway_connected") == 1
    metrics.gateway(connected=False)
    assert value(metrics, "gateway_connected") == 0


def test_the_build_is_named(metrics):
    (build,) = (family for family in metrics.registry.collect() if family.name == "algotrade_build")

    (sample,) = build.samples
    assert sample.name == "algotrade_build_info"
    assert (sample.labels["revision"], sample.labels["plane"]) == ("abc123", "strategy")


def test_names_share_one_prefix_and_labels_are_bounded(metrics):
    metrics.handled(received(published=MOMENT), [ALERT], 0.001)
    metrics.progress({"market_events/0": 5}, {("market_events", "STALE"): 1})

    families = {family.name: family for family in text_string_to_metric_families(metrics.render().decode())}

    own = {name: family for name, family in families.items() if not name.startswith("process_")}
    assert own
    assert all(name.startswith("algotrade_") for name in own)
    used = {label for family in own.values() for sample in family.samples for label in sample.labels}
    assert used == {"plane", "topic", "partition", "code", "le", "version", "revision"}


def test_two_processes_in_one_interpreter_do_not_share_counts(metrics):
    PlaneMetrics("strategy").handled(received(), [], 0.001)

    assert value(metrics, "messages_in_total", topic="market_events") is None
