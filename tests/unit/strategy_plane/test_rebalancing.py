"""The rebalancing engine plans when it is due, waits for approval, sells before it buys, and never asks twice."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from contracts.base import Message
from contracts.control import (
    PlanDecision,
    PlanProgress,
    PlanState,
    RebalancePlan,
    RiskAlert,
    TradeState,
    Verdict,
)
from contracts.market import BarEvent, SliceEvent
from contracts.plan_content import content_hash
from contracts.trading import ExecutionReport, OrderIntent, OrderStatus, Side
from kernel.ports import Unprocessable
from strategy_plane.engines.book import Book
from strategy_plane.engines.orders import TradingRules
from strategy_plane.engines.plans import RebalanceRules
from strategy_plane.engines.rebalance_calendar import RebalanceCalendar, drifted, period_of
from strategy_plane.engines.rebalancing import RebalancingEngine
from strategy_plane.engines.slices import SliceAssembler
from strategy_plane.strategies.port import Alarm, Basis, Frequency, Portfolio, Targets

START = datetime(2024, 1, 30, 21, tzinfo=UTC)
"""Day 0 is 30 January, so day 2 begins a month."""


class Scripted:
    """Wants from each day on what the script says, and notes when it was asked."""

    period = 1

    def __init__(self, script: Mapping[int, Targets | None], warm_up: int = 1) -> None:
        self.script, self.warm_up = script, warm_up
        self.asked: list[int] = []

    def on_bar(self, bar: BarEvent) -> None:
        """Nothing is learnt."""

    def decide(self, moment: SliceEvent, portfolio: Portfolio) -> Targets | None:
        day = (moment.timestamp - START).days
        self.asked.append(day)
        return self.script[max(known for known in self.script if known <= day)]


class Watching(Scripted):
    """Cannot wait, from each day of ``watched`` on, to hold no more than that weight of A."""

    watched: Mapping[int, float]

    def at_once(self, moment: SliceEvent, portfolio: Portfolio) -> Targets | None:
        day = (moment.timestamp - START).days
        most = self.watched[max(known for known in self.watched if known <= day)]
        return Targets({"A": most}) if portfolio.weight("A") > most else None


class Market:
    """An engine, its bars and an order plane that fills at the close of the next day, whatever ``fills`` lets it."""

    def __init__(
        self,
        script: Mapping[int, Targets | None],
        rules: RebalanceRules,
        *,
        warm_up: int = 1,
        cash: float = 10_000.0,
        trading: TradingRules | None = None,
        watched: Mapping[int, float] | None = None,
    ) -> None:
        self.strategy = Scripted(script, warm_up) if watched is None else Watching(script, warm_up)
        if isinstance(self.strategy, Watching):
            self.strategy.watched = watched or {}
        self.engine = RebalancingEngine(
            self.strategy, SliceAssembler("1d"), Book(cash), trading or TradingRules("s"), rules
        )
        self.day = -1
        self.waiting: list[OrderIntent] = []
        self.prices = dict.fromkeys("ABC", 100.0)
        self.said: list[Message] = []

    def tell(self, message: Message) -> list[Message]:
        found = list(self.engine.handlers[type(message)](message))
        self.waiting += [each for each in found if isinstance(each, OrderIntent)]
        self.said += found
        return found

    def next(self, fills: Mapping[str, float] | None = None, missing: Sequence[str] = ()) -> list[Message]:
        """A day: yesterday's orders are answered, then bars and their slice are told."""
        self.day += 1
        self.answer({} if fills is None else fills)
        moment = START + timedelta(days=self.day)
        symbols = tuple(symbol for symbol in self.prices if symbol not in missing)
        for symbol in symbols:
            price = self.prices[symbol]
            self.tell(
                BarEvent(
                    symbol=symbol,
                    timestamp=moment,
                    open=price,
                    high=price,
                    low=price,
                    close=price,
                    volume=0.0,
                    bar_size="1d",
                )
            )
        return self.tell(SliceEvent(timestamp=moment, bar_size="1d", symbols=symbols))

    def answer(self, fills: Mapping[str, float]) -> None:
        """Fill the share that ``fills`` names, all by default, and let the rest expire; -1 leaves an order working."""
        waiting, self.waiting = self.waiting, []
        for intent in waiting:
            share = fills.get(intent.symbol, 1.0)
            if share < 0.0:
                self.waiting.append(intent)
                continue
            filled = intent.quantity * share
            self.tell(
                ExecutionReport(
                    intent_id=intent.intent_id,
                    order_id="1",
                    symbol=intent.symbol,
                    status=OrderStatus.FILLED if share == 1.0 else OrderStatus.EXPIRED,
                    filled_quantity=filled,
                    avg_fill_price=self.prices[intent.symbol] if filled else None,
                    timestamp=intent.timestamp + timedelta(days=1),
                    direction=intent.direction,
                    strategy_id="s",
                )
            )

    def decide(self, plan: RebalancePlan, verdict: Verdict = Verdict.APPROVED, **changes: object) -> list[Message]:
        facts = {
            "plan_id": plan.plan_id,
            "strategy_id": "s",
            "timestamp": START + timedelta(days=self.day, hours=1),
            "verdict": verdict,
            "operator": "j.doe",
            "reason": "looked at",
            "content_hash": plan.content_hash,
        }
        return self.tell(PlanDecision(**(facts | changes)))


def weights(**values: float) -> Targets:
    return Targets(values)


def trades(said: Sequence[Message]) -> list[tuple[str, str, float]]:
    return [(each.symbol, each.direction.value, each.quantity) for each in said if isinstance(each, OrderIntent)]


def plans(said: Sequence[Message]) -> list[RebalancePlan]:
    return [each for each in said if isinstance(each, RebalancePlan)]


def states(said: Sequence[Message]) -> list[str]:
    return [each.state.value for each in said if isinstance(each, PlanProgress)]


MONTHLY = RebalanceRules()


def test_a_plan_is_made_at_the_start_and_in_each_new_month_and_not_between():
    market = Market({0: weights(A=0.5), 1: weights(A=0.2, B=0.4)}, MONTHLY)
    days = [market.next() for _ in range(34)]
    made = [day for day, said in enumerate(days) if plans(said)]
    assert made == [0, 2, 31]  # 30 January, 1 February, 1 March
    (first,), (second,) = plans(days[0]), plans(days[2])
    assert first.reasons == ("monthly rebalance of 2024-01",)
    assert second.current_weights == {"A": 0.5}
    assert second.target_weights == {"A": 0.2, "B": 0.4}
    assert trades(days[0]) == [("A", "BUY", 50.0)]
    assert trades(days[2]) == [("A", "SELL", 30.0)]
    assert trades(days[3]) == [("B", "BUY", 40.0)]
    assert (states(days[2]), states(days[3])) == (["SELLING"], ["BUYING"])
    assert states(days[4]) == ["COMPLETED"]
    assert trades(days[31]) == []
    assert plans(days[31])[0].trades == ()


def test_a_plan_carries_the_hash_of_its_content():
    (plan,) = plans(Market({0: weights(A=0.5)}, MONTHLY).next())
    assert plan.content_hash == content_hash(plan)
    assert plan.content_hash != content_hash(plan.model_copy(update={"reasons": ("other",)}))


def test_nothing_is_asked_before_the_warm_up_and_the_wait_goes_on_while_nothing_is_wanted():
    market = Market({0: None, 5: weights(A=0.5)}, MONTHLY, warm_up=4)
    for _ in range(8):
        market.next()
    assert market.strategy.asked == [3, 4, 5]


def test_buys_wait_for_every_sell_to_end_and_go_as_far_as_cash():
    market = Market({0: weights(A=0.9), 2: weights(A=0.0, C=0.5, B=0.5)}, MONTHLY)
    market.next(), market.next()
    planned = market.next()
    assert trades(planned) == [("A", "SELL", 90.0)]
    assert [trade.symbol for trade in plans(planned)[0].trades] == ["A", "C", "B"]
    assert trades(market.next({"A": -1})) == []  # the sell still works
    bought = market.next({"A": 0.5})  # half was sold, the rest expired: 5,500 of cash
    assert trades(bought) == [("C", "BUY", 50.0), ("B", "BUY", 5.0)]
    (progress,) = [each for each in bought if isinstance(each, PlanProgress)]
    assert [each.reason for each in progress.trades] == [None, None, "cash pays for 5 of 50 units"]
    (done,) = [each for each in market.next({"C": 0.0, "B": 0.4}) if isinstance(each, PlanProgress)]
    assert done.state is PlanState.COMPLETED
    assert [each.state for each in done.trades] == [TradeState.PARTIAL, TradeState.UNFILLED, TradeState.PARTIAL]
    for _ in range(20):
        assert trades(market.next()) == []  # what is unfilled is not ordered again


def test_an_order_that_was_refused_is_unfilled_with_the_reason_of_the_refusal():
    market = Market({0: weights(A=0.5)}, MONTHLY)
    (intent,) = [each for each in market.next() if isinstance(each, OrderIntent)]
    market.waiting.clear()
    market.tell(
        ExecutionReport(
            intent_id=intent.intent_id,
            order_id="1",
            symbol="A",
            status=OrderStatus.REJECTED,
            filled_quantity=0.0,
            timestamp=intent.timestamp,
            reject_reason="MAX_ORDER_VALUE: too large",
            strategy_id="s",
        )
    )
    (done,) = [each for each in market.next() if isinstance(each, PlanProgress)]
    assert done.state is PlanState.COMPLETED
    assert [(each.state, each.reason) for each in done.trades] == [(TradeState.UNFILLED, "MAX_ORDER_VALUE: too large")]


def test_buys_that_waited_for_sells_leave_the_buffer_uninvested():
    script = {0: weights(A=1.0), 2: weights(A=0.0, B=0.5, C=0.5)}
    market = Market(script, MONTHLY, trading=TradingRules("s", cash_buffer=0.1))
    market.next(), market.next(), market.next()
    bought = market.next({"A": 0.5})  # 4,500 of what was held, and 1,000 that is the buffer
    assert trades(bought) == [("B", "BUY", 45.0)]
    market.next()
    assert market.engine.book.cash == pytest.approx(0.1 * market.engine.book.equity())


def test_what_cash_does_not_pay_for_is_skipped_with_its_reason():
    market = Market({0: weights(A=0.995, B=0.5, C=0.5)}, MONTHLY)
    (plan,) = plans(market.next())
    assert [(trade.symbol, trade.quantity) for trade in plan.trades] == [("A", 99.0), ("B", 1.0)]
    assert [(each.symbol, each.reason) for each in plan.skipped] == [("C", "NO_CASH")]
    market = Market({0: weights(A=0.8)}, MONTHLY)
    market.prices["A"] = 20_000.0
    (plan,) = plans(market.next())
    assert (plan.trades, plan.skipped) == ((), ())


def test_a_buy_whose_cash_is_gone_when_its_turn_comes_is_skipped():
    market = Market({0: weights(A=0.9), 2: weights(A=0.0, B=0.5)}, MONTHLY)
    market.next(), market.next(), market.next()
    market.prices["B"] = 2000.0
    said = market.next({"A": 0.0})
    assert trades(said) == []
    (progress,) = [each for each in said if isinstance(each, PlanProgress)]
    assert progress.state is PlanState.COMPLETED
    assert [each.state for each in progress.trades] == [TradeState.UNFILLED, TradeState.SKIPPED]
    assert progress.trades[1].reason == "cash pays for 0 of 50 units"


def test_a_buy_without_a_bar_at_its_turn_is_skipped_and_the_others_go_on():
    market = Market({0: weights(A=0.9), 2: weights(A=0.0, B=0.3, C=0.3)}, MONTHLY)
    market.next(), market.next(), market.next()
    said = market.next(missing="B")
    assert trades(said) == [("C", "BUY", 30.0)]
    (progress,) = [each for each in said if isinstance(each, PlanProgress)]
    assert [each.reason for each in progress.trades] == [None, "no bar at this moment", None]


def test_a_position_beyond_all_measure_stops_planning():
    market = Market({0: weights(A=1.5)}, RebalanceRules(within_cash=False, drift_band=0.1))
    market.next(), market.next()
    market.prices["A"] = 33.4
    said = market.next()
    assert [each.code for each in said if isinstance(each, RiskAlert)] == ["PORTFOLIO_UNKNOWN"] * len(said)
    assert said


def test_symbols_without_a_bar_are_left_alone_and_named():
    market = Market({0: weights(A=0.3, B=0.3)}, MONTHLY)
    (plan,) = plans(market.next(missing="B"))
    assert [trade.symbol for trade in plan.trades] == ["A"]
    assert [(each.symbol, each.reason) for each in plan.skipped] == [("B", "NO_PRICE")]
    assert {check.name: check.passed for check in plan.checks} == {"TURNOVER": True, "CASH": True, "PRICES": False}


def test_buffer_cap_and_least_value_shape_the_plan():
    rules = RebalanceRules(turnover_cap=0.45)
    market = Market({0: weights(A=0.5, B=0.5)}, rules, trading=TradingRules("s", lot=0.001, cash_buffer=0.1))
    (plan,) = plans(market.next())
    assert plan.target_weights == pytest.approx({"A": 0.225, "B": 0.225})
    assert [trade.quantity for trade in plan.trades] == pytest.approx([22.5, 22.5])
    assert {check.name: check.passed for check in plan.checks}["TURNOVER"] is False
    market = Market({0: weights(A=0.5, B=0.01)}, MONTHLY, trading=TradingRules("s", min_trade_value=200.0))
    (plan,) = plans(market.next())
    assert [(each.symbol, each.reason) for each in plan.skipped] == [("B", "TOO_SMALL")]


def test_targets_in_units_are_planned_too():
    market = Market({0: Targets({"A": 30.0}, Basis.UNITS)}, MONTHLY)
    said = market.next()
    assert trades(said) == [("A", "BUY", 30.0)]
    assert plans(said)[0].target_weights == {"A": 0.3}


def test_drift_beyond_the_band_calls_for_a_plan_between_months():
    market = Market({0: weights(A=0.5)}, RebalanceRules(every=Frequency.QUARTERLY, drift_band=0.1))
    for _ in range(4):
        market.next()
    market.prices["A"] = 140.0
    assert plans(market.next()) == []  # 58 percent
    market.prices["A"] = 160.0
    (plan,) = plans(market.next())
    assert plan.reasons == ("weights drifted by more than 0.1: A",)
    assert trades(market.said)[-1][:2] == ("A", "SELL")


def test_purchases_leave_cash_for_their_commission_and_the_next_bar():
    rules = RebalanceRules(cost_allowance=0.02)
    market = Market({0: weights(A=0.5, B=0.5), 2: weights(A=0.0, B=0.0, C=1.0)}, rules)
    (first,) = plans(market.next())
    assert [(trade.symbol, trade.quantity) for trade in first.trades] == [("A", 50.0), ("B", 48.0)]
    market.prices |= {"A": 102.0, "B": 102.0}
    market.next()
    assert market.engine.book.cash == pytest.approx(4.0)
    market.prices |= {"A": 100.0, "B": 100.0}
    market.next()
    assert trades(market.next()) == [("C", "BUY", 96.0)]  # 9,804 of cash, at 102 each
    market.prices["C"] = 102.0
    market.next()
    assert market.engine.book.cash == pytest.approx(12.0)


def test_leverage_is_bought_only_where_it_is_allowed():
    said = Market({0: weights(A=1.5)}, RebalanceRules(within_cash=False)).next()
    assert trades(said) == [("A", "BUY", 150.0)]


class TestApproval:
    """Nothing of a plan that needs approval is ordered without it."""

    RULES = RebalanceRules(requires_approval=True)

    def test_an_approval_sends_the_sells_at_once_and_names_the_plan(self):
        market = Market({0: weights(A=0.9)}, self.RULES)
        (plan,) = plans(market.next())
        assert plan.requires_approval
        assert trades(market.next()) == []
        said = market.decide(plan)
        assert trades(said) == [("A", "BUY", 90.0)]
        assert {each.plan_id for each in said if isinstance(each, OrderIntent)} == {plan.plan_id}
        assert market.decide(plan) == []
        assert states(market.next())[:1] == ["COMPLETED"]

    def test_a_refusal_ends_the_plan_until_the_next_month(self):
        market = Market({0: weights(A=0.9)}, self.RULES)
        (plan,) = plans(market.next())
        said = market.decide(plan, Verdict.REFUSED)
        assert states(said) == ["REFUSED"]
        assert [each.trades[0].state for each in said if isinstance(each, PlanProgress)] == [TradeState.SKIPPED]
        assert market.next() == []
        assert len(plans(market.next())) == 1

    def test_a_plan_without_a_trade_asks_nobody(self):
        market = Market({0: weights(A=0.5), 2: weights(A=0.5)}, self.RULES)
        market.decide(plans(market.next())[0])
        market.next()
        said = market.next()  # a new month, and nothing to do in it
        assert [each.trades for each in plans(said)] == [()]
        assert states(said) == ["SELLING", "COMPLETED"]

    def test_only_this_very_content_can_be_approved(self):
        market = Market({0: weights(A=0.9)}, self.RULES)
        (plan,) = plans(market.next())
        for changes in (
            {"content_hash": "0" * 64},
            {"plan_id": UUID(int=5)},
        ):
            (said,) = market.decide(plan, **changes)
            assert isinstance(said, RiskAlert)
            assert said.code == "PLAN_DECISION_UNKNOWN"
        assert market.decide(plan, strategy_id="other") == []
        assert trades(market.next()) == []

    def test_a_plan_nobody_decides_on_runs_out(self):
        market = Market({0: weights(A=0.9)}, RebalanceRules(every=Frequency.QUARTERLY, requires_approval=True))
        (plan,) = plans(market.next())
        said = [market.next() for _ in range(6)]
        assert [states(each) for each in said] == [[], [], [], [], ["EXPIRED"], []]
        assert isinstance(market.decide(plan)[0], RiskAlert)

    @pytest.mark.parametrize(("hours", "state"), [(23, "SELLING"), (24, "EXPIRED"), (72, "EXPIRED")])
    def test_an_approval_counts_by_its_own_time_though_no_bar_came_since(self, hours: int, state: str):
        market = Market({0: weights(A=0.9)}, RebalanceRules(requires_approval=True, valid_for=timedelta(days=1)))
        (plan,) = plans(market.next())
        said = market.decide(plan, timestamp=START + timedelta(hours=hours))
        assert states(said)[:1] == [state]
        assert trades(said) == ([("A", "BUY", 90.0)] if state == "SELLING" else [])

    def test_a_plan_still_waiting_when_the_next_is_due_is_superseded(self):
        market = Market({0: weights(A=0.9)}, RebalanceRules(requires_approval=True, valid_for=timedelta(days=60)))
        market.next(), market.next()
        said = market.next()
        assert states(said) == ["SUPERSEDED"]
        assert len(plans(said)) == 1


def test_a_plan_that_runs_out_while_its_sells_work_buys_nothing():
    market = Market({0: weights(A=0.9), 2: weights(B=0.9, A=0.0)}, MONTHLY)
    market.next(), market.next(), market.next()
    said = [market.next({"A": -1}) for _ in range(6)]
    assert [trades(each) for each in said] == [[]] * 6
    (last,) = [each for part in said for each in part if isinstance(each, PlanProgress)]
    assert last.state is PlanState.EXPIRED
    assert {each.symbol: each.state for each in last.trades} == {"A": TradeState.UNFILLED, "B": TradeState.SKIPPED}
    assert "ran out" in str(last.trades[1].reason)


def test_a_plan_whose_buys_still_work_when_it_runs_out_expires():
    market = Market({0: weights(A=0.9)}, RebalanceRules(every=Frequency.QUARTERLY))
    market.next()
    said = [market.next({"A": -1}) for _ in range(5)]
    assert [states(each) for each in said] == [[], [], [], [], ["EXPIRED"]]


@pytest.mark.parametrize(
    ("targets", "code"),
    [
        (weights(A=float("nan")), "INVALID_TARGET"),
        (weights(A=101.0), "INVALID_TARGET"),
        (Targets({}, alarm=Alarm("OPTIMIZER_KEPT", "limits conflict")), "OPTIMIZER_KEPT"),
    ],
)
def test_what_cannot_be_planned_is_an_alert_and_is_asked_again(targets: Targets, code: str):
    market = Market({0: targets, 1: weights(A=0.1)}, MONTHLY)
    (said,) = market.next()
    assert isinstance(said, RiskAlert)
    assert said.code == code
    assert trades(market.next()) == [("A", "BUY", 10.0)]


def test_a_ruined_book_plans_nothing():
    market = Market({0: weights(A=0.1)}, MONTHLY, cash=-5.0)
    (said,) = market.next()
    assert isinstance(said, RiskAlert)
    assert said.code == "PORTFOLIO_UNKNOWN"


def test_a_fill_without_direction_is_refused_and_foreign_reports_change_nothing():
    market = Market({0: weights(A=0.1)}, MONTHLY)
    (intent,) = [each for each in market.next() if isinstance(each, OrderIntent)]
    facts = {
        "intent_id": intent.intent_id,
        "order_id": "1",
        "symbol": "A",
        "status": OrderStatus.FILLED,
        "filled_quantity": 10.0,
        "avg_fill_price": 100.0,
        "timestamp": intent.timestamp,
    }
    assert market.tell(ExecutionReport(**facts, strategy_id="other", direction=Side.BUY)) == []
    assert market.engine.book.positions == {}
    with pytest.raises(Unprocessable, match="direction"):
        market.tell(ExecutionReport(**facts, strategy_id="s"))


@pytest.mark.parametrize(
    ("frequency", "name"),
    [
        (Frequency.DAILY, "2024-12-30"),
        (Frequency.WEEKLY, "2025-W01"),
        (Frequency.MONTHLY, "2024-12"),
        (Frequency.QUARTERLY, "2024-Q4"),
    ],
)
def test_periods_have_the_names_people_use(frequency: Frequency, name: str):
    assert period_of(datetime(2024, 12, 30, 21, tzinfo=UTC), frequency) == name


def test_a_period_is_due_until_something_was_planned_in_it():
    calendar = RebalanceCalendar(Frequency.MONTHLY)
    assert not calendar.is_due(None)
    calendar.note(START)
    assert calendar.is_due(None)
    assert not calendar.is_due(START)
    calendar.note(START + timedelta(days=2))
    assert calendar.is_due(START)


def test_drift_names_what_moved_in_either_direction():
    assert drifted({"A": 0.5, "B": 0.2}, {"A": 0.3, "C": 0.15}, 0.12) == ["A", "B", "C"]
    assert drifted({"A": 0.5}, {"A": 0.9}, 0.0) == []


def test_what_cannot_wait_is_planned_outside_the_calendar():
    rules = RebalanceRules(every=Frequency.QUARTERLY)
    market = Market({0: weights(A=0.8)}, rules, watched={0: 1.0, 3: 0.4, 4: 0.4 - 1e-12})
    days = [market.next() for _ in range(6)]
    assert [day for day, said in enumerate(days) if plans(said)] == [0, 3]  # on day 4 there is nothing to trade
    assert trades(days[3]) == [("A", "SELL", 40.0)]
    assert "beyond" in plans(days[3])[0].reasons[0]


ASKED = RebalanceRules(every=Frequency.QUARTERLY, requires_approval=True, valid_for=timedelta(days=60))


def alerts(said: Sequence[Message]) -> list[str]:
    return [each.code for each in said if isinstance(each, RiskAlert)]


class TestABoundThatTightens:
    """What cannot wait does not wait for a plan either."""

    def test_a_plan_that_waits_is_withdrawn_and_planned_again_within_the_bound(self):
        market = Market({0: weights(A=0.8, B=0.2), 2: weights(A=0.3, B=0.2)}, ASKED, watched={0: 1.0, 2: 0.4})
        (first,) = plans(market.next())
        assert market.next() == []
        said = market.next()
        assert states(said) == ["SUPERSEDED"]
        (ended,) = [each for each in said if isinstance(each, PlanProgress)]
        assert {(each.state, "bounds allow" in str(each.reason)) for each in ended.trades} == {
            (TradeState.SKIPPED, True)
        }
        assert alerts(said) == ["PLAN_WITHDRAWN"]
        (second,) = plans(said)
        assert second.target_weights == {"A": 0.3, "B": 0.2}
        assert second.requires_approval
        assert "before its time" in second.reasons[0]
        assert alerts(market.decide(first)) == ["PLAN_DECISION_UNKNOWN"]
        assert trades(market.decide(second)) == [("A", "BUY", 30.0), ("B", "BUY", 20.0)]

    def test_a_cut_that_waits_is_kept_until_the_bound_tightens_again(self):
        market = Market({0: weights(A=0.8)}, ASKED, watched={0: 1.0, 3: 0.4, 6: 0.2})
        market.decide(plans(market.next())[0])
        market.next(), market.next()
        (cut,) = plans(market.next())
        assert cut.target_weights == {"A": 0.4}
        market.prices["A"] = 110.0  # more is held than is allowed, and the plan that cuts it still waits
        assert [plans(market.next()) for _ in range(2)] == [[], []]
        market.prices["A"] = 100.0
        said = market.next()
        assert states(said) == ["SUPERSEDED"]
        (deeper,) = plans(said)
        assert deeper.reasons == cut.reasons
        assert trades(market.decide(deeper)) == [("A", "SELL", 60.0)]
        assert market.strategy.asked == [0]  # a cut is no rebalance

    def test_buys_that_wait_for_sells_are_withdrawn_and_the_sells_go_on(self):
        script = {0: weights(B=0.8), 2: weights(B=0.0, A=0.8), 3: weights(B=0.0, A=0.4)}
        market = Market(script, RebalanceRules(every=Frequency.MONTHLY), watched={0: 1.0, 3: 0.4})
        market.next(), market.next()
        assert trades(market.next()) == [("B", "SELL", 80.0)]
        said = market.next({"B": -1})
        (ended,) = [each for each in said if isinstance(each, PlanProgress) and each.state is PlanState.SUPERSEDED]
        assert {each.symbol: each.state for each in ended.trades} == {"A": TradeState.SKIPPED, "B": TradeState.ORDERED}
        assert plans(said)[0].target_weights == {"A": 0.4, "B": 0.0}
        assert trades([*said, *market.next()]) == [("A", "BUY", 20.0)]  # what there was cash for before the sells

    def test_a_plan_whose_orders_have_all_ended_is_complete(self):
        market = Market({0: weights(A=0.8)}, RebalanceRules(every=Frequency.QUARTERLY), watched={0: 1.0, 1: 0.4})
        market.next()
        said = market.next()
        assert states(said)[0] == "COMPLETED"
        assert trades(said) == [("A", "SELL", 40.0)]

    def test_a_turnover_cap_does_not_defeat_the_bound(self):
        rules = RebalanceRules(every=Frequency.QUARTERLY, turnover_cap=0.1)
        market = Market({0: weights(A=0.8)}, rules, watched={0: 1.0, 1: 0.02})
        assert trades(market.next()) == [("A", "BUY", 10.0)]
        said = market.next()
        assert trades(said) == [("A", "SELL", 8.0)]
        market = Market({0: weights(A=0.8)}, rules, watched={0: 1.0, 12: 0.1}, warm_up=1)
        market.engine.book.report(held("A", 80.0))
        said = [market.next() for _ in range(14)]
        (cut,) = [plan for day in said for plan in plans(day) if plan.trades]
        assert "turnover cap is left aside" in cut.reasons[-1]
        assert cut.trades[0].quantity == pytest.approx(70.0, abs=1.0)

    def test_what_is_withdrawn_while_nothing_can_be_wanted_is_planned_later(self):
        script = {0: weights(A=0.8), 2: Targets({}, alarm=Alarm("OPTIMIZER_KEPT", "limits")), 4: weights(A=0.3)}
        market = Market(script, ASKED, watched={0: 1.0, 2: 0.4})
        days = [market.next() for _ in range(6)]
        assert [day for day, said in enumerate(days) if plans(said)] == [0, 4]
        assert alerts(days[2]) == ["PLAN_WITHDRAWN", "OPTIMIZER_KEPT"]


def held(symbol: str, units: float) -> ExecutionReport:
    """A report of a fill before the first day."""
    return ExecutionReport(
        intent_id=UUID(int=7),
        order_id="0",
        symbol=symbol,
        status=OrderStatus.FILLED,
        filled_quantity=units,
        avg_fill_price=100.0,
        timestamp=START - timedelta(days=1),
        direction=Side.BUY,
        strategy_id="s",
    )
