"""A kill that closes positions while the venue has yet to tell what the cancelled orders traded."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from order_messages import a_bar, an_intent, tell
from venue_double import Venue

from contracts.control import KillAction, KillSwitchCommand, RiskAlert
from contracts.trading import OrderType, Side
from order_plane.brokers.port import BrokerStateUnknown, Snapshot
from order_plane.composition import build_stage
from order_plane.facts import Fact, FactKind
from order_plane.journals.memory import MemoryJournal
from order_plane.settings import OrderSettings

NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)
ENTRY, EXIT, OTHER_EXIT = UUID(int=1), UUID(int=2), UUID(int=3)
SETTINGS = OrderSettings(limits={"duplicate_window": 0}, reconciliation=None, guards=[])
KILL = KillSwitchCommand(
    command_id=UUID(int=99), timestamp=NOON, engage=True, operator="ann", reason="r", action=KillAction.HALT_AND_FLATTEN
)


def fact(name, kind, units=0.0):
    return Fact(name, kind, kind.value, NOON, str(name.int), units, 100.0 if units else 0.0)


class LateVenue(Venue):
    """Fills what enters and what closes; a sale of 10 trades 6, which it tells of only when it is asked."""

    def __init__(self):
        super().__init__()
        self.closed, self.silent, self.asked = [], False, 0

    def submit(self, order):
        name, units = order.intent.intent_id, order.intent.quantity
        if name in {EXIT, OTHER_EXIT}:
            return [fact(name, FactKind.ACK)]
        if name != ENTRY:
            self.closed.append((order.intent.direction, units))
        return [fact(name, FactKind.ACK), fact(name, FactKind.FILL, units)]

    def cancel(self, order):
        return [fact(order.intent_id, FactKind.CANCELLED)]

    def lookup(self, intent_id):
        self.asked += 1
        if self.silent:
            raise BrokerStateUnknown("timeout")
        if intent_id != EXIT:
            return None
        return [fact(EXIT, FactKind.ACK), fact(EXIT, FactKind.FILL, 6.0), fact(EXIT, FactKind.CANCELLED)]


@pytest.fixture
def venue():
    return LateVenue()


@pytest.fixture
def stage(venue):
    """An order plane that holds 10 and works an exit of all of them."""
    return holding_and_selling(build_stage(SETTINGS, MemoryJournal(), venue))


def holding_and_selling(stage):
    stage.recover()
    tell(stage, a_bar(), an_intent(1, quantity=10.0))
    exit_order = an_intent(2, 1, quantity=10.0, direction=Side.SELL, order_type=OrderType.LIMIT, limit_price=101.0)
    tell(stage, a_bar(1), exit_order)
    return stage


def test_what_a_cancelled_exit_has_sold_is_not_sold_again(stage, venue):
    tell(stage, KILL)
    assert (venue.closed, stage.desk.positions.get("AAPL", 0.0)) == ([(Side.SELL, 4.0)], 0.0)


def test_nothing_is_closed_before_the_venue_says_what_the_cancelled_exit_sold(stage, venue):
    venue.silent = True
    tell(stage, KILL)
    tell(stage, a_bar(2))
    assert venue.closed == []
    venue.silent = False
    tell(stage)
    assert (venue.closed, stage.desk.positions.get("AAPL", 0.0)) == ([(Side.SELL, 4.0)], 0.0)


def test_an_account_of_the_venue_tells_what_it_does_not_say_of_the_order(venue):
    venue.snapshot = lambda: Snapshot((), (), venue.holds)
    venue.holds = {}
    stage = build_stage(OrderSettings(limits={"duplicate_window": 0}, guards=[]), MemoryJournal(), venue)
    holding_and_selling(stage)
    venue.silent = True
    tell(stage, KILL)
    assert venue.closed == []
    venue.holds = {"AAPL": 4.0}
    stage.reconcile()
    tell(stage)
    assert venue.closed == [(Side.SELL, 4.0)]


def test_a_venue_that_is_silent_on_one_order_is_not_asked_about_the_others_at_once(stage, venue):
    tell(stage, an_intent(3, 1, quantity=1.0, order_type=OrderType.LIMIT, limit_price=99.0))
    venue.silent, venue.asked = True, 0
    tell(stage, KILL)
    assert (venue.asked, venue.closed) == (1, [])


def a_held_stage(venue):
    venue.snapshot = lambda: Snapshot((), (), venue.holds)
    venue.holds = {}
    return holding_and_selling(
        build_stage(OrderSettings(limits={"duplicate_window": 0}, guards=[]), MemoryJournal(), venue)
    )


def test_a_venue_that_knows_no_more_of_a_cancelled_exit_does_not_say_that_it_sold_nothing(venue):
    stage = a_held_stage(venue)
    venue.lookup = lambda intent_id: None
    tell(stage, KILL)
    tell(stage, a_bar(2))
    assert (venue.closed, stage.upkeep.cut_off) == ([], True), "the account is asked for, soon"
    venue.holds = {"AAPL": 4.0}
    given_twice(stage)
    assert venue.closed == [(Side.SELL, 4.0)]


def test_nothing_is_closed_while_the_venue_counts_more_of_the_exit_than_it_lists(stage, venue):
    known, venue.traded = venue.lookup(EXIT), lambda intent_id: 6.0 if intent_id == EXIT else 0.0
    venue.lookup = lambda intent_id: [fact(EXIT, FactKind.ACK), fact(EXIT, FactKind.CANCELLED)]
    tell(stage, KILL)
    assert venue.closed == []
    venue.lookup = lambda intent_id: known
    tell(stage)
    assert (venue.closed, stage.desk.positions.get("AAPL", 0.0)) == ([(Side.SELL, 4.0)], 0.0)


def counts_more_than_it_lists(venue):
    """Six units of the exit have traded, and no execution is ever listed."""
    venue.traded = lambda intent_id: 6.0 if intent_id == EXIT else 0.0
    venue.lookup = lambda intent_id: [fact(EXIT, FactKind.ACK), fact(EXIT, FactKind.CANCELLED)]


def given_twice(stage):
    for _ in range(2):
        stage.reconcile()
        tell(stage)


@pytest.mark.parametrize(("holds", "closed"), [(10.0, 10.0), (4.0, 4.0)])
def test_an_account_may_be_as_late_as_the_list_of_trades_and_the_second_one_decides(venue, holds, closed):
    stage = a_held_stage(venue)
    counts_more_than_it_lists(venue)
    venue.holds = {"AAPL": 10.0}
    tell(stage, KILL)
    stage.reconcile()
    tell(stage)
    assert venue.closed == []
    venue.holds = {"AAPL": holds}
    stage.reconcile()
    tell(stage)
    assert venue.closed == [(Side.SELL, closed)]


def test_what_is_listed_between_two_accounts_makes_the_second_one_the_first_again(venue):
    stage = a_held_stage(venue)
    counts_more_than_it_lists(venue)
    venue.holds = {"AAPL": 10.0}
    tell(stage, KILL)
    stage.reconcile()
    venue.news = [fact(EXIT, FactKind.FILL, 3.0)]
    tell(stage)
    venue.holds = {"AAPL": 7.0}
    stage.reconcile()
    tell(stage)
    assert (venue.closed, stage.desk.positions["AAPL"]) == ([], 7.0)


def test_an_exit_that_was_cancelled_before_the_kill_is_waited_for_too(venue):
    stage = a_held_stage(venue)
    counts_more_than_it_lists(venue)
    venue.holds = {"AAPL": 10.0}
    stage.cancel(EXIT, "request", "a person wants it")
    tell(stage)
    stage.reconcile()
    tell(stage, KILL)
    assert venue.closed == []


def not_listed(said):
    return [each.symbol for each in said if isinstance(each, RiskAlert) and each.code == "TRADES_NOT_LISTED"]


def test_a_person_is_told_once_what_is_counted_and_not_listed_and_ends_the_wait_by_booking_it(stage, venue):
    counts_more_than_it_lists(venue)
    said = [*tell(stage, KILL), *tell(stage, a_bar(2)), *tell(stage, a_bar(3))]
    assert not_listed(said) == ["AAPL"]
    assert venue.closed == []
    stage.book(Fact(EXIT, FactKind.FILL, "e-1", NOON, "2", 6.0, 100.0))
    tell(stage)
    assert (venue.closed, stage.desk.positions.get("AAPL", 0.0)) == ([(Side.SELL, 4.0)], 0.0)


def test_a_person_is_told_too_when_the_venue_knew_nothing_of_the_exit_before_it_counts_more_than_it_lists(venue):
    stage = a_held_stage(venue)
    venue.lookup = lambda intent_id: None
    assert not_listed(tell(stage, KILL)) == []
    counts_more_than_it_lists(venue)
    assert not_listed([*tell(stage, a_bar(2)), *tell(stage, a_bar(3))]) == ["AAPL"]
