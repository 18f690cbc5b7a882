from datetime import UTC, datetime

import pytest
from confluent_kafka import Producer

from backtest.run_record import RunRecord
from contracts.codec import encode
from contracts.control import AlertSeverity, RiskAlert, RunMarker, RunState
from launcher.collector import Collector
from launcher.endings import RunIncomplete
from launcher.runs import refuse_gaps
from order_plane.alerts import all_clear


def test_records_that_strangers_wrote_do_not_stop_it(embedded_settings):
    stranger = Producer({"bootstrap.servers": embedded_settings.bootstrap_servers})
    stranger.produce(embedded_settings.topic("dlq_market_events"), b"no letter", b"AAPL", partition=0)
    stranger.produce(embedded_settings.topic("dlq_order_intents"), None, None, partition=0)
    stranger.produce(embedded_settings.topic("market_events"), b"no bar", b"AAPL", partition=0)
    marker = RunMarker(timestamp=datetime(2024, 1, 1, tzinfo=UTC), run_id="x", state=RunState.FINISHED)
    stranger.produce(embedded_settings.topic("control"), encode(marker))
    assert stranger.flush(10) == 0
    with Collector(embedded_settings, RunRecord(1.0)) as collector:
        collector.drain()
        assert collector.dead_letters == {"(no reason)": 2}
        assert collector.finished
        assert collector.bars == 0


def test_alerts_of_all_planes_are_collected(embedded_settings):
    producer = Producer({"bootstrap.servers": embedded_settings.bootstrap_servers})
    at = datetime(2024, 1, 1, tzinfo=UTC)
    alert = RiskAlert(timestamp=at, severity=AlertSeverity.WARNING, code="OPTIMIZER_KEPT", detail="net")
    grave = RiskAlert(timestamp=at, severity=AlertSeverity.CRITICAL, code="ORDER_IN_DOUBT", detail="x")
    over = all_clear("DOUBT_SETTLED", "x", at)
    for each in (alert, alert, grave, over):
        producer.produce(embedded_settings.topic("risk_alerts"), encode(each))
    assert producer.flush(10) == 0
    record = RunRecord(1.0)
    with Collector(embedded_settings, record) as collector:
        collector.drain()
    assert record.alerts.by_code()["OPTIMIZER_KEPT"]["count"] == 1
    assert collector.untold == [grave, over]


def test_what_the_broker_dropped_before_it_was_read_is_counted_by_topic(embedded_settings):
    producer = Producer({"bootstrap.servers": embedded_settings.bootstrap_servers})
    for _ in range(8):  # of which a partition keeps the newest 5 MiB
        producer.produce(embedded_settings.topic("market_events"), b"x" * 900_000, partition=0)
    assert producer.flush(10) == 0
    with Collector(embedded_settings, RunRecord(1.0)) as collector:
        collector.drain()
        assert collector.missing == {"market_events": 3}
        with pytest.raises(RunIncomplete, match="3 of market_events"):
            refuse_gaps(collector)


def test_a_run_of_which_everything_was_read_is_whole(embedded_settings):
    with Collector(embedded_settings, RunRecord(1.0)) as collector:
        refuse_gaps(collector)
