import sqlite3
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from contracts.trading import OrderIntent, OrderType, Side
from kernel.audit_trail import entries
from launcher.cli import app
from launcher.consumed_intents import AT_THE_END, KEPT, IntentWitness
from launcher.order_journal import JOURNAL
from order_plane.command_channel import SOCKET, CommandChannel
from order_plane.composition import build_stage
from order_plane.effects import SubmitOrder
from order_plane.facts import Fact, FactKind
from order_plane.journals.port import Answer, RowState, Verdict
from order_plane.journals.sqlite import SqliteJournal, view
from order_plane.operator_commands import operator_commands
from order_plane.settings import OrderSettings

SIGNED = ("--operator", "ann", "--reason", "asked the desk of the venue")


def an_intent(number):
    return OrderIntent(
        intent_id=UUID(int=number),
        symbol="AAPL",
        direction=Side.BUY,
        quantity=10.0,
        order_type=OrderType.MARKET,
        timestamp=datetime(2024, 1, 2, 17, tzinfo=UTC),
    )


@pytest.fixture
def state(tmp_path):
    """The state directory of a plane that died with intent 1 in doubt and intent 2 being sent."""
    directory = tmp_path / "state"
    journal = SqliteJournal(directory / JOURNAL)
    journal.begin([SubmitOrder(an_intent(number), "PAPER") for number in (1, 2, 3)], [], 0)
    journal.conclude(
        [Answer(UUID(int=1), 1, RowState.IN_DOUBT), Answer(UUID(int=3), 1, RowState.ACKED, "o-3")], [], [], 0
    )
    journal.close()
    return directory


def orders(*arguments):
    return CliRunner().invoke(app, ["orders", *map(str, arguments)])


def state_of(directory, number):
    journal = view(directory / JOURNAL)
    past = journal.past(UUID(int=number))
    journal.close()
    return past.state, past.attempt


def test_orders_in_doubt_are_listed(state):
    shown = orders("in-doubt", "--state", state)
    assert shown.exit_code == 1
    assert str(UUID(int=1)) in shown.output
    assert str(UUID(int=2)) in shown.output
    assert str(UUID(int=3)) not in shown.output
    assert "no order plane runs that could say" in shown.output


def test_an_order_in_doubt_is_one_line_of_eighty_columns(state, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = map(str.split, orders("in-doubt", "--state", state).output.splitlines())
    assert [str(UUID(int=1)), "01-02", "17:00:00", "AAPL", "BUY", "10", "1"] in lines


def test_no_journal_is_no_answer(tmp_path):
    shown = orders("in-doubt", "--state", tmp_path)
    assert shown.exit_code == 2
    assert "there is no journal" in shown.output


@pytest.mark.parametrize(
    ("command", "after"),
    [
        (("adopt", UUID(int=1), "--order-id", "v-9"), (RowState.ACKED, 1)),
        (("mark-not-sent", UUID(int=1)), (RowState.NOT_SENT, 1)),
        (("mark-not-sent", UUID(int=1), "--send-again"), (RowState.INTENDED, 2)),
    ],
)
def test_a_decision_without_a_plane_waits_in_the_journal(state, command, after):
    done = orders(*command, *SIGNED, "--state", state)
    assert done.exit_code == 0, done.output
    assert "at its next start" in done.output
    assert state_of(state, 1) == after
    journal = view(state / JOURNAL)
    (resolution,) = journal.resolutions()
    assert (resolution.operator, resolution.reason) == ("ann", "asked the desk of the venue")
    journal.close()
    assert [each["event"] for each in entries(state / "order_journal.audit.jsonl")] == [
        "OPENED",
        "RESOLUTION",
        "CLOSED",
    ]
    again = orders(*command, *SIGNED, "--state", state)
    assert again.exit_code == 1


@pytest.mark.parametrize("missing", ["--operator", "--reason"])
def test_a_decision_needs_a_name_and_a_reason(state, missing):
    place = SIGNED.index(missing)
    signed = SIGNED[:place] + SIGNED[place + 2 :]
    assert orders("mark-not-sent", UUID(int=1), *signed, "--state", state).exit_code == 2
    unreadable = orders("mark-not-sent", UUID(int=1), *signed, missing, "x\a", "--state", state)
    assert (unreadable.exit_code, "signed with a name" in unreadable.output) == (1, True)
    assert state_of(state, 1) == (RowState.IN_DOUBT, 1)


def test_a_decision_takes_the_first_digits_of_an_id_as_they_are_listed_when_they_name_one_order(tmp_path):
    numbers = [0xABCDEF01 << 96, (0xABCDEF02 << 96) + 1, (0xABCDEF02 << 96) + 2]
    journal = SqliteJournal(tmp_path / JOURNAL)
    journal.begin([SubmitOrder(an_intent(number), "PAPER") for number in numbers], [], 0)
    journal.conclude([Answer(UUID(int=number), 1, RowState.IN_DOUBT) for number in numbers], [], [], 0)
    journal.close()
    for digits, why in (
        ("abcdef0", "at least eight"),
        ("abcdef03", "no such"),
        ("abcdef02", "2 intents"),
        ("%", "at least eight"),
    ):
        done = orders("mark-not-sent", digits, *SIGNED, "--state", tmp_path)
        assert (done.exit_code, why in done.output, "orders in-doubt" in done.output) == (1, True, True), digits
    assert orders("mark-not-sent", "ABCDEF01", *SIGNED, "--state", tmp_path).exit_code == 0
    assert [state_of(tmp_path, number)[0].value for number in numbers] == ["NOT_SENT", "IN_DOUBT", "IN_DOUBT"]


@pytest.mark.parametrize("number", [3, 4])
def test_a_decision_on_a_known_outcome_is_refused(state, number):
    done = orders("mark-not-sent", UUID(int=number), *SIGNED, "--state", state)
    assert done.exit_code == 1
    assert "refused" in done.output


def test_a_running_plane_carries_the_decision_out(state):
    settings = OrderSettings(journal_path=state / JOURNAL, paper_store_path=state / "venue.sqlite")
    stage = build_stage(settings)
    said = list(stage.recover())
    channel = CommandChannel(state / SOCKET, operator_commands(stage, said.extend))
    answers = []
    command = ("mark-not-sent", UUID(int=1), *SIGNED, "--state", state)

    def ask():
        answers.append(orders(*command))
        answers.append(orders("in-doubt", "--state", state))

    client = threading.Thread(target=ask)
    client.start()
    while client.is_alive():
        channel.poll()
        time.sleep(0.005)
    client.join(30)
    channel.close()
    assert answers[0].exit_code == 0, answers[0].output
    assert "the venue refuses a second order of the same intent" in answers[1].output
    assert said[-1].reject_reason == "NOT_SENT: signed by ann: asked the desk of the venue"
    assert stage._journal.resolutions()[0].verdict is Verdict.NOT_SENT
    stage.close()


def a_run(directory, ends):
    directory.mkdir(parents=True)
    names = [str(UUID(int=number)) for number in ends]
    pq.write_table(pa.table({"intent_id": names, "status": list(ends.values())}), directory / "orders.parquet")
    return directory


def test_every_intent_of_a_run_is_accounted_for(state, tmp_path):
    run = a_run(tmp_path / "run", {1: "IN_DOUBT", 2: "UNANSWERED", 3: "FILLED"})
    shown = orders("audit", run, "--state", state)
    assert shown.exit_code == 0, shown.output
    assert "every intent is accounted for" in shown.output
    assert f"IN_DOUBT {UUID(int=2)}" in shown.output


def test_an_intent_that_vanished_is_found(state, tmp_path):
    run = a_run(tmp_path / "run", {3: "FILLED", 9: "FILLED"})
    shown = orders("audit", run, "--state", state)
    assert shown.exit_code == 1
    assert f"LOST {UUID(int=9)}" in shown.output


def test_a_backtest_answers_for_itself(tmp_path):
    assert orders("audit", a_run(tmp_path / "good", {1: "FILLED", 2: "REJECTED"}), "--state", tmp_path).exit_code == 0
    assert orders("audit", a_run(tmp_path / "bad", {1: "UNANSWERED"}), "--state", tmp_path).exit_code == 1


def test_what_a_run_kept_is_held_against_its_journal_when_its_broker_is_gone(state, tmp_path):
    def kept(*names, committed):
        with IntentWitness(state / KEPT) as witness:
            for offset, number in enumerate(names):
                witness.published(0, offset, UUID(int=number))
            witness.committed({"order_intents/0": committed}, AT_THE_END)
        return orders("audit", "some-run", "--runs", tmp_path, "--state", state)

    shown = kept(1, 2, 3, 7, committed=3)
    assert shown.exit_code == 0, shown.output
    said = " ".join(shown.output.split())
    assert "every intent is accounted for" in said
    assert "never consumed, so nothing came of them: 1" in said
    assert KEPT in said
    assert f"how it ended: {state / JOURNAL}" in said
    lost = kept(1, 2, 3, 7, committed=4)
    assert (lost.exit_code, f"LOST {UUID(int=7)}" in lost.output) == (1, True)


@pytest.mark.parametrize("committed", [None, 1])
def test_what_nobody_knows_to_be_consumed_or_not_is_not_accounted_for(state, tmp_path, committed):
    with IntentWitness(state / KEPT) as witness:  # the command was killed before it could ask how far the plane came
        for offset, number in enumerate((1, 7)):
            witness.published(0, offset, UUID(int=number))
        if committed is not None:
            witness.committed({"order_intents/0": committed}, "heartbeats of the order plane")
    shown = orders("audit", "some-run", "--runs", tmp_path, "--state", state)
    assert (shown.exit_code, f"UNKNOWN {UUID(int=7)}" in shown.output) == (1, True), shown.output
    assert f"UNKNOWN {UUID(int=1)}" not in shown.output, "the journal says what became of that one"
    assert "accounted for" not in shown.output


def test_a_line_that_cannot_be_read_leaves_the_account_open(state, tmp_path):
    with IntentWitness(state / KEPT) as witness:
        witness.published(0, 0, UUID(int=1))
        witness.committed({"order_intents/0": 1}, AT_THE_END)
    whole = (state / KEPT).read_text().splitlines(keepends=True)
    for rubbish in ("{torn\n", "5\n", '{"place": "order_intents/0/x", "intent": null}\n', '{"committed": 3}\n'):
        (state / KEPT).write_text(whole[0] + rubbish + whole[1])
        shown = orders("audit", "some-run", "--runs", tmp_path, "--state", state)
        said = " ".join(shown.output.split())
        assert (shown.exit_code, "lines that cannot be read: 1" in said) == (1, True), said


def test_an_audit_log_is_verified_and_an_edit_is_found(state):
    assert orders("mark-not-sent", UUID(int=1), *SIGNED, "--state", state).exit_code == 0
    checked = CliRunner().invoke(app, ["audit", "verify", str(state)])
    assert checked.exit_code == 0, checked.output
    assert "3 entries in order" in checked.output
    log = state / "order_journal.audit.jsonl"
    log.write_text(log.read_text().replace("ann", "bob"))
    checked = CliRunner().invoke(app, ["audit", "verify", str(state)])
    assert checked.exit_code == 1
    assert "line 2" in checked.output
    assert CliRunner().invoke(app, ["audit", "verify", str(state / "nowhere")]).exit_code == 2


def test_a_journal_in_a_database_is_listed_and_decided_on(postgres_journal_address, tmp_path, monkeypatch):
    from order_plane.journals.postgres import PostgresJournal

    monkeypatch.setenv("ALGOTRADE_HOME", str(tmp_path))
    journal = PostgresJournal(postgres_journal_address)
    journal.begin([SubmitOrder(an_intent(1), "PAPER")], [], 0)
    where = ("--database", postgres_journal_address)
    assert str(UUID(int=1)) in orders("in-doubt", *where).output
    held = orders("mark-not-sent", UUID(int=1), *SIGNED, *where)
    assert (held.exit_code, "held by another order plane" in held.output) == (2, True)
    journal.close()
    assert orders("mark-not-sent", UUID(int=1), *SIGNED, *where).exit_code == 0
    assert "no order is in doubt" in orders("in-doubt", *where).output


@pytest.mark.parametrize(
    ("command", "text", "answer"),
    [
        (("adopt", UUID(int=3), "--order-id", "o-3"), "the change was made", FactKind.REPLACED),
        (("mark-not-sent", UUID(int=3)), "works on as it was", FactKind.REPLACE_REFUSED),
    ],
)
def test_a_change_in_doubt_is_decided_on_without_a_plane(state, command, text, answer):
    at = datetime(2024, 1, 2, 17, tzinfo=UTC)
    journal = SqliteJournal(state / JOURNAL)
    asked = Fact(UUID(int=3), FactKind.REPLACE_REQUESTED, "r1", at, quantity=6.0, price=99.0, revision=1)
    journal.conclude([], [Fact(UUID(int=3), FactKind.ACK, "ack", at, "o-3"), asked], [], 0)
    journal.close()
    assert str(UUID(int=3)) in orders("in-doubt", "--state", state).output
    done = orders(*command, *SIGNED, "--state", state)
    assert (done.exit_code, text in done.output) == (0, True), done.output
    journal = view(state / JOURNAL)
    fact = journal.past(UUID(int=3)).facts[-1]
    journal.close()
    assert (fact.kind, fact.revision, "signed by ann" in fact.reason) == (answer, 1, True)
    assert str(UUID(int=3)) not in orders("in-doubt", "--state", state).output
    assert orders(*command, *SIGNED, "--state", state).exit_code == 1
    assert any(each["event"] == "RESOLUTION" for each in entries(state / "order_journal.audit.jsonl"))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE intents SET state = 'NEITHER'",
        "UPDATE intents SET body = x'7b7d'",
        "UPDATE facts SET kind = 'RUMOUR'",
        "UPDATE facts SET at = 'yesterday'",
    ],
)
@pytest.mark.parametrize("command", ["in-doubt", "list"])
def test_a_journal_with_rows_that_say_nothing_is_one_line_and_a_code(state, statement, command):
    journal = SqliteJournal(state / JOURNAL)
    journal.conclude([], [Fact(UUID(int=3), FactKind.ACK, "ack", datetime(2024, 1, 2, 17, tzinfo=UTC), "o-3")], [], 0)
    journal.close()
    with closing(sqlite3.connect(state / JOURNAL, isolation_level=None)) as connection:
        connection.execute(statement)
    shown = orders(command, "--state", state)
    assert (shown.exit_code, shown.output.count("\n")) == (2, 1), shown.output
    assert "the journal holds" in shown.output
