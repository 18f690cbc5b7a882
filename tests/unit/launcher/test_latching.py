"""A kill while no order plane answers and Kafka is down."""

import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime
from uuid import UUID

import pytest
from typer.testing import CliRunner

from contracts.codec import decode
from contracts.control import KillScope, KillSwitchCommand
from contracts.trading import OrderIntent, OrderType, Side
from kernel.audit_trail import entries
from kernel.kafka_history import read_logs
from kernel.kafka_offsets import watermarks
from launcher.cli import app
from launcher.latching import Latch
from launcher.order_journal import JOURNAL
from order_plane.composition import build_stage
from order_plane.effects import SubmitOrder
from order_plane.journals.port import Answer, RowState
from order_plane.journals.sqlite import SqliteJournal, view
from order_plane.settings import OrderSettings

WHO = ("--operator", "ann", "--reason", "drill")
HOLD = (
    "import sys; from pathlib import Path; from order_plane.journals.sqlite import SqliteJournal;"
    "held = SqliteJournal(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
)


@pytest.fixture(autouse=True)
def _nothing_else_is_there(tmp_path, monkeypatch):
    monkeypatch.setenv("ALGOTRADE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ALGOTRADE_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setattr("launcher.latching._REACH_SECONDS", 0.2)


@pytest.fixture
def state(tmp_path):
    """The state directory of an order plane that is dead."""
    SqliteJournal(tmp_path / "state" / JOURNAL).close()
    return tmp_path / "state"


@pytest.fixture
def holder(state):
    """A process that holds the journal and answers nobody."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(state / JOURNAL)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def kill(*words):
    result = CliRunner().invoke(app, ["kill", *map(str, words)])
    return result.exit_code, " ".join(result.output.split())


def commands(state):
    with closing(view(state / JOURNAL)) as journal:
        return journal.commands()


def test_the_next_start_is_under_a_kill_that_nobody_but_the_journal_heard(state):
    code, text = kill("on", *WHO, "--state", state)
    assert (code, "latched in the journal" in text, str(state / JOURNAL) in text) == (0, True, True)
    assert "Kafka could not be told" in text
    (latched,) = commands(state)
    assert (latched.operator, latched.reason, latched.scope) == ("ann", "drill", KillScope.GLOBAL)
    assert [each["event"] for each in entries(state / "order_journal.audit.jsonl")] == [
        "OPENED",
        "KILL_SWITCH",
        "CLOSED",
    ]
    code, text = kill("status", "--state", state)
    assert (code, "ENGAGED GLOBAL * HALT for MANUAL by ann" in text) == (1, True)

    stage = build_stage(OrderSettings(journal_path=state / JOURNAL, paper_store_path=state / "venue.sqlite"))
    stage.recover()
    terms = {"quantity": 1.0, "order_type": OrderType.MARKET, "timestamp": datetime(2024, 1, 2, 17, tzinfo=UTC)}
    wish = OrderIntent(intent_id=UUID(int=1), symbol="AAPL", direction=Side.BUY, **terms)
    stage.handlers[OrderIntent](wish)
    (report,) = stage.settle()
    stage.close()
    assert (report.reject_reason or "").startswith("TRADING_HALTED")


def test_a_kill_that_only_the_journal_heard_says_which_orders_work_on(state):
    assert "by that journal no order is open" in kill("on", *WHO, "--state", state)[1]
    at = datetime(2024, 1, 2, 17, tzinfo=UTC)
    terms = {"quantity": 1.0, "order_type": OrderType.LIMIT, "limit_price": 95.0, "timestamp": at}
    with closing(SqliteJournal(state / JOURNAL)) as journal:
        for number in (1, 2):
            intent = OrderIntent(intent_id=UUID(int=number), symbol="AAPL", direction=Side.BUY, **terms)
            journal.begin([SubmitOrder(intent, "PAPER")], (), 0)
        journal.conclude([Answer(UUID(int=1), 1, RowState.ACKED, "o-1")], (), (), 0)
        journal.conclude([Answer(UUID(int=2), 1, RowState.REJECTED)], (), (), 0)
    code, text = kill("on", *WHO, "--state", state)
    assert (code, "orders open by that journal: 1, which WORK ON" in text) == (0, True)


@pytest.mark.parametrize(("scope", "known"), [("STRATEGY", "default"), ("SYMBOL", "AAPL"), ("ACCOUNT", "PAPER")])
def test_a_kill_that_names_what_the_journal_does_not_know_is_written_and_no_success(state, scope, known):
    terms = {"quantity": 1.0, "order_type": OrderType.MARKET, "timestamp": datetime(2024, 1, 2, 17, tzinfo=UTC)}
    intent = OrderIntent(intent_id=UUID(int=1), symbol="AAPL", direction=Side.BUY, **terms)
    with closing(SqliteJournal(state / JOURNAL)) as journal:
        journal.begin([SubmitOrder(intent, "PAPER")], (), 0)
    code, text = kill("on", *WHO, "--state", state, "--scope", scope, "--target", "mistyped")
    assert (code, "NOTHING THAT IS KNOWN IS STOPPED" in text, f"known: {known}." in text) == (1, True, True)
    assert "orders open by that journal: 1, which WORK ON" in text
    assert [each.target for each in commands(state)] == ["mistyped"]
    assert kill("on", *WHO, "--state", state, "--scope", scope, "--target", known)[0] == 0


@pytest.fixture
def newest(tmp_path):
    """The state directory of the newest journal here, of a run that is over."""
    SqliteJournal(tmp_path / "home" / "runs" / "up" / JOURNAL).close()
    return tmp_path / "home" / "runs" / "up"


def test_a_kill_that_only_a_guessed_journal_heard_is_no_success(newest, state, holder):
    code, text = kill("on", *WHO)  # the plane that trades has its state elsewhere, and nobody named it
    assert (code, "NOT KNOWN TO HOLD" in text, "--state" in text) == (1, True, True)
    assert "the newest one here: no run is alive" in text
    assert str(newest / JOURNAL) in text
    assert "Kafka could not be told" in text
    assert (len(commands(newest)), commands(state)) == (1, [])


def test_a_rollback_does_not_take_a_guessed_journal_for_the_plane_that_trades(newest):
    result = CliRunner().invoke(app, ["rollback", "cancel-all", *WHO, "--wait", "1"])
    assert result.exit_code == 1
    assert "NOT KNOWN TO HOLD" in " ".join(result.output.split())


def test_a_kill_that_a_guessed_journal_and_kafka_heard_is_published(newest, embedded_settings, monkeypatch):
    monkeypatch.setenv("ALGOTRADE_KAFKA__BOOTSTRAP_SERVERS", embedded_settings.bootstrap_servers)
    monkeypatch.setenv("ALGOTRADE_KAFKA__TOPIC_PREFIX", embedded_settings.topic_prefix)
    monkeypatch.setattr("launcher.latching._REACH_SECONDS", 10.0)
    code, text = kill("on", *WHO)
    assert (code, "published; the order plane carries it out" in text) == (0, True), text
    assert "the newest one here: no run is alive" in text
    assert len(commands(newest)) == 1


def test_a_broken_audit_log_keeps_no_kill_from_being_latched(state):
    (state / "order_journal.audit.jsonl").write_text("torn and edited\n")
    code, text = kill("on", *WHO, "--state", state)
    assert (code, "the audit log does not have it" in text) == (0, True)
    assert len(commands(state)) == 1


def test_a_plane_that_holds_its_journal_and_is_silent_is_named_and_nothing_is_claimed(state, holder):
    code, text = kill("on", *WHO, "--state", state, "--wait", "3")
    assert (code, "NOT LATCHED: an order plane holds the journal" in text) == (1, True)
    assert "trying on for" in text
    assert "end that process" in text
    assert commands(state) == []


def test_a_kill_is_latched_as_soon_as_the_silent_plane_is_gone(state, holder):
    end = threading.Timer(3.0, holder.kill)
    end.start()
    code, text = kill("on", *WHO, "--state", state, "--wait", "60")
    end.join()
    assert (code, "latched in the journal" in text) == (0, True), text
    assert len(commands(state)) == 1


def test_without_a_journal_nothing_is_claimed_and_none_is_made(tmp_path):
    code, text = kill("on", *WHO, "--state", tmp_path / "nowhere")
    assert (code, "NOT LATCHED" in text, "name its directory with --state" in text) == (1, True, True)
    assert not (tmp_path / "nowhere").exists()


def test_a_journal_that_cannot_be_trusted_is_named(state):
    (state / JOURNAL).write_bytes(b"rubbish" * 1000)
    code, text = kill("on", *WHO, "--state", state)
    assert (code, "NOT LATCHED" in text, "no order plane starts on it either" in text) == (1, True, True)


def test_a_release_is_never_written_behind_the_back_of_the_order_plane(state):
    assert kill("on", *WHO, "--state", state)[0] == 0
    code, text = kill("off", *WHO, "--state", state)
    assert (code, "judged by the order plane" in text) == (3, True)
    assert [each.engage for each in commands(state)] == [True]


def test_a_release_without_an_order_plane_names_what_its_journal_shows_and_without_either_is_none(
    state, embedded_settings, monkeypatch
):
    monkeypatch.setattr("launcher.latching._REACH_SECONDS", 10.0)
    kafka = ("-b", embedded_settings.bootstrap_servers, "--prefix", embedded_settings.topic_prefix)
    code, text = kill("off", *WHO, "--state", state, *kafka)
    assert (code, "no journal here shows what would be released" in text) == (1, True)
    assert kill("on", *WHO, "--state", state)[0] == 0
    assert kill("on", *WHO, "--state", state, "--flatten")[0] == 0
    assert kill("off", *WHO, "--state", state, *kafka) == (0, Latch.PUBLISHED.value)
    topic = embedded_settings.topic("control")
    records = read_logs(embedded_settings, watermarks(embedded_settings, ["control"]))
    (release,) = [decode(each.value(), (KillSwitchCommand,)) for each in records if each.topic() == topic]
    assert (release.engage, release.ends) == (False, commands(state)[-1].command_id)


def test_an_order_plane_that_starts_waits_for_the_moment_that_a_command_takes(state, holder):
    done = threading.Timer(0.3, holder.kill)
    done.start()
    SqliteJournal(state / JOURNAL).close()
    done.join()
