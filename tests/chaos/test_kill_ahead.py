"""Promise: a kill that comes by Kafka alone waits for the order in hand, not for all that was fetched before it."""

import time
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from uuid import UUID

import pytest

from contracts.control import KillSwitchCommand
from contracts.market import BarEvent
from contracts.trading import ExecutionReport, OrderIntent, OrderType, Side, TimeInForce
from kernel.clock import monotonic
from kernel.embedded_broker import MockCluster
from kernel.kafka_bus import KafkaBus
from kernel.kafka_errors import BrokerUnavailable
from kernel.kafka_lookahead import LookAhead
from kernel.kafka_settings import KafkaSettings
from kernel.plane import PlaneName, Runtime
from kernel.recorder import HEEDED, OPERATED, replay
from launcher.latching import publish
from order_plane.app import run
from order_plane.brokers.paper import PaperBroker
from order_plane.composition import build_simulation
from order_plane.learning import CostLearner, Learning
from order_plane.retelling import retold
from order_plane.settings import OrderSettings

PATIENCE = 90.0
NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)
INTENTS, BACKLOG, STRIKE, SLOW_SECONDS = 600, 2_000, 20, 0.02
LIMITS = {"duplicate_window": 0, "max_order_value": 1e9, "max_symbol_notional": 1e9, "max_gross_exposure": 1e9}
SETTINGS = OrderSettings(mode="paper", guards=(), reconciliation=None, limits=LIMITS, throttle={"burst": 10_000})


@pytest.fixture
def kafka():
    cluster = MockCluster()
    cluster.create_topics()
    yield KafkaSettings(bootstrap_servers=cluster.bootstrap_servers, embedded=True)
    cluster.close()


def a_kill(number, engage=True):
    at = datetime(2024, 1, 2, 18, tzinfo=UTC)
    return KillSwitchCommand(command_id=UUID(int=number), engage=engage, operator="ann", reason="drill", timestamp=at)


def an_intent(number):
    terms = {"order_type": OrderType.LIMIT, "limit_price": 50.0, "time_in_force": TimeInForce.GTC}
    return OrderIntent(
        intent_id=UUID(int=number), symbol="AAPL", direction=Side.BUY, quantity=float(number), timestamp=NOON, **terms
    )


@pytest.mark.fault("F34: a kill by Kafka while a batch is being sent, and more than a batch waits behind it")
@pytest.mark.timeout(240)
def test_a_kill_by_kafka_stops_the_batch_in_hand_and_all_that_was_fetched_before_it(kafka, tmp_path, monkeypatch):
    left, at_once = [], PaperBroker.submit

    def slowly(broker, order):
        left.append(order.intent.intent_id.int)
        if len(left) == STRIKE:
            publish(a_kill(9_000), kafka)
        time.sleep(SLOW_SECONDS)
        return at_once(broker, order)

    monkeypatch.setattr(PaperBroker, "submit", slowly)
    runtime, stop, heard = Runtime(PlaneName.ORDER, "run", tmp_path, record=True), Event(), {}
    plane = Thread(target=run, args=(SETTINGS, kafka, runtime, stop))
    with KafkaBus(kafka, "strategy", [ExecutionReport], [BarEvent, OrderIntent]) as others:
        assert others.wait_ready(PATIENCE)
        prices = dict.fromkeys(("open", "high", "low", "close"), 100.0)
        others.publish(BarEvent(symbol="AAPL", timestamp=NOON, volume=1e9, **prices))
        for number in range(1, INTENTS + 1):
            others.publish(an_intent(number))
        others.flush()
        plane.start()
        deadline = monotonic() + PATIENCE
        while monotonic() < deadline and sum(each in ("CANCELED", "REJECTED") for each in heard.values()) < INTENTS:
            for received in others.poll(0.2):
                heard[received.message.intent_id.int] = received.message.status.value
        stop.set()
        plane.join(PATIENCE)
    assert STRIKE <= len(left) < INTENTS // 2, "the kill waited for the batch"
    assert sorted(heard) == list(range(1, INTENTS + 1))
    assert {number for number, status in heard.items() if status == "CANCELED"} == set(left)
    assert {heard[number] for number in heard.keys() - set(left)} == {"REJECTED"}
    monkeypatch.undo()
    assert retelling(tmp_path).mismatch is None, "the life with the kill is told again to the same bytes"


@pytest.mark.fault("F34: a kill by Kafka while orders work and more bars than a batch are waiting")
@pytest.mark.timeout(240)
def test_a_kill_by_kafka_cancels_what_works_before_a_backlog_of_bars_is_worked_off(kafka, tmp_path, monkeypatch):
    taken, cancelled, cancel, observe = [], [], PaperBroker.cancel, PaperBroker.observe

    def slowly(broker, bar):
        taken.append(bar)
        if len(taken) == STRIKE:
            publish(a_kill(9_000), kafka)
        time.sleep(SLOW_SECONDS / 10)
        return observe(broker, bar)

    def noted(broker, order):
        cancelled.append(len(taken))
        return cancel(broker, order)

    monkeypatch.setattr(PaperBroker, "observe", slowly)
    monkeypatch.setattr(PaperBroker, "cancel", noted)
    runtime, stop = Runtime(PlaneName.ORDER, "run", tmp_path, record=True), Event()
    batches = kafka.model_copy(update={"batch_max": 50})
    plane = Thread(target=run, args=(SETTINGS, batches, runtime, stop))
    prices, heard = dict.fromkeys(("open", "high", "low", "close"), 100.0), set()
    with KafkaBus(kafka, "strategy", [ExecutionReport], [BarEvent, OrderIntent]) as others:
        assert others.wait_ready(PATIENCE)
        plane.start()
        others.publish(BarEvent(symbol="AAPL", timestamp=NOON, volume=1e9, **prices))
        deadline = monotonic() + PATIENCE
        while not taken and monotonic() < deadline:
            time.sleep(0.05)
        others.publish(an_intent(1))
        while "ACKNOWLEDGED" not in heard and monotonic() < deadline:
            heard |= {received.message.status.value for received in others.poll(0.2)}
        for number in range(1, BACKLOG):
            at = NOON + timedelta(minutes=number)
            others.publish(BarEvent(symbol="AAPL", timestamp=at, volume=1e9, **prices))
        others.flush()
        while not cancelled and monotonic() < deadline:
            time.sleep(0.05)
        stop.set()
        plane.join(PATIENCE)
    assert cancelled
    assert cancelled[0] < BACKLOG // 2, "the kill waited for the backlog"
    monkeypatch.undo()
    assert retelling(tmp_path, OPERATED).mismatch is None


@pytest.mark.fault("F34: a kill by Kafka in the very last pass before a stop")
@pytest.mark.timeout(240)
def test_a_plane_that_is_told_to_stop_as_it_obeys_a_kill_cancels_what_works_before_it_goes(
    kafka, tmp_path, monkeypatch
):
    stop, ready, waits, cancelled = Event(), Event(), Event(), []
    cancel, arrived = PaperBroker.cancel, LookAhead.arrived

    def last(ahead):
        """It hears the kill between two batches, and that is the last that it hears."""
        found, until = arrived(ahead), monotonic() + PATIENCE
        while ready.is_set() and not found and monotonic() < until:
            waits.set()
            time.sleep(0.01)
            found = arrived(ahead)
        if found:
            stop.set()
        return found

    monkeypatch.setattr(LookAhead, "arrived", last)
    monkeypatch.setattr(PaperBroker, "cancel", lambda broker, order: cancelled.append(order) or cancel(broker, order))
    plane = Thread(target=run, args=(SETTINGS, kafka, Runtime(PlaneName.ORDER, "run", tmp_path, record=True), stop))
    prices, heard = dict.fromkeys(("open", "high", "low", "close"), 100.0), set()
    with KafkaBus(kafka, "strategy", [ExecutionReport], [BarEvent, OrderIntent]) as others:
        assert others.wait_ready(PATIENCE)
        plane.start()
        others.publish(BarEvent(symbol="AAPL", timestamp=NOON, volume=1e9, **prices))
        others.publish(an_intent(1))
        others.flush()
        deadline = monotonic() + PATIENCE
        while "ACKNOWLEDGED" not in heard and monotonic() < deadline:
            heard |= {received.message.status.value for received in others.poll(0.2)}
        ready.set()
        assert waits.wait(PATIENCE)
        publish(a_kill(9_000), kafka)
        plane.join(PATIENCE)
        assert not plane.is_alive()
        while "CANCELED" not in heard and monotonic() < deadline:
            heard |= {received.message.status.value for received in others.poll(0.2)}
    assert [order.intent_id.int for order in cancelled] == [1]
    assert "CANCELED" in heard
    monkeypatch.undo()
    assert retelling(tmp_path, OPERATED).mismatch is None


def retelling(directory, hint=HEEDED):
    (recording,) = (directory / "recorded").glob("order-*.jsonl")
    assert any(line.startswith(hint) for line in recording.read_bytes().splitlines())
    stage = build_simulation(SETTINGS)
    return replay(Learning(stage, CostLearner()), recording, stage.heed, retold(stage))


def test_what_is_read_ahead_is_what_was_appended_since_in_its_order_and_nothing_else(kafka):
    publish(a_kill(1), kafka)
    ahead = LookAhead(kafka, KillSwitchCommand)
    with KafkaBus(kafka, "data", (), [KillSwitchCommand]) as others:
        others._producer.send("control", b"rubbish", b"*", [])
        others.flush()
    wanted = [a_kill(2), a_kill(3, engage=False), a_kill(4)]
    for each in wanted:
        publish(each, kafka)
    found, deadline = [], monotonic() + PATIENCE
    while len(found) < len(wanted) and monotonic() < deadline:
        found += ahead.read()
        time.sleep(0.01)
    ahead.close()
    assert found == wanted


@pytest.mark.fault("F29: a kill while the order plane is stopped")
@pytest.mark.parametrize("turned", [False, True])
def test_after_a_pause_everything_is_read_that_was_published_meanwhile(kafka, monkeypatch, turned):
    away = [0.0]
    monkeypatch.setattr("kernel.kafka_tail.since_boot", lambda: monotonic() + away[0])
    ahead = LookAhead(kafka, KillSwitchCommand)
    for number in range(1, 6):
        away[0] += 60.0
        if turned:
            assert ahead.arrived() == []
        publish(a_kill(number), kafka)
        assert ahead.read() == [a_kill(number)], "the first orders after the pause would have left"
    ahead.close()


def test_after_a_pause_without_a_broker_nothing_goes_on(monkeypatch):
    away, cluster = [0.0], MockCluster()
    monkeypatch.setattr("kernel.kafka_tail.since_boot", lambda: monotonic() + away[0])
    cluster.create_topics()
    settings = KafkaSettings(bootstrap_servers=cluster.bootstrap_servers, embedded=True, start_timeout_seconds=2.0)
    ahead = LookAhead(settings, KillSwitchCommand)
    cluster.close()
    away[0] += 60.0
    with pytest.raises(BrokerUnavailable):
        ahead.read()
    ahead.close()
