"""Promise: an order that is replaced stays one order, and never trades more than its intent wished for."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from contracts.control import KillScope, KillSwitchCommand, RiskAlert
from contracts.market import BarEvent
from contracts.trading import ExecutionReport, OrderIntent, OrderType, Side, TimeInForce
from domain.ids import replacement_id
from order_plane.brokers.paper import PaperBroker
from order_plane.brokers.paper_store import MemoryPaperStore
from order_plane.brokers.port import BrokerRefused, BrokerStateUnknown, BrokerUnavailable
from order_plane.changes import AT_MARKET_REQUEST
from order_plane.composition import build_stage, calendar_of, commission_of, slippage_of
from order_plane.decisions import open_changes
from order_plane.facts import FactKind
from order_plane.journals.intent_ledger import End, end_of
from order_plane.journals.memory import MemoryJournal
from order_plane.journals.port import Resolution, RowState, Verdict
from order_plane.lifecycle import Status, history_of
from order_plane.policies import MARKET_REQUEST
from order_plane.settings import OrderSettings
from order_plane.unacceptable import NotInDoubt, NotOpen, NotReplaceable

NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)
FIRST = UUID(int=1)
SECOND = replacement_id(FIRST, MARKET_REQUEST)
POLICY = {"after": timedelta(minutes=3), "unfilled": "market", "partly": "market"}


class Killed(BaseException):
    """The process is gone."""


class Moody(PaperBroker):
    """A paper venue with an answer of its own to the next change, before or after it has made it."""

    converts = True
    before: BaseException | None = None
    after: BaseException | None = None
    watch = None

    def __init__(self, *parts):
        super().__init__(*parts)
        self.asked = []

    def replace(self, order):
        self.asked.append(order)
        if self.watch:
            self.watch(order)
        if self.before is not None:
            raise self.before
        facts = super().replace(order)
        if self.after is not None:
            raise self.after
        return facts

    def calm(self):
        self.before = self.after = None


class World:
    """An order plane with a limit order of ten units that works far from the market."""

    def __init__(self, **changes):
        self.settings = OrderSettings(
            **{"limits": {"duplicate_window": 0}, "volume_cap": 0.004, "unfilled": POLICY, **changes}
        )
        parts = calendar_of(self.settings), commission_of(self.settings.costs), slippage_of(self.settings.costs)
        self.journal = MemoryJournal(retain=1000)
        self.venue = Moody(*parts, MemoryPaperStore(retain=1000), None, self.settings.volume_cap)
        self.said = []
        self.minutes = 0
        self.start()
        self.tell(self.bar(100.0), self.limit())
        self.trade(110.0)

    def start(self):
        self.stage = build_stage(self.settings, self.journal, self.venue)
        self.said += self.stage.recover()

    def bar(self, price):
        fields = {"open": price, "high": price + 1, "low": price - 1, "close": price}
        return BarEvent(symbol="AAPL", timestamp=NOON + timedelta(minutes=self.minutes), volume=1_000.0, **fields)

    @staticmethod
    def limit(number=1, **changes):
        fields = {
            **{"intent_id": UUID(int=number), "symbol": "AAPL", "direction": Side.BUY, "quantity": 10.0},
            **{"order_type": OrderType.LIMIT, "limit_price": 99.5, "time_in_force": TimeInForce.GTC},
        }
        return OrderIntent(**{**fields, "timestamp": NOON, **changes})

    def tell(self, *messages):
        said = [output for message in messages for output in self.stage.handlers[type(message)](message)]
        said += self.stage.settle()
        self.said += said
        return said

    def trade(self, *prices):
        return [each for price in prices for each in self._next(price)]

    def _next(self, price):
        self.minutes += 1
        return self.tell(self.bar(price))

    def wish(self, quantity=None, limit_price=None, name="ann"):
        self.stage.upkeep.wish(FIRST, f"operator-{name}-{self.minutes}", quantity, limit_price, f"{name}: asked to")
        return self.tell()

    def reports(self, name=FIRST):
        return [each for each in self.said if type(each) is ExecutionReport and each.intent_id == name]

    def status(self, name=FIRST):
        return self.reports(name)[-1].status.value

    @property
    def alarms(self):
        return [each.code for each in self.said if type(each) is RiskAlert]

    @property
    def held(self):
        assert self.stage.desk.positions == self.venue.snapshot().positions
        return self.stage.desk.positions.get("AAPL", 0.0)


def at_rest(world):
    """The time of the order is up and everything that follows has happened."""
    world.trade(110.0, 110.0, 110.0, *[100.0] * 8)


def test_what_is_asked_is_in_the_journal_before_it_is_asked():
    world, seen = World(), []
    world.venue.watch = lambda order: seen.extend(fact.kind for fact in world.journal.past(FIRST).facts)
    at_rest(world)
    assert FactKind.REPLACE_REQUESTED in seen
    assert len(world.venue.asked) == 1
    assert (world.held, world.status()) == (10.0, "FILLED")
    assert world.journal.past(SECOND) is None


def test_a_replaced_order_is_reported_with_its_new_terms_and_keeps_its_id():
    world = World()
    said = [each for each in world.trade(110.0, 110.0) if type(each) is ExecutionReport]
    assert [(each.status.value, each.reject_reason) for each in said] == [
        ("ACKNOWLEDGED", "REPLACED: 10 units at the market")
    ]
    at_rest(world)
    assert len({each.order_id for each in world.reports()}) == 1
    assert [each.sequence for each in world.reports()] == list(range(1, len(world.reports()) + 1))


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_unknown_outcome_is_in_doubt_and_ended_by_a_cancel_not_by_asking_again(when):
    world = World()
    setattr(world.venue, when, BrokerStateUnknown("timeout"))
    world.trade(110.0, 110.0)
    assert "IN_DOUBT" in [each.status.value for each in world.reports()]
    assert "ORDER_IN_DOUBT" in world.alarms
    assert world.status() == "CANCELED"
    assert world.stage.desk.in_doubt == 0
    at_rest(world)
    assert len(world.venue.asked) == 1
    assert (world.held, world.status(SECOND)) == (10.0, "FILLED")


@pytest.mark.parametrize("trouble", [BrokerRefused("VENUE: no"), BrokerUnavailable()])
def test_where_the_venue_does_not_the_rest_is_cancelled_and_sent_anew(trouble):
    world = World()
    world.venue.before = trouble
    at_rest(world)
    assert len(world.venue.asked) == 1
    assert (world.status(), world.status(SECOND), world.held) == ("CANCELED", "FILLED", 10.0)
    assert "ORDER_IN_DOUBT" not in world.alarms


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_restart_in_the_middle_asks_nothing_again(when):
    world = World()
    setattr(world.venue, when, Killed())
    with pytest.raises(Killed):
        world.trade(110.0, 110.0)
    world.venue.calm()
    world.start()
    applied = when == "after"
    assert world.status() == ("ACKNOWLEDGED" if applied else "IN_DOUBT")
    assert world.stage.desk.in_doubt == (not applied)
    at_rest(world)
    world.start()
    assert len(world.venue.asked) == 1
    assert (world.held, world.stage.desk.in_doubt) == (10.0, 0)
    assert (world.journal.past(SECOND) is None) == applied


def test_a_fill_in_flight_wins_and_nothing_is_ordered_twice():
    world = World()
    drain = world.venue.drain
    world.venue.drain = lambda: ()  # the executions are on their way
    world.trade(98.0, 98.0)
    world.trade(98.0)
    world.venue.drain = drain
    at_rest(world)
    assert (world.held, world.journal.past(SECOND)) == (10.0, None)


def test_a_market_order_that_no_control_lets_through_is_not_made():
    world = World(limits={"duplicate_window": 0, "max_order_value": 1_050.0})
    at_rest(world)  # ten units at the limit of 99.5 are within the limit, at the market of 110 they are not
    assert not world.venue.asked
    assert world.status() == "CANCELED"


def test_a_kill_cancels_what_was_to_be_replaced():
    world = World()
    world.trade(110.0)
    world.tell(a_kill())
    at_rest(world)
    assert not world.venue.asked
    assert (world.status(), world.held) == ("CANCELED", 0.0)


def a_quiet_world(**changes):
    return World(unfilled=None, **changes)


def test_a_person_makes_an_order_smaller_and_it_ends_when_that_much_has_traded():
    world = a_quiet_world()
    (said,) = world.wish(quantity=6.0)
    assert said.reject_reason == "REPLACED: 6 units limit 99.5"
    world.trade(98.0, 98.0, 98.0)
    assert (world.held, world.status()) == (6.0, "CANCELED")


def test_a_person_moves_the_price_of_an_order_more_than_once():
    world = a_quiet_world()
    world.wish(limit_price=99.9)
    world.wish(limit_price=100.5)
    assert [order.revision for order in world.venue.asked] == [1, 2]
    assert len({order.request_id for order in world.venue.asked}) == 2
    world.trade(100.0, 100.0, 100.0)
    assert (world.held, world.status()) == (10.0, "FILLED")
    assert all(each.avg_fill_price > 99.9 for each in world.reports() if each.filled_quantity)


def test_who_asked_and_why_is_in_the_journal():
    world = a_quiet_world()
    world.wish(quantity=6.0)
    (asked,) = [each for each in world.journal.past(FIRST).facts if each.kind is FactKind.REPLACE_REQUESTED]
    assert (asked.reason, asked.quantity, asked.price) == ("ann: asked to", 6.0, 99.5)
    assert asked.fact_id.startswith("operator-ann")


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"quantity": 10.5}, "QUANTITY_ABOVE_INTENT"),
        ({"quantity": 4.0}, "QUANTITY_TRADED"),
        ({"limit_price": 150.0}, "PRICE_COLLAR"),
        ({"limit_price": 120.0}, "NOTIONAL_EXCEEDS_MAX_PER_ORDER"),
    ],
)
def test_the_new_terms_must_pass_what_an_order_must_pass(terms, code):
    world = a_quiet_world(limits={"duplicate_window": 0, "max_order_value": 1_050.0})
    world.trade(98.0)  # four units trade, six are left: at 120 each they would be worth less than the limit
    if code.startswith("NOTIONAL"):
        world = a_quiet_world(limits={"duplicate_window": 0, "max_order_value": 1_050.0})
    with pytest.raises(NotReplaceable, match=code):
        world.wish(**terms)
    assert not world.venue.asked


def test_what_is_over_cannot_be_replaced():
    world = a_quiet_world()
    world.stage.cancel(FIRST, "c", "ann: enough")
    world.tell()
    with pytest.raises(NotOpen):
        world.wish(quantity=6.0)


def test_a_person_ends_the_doubt_of_a_change_by_asking_for_another_one():
    world = a_quiet_world()
    world.venue.after = BrokerStateUnknown("timeout")
    world.wish(quantity=6.0)
    assert (world.status(), world.stage.desk.in_doubt) == ("IN_DOUBT", 1)
    world.venue.calm()
    (blocked,) = world.tell(world.limit(2, timestamp=NOON + timedelta(minutes=world.minutes)))
    assert blocked.reject_reason.startswith("IN_DOUBT_BLOCK")
    world.trade(98.0)
    assert world.stage.desk.in_doubt == 1, "a fill does not say how the order works"
    world.wish(quantity=8.0)
    assert (world.status(), world.stage.desk.in_doubt) == ("PARTIAL_FILL", 0)
    world.trade(98.0, 98.0)
    assert (world.held, world.status()) == (8.0, "CANCELED")


def test_an_order_made_smaller_by_a_person_is_not_made_larger_by_a_policy():
    world = World()
    world.wish(quantity=6.0)
    world.venue.before = BrokerRefused("VENUE: no")
    at_rest(world)
    assert world.venue.asked[-1].request_id == AT_MARKET_REQUEST
    assert world.venue.asked[-1].quantity == 6.0
    assert world.held == 6.0


@pytest.mark.parametrize("trouble", [BrokerRefused("VENUE: no"), None])
@pytest.mark.parametrize("converts", [True, False])
def test_a_reduction_that_the_venue_made_without_an_answer_is_not_undone_by_a_policy(trouble, converts):
    world = World()
    world.venue.converts = converts
    world.venue.after = BrokerStateUnknown("timeout")
    world.wish(quantity=6.0)
    assert world.status() == "IN_DOUBT"
    world.venue.calm()
    world.venue.before = trouble
    at_rest(world)
    assert {order.quantity for order in world.venue.asked} == {6.0}
    assert world.held == 6.0
    assert world.stage.desk.in_doubt == 0


def test_a_change_of_the_price_alone_keeps_the_size_of_a_reduction_without_an_answer():
    world = a_quiet_world()
    world.venue.after = BrokerStateUnknown("timeout")
    world.wish(quantity=6.0)
    world.venue.calm()
    world.wish(limit_price=99.9)
    assert [order.quantity for order in world.venue.asked] == [6.0, 6.0]
    world.wish(quantity=8.0)
    assert world.venue.asked[-1].quantity == 8.0, "what a person says in so many words counts"


def test_a_reduction_that_was_refused_does_not_count():
    world = World()
    world.venue.before = BrokerRefused("VENUE: no")
    world.wish(quantity=6.0)
    world.venue.calm()
    at_rest(world)
    assert world.held == 10.0


def test_the_journal_shows_an_unanswered_change():
    world = a_quiet_world()
    world.venue.before = BrokerStateUnknown("timeout")
    world.wish(quantity=6.0)
    past = world.journal.past(FIRST)
    assert history_of(10.0, past.facts).status() is Status.PENDING_REPLACE
    assert end_of(past) is End.IN_DOUBT


def a_kill(scope=KillScope.GLOBAL, target="*"):
    return KillSwitchCommand(
        command_id=UUID(int=9),
        timestamp=NOON,
        scope=scope,
        target=target,
        engage=True,
        operator="ann",
        reason="drill",
    )


def test_a_kill_stops_the_rest_of_the_changes_of_a_settlement():
    world = World()
    world.tell(*[world.limit(number, timestamp=NOON + timedelta(minutes=world.minutes)) for number in range(2, 8)])
    waiting = []
    world.stage.heed(lambda: waiting)
    world.venue.watch = lambda order: waiting.append(a_kill()) if order.intent.intent_id.int == 2 else None
    world.trade(*[110.0] * 5)
    assert [order.intent.intent_id.int for order in world.venue.asked] == [1, 2], "a change left after the kill"
    assert world.stage.desk.open_orders == ()
    assert {world.status(UUID(int=number)) for number in range(2, 8)} == {"CANCELED"}


def test_a_halt_of_its_symbol_stops_a_change_that_was_let_through_before():
    world = a_quiet_world()
    world.stage.upkeep.wish(FIRST, "operator-ann", None, 105.0, "ann: asked to")
    said = world.tell(a_kill(KillScope.SYMBOL, "AAPL"))
    assert not world.venue.asked
    (refused,) = [each for each in said if type(each) is ExecutionReport]
    assert (refused.status.value, refused.reject_reason.partition(":")[0]) == ("ACKNOWLEDGED", "REPLACE_REFUSED")
    assert "halted" in refused.reject_reason


def test_a_change_to_the_market_under_a_halt_becomes_a_cancel():
    world = World()
    waiting = []
    world.stage.heed(lambda: waiting)
    world.trade(110.0)
    waiting.append(a_kill(KillScope.SYMBOL, "AAPL"))
    at_rest(world)
    assert not world.venue.asked
    assert (world.status(), world.held) == ("CANCELED", 0.0)


def a_decision(world, verdict, order_id=""):
    shown = open_changes(world.journal.past(FIRST))
    return Resolution(FIRST, 1, verdict, "bob", "the desk of the venue says so", NOON, order_id, shown)


def sign(world, verdict, order_id=""):
    decision = a_decision(world, verdict, order_id)
    said = [*world.stage.resolve(decision), *world.stage.settle()]
    world.said += said
    return said


@pytest.fixture
def unanswered():
    """A world in which nobody knows whether an order was made smaller: it was not, and the venue tells nothing."""
    world = a_quiet_world()
    world.venue.before = BrokerStateUnknown("timeout")
    world.wish(quantity=6.0)
    assert (world.status(), world.stage.desk.in_doubt) == ("IN_DOUBT", 1)
    world.venue.calm()
    return world


@pytest.mark.parametrize(("verdict", "order_id"), [(Verdict.ADOPTED, "v-1"), (Verdict.NOT_SENT, "")])
def test_a_decision_that_comes_late_says_nothing_of_a_change_that_was_asked_for_since(unanswered, verdict, order_id):
    world = unanswered
    late = a_decision(world, verdict, order_id)
    sign(world, Verdict.NOT_SENT)
    world.venue.before = BrokerStateUnknown("timeout")
    world.wish(quantity=5.0)
    assert world.stage.desk.in_doubt == 1
    for decision in (late, late._replace(changes=())):
        with pytest.raises(NotInDoubt, match="not what was decided on"):
            world.stage.resolve(decision)
    assert world.stage.desk.in_doubt == 1


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(("verdict", "order_id", "size"), [(Verdict.ADOPTED, "v-1", 6.0), (Verdict.NOT_SENT, "", 10.0)])
def test_a_person_signs_whether_a_change_was_made_and_the_doubt_ends(unanswered, restart, verdict, order_id, size):
    world = unanswered
    if restart:
        world.start()
    (report,) = sign(world, verdict, order_id)
    assert (report.status.value, "signed by bob" in report.reject_reason) == ("ACKNOWLEDGED", True)
    assert world.stage.desk.in_doubt == 0
    past = world.journal.past(FIRST)
    assert end_of(past) is End.ACKED
    assert history_of(10.0, past.facts).size == size
    world.start()
    assert world.stage.desk.in_doubt == 0
    (other,) = world.tell(world.bar(110.0), world.limit(2, timestamp=NOON + timedelta(minutes=world.minutes)))
    assert other.status.value == "ACKNOWLEDGED"


@pytest.mark.parametrize("verdict", list(Verdict))
def test_what_no_change_left_in_doubt_cannot_be_signed(verdict):
    world = a_quiet_world()
    with pytest.raises(NotInDoubt):
        sign(world, verdict, "v-1")
    assert world.journal.past(FIRST).state is RowState.ACKED


def test_no_further_attempt_follows_a_change_in_doubt(unanswered):
    with pytest.raises(NotInDoubt):
        sign(unanswered, Verdict.SEND_AGAIN)
    assert unanswered.stage.desk.in_doubt == 1


def test_what_the_venue_says_by_now_counts_more_than_what_is_signed():
    world = a_quiet_world()
    world.venue.after = BrokerStateUnknown("timeout")
    world.wish(quantity=6.0)
    sign(world, Verdict.NOT_SENT)
    past = world.journal.past(FIRST)
    assert history_of(10.0, past.facts).size == 6.0
    assert world.stage.desk.in_doubt == 0


@pytest.fixture
def uncancelled():
    """A world in which a cancel was asked for by a person and never answered."""
    world = a_quiet_world()
    world.venue.cancel = unreachable
    world.stage.cancel(FIRST, "c", "ann: enough")
    world.tell()
    assert history_of(10.0, world.journal.past(FIRST).facts).status() is Status.PENDING_CANCEL
    return world


def unreachable(order):
    raise BrokerStateUnknown("timeout")


def test_a_person_signs_that_a_cancel_never_arrived_and_the_order_works_on(uncancelled):
    world = uncancelled
    sign(world, Verdict.NOT_SENT)
    asked = []
    world.venue.cancel = lambda order: asked.append(order) or ()
    world.tell()
    assert asked == []
    world.trade(99.0, 99.0, 99.0)
    assert (world.held, world.status()) == (10.0, "FILLED")


def test_a_cancel_that_a_kill_wants_is_asked_for_again_whatever_a_person_signs(uncancelled):
    world = uncancelled
    world.tell(a_kill())
    sign(world, Verdict.NOT_SENT)
    del world.venue.cancel
    world.tell()
    assert world.status() == "CANCELED"


def test_a_person_signs_that_an_order_was_cancelled_unless_the_venue_says_that_it_works(uncancelled):
    world = uncancelled
    with pytest.raises(NotInDoubt, match="works"):
        sign(world, Verdict.ADOPTED, "v-1")
    world.venue.lookup = unreachable
    (report,) = [each for each in sign(world, Verdict.ADOPTED, "v-1") if type(each) is ExecutionReport]
    assert (report.status.value, "signed by bob" in report.reject_reason) == ("CANCELED", True)
    assert world.stage.desk.open_orders == ()


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("terms", [{}, {"order_type": OrderType.STOP, "limit_price": None, "stop_price": 200.0}])
def test_an_order_that_went_to_the_market_stays_there_however_often_a_person_makes_it_smaller(restart, terms):
    world = World()
    world.stage.cancel(FIRST, "c", "ann: another one")
    world.tell(world.limit(2, timestamp=NOON + timedelta(minutes=world.minutes), **terms))
    name = UUID(int=2)
    while not world.venue.asked:
        world.trade(110.0)
    for quantity in (9.0, 8.0):
        if restart:
            world.start()
            world.tell(world.bar(110.0))
        world.stage.upkeep.wish(name, f"operator-ann-{quantity:g}", quantity, None, "ann: asked to")
        world.tell()
        assert world.venue.asked[-1].at_market
        with pytest.raises(NotReplaceable, match="no limit price"):
            world.stage.upkeep.wish(name, "operator-ann", None, 99.0, "ann: asked to")
    assert len(world.venue.asked) == 3
    world.trade(110.0, 110.0, 110.0)
    assert (world.held, world.status(name)) == (8.0, "CANCELED")


def test_a_market_order_is_made_smaller_twice():
    world, name = a_quiet_world(), UUID(int=2)
    terms = {"order_type": OrderType.MARKET, "limit_price": None}
    world.tell(world.limit(2, timestamp=NOON + timedelta(minutes=world.minutes), **terms))
    for quantity in (9.0, 8.0):
        world.stage.upkeep.wish(name, f"operator-ann-{quantity:g}", quantity, None, "ann: asked to")
        world.tell()
    world.trade(110.0, 110.0)
    assert (world.held, world.status(name)) == (8.0, "CANCELED")
