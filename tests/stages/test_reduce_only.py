"""A kill switch that lets positions only be reduced: what passes, what is cancelled, what ends it."""

from functools import partial
from uuid import UUID

import order_lives
import order_messages
import pytest
from order_messages import NOON, a_bar, as_shown, tell
from venue_double import Venue

from contracts.control import KillAction, KillScope, KillSwitchCommand, RiskAlert
from contracts.market import SliceEvent
from contracts.trading import ExecutionReport, OrderType, Side
from kernel.ports import Unprocessable
from order_plane.brokers.port import BrokerRefused
from order_plane.composition import build_stage
from order_plane.facts import Fact, FactKind
from order_plane.journals.memory import MemoryJournal
from order_plane.operator_commands import operator_commands
from order_plane.settings import OrderSettings
from order_plane.unacceptable import NotReplaceable

LIMITS = {"duplicate_window": 0, "max_order_value": 1e9, "max_symbol_notional": 1e9, "max_gross_exposure": 1e9}
QUIET = {"daily_loss": None, "drawdown": None, "sharpe": None, "rejects": None}
HIGH = {"order_type": OrderType.LIMIT, "limit_price": 109.0}
LOW = {"order_type": OrderType.LIMIT, "limit_price": 91.0}
a_buy = partial(order_messages.an_intent, direction=Side.BUY)
a_sale = partial(order_messages.an_intent, direction=Side.SELL)
Lives = partial(order_lives.Lives, LIMITS, costs={"commission": 0.0, "slippage": 0.0})


def a_kill(number=500, action=KillAction.REDUCE_ONLY, **changes):
    who = {"operator": "ada", "reason": "drill", "timestamp": NOON, "engage": True}
    return KillSwitchCommand(command_id=UUID(int=number), action=action, **{**who, **changes})


def a_release(stage, number=900, **changes):
    return as_shown(stage, a_kill(number, engage=False, **changes))


def refusals(said):
    """Why each intent was refused, by its number."""
    refused = [each for each in said if isinstance(each, ExecutionReport) and each.status.value == "REJECTED"]
    return {each.intent_id.int: each.reject_reason.partition(":")[0] for each in refused}


def working(stage):
    return [order.intent.intent_id.int for order in stage.desk.open_orders]


def holding(units, lives=None, **first):
    """A plane that holds so many units of AAPL."""
    stage = (lives or Lives()).next()
    wish = a_buy if units > 0 else a_sale
    tell(stage, a_bar(0), wish(1, quantity=abs(units), **first))
    tell(stage, a_bar(1))
    assert stage.desk.positions == {"AAPL": units}
    return stage


@pytest.mark.parametrize(
    ("held", "wish", "code"),
    [
        (10.0, a_sale(2, 1, quantity=10.0), None),
        (10.0, a_sale(2, 1, quantity=10.1), "REDUCE_ONLY"),
        (10.0, a_buy(2, 1, quantity=0.1), "REDUCE_ONLY"),
        (-10.0, a_buy(2, 1, quantity=10.0), None),
        (-10.0, a_buy(2, 1, quantity=10.1), "REDUCE_ONLY"),
        (-10.0, a_sale(2, 1, quantity=0.1), "REDUCE_ONLY"),
        (10.0, a_sale(2, 1, symbol="MSFT", quantity=0.1), "REDUCE_ONLY"),
    ],
)
def test_only_what_brings_a_position_nearer_to_nothing_passes(held, wish, code):
    stage = holding(held)
    tell(stage, a_bar(1, symbol="MSFT"), a_kill())
    assert refusals(tell(stage, wish)).get(2) == code


def test_what_works_counts_with_what_is_wished():
    stage = holding(10.0)
    said = tell(stage, a_kill(), *(a_sale(number, 1, quantity=4.0, **HIGH) for number in (2, 3, 4)))
    assert refusals(said) == {4: "REDUCE_ONLY"}
    assert refusals(tell(stage, a_sale(5, 1, quantity=2.0))) == {}


def test_what_opens_is_cancelled_and_what_reduces_works_on_the_oldest_first():
    stage = holding(10.0)
    tell(
        stage,
        a_buy(2, 1, **LOW),
        a_sale(3, 1, quantity=11.0, **HIGH),
        a_sale(4, 1, quantity=6.0, **HIGH),
        a_sale(5, 1, quantity=6.0, **HIGH),
        a_sale(6, 1, quantity=4.0, **HIGH),
    )
    assert working(stage) == [2, 3, 4, 5, 6]
    tell(stage, a_kill())
    assert working(stage) == [4, 6]
    assert stage.uncancelled == {}
    assert operator_commands(stage, lambda said: None)["status"]({})["uncancelled"] == []


def a_fill(number, units, name="late"):
    return Fact(UUID(int=number), FactKind.FILL, name, NOON, f"o-{number}", quantity=units, price=100.0)


@pytest.fixture
def exits():
    """A plane of which two orders that each sell four of ten units are spared by a switch, and its venue.

    A sale of five units, number four, has ended there, as far as is known without a trade.
    """
    acks = [[Fact(UUID(int=number), FactKind.ACK, "ack", NOON, f"o-{number}")] for number in (1, 4, 2, 3)]
    acks[1].append(Fact(UUID(int=4), FactKind.CANCELLED, "cancelled", NOON, "o-4"))
    venue = Venue([*acks[0], a_fill(1, 10.0, "e-1")], *acks[1:])
    stage = build_stage(OrderSettings(limits=LIMITS, guards=(), reconciliation=None), MemoryJournal(), venue)
    stage.recover()
    tell(stage, a_bar(), a_buy(1), a_sale(4, quantity=5.0, **HIGH))
    tell(stage, a_sale(2, quantity=4.0, **HIGH), a_sale(3, quantity=4.0, **HIGH), a_kill())
    assert (working(stage), venue.asked, dict(stage.desk.positions)) == ([2, 3], [], {"AAPL": 10.0})
    return stage, venue


@pytest.mark.parametrize("how", ["heard", "told by a person"])
def test_what_was_spared_is_cancelled_once_when_a_fill_leaves_less_to_reduce(exits, how):
    stage, venue = exits
    if how == "heard":
        venue.news = [a_fill(4, 5.0)]
    else:
        stage.book(a_fill(4, 5.0))
    tell(stage)
    assert venue.asked == ["o-3"], "the oldest goes on, as far as it takes no more than is held"
    venue.news = [a_fill(2, 1.0)]
    tell(stage)
    tell(stage, a_bar(1))
    assert venue.asked == ["o-3"], "its cancel is still to be answered"


def test_a_cancel_of_what_was_spared_that_the_venue_refuses_is_not_asked_for_again_and_again(exits):
    stage, venue = exits
    venue.problem = BrokerRefused("TOO_LATE: it is being filled")
    for number in (1, 2, 3):
        venue.news = [a_fill(1, 5.0 - number, "e-1")._replace(revision=number)]
        tell(stage)
    assert venue.asked == ["o-3", "o-2"]


def test_the_rest_of_a_batch_is_held_to_a_switch_that_came_in_the_middle_of_it():
    stage = holding(10.0)
    waiting = [(), (a_kill(),)]
    stage.heed(lambda: waiting.pop(0) if waiting else ())
    said = tell(stage, a_buy(2, 1, **LOW), a_buy(3, 1, quantity=3.0, **LOW), a_sale(4, 1, quantity=10.0, **HIGH))
    assert refusals(said) == {3: "REDUCE_ONLY"}
    tell(stage)
    assert working(stage) == [4]


def test_a_switch_over_a_strategy_means_what_that_holds():
    stage = holding(10.0, strategy_id="long")
    tell(stage, a_sale(2, 1, quantity=10.0, strategy_id="short"))
    tell(stage, a_bar(2))
    tell(stage, a_bar(3), a_kill(scope=KillScope.STRATEGY, target="long"))
    assert dict(stage.desk.positions) == {}, "together they hold nothing"
    wishes = [
        a_sale(3, 3, quantity=10.1, strategy_id="long", **HIGH),
        a_sale(4, 3, quantity=4.0, strategy_id="long", **HIGH),
        a_sale(5, 3, quantity=7.0, strategy_id="long", **HIGH),
        a_sale(6, 3, quantity=7.0, strategy_id="short", **HIGH),
    ]
    assert refusals(tell(stage, *wishes)) == {3: "REDUCE_ONLY", 5: "REDUCE_ONLY"}
    tell(stage, a_kill(501, scope=KillScope.ACCOUNT, target="PAPER"))
    assert working(stage) == [], "the account holds nothing that could be reduced"


@pytest.mark.parametrize(("held", "reducing"), [(10.0, a_sale), (-10.0, a_buy)])
def test_what_works_of_a_strategy_is_held_to_what_that_holds(held, reducing):
    stage, resting = holding(held, strategy_id="one"), HIGH if held > 0 else LOW
    wishes = [(2, 4.0, "one"), (3, 7.0, "other"), (4, 7.0, "one"), (5, 6.0, "one")]
    tell(stage, *(reducing(n, 1, quantity=units, strategy_id=name, **resting) for n, units, name in wishes))
    tell(stage, a_kill(scope=KillScope.STRATEGY, target="one"))
    assert working(stage) == [2, 3, 5], "of what others wish nothing is said"
    assert refusals(tell(stage, reducing(6, 1, quantity=0.1, strategy_id="one"))) == {6: "REDUCE_ONLY"}


def test_what_passes_takes_its_turn_at_the_throttle_once():
    stage = holding(10.0, Lives(throttle={"rate_per_second": 1e-9, "burst": 4.0, "cancel_reserve": 0.0}))
    said = tell(stage, a_kill(), *(a_sale(number, 1, quantity=number - 1.0) for number in (2, 3, 4, 5)))
    assert refusals(said) == {5: "RATE_LIMIT_EXCEEDED"}


def test_a_switch_of_another_account_or_strategy_forbids_nothing():
    stage = holding(10.0)
    tell(stage, a_kill(scope=KillScope.ACCOUNT, target="OTHER"), a_kill(501, scope=KillScope.STRATEGY, target="other"))
    assert refusals(tell(stage, a_buy(2, 1))) == {}


def test_it_is_latched_over_a_restart_and_its_cancels_are_asked_for_again():
    lives = Lives()
    stage = holding(10.0, lives)
    tell(stage, a_buy(2, 1, **LOW), a_sale(3, 1, quantity=4.0, **HIGH))
    stage.handlers[KillSwitchCommand](a_kill())
    stage = lives.next(a_bar(1))
    tell(stage)
    assert working(stage) == [3]
    assert refusals(tell(stage, a_buy(4, 1), a_sale(5, 1, quantity=6.0, **HIGH))) == {4: "REDUCE_ONLY"}


def test_a_release_ends_it_and_must_name_it():
    stage = holding(10.0)
    tell(stage, a_kill())
    with pytest.raises(Unprocessable):
        tell(stage, a_kill(901, engage=False))
    tell(stage, a_release(stage))
    assert refusals(tell(stage, a_buy(2, 1))) == {}


@pytest.mark.parametrize("action", [KillAction.HALT, KillAction.HALT_AND_INVESTIGATE, KillAction.HALT_AND_FLATTEN])
@pytest.mark.parametrize("first", [True, False])
def test_of_two_switches_the_stricter_holds_whichever_came_first(action, first):
    stage = holding(10.0)
    both = [a_kill(500, action), a_kill(501)]
    for each in both if first else reversed(both):
        tell(stage, each)
    assert refusals(tell(stage, a_sale(2, 1, quantity=1.0))) == {2: "TRADING_HALTED"}
    (engaged,) = stage.desk.switch.engaged
    assert engaged.action is action
    assert len(stage.desk.open_orders) == (action is KillAction.HALT_AND_FLATTEN), "what closes is sent all the same"


def test_a_halt_of_a_wider_scope_is_not_loosened_by_a_narrower_one():
    stage = holding(10.0)
    tell(stage, a_kill(500, KillAction.HALT, scope=KillScope.STRATEGY, target="default"), a_kill(501))
    assert refusals(tell(stage, a_sale(2, 1, quantity=1.0))) == {2: "TRADING_HALTED"}


def test_an_order_is_changed_only_to_what_reduces():
    stage = holding(10.0)
    tell(stage, a_sale(2, 1, quantity=8.0, **HIGH), a_kill())
    stage.upkeep.wish(UUID(int=2), "ada", 7.0, None, "ada: less")
    tell(stage)
    assert [each.history.size for each in stage.desk._orders.values()] == [7.0]
    stage.desk._exposure.hold("AAPL", -6.0)
    with pytest.raises(NotReplaceable, match="REDUCE_ONLY"):
        stage.upkeep.wish(UUID(int=2), "ada", 4.1, None, "ada: less")


def test_an_order_in_doubt_counts():
    venue = Venue([Fact(UUID(int=1), FactKind.ACK, "ack", NOON, "o-1")])
    stage = build_stage(OrderSettings(limits=LIMITS, guards=(), reconciliation=None), MemoryJournal(), venue)
    stage.recover()
    tell(stage, a_bar(), a_buy(1))
    venue.news = [Fact(UUID(int=1), FactKind.FILL, "e-1", NOON, "o-1", quantity=10.0, price=100.0)]
    tell(stage, a_sale(2, quantity=4.0))
    assert (stage.desk.in_doubt, dict(stage.desk.positions)) == (1, {"AAPL": 10.0})
    said = tell(stage, a_kill(), a_sale(3, quantity=6.1), a_sale(4, quantity=6.0))
    assert refusals(said) == {3: "REDUCE_ONLY", 4: "IN_DOUBT_BLOCK"}
    assert venue.asked == [], "it only reduces what is held"


def test_a_guard_may_let_positions_only_be_reduced_and_what_it_refuses_is_no_storm():
    lives = Lives(guards=[QUIET | {"daily_loss": {"action": "REDUCE_ONLY"}, "rejects": {"count": 2}}], capital=2_000.0)
    stage = holding(10.0, lives)
    tell(stage, SliceEvent(timestamp=a_bar(1).timestamp, bar_size="1min", symbols=("AAPL",)))
    said = tell(stage, a_bar(2, 80.0), SliceEvent(timestamp=a_bar(2).timestamp, bar_size="1min", symbols=("AAPL",)))
    assert [(each.cause, each.action) for each in said if isinstance(each, KillSwitchCommand)] == [
        ("DAILY_LOSS", KillAction.REDUCE_ONLY)
    ]
    said = tell(stage, *(a_buy(number, 2) for number in range(2, 8)), a_sale(8, 2, quantity=10.0))
    assert refusals(said) == dict.fromkeys(range(2, 8), "REDUCE_ONLY")
    said += tell(stage, a_bar(3, 80.0))
    assert dict(stage.desk.positions) == {}
    assert [each.action for each in stage.desk.switch.engaged] == [KillAction.REDUCE_ONLY]
    assert "KILL_SWITCH_ENGAGED" not in [each.code for each in said if isinstance(each, RiskAlert)]
