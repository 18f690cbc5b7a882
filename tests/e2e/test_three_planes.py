"""Three processes over a broker do exactly what the backtest does, even when they are killed in the middle."""

import json
import sqlite3
from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from backtest.run_record import RunRecord
from kernel.kafka_history import read_logs
from kernel.kafka_offsets import watermarks
from kernel.kafka_settings import KafkaSettings
from kernel.recorder import replay
from launcher.cli import app
from launcher.collector import Collector
from launcher.local import LocalRun, supervised
from launcher.runs import follow
from launcher.supervisor import Supervisor
from order_plane.composition import build_stage as build_order_stage
from order_plane.settings import Mode
from strategy_plane.composition import build_stage as build_strategy_stage


def _orders_at_the_venue(state: Path) -> Counter[str]:
    with sqlite3.connect(state / "paper_venue.sqlite") as venue:
        return Counter(row[0] for row in venue.execute("SELECT intent_id FROM orders"))


def _answered(kafka: KafkaSettings) -> set[str]:
    """Intents of which a report was published."""
    records = read_logs(kafka, watermarks(kafka, ["execution_reports"]))
    return {json.loads(record.value() or b"")["intent_id"] for record in records}


class _Killer:
    """Kills planes without warning, all at once, each time another share of the bars has been seen."""

    def __init__(self, planes: str, bars: int, times: int) -> None:
        self._planes = planes.split("+")
        self._at = [bars * (number + 1) // (times + 1) for number in range(times)]
        self.killed = 0

    def __call__(self, supervisor: Supervisor, collector: Collector) -> None:
        children = [supervisor.children[plane] for plane in self._planes]
        if self._at and collector.bars >= self._at[0] and all(child.running for child in children):
            self._at.pop(0)
            processes = [child.process for child in children if child.process is not None]
            for process in processes:
                process.kill()
            for process in processes:
                process.wait()
            self.killed += 1


def test_a_lock_step_run_equals_the_backtest(short_run, kafka_settings: KafkaSettings, tmp_path: Path) -> None:
    collector = short_run.over(kafka_settings, tmp_path)
    assert collector.dead_letters.total() == 0


@pytest.mark.parametrize("plane", ["data", "strategy", "order", "data+strategy+order"])
def test_a_plane_killed_and_restarted_changes_nothing_but_what_nobody_can_know(
    short_run, kafka_settings: KafkaSettings, tmp_path: Path, plane: str
) -> None:
    killer = _Killer(plane, short_run.bars, times=2)
    short_run.over(kafka_settings, tmp_path, killer)
    assert killer.killed == 2
    doubled = {intent: count for intent, count in _orders_at_the_venue(tmp_path).items() if count > 1}
    assert doubled == {}


def test_facts_and_order_flow_change_nothing_of_that(
    signal_run, embedded_settings: KafkaSettings, tmp_path: Path
) -> None:
    killer = _Killer("data+strategy+order", signal_run.bars, times=2)
    signal_run.over(embedded_settings, tmp_path, killer)
    assert killer.killed == 2


def test_planes_killed_while_outputs_are_on_their_way_lose_and_double_nothing(
    fast_run, kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    config, settings, bars = fast_run
    record = RunRecord(settings.strategy.initial_cash)
    killer = _Killer("strategy+order", bars, times=2)
    run = LocalRun("test", config, settings, kafka_settings, tmp_path)
    with Collector(kafka_settings, record) as collector:
        with supervised(run, restart=True, on_event=lambda plane, event: None) as supervisor:
            follow(supervisor, collector, lambda: killer(supervisor, collector))
        collector.drain()
    assert killer.killed >= 1
    orders = _orders_at_the_venue(tmp_path)
    assert set(orders.values()) == {1}
    tables = record.tables()
    intents = set(tables.orders.column("intent_id").to_pylist())
    assert record.counts["bars"] == bars
    assert collector.dead_letters.total() == 0
    assert intents == _answered(kafka_settings)
    assert set(orders) <= intents


def test_poison_is_listed_with_its_reason_while_trading_goes_on(
    short_run, kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    poisoned = False

    def poison(supervisor: Supervisor, collector: Collector) -> None:
        nonlocal poisoned
        if not poisoned and collector.bars > short_run.bars // 3:
            producer = Producer({"bootstrap.servers": kafka_settings.bootstrap_servers})
            producer.produce(
                kafka_settings.topic("market_events"), b'{"event_type":"bar_event","open":NaN}', b"AAPL", partition=0
            )
            producer.produce(kafka_settings.topic("order_intents"), b"\xff\xfe no intent", b"AAPL", partition=0)
            assert producer.flush(10) == 0
            poisoned = True

    collector = short_run.over(kafka_settings, tmp_path, poison)
    assert poisoned
    # Both readers of market_events refuse it, each in its own name; the intent has one reader.
    assert collector.dead_letters == {"NOT_UTF8": 1, "SCHEMA_INVALID": 2}
    listed = CliRunner().invoke(
        app,
        ["dlq", "list", "--bootstrap", kafka_settings.bootstrap_servers, "--prefix", kafka_settings.topic_prefix],
    )
    assert listed.exit_code == 0
    assert "NOT_UTF8" in listed.output


def test_what_each_stage_was_told_gives_the_same_bytes_again(
    short_run, embedded_settings: KafkaSettings, tmp_path: Path
) -> None:
    short_run.over(embedded_settings, tmp_path)
    (strategy,) = (tmp_path / "recorded").glob("strategy-*.jsonl")
    (order,) = (tmp_path / "recorded").glob("order-*.jsonl")
    retold = replay(build_strategy_stage(short_run.settings.strategy), strategy)
    assert retold.identical, retold.mismatch
    assert retold.messages > short_run.bars
    stage = build_order_stage(short_run.settings.order.model_copy(update={"mode": Mode.SIMULATION}))
    stage.recover()
    retold = replay(stage, order)
    assert retold.identical, retold.mismatch
    assert retold.messages > short_run.bars
