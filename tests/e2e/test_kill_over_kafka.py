"""Kill switches of an order plane in its own process: who hears them, what is shown, what a broken Kafka changes."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from typer.testing import CliRunner

from contracts.base import Message
from contracts.control import KillAction, KillSwitchCommand, RiskAlert
from contracts.market import BarEvent, SliceEvent
from contracts.trading import ExecutionReport, OrderIntent, OrderType, Side, TimeInForce
from kernel.clock import monotonic
from kernel.embedded_broker import MockCluster
from kernel.kafka_bus import KafkaBus
from kernel.kafka_settings import KafkaSettings
from launcher.cli import app

ROOT = Path(__file__).parents[2]
NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)
PATIENCE = 60.0
CANARY = "c4n4ry-Zq7"


class Plane:
    """An order plane as a process, with a bus beside it that stands for the other planes."""

    def __init__(self, kafka: KafkaSettings, state: Path, stack: ExitStack) -> None:
        self.kafka, self.state = kafka, state
        self.heard: list[Message] = []
        said = (BarEvent, SliceEvent, OrderIntent, KillSwitchCommand)
        self.others = stack.enter_context(
            KafkaBus(kafka, "strategy", (KillSwitchCommand, RiskAlert, ExecutionReport), said)
        )
        assert self.others.wait_ready(PATIENCE)
        stack.callback(self.kill)

    def start(self, **changes: object) -> None:
        self.state.mkdir(parents=True, exist_ok=True)
        self.log = self.state / "order.log"
        given = {"bootstrap_servers": self.kafka.bootstrap_servers, "topic_prefix": self.kafka.topic_prefix}
        given["delivery_timeout_ms"] = str(self.kafka.delivery_timeout_ms)
        variables = {f"ALGOTRADE_KAFKA__{name.upper()}": value for name, value in given.items()}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "launcher.plane_cli", "order"),
                    *("--config", str(config(self.state, **changes)), "--state", str(self.state)),
                ],
                env={**os.environ, **variables, "ALGOTRADE_KAFKA__EMBEDDED": "true", "PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        process = getattr(self, "process", None)
        if process is not None:
            process.kill()
            process.wait(10)

    def say(self, *messages: Message) -> None:
        for message in messages:
            self.others.publish(message)
        self.others.flush()

    def wait(self, wanted: Any) -> Any:
        """The first message heard for which ``wanted`` is true."""
        deadline = monotonic() + PATIENCE
        while monotonic() < deadline:
            found = next((each for each in self.heard if wanted(each)), None)
            if found is not None:
                return found
            self.heard += [received.message for received in self.others.poll(0.2)]
            assert self.process.poll() is None, self.log.read_text()[-2000:]
        raise AssertionError(f"not heard among {self.heard}; {self.log.read_text()[-2000:]}")

    def ask(self, *words: str) -> tuple[int, str]:
        """What a command in another terminal ends with and says; it may come before the plane listens."""
        deadline = monotonic() + PATIENCE
        while True:
            result = CliRunner().invoke(app, [*words, "--state", str(self.state)])
            if "no order plane listens" not in result.output or monotonic() > deadline:
                return result.exit_code, result.output
            self.others.poll(0.2)

    def port(self) -> int:
        (port,) = re.findall(r"health is served.*?port\D+(\d+)", self.log.read_text())[-1:]
        return int(port)

    def metrics(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port()}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    def shown(self, line: str) -> None:
        """Wait until the metrics have ``line``."""
        deadline = monotonic() + PATIENCE
        while line not in self.metrics() and monotonic() < deadline:
            self.others.poll(0.2)
        assert line in self.metrics()


def config(state: Path, **changes: object) -> Path:
    limits = {"duplicate_window": "PT0S", "max_order_value": 1e9, "max_symbol_notional": 1e9, "max_gross_exposure": 1e9}
    order = {
        "mode": "paper",
        "journal_path": "order_journal.sqlite",
        "paper_store_path": "paper_venue.sqlite",
        "capital": 10_000,
        "volume_cap": None,
        "limits": limits,
        "costs": {"commission": 0.0, "slippage": 0.0},
        "learn_costs": False,
    }
    demo = yaml.safe_load((ROOT / "config" / "paper.yaml").read_text())
    path = state / "config.yaml"
    path.write_text(yaml.safe_dump({"data": demo["data"], "strategy": demo["strategy"], "order": order | changes}))
    return path


def a_moment(minutes: int, price: float) -> tuple[BarEvent, SliceEvent]:
    at = NOON + timedelta(minutes=minutes)
    prices = dict.fromkeys(("open", "high", "low", "close"), price)
    bar = BarEvent(symbol="AAPL", timestamp=at, volume=1e6, **prices)
    return bar, SliceEvent(timestamp=at, bar_size="1min", symbols=("AAPL",))


def an_intent(number: int, minutes: int, **changes: object) -> OrderIntent:
    fields: dict[str, Any] = {"symbol": "AAPL", "direction": Side.BUY, "quantity": 50.0}
    fields |= {"order_type": OrderType.MARKET, "time_in_force": TimeInForce.GTC}
    at = NOON + timedelta(minutes=minutes)
    return OrderIntent(**{"intent_id": UUID(int=number), "timestamp": at, **fields, **changes})


def sent(state: Path) -> list[UUID]:
    """The intents of which the paper venue has an order."""
    with closing(sqlite3.connect(state / "paper_venue.sqlite")) as venue:
        return sorted(UUID(name) for (name,) in venue.execute("SELECT DISTINCT intent_id FROM orders"))


def report_on(number: int, status: str) -> Any:
    return lambda each: (
        isinstance(each, ExecutionReport) and (each.intent_id.int, each.status.value) == (number, status)
    )


def engaged(cause: str) -> Any:
    return lambda each: isinstance(each, KillSwitchCommand) and each.engage and each.cause == cause


@pytest.mark.timeout(400)
def test_a_guard_that_trips_is_heard_shown_and_latched_until_a_person_releases_it(
    embedded_settings: KafkaSettings, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        plane = Plane(embedded_settings, tmp_path / "state", stack)
        plane.start()
        plane.say(*a_moment(0, 100.0), an_intent(1, 0))
        plane.wait(report_on(1, "ACKNOWLEDGED"))
        plane.say(*a_moment(1, 100.0))
        plane.wait(report_on(1, "FILLED"))
        plane.say(*a_moment(2, 88.0))  # 6 % of the account
        kill = plane.wait(engaged("DAILY_LOSS"))
        plane.wait(lambda each: isinstance(each, RiskAlert) and each.code == "KILL_SWITCH_ENGAGED")
        plane.say(an_intent(2, 2))
        refused = plane.wait(report_on(2, "REJECTED"))
        assert refused.reject_reason.startswith("TRADING_HALTED")
        plane.shown('algotrade_kill_switch_triggered_total{plane="order",type="DAILY_LOSS"} 1.0')
        text = plane.metrics()
        assert re.search(r'pnl_current\{plane="order",scope="ACCOUNT"\} -0\.06', text)
        assert re.search(r'drawdown_current\{plane="order",scope="ACCOUNT"\} -?0\.06', text)
        assert re.search(r'psr_current\{plane="order",scope="ACCOUNT"\} NaN', text)
        code, said = plane.ask("kill", "status")
        assert (code, "for DAILY_LOSS by guard" in said) == (1, True)

        plane.kill()
        plane.heard.clear()
        plane.start()
        assert plane.wait(engaged("DAILY_LOSS")) == kill, "what is engaged is said again"
        assert "for DAILY_LOSS by guard" in plane.ask("kill", "status")[1]
        plane.say(an_intent(3, 2))
        plane.wait(report_on(3, "REJECTED"))
        who = ("--operator", "ann", "--reason", "drill over", "--scope", kill.scope.value, "--target", kill.target)
        code, said = plane.ask("kill", "off", *who)
        assert (code, "DAILY_LOSS still holds" in " ".join(said.split())) == (1, True)
        assert plane.ask("kill", "off", *who, "--second-operator", "bob")[0] == 0
        plane.wait(lambda each: isinstance(each, KillSwitchCommand) and not each.engage)
        assert plane.ask("kill", "status")[0] == 0
        plane.say(an_intent(4, 2, quantity=1.0))
        plane.wait(report_on(4, "ACKNOWLEDGED"))


@pytest.mark.timeout(400)
def test_a_message_lets_positions_only_be_reduced_and_a_start_with_other_limits_is_said_and_keeps_that(
    embedded_settings: KafkaSettings, tmp_path: Path
) -> None:
    def changed(each: Message) -> bool:
        return isinstance(each, RiskAlert) and each.code == "STARTED_OTHERWISE"

    with ExitStack() as stack:
        plane = Plane(embedded_settings, tmp_path / "state", stack)
        plane.start()
        kill = KillSwitchCommand(
            command_id=UUID(int=500),
            timestamp=NOON,
            engage=True,
            operator="ann",
            reason="drill",
            action=KillAction.REDUCE_ONLY,
        )
        plane.say(*a_moment(0, 100.0), kill)
        plane.wait(lambda each: isinstance(each, RiskAlert) and each.code == "KILL_SWITCH_ENGAGED")
        plane.say(an_intent(1, 0))
        assert plane.wait(report_on(1, "REJECTED")).reject_reason.startswith("REDUCE_ONLY: ")
        plane.shown('algotrade_kill_switch_reduce_only{plane="order"} 1.0')
        assert not any(map(changed, plane.heard))

        plane.kill()
        plane.start(volume_cap=0.5)
        detail = plane.wait(changed).detail
        assert ("configuration" in detail, "limits" in detail, "code" in detail) == (True, True, False)
        assert "ENGAGED GLOBAL * REDUCE_ONLY" in plane.ask("kill", "status")[1]


@contextmanager
def a_kafka_of_its_own(directory: Path, resting: int) -> Iterator[tuple[MockCluster, Plane]]:
    """A broker that can go down, and a plane on it with ``resting`` acknowledged limit orders."""
    with closing(MockCluster()) as cluster, ExitStack() as stack:
        cluster.create_topics()
        plane = Plane(
            KafkaSettings(bootstrap_servers=cluster.bootstrap_servers, embedded=True), directory / "state", stack
        )
        plane.start()
        limit = {"order_type": OrderType.LIMIT, "limit_price": 95.0}
        plane.say(*a_moment(0, 100.0), *(an_intent(number, 0, **limit) for number in range(1, resting + 1)))
        for number in range(1, resting + 1):
            plane.wait(report_on(number, "ACKNOWLEDGED"))
        yield cluster, plane


@pytest.mark.fault("F10: Kafka is down when somebody kills")
@pytest.mark.timeout(300)
def test_a_kill_works_while_kafka_is_down(tmp_path: Path) -> None:
    with a_kafka_of_its_own(tmp_path, resting=3) as (cluster, plane):
        cluster.go_down()
        code, said = plane.ask("kill", "on", "--operator", "ann", "--reason", "drill")
        assert (code, "carried out" in said) == (0, True)
        assert "open orders 0" in plane.ask("kill", "status")[1]
        cluster.come_up()
        plane.wait(engaged("MANUAL"))
        for number in range(1, 4):
            plane.wait(report_on(number, "CANCELED"))
        plane.process.send_signal(signal.SIGTERM)
        assert plane.process.wait(60) == 0


@pytest.mark.fault("F10: Kafka is down for longer than anything waits for it when somebody kills")
@pytest.mark.timeout(300)
def test_a_kill_cancels_and_facts_are_kept_however_long_kafka_is_away(tmp_path: Path) -> None:
    cluster = MockCluster()
    cluster.create_topics()
    hasty = KafkaSettings(bootstrap_servers=cluster.bootstrap_servers, embedded=True, delivery_timeout_ms=1000)
    with ExitStack() as stack:
        stack.callback(cluster.close)
        plane = Plane(hasty, tmp_path / "state", stack)
        plane.start()
        resting = {"order_type": OrderType.LIMIT, "limit_price": 95.0}
        plane.say(*a_moment(0, 100.0), *(an_intent(number, 0, **resting) for number in range(1, 4)))
        for number in range(1, 4):
            plane.wait(report_on(number, "ACKNOWLEDGED"))
        cluster.go_down()
        deadline = monotonic() + PATIENCE
        while "Kafka is away" not in plane.log.read_text():
            assert plane.process.poll() is None, plane.log.read_text()[-2000:]
            assert monotonic() < deadline
            plane.others.poll(0.2)
        code, said = plane.ask("kill", "on", "--operator", "ann", "--reason", "drill")
        assert (code, "carried out" in said) == (0, True), said
        assert "open orders 0" in plane.ask("kill", "status")[1]
        assert plane.process.poll() is None
        cluster.come_up()
        assert plane.process.wait(60) != 0, "it cannot know what of its messages arrived"
        plane.start()
        plane.wait(engaged("MANUAL"))
        for number in range(1, 4):
            plane.wait(report_on(number, "CANCELED"))
        assert sent(plane.state) == [UUID(int=number) for number in range(1, 4)]


@pytest.mark.fault("F10: Kafka is down and the order plane was killed when somebody kills")
@pytest.mark.timeout(400)
def test_a_kill_is_latched_while_kafka_is_down_and_the_order_plane_dead_booting_or_hung(tmp_path: Path) -> None:
    with a_kafka_of_its_own(tmp_path, resting=1) as (cluster, plane):
        plane.kill()
        plane.say(an_intent(2, 0, quantity=1.0))
        cluster.go_down()
        where = ("--bootstrap", cluster.bootstrap_servers, "--operator", "ann", "--reason", "drill")
        code, said = plane.ask("kill", "on", *where)
        assert (code, "latched in the journal" in said) == (0, True), said

        cluster.come_up()
        plane.start()
        plane.wait(engaged("MANUAL"))
        plane.wait(report_on(1, "CANCELED"))
        refused = plane.wait(report_on(2, "REJECTED"))
        assert refused.reject_reason.startswith("TRADING_HALTED")
        assert sent(plane.state) == [UUID(int=1)], "nothing is sent after the kill"
        assert plane.ask("kill", "off", *where)[0] == 0

        plane.process.send_signal(signal.SIGSTOP)
        code, said = plane.ask("kill", "on", *where, "--wait", "1")
        plane.process.send_signal(signal.SIGCONT)
        assert (code, "NOT LATCHED: an order plane holds the journal" in said) == (1, True), said
        plane.heard.clear()
        plane.wait(engaged("MANUAL"))
        assert plane.ask("kill", "off", *where)[0] == 0

        plane.kill()
        cluster.go_down()
        plane.start()
        code, said = plane.ask("kill", "on", *where, "--wait", "120")
        assert (code, "latched in the journal" in said) == (0, True), said
        plane.kill()
        assert CliRunner().invoke(app, ["kill", "status", "--state", str(plane.state)]).exit_code == 1


@pytest.mark.timeout(200)
def test_no_secret_of_the_configuration_is_in_anything_a_run_leaves(
    embedded_settings: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = f"postgresql://user:{CANARY}@127.0.0.1:1/{CANARY}"
    monkeypatch.setenv("ALGOTRADE_ORDER__JOURNAL_DATABASE", nobody)
    monkeypatch.setenv("ALGOTRADE_KAFKA__SASL_PASSWORD", CANARY)
    with ExitStack() as stack:
        plane = Plane(embedded_settings, tmp_path / "state", stack)
        plane.start()
        assert plane.process.wait(60) != 0, "there is no such database"
        shown = CliRunner().invoke(app, ["config", "show", "--config", str(plane.state / "config.yaml")])
    left = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert left
    assert all(CANARY.encode() not in each for each in left)
    assert CANARY not in shown.output
    assert CANARY not in str(shown.exception)
