"""The count in front of the venue: what journal or controls let through by mistake does not leave, and trading ends."""

from datetime import timedelta
from functools import partial
from uuid import UUID

import order_lives
import order_messages
import pytest
from order_messages import NOON, a_bar, tell
from venue_double import Venue

from contracts.control import KillAction, KillScope, KillSwitchCommand, PlannedTrade, RebalancePlan
from contracts.plan_content import signed
from contracts.trading import ExecutionReport, OrderType, Side
from order_plane.approved_plans import ApprovedPlans
from order_plane.brokers.port import BrokerRefused, BrokerStateUnknown, BrokerUnavailable
from order_plane.claims import Standing
from order_plane.composition import build_stage
from order_plane.departures import stop
from order_plane.facts import Fact, FactKind
from order_plane.journals.memory import MemoryJournal
from order_plane.journals.port import Recall, Resolution, RowState, Verdict
from order_plane.risk.port import Refusal
from order_plane.settings import OrderSettings

SETTINGS = OrderSettings.model_validate(
    {"limits": {"duplicate_window": 0}, "guards": [], "volume_cap": None, "costs": {"slippage": 0.0}}
)
PLAN = UUID(int=7)
an_intent = partial(order_messages.an_intent, order_type=OrderType.LIMIT, limit_price=99.0)
of_plan = partial(an_intent, plan_id=PLAN)
Lives = partial(order_lives.Lives, costs={"slippage": 0.0}, known=[a_bar()])


class Forgetful(MemoryJournal):
    """Says of every intent that it is new, and that whoever asks may send it, as often as ``told``."""

    told = 1

    def recall(self, intent):
        return Recall.NEW

    def begin(self, admitted, refused, published):
        super().begin(admitted, refused, published)
        return [order for order in admitted for _ in range(self.told)]


def stops(said):
    return [(each.cause, each.scope, each.target, each.action) for each in said if isinstance(each, KillSwitchCommand)]


def told_of(said):
    return [(each.intent_id.int, each.status.value) for each in said if isinstance(each, ExecutionReport)]


def stopped_by(cause):
    return [(cause, KillScope.ACCOUNT, "PAPER", KillAction.HALT_AND_INVESTIGATE)]


def test_what_a_journal_hands_out_twice_leaves_once_and_ends_trading():
    lives = Lives(journal=Forgetful())
    stage = lives.next()
    lives.journal.told = 2
    said = tell(stage, an_intent(1))
    assert (lives.sent, stops(said)) == ([(1, 1)], stopped_by("LEFT_BEFORE"))
    assert told_of(said) == [(1, "ACKNOWLEDGED"), (1, "IN_DOUBT")]
    assert lives.journal.past(UUID(int=1)).state is RowState.IN_DOUBT
    lives.journal.told = 1
    assert told_of(tell(stage, an_intent(2))) == [(1, "CANCELED"), (2, "REJECTED")]
    assert [each.cause for each in lives.next().desk.switch.engaged] == ["LEFT_BEFORE"], "it is latched"
    assert lives.sent == [(1, 1)]


def test_a_weaker_switch_does_not_stand_in_for_a_stop_that_was_released_before():
    stage = Lives().next()
    wanted = stop(Refusal("LEFT_BEFORE", "a drill"), "PAPER", NOON)
    stage.supervision.engage(wanted)
    fields = {"timestamp": NOON, "scope": KillScope.ACCOUNT, "target": "PAPER", "operator": "ann", "reason": "drill"}
    ends = stage.supervision.newest(wanted).command_id
    release = {"engage": False, "second_operator": "bob", "ends": ends}
    tell(stage, KillSwitchCommand(command_id=UUID(int=1), **release, **fields))
    tell(stage, KillSwitchCommand(command_id=UUID(int=2), engage=True, action=KillAction.REDUCE_ONLY, **fields))
    assert stops(stage.supervision.engage(wanted)) == stopped_by("LEFT_BEFORE")
    assert stage.supervision.engage(wanted) == ()
    assert [each.action for each in stage.desk.switch.engaged] == [KillAction.HALT_AND_INVESTIGATE]


def test_what_left_in_an_earlier_life_does_not_leave_again_whatever_the_journal_says():
    lives = Lives(journal=Forgetful())
    tell(lives.next(), an_intent(1), an_intent(2))
    stage = lives.next()
    said = tell(stage, an_intent(2), an_intent(3))
    assert lives.sent == [(1, 1), (2, 1)]
    assert stops(said) == stopped_by("LEFT_BEFORE")
    assert (3, "REJECTED") in told_of(said), "nor does anything else of the batch"


def test_what_has_filled_and_is_handed_out_again_does_not_leave_and_is_as_it_was():
    facts = [Fact(UUID(int=1), FactKind.FILL, "e-1", NOON, "o-1", quantity=10.0, price=100.0)]
    journal, venue = Forgetful(), Venue(facts)
    journal.told = 2
    stage = build_stage(SETTINGS.model_copy(update={"reconciliation": None}), journal, venue)
    stage.recover()
    said = tell(stage, a_bar(), an_intent(1))
    assert (venue.sent, stops(said)) == ([(1, 1)], stopped_by("LEFT_BEFORE"))
    assert told_of(said) == [(1, "FILLED")]
    assert (stage.desk.open_orders, stage.desk.positions) == ((), {"AAPL": 10.0})


@pytest.fixture
def lives(monkeypatch):
    """Of a plan that wants ten units four works; the control of plans is blind."""
    monkeypatch.setattr(ApprovedPlans, "objection", lambda plans, intent, view: None)
    found = Lives()
    trade = PlannedTrade(symbol="AAPL", direction=Side.BUY, quantity=10.0, current_weight=0.0, target_weight=0.1)
    fields = {"plan_id": PLAN, "strategy_id": "default", "timestamp": NOON, "content_hash": "0" * 64}
    found.known.append(signed(RebalancePlan(**fields, valid_until=NOON + timedelta(hours=1), trades=(trade,))))
    tell(found.next(), of_plan(1, quantity=4.0))
    return found


def test_more_than_a_plan_wants_does_not_leave_and_ends_trading(lives):
    stage = lives.next()
    assert told_of(tell(stage, of_plan(2, quantity=6.0))) == [(2, "ACKNOWLEDGED")]
    said = tell(stage, of_plan(3, quantity=0.1))
    assert ((3, "REJECTED") in told_of(said), stops(said)) == (True, stopped_by("PLAN_EXCEEDED"))
    assert lives.sent == [(1, 1), (2, 1)]


@pytest.mark.parametrize(("quantity", "leaves"), [(10.0, True), (10.1, False)])
def test_what_the_venue_cancelled_of_a_plan_may_be_ordered_again(lives, quantity, leaves):
    stage = lives.next()
    stage.cancel(UUID(int=1), "drill", "drill")
    tell(stage)
    said = tell(stage, of_plan(2, quantity=quantity))
    assert ((2, 1) in lives.sent, stops(said) == []) == (leaves, leaves)


def test_a_kill_that_comes_while_the_venue_is_asked_about_the_plan_stops_the_order(lives):
    stage, lookup, waiting = lives.next(), lives.venue.lookup, []
    stage.cancel(UUID(int=1), "drill", "drill")
    tell(stage)
    kill = KillSwitchCommand(command_id=UUID(int=99), timestamp=NOON, engage=True, operator="tester", reason="a test")

    def asked(name):
        waiting[:] = [kill]
        return lookup(name)

    lives.venue.lookup = asked
    stage.heed(lambda: waiting)
    said = tell(stage, of_plan(2, quantity=10.0))
    assert (lives.sent, told_of(said)) == ([(1, 1)], [(2, "REJECTED")])


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("answer", [BrokerRefused("NO: not today"), BrokerUnavailable("no line")])
def test_what_the_venue_did_not_take_of_a_plan_may_be_ordered_again(lives, answer, restart):
    def refuse(order):
        raise answer

    stage, submit = lives.next(), lives.venue.submit
    lives.venue.submit = refuse
    assert (2, "REJECTED") in told_of(tell(stage, of_plan(2, quantity=6.0)))
    lives.venue.submit = submit
    stage = lives.next() if restart else stage
    assert told_of(tell(stage, of_plan(3, quantity=6.0))) == [(3, "ACKNOWLEDGED")]


def test_a_further_attempt_of_a_plans_order_counts_once(lives):
    def lose(order):
        raise BrokerStateUnknown("timeout")

    stage, submit = lives.next(), lives.venue.submit
    lives.venue.submit = lose
    assert told_of(tell(stage, of_plan(2, quantity=6.0))) == [(2, "IN_DOUBT")]
    lives.venue.submit = submit
    stage.resolve(Resolution(UUID(int=2), 1, Verdict.SEND_AGAIN, "ann", "asked the venue", NOON))
    assert told_of(tell(stage)) == [(2, "ACKNOWLEDGED")]
    assert lives.sent[-1] == (2, 2)


@pytest.mark.parametrize("silent", ["away", "forgets"])
def test_when_the_venue_does_not_say_what_became_of_a_plans_orders_no_more_of_it_leaves(lives, silent):
    def ask(intent_id):
        if silent == "away":
            raise BrokerUnavailable("no line")

    stage = lives.next()
    lives.venue.lookup = ask
    said = tell(stage, of_plan(2, quantity=6.1))
    (report,) = [each for each in said if isinstance(each, ExecutionReport)]
    assert report.reject_reason.startswith("PLAN_NOT_COUNTED: ")
    assert (stops(said), lives.sent) == ([], [(1, 1)])


@pytest.mark.parametrize(("quantity", "leaves"), [(10.0, True), (10.1, False)])
def test_what_a_venue_has_forgotten_since_it_ended_counts_as_the_journal_was_told(lives, quantity, leaves):
    stage = lives.next()
    stage.cancel(UUID(int=1), "drill", "drill")
    tell(stage)
    lives.venue.lookup = lambda intent_id: None
    said = tell(lives.next(), of_plan(2, quantity=quantity))
    assert ((2, 1) in lives.sent, stops(said) == []) == (leaves, leaves)


def test_what_was_handed_over_counts_for_its_plan_at_once(lives):
    held = Standing(before=frozenset({"old"}), intents_from=9, handed=1)
    stage, lookup = lives.next(prepare=lambda stage: stage.inheritance.accept(held, {UUID(int=2)})), lives.venue.lookup
    works = Fact(UUID(int=2), FactKind.ACK, "ack", NOON, "o-2")
    lives.venue.lookup = lambda name: [works] if name.int == 2 else lookup(name)
    assert told_of(tell(stage, of_plan(2, quantity=6.0))) == [(2, "ACKNOWLEDGED")], "the venue has it"
    said = tell(stage, of_plan(3, quantity=0.1))
    assert ((3, "REJECTED") in told_of(said), stops(said)) == (True, stopped_by("PLAN_EXCEEDED"))
    assert lives.sent == [(1, 1)]


def test_a_plane_that_looks_at_no_plans_counts_none():
    lives = Lives()
    plain = SETTINGS.model_copy(update={"verify_plans": False})
    stage = build_stage(plain, lives.journal, lives.venue)
    stage.recover()
    assert told_of(tell(stage, a_bar(), of_plan(1), of_plan(2))) == [(1, "ACKNOWLEDGED"), (2, "ACKNOWLEDGED")]
