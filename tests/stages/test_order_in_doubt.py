"""What a person may decide about an order whose outcome is unknown, and what a journal refuses to go on from."""

from datetime import timedelta
from uuid import UUID

import pytest
from order_messages import NOON, a_bar, an_intent, seen, tell
from venue_double import Venue

from contracts.control import KillSwitchCommand, RiskAlert
from contracts.trading import ExecutionReport, Side
from order_plane.brokers.port import BrokerStateUnknown
from order_plane.composition import build_simulation, build_stage
from order_plane.facts import Fact, FactKind
from order_plane.journals.intent_ledger import End, end_of
from order_plane.journals.memory import MemoryJournal
from order_plane.journals.port import JournalError, Resolution, RowState, Verdict
from order_plane.journals.sqlite import SqliteJournal
from order_plane.limit_settings import LimitSettings
from order_plane.settings import OrderSettings
from order_plane.unacceptable import NotInDoubt

SETTINGS = OrderSettings(limits={"duplicate_window": 0}, reconciliation=None)


def a_fact(kind, number=1, name="x", minutes=1, **more):
    return Fact(UUID(int=number), kind, name, NOON + timedelta(minutes=minutes), f"o-{number}", **more)


def an_ack(number=1):
    return a_fact(FactKind.ACK, number, "ack", 0)


def a_decision(verdict, attempt=1, order_id="", number=1):
    return Resolution(UUID(int=number), attempt, verdict, "ann", "asked the venue", NOON, order_id)


@pytest.fixture
def world(tmp_path):
    """Order planes on one journal and one venue, one after the other."""
    opened, venue = [], Venue(problem=BrokerStateUnknown("timeout"))

    def open_again():
        while opened:
            opened.pop().close()
        opened.append(build_stage(SETTINGS, SqliteJournal(tmp_path / "journal.sqlite"), venue))
        return opened[-1], venue

    yield open_again
    while opened:
        opened.pop().close()


@pytest.fixture
def doubtful(world):
    """A plane with intent 1 in doubt."""
    stage, venue = world()
    stage.recover()
    assert seen(tell(stage, a_bar(), an_intent())) == [(1, "IN_DOUBT", 1)]
    return stage, venue


def state_of(stage, number=1):
    past = stage._journal.past(UUID(int=number))
    return past.state, past.attempt


def test_a_doubt_that_goes_on_is_alarmed_again_at_each_start(world, doubtful):
    for _ in range(2):
        stage, _ = world()
        assert [each.code for each in stage.recover() if isinstance(each, RiskAlert)] == ["ORDER_IN_DOUBT"]


def alerts(said):
    return [(each.code, each.symbol) for each in said if isinstance(each, RiskAlert)]


@pytest.mark.parametrize("kind", [FactKind.ACK, FactKind.REJECT])
def test_a_doubt_that_the_venue_settles_is_said_to_be_over_once(doubtful, kind):
    stage, venue = doubtful
    venue.news = [a_fact(kind)]
    assert alerts(tell(stage)) == [("DOUBT_SETTLED", "AAPL")]
    venue.news = [a_fact(kind)]
    assert alerts(tell(stage)) == []


def test_a_doubt_that_is_over_at_the_next_start_is_said_to_be(world, doubtful):
    stage, venue = world()
    venue.known[UUID(int=1)] = [an_ack()]
    assert alerts(stage.recover()) == [("DOUBT_SETTLED", "AAPL")]


def test_a_doubt_that_a_person_settles_is_no_news(doubtful):
    stage, _ = doubtful
    assert alerts(stage.resolve(a_decision(Verdict.ADOPTED, order_id="o-1"))) == []


def test_that_a_person_books_an_execution_of_it_is_no_word_of_the_venue(doubtful):
    stage, _ = doubtful
    assert alerts(stage.book(a_fact(FactKind.FILL, quantity=1.0, price=100.0))) == []


@pytest.mark.parametrize("restart", [False, True])
def test_an_adopted_order_works_on(world, doubtful, restart):
    stage, venue = doubtful
    if restart:
        stage._journal.sign(a_decision(Verdict.ADOPTED, order_id="o-1"))
        stage, venue = world()
        said = stage.recover()
    else:
        said = stage.resolve(a_decision(Verdict.ADOPTED, order_id="o-1"))
    assert seen(said)[-1] == (1, "ACKNOWLEDGED", 2)
    assert state_of(stage) == (RowState.ACKED, 1)
    assert stage.desk.in_doubt == 0
    venue.news = [a_fact(FactKind.FILL, quantity=10.0, price=100.0)]
    assert seen(tell(stage)) == [(1, "FILLED", 3)]
    assert len(venue.sent) == 1


def test_adopting_fetches_what_the_venue_knows_by_now(doubtful):
    stage, venue = doubtful
    venue.known[UUID(int=1)] = [an_ack(), a_fact(FactKind.FILL, quantity=10.0, price=100.0)]
    said = stage.resolve(a_decision(Verdict.ADOPTED, order_id="o-1"))
    assert seen(said) == [(1, "ACKNOWLEDGED", 2), (1, "FILLED", 3)]
    assert stage.desk.positions == {"AAPL": 10.0}


def test_a_next_attempt_waits_until_kafka_says_who_sends(doubtful):
    stage, venue = doubtful
    answers = [False, True]
    stage.upkeep.confirm = lambda: answers.pop(0)
    venue.answers = [[an_ack()]]
    stage.resolve(a_decision(Verdict.SEND_AGAIN))
    assert (tell(stage), len(venue.sent)) == ([], 1)
    assert seen(tell(stage)) == [(1, "ACKNOWLEDGED", 2)]
    assert venue.sent == [(1, 1), (1, 2)]


@pytest.mark.parametrize("when", ["in an earlier life", "earlier", "at once"])
def test_no_next_attempt_is_sent_of_what_the_venue_had_meanwhile_and_has_forgotten(world, doubtful, when):
    stage, venue = doubtful
    venue.answers, stage.upkeep.confirm = [[an_ack()]], lambda: when == "at once"
    stage.resolve(a_decision(Verdict.SEND_AGAIN))
    venue.news = [an_ack()]
    tell(stage)
    if when == "in an earlier life":
        stage, venue = world()
        stage.recover()
    stage.upkeep.confirm = lambda: True
    tell(stage, a_bar(1))
    assert venue.sent == [(1, 1)]
    assert (state_of(stage), stage.desk.in_doubt) == ((RowState.IN_DOUBT, 2), 1)
    with pytest.raises(NotInDoubt, match="has had that order"):
        stage.resolve(a_decision(Verdict.SEND_AGAIN, 2))
    assert seen(stage.resolve(a_decision(Verdict.NOT_SENT, 2)))[-1][:2] == (1, "CANCELED")


@pytest.mark.parametrize("tells", [None, []], ids=["nothing", "no more"])
def test_no_next_attempt_is_sent_of_what_ended_meanwhile_and_the_plane_lives(world, doubtful, tells):
    stage, venue = doubtful
    stage.upkeep.confirm = lambda: False
    stage.resolve(a_decision(Verdict.SEND_AGAIN))
    venue.news = [an_ack(), a_fact(FactKind.CANCELLED)]
    tell(stage)
    stage, venue = world()
    venue.known[UUID(int=1)] = tells
    stage.recover()
    tell(stage, a_bar(1))
    assert (venue.sent, stage.desk.in_doubt) == ([(1, 1)], 0)


@pytest.mark.parametrize("restart", [False, True])
def test_what_was_not_sent_ends_rejected_and_frees_its_symbol(world, doubtful, restart):
    stage, venue = doubtful
    if restart:
        stage._journal.sign(a_decision(Verdict.NOT_SENT))
        stage, _ = world()
        said = stage.recover()
    else:
        said = stage.resolve(a_decision(Verdict.NOT_SENT))
    (report,) = [each for each in said if isinstance(each, ExecutionReport) and each.sequence == 2]
    assert report.reject_reason == "NOT_SENT: signed by ann: asked the venue"
    assert state_of(stage) == (RowState.NOT_SENT, 1)
    assert stage.desk.open_orders == ()
    venue.answers = [(an_ack(2),)]
    assert seen(tell(stage, a_bar(1), an_intent(2, quantity=9.0))) == [(2, "ACKNOWLEDGED", 1)]


def test_a_venue_that_had_it_after_all_alarms_and_halts(doubtful):
    stage, venue = doubtful
    stage.resolve(a_decision(Verdict.NOT_SENT))
    venue.news = [a_fact(FactKind.FILL, quantity=10.0, price=100.0)]
    said = tell(stage)
    assert [each.code for each in said if isinstance(each, RiskAlert)] == ["ORDER_FACTS_ODD"]
    assert stage.desk.positions == {"AAPL": 10.0}


def withheld(stage):
    """The next attempt is refused by a control, so that the first one is all that can arrive."""
    stage.supervision.tighten(LimitSettings(duplicate_window=0, restricted=frozenset({"AAPL"})), "ann", "drill")
    stage.resolve(a_decision(Verdict.SEND_AGAIN))
    stage.settle()


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("signed", [lambda stage: stage.resolve(a_decision(Verdict.NOT_SENT)), withheld])
def test_an_order_that_arrives_after_all_counts_until_its_cancel_is_heard(world, doubtful, signed, restart):
    stage, venue = doubtful
    signed(stage)
    assert stage.desk.open_orders == ()
    venue.news = [an_ack()]
    said = stage.settle()
    assert [each.code for each in said if isinstance(each, RiskAlert)] == ["ORDER_FACTS_ODD", "CANCEL_FAILED"]
    assert [status for _, status, _ in seen(said)] == ["ACKNOWLEDGED"]
    assert state_of(stage)[0] is RowState.ACKED
    if restart:
        stage, venue = world()
        venue.known[UUID(int=1)] = [an_ack()]
        stage.recover()
    (order,) = stage.desk.open_orders
    assert (order.intent.intent_id, order.intent.quantity) == (UUID(int=1), 10.0)
    venue.cancel = lambda order: (a_fact(FactKind.CANCELLED),)
    kill = KillSwitchCommand(command_id=UUID(int=9), timestamp=NOON, engage=True, operator="ada", reason="drill")
    tell(stage, kill)
    assert stage.desk.open_orders == ()


def test_an_order_that_arrives_after_all_under_a_kill_is_cancelled(doubtful):
    stage, venue = doubtful
    venue.cancel = lambda order: (a_fact(FactKind.CANCELLED),)
    kill = KillSwitchCommand(command_id=UUID(int=9), timestamp=NOON, engage=True, operator="ada", reason="drill")
    stage.resolve(a_decision(Verdict.NOT_SENT))
    tell(stage, kill)
    venue.news = [an_ack()]
    assert [status for _, status, _ in seen(stage.settle())] == ["ACKNOWLEDGED", "CANCELED"]


@pytest.fixture
def forgotten(world):
    """A plane whose order 1 the venue had accepted and knows no more, as one that ended days ago."""
    stage, venue = world()
    venue.answers = [[an_ack()]]
    stage.recover()
    tell(stage, a_bar(), an_intent())
    stage, venue = world()
    assert seen(stage.recover())[-1] == (1, "IN_DOUBT", 2)
    return stage, venue


@pytest.mark.parametrize("how", ["asked", "adopted before", "while it was down"])
def test_what_the_venue_has_had_and_forgotten_ends_when_a_person_says_so(world, forgotten, how):
    stage, _ = forgotten
    if how == "adopted before":
        stage.resolve(a_decision(Verdict.ADOPTED, order_id="o-1"))
        stage, _ = world()
        assert (seen(stage.recover())[-1][:2], stage.desk.in_doubt) == ((1, "IN_DOUBT"), 1)
    if how == "while it was down":
        stage._journal.sign(a_decision(Verdict.NOT_SENT))
        stage, _ = world()
        said = stage.recover()
    else:
        said = stage.resolve(a_decision(Verdict.NOT_SENT))
    assert seen(said)[-1][:2] == (1, "CANCELED")
    assert (stage.desk.open_orders, stage.desk.in_doubt, stage.desk.halts.engaged) == ((), 0, ())
    assert end_of(stage._journal.past(UUID(int=1))) is End.ACKED
    stage.book(a_fact(FactKind.FILL, quantity=4.0, price=100.0))
    assert (stage.desk.positions, stage.desk.open_orders) == ({"AAPL": 4.0}, ())


def test_what_the_venue_has_had_is_not_sent_again(forgotten):
    stage, venue = forgotten
    with pytest.raises(NotInDoubt, match="has had that order"):
        stage.resolve(a_decision(Verdict.SEND_AGAIN))
    assert (tell(stage), venue.sent) == ([], [(1, 1)])


@pytest.mark.parametrize("restart", [False, True])
def test_the_next_attempt_is_sent_once(world, doubtful, restart):
    stage, venue = doubtful
    venue.answers = [(an_ack(),)]
    if restart:
        stage._journal.sign(a_decision(Verdict.SEND_AGAIN))
        stage, venue = world()
        stage.restore(a_bar())
        stage.recover()
    else:
        assert seen(stage.resolve(a_decision(Verdict.SEND_AGAIN))) == []
    assert seen(tell(stage, an_intent())) == [(1, "ACKNOWLEDGED", 2), (1, "IN_DOUBT", 1)][: None if not restart else 2]
    assert venue.sent == [(1, 1), (1, 2)]
    assert state_of(stage) == (RowState.ACKED, 2)
    stage, venue = world()
    venue.known[UUID(int=1)] = [an_ack()]
    stage.recover()
    tell(stage, a_bar(), an_intent())
    assert venue.sent == [(1, 1), (1, 2)]


def test_an_attempt_that_another_plane_sent_and_that_has_ended_stops_nothing_else():
    journal, venue = MemoryJournal(), Venue()
    stage, other = (build_stage(SETTINGS, journal, venue) for _ in range(2))
    stage.recover()
    tell(stage, a_bar(), an_intent())
    stage.upkeep.confirm = lambda: False
    stage.resolve(a_decision(Verdict.SEND_AGAIN))
    other.restore(a_bar())
    other.recover()
    venue.answers = [[an_ack()], [an_ack(2)]]
    tell(other)
    venue.news, stage.upkeep.confirm = [a_fact(FactKind.FILL, quantity=10.0, price=100.0)], lambda: True
    assert seen(tell(stage, an_intent(2)))[-1] == (2, "ACKNOWLEDGED", 1)
    assert (venue.sent, stage.desk.positions) == ([(1, 1), (1, 2), (2, 1)], {"AAPL": 10.0})


@pytest.mark.parametrize("restart", [False, True])
def test_the_next_attempt_is_not_sent_when_the_venue_has_the_first_after_all(world, doubtful, restart):
    stage, venue = doubtful
    venue.known[UUID(int=1)] = [an_ack(), a_fact(FactKind.FILL, name="1", quantity=10.0, price=100.0)]
    stage.resolve(a_decision(Verdict.SEND_AGAIN))
    if restart:
        stage, venue = world()
        stage.recover()
    assert seen(tell(stage))[-1][1] == "FILLED"
    assert venue.sent == [(1, 1)]
    assert state_of(stage) == (RowState.ACKED, 2)
    assert stage.desk.positions == {"AAPL": 10.0}


def test_the_next_attempt_is_not_sent_when_the_venue_lists_the_first_as_rejected(doubtful):
    stage, venue = doubtful
    venue.known[UUID(int=1)] = rejected = [a_fact(FactKind.REJECT, name="reject", reason="IBKR_201: no margin")]
    stage.resolve(a_decision(Verdict.SEND_AGAIN))
    (report,) = tell(stage)
    assert (report.status.value, report.reject_reason) == ("REJECTED", "IBKR_201: no margin")
    venue.news = rejected
    assert (tell(stage), venue.sent, stage.desk.open_orders) == ([], [(1, 1)], ())


def test_the_next_attempt_is_not_sent_when_the_first_is_rejected_late_and_then_forgotten(doubtful):
    stage, venue = doubtful
    stage.resolve(a_decision(Verdict.SEND_AGAIN))
    venue.news = [a_fact(FactKind.REJECT, name="reject", reason="IBKR_201: no margin")]
    assert [each.reject_reason for each in tell(stage)][:1] == ["IBKR_201: no margin"]
    assert (venue.sent, stage.desk.open_orders) == ([(1, 1)], ())


def test_the_next_attempt_is_judged_by_every_control_as_things_are_then(doubtful):
    stage, venue = doubtful
    stage.resolve(a_decision(Verdict.SEND_AGAIN))
    stage.supervision.tighten(LimitSettings(duplicate_window=0, restricted=frozenset({"AAPL"})), "ann", "drill")
    (report,) = tell(stage)
    assert (report.status.value, report.reject_reason.partition(":")[0]) == ("REJECTED", "RESTRICTED")
    assert venue.sent == [(1, 1)]


@pytest.mark.parametrize("limit", ["max_symbol_notional", "max_gross_exposure", "max_net_exposure"])
def test_the_next_attempt_does_not_count_twice(doubtful, limit):
    stage, venue = doubtful
    venue.answers = [(an_ack(),)]
    limits = {"duplicate_window": 0, limit: 10.0 * 100.0}
    stage.supervision.tighten(LimitSettings.model_validate(limits), "ann", "drill")
    stage.resolve(a_decision(Verdict.SEND_AGAIN))
    assert seen(tell(stage)) == [(1, "ACKNOWLEDGED", 2)]


def test_an_outcome_in_doubt_holds_back_what_follows_in_the_same_batch(world):
    stage, venue = world()
    stage.recover()
    venue.answers = [BrokerStateUnknown("timeout"), (an_ack(3),)]
    said = tell(stage, a_bar(), an_intent(), an_intent(2), an_intent(3, direction=Side.SELL))
    assert venue.sent == [(1, 1), (3, 1)]
    assert [each.reject_reason.partition(":")[0] for each in said if getattr(each, "reject_reason", None)] == [
        "OUTCOME_UNKNOWN",
        "IN_DOUBT_BLOCK",
    ]


def test_a_halt_of_the_symbol_holds_back_what_follows_in_the_same_batch(world):
    stage, venue = world()
    stage.recover()
    venue.answers = [(an_ack(), a_fact(FactKind.FILL, name="1", quantity=20.0, price=100.0))]
    tell(stage, a_bar(), an_intent(), an_intent(2))
    assert stage.desk.halts.reasons.keys() == {"AAPL"}
    assert venue.sent == [(1, 1)]


def test_the_next_attempt_is_not_sent_when_the_venue_cannot_be_asked(doubtful):
    stage, venue = doubtful
    stage.resolve(a_decision(Verdict.SEND_AGAIN))

    def silent(intent_id):
        raise BrokerStateUnknown("timeout")

    venue.lookup = silent
    assert seen(tell(stage))[-1][1] == "REJECTED"
    assert venue.sent == [(1, 1)]


def test_the_next_attempt_is_not_sent_when_the_venue_has_had_the_first_and_tells_no_more_of_it(doubtful):
    stage, venue = doubtful
    stage.resolve(a_decision(Verdict.SEND_AGAIN))
    venue.known[UUID(int=1)] = []
    assert seen(tell(stage)) == [(1, "IN_DOUBT", 2)]
    assert (venue.sent, state_of(stage)) == ([(1, 1)], (RowState.IN_DOUBT, 2))


def test_the_next_attempt_can_be_in_doubt_again_and_be_decided_again(doubtful):
    stage, venue = doubtful
    stage.resolve(a_decision(Verdict.SEND_AGAIN))
    assert seen(tell(stage)) == [(1, "IN_DOUBT", 2)]
    with pytest.raises(NotInDoubt):
        stage.resolve(a_decision(Verdict.NOT_SENT, attempt=1))
    stage.resolve(a_decision(Verdict.NOT_SENT, attempt=2))
    assert state_of(stage) == (RowState.NOT_SENT, 2)
    assert len(venue.sent) == 2


def test_the_next_attempt_is_not_sent_under_a_kill(doubtful):
    stage, venue = doubtful
    stage.resolve(a_decision(Verdict.SEND_AGAIN))
    kill = KillSwitchCommand(command_id=UUID(int=9), timestamp=NOON, engage=True, operator="ada", reason="drill")
    (report,) = [each for each in tell(stage, kill) if isinstance(each, ExecutionReport)]
    assert report.reject_reason.startswith("TRADING_HALTED: ")
    assert len(venue.sent) == 1
    assert state_of(stage) == (RowState.NOT_SENT, 2)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_only_what_is_in_doubt_can_be_decided_on(doubtful, verdict):
    stage, venue = doubtful
    with pytest.raises(NotInDoubt):
        stage.resolve(a_decision(verdict, number=7))
    stage.resolve(a_decision(Verdict.ADOPTED, order_id="o-1"))
    with pytest.raises(NotInDoubt):
        stage.resolve(a_decision(verdict))
    assert len(venue.sent) == 1


def test_a_fill_in_the_same_settlement_as_the_cancel_is_booked_and_does_not_wedge_the_journal(world):
    stage, venue = world()
    stage.recover()
    venue.answers = [(an_ack(),)]
    tell(stage, a_bar(), an_intent())
    venue.news = [a_fact(FactKind.CANCELLED), a_fact(FactKind.FILL, quantity=4.0, price=100.0)]
    said = tell(stage)
    assert seen(said) == [(1, "CANCELED", 2), (1, "CANCELED", 3)]
    assert said[-1].filled_quantity == 4.0
    assert stage.desk.positions == {"AAPL": 4.0}
    stage, venue = world()
    venue.known[UUID(int=1)] = [an_ack()]
    stage.recover()
    assert stage.desk.positions == {"AAPL": 4.0}


def test_a_report_that_repeats_the_end_of_an_order_does_not_open_it_again(world):
    stage, venue = world()
    stage.recover()
    venue.answers = [[an_ack()]]
    tell(stage, a_bar(), an_intent())
    cancelled = a_fact(FactKind.CANCELLED)
    for _ in range(3):
        venue.news = [cancelled, cancelled]
        tell(stage)
        assert stage.desk.open_orders == ()
    assert not stage.desk.books.works("default", "AAPL")


def test_a_report_carries_its_journal_only_when_it_leaves(world):
    stage, venue = world()
    stage.recover()
    venue.answers = [(an_ack(),)]
    (report,) = tell(stage, a_bar(), an_intent())
    assert (report.journal_id, report.journal_seq) == (None, None)
    stamped = stage.stamp(report)
    assert (stamped.journal_id, stamped.journal_seq) == (stage.journal_id, stage._journal.sequence)
    assert stamped.model_copy(update={"journal_id": None, "journal_seq": None}) == report


def test_a_journal_goes_on_behind_its_own_reports(world):
    stage, venue = world()
    stage.recover()
    venue.answers = [(an_ack(),)]
    said = [stage.stamp(each) for each in tell(stage, a_bar(), an_intent())]
    stage, venue = world()
    for report in said:
        stage.restore(report)
    stage.recover()


@pytest.mark.parametrize(("told", "refused"), [(-1, False), (0, False), (1, True)])
def test_a_journal_that_lacks_a_single_transaction_refuses_to_start(world, doubtful, told, refused):
    stage, _ = world()
    report = stage.stamp(stage._journal.reports_of(UUID(int=1))[0])
    stage.restore(report.model_copy(update={"journal_seq": stage._journal.sequence + told}))
    if refused:
        with pytest.raises(JournalError, match="older copy"):
            stage.recover()
    else:
        stage.recover()


def test_an_older_journal_behind_newer_reports_refuses_to_start(world, tmp_path):
    stage, venue = world()
    stage.recover()
    venue.answers = [(an_ack(),)]
    said = [stage.stamp(each) for each in tell(stage, a_bar(), an_intent())]
    older = build_stage(SETTINGS, SqliteJournal(tmp_path / "other.sqlite"), Venue())
    older.restore(said[0].model_copy(update={"journal_id": older.journal_id}))
    with pytest.raises(JournalError, match="older copy"):
        older.recover()
    older.close()


@pytest.mark.fault("F28: two order planes on two journals")
def test_a_foreign_journal_behind_reports_refuses_to_start(world):
    stage, venue = world()
    stage.recover()
    venue.answers = [(an_ack(),)]
    said = [stage.stamp(each) for each in tell(stage, a_bar(), an_intent())]
    foreign = build_simulation(SETTINGS)
    foreign.restore(said[0])
    with pytest.raises(JournalError, match="another journal"):
        foreign.recover()


def test_a_journal_with_orders_of_another_account_refuses_to_start(doubtful):
    stage, venue = doubtful
    stage.resolve(a_decision(Verdict.SEND_AGAIN))
    other = build_stage(SETTINGS.model_copy(update={"account": "OTHER"}), stage._journal, venue)
    with pytest.raises(JournalError, match=r"orders of account PAPER, and order\.account is OTHER"):
        other.recover()
    assert venue.sent == [(1, 1)]
