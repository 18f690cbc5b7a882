"""What becomes of intents from before a hand-over: their journal's, at the venue, or in doubt, and never sent again."""

from datetime import timedelta
from uuid import UUID

import pytest
from order_messages import NOON, a_bar, an_intent, seen, tell

from contracts.claims import JournalClaim, Succession
from contracts.trading import ExecutionReport, OrderStatus, OrderType, Side
from order_plane.brokers.port import BrokerRefused, KeyLife
from order_plane.changes import AT_MARKET_REQUEST
from order_plane.claims import Standing
from order_plane.composition import build_stage
from order_plane.effects import SubmitOrder
from order_plane.facts import Fact, FactKind
from order_plane.journals.memory import MemoryJournal
from order_plane.journals.port import Answer, Resolution, RowState, Verdict
from order_plane.journals.sqlite import SqliteJournal
from order_plane.policies import CANCEL_REQUEST, MARKET_REQUEST
from order_plane.settings import OrderSettings, UnfilledSettings

SETTINGS = OrderSettings(limits={"duplicate_window": 0}, reconciliation=None)
SELL = {"direction": Side.SELL}
LIMIT = {"order_type": OrderType.LIMIT, "limit_price": 90.0}


class Venue:
    """Takes every order; ``known`` are those that it shows when it is asked."""

    key_life = KeyLife.NONE
    converts = False

    def __init__(self):
        self.sent, self.known, self.asked = [], {}, []

    def submit(self, order):
        self.sent.append((order.intent.intent_id.int, order.attempt))
        return [an_ack(order.intent.intent_id.int)]

    def drain(self):
        return []

    def lookup(self, intent_id):
        return self.known.get(intent_id.int)

    def cancel(self, order):
        self.asked.append(order.request_id)
        ended = Fact(order.intent_id, FactKind.CANCELLED, "cancelled", NOON + timedelta(minutes=6), order.order_id)
        self.known[order.intent_id.int].append(ended)
        return [ended]

    def replace(self, order):
        raise BrokerRefused("NO: not now")

    def observe(self, bar):
        pass

    def close(self):
        pass


def an_ack(number):
    return Fact(UUID(int=number), FactKind.ACK, "ack", NOON, f"o-{number}")


def a_report(number, status=OrderStatus.SUBMITTED):
    at = NOON + timedelta(minutes=1)
    return ExecutionReport(
        **{"intent_id": UUID(int=number), "order_id": f"o-{number}", "symbol": "AAPL", "status": status},
        **{"filled_quantity": 0.0, "timestamp": at, "journal_id": "old", "journal_seq": 4},
    )


def handed_over(intents_from=9):
    succeeds = Succession(journal_id="old", operator="ann", reason="its host is gone")
    claim = JournalClaim(
        timestamp=NOON, journal_id="new", account="PAPER", host="host", place="place", succeeds=succeeds
    )
    return Standing(claim, frozenset({"old"}), intents_from, 1)


@pytest.fixture
def life(tmp_path):
    """One order plane after the other on one journal and one venue."""
    opened, venue = [], Venue()

    def begin(*inherited, reports=(), standing=None):
        while opened:
            opened.pop().close()
        stage = build_stage(SETTINGS, SqliteJournal(tmp_path / "journal.sqlite"), venue)
        opened.append(stage)
        for report in reports:
            stage.restore(report)
        if inherited or standing:
            stage.published.accept({"old"})
            stage.inheritance.accept(standing or handed_over(), {UUID(int=each) for each in inherited})
        return stage, venue, stage.recover()

    yield begin
    while opened:
        opened.pop().close()


def state_of(stage, number):
    return stage._journal.past(UUID(int=number)).state


def written_and_not_begun(journal, intent):
    """What a journal of an earlier version holds of an order plane that was killed between the two."""

    def write(journal, order):
        return not journal._intend(order.intent, order.account, 1, RowState.INTENDED)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(journal), "_is_new", write)
        patch.setattr(type(journal), "_win", lambda journal, order: False)
        assert journal.begin([SubmitOrder(intent, "PAPER")], (), 0) == []


def test_what_nobody_has_reported_on_is_in_doubt_and_what_comes_after_is_sent(life):
    stage, venue, _ = life(1, 2)
    said = tell(stage, a_bar(), an_intent(1), an_intent(2), an_intent(3, **SELL))
    assert seen(said)[:2] == [(1, "IN_DOUBT", 1), (2, "IN_DOUBT", 1)]
    assert venue.sent == [(3, 1)]
    assert [state_of(stage, number) for number in (1, 2, 3)] == [RowState.IN_DOUBT, RowState.IN_DOUBT, RowState.ACKED]


def test_what_is_in_doubt_counts_and_blocks_its_symbol_and_side_from_the_batch_it_came_in(life):
    stage, venue, _ = life(1)
    said = tell(stage, a_bar(), an_intent(2), an_intent(1))
    assert venue.sent == []
    assert [(number, status) for number, status, _ in seen(said)] == [(1, "IN_DOUBT"), (2, "REJECTED")]
    assert {order.intent.intent_id.int for order in stage.desk.open_orders} == {1}


def test_what_the_venue_shows_is_adopted(life):
    stage, venue, _ = life(1)
    venue.known[1] = [an_ack(1)]
    tell(stage, a_bar(), an_intent(1))
    assert venue.sent == []
    assert state_of(stage, 1) is RowState.ACKED
    assert stage.desk.in_doubt == 0


DOUBT, AGAIN = a_report(1, OrderStatus.IN_DOUBT), a_report(1, OrderStatus.ACKNOWLEDGED)


def test_what_the_other_journal_last_said_was_in_doubt_is_in_doubt_here_from_the_first_start(life):
    stage, venue, said = life(1, reports=[an_intent(1), AGAIN, DOUBT])
    assert seen(said) == [(1, "IN_DOUBT", 2)]
    assert (state_of(stage, 1), venue.sent) == (RowState.IN_DOUBT, [])
    refused = tell(stage, a_bar(), an_intent(2))
    assert [each[:2] for each in seen(refused)] == [(2, "REJECTED")], "it blocks its symbol and side"
    stage, venue, said = life(1, reports=[an_intent(1), AGAIN, DOUBT])
    assert ((1, "IN_DOUBT", 3) in seen(said), stage.desk.in_doubt) == (False, 1)
    stage.resolve(Resolution(UUID(int=1), 1, Verdict.NOT_SENT, "ann", "asked the venue", NOON))
    assert (stage.desk.in_doubt, stage.desk.open_orders, venue.sent) == (0, (), [])


def test_what_the_other_journal_said_was_in_doubt_and_the_venue_shows_is_adopted(life):
    life()[1].known[1] = [an_ack(1)]
    stage, _, said = life(1, reports=[an_intent(1), DOUBT])
    assert (seen(said), stage.desk.in_doubt) == ([(1, "ACKNOWLEDGED", 2)], 0)


def test_what_was_in_doubt_and_is_found_only_when_it_is_told_again_is_in_doubt_as_well(life):
    stage, venue, _ = life(1, reports=[DOUBT])
    assert seen(tell(stage, a_bar(), an_intent(1))) == [(1, "IN_DOUBT", 2)]
    assert venue.sent == []


@pytest.mark.parametrize("reports", [(DOUBT, AGAIN), ()])
def test_what_is_in_doubt_no_more_or_never_was_reported_is_nobody_elses_business_at_the_start(life, reports):
    stage, venue, said = life(1, reports=[an_intent(1), *reports])
    assert (seen(said), stage.desk.open_orders, venue.sent) == ([], (), [])


@pytest.mark.parametrize("status", [OrderStatus.SUBMITTED, OrderStatus.CANCELED])
def test_what_the_other_journal_has_reported_on_stays_its_own(life, status):
    stage, venue, _ = life(1, reports=[a_report(1, status)])
    assert tell(stage, a_bar(), an_intent(1)) == []
    assert venue.sent == []
    assert stage._journal.past(UUID(int=1)) is None


def test_a_report_that_comes_late_counts_as_well(life):
    stage, venue, _ = life(1)
    stage.published.overhear(a_report(1))
    assert tell(stage, a_bar(), an_intent(1)) == []
    assert venue.sent == []


def test_it_stays_in_doubt_over_restarts_and_repetitions_until_a_person_decides(life):
    stage, venue, _ = life(1)
    tell(stage, a_bar(), an_intent(1))
    stage, venue, _ = life(1)
    tell(stage, a_bar(), an_intent(1))
    assert venue.sent == []
    stage.resolve(Resolution(UUID(int=1), 1, Verdict.SEND_AGAIN, "ann", "asked the venue", NOON))
    stage.settle()
    assert venue.sent == [(1, 2)], "a person said that the other order plane has not sent it"


def test_what_this_journal_was_about_to_send_before_it_lost_its_place_is_in_doubt_when_it_is_handed_back(life):
    stage, venue, _ = life()
    journal = stage._journal
    written_and_not_begun(journal, an_intent(1))
    assert state_of(stage, 1) is RowState.INTENDED
    stage, venue, said = life(1, standing=handed_over(12))
    assert seen(said) == [(1, "IN_DOUBT", 1)]
    stage.settle()
    assert venue.sent == []


def test_a_hand_over_is_acted_on_once_and_later_starts_go_on_as_ever(life):
    stage, venue, _ = life(standing=handed_over(12))
    journal = stage._journal
    written_and_not_begun(journal, an_intent(1))
    stage, venue, _ = life(standing=handed_over(12))
    stage.restore(a_bar())
    stage.settle()
    assert venue.sent == [(1, 1)]


POLICY = {"after": timedelta(minutes=5), "unfilled": "market", "partly": "market"}
ENDED = [
    an_ack(1),
    Fact(UUID(int=1), FactKind.CANCEL_REQUESTED, MARKET_REQUEST, NOON),
    Fact(UUID(int=1), FactKind.CANCELLED, "cancelled", NOON, "o-1"),
]


@pytest.fixture
def copy(tmp_path):
    """Lives on a journal that knows these facts of one order; the first is after a hand-over, if it is a copy."""
    path, venue = tmp_path / "journal.sqlite", Venue()
    settings = SETTINGS.model_copy(update={"unfilled": UnfilledSettings.model_validate(POLICY)})

    def live(facts, *, copied):
        journal = SqliteJournal(path)
        journal.begin([SubmitOrder(an_intent(1, **LIMIT), "PAPER")], (), 0)
        journal.conclude([Answer(UUID(int=1), 1, RowState.ACKED, "o-1")], facts, (), 0)
        journal.close()
        venue.known[1] = [each for each in facts if each.kind is not FactKind.CANCEL_REQUESTED]
        for minutes in (1, 6, 7):
            stage = build_stage(settings, SqliteJournal(path), venue)
            stage.restore(a_bar())
            if copied:
                stage.inheritance.accept(handed_over(), ())
            stage.recover()
            tell(stage, a_bar(minutes))
            tell(stage)
            stage.close()
        return venue

    return live


@pytest.mark.parametrize("copied", [True, False])
def test_what_the_original_of_a_copied_journal_may_have_replaced_is_not_replaced_again(copy, copied):
    venue = copy(ENDED, copied=copied)
    assert len(venue.sent) == (0 if copied else 1)


@pytest.mark.parametrize("copied", [True, False])
def test_what_was_open_when_a_journal_was_copied_is_cancelled_in_time_and_not_replaced(copy, copied):
    venue = copy(ENDED[:1], copied=copied)
    assert (venue.asked, len(venue.sent)) == (([CANCEL_REQUEST], 0) if copied else ([MARKET_REQUEST], 1))


def test_what_was_handed_over_and_works_is_cancelled_in_time_and_not_replaced():
    venue = Venue()
    stage = build_stage(SETTINGS.model_copy(update={"unfilled": UnfilledSettings(**POLICY)}), MemoryJournal(), venue)
    stage.inheritance.accept(handed_over(), {UUID(int=1)})
    stage.recover()
    venue.known[1] = [an_ack(1)]
    tell(stage, a_bar(), an_intent(1, **LIMIT))
    for minutes in (4, 5, 6):
        tell(stage, a_bar(minutes))
    assert (venue.asked, venue.sent, stage.desk.open_orders) == ([CANCEL_REQUEST], [], ())


def test_what_was_in_doubt_and_is_found_working_at_the_first_start_is_cancelled_in_time_in_that_life():
    venue = Venue()
    venue.known[1] = [an_ack(1)]
    stage = build_stage(SETTINGS.model_copy(update={"unfilled": UnfilledSettings(**POLICY)}), MemoryJournal(), venue)
    for message in (an_intent(1, **LIMIT), DOUBT):
        stage.restore(message)
    stage.inheritance.accept(handed_over(), {UUID(int=1)})
    stage.published.accept({"old"})
    stage.recover()
    for minutes in (4, 5, 6):
        tell(stage, a_bar(minutes))
    assert (venue.asked, venue.sent, stage.desk.open_orders) == ([CANCEL_REQUEST], [], ())


@pytest.mark.parametrize("copied", [True, False])
def test_a_change_that_fails_of_an_order_that_was_open_when_a_journal_was_copied_leads_to_no_second_order(copied):
    journal, venue = MemoryJournal(), Venue()
    at_market = Fact(UUID(int=1), FactKind.REPLACED, AT_MARKET_REQUEST, NOON, "o-1", 10.0, revision=1)
    journal.begin([SubmitOrder(an_intent(1, **LIMIT), "PAPER")], (), 0)
    journal.conclude([Answer(UUID(int=1), 1, RowState.ACKED, "o-1")], [an_ack(1), at_market], (), 0)
    venue.known[1] = [an_ack(1), at_market]
    stage = build_stage(SETTINGS.model_copy(update={"unfilled": UnfilledSettings(**POLICY)}), journal, venue)
    if copied:
        stage.inheritance.accept(handed_over(), ())
    stage.recover()
    tell(stage, a_bar(4))
    stage.upkeep.wish(UUID(int=1), "operator-ann", 4.0, None, "ann: less")
    tell(stage)
    tell(stage, a_bar(5))
    assert (venue.asked, len(venue.sent)) == (([CANCEL_REQUEST], 0) if copied else ([MARKET_REQUEST], 1))
