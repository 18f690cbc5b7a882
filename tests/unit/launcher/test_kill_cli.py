"""Kill and rollback by command line against an order plane on its socket, without Kafka."""

import os
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from typer.testing import CliRunner

from contracts.codec import encode
from contracts.control import KillAction, KillScope, KillSwitchCommand
from contracts.market import BarEvent
from contracts.trading import OrderIntent, OrderType, Side, TimeInForce
from kernel.kafka_settings import KafkaSettings
from launcher.cli import app
from launcher.kill_cli import measured
from launcher.order_journal import JOURNAL
from launcher.running import announced
from order_plane.brokers.port import BrokerUnavailable
from order_plane.command_channel import SOCKET, CommandChannel, ask
from order_plane.composition import build_simulation
from order_plane.journals.sqlite import SqliteJournal
from order_plane.operator_commands import operator_commands
from order_plane.settings import OrderSettings

NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)
WHO = ("--operator", "ada", "--reason", "drill")


@pytest.fixture
def plane(tmp_path, monkeypatch):
    """An order plane with one resting order, that answers on its socket."""
    monkeypatch.setenv("ALGOTRADE_HOME", str(tmp_path))
    stage, stop = build_simulation(OrderSettings(mode="simulation")), threading.Event()
    bar = BarEvent(symbol="AAPL", timestamp=NOON, open=100.0, high=100.0, low=100.0, close=100.0, volume=1.0)
    terms = {"quantity": 1.0, "order_type": OrderType.LIMIT, "limit_price": 95.0, "time_in_force": TimeInForce.GTC}
    wish = OrderIntent(intent_id=UUID(int=1), symbol="AAPL", direction=Side.BUY, timestamp=NOON, **terms)
    stage.handlers[BarEvent](bar)
    stage.handlers[OrderIntent](wish)
    stage.settle()
    channel = CommandChannel(tmp_path / SOCKET, operator_commands(stage, lambda said: None))

    def serve():
        while not stop.wait(0.01):
            channel.poll()

    thread = threading.Thread(target=serve)
    thread.start()
    yield stage
    stop.set()
    thread.join()
    channel.close()


def run(*words):
    result = CliRunner().invoke(app, words)
    return result.exit_code, result.output


def test_a_kill_works_without_kafka_and_is_shown(plane):
    assert run("kill", "status")[0] == 0
    assert run("kill", "on", *WHO)[0] == 0
    assert plane.desk.open_orders == ()
    code, text = run("kill", "status")
    assert code == 1
    assert "ENGAGED GLOBAL * HALT for MANUAL by ada" in text
    assert run("kill", "off", *WHO)[0] == 0
    assert run("kill", "status")[0] == 0


@pytest.mark.parametrize(("silent", "left"), [(False, 0), (True, 1)])
def test_a_kill_says_how_many_orders_were_to_be_cancelled_and_how_many_of_them_may_work_on(plane, silent, left):
    if silent:
        plane._broker.cancel = lambda order: []
    said = f"carried out by the order plane; orders to cancel: 1, not confirmed: {left}\n"
    assert run("kill", "on", *WHO) == (0, said)
    assert len(plane.desk.open_orders) == left


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--scope", "STRATEGY", "--target", "another"), "; orders to cancel: 1, not confirmed: 1"),
        (("--scope", "SYMBOL", "--target", "AAPL"), ""),
    ],
)
def test_a_kill_counts_what_its_switch_wants_cancelled_and_no_cancel_by_hand(plane, words, said):
    def away(order):
        raise BrokerUnavailable("away")

    terms = {"quantity": 1.0, "order_type": OrderType.LIMIT, "limit_price": 95.0, "time_in_force": TimeInForce.GTC}
    wish = OrderIntent(intent_id=UUID(int=2), symbol="AAPL", direction=Side.BUY, timestamp=NOON, **terms)
    plane.handlers[OrderIntent](wish.model_copy(update={"strategy_id": "another"}))
    plane.settle()
    assert len(plane.desk.open_orders) == 2
    plane._broker.cancel = away
    plane.cancel(UUID(int=1), "by hand", "it is wrong")
    assert run("kill", "on", *WHO, *words) == (0, f"carried out by the order plane{said}\n")


def test_a_kill_that_spares_what_reduces_is_shown_and_released_like_any_other(plane):
    terms = {"quantity": 1.0, "order_type": OrderType.MARKET, "timestamp": NOON}
    assert run("kill", "on", *WHO, "--reduce-only", "--flatten")[0] == 2
    assert run("kill", "on", *WHO, "--reduce-only")[0] == 0
    assert plane.desk.open_orders == (), "it would have opened a position"
    assert "ENGAGED GLOBAL * REDUCE_ONLY for MANUAL by ada" in run("kill", "status")[1]
    plane.handlers[OrderIntent](OrderIntent(intent_id=UUID(int=2), symbol="AAPL", direction=Side.BUY, **terms))
    assert [each.reject_reason.partition(":")[0] for each in plane.settle()] == ["REDUCE_ONLY"]
    assert run("kill", "off", *WHO)[0] == 0
    assert run("kill", "status")[0] == 0


def test_that_nothing_may_be_sent_is_shown_though_no_switch_is_engaged(plane):
    plane.hold("RECONCILING: the account could not be held against the venue")
    assert "NOTHING IS SENT: RECONCILING: the account could not be held" in run("kill", "status")[1]


def test_a_kill_of_another_account_is_not_said_to_be_carried_out(plane):
    code, text = run("kill", "on", *WHO, "--scope", "ACCOUNT", "--target", "PAPRE")
    assert (code, "trades another account than PAPRE" in text) == (1, True)
    assert not plane.desk.switch.engaged
    assert run("kill", "on", *WHO, "--scope", "ACCOUNT", "--target", "PAPER")[0] == 0
    assert plane.desk.open_orders == ()


@pytest.mark.parametrize(("scope", "typed", "meant"), [("STRATEGY", "defualt", "default"), ("SYMBOL", "APPL", "AAPL")])
def test_a_kill_of_what_nobody_knows_is_latched_and_no_success(plane, scope, typed, meant):
    code, text = run("kill", "on", *WHO, "--scope", scope, "--target", typed)
    assert (code, "NOTHING THAT IS KNOWN IS STOPPED" in text, f"known: {meant}." in text) == (1, True, True)
    assert len(plane.desk.open_orders) == 1
    assert typed in plane.desk.halts.reasons or plane.desk.switch.holds(KillScope.STRATEGY, typed, KillAction.HALT)
    if scope == "STRATEGY":
        assert f"no strategy named {typed} is known here; known: {meant}." in run("kill", "status")[1]
    assert run("kill", "on", *WHO, "--scope", scope, "--target", meant)[0] == 0


def test_a_strategy_is_known_by_a_wish_that_was_refused(plane):
    terms = {"quantity": 1e9, "order_type": OrderType.MARKET, "timestamp": NOON, "strategy_id": "greedy"}
    plane.handlers[OrderIntent](OrderIntent(intent_id=UUID(int=2), symbol="AAPL", direction=Side.BUY, **terms))
    plane.settle()
    assert run("kill", "on", *WHO, "--scope", "STRATEGY", "--target", "greedy")[0] == 0


def test_a_release_of_what_is_not_engaged_says_what_is(plane):
    run("kill", "on", *WHO, "--scope", "ACCOUNT", "--target", "PAPER")
    code, text = run("kill", "off", *WHO)
    assert (code, "no switch GLOBAL * is engaged; engaged: ACCOUNT PAPER" in text) == (1, True)
    assert plane.desk.switch.engaged
    assert run("kill", "off", *WHO, "--scope", "ACCOUNT", "--target", "PAPER")[0] == 0


def test_a_dry_run_changes_nothing(plane):
    code, text = run("rollback", "cancel-all", *WHO, "--dry-run")
    assert (code, "would act on 1 open orders" in text) == (0, True)
    assert len(plane.desk.open_orders) == 1
    assert not plane.desk.switch.engaged


def test_rollback_steps_may_be_repeated(plane):
    assert run("rollback", "verify")[0] == 1
    for _ in range(2):
        for step in ("cancel-all", "flatten"):
            code, text = run("rollback", step, *WHO)
            assert (code, text) == (0, f"PASS {step}\n")
    assert run("rollback", "verify")[0] == 0
    assert run("rollback", "report")[0] == 0


def test_limits_are_reloaded_only_downwards(plane, tmp_path):
    data = "data: {sources: [{files: [bars.parquet]}], symbols: [AAPL], bar_size: 1min}\nstrategy: {bar_size: 1min}\n"
    looser = tmp_path / "looser.yaml"
    looser.write_text(data + "order: {limits: {max_order_value: 1e12}}\n")
    code, text = run("limits", "reload", *WHO, "-c", str(looser))
    assert (code, "max_order_value" in text) == (1, True)
    tighter = tmp_path / "tighter.yaml"
    tighter.write_text(data + "order: {limits: {max_order_value: 10}}\n")
    assert run("limits", "reload", *WHO, "-c", str(tighter)) == (
        0,
        "the limits are in force; changed: max_order_value\n",
    )
    assert run("limits", "reload", "-c", str(tighter))[0] == 2, "nobody signed it"
    blank = ("--operator", " ", "--reason", "drill")
    assert run("limits", "reload", *blank, "-c", str(tighter))[0] == 2


def test_what_was_made_tighter_is_forgotten_only_with_a_name_and_a_reason(plane):
    code, text = run("limits", "forget", *WHO)
    assert (code, "the next start of the order plane goes by its configuration" in " ".join(text.split())) == (0, True)
    assert run("limits", "forget", "--operator", "ada", "--reason", " ")[0] == 2


def test_nobody_listens(tmp_path, monkeypatch):
    monkeypatch.setenv("ALGOTRADE_HOME", str(tmp_path))
    assert run("kill", "status")[0] == 2
    assert run("rollback", "verify")[0] == 1


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        (
            {"equity": 1234567.8, "pnl": 0.0001753829009999754, "drawdown": 0.01234, "psr": None, "tripped": []},
            "equity 1,234,567.80, pnl +0.02%, drawdown 1.23%, psr -, tripped none",
        ),
        (
            {"equity": 900.0, "pnl": -0.155, "drawdown": 0.25, "psr": 0.0312, "tripped": ["DRAWDOWN", "SHARPE"]},
            "equity 900.00, pnl -15.50%, drawdown 25.00%, psr 0.03, tripped DRAWDOWN, SHARPE",
        ),
        (
            {"equity": None, "pnl": -0.00001, "drawdown": -0.0, "psr": 0.5, "tripped": []},
            "equity -, pnl +0.00%, drawdown 0.00%, psr 0.50, tripped none",
        ),
    ],
)
def test_what_a_guard_measures_is_written_for_a_person(figures, said):
    assert measured(figures) == said


def test_a_release_by_command_line_ends_a_kill_whose_clock_was_ahead(plane, tmp_path):
    ahead = datetime.now(UTC) + timedelta(minutes=5)
    kill = KillSwitchCommand(command_id=UUID(int=9), timestamp=ahead, engage=True, operator="bob", reason="drill")
    halt = {"scope": KillScope.SYMBOL, "target": "AAPL", "command_id": UUID(int=10)}
    for each in (kill, kill.model_copy(update=halt)):
        ask(tmp_path / SOCKET, "kill", {"message": encode(each).decode()})
    assert run("kill", "status")[0] == 1
    assert run("kill", "off", *WHO)[0] == 0
    assert run("kill", "status")[0] == 0
    (tmp_path / "journal.sqlite").touch()
    assert run("orders", "release-symbol", "AAPL", *WHO, "--state", str(tmp_path)) == (0, "released\n")
    assert plane.desk.halts.reasons == {}


@pytest.fixture
def latched(tmp_path, monkeypatch):
    """The state directory of a plane that is down, with a kill in its journal."""
    monkeypatch.setenv("ALGOTRADE_HOME", str(tmp_path))
    path = tmp_path / JOURNAL
    journal = SqliteJournal(path)
    journal.record_command(
        KillSwitchCommand(command_id=UUID(int=1), timestamp=NOON, engage=True, operator="ada", reason="drill")
    )
    journal.close()
    assert run("kill", "status", "--state", str(tmp_path))[0] == 1
    return path


def ruined(path, *statements):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE kill_commands SET body = x'7b7d'",
        "UPDATE kill_commands SET body = x'ff00'",
        "UPDATE kill_commands SET body = CAST(replace(body, 'true', 'false') AS BLOB)",
        "DROP TABLE kill_commands",
        "DELETE FROM meta",
        "PRAGMA user_version = 99",
    ],
)
def test_the_status_of_a_journal_that_cannot_be_trusted_is_one_line_and_a_code(latched, statement):
    ruined(latched, statement)
    code, text = run("kill", "status", "--state", str(latched.parent))
    assert (code, text.count("\n")) == (2, 1), text
    assert "nobody knows whether a kill is latched" in text
    assert "{" not in text


@pytest.mark.parametrize("content", [b"", b"\0" * 9000, b"rubbish" * 2000])
def test_the_status_of_a_file_that_is_no_journal_is_one_line_and_a_code(latched, content):
    latched.write_bytes(content)
    code, text = run("kill", "status", "--state", str(latched.parent))
    assert (code, text.count("\n")) == (2, 1), text
    assert "nobody knows whether a kill is latched" in text


def test_a_target_without_a_scope_stops_nothing_and_says_which_scopes_take_one(plane):
    code, text = run("kill", "on", *WHO, "--flatten", "--target", "AAPL")
    assert code == 2
    assert "ACCOUNT, STRATEGY or SYMBOL" in " ".join(text.replace("│", " ").split())
    assert run("kill", "status")[0] == 0
    assert len(plane.desk.open_orders) == 1


@pytest.mark.parametrize(
    "words",
    [
        ("kill", "on"),
        ("kill", "off"),
        ("rollback", "cancel-all"),
        ("limits", "forget"),
        ("orders", "cancel", "1"),
        ("orders", "release-symbol", "AAPL"),
        ("orders", "take-over"),
        ("plans", "approve", "1"),
        ("orders", "mark-not-sent", str(UUID(int=1))),
    ],
)
@pytest.mark.parametrize("blank", ["operator", "reason"])
def test_nobody_and_no_reason_sign_nothing(plane, words, blank):
    given = {"operator": "ada", "reason": "drill", blank: "  "}
    options = [text for name, value in given.items() for text in (f"--{name}", value)]
    code, text = run(*words, *options)
    assert code == 2
    assert f"--{blank}" in text
    assert "blank" in text
    assert run("kill", "status")[0] == 0


def test_a_command_that_names_no_plane_says_of_which_run_it_spoke(plane, tmp_path):
    with announced(tmp_path, "up-1", KafkaSettings()):
        (tmp_path / "runs" / "up-1").mkdir(parents=True)
        (tmp_path / "runs" / "up-1" / SOCKET).symlink_to(tmp_path / SOCKET)
        for words in (("kill", "on", *WHO), ("kill", "status"), ("kill", "off", *WHO), ("rollback", "verify")):
            assert f"of the run up-1 (process {os.getpid()})" in run(*words)[1], words
            assert "up-1" not in run(*words, "--state", str(tmp_path))[1], words


def test_what_only_the_newest_journal_holds_is_not_taken_for_the_run_that_is_meant(tmp_path, monkeypatch):
    monkeypatch.setenv("ALGOTRADE_HOME", str(tmp_path))
    place = tmp_path / "runs" / "long-ago"
    place.mkdir(parents=True)
    with closing(SqliteJournal(place / JOURNAL)):
        pass
    assert run("kill", "on", *WHO, "--state", str(place))[0] == 0
    code, text = run("kill", "status")
    assert (code, "the newest journal here" in text, str(place) in text) == (1, True, True)
    code, text = run("orders", "list")
    assert (code, "no run is alive" in text, str(place) in text) == (0, True, True)
