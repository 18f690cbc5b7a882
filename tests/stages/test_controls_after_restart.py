"""What controls and storms remember after a restart is what the journal tells, or stricter than it was."""

from datetime import timedelta
from functools import partial

import order_messages
import pytest
from order_lives import Lives
from order_messages import NOON, as_shown, tell

from contracts.control import KillScope, KillSwitchCommand, RiskAlert
from contracts.market import SliceEvent
from contracts.trading import ExecutionReport, OrderType, Side
from kernel.kafka_errors import BrokerUnavailable
from order_plane.brokers.port import BrokerRefused
from order_plane.composition import build_stage
from order_plane.controls import LooserLimit
from order_plane.journals.port import JournalError

QUIET = {"daily_loss": None, "drawdown": None, "sharpe": None, "rejects": None}
an_intent = partial(order_messages.an_intent, quantity=1.0)


def a_bar(minutes=0, price=100.0, **changes):
    return order_messages.a_bar(minutes, price, high=price, low=price, **changes)


def a_slice(minutes):
    return SliceEvent(timestamp=NOON + timedelta(minutes=minutes), bar_size="1min", symbols=("AAPL",))


def codes(outputs):
    """Why each intent was refused, empty when it was sent."""
    first = [each for each in outputs if isinstance(each, ExecutionReport) and each.sequence == 1]
    first.sort(key=lambda each: each.intent_id)
    return [(each.reject_reason or "").partition(":")[0] for each in first]


def kills(outputs):
    return [each.cause for each in outputs if isinstance(each, KillSwitchCommand)]


def test_the_same_order_again_is_a_duplicate_after_a_restart():
    lives = Lives({"duplicate_window": 60})
    assert codes(tell(lives.next(), a_bar(), an_intent())) == [""]
    stage = lives.next(a_bar())
    assert codes(tell(stage, an_intent(2), an_intent(3, quantity=2.0))) == ["DUPLICATE", ""]
    assert codes(tell(stage, a_bar(2), an_intent(4, 2))) == [""]


def test_what_was_refused_is_no_earlier_order():
    lives = Lives({"duplicate_window": 60, "restricted": ["AAPL"]})
    assert codes(tell(lives.next(), a_bar(), an_intent())) == ["RESTRICTED"]
    lives.settings = lives.settings.model_copy(
        update={"limits": lives.settings.limits.model_copy(update={"restricted": frozenset()})}
    )
    assert codes(tell(lives.next(a_bar()), an_intent(2))) == [""]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"throttle": {"rate_per_second": 1.0, "burst": 3.0, "cancel_reserve": 0.0}}, "RATE_LIMIT_EXCEEDED"),
        ({"limits": {"max_strategy_rate": 1.0, "strategy_burst": 3.0}}, "STRATEGY_RATE_EXCEEDED"),
    ],
)
def test_a_burst_is_not_allowed_again_by_a_restart(changes, code):
    lives = Lives(**changes)
    assert codes(tell(lives.next(), a_bar(), *map(an_intent, (1, 2)))) == ["", ""]
    assert codes(tell(lives.next(a_bar()), *map(an_intent, (3, 4, 5)))) == ["", code, code]
    stage = lives.next(a_bar(1))
    assert codes(tell(stage, *map(partial(an_intent, minutes=1), (6, 7, 8, 9)))) == ["", "", "", code]


def test_orders_for_each_execution_are_counted_over_restarts():
    lives = Lives({"max_orders_per_execution": 2.0, "orders_before_ratio": 2.0})
    stage = lives.next()
    assert codes(tell(stage, a_bar(), an_intent())) == [""]
    tell(stage, a_bar(1))
    resting = {"order_type": OrderType.LIMIT, "limit_price": 50.0}
    assert codes(tell(stage, an_intent(2, 1, **resting))) == [""]
    assert codes(tell(lives.next(a_bar(1)), an_intent(3, 1, **resting))) == ["ORDER_TO_TRADE_RATIO"]


def executed(stage, *minutes):
    said = []
    for number in minutes:
        tell(stage, a_bar(number), an_intent(number, number))
        said += tell(stage, a_bar(number + 1), a_slice(number + 1))
    return kills(said)


def test_executions_before_a_restart_count_for_the_storm():
    lives = Lives(repeat_executions={"count": 2, "window": 3600, "action": "HALT"})
    assert executed(lives.next(), 1, 2) == []
    assert executed(lives.next(a_bar(3)), 3) == ["REPEATED_EXECUTIONS"]
    later = Lives(repeat_executions={"count": 2, "window": 3600, "action": "HALT"})
    assert executed(later.next(), 1, 2) == []
    assert executed(later.next(a_bar(100)), 100) == []


def test_executions_that_a_person_let_pass_do_not_count_after_a_restart():
    lives = Lives(repeat_executions={"count": 1, "window": 3600, "action": "HALT"})
    stage = lives.next()
    assert executed(stage, 1, 2) == ["REPEATED_EXECUTIONS"]
    where = {"scope": KillScope.STRATEGY, "target": "default", "operator": "ada", "reason": "looked at"}
    release = KillSwitchCommand(
        command_id=an_intent(900).intent_id, timestamp=NOON + timedelta(days=1), engage=False, **where
    )
    tell(stage, as_shown(stage, release))
    stage = lives.next(a_bar(3))
    assert executed(stage, 4) == []
    assert executed(lives.next(a_bar(5)), 6) == ["REPEATED_EXECUTIONS"]


def test_old_executions_are_no_storm_when_no_market_was_seen():
    lives = Lives(repeat_executions={"count": 2, "window": 60, "action": "HALT"})
    assert executed(lives.next(), 1, 11, 21, 31) == []
    assert kills(tell(lives.next(), a_bar(41))) == []


class Refusing:
    """A venue that takes no order."""

    def __init__(self, broker):
        self._broker = broker

    def __getattr__(self, name):
        return getattr(self._broker, name)

    def submit(self, order):
        raise BrokerRefused("NO: not today")


def test_rejections_by_the_venue_before_a_restart_count_for_the_storm():
    lives = Lives(guards=[QUIET | {"rejects": {"count": 3}}])
    lives.venue = Refusing(lives.venue)
    assert kills(tell(lives.next(), a_bar(), *map(an_intent, (1, 2)))) == []
    said = tell(lives.next(a_bar()), *map(an_intent, (3, 4)))
    assert kills(said) == ["REJECT_STORM"]


def test_orders_that_a_kill_kept_from_leaving_are_no_storm_after_a_restart():
    lives = Lives(guards=[QUIET | {"rejects": {"count": 2}}])
    stage = lives.next()
    kill = KillSwitchCommand(
        command_id=an_intent(800).intent_id, timestamp=NOON, engage=True, operator="ada", reason="drill"
    )
    stage.heed(lambda: [kill])
    said = tell(stage, a_bar(), *map(an_intent, (1, 2, 3, 4)))
    assert codes(said) == ["TRADING_HALTED"] * 4
    assert kills(tell(lives.next(a_bar()), a_bar(1), a_slice(1))) == []


def test_orders_that_an_outage_of_kafka_kept_from_leaving_are_no_storm_after_a_restart():
    lives = Lives(guards=[QUIET | {"rejects": {"count": 2}}])
    stage = lives.next()

    def silent():
        raise BrokerUnavailable("127.0.0.1:9092", "timed out")

    stage.heed(silent)
    with pytest.raises(BrokerUnavailable):
        tell(stage, a_bar(), *map(an_intent, (1, 2, 3, 4)))
    assert kills(tell(lives.next(a_bar()), a_bar(1), a_slice(1))) == []


def test_the_volume_of_days_is_known_after_a_restart_that_is_told_no_old_bars():
    lives = Lives({"max_volume_share": 0.01, "volume_days": 3})
    stage = lives.next()
    days = [a_bar(day * 24 * 60, volume=1_000.0) for day in range(4)]
    assert [codes(tell(stage, bar, an_intent(n, 24 * 60 * n, quantity=10.0))) for n, bar in enumerate(days)] == [
        ["VOLUME_SHARE_EXCEEDED"],
        ["VOLUME_SHARE_EXCEEDED"],
        ["VOLUME_SHARE_EXCEEDED"],
        [""],
    ]
    stage = lives.next(days[-1])
    wishes = [an_intent(10, 24 * 60 * 3, quantity=10.0, direction=Side.SELL), an_intent(11, 24 * 60 * 3, quantity=10.1)]
    assert codes(tell(stage, *wishes)) == ["", "VOLUME_SHARE_EXCEEDED"]


def test_a_collar_over_a_period_denies_after_a_restart_until_it_was_watched_again():
    lives = Lives({"period_collar": 0.05, "collar_period": 120})
    stage = lives.next()
    tell(stage, *map(a_bar, range(3)))
    assert codes(tell(stage, an_intent(1, 2))) == [""]
    stage = lives.next(a_bar(3))
    assert codes(tell(stage, an_intent(2, 3))) == ["PERIOD_COLLAR"]
    assert codes(tell(stage, a_bar(4), a_bar(5), an_intent(3, 5))) == [""]


def test_a_plane_that_remembers_the_market_hears_every_bar_of_it():
    lives = Lives({"period_collar": 0.05, "collar_period": 120})
    assert not lives.next().dormant
    assert Lives().next().dormant


def test_limits_that_were_made_tighter_hold_after_a_crash():
    lives = Lives()
    stage = lives.next()
    tighter = lives.settings.limits.model_copy(update={"max_order_quantity": 5.0, "restricted": frozenset({"MSFT"})})
    stage.supervision.tighten(tighter, "ann", "drill")
    stage = lives.next(a_bar())
    assert codes(tell(stage, an_intent(1, quantity=6.0), an_intent(2))) == ["QUANTITY_EXCEEDS_MAXIMUM", ""]
    with pytest.raises(LooserLimit, match="max_order_quantity, restricted"):
        stage.supervision.tighten(lives.settings.limits, "ann", "drill")
    stage.supervision.forget_limits("ann", "drill over")
    assert codes(tell(stage, an_intent(3, quantity=6.0))) == ["QUANTITY_EXCEEDS_MAXIMUM"], "not before the restart"
    assert codes(tell(lives.next(a_bar()), an_intent(4, quantity=6.0))) == [""]


def test_limits_that_are_configured_anew_replace_what_was_made_tighter_and_that_is_said():
    lives = Lives()
    lives.next().supervision.tighten(
        lives.settings.limits.model_copy(update={"max_order_quantity": 5.0}), "ann", "drill"
    )
    edited = lives.settings.limits.model_copy(update={"max_order_quantity": 7.0, "max_order_value": 1e5})
    lives.settings = lives.settings.model_copy(update={"limits": edited})
    stage = build_stage(lives.settings, lives.journal, lives.venue)
    stage.restore(a_bar())
    (alert,) = [each for each in stage.recover() if isinstance(each, RiskAlert) and each.code == "LIMITS_IN_FORCE"]
    assert alert.detail == "limits are as configured anew; looser than what was in force: max_order_quantity"
    assert codes(tell(stage, an_intent(1, quantity=6.0))) == [""]


def test_a_start_with_looser_limits_than_the_last_is_said():
    lives = Lives()
    wanted = [
        {},
        {"max_order_quantity": 5.0},
        {"max_order_quantity": 5.0},
        {"max_order_quantity": 7.0, "price_collar": 0.01},
    ]
    said = []
    for changes in wanted:
        limits = lives.settings.limits.model_copy(update=changes)
        stage = build_stage(lives.settings.model_copy(update={"limits": limits}), lives.journal, lives.venue)
        said.append([each.detail for each in stage.recover() if isinstance(each, RiskAlert)])
    assert said == [[], [], [], ["limits are as configured anew; looser than what was in force: max_order_quantity"]]


@pytest.mark.parametrize("text", ["{", "3", "[1]", "[{}, 5]", '[{}, {"max_order_quantity": "many"}]'])
def test_limits_that_were_made_tighter_and_cannot_be_read_refuse_to_start(text):
    lives = Lives()
    lives.next().supervision.tighten(
        lives.settings.limits.model_copy(update={"max_order_quantity": 5.0}), "ann", "drill"
    )
    (name,) = [each for each in lives.journal.notes() if "limits" in each]
    lives.journal.note({name: text})
    with pytest.raises(JournalError, match="limits"):
        lives.next()


def a_kill(number, scope, target):
    where = {"scope": scope, "target": target, "operator": "ada", "reason": "drill"}
    return KillSwitchCommand(command_id=an_intent(number).intent_id, timestamp=NOON, engage=True, **where)


@pytest.mark.parametrize(
    ("scope", "target", "unknown"),
    [
        (KillScope.STRATEGY, "default", False),
        (KillScope.STRATEGY, "*", False),
        (KillScope.STRATEGY, "defualt", True),
        (KillScope.SYMBOL, "AAPL", False),
        (KillScope.SYMBOL, "APPL", True),
        (KillScope.ACCOUNT, "ELSEWHERE", False),
        (KillScope.GLOBAL, "*", False),
    ],
)
@pytest.mark.parametrize("while_down", [False, True])
def test_a_kill_by_message_of_what_nobody_knows_is_latched_with_an_alarm(scope, target, unknown, while_down):
    lives = Lives()
    stage = lives.next()
    tell(stage, a_bar(), an_intent())
    kill = a_kill(950, scope, target)
    if while_down:
        stage = build_stage(lives.settings, lives.journal, lives.venue)
        for message in (a_bar(), kill):
            stage.restore(message)
        said = stage.recover()
    else:
        said = tell(stage, kill)
    found = [each.code for each in said if isinstance(each, RiskAlert)]
    assert ("KILL_TARGET_UNKNOWN" in found, "KILL_SWITCH_ENGAGED" in found) == (unknown, True)


def test_every_cancel_slows_orders_down_whoever_wants_it():
    throttle = {"rate_per_second": 0.001, "burst": 5.0, "cancel_reserve": 0.0}
    resting = {"order_type": OrderType.LIMIT, "limit_price": 50.0}
    wanted = {"after": 30, "unfilled": "cancel"}
    for by_person, left in ((True, 1), (False, 1), (None, 3)):
        stage = Lives(throttle=throttle, unfilled=wanted if by_person is False else None).next()
        tell(stage, a_bar(), an_intent(1, **resting), an_intent(2, **resting))
        if by_person:
            for number in (1, 2):
                stage.cancel(an_intent(number).intent_id, f"r{number}", "ada: drill")
        tell(stage, a_bar(1))
        assert len(stage.desk.open_orders) == (2 if by_person is None else 0)
        said = tell(stage, *(an_intent(number, 1) for number in range(10, 15)))
        assert codes(said) == [""] * left + ["RATE_LIMIT_EXCEEDED"] * (5 - left)
