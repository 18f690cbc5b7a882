"""A foreign producer poisons the topics, trading goes on, and an operator finds out why and hands in again."""

import shutil
import subprocess
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from contracts.codec import ErrorCode, FieldError, encode
from contracts.control import KillScope, KillSwitchCommand
from contracts.market import BarEvent
from contracts.trading import ExecutionReport, OrderIntent, OrderStatus, OrderType, Side
from domain.ids import intent_id
from kernel.clock import monotonic
from kernel.dead_letters import find_dead_letter, read_dead_letters
from kernel.kafka_bus import KafkaBus
from launcher import dlq_cli, topics_cli

NOW = datetime.now(UTC).replace(microsecond=0)
ANN = ("--operator", "ann", "--reason", "the order is known now")
LATE = FieldError("/timestamp", "older than allowed", ErrorCode.STALE)


def bar(minute):
    return BarEvent(
        symbol="AAPL", timestamp=NOW + timedelta(minutes=minute), open=1.0, high=1.0, low=1.0, close=1.0, volume=1.0
    )


def intent(second=0, valid_minutes=60):
    at = NOW + timedelta(seconds=second)
    return OrderIntent(
        intent_id=intent_id("default", "AAPL", at),
        symbol="AAPL",
        direction=Side.BUY,
        quantity=1.0,
        order_type=OrderType.MARKET,
        timestamp=at,
        valid_until=at + timedelta(minutes=valid_minutes),
    )


def report():
    return ExecutionReport(
        intent_id=intent().intent_id,
        order_id="1",
        symbol="AAPL",
        status=OrderStatus.SUBMITTED,
        filled_quantity=0.0,
        timestamp=NOW,
    )


@contextmanager
def plane(settings, name, *inputs):
    with KafkaBus(settings, name, inputs) as bus:
        assert bus.wait_ready(20.0)
        yield bus


def take(bus, count, seconds=20.0):
    received, deadline = [], monotonic() + seconds
    while len(received) < count and monotonic() < deadline:
        received += bus.poll(0.2)
    return received


def say(settings, *messages):
    with KafkaBus(settings, "operator", []) as bus:
        for message in messages:
            bus.publish(message)
        bus.flush()


def refuse(settings, name, message, error):
    """Let a plane receive ``message`` and dead-letter it."""
    with plane(settings, name, type(message)) as bus:
        say(settings, message)
        received = take(bus, 1)
        while received[-1].message != message:
            received += take(bus, 1)
        bus.dead_letter(received[-1], error)
        bus.flush()
        bus.commit()


class Terminal:
    """The command line against one broker."""

    def __init__(self, settings, directory):
        self._environment = {
            "ALGOTRADE_KAFKA__BOOTSTRAP_SERVERS": settings.bootstrap_servers,
            "ALGOTRADE_KAFKA__TOPIC_PREFIX": settings.topic_prefix,
            "ALGOTRADE_HOME": str(directory),
            "ALGOTRADE_KAFKA__START_TIMEOUT_SECONDS": "2.0",
            "COLUMNS": "200",
        }

    def __call__(self, *arguments, app=dlq_cli.app):
        result = CliRunner().invoke(app, arguments, env=self._environment)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        return result.exit_code, result.output


@pytest.fixture
def terminal(kafka_settings, tmp_path):
    return Terminal(kafka_settings, tmp_path)


def poison(settings):
    """Poison from a foreign producer between good bars, while a plane trades on."""
    foreign = Producer({"bootstrap.servers": settings.bootstrap_servers, "log_level": 0})
    topic = settings.topic("market_events")
    with plane(settings, "strategy", BarEvent) as bus:
        say(settings, bar(1))
        foreign.produce(topic, b"\x00\xff\xfe junk", b"AAPL", 0, headers=[("source", b"vendor\x1b[31m")])
        foreign.produce(topic, encode(bar(2)).replace(b'"low":1.0', b'"low":-1.0'), b"AAPL", 0)
        assert foreign.flush(10) == 0
        say(settings, bar(3))
        assert {each.message.timestamp for each in take(bus, 2)} == {bar(1).timestamp, bar(3).timestamp}
        while bus.dead_lettered.total() < 2:
            bus.poll(0.1)
        bus.flush()
        bus.commit()


def test_list_shows_each_poison_with_its_reason_and_counts_them(kafka_settings, terminal):
    poison(kafka_settings)
    code, shown = terminal("list")
    assert code == 0
    for expected in ("dlq_market_events/0/0", "NOT_UTF8", "/low", "OUT_OF_RANGE", "2 dead letters", "the message:"):
        assert expected in shown


def test_what_two_planes_refuse_is_told_apart_and_counted_once_as_a_source(kafka_settings, terminal):
    poison(kafka_settings)
    with plane(kafka_settings, "order", BarEvent) as bus:
        while bus.dead_lettered.total() < 2:
            bus.poll(0.1)
        bus.flush()
        bus.commit()
    code, shown = terminal("list")
    assert code == 0
    assert "4 dead letters of 2 source records" in shown
    rows = [line for line in shown.splitlines() if "NOT_UTF8" in line and "dlq_market_events/" in line]
    assert sorted(("strategy" in row, "order" in row) for row in rows) == [(False, True), (True, False)]


def test_a_code_or_class_that_does_not_exist_is_refused_with_the_choices(embedded_settings, tmp_path):
    terminal = Terminal(embedded_settings, tmp_path)
    for options, choice in ((("--code", "FOO"), "NOT_JSON"), (("--class", "FOO"), "TRANSIENT")):
        code, said = terminal("list", *options)
        assert code == 2, options
        assert choice in said.upper()
        assert choice in terminal("list", "--help")[1].upper()
    assert terminal("list", "--code", "not_json")[0] == 1


def test_list_filters(kafka_settings, terminal):
    poison(kafka_settings)
    found = {
        ("--code", "NOT_UTF8"): "1 dead letter",
        ("--class", "poison"): "2 dead letters",
        ("--class", "TRANSIENT"): "no dead letters",
        ("--topic", "market_events"): "2 dead letters",
        ("--topic", "dlq_order_intents"): "no dead letters",
        ("--symbol", "AAPL"): "2 dead letters",
        ("--symbol", "IBM"): "no dead letters",
        ("--since", "2999-01-01"): "no dead letters",
        ("--limit", "1"): "1 dead letter",
    }
    for options, expected in found.items():
        code, shown = terminal("list", *options)
        assert expected in shown, options
        assert code == (1 if expected.startswith("no ") else 0)


def test_show_tells_why_and_where_and_lets_nothing_steer_the_terminal(kafka_settings, terminal):
    poison(kafka_settings)
    code, shown = terminal("show", "dlq_market_events/0/0")
    assert code == 0
    assert "not UTF-8" in shown
    assert "00 ff fe 20 6a 75 6e 6b" in shown
    assert "vendor\\x1b[31m" in shown
    assert "\x1b[31m" not in shown
    by_id = find_dead_letter(kafka_settings, "dlq_market_events/0/1").letter.dlq_id
    code, shown = terminal("show", by_id[:12])
    assert code == 0
    assert '"low": -1.0' in shown


def test_errors_are_told_apart_by_exit_code(kafka_settings, terminal):
    assert terminal("list") == (1, "no dead letters\n")
    assert terminal("show", "dlq_control/0/0")[0] == 1
    assert terminal("show", "nonsense")[0] == 2
    assert terminal("show", "order_intents/0/0")[0] == 2
    assert terminal("list", "--topic", "nothing")[0] == 2
    assert terminal("redrive")[0] == 2
    assert terminal("redrive", "--topic", "control", "--commit")[0] == 2
    code, said = terminal("list", "--bootstrap", "127.0.0.1:9")
    assert code == 3
    assert "127.0.0.1:9" in said


def test_topics_are_held_against_the_table(kafka_settings, terminal):
    code, shown = terminal("list", app=topics_cli.app)
    assert code == 0
    assert "market_events" in shown
    code, shown = terminal("list", "--prefix", "elsewhere.", app=topics_cli.app)
    assert code == 1
    assert "missing" in shown


def test_poison_and_market_data_are_not_handed_in_again(kafka_settings, terminal):
    poison(kafka_settings)
    refuse(kafka_settings, "order", bar(4), LATE)
    code, shown = terminal("redrive", "--topic", "market_events", "--commit", *ANN)
    assert code == 1
    assert shown.count("REFUSE") == 5  # each of the two planes refused the poison
    assert "poison" in shown
    assert "backfill" in shown


def test_a_report_is_handed_in_once_after_a_dry_run_and_audited(kafka_settings, terminal, tmp_path):
    unknown = FieldError("/intent_id", "no such order is known", ErrorCode.UNKNOWN_ORDER)
    refuse(kafka_settings, "strategy", report(), unknown)
    code, shown = terminal("redrive", "--topic", "execution_reports")
    assert (code, "nothing was" in shown) == (0, True)
    with plane(kafka_settings, "strategy", ExecutionReport) as bus:
        assert take(bus, 1, seconds=0.5) == []
        assert terminal("redrive", "--topic", "execution_reports", "--commit", *ANN)[0] == 0
        [again] = take(bus, 1)
        assert again.message == report()
        assert again.headers["dlq.redrive.count"] == b"1"
        code, shown = terminal("redrive", "--topic", "execution_reports", "--commit", *ANN)
        assert (code, "handed in before" in shown) == (1, True)
    audit = (tmp_path / "redrive-audit.jsonl").read_text("utf-8")
    assert audit.count('"operator": "ann"') == 2
    assert '"outcome": "DURABLE"' in audit


def test_a_letter_goes_back_to_its_partition_of_a_topic_that_is_wider_than_the_table_says(wide_settings, tmp_path):
    terminal = Terminal(wide_settings, tmp_path)
    foreign = Producer({"bootstrap.servers": wide_settings.bootstrap_servers, "log_level": 0})
    foreign.produce(wide_settings.topic("execution_reports"), encode(report()), b"AAPL", 2)
    assert foreign.flush(10) == 0
    with plane(wide_settings, "strategy", ExecutionReport) as bus:
        [received] = take(bus, 1)
        bus.dead_letter(received, FieldError("/intent_id", "no such order is known", ErrorCode.UNKNOWN_ORDER))
        bus.flush()
        bus.commit()
        assert terminal("redrive", "--topic", "execution_reports", "--commit", *ANN)[0] == 0
        [again] = take(bus, 1)
    assert (again.message, again.partition) == (report(), 2)


def test_what_failed_three_times_is_parked(kafka_settings, terminal):
    unknown = FieldError("/intent_id", "no such order is known", ErrorCode.UNKNOWN_ORDER)
    refuse(kafka_settings, "strategy", report(), unknown)
    with plane(kafka_settings, "strategy", ExecutionReport) as bus:
        for _ in range(3):
            assert terminal("redrive", "--topic", "execution_reports", "--commit", *ANN)[0] == 0
            [again] = take(bus, 1)
            bus.dead_letter(again, unknown)
            bus.flush()
            bus.commit()
    code, shown = terminal("redrive", "--topic", "execution_reports", "--commit", *ANN)
    assert (code, "PARK" in shown) == (0, True)
    [parked] = read_dead_letters(kafka_settings, ["dlq_parked"])
    assert parked.letter.redrive_count == 3
    assert parked.letter.value == encode(report())


def test_an_order_intent_needs_two_persons(kafka_settings, terminal):
    refuse(kafka_settings, "order", intent(), LATE)
    redrive = ("redrive", "--topic", "order_intents", "--commit", *ANN)
    assert "two different persons" in terminal(*redrive)[1]
    assert "two different persons" in terminal(*redrive, "--approver", "Ann")[1]
    with plane(kafka_settings, "order", OrderIntent) as bus:
        assert terminal(*redrive, "--approver", "bob")[0] == 0
        assert [each.message for each in take(bus, 1)] == [intent()]


@pytest.mark.parametrize(
    ("wish", "later", "why"),
    [
        (intent(second=-7200), (), "valid_until has passed"),
        (intent(), (intent(second=1),), "newer intent"),
        (
            intent(),
            (
                KillSwitchCommand(
                    command_id=intent().intent_id,
                    timestamp=NOW,
                    engage=True,
                    scope=KillScope.GLOBAL,
                    operator="cto",
                    reason="drill",
                ),
            ),
            "kill switch is engaged",
        ),
    ],
    ids=["expired", "overtaken", "killed"],
)
def test_an_old_order_intent_stays_where_it_is(embedded_settings, tmp_path, wish, later, why):
    refuse(embedded_settings, "order", wish, LATE)
    say(embedded_settings, *later)
    shown = Terminal(embedded_settings, tmp_path)(
        "redrive", "--topic", "order_intents", "--commit", *ANN, "--approver", "bob"
    )
    assert shown[0] == 1
    assert why in shown[1]


def test_a_forged_source_is_not_followed(embedded_settings, tmp_path):
    forged = [("dlq.redrive.count", b"1"), ("dlq.origin.topic", embedded_settings.topic("order_intents").encode())]
    foreign = Producer({"bootstrap.servers": embedded_settings.bootstrap_servers, "log_level": 0})
    with plane(embedded_settings, "strategy", ExecutionReport) as bus:
        foreign.produce(embedded_settings.topic("execution_reports"), encode(intent()), b"AAPL", 0, headers=forged)
        assert foreign.flush(10) == 0
        while not bus.dead_lettered:
            bus.poll(0.1)
        bus.commit()  # waits until the dead letter is durable
    code, shown = Terminal(embedded_settings, tmp_path)("redrive", "--topic", "execution_reports", "--commit", *ANN)
    assert code == 1
    assert "not a topic whose dead letters come here" in shown


def test_a_tampered_audit_log_stops_every_sending(embedded_settings, tmp_path):
    refuse(embedded_settings, "strategy", report(), FieldError("", "unknown", ErrorCode.UNKNOWN_ORDER))
    (tmp_path / "redrive-audit.jsonl").write_text('{"operator": "nobody"}\n', "utf-8")
    code, shown = Terminal(embedded_settings, tmp_path)("redrive", "--topic", "execution_reports", "--commit", *ANN)
    assert code == 1
    assert "audit log" in shown


def test_kcat_shows_the_reason(kafka_settings):
    if shutil.which("kcat") is None:
        pytest.skip("kcat is not installed")
    poison(kafka_settings)
    topic = kafka_settings.topic("dlq_market_events")
    command = ["kcat", "-C", "-e", "-q", "-b", kafka_settings.bootstrap_servers, "-t", topic]
    said = subprocess.run([*command, "-f", "p=%p o=%o k=%k\n%h\n"], capture_output=True, timeout=30, check=True)
    assert b"dlq.error.code=NOT_UTF8" in said.stdout
    assert b"__connect.errors.exception.message=not UTF-8" in said.stdout
