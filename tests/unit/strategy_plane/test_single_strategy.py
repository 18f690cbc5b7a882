"""The engine trades the difference between what its strategy wants and what is held and worked."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from contracts.base import Message
from contracts.codec import encode
from contracts.control import PortfolioState, RiskAlert
from contracts.market import BarEvent, SliceEvent
from contracts.trading import ExecutionReport, OrderIntent, OrderStatus, Side
from kernel.ports import Unprocessable
from strategy_plane.engines.book import Book
from strategy_plane.engines.orders import TradingRules
from strategy_plane.engines.single_strategy import SingleStrategyEngine
from strategy_plane.engines.slices import SliceAssembler
from strategy_plane.strategies.port import Alarm, Basis, Frequency, Portfolio, Targets

START = datetime(2024, 1, 1, tzinfo=UTC)


class Scripted:
    """Wants what the script says for each day, and notes what it was shown."""

    def __init__(self, script: Mapping[int, Targets | None], warm_up: int = 1, period: int | Frequency = 1) -> None:
        self.script = script
        self.warm_up = warm_up
        self.period = period
        self.asked: list[int] = []
        self.seen: list[tuple[str, int]] = []

    def on_bar(self, bar: BarEvent) -> None:
        self.seen.append((bar.symbol, (bar.timestamp - START).days))

    def decide(self, moment: SliceEvent, portfolio: Portfolio) -> Targets | None:
        day = (moment.timestamp - START).days
        self.asked.append(day)
        return self.script.get(day)


def units(**values: float) -> Targets:
    return Targets(values, Basis.UNITS)


def engine(strategy: Scripted, *, publish_portfolio: bool = False, cash: float = 10_000.0) -> SingleStrategyEngine:
    return SingleStrategyEngine(
        strategy, SliceAssembler("1d"), Book(cash), TradingRules("s"), publish_portfolio=publish_portfolio
    )


def bar(symbol: str, day: int, close: float = 100.0) -> BarEvent:
    moment = START + timedelta(days=day)
    return BarEvent(
        symbol=symbol, timestamp=moment, open=close, high=close, low=close, close=close, volume=0.0, bar_size="1d"
    )


def tell(stage: SingleStrategyEngine, *messages: Message) -> list[Message]:
    return [said for message in messages for said in stage.handlers[type(message)](message)]


def day_of(day: int, *symbols: str, close: float = 100.0) -> list[Message]:
    bars: list[Message] = [bar(symbol, day, close) for symbol in symbols]
    return [*bars, SliceEvent(timestamp=START + timedelta(days=day), bar_size="1d", symbols=symbols)]


def report(
    of: Message, status: OrderStatus, filled: float = 0.0, sequence: int = 1, strategy_id: str = "s"
) -> ExecutionReport:
    assert isinstance(of, OrderIntent)
    return ExecutionReport(
        intent_id=of.intent_id,
        order_id="1",
        symbol=of.symbol,
        status=status,
        filled_quantity=filled,
        avg_fill_price=100.0 if filled else None,
        timestamp=of.timestamp,
        reject_reason="no" if status is OrderStatus.REJECTED else None,
        sequence=sequence,
        direction=of.direction,
        strategy_id=strategy_id,
    )


def sizes(messages: Sequence[Message]) -> list[tuple[str, Side, float]]:
    return [(said.symbol, said.direction, said.quantity) for said in messages if isinstance(said, OrderIntent)]


def test_a_target_becomes_an_intent_once():
    stage = engine(Scripted({0: units(A=5.0), 1: units(A=5.0)}))
    assert sizes(tell(stage, *day_of(0, "A"))) == [("A", Side.BUY, 5.0)]
    assert tell(stage, *day_of(1, "A")) == []


def test_a_late_moment_is_learnt_from_and_not_decided_on():
    script = Scripted({0: units(A=5.0), 1: units(A=5.0)})
    stage = engine(script)
    bars, moment = day_of(0, "A")[:-1], day_of(0, "A")[-1]
    assert tell(stage, *bars, moment.model_copy(update={"late": True})) == []
    assert (script.seen, script.asked) == ([("A", 0)], [])
    assert sizes(tell(stage, *day_of(1, "A"))) == [("A", Side.BUY, 5.0)]


def test_the_gap_counts_working_and_filled_units():
    stage = engine(Scripted({0: units(A=5.0), 1: units(A=8.0), 2: units(A=-2.0)}))
    (first,) = tell(stage, *day_of(0, "A"))
    tell(stage, report(first, OrderStatus.PARTIAL_FILL, 2.0))
    assert sizes(tell(stage, *day_of(1, "A"))) == [("A", Side.BUY, 3.0)]
    assert sizes(tell(stage, *day_of(2, "A"))) == [("A", Side.SELL, 10.0)]


@pytest.mark.parametrize("status", [OrderStatus.REJECTED, OrderStatus.CANCELED, OrderStatus.EXPIRED])
def test_what_an_order_leaves_unfilled_is_wanted_again(status: OrderStatus):
    wish = units(A=5.0)
    stage = engine(Scripted(dict.fromkeys(range(9), wish)))
    (first,) = tell(stage, *day_of(0, "A"))
    assert tell(stage, *day_of(1, "A")) == []
    tell(stage, report(first, OrderStatus.PARTIAL_FILL, 2.0, 1), report(first, status, 2.0, 2))
    again = tell(stage, *day_of(2, "A"))
    assert sizes(again) == [("A", Side.BUY, 3.0)]
    assert again[0] != first


def test_one_wish_object_is_compared_anew_when_holdings_change():
    wish = units(A=5.0)
    stage = engine(Scripted(dict.fromkeys(range(9), wish)))
    (order,) = tell(stage, *day_of(0, "A"))
    tell(stage, report(order, OrderStatus.FILLED, 5.0), *day_of(1, "A"), *day_of(2, "A"))
    stray = report(order, OrderStatus.FILLED, 7.0, 2)
    assert sizes(tell(stage, stray, *day_of(3, "A"))) == [("A", Side.SELL, 2.0)]


def test_a_symbol_without_a_bar_is_traded_when_it_has_one():
    wish = units(A=5.0, B=5.0)
    stage = engine(Scripted(dict.fromkeys(range(9), wish)))
    assert sizes(tell(stage, *day_of(0, "A"))) == [("A", Side.BUY, 5.0)]
    assert sizes(tell(stage, *day_of(1, "A", "B"))) == [("B", Side.BUY, 5.0)]


def test_decisions_start_after_the_warm_up_and_keep_their_period():
    strategy = Scripted({}, warm_up=3, period=2)
    stage = engine(strategy)
    for day in range(9):
        tell(stage, *day_of(day, "A"))
    assert strategy.asked == [2, 4, 6, 8]


def test_a_decision_never_sees_bars_of_a_later_moment():
    strategy = Scripted({})
    stage = engine(strategy)
    tell(stage, bar("A", 0), bar("A", 1), bar("A", 2), *day_of(0, "B")[:1])
    assert strategy.seen == []
    tell(stage, SliceEvent(timestamp=START, bar_size="1d", symbols=("A", "B")))
    assert strategy.seen == [("A", 0), ("B", 0)]
    assert stage.book.marks == {"A": 100.0, "B": 100.0}


def test_the_late_bar_that_completes_a_slice_brings_its_intents():
    stage = engine(Scripted({0: units(A=1.0), 1: units(A=3.0)}))
    slices = [SliceEvent(timestamp=START + timedelta(days=day), bar_size="1d", symbols=("A", "B")) for day in (0, 1)]
    said = tell(stage, bar("A", 0), slices[0], bar("A", 1), slices[1])
    assert said == []
    said = tell(stage, bar("B", 0), bar("B", 1))
    assert sizes(said) == [("A", Side.BUY, 1.0), ("A", Side.BUY, 2.0)]


def test_reports_of_other_strategies_are_not_ours():
    stage = engine(Scripted({0: units(A=5.0)}))
    (order,) = tell(stage, *day_of(0, "A"))
    tell(stage, report(order, OrderStatus.FILLED, 5.0, strategy_id="other"))
    assert stage.book.positions == {}


def test_a_fill_without_direction_is_a_dead_letter_and_changes_nothing():
    stage = engine(Scripted({0: units(A=5.0)}))
    (order,) = tell(stage, *day_of(0, "A"))
    blind = report(order, OrderStatus.FILLED, 5.0).model_copy(update={"direction": None})
    with pytest.raises(Unprocessable, match="/direction"):
        tell(stage, blind)
    stage.restore(blind)
    assert stage.book.holding("A") == 5.0
    assert stage.book.positions == {}


@pytest.mark.parametrize(
    ("targets", "cash", "code"),
    [
        (units(A=math.nan), 1.0, "INVALID_TARGET"),
        (Targets({"A": math.inf}), 1.0, "INVALID_TARGET"),
        (Targets({"A": 0.5}), 0.0, "PORTFOLIO_UNKNOWN"),
        (Targets({}, alarm=Alarm("OPTIMIZER_KEPT", "x" * 2000)), 1.0, "OPTIMIZER_KEPT"),
    ],
)
def test_what_cannot_be_traded_raises_an_alert_and_no_intent(targets: Targets, cash: float, code: str):
    said = tell(engine(Scripted({0: targets}), cash=cash), *day_of(0, "A"))
    assert [(alert.code, alert.timestamp) for alert in said if isinstance(alert, RiskAlert)] == [(code, START)]
    assert sizes(said) == []
    assert encode(said[0])


def test_an_alarm_comes_with_the_intents_of_its_decision():
    targets = Targets({"A": 2.0}, Basis.UNITS, Alarm("NOTE", "something"))
    assert [type(said) for said in tell(engine(Scripted({0: targets})), *day_of(0, "A"))] == [OrderIntent, RiskAlert]


def test_the_portfolio_is_published_only_when_asked_for():
    stage = engine(Scripted({0: units(A=5.0)}), publish_portfolio=True)
    order, state = tell(stage, *day_of(0, "A"))
    assert isinstance(state, PortfolioState)
    assert (state.cash, state.equity, state.positions) == (10_000.0, 10_000.0, {})
    tell(stage, report(order, OrderStatus.FILLED, 5.0))
    (state,) = tell(stage, *day_of(1, "A", close=120.0))
    assert isinstance(state, PortfolioState)
    assert (state.cash, state.equity, state.positions) == (9_500.0, 10_100.0, {"A": 5.0})


def test_a_position_without_a_price_is_reported_instead_of_valued():
    script = {1: Targets({"A": 0.5})}
    stage = engine(Scripted(script), publish_portfolio=True)
    (order,) = tell(engine(Scripted({0: units(Z=5.0)})), *day_of(0, "Z"))
    stage.restore(report(order, OrderStatus.FILLED, 5.0))
    said = tell(stage, *day_of(1, "A"))
    assert [alert.code for alert in said if isinstance(alert, RiskAlert)] == ["PORTFOLIO_UNKNOWN"] * 2


def test_after_a_restart_the_slice_in_hand_gives_the_same_intents():
    script = {0: units(A=5.0), 1: units(A=8.0, B=1.0)}
    first = engine(Scripted(script))
    (earlier,) = tell(first, *day_of(0, "A", "B"))
    said = tell(first, *day_of(1, "A", "B"))

    second = engine(Scripted(script))
    for message in (*said, earlier, *day_of(0, "A", "B")):
        second.restore(message)
    again = tell(second, *day_of(1, "A", "B"))
    assert [encode(message) for message in again] == [encode(message) for message in said]
    assert tell(second, *day_of(2, "A", "B")) == []


def test_an_intent_in_the_log_is_not_said_again_with_other_content():
    (logged,) = tell(engine(Scripted({0: units(A=5.0)})), *day_of(0, "A"))
    stage = engine(Scripted({0: units(A=9.0), 1: units(A=9.0)}))
    stage.restore(logged)
    assert tell(stage, *day_of(0, "A")) == []
    assert sizes(tell(stage, *day_of(1, "A"))) == [("A", Side.BUY, 4.0)]


def test_a_slice_that_waited_at_the_restart_is_decided_when_its_bar_comes():
    stage = engine(Scripted({0: units(A=5.0)}))
    stage.restore(SliceEvent(timestamp=START, bar_size="1d", symbols=("A",)))
    assert sizes(tell(stage, bar("A", 0))) == [("A", Side.BUY, 5.0)]


def test_a_slice_that_was_complete_before_the_restart_is_not_decided_again():
    strategy = Scripted({0: units(A=5.0)})
    stage = engine(strategy)
    for message in reversed(day_of(0, "A")):
        stage.restore(message)
    assert tell(stage, *day_of(0, "A")) == []
    assert strategy.asked == []
    assert strategy.seen == [("A", 0)]


def test_intents_of_other_strategies_in_the_log_are_not_ours():
    (other,) = tell(engine(Scripted({0: units(A=5.0)})), *day_of(0, "A"))
    stage = engine(Scripted({}))
    stage.restore(other.model_copy(update={"strategy_id": "other"}))
    tell(stage, *day_of(0, "A"))
    assert stage.book.holding("A") == 0.0


class Watching(Scripted):
    """Sells everything on the days of ``urgent``."""

    def __init__(self, script: Mapping[int, Targets | None], urgent: Sequence[int], **options: int) -> None:
        super().__init__(script, **options)
        self.urgent = urgent

    def at_once(self, moment: SliceEvent, portfolio: Portfolio) -> Targets | None:
        return units(A=0.0) if (moment.timestamp - START).days in self.urgent else None


def test_what_cannot_wait_is_traded_between_decisions_and_only_then():
    strategy = Watching({0: units(A=10.0), 5: units(A=10.0)}, urgent=[0, 2, 5], period=5)
    stage, sides = engine(strategy), dict[int, Side | None]()
    for day in range(6):
        for said in tell(stage, *day_of(day, "A")):
            sides[day] = said.direction  # type: ignore[attr-defined]
            tell(stage, report(said, OrderStatus.FILLED, 10.0))
    assert sides == {0: Side.BUY, 2: Side.SELL, 5: Side.BUY}
    assert strategy.asked == [0, 5]


def test_a_decision_that_falls_on_a_late_moment_is_taken_at_the_next_one():
    strategy = Scripted({3: units(A=5.0)}, period=2)
    stage = engine(strategy)
    tell(stage, *day_of(0, "A"))
    tell(stage, *day_of(1, "A"))
    for late in (2, 3):
        *bars, moment = day_of(late, "A")
        assert tell(stage, *bars, moment.model_copy(update={"late": True})) == []
    for day in (4, 5, 6):
        tell(stage, *day_of(day, "A"))
    assert strategy.asked == [0, 4, 6]


class TestACalendar:
    """A strategy that decides once in a period is asked until every symbol had its say, late moments or not."""

    def asked(self, days: Sequence[tuple[int, str]], late: Sequence[int] = (), restart: int = -1) -> list[int]:
        strategy = Scripted({}, period=Frequency.MONTHLY)
        stage = engine(strategy)
        told: list[Message] = []
        asked: list[int] = []
        for day, symbols in days:
            *bars, moment = day_of(day, *symbols)
            messages = [*bars, moment.model_copy(update={"late": day in late})]
            told += messages
            tell(stage, *messages)
            if day == restart:
                asked = strategy.asked
                strategy = Scripted({}, period=Frequency.MONTHLY)
                stage = engine(strategy)
                for message in told:
                    stage.restore(message)
        return [*asked, *strategy.asked]

    def test_it_is_asked_at_the_first_moment_of_each_month(self):
        assert self.asked([(day, "AB") for day in range(65)]) == [0, 31, 60]

    @pytest.mark.parametrize("restart", [-1, 31, 32, 33, 40])
    def test_a_late_first_moment_costs_a_moment_and_not_the_month(self, restart: int):
        days = [(day, "AB") for day in range(50)]
        assert self.asked(days, late=[31, 32], restart=restart) == [0, 33]

    @pytest.mark.parametrize("restart", [-1, 31, 32])
    def test_a_symbol_that_trades_later_has_its_say_later(self, restart: int):
        days = [(0, "AB"), (30, "AB"), (31, "A"), (32, "B"), (33, "A"), (34, "AB")]
        assert self.asked(days, restart=restart) == [0, 31, 32]


def test_what_cannot_wait_waits_for_the_next_moment_when_this_one_is_late():
    stage = engine(Watching({0: units(A=10.0)}, urgent=[1, 2], period=5))
    (bought,) = tell(stage, *day_of(0, "A"))
    tell(stage, report(bought, OrderStatus.FILLED, 10.0))
    *bars, moment = day_of(1, "A")
    assert tell(stage, *bars, moment.model_copy(update={"late": True})) == []
    assert len(tell(stage, *day_of(2, "A"))) == 1
