"""The controls that are only there when their limit is set: under, at and over it, and with each input broken."""

from datetime import UTC, date, datetime, time, timedelta
from math import inf, isnan, nan
from uuid import UUID

import pytest

from contracts.control import PlanDecision, PlannedTrade, RebalancePlan, Verdict
from contracts.plan_content import signed
from contracts.trading import Side
from domain.calendar import SessionCalendar, always_open
from order_plane.approved_plans import ApprovedPlans
from order_plane.controls import Controls
from order_plane.limit_settings import LimitSettings, loosened
from order_plane.risk.exposure import max_net_exposure, max_position, max_strategy_notional
from order_plane.risk.funds import buying_power, max_concentration, max_daily_loss
from order_plane.risk.permission import approved_plan, not_restricted, own_account
from order_plane.risk.port import NO_BOOKS
from order_plane.risk.traffic import max_orders_per_execution
from order_plane.settings import OrderSettings

HOUR = timedelta(hours=1)


class Books:
    """What a test says."""

    def __init__(
        self,
        net=(0.0, 0.0),
        strategy=(0.0, 0.0),
        equity=0.0,
        result=0.0,
        admitted=0,
        executions=0,
        ordered=0.0,
        reach=(0.0, 0.0),
    ):
        self.reach = lambda symbol, strategy_id: reach
        self.net = lambda max_age: net
        self.strategy_notional = lambda strategy_id, symbol, order: strategy
        self.equity = lambda max_age: equity
        self.ordered = lambda plan_id, symbol, side: ordered
        self.day_result = lambda max_age: result
        self.admitted, self.executions = admitted, executions


def code_of(refusal):
    return None if refusal is None else refusal.code


@pytest.mark.parametrize(
    ("side", "net", "refused"),
    [
        (Side.BUY, (0.0, 0.0), False),
        (Side.BUY, (0.0, 0.01), True),
        (Side.BUY, (-9e9, 0.0), False),
        (Side.SELL, (0.0, 0.0), False),
        (Side.SELL, (-0.01, 0.0), True),
        (Side.SELL, (0.0, 9e9), False),
        (Side.BUY, (nan, nan), True),
        (Side.SELL, (-inf, inf), True),
    ],
)
def test_net_exposure(make_intent, make_view, side, net, refused):
    found = max_net_exposure(1_000.0, HOUR)(make_intent(direction=side), make_view(books=Books(net=net)))
    assert code_of(found) == ("NET_EXPOSURE_EXCEEDED" if refused else None)


@pytest.mark.parametrize(
    ("notional", "refused"),
    [((0.0, 999.9), False), ((0.0, 1_000.0), False), ((0.0, 1_000.1), True), ((3e3, 2e3), False), ((nan, nan), True)],
)
def test_strategy_notional(make_intent, make_view, notional, refused):
    found = max_strategy_notional(1_000.0)(make_intent(), make_view(books=Books(strategy=notional)))
    assert code_of(found) == ("STRATEGY_NOTIONAL_EXCEEDED" if refused else None)


@pytest.mark.parametrize(
    ("before", "after", "refused"), [(0.0, 10.0, False), (0.0, 10.1, True), (30.0, 20.0, False), (0.0, nan, True)]
)
def test_position(make_intent, make_view, before, after, refused):
    found = max_position(10.0)(make_intent(), make_view(units_before=before, units_after=after))
    assert code_of(found) == ("POSITION_EXCEEDED" if refused else None)


@pytest.mark.parametrize(
    ("control", "code", "at", "over"),
    [
        (max_concentration(0.5, HOUR), "CONCENTRATION_EXCEEDED", 2_000.0, 1_999.0),
        (buying_power(2.0, HOUR), "BUYING_POWER_EXCEEDED", 500.0, 499.0),
    ],
)
def test_limits_by_equity(make_intent, make_view, control, code, at, over):
    for equity, refused in [(at, None), (over, code), (nan, code), (-inf, code)]:
        assert code_of(control(make_intent(), make_view(books=Books(equity=equity)))) == refused
    assert code_of(control(make_intent(), make_view(reference=nan, books=Books(equity=at)))) == code
    assert code_of(control(make_intent(), make_view())) == code
    smaller = make_view(units_before=10.0, units_after=5.0)
    assert control(make_intent(), smaller) is None


@pytest.mark.parametrize(
    ("result", "refused"), [(-99.9, False), (-100.0, False), (-100.1, True), (nan, True), (inf, True)]
)
def test_daily_loss(make_intent, make_view, result, refused):
    found = max_daily_loss(100.0, HOUR)(make_intent(), make_view(books=Books(result=result)))
    assert code_of(found) == ("DAILY_LOSS_EXCEEDED" if refused else None)
    for held, reduces in [(-10.0, True), (-9.9, False), (nan, False)]:
        view = make_view(units_before=10.0, units_after=10.0, books=Books(result=result, reach=(held, held)))
        found = max_daily_loss(100.0, HOUR)(make_intent(), view)
        assert code_of(found) == (None if reduces or not refused else "DAILY_LOSS_EXCEEDED")


@pytest.mark.parametrize(
    ("admitted", "executions", "refused"), [(9, 0, False), (10, 0, True), (19, 10, False), (20, 10, True)]
)
def test_orders_for_each_execution(make_intent, make_view, admitted, executions, refused):
    view = make_view(books=Books(admitted=admitted, executions=executions))
    found = max_orders_per_execution(2.0, free=10.0)(make_intent(), view)
    assert code_of(found) == ("ORDER_TO_TRADE_RATIO" if refused else None)


def test_restricted_symbols(make_intent, make_view):
    check = not_restricted({"AAPL"})
    assert code_of(check(make_intent(), make_view())) == "RESTRICTED"
    assert check(make_intent(symbol="MSFT"), make_view()) is None


@pytest.mark.parametrize(("account", "refused"), [(None, False), ("MINE", False), ("YOURS", True)])
def test_the_account_of_an_intent(make_intent, make_view, account, refused):
    found = own_account("MINE")(make_intent(account=account), make_view())
    assert code_of(found) == ("WRONG_ACCOUNT" if refused else None)


def a_plan(noon, **changes):
    fields = {
        "plan_id": UUID(int=7),
        "strategy_id": "default",
        "timestamp": noon,
        "valid_until": noon.replace(hour=20),
        "trades": (
            PlannedTrade(symbol="AAPL", direction=Side.BUY, quantity=10.0, current_weight=0.0, target_weight=0.1),
        ),
        "content_hash": "0" * 64,
    }
    return signed(RebalancePlan.model_validate(fields | changes))


def a_decision(plan, verdict=Verdict.APPROVED, **changes):
    fields = {
        "plan_id": plan.plan_id,
        "strategy_id": plan.strategy_id,
        "timestamp": plan.timestamp,
        "verdict": verdict,
        "operator": "ada",
        "reason": "fine",
        "content_hash": plan.content_hash,
    }
    return PlanDecision.model_validate(fields | changes)


def judged(intent, view, *messages):
    plans = ApprovedPlans()
    for message in messages:
        (plans.proposed if isinstance(message, RebalancePlan) else plans.decided)(message)
    return code_of(approved_plan(plans.objection)(intent, view))


def test_only_an_approved_plan_is_ordered_from(make_intent, make_view, noon):
    plan, view = a_plan(noon), make_view(books=Books())
    intent, approval = make_intent(plan_id=plan.plan_id), a_decision(plan)
    assert judged(intent, view, plan, approval) is None
    assert judged(intent, view, approval, plan) is None
    assert judged(make_intent(), view) is None
    corrupt = plan.model_copy(update={"reasons": ("edited",)})
    late = make_view(now=noon.replace(hour=21))
    for broken in [
        judged(intent, view),
        judged(intent, view, plan),
        judged(intent, view, approval),
        judged(intent, view, corrupt, approval),
        judged(intent, view, plan, a_decision(plan, content_hash="1" * 64)),
        judged(intent, view, plan, approval, a_decision(plan, Verdict.REFUSED)),
        judged(intent, late, plan, approval),
        judged(make_intent(plan_id=plan.plan_id, quantity=10.1), view, plan, approval),
        judged(make_intent(plan_id=plan.plan_id, direction=Side.SELL), view, plan, approval),
        judged(make_intent(plan_id=plan.plan_id, strategy_id="other"), view, plan, approval),
    ]:
        assert broken == "UNAPPROVED_PLAN"
    free = a_plan(noon, requires_approval=False)
    assert judged(intent, view, free) is None


def test_a_limit_that_is_not_set_is_not_asked():
    calendar = always_open()
    plain = len(Controls(OrderSettings(mode="simulation"), calendar).checks)
    limits = {
        **dict.fromkeys(("max_net_exposure", "max_strategy_notional", "max_position", "max_concentration"), 1.0),
        **dict.fromkeys(("max_leverage", "max_daily_loss", "max_orders_per_execution"), 1.0),
        **dict.fromkeys(("max_volume_share", "period_collar", "max_strategy_rate"), 1.0),
        "restricted": ["X"],
        "located": {"X": 1.0},
    }
    every = OrderSettings.model_validate({"mode": "simulation", "limits": limits, "verify_plans": True})
    assert len(Controls(every, calendar).checks) == plain + 12


def test_what_counts_as_looser():
    before = LimitSettings(max_position=10.0, restricted={"A"})
    assert loosened(before, before) == []
    assert loosened(before, LimitSettings(max_position=None, restricted={"B"})) == ["max_position", "restricted"]
    tighter = {"max_position": 9.0, "restricted": {"A", "B"}, "max_leverage": 1.0, "duplicate_window": 2.0}
    assert loosened(before, LimitSettings.model_validate(tighter)) == []
    assert loosened(before, before.model_copy(update={"duplicate_window": 0 * before.duplicate_window})) == [
        "duplicate_window"
    ]


def test_a_corrected_calendar():
    opened, closed = datetime(2024, 1, 2, 14, tzinfo=UTC), datetime(2024, 1, 2, 21, tzinfo=UTC)
    session = SessionCalendar("X", date(2024, 1, 1), date(2024, 1, 5), (date(2024, 1, 2),), (opened,), (closed,))
    day, other = date(2024, 1, 2), date(2024, 1, 3)
    calendar = always_open(date(2024, 1, 1), date(2024, 1, 5)).corrected({day}, {other: time(12)})
    assert not calendar.is_open(datetime(2024, 1, 2, 12, tzinfo=UTC))
    assert calendar.is_open(datetime(2024, 1, 3, 12, tzinfo=UTC))
    assert not calendar.is_open(datetime(2024, 1, 3, 12, 1, tzinfo=UTC))
    with pytest.raises(ValueError, match="no session"):
        always_open(date(2024, 1, 1), date(2024, 1, 5)).corrected({date(2025, 1, 1)}, {})
    with pytest.raises(ValueError, match="early close"):
        session.corrected((), {day: time(22)})


def test_books_that_nobody_keeps_know_nothing():
    worth = NO_BOOKS.equity(HOUR), NO_BOOKS.day_result(HOUR)
    unknown = [*NO_BOOKS.net(HOUR), *NO_BOOKS.strategy_notional("s", "A", 1.0), *worth]
    unknown += [NO_BOOKS.lowest("A"), *NO_BOOKS.reach("A")]
    unknown.append(NO_BOOKS.ordered(UUID(int=1), "A", Side.BUY))
    assert all(map(isnan, unknown))
