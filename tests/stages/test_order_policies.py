"""What becomes of orders that are not filled in time."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from contracts.market import BarEvent
from contracts.trading import ExecutionReport, OrderIntent, OrderType, Side, TimeInForce
from domain.ids import replacement_id
from order_plane.brokers.paper import PaperBroker
from order_plane.brokers.paper_store import MemoryPaperStore
from order_plane.brokers.port import BrokerRefused, BrokerStateUnknown, BrokerUnavailable
from order_plane.composition import (
    build_simulation,
    build_stage,
    calendar_of,
    commission_of,
    slippage_of,
)
from order_plane.effects import CancelOrder
from order_plane.facts import Fact, FactKind
from order_plane.journals.memory import MemoryJournal
from order_plane.journals.port import Resolution, Verdict
from order_plane.policies import MARKET_REQUEST
from order_plane.settings import OrderSettings

NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)
FIRST = UUID(int=1)
SECOND = replacement_id(FIRST, MARKET_REQUEST)


def settings(**policy):
    return OrderSettings(
        limits={"duplicate_window": 0}, volume_cap=0.004, unfilled={"after": timedelta(minutes=3), **policy}
    )


class Rigid(PaperBroker):
    """A paper venue that cannot make a market order of another one."""

    @property
    def converts(self):
        return False


def rigid(wanted, kind=Rigid):
    parts = (calendar_of(wanted), commission_of(wanted.costs), slippage_of(wanted.costs), MemoryPaperStore())
    return kind(*parts, None, wanted.volume_cap)


def on_rigid(wanted):
    stage = build_stage(wanted, MemoryJournal(), rigid(wanted))
    stage.recover()
    return stage


def a_bar(minutes, price=100.0):
    fields = {"open": price, "high": price + 1, "low": price - 1, "close": price}
    return BarEvent(symbol="AAPL", timestamp=NOON + timedelta(minutes=minutes), volume=1_000.0, **fields)


def a_limit(limit=99.5, **changes):
    fields = {
        "intent_id": FIRST,
        "symbol": "AAPL",
        "direction": Side.BUY,
        "quantity": 10.0,
        "order_type": OrderType.LIMIT,
        "limit_price": limit,
        "timestamp": NOON,
        "time_in_force": TimeInForce.GTC,
    }
    return OrderIntent(**{**fields, **changes})


def tell(stage, *messages):
    said = [output for message in messages for output in stage.handlers[type(message)](message)]
    said += stage.settle()
    return [(each.intent_id, each.status.value, each.filled_quantity) for each in said if type(each) is ExecutionReport]


def lived(stage, *bars):
    said = tell(stage, a_bar(0), a_limit())
    for minutes, price in bars:
        said += tell(stage, a_bar(minutes, price))
    return said


FAR = ((1, 110.0), (2, 110.0), (3, 110.0), (4, 110.0), (5, 110.0))


def test_an_order_that_is_left_alone_works_on():
    assert lived(build_simulation(settings()), *FAR) == [(FIRST, "ACKNOWLEDGED", 0.0)]


def test_the_rest_of_an_order_is_cancelled_when_its_time_is_up():
    assert lived(build_simulation(settings(unfilled="cancel")), *FAR[:2]) == [(FIRST, "ACKNOWLEDGED", 0.0)]
    said = lived(build_simulation(settings(unfilled="cancel")), *FAR)
    assert said == [(FIRST, "ACKNOWLEDGED", 0.0), (FIRST, "CANCELED", 0.0)]


def test_what_is_left_of_a_partly_filled_order_goes_to_the_market():
    stage = on_rigid(settings(partly="market"))
    said = lived(stage, (1, 99.0), (2, 110.0), (3, 110.0), (4, 100.0), (5, 100.0), (6, 100.0))
    assert said[1:3] == [(FIRST, "PARTIAL_FILL", 4.0), (FIRST, "CANCELED", 4.0)]
    assert [each for each in said if each[0] == SECOND][-1] == (SECOND, "FILLED", 6.0)
    assert stage.desk.positions == {"AAPL": 10.0}


def test_a_replacement_waits_until_kafka_says_who_sends():
    stage, answers = on_rigid(settings(partly="market")), [False, True]
    stage.upkeep.confirm = lambda: answers.pop(0)
    said = lived(stage, (1, 99.0), (2, 110.0), (3, 110.0))
    assert said[-1] == (FIRST, "CANCELED", 4.0)
    assert tell(stage) == []
    assert answers == [True]
    assert [name for name, *_ in tell(stage)] == [SECOND]
    assert answers == []


def test_where_the_venue_can_the_order_itself_goes_to_the_market():
    stage = build_simulation(settings(partly="market"))
    said = lived(stage, (1, 99.0), (2, 110.0), (3, 110.0), (4, 100.0), (5, 100.0), (6, 100.0))
    fills = [("PARTIAL_FILL", 4.0), ("PARTIAL_FILL", 4.0), ("PARTIAL_FILL", 8.0), ("FILLED", 10.0)]
    assert said[1:] == [(FIRST, *each) for each in fills]
    assert stage.desk.positions == {"AAPL": 10.0}


def test_an_order_that_did_not_trade_may_have_another_fate_than_one_that_did():
    said = lived(build_simulation(settings(unfilled="cancel", partly="market")), *FAR)
    assert {name for name, _, _ in said} == {FIRST}


@pytest.mark.parametrize("killed_after", [3, 4])
def test_a_replacement_is_made_once_whatever_a_restart_interrupts(killed_after):
    wanted = settings(unfilled="market")
    journal, venue = MemoryJournal(), rigid(wanted)
    stage = build_stage(wanted, journal, venue)
    stage.recover()
    lived(stage, *FAR[:killed_after])
    for _ in range(3):
        stage = build_stage(wanted, journal, venue)
        stage.recover()
        tell(stage, a_bar(4, 110.0))
    for minutes in range(5, 12):
        tell(stage, a_bar(minutes))
    assert stage.desk.positions == {"AAPL": 10.0}
    assert venue.duplicates_refused == 0
    assert journal.past(SECOND).intent.quantity == 10.0


class Slow(Rigid):
    """Such a venue whose newest execution reaches us late, or that cannot be asked."""

    late: tuple[Fact, ...] = ()
    reachable = True
    heard = False

    def drain(self):
        return [*super().drain(), *(self.late if self.heard else ())]

    def lookup(self, intent_id):
        if not self.reachable:
            raise BrokerUnavailable
        known = super().lookup(intent_id)
        return known if intent_id != FIRST else [*known, *self.late]


@pytest.fixture
def replacing():
    """A plane that has cancelled its order to replace it, and the venue."""
    wanted = settings(unfilled="market", partly="market")
    venue = rigid(wanted, Slow)
    stage = build_stage(wanted, MemoryJournal(), venue)
    stage.recover()
    lived(stage, *FAR[:2])
    return stage, venue


def test_what_traded_before_the_cancel_and_is_heard_of_late_is_not_ordered_again(replacing):
    stage, venue = replacing
    late = Fact(FIRST, FactKind.FILL, "late", NOON + timedelta(minutes=3), "x", 4.0, 99.5)
    venue.late = (late,)
    assert (FIRST, "CANCELED", 0.0) in tell(stage, a_bar(3, 110.0))
    tell(stage, a_bar(4, 110.0))
    assert not stage.desk.knows(SECOND), "the venue knows of an execution that is not booked here"
    venue.heard = True
    tell(stage)
    assert not stage.desk.knows(SECOND), "the execution is heard of now and not booked yet"
    venue.heard = False
    tell(stage)
    assert stage._journal.past(SECOND).intent.quantity == 6.0


def test_a_replacement_waits_for_a_venue_that_cannot_be_asked_and_lapses_with_its_time(replacing):
    stage, venue = replacing
    venue.reachable = False
    tell(stage, a_bar(3, 110.0))
    assert tell(stage, a_bar(5, 110.0)) == []
    assert not stage.dormant
    said = tell(stage, a_bar(7, 110.0))
    assert [each[:2] for each in said] == [(SECOND, "REJECTED")]


class Deaf(Rigid):
    """Such a venue that lets a cancel wait for its answer until it ``answers``."""

    answers = False

    def __init__(self, *parts):
        super().__init__(*parts)
        self.waiting = []

    def cancel(self, order):
        self.waiting.append(order)
        return ()

    def drain(self):
        asked = self.waiting if self.answers else []
        self.waiting = [] if self.answers else self.waiting
        return [*super().drain(), *(fact for order in asked[:1] for fact in super(Deaf, self).cancel(order))]


@pytest.mark.parametrize("when", ["long before", "at the same moment", "afterwards"])
def test_what_a_person_cancels_is_not_sent_anew_when_its_time_is_up_meanwhile(when):
    wanted = settings(unfilled="market", partly="market")
    venue = rigid(wanted, Deaf)
    stage = build_stage(wanted, MemoryJournal(), venue)
    stage.recover()
    lived(stage, *FAR[:2])
    if when != "afterwards":
        stage.cancel(FIRST, "operator-ann", "ann: wrong symbol")
    if when == "long before":
        tell(stage)
    tell(stage, a_bar(3, 110.0))
    if when == "afterwards":
        stage.cancel(FIRST, "operator-ann", "ann: wrong symbol")
        tell(stage)
    venue.answers = True
    assert (FIRST, "CANCELED", 0.0) in tell(stage)
    tell(stage, a_bar(4, 110.0))
    tell(stage)
    assert stage._journal.past(SECOND) is None
    assert not stage.upkeep.waits


class Moody(Rigid):
    """Such a venue that meets a cancel with its ``problem``, or hears it and is ``mute``."""

    problem: Exception | None = None
    mute = False
    told: tuple[Fact, ...] = ()

    def drain(self):
        told, self.told = self.told, ()
        return [*super().drain(), *told]

    def cancel(self, order):
        if self.problem is not None:
            raise self.problem
        return () if self.mute else super().cancel(order)


@pytest.fixture
def at_moody():
    """A plane whose order is about to be cancelled to be replaced, and the venue."""
    wanted = settings(unfilled="market", partly="market")
    venue = rigid(wanted, Moody)
    stage = build_stage(wanted, MemoryJournal(), venue)
    stage.recover()
    lived(stage, *FAR[:2])
    return stage, venue


def requests(stage, kind=FactKind.CANCEL_REQUESTED):
    return [fact.fact_id for fact in stage._journal.past(FIRST).facts if fact.kind is kind]


def test_what_a_person_cancels_while_the_policy_has_no_answer_is_not_sent_anew(at_moody):
    stage, venue = at_moody
    venue.problem = BrokerStateUnknown("timeout")
    tell(stage, a_bar(3, 110.0))
    stage.cancel(FIRST, "operator-ann", "ann: wrong symbol")
    tell(stage)
    tell(stage)
    assert requests(stage) == [MARKET_REQUEST, "operator-ann"]
    venue.problem = None
    assert (FIRST, "CANCELED", 0.0) in tell(stage)
    tell(stage, a_bar(4, 110.0))
    assert stage._journal.past(SECOND) is None
    assert not stage.upkeep.waits


def test_what_a_person_cancels_is_not_sent_anew_when_the_venue_refuses_the_second_cancel(at_moody):
    stage, venue = at_moody
    venue.mute = True
    tell(stage, a_bar(3, 110.0))
    venue.problem = BrokerRefused("IBKR_10148: PendingCancel")
    stage.cancel(FIRST, "operator-ann", "ann: wrong symbol")
    tell(stage)
    assert requests(stage, FactKind.CANCEL_REFUSED) == ["operator-ann"]
    assert end_at_venue(stage, 4) == [(FIRST, "CANCELED", 0.0)]
    tell(stage, a_bar(5, 110.0))
    assert stage._journal.past(SECOND) is None


@pytest.mark.parametrize("answer", ["refused", "signed"])
def test_what_ends_long_after_the_policy_could_not_cancel_it_is_not_sent_anew(at_moody, answer):
    stage, venue = at_moody
    if answer == "refused":
        venue.problem = BrokerRefused("IBKR_161: not in a cancellable state")
        tell(stage, a_bar(3, 110.0))
    else:
        venue.mute = True
        tell(stage, a_bar(3, 110.0))
        stage.resolve(Resolution(FIRST, 1, Verdict.NOT_SENT, "ann", "no", NOON, changes=(MARKET_REQUEST,)))
    assert requests(stage, FactKind.CANCEL_REFUSED) == [MARKET_REQUEST]
    assert end_at_venue(stage, 59) == [(FIRST, "CANCELED", 0.0)]
    tell(stage, a_bar(60, 110.0))
    assert stage._journal.past(SECOND) is None
    assert not stage.upkeep.waits


def end_at_venue(stage, minutes):
    """Somebody cancels the order at the venue's desk; returns what is said of it."""
    venue = stage._broker
    venue.told = Rigid.cancel(venue, CancelOrder(FIRST, "", "PAPER", "by-hand"))
    return tell(stage, a_bar(minutes, 110.0))


def test_a_market_order_is_never_replaced():
    stage = build_simulation(settings(partly="market"))
    tell(stage, a_bar(0), a_limit(None, order_type=OrderType.MARKET, quantity=20.0))
    said = [each for minutes in range(1, 6) for each in tell(stage, a_bar(minutes))]
    assert said[-1] == (FIRST, "FILLED", 20.0)


class Contrary(Rigid):
    """Such a venue that answers the cancel, and then tells another story of the order."""

    story: tuple[Fact, ...] | None = None

    def lookup(self, intent_id):
        known = super().lookup(intent_id)
        return known if intent_id != FIRST or self.story is None else self.story


ACK = Fact(FIRST, FactKind.ACK, "ack", NOON, "x")
GONE = Fact(FIRST, FactKind.CANCELLED, "cancelled", NOON, "x")


@pytest.mark.parametrize(
    "story",
    [
        (ACK,),
        (ACK, Fact(FIRST, FactKind.REPLACED, "r", NOON, "x", 6.0, 99.5, revision=1), GONE),
        (ACK, Fact(FIRST, FactKind.SECOND_ORDER, "y", NOON, "y"), GONE),
        (ACK, Fact(FIRST, FactKind.FILL, "e", NOON, "x", 1.0, 99.5), GONE),
    ],
    ids=["works on", "is smaller", "has a twin", "traded"],
)
def test_nothing_is_sent_while_the_venue_tells_another_story_of_the_order_than_the_journal(story):
    wanted = settings(unfilled="market")
    venue = rigid(wanted, Contrary)
    stage = build_stage(wanted, MemoryJournal(), venue)
    stage.recover()
    lived(stage, *FAR[:2])
    venue.story = story
    tell(stage, a_bar(3, 110.0), a_bar(4, 110.0))
    tell(stage, a_bar(5, 110.0))
    assert not stage.desk.knows(SECOND)
    venue.story = None
    tell(stage)
    assert stage._journal.past(SECOND).intent.quantity == 10.0


def test_nothing_is_sent_while_the_venue_counts_more_of_the_order_than_it_lists():
    wanted = settings(unfilled="market")
    venue = rigid(wanted)
    venue.traded = lambda intent_id: 6.0
    stage = build_stage(wanted, MemoryJournal(), venue)
    stage.recover()
    lived(stage, *FAR[:2])
    tell(stage, a_bar(3, 110.0), a_bar(4, 110.0))
    tell(stage, a_bar(5, 110.0))
    assert not stage.desk.knows(SECOND)
    venue.traded = lambda intent_id: 0.0
    tell(stage)
    assert stage._journal.past(SECOND).intent.quantity == 10.0
