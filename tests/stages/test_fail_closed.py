"""Whatever an order is judged by and cannot be read denies it: each input missing, stale, no number, or corrupt."""

from datetime import UTC, datetime, timedelta
from math import inf, nan
from uuid import UUID

import pytest
from pydantic import ValidationError

from contracts.codec import ContractViolation, decode, encode
from contracts.control import PlanDecision, PlannedTrade, RebalancePlan, Verdict
from contracts.market import BarEvent, TickEvent, TickType
from contracts.plan_content import signed
from contracts.trading import ExecutionReport, OrderIntent, OrderType, Side, TimeInForce
from order_plane.brokers.paper_store import MemoryPaperStore
from order_plane.brokers.port import BrokerStateUnknown, BrokerUnavailable
from order_plane.composition import build_simulation, build_stage, paper_broker
from order_plane.journals.memory import MemoryJournal
from order_plane.journals.port import JournalError
from order_plane.journals.sqlite import SqliteJournal
from order_plane.limit_settings import LimitSettings
from order_plane.settings import Mode, OrderSettings

NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)
LIMITS = {"duplicate_window": 0}


def a_bar(minutes=0, price=100.0, symbol="AAPL"):
    prices = dict.fromkeys(("open", "high", "low", "close"), price)
    return BarEvent(symbol=symbol, timestamp=NOON + timedelta(minutes=minutes), volume=1e6, **prices)


def an_intent(**changes):
    fields = {"symbol": "AAPL", "direction": Side.BUY, "quantity": 10.0, "order_type": OrderType.MARKET}
    fields |= {"timestamp": NOON, "time_in_force": TimeInForce.GTC, "intent_id": UUID(int=1)}
    return OrderIntent(**{**fields, **changes})


def a_stage(**changes):
    return build_simulation(OrderSettings.model_validate({"mode": "simulation", "limits": LIMITS} | changes))


def denied(stage, *messages):
    """The code with which the last of ``messages`` is refused, empty when it was sent."""
    said = [output for message in messages for output in stage.handlers[type(message)](message)]
    said += stage.settle()
    (report,) = [each for each in said if isinstance(each, ExecutionReport)]
    return (report.reject_reason or "").partition(":")[0]


def test_with_everything_in_place_the_order_is_sent():
    assert denied(a_stage(), a_bar(), an_intent()) == ""


def unchecked(event, **fields):
    """An event as if a reader had let it pass: nobody relies on the reader alone."""
    return type(event).trusted({**event.__dict__, **fields})


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param([], id="missing"),
        pytest.param([a_bar(symbol="MSFT")], id="missing for the symbol"),
        pytest.param([a_bar(-61), a_bar(symbol="MSFT")], id="stale"),
        pytest.param([unchecked(a_bar(), close=nan)], id="no number"),
        pytest.param([unchecked(a_bar(), close=inf)], id="infinite"),
        pytest.param([unchecked(a_bar(), close=-100.0)], id="corrupt"),
        pytest.param([unchecked(a_bar(), close=0.0)], id="zero"),
        pytest.param(
            [TickEvent(symbol="AAPL", timestamp=NOON, price=100.0, size=1.0, tick_type=TickType.BID)], id="a quote only"
        ),
    ],
)
def test_a_price_that_cannot_be_relied_on_denies(seen):
    assert denied(a_stage(), *seen, an_intent()) == "NO_REFERENCE"


@pytest.mark.parametrize("limit", ["max_concentration", "max_leverage", "max_daily_loss"])
@pytest.mark.parametrize("worth", [nan, inf, -inf])
def test_an_account_whose_worth_cannot_be_known_denies(limit, worth):
    stage = a_stage(limits=LIMITS | {limit: 10.0})
    stage.desk.books._watch.value = lambda price_of: worth
    stage.desk.books._watch.day_start = worth
    assert denied(stage, a_bar(), an_intent()) != ""


WORTH = {"max_concentration": 10.0, "max_leverage": 10.0, "max_daily_loss": 1e6, "max_net_exposure": 1e6}


def a_stage_that_holds_msft(limit, later, restarted=False):
    """Ten MSFT were bought; then a bar of ``later`` symbols, two hours on."""
    settings, journal = OrderSettings(limits=LIMITS | {limit: WORTH[limit]}), MemoryJournal()
    venue = paper_broker(settings, MemoryPaperStore())
    stage = build_stage(settings, journal, venue)
    stage.recover()
    assert denied(stage, a_bar(), a_bar(symbol="MSFT"), an_intent(symbol="MSFT", intent_id=UUID(int=9))) == ""
    stage.handlers[BarEvent](a_bar(1, symbol="MSFT"))
    stage.settle()
    if restarted:
        stage = build_stage(settings, journal, venue)
        stage.recover()
    for symbol in later:
        stage.handlers[BarEvent](a_bar(121, symbol=symbol))
    assert stage.desk.positions == {"MSFT": 10.0}
    return stage


@pytest.mark.parametrize("limit", [*WORTH])
@pytest.mark.parametrize(
    ("later", "restarted", "passes"),
    [
        pytest.param(("MSFT", "AAPL"), False, True, id="in place"),
        pytest.param(("AAPL",), False, False, id="stale"),
        pytest.param(("AAPL",), True, False, id="missing"),
    ],
)
def test_a_price_of_something_else_that_is_held_and_cannot_be_relied_on_denies(limit, later, restarted, passes):
    stage = a_stage_that_holds_msft(limit, later, restarted)
    later_on = NOON + timedelta(minutes=121)
    assert (denied(stage, an_intent(timestamp=later_on)) == "") == passes


@pytest.mark.parametrize("limit", [*WORTH])
def test_what_is_held_is_closed_though_something_else_that_is_held_has_no_fresh_price(limit):
    stage = a_stage_that_holds_msft(limit, ("MSFT", "AAPL"))
    assert denied(stage, an_intent(timestamp=NOON + timedelta(minutes=121))) == ""
    for minutes in (122, 250):
        stage.handlers[BarEvent](a_bar(minutes))
        stage.settle()
    assert stage.desk.positions == {"MSFT": 10.0, "AAPL": 10.0}
    sale = an_intent(intent_id=UUID(int=2), direction=Side.SELL, timestamp=NOON + timedelta(minutes=250))
    assert denied(stage, sale) == ""
    more = an_intent(intent_id=UUID(int=3), timestamp=NOON + timedelta(minutes=250))
    assert denied(stage, more) != ""


def days_of(*volumes):
    """A bar a day, the last of them today's."""
    return [unchecked(a_bar(24 * 60 * (day - len(volumes) + 1)), volume=each) for day, each in enumerate(volumes)]


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        pytest.param(days_of(1e6, 1e6, 1e6), "", id="in place"),
        pytest.param(days_of(1e6, 1e6), "VOLUME_SHARE_EXCEEDED", id="missing"),
        pytest.param([*days_of(1e6, 1e6), a_bar(24 * 60 * 17)], "VOLUME_SHARE_EXCEEDED", id="stale"),
        pytest.param(days_of(nan, 1e6, 1e6), "VOLUME_SHARE_EXCEEDED", id="no number"),
        pytest.param(days_of(inf, 1e6, 1e6), "VOLUME_SHARE_EXCEEDED", id="infinite"),
        pytest.param(days_of(-3e6, 1e6, 1e6), "VOLUME_SHARE_EXCEEDED", id="corrupt"),
        pytest.param(days_of(0.0, 0.0, 1e6), "VOLUME_SHARE_EXCEEDED", id="zero"),
    ],
)
def test_a_daily_volume_that_cannot_be_relied_on_denies(seen, code):
    stage = a_stage(limits=LIMITS | {"max_volume_share": 0.1, "volume_days": 2})
    assert denied(stage, *seen, an_intent(timestamp=seen[-1].timestamp)) == code


def test_daily_volumes_that_were_kept_and_cannot_be_read_deny():
    settings, journal = OrderSettings(limits=LIMITS | {"max_volume_share": 0.1, "volume_days": 1}), MemoryJournal()
    journal.note({"volume AAPL": "{"})
    stage = build_stage(settings, journal, paper_broker(settings, MemoryPaperStore()))
    stage.recover()
    assert denied(stage, a_bar(), an_intent()) == "VOLUME_SHARE_EXCEEDED"


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        pytest.param([a_bar(-5), a_bar()], "", id="in place"),
        pytest.param([a_bar()], "PERIOD_COLLAR", id="missing"),
        pytest.param([a_bar(-4), a_bar()], "PERIOD_COLLAR", id="too short"),
        pytest.param([a_bar(-5, symbol="MSFT"), a_bar()], "PERIOD_COLLAR", id="missing for the symbol"),
        pytest.param([a_bar(-70), a_bar(-65), a_bar(symbol="MSFT")], "NO_REFERENCE", id="stale"),
        pytest.param([a_bar(-6), unchecked(a_bar(-3), close=nan), a_bar()], "PERIOD_COLLAR", id="no number"),
        pytest.param([a_bar(-6), unchecked(a_bar(-3), close=inf), a_bar()], "PERIOD_COLLAR", id="infinite"),
        pytest.param([a_bar(-6), unchecked(a_bar(-3), close=-1.0), a_bar()], "PERIOD_COLLAR", id="corrupt"),
        pytest.param([a_bar(-6, 80.0), a_bar()], "PERIOD_COLLAR", id="far away"),
    ],
)
def test_a_period_that_cannot_be_relied_on_denies(seen, code):
    stage = a_stage(limits=LIMITS | {"period_collar": 0.1, "collar_period": 300})
    assert denied(stage, *seen, an_intent()) == code


def test_a_position_that_cannot_be_known_denies_a_short_sale():
    sale = an_intent(direction=Side.SELL)
    assert denied(a_stage(), a_bar(), sale) == ""
    stage = a_stage(limits=LIMITS | {"short_selling": False})
    stage.desk._exposure._held["AAPL"] = nan
    assert denied(stage, a_bar(), sale) != ""


@pytest.mark.parametrize("value", [nan, inf, -1.0, "many", {}, True, 0.0])
@pytest.mark.parametrize("limit", ["max_order_quantity", "max_order_value", "max_gross_exposure", "max_daily_loss"])
def test_a_limit_that_cannot_be_read_refuses_to_start(limit, value):
    with pytest.raises(ValidationError):
        OrderSettings.model_validate({"limits": {limit: value}})
    with pytest.raises(ValidationError):
        LimitSettings.model_validate({limit: value})


def test_a_limit_that_nobody_knows_refuses_to_start():
    with pytest.raises(ValidationError):
        LimitSettings.model_validate({"max_order_valeu": 5.0})


@pytest.mark.parametrize(
    ("calendar", "at"),
    [("XNYS", NOON.replace(hour=2)), ("XNYS", NOON.replace(month=7, day=4)), ("24/7", NOON.replace(year=2050))],
    ids=["closed", "a holiday", "unknown to the calendar"],
)
def test_a_time_outside_what_the_calendar_knows_denies(calendar, at):
    bar = a_bar().model_copy(update={"timestamp": at})
    stage = a_stage(calendar=calendar, calendar_first="2024-01-01", calendar_last="2024-12-31")
    assert denied(stage, bar, an_intent(timestamp=at, time_in_force=TimeInForce.DAY)) == "MARKET_CLOSED"


def test_an_intent_that_is_too_old_by_the_markets_clock_denies():
    late = an_intent(time_in_force=TimeInForce.GTD, valid_until=NOON + timedelta(minutes=1))
    assert denied(a_stage(), a_bar(2), late) == "INTENT_EXPIRED"


@pytest.mark.parametrize("field", ["quantity", "limit_price", "timestamp", "direction"])
@pytest.mark.parametrize("value", [b"null", b"NaN", b"1e999", b'"?"', b"-1", b"[]"])
def test_an_intent_that_cannot_be_read_never_reaches_the_desk(field, value):
    intent = an_intent(order_type=OrderType.LIMIT, limit_price=99.0)
    text = encode(intent)
    name = f'"{field}":'.encode()
    begin = text.index(name) + len(name)
    end = min(text.index(each, begin) for each in (b",", b"}") if each in text[begin:])
    with pytest.raises(ContractViolation):
        decode(text[:begin] + value + text[end:], (OrderIntent,))


def a_plan(**changes):
    trade = PlannedTrade(symbol="AAPL", direction=Side.BUY, quantity=10.0, current_weight=0.0, target_weight=0.1)
    fields = {"plan_id": UUID(int=7), "strategy_id": "default", "timestamp": NOON, "content_hash": "0" * 64}
    return signed(RebalancePlan(**fields, valid_until=NOON + timedelta(hours=1), trades=(trade,), **changes))


def a_decision(plan, verdict=Verdict.APPROVED, **changes):
    fields = {"plan_id": plan.plan_id, "strategy_id": "default", "timestamp": NOON, "operator": "ann", "reason": "ok"}
    return PlanDecision(**{**fields, "verdict": verdict, "content_hash": plan.content_hash, **changes})


@pytest.mark.fault("F35: an approval that is missing, expired, edited or of something else")
@pytest.mark.parametrize(
    "known",
    [
        pytest.param([], id="no plan"),
        pytest.param([a_plan()], id="no approval"),
        pytest.param([a_decision(a_plan())], id="an approval of nothing"),
        pytest.param([a_plan(), a_decision(a_plan(), Verdict.REFUSED)], id="refused"),
        pytest.param([a_plan(), a_decision(a_plan(), content_hash="1" * 64)], id="approved before it was edited"),
        pytest.param([unchecked(a_plan(), reasons=("edited",)), a_decision(a_plan())], id="corrupt"),
        pytest.param([a_plan(), a_decision(a_plan()), a_bar(61)], id="expired"),
    ],
)
def test_an_approval_that_cannot_be_shown_denies(known):
    assert denied(a_stage(), a_bar(), *known, an_intent(plan_id=UUID(int=7))) == "UNAPPROVED_PLAN"


def test_an_approved_plan_is_ordered_from():
    known = (a_plan(), a_decision(a_plan()))
    assert denied(a_stage(), a_bar(), *known, an_intent(plan_id=UUID(int=7))) == ""


def test_a_wish_dated_ahead_does_not_fill_the_throttle_again():
    stage = a_stage(throttle={"rate_per_second": 1.0, "burst": 3.0, "cancel_reserve": 0.0})
    stage.handlers[BarEvent](a_bar())
    ahead = [an_intent(intent_id=UUID(int=number), timestamp=NOON + timedelta(minutes=number)) for number in range(20)]
    assert [denied(stage, each) for each in ahead] == [""] * 3 + ["RATE_LIMIT_EXCEEDED"] * 17
    stage.handlers[BarEvent](a_bar(1))
    stage.settle()
    assert denied(stage, an_intent(intent_id=UUID(int=30), quantity=9.0)) == "", "and nobody else waits for it"


def of_plan(number, quantity, **changes):
    return an_intent(intent_id=UUID(int=number), plan_id=UUID(int=7), quantity=quantity, **changes)


def test_all_orders_of_a_plan_together_want_no_more_than_it_does():
    stage = a_stage()
    known = (a_bar(), a_plan(), a_decision(a_plan()))
    assert denied(stage, *known, of_plan(1, 6.0, order_type=OrderType.LIMIT, limit_price=99.0)) == ""
    assert denied(stage, of_plan(2, 4.1)) == "UNAPPROVED_PLAN"
    assert denied(stage, of_plan(3, 4.0)) == ""
    stage.handlers[BarEvent](a_bar(1))
    stage.settle()
    assert stage.desk.positions == {"AAPL": 4.0}
    assert denied(stage, of_plan(4, 0.1)) == "UNAPPROVED_PLAN"
    stage.cancel(UUID(int=1), "drill", "drill")
    stage.settle()
    assert denied(stage, of_plan(5, 6.1)) == "UNAPPROVED_PLAN"
    assert denied(stage, of_plan(6, 6.0)) == "", "what was cancelled may be ordered again"


def test_what_was_ordered_of_a_plan_counts_after_a_restart():
    settings, journal = OrderSettings(limits=LIMITS), MemoryJournal()
    venue = paper_broker(settings, MemoryPaperStore())
    for number, answer in ((1, ""), (2, "UNAPPROVED_PLAN")):
        stage = build_stage(settings, journal, venue)
        for message in (a_bar(), a_plan(), a_decision(a_plan())):
            stage.restore(message)
        stage.recover()
        assert denied(stage, a_bar(), of_plan(number, 10.0)) == answer


@pytest.mark.parametrize("trouble", [BrokerUnavailable("no line"), BrokerStateUnknown("timeout")])
def test_a_venue_that_gives_no_account_denies(trouble):
    settings = OrderSettings(limits=LIMITS)
    venue = paper_broker(settings, MemoryPaperStore())

    def silent():
        raise trouble

    venue.snapshot = silent
    stage = build_stage(settings, MemoryJournal(), venue)
    stage.recover()
    assert denied(stage, a_bar(), an_intent()) == "TRADING_HALTED"
    assert venue.lookup(UUID(int=1)) is None


@pytest.mark.parametrize("damage", ["cut", "flipped", "another file", "held"])
def test_a_journal_that_cannot_be_trusted_refuses_to_start(tmp_path, damage):
    path = tmp_path / "journal.sqlite"
    first = SqliteJournal(path)
    stage = build_stage(OrderSettings(limits=LIMITS), first, paper_broker(OrderSettings(), MemoryPaperStore()))
    stage.recover()
    denied(stage, a_bar(), an_intent())
    if damage != "held":
        first.close()
        whole = path.read_bytes()
    if damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "flipped":
        path.write_bytes(bytes(each ^ 1 if 4096 <= place < 4200 else each for place, each in enumerate(whole)))
    elif damage == "another file":
        path.write_text("no journal")
    with pytest.raises(JournalError):
        build_stage(OrderSettings(mode=Mode.PAPER, journal_path=path, audit=False))
    first.close()


def test_what_guards_kept_and_cannot_be_read_refuses_to_start():
    journal = MemoryJournal()
    journal.note({"guard ACCOUNT PAPER": "{"})
    with pytest.raises(JournalError, match="kill switches"):
        build_stage(OrderSettings(), journal, paper_broker(OrderSettings(), MemoryPaperStore())).recover()
