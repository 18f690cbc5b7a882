"""Kill switches at work in the whole order plane: what trips, what is cancelled and closed, what survives a restart."""

from datetime import timedelta
from functools import partial
from uuid import UUID

import order_messages
import pytest
from order_messages import NOON, as_shown, tell

from contracts.control import KillAction, KillScope, KillSwitchCommand, RiskAlert
from contracts.market import SliceEvent
from contracts.trading import ExecutionReport, OrderType, Side
from kernel.ports import Unprocessable
from order_plane.brokers.paper_store import MemoryPaperStore
from order_plane.brokers.port import BrokerRefused
from order_plane.composition import build_simulation, build_stage, paper_broker
from order_plane.controls import LooserLimit
from order_plane.journals.memory import MemoryJournal
from order_plane.journals.port import JournalError
from order_plane.settings import OrderSettings

LIMITS = {"duplicate_window": 0, "max_order_value": 1e9, "max_symbol_notional": 1e9, "max_gross_exposure": 1e9}
QUIET = {"daily_loss": None, "drawdown": None, "sharpe": None, "rejects": None}


def settings(*guards, **more):
    costs = {"commission": 0.0, "slippage": 0.0}
    given = {"limits": LIMITS, "costs": costs, "volume_cap": None, "capital": 10_000.0, "guards": guards}
    return OrderSettings.model_validate(given | more)


an_intent = partial(order_messages.an_intent, quantity=50.0)


def a_bar(minutes, price=100.0, symbol="AAPL"):
    return order_messages.a_bar(minutes, price, symbol, high=price, low=price, volume=1e6)


def a_slice(minutes, *symbols):
    return SliceEvent(timestamp=NOON + timedelta(minutes=minutes), bar_size="1min", symbols=symbols or ("AAPL",))


def a_release(stage, number=900, second=None, **changes):
    fields = {"command_id": UUID(int=number), "timestamp": NOON, "operator": "ada", "reason": "looked at"}
    where = {"scope": KillScope.ACCOUNT, "target": "PAPER"}
    return as_shown(stage, KillSwitchCommand(engage=False, second_operator=second, **{**fields, **where, **changes}))


def moment(stage, minutes, price):
    return [*tell(stage, a_bar(minutes, price)), *tell(stage, a_slice(minutes))]


def kills(outputs):
    return [each.cause for each in outputs if isinstance(each, KillSwitchCommand)]


def alerts(outputs):
    return [each.code for each in outputs if isinstance(each, RiskAlert)]


def reports(outputs, status):
    return [each for each in outputs if isinstance(each, ExecutionReport) and each.status.value == status]


def invested(stage):
    """50 units at 100, half of the account."""
    moment(stage, 0, 100.0)
    tell(stage, an_intent())
    moment(stage, 1, 100.0)
    assert stage.desk.positions == {"AAPL": 50.0}
    return stage


@pytest.mark.parametrize(
    ("price", "said"),
    [(94.0, []), (93.9, ["NEAR_DAILY_LOSS"]), (90.0, ["NEAR_DAILY_LOSS"]), (89.9, ["KILL_SWITCH_ENGAGED"])],
)
def test_a_loss_of_the_day_warns_and_then_halts(price, said):
    stage = invested(build_simulation(settings(QUIET | {"daily_loss": {}})))
    assert alerts(moment(stage, 2, price)) == said


def test_a_trip_is_told_once_and_new_orders_are_refused_before_the_next_send():
    stage = invested(build_simulation(settings(QUIET | {"daily_loss": {}})))
    tell(stage, a_bar(2, 80.0))
    said = tell(stage, a_slice(2), an_intent(2, 2))
    assert kills(said) == ["DAILY_LOSS"]
    (refused,) = reports(said, "REJECTED")
    assert refused.reject_reason.startswith("TRADING_HALTED: ")
    assert kills(moment(stage, 3, 70.0)) == []


def test_a_moment_is_not_judged_before_its_bars_are_in():
    stage = invested(build_simulation(settings(QUIET | {"daily_loss": {}})))
    assert tell(stage, a_slice(2)) == []
    assert kills(tell(stage, a_bar(2, 80.0))) == ["DAILY_LOSS"]


def test_the_day_begins_with_the_equity_of_the_day_before():
    stage = invested(build_simulation(settings(QUIET | {"daily_loss": {"warning": None}})))
    assert kills(moment(stage, 2, 91.0)) == []
    assert kills(moment(stage, 24 * 60, 82.0)) == []
    assert kills(moment(stage, 24 * 60 + 1, 80.0)) == ["DAILY_LOSS"]


def test_a_drawdown_closes_what_is_held_once_and_only_that():
    stage = invested(build_simulation(settings(QUIET | {"drawdown": {}})))
    moment(stage, 2, 120.0)
    tell(stage, an_intent(2, 2, order_type=OrderType.LIMIT, limit_price=50.0))
    said = moment(stage, 3, 80.0)
    assert kills(said) == ["DRAWDOWN"]
    assert [each.intent_id.int for each in reports(said, "CANCELED")] == [2]
    (order,) = stage.desk.open_orders
    assert (order.intent.direction, order.intent.quantity) == (Side.SELL, 50.0)
    moment(stage, 4, 80.0)
    moment(stage, 5, 80.0)
    assert dict(stage.desk.positions) == {}
    assert stage.desk.open_orders == ()


def test_a_poor_sharpe_ratio_is_only_judged_from_the_minimum_on():
    guard = QUIET | {"sharpe": {"minimum": 5, "window": 5}}
    stage = invested(build_simulation(settings(guard)))
    said = [kills(moment(stage, 1440 * day, 100.0 - day - 0.3 * (day % 2))) for day in range(1, 7)]
    assert said == [[], [], [], [], ["SHARPE"], []]


def test_too_many_rejections_halt():
    guard = QUIET | {"rejects": {"count": 2}}
    stage = build_simulation(settings(guard))
    tell(stage, a_bar(0))
    wishes = [an_intent(number, 0, symbol="NONE") for number in range(1, 4)]
    tell(stage, *wishes)
    assert kills(stage.settle()) == ["REJECT_STORM"]


def test_a_storm_that_goes_on_at_the_event_time_of_its_release_halts_again():
    stage = build_simulation(settings(QUIET | {"rejects": {"count": 2}}))
    tell(stage, a_bar(0))
    for first in (1, 11, 21):
        said = tell(stage, *(an_intent(number, symbol="NONE") for number in range(first, first + 3)))
        assert kills([*said, *stage.settle()]) == ["REJECT_STORM"]
        tell(stage, a_release(stage, 900 + first, second="bob"))
        assert not stage.desk.switch.engaged


class Refusing:
    """A venue that takes no order."""

    def __init__(self, chosen):
        self._broker = paper_broker(chosen, MemoryPaperStore())
        self.asked = 0

    def __getattr__(self, name):
        return getattr(self._broker, name)

    def submit(self, order):
        self.asked += 1
        raise BrokerRefused("NO: not today")


def test_a_storm_halts_between_two_orders_of_one_batch():
    chosen = settings(QUIET | {"rejects": {"count": 5}})
    venue = Refusing(chosen)
    stage = build_stage(chosen, MemoryJournal(), venue)
    stage.recover()
    tell(stage, a_bar(0))
    said = tell(stage, *(an_intent(number) for number in range(1, 51)))
    assert (venue.asked, kills(said)) == (6, ["REJECT_STORM"])
    assert {each.reject_reason.partition(":")[0] for each in reports(said, "REJECTED")} == {"NO", "TRADING_HALTED"}


def test_a_price_that_is_lost_halts():
    stage = invested(build_simulation(settings(QUIET | {"market_data": {"max_age": 120}})))
    later = [a_bar(4, symbol="MSFT"), a_slice(4, "MSFT")]
    assert kills(tell(stage, *later)) == ["MARKET_DATA_LOSS"]


def test_a_loss_that_cannot_be_measured_is_told_once_each_time():
    chosen, journal = settings(QUIET | {"daily_loss": {}}), MemoryJournal()
    venue = paper_broker(chosen, MemoryPaperStore())
    stage = build_stage(chosen, journal, venue)
    stage.recover()
    invested(stage)
    stage = build_stage(chosen, journal, venue)  # and what is held is not among the newest records of its log
    stage.recover()
    said = [tell(stage, a_bar(number, symbol="MSFT"), a_slice(number, "MSFT")) for number in (2, 3)]
    assert [alerts(each) for each in said] == [["NEAR_MARKET_DATA_LOSS"], []]
    assert alerts(moment(stage, 4, 99.0)) == []


def test_a_loss_measured_at_a_price_of_long_ago_is_told_once_each_time():
    stage = invested(build_simulation(settings(QUIET | {"daily_loss": {}})))
    said = [tell(stage, a_bar(number, symbol="MSFT"), a_slice(number, "MSFT")) for number in (30, 62, 63)]
    assert [alerts(each) for each in said] == [[], ["NEAR_MARKET_DATA_LOSS"], []]
    assert alerts(moment(stage, 64, 99.0)) == []
    (alert,) = [each for each in said[1] if isinstance(each, RiskAlert)]
    assert "AAPL" in alert.detail


def test_the_age_at_which_a_price_is_too_old_to_measure_a_loss_by_is_tightened_with_the_limits():
    stage = invested(build_simulation(settings(QUIET | {"daily_loss": {}})))
    limits = stage.supervision.controls.limits.model_copy(update={"reference_max_age": timedelta(minutes=5)})
    stage.supervision.tighten(limits, "ann", "feeds are poor today")
    assert alerts(tell(stage, a_bar(30, symbol="MSFT"), a_slice(30, "MSFT"))) == ["NEAR_MARKET_DATA_LOSS"]


def test_a_weekend_without_prices_is_no_loss_of_them():
    stage = invested(build_simulation(settings(QUIET | {"daily_loss": {}})))
    monday = 60 * 24 * 3
    both = [a_bar(monday, symbol="MSFT"), a_bar(monday), a_slice(monday, "AAPL", "MSFT")]
    assert alerts(tell(stage, *both)) == []


def test_a_strategy_that_trades_too_often_is_disabled_until_a_person_lets_it_go_on():
    stage = build_simulation(settings(repeat_executions={"count": 2, "window": 3600, "action": "HALT"}))
    for number in range(1, 4):
        moment(stage, number, 100.0)
        tell(stage, an_intent(number, number))
    assert kills(moment(stage, 4, 100.0)) == ["REPEATED_EXECUTIONS"]
    (refused,) = reports(tell(stage, an_intent(9, 4)), "REJECTED")
    assert refused.reject_reason.startswith("TRADING_HALTED")
    (other,) = tell(stage, an_intent(10, 4, strategy_id="other"))
    assert other.status.value == "ACKNOWLEDGED"
    tell(stage, a_release(stage, scope=KillScope.STRATEGY, target="default"))
    assert tell(stage, an_intent(11, 4))[0].status.value == "ACKNOWLEDGED"


def test_a_strategy_guard_stops_its_strategy_alone():
    guard = QUIET | {"daily_loss": {}, "scope": "STRATEGY", "strategy_id": "poor", "capital": 5_000.0}
    stage = build_simulation(settings(guard))
    moment(stage, 0, 100.0)
    tell(stage, an_intent(1, strategy_id="poor"), an_intent(2, strategy_id="rich", quantity=1.0))
    moment(stage, 1, 100.0)
    (command,) = [each for each in moment(stage, 2, 90.0) if isinstance(each, KillSwitchCommand)]
    assert (command.scope, command.target) == (KillScope.STRATEGY, "poor")
    assert reports(tell(stage, an_intent(3, 2, strategy_id="poor")), "REJECTED")
    assert reports(tell(stage, an_intent(4, 2, strategy_id="rich")), "ACKNOWLEDGED")


@pytest.mark.parametrize("second", [None, "ada", "Ada"])
def test_a_release_is_refused_while_the_cause_holds(second):
    stage = invested(build_simulation(settings(QUIET | {"daily_loss": {}})))
    moment(stage, 2, 80.0)
    with pytest.raises(Unprocessable, match="DAILY_LOSS still holds"):
        tell(stage, a_release(stage, second=second))
    assert stage.desk.switch.engaged


def test_a_second_person_may_override_and_the_guard_watches_anew_from_there():
    stage = invested(build_simulation(settings(QUIET | {"daily_loss": {}})))
    moment(stage, 2, 80.0)
    assert alerts(tell(stage, a_release(stage, second="bob"))) == ["KILL_SWITCH_RELEASED"]
    assert kills(moment(stage, 3, 80.0)) == []
    assert kills(moment(stage, 4, 68.0)) == ["DAILY_LOSS"]


def test_one_person_may_release_what_holds_no_more():
    stage = invested(build_simulation(settings(QUIET | {"daily_loss": {}})))
    moment(stage, 2, 80.0)
    moment(stage, 3, 100.0)
    tell(stage, a_release(stage))
    assert not stage.desk.switch.engaged


def test_an_investigation_needs_a_second_person_even_when_the_cause_is_gone():
    stage = invested(build_simulation(settings(QUIET | {"daily_loss": {"action": "HALT_AND_INVESTIGATE"}})))
    moment(stage, 2, 80.0)
    moment(stage, 3, 100.0)
    for second in (None, "ADA"):
        with pytest.raises(Unprocessable, match="investigation"):
            tell(stage, a_release(stage, second=second))
    tell(stage, a_release(stage, 901, second="bob"))
    assert not stage.desk.switch.engaged


@pytest.mark.parametrize("first", [KillAction.HALT, KillAction.HALT_AND_FLATTEN, KillAction.HALT_AND_INVESTIGATE])
def test_an_investigation_that_was_asked_for_stays_so_whatever_else_the_switch_was_given(first):
    stage = build_simulation(settings(QUIET))
    fields = {"timestamp": NOON, "engage": True, "operator": "ada", "reason": "odd"}
    for number, action in enumerate((first, KillAction.HALT_AND_INVESTIGATE, KillAction.HALT_AND_FLATTEN)):
        tell(stage, KillSwitchCommand(command_id=UUID(int=920 + number), action=action, **fields))
    everything = {"scope": KillScope.GLOBAL, "target": "*"}
    with pytest.raises(Unprocessable, match="investigation"):
        tell(stage, a_release(stage, **everything))
    tell(stage, a_release(stage, 901, second="bob", **everything))
    assert not stage.desk.switch.engaged
    tell(stage, KillSwitchCommand(command_id=UUID(int=930), **fields))
    tell(stage, a_release(stage, 902, **everything))
    assert not stage.desk.switch.engaged, "that one asked for none"


@pytest.fixture
def durable(tmp_path):
    """Order planes on one journal and one venue, one after the other."""
    opened = []

    def again(*guards):
        while opened:
            opened.pop().close()
        paths = {"journal_path": tmp_path / "j.sqlite", "paper_store_path": tmp_path / "v.sqlite", "audit": False}
        opened.append(build_stage(settings(*guards, **paths)))
        return opened[-1]

    yield again
    while opened:
        opened.pop().close()


def test_what_a_guard_measured_survives_a_restart(durable):
    guard = QUIET | {"drawdown": {"action": "HALT"}, "daily_loss": {"limit": 0.5, "warning": None}}
    stage = durable(guard)
    stage.recover()
    invested(stage)
    moment(stage, 2, 140.0)
    before = stage.supervision.guards.account.watch.state()
    stage = durable(guard)
    stage.restore(a_bar(2, 140.0))
    stage.recover()
    assert stage.supervision.guards.account.watch.state() == before
    assert kills(moment(stage, 3, 102.0)) == ["DRAWDOWN"]


class Noting(MemoryJournal):
    """Says which notes had to be on the disk."""

    def __init__(self):
        super().__init__()
        self.noted = []

    def note(self, notes, *, synced=True):
        self.noted.append(synced)
        super().note(notes, synced=synced)


def test_a_new_mark_waits_for_no_disk_and_a_new_day_or_a_trip_does():
    journal = Noting()
    stage = build_stage(settings(QUIET | {"daily_loss": {"warning": None}}, mode="simulation"), journal)
    stage.recover()
    invested(stage)
    noted = []
    for minutes, price in [(2, 101.0), (3, 99.0), (4, 99.0), (24 * 60, 99.0), (24 * 60 + 1, 80.0)]:
        journal.noted.clear()
        moment(stage, minutes, price)
        noted.append([*journal.noted])
    assert noted == [[False], [False], [], [True], [True]]


class Dying(MemoryJournal):
    """Ends its process between a release and what the guards note of it."""

    def __init__(self):
        super().__init__()
        self.dies = False

    def note(self, notes, *, synced=True):
        if self.dies:
            raise KeyboardInterrupt
        super().note(notes, synced=synced)


@pytest.mark.parametrize("weaker", [False, True])
@pytest.mark.parametrize(
    ("guards", "more", "release"),
    [
        ([QUIET | {"daily_loss": {}}], {}, {}),
        ([], {"repeat_executions": {"count": 1}}, {"scope": KillScope.STRATEGY, "target": "default"}),
    ],
)
def test_a_release_whose_note_was_lost_leaves_no_guard_blind(guards, more, release, weaker):
    chosen, journal = settings(*guards, **more), Dying()
    venue = paper_broker(chosen, MemoryPaperStore())

    def life(minutes):
        stage = build_stage(chosen, journal, venue)
        stage.restore(a_bar(minutes, 100.0))
        stage.recover()
        return stage

    def trips(stage, number, **side):
        moment(stage, number, 100.0)
        tell(stage, an_intent(number, number, **side), an_intent(number + 1, number, quantity=49.0, **side))
        return [*kills(moment(stage, number + 1, 80.0)), *kills(moment(stage, number + 2, 60.0))]

    stage = life(0)
    assert len(trips(stage, 1)) == 1
    moment(stage, 4, 100.0)
    journal.dies = True
    with pytest.raises(KeyboardInterrupt):
        tell(stage, a_release(stage, second="bob", **release))
    journal.dies = False
    if weaker:
        kill = a_release(stage, 901, **release).model_copy(update={"engage": True, "action": KillAction.REDUCE_ONLY})
        journal.record_command(kill)
    stage = life(4)
    assert len(stage.desk.switch.engaged) == weaker
    assert len(trips(stage, 5, direction=Side.SELL)) == 1
    assert stage.desk.switch.engaged[0].action is not KillAction.REDUCE_ONLY


def test_what_is_measured_after_a_fill_is_written_with_it():
    journal = Noting()
    stage = build_stage(settings(QUIET | {"daily_loss": {"warning": None}}, mode="simulation"), journal)
    stage.recover()
    invested(stage)
    tell(stage, an_intent(2, minutes=1))
    journal.noted.clear()
    for message in (a_bar(2, 99.0), a_slice(2)):
        assert not [*stage.handlers[type(message)](message)]
    before = journal.sequence
    assert [each.status.value for each in stage.settle() if isinstance(each, ExecutionReport)] == ["FILLED"]
    kept = {name: text for name, text in journal.notes().items() if name.startswith("guard ")}
    assert (journal.noted, journal.sequence) == ([], before + 1)
    assert any(f'"last": {stage.supervision.guards.account.watch.last}' in text for text in kept.values())


def test_a_trip_stays_latched_over_a_restart_and_is_not_released_by_an_old_refused_release(durable):
    guard = QUIET | {"daily_loss": {}}
    stage = durable(guard)
    stage.recover()
    invested(stage)
    moment(stage, 2, 80.0)
    release = a_release(stage)
    with pytest.raises(Unprocessable):
        tell(stage, release)
    for _ in range(2):
        stage = durable(guard)
        stage.restore(release)
        assert "KILL_SWITCH_RELEASED" not in alerts(stage.recover())
        assert stage.desk.switch.engaged
        assert kills(moment(stage, 3, 80.0)) == []
    stage = durable(guard)
    stage.restore(release.model_copy(update={"command_id": UUID(int=902)}))
    assert "RELEASE_REFUSED" in alerts(stage.recover())


def a_flattening(number):
    signed = {"operator": "ada", "reason": "out", "action": KillAction.HALT_AND_FLATTEN}
    return KillSwitchCommand(command_id=UUID(int=number), timestamp=NOON, engage=True, **signed)


def test_flattening_goes_on_after_a_restart_without_a_second_order(durable):
    stage = durable(QUIET)
    stage.recover()
    invested(stage)
    kill = a_flattening(903)
    tell(stage, kill)
    assert len(stage.desk.open_orders) == 1
    stage = durable(QUIET)
    stage.restore(a_bar(1))
    stage.recover()
    stage.settle()
    tell(stage, a_bar(2))
    tell(stage, a_bar(3))
    assert dict(stage.desk.positions) == {}
    assert stage._broker.duplicates_refused == 0


def test_fifty_working_orders_are_cancelled_and_every_position_closed():
    stage = build_simulation(settings())
    symbols = [f"S{number}" for number in range(50)]
    tell(stage, *(a_bar(0, symbol=name) for name in symbols))
    tell(stage, *(an_intent(number, symbol=name, quantity=1.0) for number, name in enumerate(symbols, start=1)))
    tell(stage, *(a_bar(1, symbol=name) for name in symbols))
    resting = {"order_type": OrderType.LIMIT, "limit_price": 50.0}
    tell(stage, *(an_intent(100 + number, 1, symbol=name, **resting) for number, name in enumerate(symbols)))
    assert len(stage.desk.open_orders) == 50
    kill = KillSwitchCommand(
        command_id=UUID(int=1),
        timestamp=NOON,
        engage=True,
        operator="ada",
        reason="out",
        action=KillAction.HALT_AND_FLATTEN,
    )
    said = tell(stage, kill)
    assert len(reports(said, "CANCELED")) == 50
    sent = [order.intent for order in stage.desk.open_orders]
    assert sorted(each.symbol for each in sent) == sorted(symbols)
    assert {(each.direction, each.quantity) for each in sent} == {(Side.SELL, 1.0)}
    assert stage.uncancelled == {}


def test_without_guards_the_plane_hears_no_slices():
    assert SliceEvent not in build_simulation(settings()).handlers


def test_limits_may_only_become_tighter():
    stage = build_simulation(settings())
    tell(stage, a_bar(0))
    before = settings().limits
    with pytest.raises(LooserLimit, match="max_order_value"):
        stage.supervision.tighten(before.model_copy(update={"max_order_value": 2e9}), "ann", "drill")
    stage.supervision.tighten(before.model_copy(update={"max_order_value": 10.0}), "ann", "drill")
    (report,) = tell(stage, an_intent())
    assert report.reject_reason.startswith("NOTIONAL_EXCEEDS_MAX_PER_ORDER")


@pytest.mark.parametrize("answer", ["holds", "silence", "another"])
def test_what_closes_a_position_asks_first_who_sends_and_only_another_holder_stops_it(answer):
    stage, sent = invested(build_simulation(settings(QUIET))), []
    submit = stage._broker.submit

    def noted(order):
        sent.append(order.intent.direction)
        return submit(order)

    def confirm():
        if answer == "another":
            raise JournalError("another journal sends")
        return answer == "holds"

    stage._broker.submit, stage.upkeep.confirm = noted, confirm
    kill = a_flattening(950)
    if answer == "another":
        with pytest.raises(JournalError):
            tell(stage, kill)
        assert (sent, len(list(stage._journal.pasts()))) == ([], 1), "nothing is written down either"
    else:
        tell(stage, kill)
        assert sent == [Side.SELL]
