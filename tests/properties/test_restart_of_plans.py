"""Plans of symbols that trade at different moments: a restart at any of them changes nothing that follows."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from hypothesis import example, given, settings
from hypothesis import strategies as st
from order_messages import reported

from contracts.base import Message
from contracts.codec import encode
from contracts.control import PlanDecision, PlanProgress, PlanState, RebalancePlan, Verdict
from contracts.market import BarEvent, SliceEvent
from contracts.trading import ExecutionReport, OrderIntent, OrderStatus
from kernel.ports import Stage
from strategy_plane.composition import build_stage
from strategy_plane.engines.settings import RebalancingSettings
from strategy_plane.settings import DualMomentumSettings, StrategySettings
from strategy_plane.strategies.port import Frequency

START = datetime(2024, 1, 1, tzinfo=UTC)
SYMBOLS = ("A", "B", "C")
TOPICS = ((BarEvent,), (SliceEvent,), (OrderIntent,), (ExecutionReport,), (RebalancePlan, PlanDecision, PlanProgress))
MOMENTS_A_DAY = 8
BETWEEN = timedelta(days=1) / MOMENTS_A_DAY
quick = settings(max_examples=60, deadline=None)

listings = st.lists(st.sets(st.sampled_from(SYMBOLS)), min_size=8, max_size=30)
endings = st.lists(st.sampled_from(["fill", "fill", "part", "reject", "none"]), min_size=1, max_size=12)


class Step(NamedTuple):
    """A message that the stage was told, and what it said to it."""

    told: Message
    said: list[Message]


def settings_of(*, approved: bool) -> StrategySettings:
    """Each day all three in equal parts: whoever has no bar when the plan is made is left for later."""
    plans = RebalancingSettings(
        every=Frequency.DAILY, drift_band=0.05, requires_approval=approved, valid_for=timedelta(days=1)
    )
    return StrategySettings(
        strategy=DualMomentumSettings(markets={symbol: (symbol,) for symbol in SYMBOLS}, lookback=1, hurdle=-1.0),
        rebalancing=plans,
        universe=SYMBOLS,
        initial_cash=100_000.0,
    )


def bars_of(number: int, listed: Iterable[str]) -> list[Message]:
    """Bars and their slice, eight moments a day; prices move by a few percent."""
    moment, names = START + number * BETWEEN, tuple(sorted(listed))
    bars: list[Message] = []
    for name in names:
        close = 100.0 + (7 * number * (1 + SYMBOLS.index(name))) % 11
        prices = dict.fromkeys(("open", "high", "low", "close"), close)
        bars.append(BarEvent(symbol=name, timestamp=moment, volume=0.0, bar_size="1d", **prices))
    return [*bars, SliceEvent(timestamp=moment, bar_size="1d", symbols=names)]


def answer(intent: OrderIntent, ending: str, moment: datetime) -> ExecutionReport:
    """What an order plane might say of ``intent`` once there is a later moment."""
    status, share = {
        "fill": (OrderStatus.FILLED, 1.0),
        "part": (OrderStatus.EXPIRED, 0.5),
        "reject": (OrderStatus.REJECTED, 0.0),
        "none": (OrderStatus.ACKNOWLEDGED, 0.0),
    }[ending]
    return reported(intent, status, intent.quantity * share, 101.0, moment)


def decision(plan: RebalancePlan, number: int) -> PlanDecision:
    """What a person says of ``plan``; every fourth is refused."""
    return PlanDecision(
        plan_id=plan.plan_id,
        strategy_id=plan.strategy_id,
        timestamp=plan.timestamp + timedelta(hours=1),
        verdict=Verdict.REFUSED if number % 4 == 3 else Verdict.APPROVED,
        operator="j.doe",
        reason="looked at",
        content_hash=plan.content_hash,
    )


def live(chosen: StrategySettings, rows: Sequence[Iterable[str]], ends: Sequence[str]) -> tuple[Stage, list[Step]]:
    """A run without a restart: orders are answered before the next moment, plans decided on after their own."""
    stage, steps, waiting = build_stage(chosen), [], []
    for number, listed in enumerate(rows):
        moment = START + number * BETWEEN
        told = [answer(intent, ends[place % len(ends)], moment) for place, intent in enumerate(waiting)]
        waiting, queue = [], [*told, *bars_of(number, listed)]
        while queue:
            message = queue.pop(0)
            said = list(stage.handlers[type(message)](message))
            steps.append(Step(message, said))
            waiting += [each for each in said if isinstance(each, OrderIntent)]
            asked = (each for each in said if isinstance(each, RebalancePlan) and each.requires_approval)
            queue += [decision(each, number) for each in asked]
    return stage, steps


def state(stage: Stage) -> tuple[object, ...]:
    book, calendar = stage.book, stage._calendar
    holdings = {symbol: book.holding(symbol) for symbol in SYMBOLS}
    return book.cash, dict(book.positions), holdings, book.marks, stage._record, stage._seen, calendar.due_since


def raw(messages: Iterable[Message]) -> list[bytes]:
    return [encode(message) for message in messages]


@quick
@given(rows=listings, ends=endings, approved=st.booleans(), data=st.data())
def test_a_restart_at_any_message_leaves_state_and_decisions_as_without_one(
    rows: list[set[str]], ends: list[str], approved: bool, data: st.DataObject
):
    chosen = settings_of(approved=approved)
    whole, steps = live(chosen, rows, ends)
    cut = data.draw(st.integers(0, len(steps)), label="cut")
    before = [message for step in steps[:cut] for message in (step.told, *step.said)]
    restarted = build_stage(chosen)
    for kinds in data.draw(st.permutations(TOPICS), label="topics"):
        for message in before:
            if isinstance(message, kinds):
                restarted.restore(message)
    for step in steps[cut:]:
        assert raw(restarted.handlers[type(step.told)](step.told)) == raw(step.said)
    assert state(restarted) == state(whole)


@quick
@given(rows=listings)
@example(rows=[set("ABC"), set("ABC"), *[{"A"}, {"B"}, {"C"}] * 9])
def test_nobody_without_a_bar_at_a_plan_is_left_out_of_the_rest_of_its_day(rows: list[set[str]]):
    _, steps = live(settings_of(approved=False), rows, ["fill"])
    said = [message for step in steps for message in step.said]
    made = {each.timestamp: each for each in said if isinstance(each, RebalancePlan)}
    done = {each.timestamp for each in said if isinstance(each, PlanProgress) and each.state is PlanState.COMPLETED}
    left: set[str] = set()
    idle = False
    for number, listed in enumerate(rows):
        moment = START + number * BETWEEN
        idle = (idle or moment in done) and moment not in made
        if number % MOMENTS_A_DAY == 0:
            left = set()
        if moment in made:
            plan = made[moment]
            skipped = {each.symbol for each in plan.skipped if each.reason == "NO_PRICE"}
            left = (left - plan.target_weights.keys()) | skipped
        assert not (idle and left & listed), moment
