"""What every journal promises: an intent is sent once, and nothing that was written is forgotten."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from contracts.control import KillSwitchCommand
from contracts.trading import ExecutionReport, OrderIntent, OrderStatus, OrderType, Side
from domain.ids import report_id
from order_plane.effects import SubmitOrder
from order_plane.facts import Fact, FactKind
from order_plane.journals.audited import AuditedJournal
from order_plane.journals.memory import MemoryJournal
from order_plane.journals.port import Answer, Recall, Refused, Resolution, RowState, Verdict
from order_plane.journals.sqlite import SqliteJournal

AT = datetime(2024, 1, 2, 17, tzinfo=UTC)


def an_intent(number, quantity=10.0):
    return OrderIntent(
        intent_id=UUID(int=number),
        symbol="AAPL",
        direction=Side.BUY,
        quantity=quantity,
        order_type=OrderType.MARKET,
        timestamp=AT,
    )


def a_report(number, sequence=1, status=OrderStatus.ACKNOWLEDGED):
    return ExecutionReport(
        intent_id=UUID(int=number),
        order_id=f"o-{number}",
        symbol="AAPL",
        status=status,
        filled_quantity=10.0 if status is OrderStatus.FILLED else 0.0,
        avg_fill_price=100.0 if status is OrderStatus.FILLED else None,
        timestamp=AT,
        reject_reason="NO: no" if status is OrderStatus.REJECTED else None,
        report_id=report_id(UUID(int=number), sequence),
        sequence=sequence,
    )


def an_order(number):
    return SubmitOrder(an_intent(number), "ACC")


def a_refusal(number):
    return Refused(an_intent(number), "ACC", a_report(number, status=OrderStatus.REJECTED))


def an_ack(number):
    return Fact(UUID(int=number), FactKind.ACK, "ack", AT, f"o-{number}")


def a_fill(number, name="1", revision=0, quantity=10.0):
    return Fact(UUID(int=number), FactKind.FILL, name, AT, f"o-{number}", quantity, 100.25, 1.5, revision)


def a_command(number, engage=True):
    return KillSwitchCommand(command_id=UUID(int=number), timestamp=AT, engage=engage, operator="ada", reason="drill")


class Unheard:
    """An audit log that nobody reads."""

    def rest(self): ...

    def write(self, entries):
        assert all("event" in entry for entry in entries)

    def close(self):
        pass


@pytest.fixture(params=["memory", "audited in memory", "sqlite", "postgres"])
def reopen(request, tmp_path):
    """Opens the journal of this test; again after it was closed, with what it held unless it is the one in memory."""
    if request.param == "memory":
        return MemoryJournal
    if request.param == "audited in memory":
        return lambda: AuditedJournal(MemoryJournal(), Unheard())
    if request.param == "sqlite":
        return lambda: SqliteJournal(tmp_path / "journal.sqlite")
    address = request.getfixturevalue("postgres_journal_address")
    from order_plane.journals.postgres import PostgresJournal

    return lambda: PostgresJournal(address)


@pytest.fixture
def journal(reopen):
    journal = reopen()
    yield journal
    journal.close()


def a_decision(number, verdict, attempt=1, order_id=""):
    return Resolution(UUID(int=number), attempt, verdict, "ann", "looked at the venue", AT, order_id)


@pytest.fixture
def doubtful(journal):
    """A journal in which intents 1 and 2 were sent, and 1 is in doubt."""
    journal.begin([an_order(1), an_order(2)], [], 0)
    journal.conclude([Answer(UUID(int=1), 1, RowState.IN_DOUBT)], [], [a_report(1, status=OrderStatus.IN_DOUBT)], 0)
    return journal


@pytest.fixture
def sent(journal):
    """A journal in which intent 1 was sent and acknowledged."""
    journal.begin([an_order(1)], [], 0)
    journal.conclude([Answer(UUID(int=1), 1, RowState.ACKED, "o-1")], [an_ack(1)], [a_report(1)], 0)
    return journal


def test_an_intent_is_new_until_it_was_begun(journal):
    assert journal.recall(an_intent(1)) is Recall.NEW
    journal.begin([an_order(1)], [], 0)
    assert journal.recall(an_intent(1)) is Recall.KNOWN


def test_a_refused_intent_is_known_too(journal):
    journal.begin([], [a_refusal(1)], 0)
    assert journal.recall(an_intent(1)) is Recall.KNOWN
    assert journal.past(UUID(int=1)).state is RowState.REJECTED


def test_the_same_id_with_other_content_is_a_conflict(sent):
    assert sent.recall(an_intent(1, quantity=11.0)) is Recall.CONFLICT


def test_only_the_first_to_begin_may_send(journal):
    assert journal.begin([an_order(1), an_order(2)], [], 0) == [an_order(1), an_order(2)]
    assert journal.begin([an_order(2), an_order(3)], [], 0) == [an_order(3)]


def test_nobody_may_send_what_was_answered(sent):
    assert sent.begin([an_order(1)], [], 0) == []


@pytest.mark.parametrize("state", [RowState.ACKED, RowState.REJECTED, RowState.IN_DOUBT])
def test_an_answer_moves_a_row_that_was_being_sent(journal, state):
    journal.begin([an_order(1)], [], 0)
    journal.conclude([Answer(UUID(int=1), 1, state, "o-1")], [], [], 0)
    assert (journal.past(UUID(int=1)).state, journal.past(UUID(int=1)).order_id) == (state, "o-1")


def test_doubt_can_be_resolved_and_a_clear_answer_stays(journal):
    journal.begin([an_order(1)], [], 0)
    for state in (RowState.IN_DOUBT, RowState.ACKED, RowState.REJECTED):
        journal.conclude([Answer(UUID(int=1), 1, state, "o-1")], [], [], 0)
    assert journal.past(UUID(int=1)).state is RowState.ACKED


def test_an_acknowledged_order_that_the_venue_lost_is_in_doubt_and_can_be_decided(sent):
    sent.conclude([Answer(UUID(int=1), 1, RowState.IN_DOUBT, "o-1")], [], [], 0)
    assert (sent.past(UUID(int=1)).state, sent.past(UUID(int=1)).order_id) == (RowState.IN_DOUBT, "o-1")
    assert sent.sign(a_decision(1, Verdict.NOT_SENT))


@pytest.mark.parametrize("later", [RowState.ACKED, RowState.IN_DOUBT, RowState.REJECTED])
def test_what_was_marked_as_not_sent_is_acknowledged_when_the_venue_has_it_and_not_moved_otherwise(doubtful, later):
    doubtful.sign(a_decision(1, Verdict.NOT_SENT))
    doubtful.conclude([Answer(UUID(int=1), 1, later, "o-1")], [], [], 0)
    assert doubtful.past(UUID(int=1)).state is (RowState.ACKED if later is RowState.ACKED else RowState.NOT_SENT)
    assert not doubtful.sign(a_decision(1, Verdict.ADOPTED))


def test_a_rejected_order_is_never_in_doubt(journal):
    journal.begin([an_order(1)], [a_refusal(2)], 0)
    journal.conclude([Answer(UUID(int=1), 1, RowState.REJECTED)], [], [], 0)
    journal.conclude([Answer(UUID(int=number), 1, RowState.IN_DOUBT) for number in (1, 2)], [], [], 0)
    assert [past.state for past in journal.pasts()] == [RowState.REJECTED, RowState.REJECTED]


def test_an_answer_to_another_attempt_moves_nothing(journal):
    journal.begin([an_order(1)], [], 0)
    journal.conclude([Answer(UUID(int=1), 2, RowState.REJECTED)], [], [], 0)
    assert journal.past(UUID(int=1)).state is RowState.SUBMITTING


def test_the_past_is_told_in_the_order_it_was_written(journal):
    journal.begin([an_order(2), an_order(1)], [a_refusal(3)], 0)
    journal.conclude([], [an_ack(1), an_ack(2), a_fill(1)], [a_report(1), a_report(1, 2)], 0)
    pasts = list(journal.pasts())
    assert [past.intent.intent_id.int for past in pasts] == [2, 1, 3]
    assert pasts[1] == journal.past(UUID(int=1))
    assert pasts[1].intent == an_intent(1)
    assert (pasts[1].account, pasts[1].attempt) == ("ACC", 1)
    assert pasts[1].facts == (an_ack(1), a_fill(1))
    assert [past.reports for past in pasts] == [0, 2, 1]


def test_a_fact_is_kept_once_and_every_revision_of_it(sent):
    sent.conclude([], [an_ack(1), a_fill(1), a_fill(1), a_fill(1, revision=1, quantity=9.0)], [], 0)
    assert sent.past(UUID(int=1)).facts == (an_ack(1), a_fill(1), a_fill(1, revision=1, quantity=9.0))


def test_nothing_is_held_of_an_unknown_intent(journal):
    assert journal.past(UUID(int=9)) is None
    assert list(journal.reports_of(UUID(int=9))) == []


def test_reports_wait_in_the_outbox_until_they_are_known_to_be_published(journal):
    journal.begin([an_order(1)], [a_refusal(2)], 0)
    journal.conclude([], [], [a_report(1)], 0)
    assert journal.appended == 2
    assert [report.intent_id.int for report in journal.unpublished()] == [2, 1]
    journal.conclude([], [], [a_report(1, 2)], published=2)
    assert list(journal.unpublished()) == [a_report(1, 2)]
    journal.conclude([], [], [], published=0)
    assert list(journal.unpublished()) == [a_report(1, 2)], "what has reached its readers stays so"


def test_reports_on_an_open_intent_can_be_told_again(sent):
    sent.conclude([], [], [a_report(1, 2)], published=1)
    assert list(sent.reports_of(UUID(int=1))) == [a_report(1), a_report(1, 2)]


def test_reports_on_an_intent_that_just_finished_can_be_told_again(sent):
    sent.conclude([], [], [a_report(1, 2, OrderStatus.FILLED)], published=1)
    assert [report.sequence for report in sent.reports_of(UUID(int=1))] == [1, 2]


def test_a_kill_command_is_written_once(journal):
    assert journal.record_command(a_command(1))
    assert not journal.record_command(a_command(1))
    assert journal.record_command(a_command(2, engage=False))
    assert list(journal.commands()) == [a_command(1), a_command(2, engage=False)]


def test_a_note_is_kept_under_its_name_in_place_of_the_one_before(journal):
    assert dict(journal.notes()) == {}
    journal.note({"guard GLOBAL *": "1", "opening cash": "5.0"})
    journal.note({"guard GLOBAL *": "2"})
    assert dict(journal.notes()) == {"guard GLOBAL *": "2", "opening cash": "5.0"}


def test_one_note_is_looked_up_by_its_name(journal):
    journal.note({"one": "1", "two": ""})
    assert [journal.noted(name) for name in ("one", "two", "three")] == ["1", "", None]


def test_a_note_is_no_transaction_and_disturbs_none(sent):
    before = sent.sequence, sent.appended, list(sent.pasts()), list(sent.unpublished())
    sent.note({"odd ' name \u00e4": "text with ' and \n and \u20ac", "empty": ""})
    assert (sent.sequence, sent.appended, list(sent.pasts()), list(sent.unpublished())) == before
    assert sent.notes()["empty"] == ""
    assert sent.notes()["odd ' name \u00e4"] == "text with ' and \n and \u20ac"


def test_notes_may_go_with_what_the_broker_said(sent):
    sent.note({"guard GLOBAL *": "1"})
    before = sent.sequence
    sent.conclude([], [a_fill(1)], [a_report(1, 2, OrderStatus.FILLED)], 0, {"guard GLOBAL *": "2", "other": "3"})
    assert dict(sent.notes()) == {"guard GLOBAL *": "2", "other": "3"}
    assert sent.sequence == before + 1


def test_notes_that_were_given_out_do_not_change_what_is_kept(journal):
    journal.note({"name": "text"})
    dict(journal.notes()).clear()
    journal.note({})
    assert dict(journal.notes()) == {"name": "text"}


def test_every_journal_has_a_name_of_its_own(journal, tmp_path):
    other = SqliteJournal(tmp_path / "other.sqlite")
    assert journal.journal_id != other.journal_id
    other.close()


def test_an_order_in_doubt_is_adopted_by_a_person(doubtful):
    decision = a_decision(1, Verdict.ADOPTED, order_id="o-1")
    assert doubtful.sign(decision)
    past = doubtful.past(UUID(int=1))
    assert (past.state, past.order_id, past.attempt) == (RowState.ACKED, "o-1", 1)
    assert list(doubtful.resolutions()) == [decision]


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_decision_is_taken_once_and_only_on_what_is_in_doubt(doubtful, verdict):
    doubtful.conclude([Answer(UUID(int=2), 1, RowState.ACKED, "o-2")], [], [], 0)
    assert not doubtful.sign(a_decision(2, verdict))
    assert not doubtful.sign(a_decision(9, verdict))
    assert not doubtful.sign(a_decision(1, verdict, attempt=2))
    assert doubtful.sign(a_decision(1, verdict))
    for again in Verdict:
        assert not doubtful.sign(a_decision(1, again))
    assert list(doubtful.resolutions()) == [a_decision(1, verdict)]


def test_what_was_not_sent_is_never_sent(doubtful):
    assert doubtful.sign(a_decision(1, Verdict.NOT_SENT))
    assert doubtful.past(UUID(int=1)).state is RowState.NOT_SENT
    assert doubtful.recall(an_intent(1)) is Recall.KNOWN
    assert doubtful.begin([an_order(1), an_order(1)._replace(attempt=2)], [], 0) == []


@pytest.mark.parametrize("verdict", [Verdict.ADOPTED, Verdict.NOT_SENT])
def test_an_attempt_that_is_in_doubt_again_is_decided_again_and_the_newest_decision_holds(doubtful, verdict):
    assert doubtful.sign(a_decision(1, Verdict.ADOPTED, order_id="o-1"))
    doubtful.conclude([Answer(UUID(int=1), 1, RowState.IN_DOUBT, "o-1")], [], [], 0)
    again = a_decision(1, verdict, order_id="o-2")._replace(operator="bob")
    assert doubtful.sign(again)
    assert doubtful.resolutions()[-1] == again
    assert doubtful.past(UUID(int=1)).state is (RowState.ACKED if verdict is Verdict.ADOPTED else RowState.NOT_SENT)


def test_the_next_attempt_is_begun_once_and_only_after_a_signed_decision(doubtful):
    second = an_order(1)._replace(attempt=2)
    assert doubtful.begin([second], [], 0) == []
    assert doubtful.sign(a_decision(1, Verdict.SEND_AGAIN))
    past = doubtful.past(UUID(int=1))
    assert (past.state, past.attempt, past.reports) == (RowState.INTENDED, 2, 1)
    assert doubtful.recall(an_intent(1)) is Recall.KNOWN
    assert doubtful.begin([an_order(1), second, second], [], 0) == [second]
    assert doubtful.past(UUID(int=1)).state is RowState.SUBMITTING


def test_a_second_attempt_keeps_its_place_and_its_own_account_of_itself(doubtful):
    doubtful.sign(a_decision(1, Verdict.SEND_AGAIN))
    doubtful.begin([an_order(3), an_order(1)._replace(attempt=2)], [], 0)
    doubtful.conclude([Answer(UUID(int=1), 2, RowState.ACKED, "second")], [an_ack(1)], [], 0)
    pasts = list(doubtful.pasts())
    assert [(past.intent.intent_id.int, past.attempt, past.state.value, past.order_id) for past in pasts] == [
        (1, 2, "ACKED", "second"),
        (2, 1, "SUBMITTING", ""),
        (3, 1, "SUBMITTING", ""),
    ]
    assert pasts[0].facts == (an_ack(1),)


def test_every_transaction_has_a_number_of_its_own(journal):
    numbers = [journal.sequence]
    journal.begin([an_order(1)], [], 0)
    numbers.append(journal.sequence)
    journal.conclude([Answer(UUID(int=1), 1, RowState.IN_DOUBT)], [], [], 0)
    numbers.append(journal.sequence)
    journal.record_command(a_command(1))
    numbers.append(journal.sequence)
    journal.sign(a_decision(1, Verdict.NOT_SENT))
    numbers.append(journal.sequence)
    assert numbers == sorted(set(numbers))


def test_a_rest_changes_nothing_that_is_held(sent):
    held = [*sent.pasts(), *sent.unpublished(), sent.sequence, sent.appended]
    sent.rest()
    assert [*sent.pasts(), *sent.unpublished(), sent.sequence, sent.appended] == held


def test_a_durable_journal_comes_back_as_it_was(reopen, request):
    if "memory" in request.node.callspec.id:
        return
    first = reopen()
    first.begin([an_order(1), an_order(2)], [a_refusal(3)], 0)
    first.conclude([Answer(UUID(int=1), 1, RowState.ACKED, "o-1")], [an_ack(1), a_fill(1)], [a_report(1)], 1)
    first.conclude([Answer(UUID(int=2), 1, RowState.IN_DOUBT)], [], [], 1)
    first.sign(a_decision(2, Verdict.SEND_AGAIN))
    first.record_command(a_command(1))
    first.note({"opening cash": "5.0"})
    held = [
        *first.pasts(),
        *first.unpublished(),
        *first.commands(),
        *first.resolutions(),
        *first.reports_of(UUID(int=1)),
    ]
    numbers = (first.journal_id, first.sequence, first.appended)
    first.close()
    second = reopen()
    again = [
        *second.pasts(),
        *second.unpublished(),
        *second.commands(),
        *second.resolutions(),
        *second.reports_of(UUID(int=1)),
    ]
    assert again == held
    assert dict(second.notes()) == {"opening cash": "5.0"}
    assert (second.journal_id, second.sequence, second.appended) == numbers
    second.close()
