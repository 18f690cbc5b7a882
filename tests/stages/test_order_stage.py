"""The order plane as a stage: messages in, reports out, and what survives a restart."""

from datetime import timedelta
from uuid import UUID

import pytest
from order_messages import NOON, a_bar, an_intent, as_shown, seen, tell

from contracts.codec import decode, encode
from contracts.control import KillSwitchCommand, RiskAlert
from contracts.market import BarEvent, TickEvent, TickType
from contracts.trading import ExecutionReport, OrderIntent, OrderStatus, OrderType, Side
from domain.ledger import Ledger
from kernel.ports import Unprocessable
from order_plane.brokers.paper import PaperBroker
from order_plane.brokers.port import BrokerRefused, BrokerStateUnknown, BrokerUnavailable, KeyLife
from order_plane.brokers.sqlite_paper_store import SqlitePaperStore
from order_plane.composition import build_simulation, build_stage, calendar_of, commission_of, slippage_of
from order_plane.effects import SubmitOrder
from order_plane.facts import Fact, FactKind
from order_plane.journals.port import RowState
from order_plane.journals.sqlite import SqliteJournal
from order_plane.lifecycle import Status
from order_plane.settings import OrderSettings

SETTINGS = OrderSettings(
    limits={"duplicate_window": 0, "max_order_value": 10_000.0},
    costs={"slippage": 0.0},
    volume_cap=None,
)


def a_command(engage, number=1):
    return KillSwitchCommand(command_id=UUID(int=number), timestamp=NOON, engage=engage, operator="ada", reason="drill")


class FlakyBroker(PaperBroker):
    """A paper venue behind a bad line; ``trouble`` happens to the next submissions, ``after`` it got there or not."""

    def __init__(self, store_path, key_life=KeyLife.LIFETIME):
        costs = SETTINGS.costs
        store = SqlitePaperStore(store_path)
        super().__init__(calendar_of(SETTINGS), commission_of(costs), slippage_of(costs), store)
        self._life = key_life
        self.trouble = []
        self.blind = False
        self.submissions = 0
        self.deaf_to_cancels = False

    @property
    def key_life(self):
        return self._life

    def submit(self, order):
        self.submissions += 1
        kind, arrives = self.trouble.pop(0) if self.trouble else (None, True)
        facts = super().submit(order) if arrives else ()
        if kind is not None:
            raise kind("REFUSED: by the test")
        return facts

    def cancel(self, order):
        if self.deaf_to_cancels:
            raise BrokerUnavailable("no line")
        return super().cancel(order)

    def lookup(self, intent_id):
        if self.blind:
            raise BrokerUnavailable("no line")
        return super().lookup(intent_id)


@pytest.fixture
def world(tmp_path):
    """Order planes on one journal and one venue, one after the other."""
    opened = []

    def open_again(key_life=KeyLife.LIFETIME, settings=SETTINGS):
        for stage in opened:
            stage.close()
        opened.clear()
        broker = FlakyBroker(tmp_path / "venue.sqlite", key_life)
        stage = build_stage(settings, SqliteJournal(tmp_path / "journal.sqlite"), broker)
        opened.append(stage)
        return stage, broker

    yield open_again
    for stage in opened:
        stage.close()


@pytest.fixture
def stage():
    return build_simulation(SETTINGS)


def state_of(stage, number=1):
    return stage._journal.past(UUID(int=number)).state


def at_a_limit(stage):
    """Order 1 works, far below the market."""
    stage.recover()
    tell(stage, a_bar(), an_intent(order_type=OrderType.LIMIT, limit_price=95.0))
    return stage


def test_a_cancel_that_could_not_be_asked_for_is_asked_for_by_the_next_start(world):
    stage, broker = world()
    at_a_limit(stage)
    broker.deaf_to_cancels = True
    stage.cancel(UUID(int=1), "operator-ann", "ann: wrong symbol")
    assert seen(stage.settle()) == []
    stage, broker = world()
    stage.restore(a_bar())
    stage.recover()
    assert seen(stage.settle()) == [(1, "CANCELED", 2)]
    assert broker.snapshot().open_orders == ()
    stage, _ = world()
    stage.recover()
    assert stage.uncancelled == {}


def refused_to_cancel(world):
    """Order 1 works on, since the venue refused a person's cancel of it."""
    stage, broker = world()
    at_a_limit(stage)

    def refuse(order):
        raise BrokerRefused("TOO_LATE: it is being executed")

    broker.cancel = refuse
    stage.cancel(UUID(int=1), "operator-ann", "ann: wrong symbol")
    stage.settle()
    return stage, broker


def test_a_cancel_that_the_venue_refused_is_not_asked_for_again(world):
    refused_to_cancel(world)
    stage, _ = world()
    stage.restore(a_bar())
    stage.recover()
    assert stage.uncancelled == {}


def test_a_second_wish_to_cancel_at_the_same_moment_is_another_one_when_the_first_was_refused(world):
    stage, broker = refused_to_cancel(world)
    broker.cancel = lambda order: ()
    stage.cancel(UUID(int=1), "operator-ann", "ann: still wrong")
    stage.settle()
    assert stage.desk._orders[1].history.status() is Status.PENDING_CANCEL
    stage, _ = world()
    stage.recover()
    assert [each.reason for each in stage.uncancelled.values()] == ["ann: still wrong"]


def test_an_order_is_acknowledged_in_its_batch_and_filled_by_the_next_bar(stage):
    assert seen(tell(stage, a_bar(0), an_intent())) == [(1, "ACKNOWLEDGED", 1)]
    (filled,) = tell(stage, a_bar(1, open=100.5))
    assert (filled.status, filled.avg_fill_price, filled.commission) == (OrderStatus.FILLED, 100.5, 1.0)
    assert filled.timestamp == NOON + timedelta(minutes=1)
    assert stage.desk.positions == {"AAPL": 10.0}


def test_everything_said_passes_the_contracts_and_the_ledger_agrees_with_the_desk(stage):
    said = tell(stage, a_bar(0), an_intent(1), an_intent(2, quantity=1_000.0))
    said += tell(stage, a_bar(1), an_intent(3, 1, direction=Side.SELL, quantity=4.0))
    said += tell(stage, a_bar(2))
    ledger = Ledger()
    for message in said:
        assert decode(encode(message)) == message
        ledger.apply(message)
    assert ledger.positions == stage.desk.positions == {"AAPL": 6.0}


def test_a_bar_alone_says_nothing(stage):
    assert tell(stage, a_bar(0)) == []


def test_refusals_are_reports_and_the_rest_of_the_batch_goes_on(stage):
    said = tell(stage, a_bar(0), an_intent(1, quantity=1_000.0), an_intent(2), an_intent(3, symbol="MSFT"))
    assert sorted(seen(said)) == [(1, "REJECTED", 1), (2, "ACKNOWLEDGED", 1), (3, "REJECTED", 1)]
    reasons = {each.intent_id.int: each.reject_reason for each in said}
    assert reasons[1].startswith("NOTIONAL_EXCEEDS_MAX_PER_ORDER: ")
    assert reasons[3].startswith("NO_REFERENCE: ")


def test_an_intent_told_twice_is_one_order(stage):
    assert seen(tell(stage, a_bar(0), an_intent(), an_intent())) == [(1, "ACKNOWLEDGED", 1)]
    again = tell(stage, an_intent())
    assert seen(again) == [(1, "ACKNOWLEDGED", 1)]
    assert len(stage.desk.open_orders) == 1
    tell(stage, a_bar(1))
    assert stage.desk.positions == {"AAPL": 10.0}


def test_a_refused_intent_told_again_gets_the_same_report(stage):
    first = tell(stage, a_bar(0), an_intent(1, quantity=1_000.0))
    assert tell(stage, a_bar(1, price=5.0), an_intent(1, quantity=1_000.0)) == first


@pytest.mark.parametrize("same_batch", [True, False])
def test_the_same_id_with_other_content_is_no_order_and_leaves_the_first_alone(stage, same_batch):
    stage.handlers[BarEvent](a_bar(0))
    stage.handlers[OrderIntent](an_intent())
    if not same_batch:
        stage.settle()
    with pytest.raises(Unprocessable) as verdict:
        stage.handlers[OrderIntent](an_intent(quantity=11.0))
    assert verdict.value.error.path == "/intent_id"
    stage.settle()
    tell(stage, a_bar(1))
    assert stage.desk.positions == {"AAPL": 10.0}


def test_intents_before_recovery_are_refused(tmp_path):
    settings = OrderSettings(journal_path=tmp_path / "j.sqlite", paper_store_path=tmp_path / "p.sqlite")
    stage = build_stage(settings)
    with pytest.raises(RuntimeError, match="recover"):
        stage.handlers[OrderIntent](an_intent())
    stage.close()


@pytest.mark.parametrize("arrives", [True, False])
def test_an_unknown_outcome_is_in_doubt_and_never_rejected(world, arrives):
    stage, broker = world()
    stage.recover()
    broker.trouble = [(BrokerStateUnknown, arrives)]
    said = tell(stage, a_bar(0), an_intent())
    assert seen(said) == [(1, "IN_DOUBT", 1)]
    assert [each.code for each in said if isinstance(each, RiskAlert)] == ["ORDER_IN_DOUBT"]
    assert state_of(stage) is RowState.IN_DOUBT
    assert seen(tell(stage, an_intent())) == [(1, "IN_DOUBT", 1)]
    assert broker.submissions == 1


@pytest.mark.parametrize(("kind", "code"), [(BrokerRefused, "REFUSED"), (BrokerUnavailable, "BROKER_UNAVAILABLE")])
def test_a_clear_no_is_a_rejection(world, kind, code):
    stage, broker = world()
    stage.recover()
    broker.trouble = [(kind, False)]
    (report,) = tell(stage, a_bar(0), an_intent())
    assert report.status is OrderStatus.REJECTED
    assert report.reject_reason.startswith(f"{code}: ")
    assert state_of(stage) is RowState.REJECTED
    assert stage.desk.open_orders == ()


def test_an_order_in_doubt_is_adopted_once_the_broker_shows_it(world):
    stage, broker = world(KeyLife.NONE)
    stage.recover()
    broker.trouble = [(BrokerStateUnknown, True)]
    tell(stage, a_bar(0), an_intent())
    stage, broker = world(KeyLife.NONE)
    assert (1, "ACKNOWLEDGED", 2) in seen(stage.recover())
    assert state_of(stage) is RowState.ACKED
    assert broker.submissions == 0
    assert seen(tell(stage, a_bar(1))) == [(1, "FILLED", 3)]


@pytest.mark.parametrize("life", list(KeyLife))
def test_an_order_in_doubt_that_the_broker_does_not_find_is_never_sent_again(world, life):
    stage, broker = world(life)
    stage.recover()
    broker.trouble = [(BrokerStateUnknown, False)]
    tell(stage, a_bar(0), an_intent())
    for _ in range(2):
        stage, broker = world(life)
        stage.recover()
        tell(stage, a_bar(1), an_intent())
        assert broker.submissions == 0
        assert state_of(stage) is RowState.IN_DOUBT


def being_sent(world):
    """The next life after one that ended while it was sending order 1, which never arrived."""
    stage, _ = world()
    stage.recover()
    stage._journal.begin([SubmitOrder(an_intent(), "PAPER")], [], 0)
    return world()


def test_an_order_that_was_being_sent_is_in_doubt_when_the_broker_cannot_be_asked(world):
    stage, broker = being_sent(world)
    broker.blind = True
    assert (1, "IN_DOUBT", 1) in seen(stage.recover())
    assert state_of(stage) is RowState.IN_DOUBT
    assert broker.submissions == 0


def test_an_order_that_was_being_sent_and_is_not_found_is_in_doubt_on_any_venue(world):
    stage, broker = being_sent(world)
    assert (1, "IN_DOUBT", 1) in seen(stage.recover())
    assert state_of(stage) is RowState.IN_DOUBT
    assert broker.submissions == 0


def test_a_kill_that_came_while_the_plane_was_down_is_known_before_anything_else_is_decided(world):
    stage, broker = being_sent(world)
    stage.restore(a_command(True))
    said = stage.recover()
    (report,) = [each for each in said if isinstance(each, ExecutionReport)]
    assert report.status is OrderStatus.IN_DOUBT
    assert [each.code for each in said if isinstance(each, RiskAlert)] == ["KILL_SWITCH_ENGAGED", "ORDER_IN_DOUBT"]
    (refused,) = [each for each in tell(stage, an_intent(2)) if isinstance(each, ExecutionReport)]
    assert refused.reject_reason.startswith("TRADING_HALTED: ")
    assert tell(stage, a_command(True)) == [], "its turn comes later, and it was said already"
    assert broker.submissions == 0


def test_reports_stay_in_the_outbox_until_the_bus_has_delivered_them(world):
    stage, _ = world()
    delivered = 0
    stage.follow(lambda: delivered)
    stage.recover()
    tell(stage, a_bar(0), an_intent(1))
    first = stage.appended
    tell(stage, an_intent(2, quantity=9.0))
    stage, _ = world()
    assert {number for number, _, _ in seen(stage.recover())} >= {1, 2}, "neither was delivered before the crash"

    stage.follow(lambda: delivered)
    delivered = first
    tell(stage, an_intent(3, quantity=8.0))
    stage, _ = world()
    assert {number for number, _, _ in seen(stage.recover())} == {2, 3}


def test_an_accepted_order_that_the_broker_lost_is_in_doubt_and_not_sent_again(world, tmp_path):
    stage, _ = world()
    stage.recover()
    tell(stage, a_bar(0), an_intent())
    stage.close()
    for path in tmp_path.glob("venue.sqlite*"):
        path.unlink()
    stage, broker = world()
    assert (1, "IN_DOUBT", 2) in seen(stage.recover())
    assert state_of(stage) is RowState.IN_DOUBT
    assert broker.submissions == 0


def test_fills_that_happened_while_the_plane_was_away_are_booked_at_boot(world, tmp_path):
    stage, _ = world()
    stage.recover()
    tell(stage, a_bar(0), an_intent())
    stage.close()
    broker = FlakyBroker(tmp_path / "venue.sqlite")
    broker.observe(a_bar(1))
    broker.drain()
    broker.close()
    stage, _ = world()
    assert (1, "FILLED", 2) in seen(stage.recover())
    assert stage.desk.positions == {"AAPL": 10.0}


def test_reports_that_may_be_unheard_are_said_again_and_heard_ones_are_not(world):
    stage, _ = world()
    stage.recover()
    tell(stage, a_bar(0), an_intent(1))
    tell(stage, an_intent(2, quantity=9.0))
    stage, _ = world()
    assert seen(stage.recover()) == [(2, "ACKNOWLEDGED", 1)]
    tell(stage, a_bar(0), an_intent(3, quantity=8.0))
    stage, _ = world()
    assert seen(stage.recover()) == [(3, "ACKNOWLEDGED", 1)]


def test_replaying_every_intent_calls_no_broker(world):
    stage, _ = world()
    stage.recover()
    history = [an_intent(1), an_intent(2, quantity=9.0), an_intent(3, quantity=1_000.0)]
    first = seen(tell(stage, a_bar(0), *history))
    first += seen(tell(stage, a_bar(1)))
    stage, broker = world()
    stage.recover()
    assert sorted(seen(tell(stage, *history))) == sorted(first)
    assert broker.submissions == 0


def test_positions_and_open_orders_are_the_same_after_a_restart(world):
    stage, _ = world()
    stage.recover()
    tell(stage, a_bar(0), an_intent(1), an_intent(2, order_type=OrderType.LIMIT, limit_price=95.0))
    tell(stage, a_bar(1))
    before = dict(stage.desk.positions), stage.desk.open_orders
    stage, _ = world()
    stage.recover()
    assert (dict(stage.desk.positions), stage.desk.open_orders) == before


def test_restored_bars_are_reference_prices_and_fill_nothing(world):
    stage, _ = world()
    stage.recover()
    tell(stage, a_bar(0), an_intent(1))
    stage, _ = world()
    stage.recover()
    stage.restore(a_bar(1))
    assert list(stage.settle()) == []
    assert seen(tell(stage, an_intent(2, 1, quantity=9.0))) == [(2, "ACKNOWLEDGED", 1)]


def test_a_kill_stops_the_intents_of_its_own_batch_and_cancels_what_works(stage):
    tell(stage, a_bar(0), an_intent(1))
    said = tell(stage, an_intent(2, quantity=9.0), a_command(True))
    assert [each.code for each in said if isinstance(each, RiskAlert)] == ["KILL_SWITCH_ENGAGED"]
    assert sorted(seen(said)) == [(1, "CANCELED", 2), (2, "REJECTED", 1)]
    assert stage.desk.open_orders == ()


def test_a_kill_survives_a_restart_and_only_a_release_ends_it(world):
    stage, _ = world()
    stage.recover()
    tell(stage, a_bar(0), a_command(True))
    stage, broker = world()
    stage.recover()
    (refused,) = tell(stage, a_bar(1), an_intent(1, 1))
    assert refused.reject_reason.startswith("TRADING_HALTED: ")
    assert broker.submissions == 0
    tell(stage, as_shown(stage, a_command(False, 2)))
    assert tell(stage, a_command(True)) == [], "the old command comes again and must not engage anew"
    assert seen(tell(stage, an_intent(2, 1))) == [(2, "ACKNOWLEDGED", 1)]


def test_a_cancel_that_could_not_be_asked_is_tried_until_it_could(world):
    stage, broker = world()
    stage.recover()
    tell(stage, a_bar(0), an_intent())
    broker.deaf_to_cancels = True
    assert "CANCEL_FAILED" in [each.code for each in tell(stage, a_command(True))]
    assert list(stage.settle()) == []
    broker.deaf_to_cancels = False
    assert seen(stage.settle()) == [(1, "CANCELED", 2)]


def test_a_kill_whose_cancels_were_never_sent_cancels_after_the_restart(world):
    stage, _ = world()
    stage.recover()
    tell(stage, a_bar(0), an_intent())
    stage.handlers[KillSwitchCommand](a_command(True))
    stage, _ = world()
    stage.recover()
    assert seen(stage.settle()) == [(1, "CANCELED", 2)]


def test_a_hundred_intents_cost_two_durable_transactions(world):
    stage, _ = world()
    stage.recover()
    stage.handlers[BarEvent](a_bar(0))
    for number in range(1, 101):
        stage.handlers[OrderIntent](an_intent(number, quantity=0.5))
    commits = []
    connection = stage._journal._database._connection
    connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    assert len(stage.settle()) == 100
    assert len(commits) == 2


def test_a_fill_after_the_cancel_is_booked_and_reported(world):
    stage, broker = world()
    stage.recover()
    tell(stage, a_bar(0), an_intent())
    tell(stage, a_command(True))
    late = Fact(UUID(int=1), FactKind.FILL, "late", NOON, "o-1", 4.0, 100.0)
    broker._news.append(late)
    (report,) = stage.settle()
    assert (report.status, report.filled_quantity, report.sequence) == (OrderStatus.CANCELED, 4.0, 3)
    assert stage.desk.positions == {"AAPL": 4.0}
    stage, _ = world()
    stage.recover()
    assert stage.desk.positions == {"AAPL": 4.0}


def test_a_report_on_an_order_nobody_knows_raises_an_alarm_and_moves_nothing(world):
    stage, broker = world()
    stage.recover()
    broker._news.append(Fact(UUID(int=9), FactKind.FILL, "1", NOON, "stranger", 4.0, 100.0))
    (alert,) = stage.settle()
    assert (alert.code, stage.desk.positions) == ("UNKNOWN_ORDER", {})


def test_an_intent_that_was_written_down_and_never_sent_is_sent_after_the_restart(world):
    stage, _ = world()
    stage.recover()
    journal = stage._journal
    journal._write(lambda: journal._intend(an_intent(), "PAPER", 1, RowState.INTENDED))
    stage, broker = world()
    assert list(stage.recover()) == []
    assert seen(tell(stage, a_bar(0), an_intent())) == [(1, "ACKNOWLEDGED", 1)]
    assert broker.submissions == 1


def test_an_order_that_another_plane_is_sending_is_not_sent_here(world):
    stage, broker = world()
    stage.recover()
    tell(stage, a_bar(0))
    stage.handlers[OrderIntent](an_intent())
    stage._journal.begin([SubmitOrder(an_intent(), "PAPER")], [], 0)
    assert list(stage.settle()) == []
    assert broker.submissions == 0
    assert stage.desk.open_orders == ()


def test_a_cancel_that_the_venue_refuses_leaves_the_order_as_it_is(world):
    stage, broker = world(KeyLife.NONE)
    stage.recover()
    broker.trouble = [(BrokerStateUnknown, False)]
    tell(stage, a_bar(0), an_intent())
    assert seen(tell(stage, a_command(True))) == []
    assert len(stage.desk.open_orders) == 1


def test_trades_move_the_reference_and_quotes_do_not(stage):
    def tick(kind, price):
        return TickEvent(symbol="AAPL", timestamp=NOON, price=price, size=1.0, tick_type=kind)

    tell(stage, a_bar(0), tick(TickType.BID, 5_000.0))
    assert seen(tell(stage, an_intent(1))) == [(1, "ACKNOWLEDGED", 1)]
    tell(stage, tick(TickType.TRADE, 5_000.0))
    (refused,) = tell(stage, an_intent(2))
    assert refused.reject_reason.startswith("NOTIONAL_EXCEEDS_MAX_PER_ORDER: ")
    stage.restore(tick(TickType.TRADE, 100.0))
    assert seen(tell(stage, an_intent(3))) == [(3, "ACKNOWLEDGED", 1)]
