"""What a kill reaches when it comes at the worst moment: in doubt, in a batch, before a restart."""

from datetime import UTC, datetime, timedelta
from threading import Thread
from types import SimpleNamespace
from uuid import UUID

import pytest

from contracts.codec import encode
from contracts.control import KillAction, KillScope, KillSwitchCommand, RiskAlert
from contracts.market import BarEvent
from contracts.trading import ExecutionReport, OrderIntent, OrderType, Side, TimeInForce
from kernel.asides import Asides
from kernel.clock import monotonic
from kernel.kafka_errors import BrokerUnavailable
from kernel.memory_bus import MemoryBus
from kernel.ports import Unprocessable
from kernel.pump import Pump
from order_plane.brokers.port import BrokerRefused, BrokerStateUnknown, KeyLife, OpenOrder, Snapshot
from order_plane.command_channel import CommandChannel, ask
from order_plane.command_fields import kills_among
from order_plane.composition import build_stage
from order_plane.facts import Fact, FactKind
from order_plane.journals.memory import MemoryJournal
from order_plane.journals.port import JournalError, Resolution, RowState, Verdict
from order_plane.operator_commands import operator_commands
from order_plane.reports import NO_ORDER
from order_plane.retelling import obeyed_ahead
from order_plane.settings import OrderSettings
from order_plane.urgent import ways_of

NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)
LIMITS = {"duplicate_window": 0, "max_order_value": 1e9, "max_symbol_notional": 1e9, "max_gross_exposure": 1e9}
EXTERNAL = UUID(int=77)


class Venue:
    """A venue of which a test says what it accepts, when it speaks and what it lists."""

    key_life = KeyLife.NONE
    dormant = False

    def __init__(self):
        self.reachable, self.orders, self.news, self.listed = True, {}, [], ()
        self.cancelled, self.refused, self.before_answer = [], [], lambda order: None

    def submit(self, order):
        self.before_answer(order)
        name = order.intent.intent_id
        self.orders.setdefault(name, []).append(order)
        if not self.reachable:
            raise BrokerStateUnknown("timeout")
        return [self.fact(name, FactKind.ACK)]

    def fact(self, name, kind, **more):
        return Fact(name, kind, kind.value.lower(), NOON, f"v-{name.int}", **more)

    def cancel(self, order):
        if order.order_id == NO_ORDER:
            self.refused.append(order.intent_id)
            raise BrokerRefused("UNKNOWN_ORDER: not here")
        self.cancelled.append(order.intent_id)
        return [self.fact(order.intent_id, FactKind.CANCELLED)]

    def drain(self):
        news, self.news = self.news, []
        return news

    def lookup(self, intent_id):
        return None

    def snapshot(self):
        return Snapshot(self.listed, (), {})

    def observe(self, bar):
        pass

    def close(self):
        pass


def settings(**more):
    return OrderSettings.model_validate({"limits": LIMITS, "guards": (), "reconciliation": None} | more)


def a_plane(venue, journal=None, **more):
    stage = build_stage(settings(**more), journal or MemoryJournal(), venue)
    stage.recover()
    prices = dict.fromkeys(("open", "high", "low", "close"), 100.0)
    tell(stage, BarEvent(symbol="AAPL", timestamp=NOON, volume=1e6, **prices))
    return stage


def an_intent(number=1, **changes):
    fields = {"symbol": "AAPL", "direction": Side.BUY, "quantity": 10.0, "order_type": OrderType.MARKET}
    fields |= {"time_in_force": TimeInForce.GTC, "timestamp": NOON}
    return OrderIntent(intent_id=UUID(int=number), **{**fields, **changes})


def a_kill(number=500, engage=True, **changes):
    who = {"operator": "ada", "reason": "drill", "timestamp": NOON}
    return KillSwitchCommand(command_id=UUID(int=number), engage=engage, **who, **changes)


def tell(stage, *messages):
    said = [output for message in messages for output in stage.handlers[type(message)](message)]
    return [*said, *stage.settle()]


def statuses(said):
    return [each.status.value for each in said if isinstance(each, ExecutionReport)]


@pytest.fixture
def venue():
    return Venue()


@pytest.fixture
def doubtful(venue):
    """A plane that was killed while order 1 was in doubt: the venue knew nothing of it when it was to be cancelled."""
    venue.reachable = False
    stage = a_plane(venue)
    assert statuses(tell(stage, an_intent())) == ["IN_DOUBT"]
    tell(stage, a_kill())
    assert (venue.cancelled, venue.refused) == ([], [UUID(int=1)])
    return stage


def test_an_order_in_doubt_that_shows_up_under_a_kill_is_cancelled(doubtful, venue):
    venue.news.append(venue.fact(UUID(int=1), FactKind.ACK))
    assert statuses(tell(doubtful)) == ["ACKNOWLEDGED", "CANCELED"]
    assert venue.cancelled == [UUID(int=1)]
    assert doubtful.desk.open_orders == ()


def test_an_order_in_doubt_that_a_person_adopts_under_a_kill_is_cancelled(doubtful, venue):
    adopted = Resolution(UUID(int=1), 1, Verdict.ADOPTED, "ann", "asked", NOON, "v-1")
    assert statuses([*doubtful.resolve(adopted), *doubtful.settle()]) == ["ACKNOWLEDGED", "CANCELED"]
    assert venue.cancelled == [UUID(int=1)]


class NobodyTells(Exception):
    """Whether somebody has killed cannot be known."""


def test_what_the_venue_said_is_kept_when_the_rest_of_a_batch_cannot_leave(venue):
    journal = MemoryJournal()
    stage = a_plane(venue, journal)
    tell(stage, an_intent(1))
    venue.news = [venue.fact(UUID(int=1), FactKind.FILL, quantity=4.0, price=100.0)]

    def urgent():
        if len(venue.orders) == 2:
            raise NobodyTells
        return ()

    stage.heed(urgent)
    with pytest.raises(NobodyTells):
        tell(stage, an_intent(2), an_intent(3, quantity=11.0))
    assert [*venue.orders] == [UUID(int=1), UUID(int=2)]
    assert [fact.kind for fact in journal.past(UUID(int=1)).facts] == [FactKind.ACK, FactKind.FILL]
    states = [journal.past(UUID(int=number)).state for number in (2, 3)]
    assert states == [RowState.ACKED, RowState.SUBMITTING]


def test_a_plane_that_holds_sends_no_order_and_closes_what_a_kill_wants_closed(venue):
    stage = a_plane(venue)
    tell(stage, an_intent(1))
    venue.news = [venue.fact(UUID(int=1), FactKind.FILL, quantity=10.0, price=100.0)]
    tell(stage)
    stage.handlers[OrderIntent](an_intent(2))
    stage.hold("KAFKA_AWAY: Kafka does not answer")
    assert tell(stage) == []
    assert stage._journal.past(UUID(int=2)) is None, "it is told again"
    (refused,) = tell(stage, an_intent(3))
    assert refused.reject_reason == "TRADING_HALTED: KAFKA_AWAY: Kafka does not answer"
    tell(stage, a_kill(action=KillAction.HALT_AND_FLATTEN))
    (closing,) = stage.desk.open_orders
    assert (closing.intent.direction, closing.intent.quantity) == (Side.SELL, 10.0)


@pytest.fixture
def at_the_fall(venue):
    """A plane of which a strategy holds 10 AAPL when Kafka falls silent, who noticed that, and the journal."""
    journal, noticed = MemoryJournal(), []
    stage = a_plane(venue, journal)
    tell(stage, an_intent(1, strategy_id="mine"))
    venue.news = [venue.fact(UUID(int=1), FactKind.FILL, quantity=10.0, price=100.0)]
    tell(stage)

    def urgent():
        noticed.append(stage)
        raise BrokerUnavailable("host", "what a pause has missed cannot be read")

    stage.heed(urgent)
    return stage, noticed, journal


KILL_OF_MINE = {"scope": KillScope.STRATEGY, "target": "mine", "action": KillAction.HALT_AND_FLATTEN}


def test_what_closes_a_position_leaves_though_kafka_falls_silent_right_before(venue, at_the_fall):
    stage, _, _ = at_the_fall
    assert statuses(tell(stage, a_kill(**KILL_OF_MINE))) == ["ACKNOWLEDGED"]
    (closing,) = stage.desk.open_orders
    assert closing.intent.intent_id in venue.orders


def test_what_has_not_left_when_kafka_falls_silent_is_no_order_and_keeps_no_position_open(venue, at_the_fall):
    stage, noticed, journal = at_the_fall
    with pytest.raises(BrokerUnavailable):
        tell(stage, a_kill(**KILL_OF_MINE), an_intent(2), an_intent(3, quantity=11.0))
    assert len(noticed) == 1, "one order waits for Kafka, the others do not"
    (closing,) = stage.desk.open_orders
    assert [*venue.orders] == [UUID(int=1), closing.intent.intent_id]
    assert [journal.past(UUID(int=number)).state for number in (2, 3)] == [RowState.REJECTED] * 2


def away():
    raise BrokerUnavailable("host", "what a pause has missed cannot be read")


def asked_of(channel):
    """What an order plane asks before each order while Kafka does not answer, as its process has it ask."""
    kafka = SimpleNamespace(lasts=False, heed=away, read=away)
    return ways_of(channel, kafka, kafka, kafka)


@pytest.mark.parametrize("recorded", [False, True])
def test_a_kill_by_the_socket_is_heard_though_kafka_falls_silent_in_the_same_moment(venue, recorded):
    stage = a_plane(venue)
    tell(stage, an_intent(1))
    channel = SimpleNamespace(waiting=lambda: [{"command": "kill", "message": encode(a_kill()).decode()}])
    asides = Asides()
    stage.heed(*map(asides.heeding, asked_of(channel)) if recorded else asked_of(channel))
    with pytest.raises(BrokerUnavailable):
        tell(stage, an_intent(2))
    assert [each.command_id for each in stage.desk.switch.engaged] == [a_kill().command_id]
    stage.hold("KAFKA_AWAY: Kafka does not answer")
    stage.settle()
    assert (venue.cancelled, [*venue.orders]) == ([UUID(int=1)], [UUID(int=1)])


def test_a_kill_by_the_socket_is_heard_in_the_batch_in_which_kafka_has_fallen_silent(at_the_fall):
    stage, _, _ = at_the_fall
    stage.heed(away, lambda: [a_kill()])
    with pytest.raises(BrokerUnavailable):
        tell(stage, an_intent(2), an_intent(3, quantity=11.0))
    assert [each.command_id for each in stage.desk.switch.engaged] == [a_kill().command_id]


def test_without_a_kill_what_shows_up_works_on(venue):
    venue.reachable = False
    stage = a_plane(venue)
    tell(stage, an_intent())
    venue.news.append(venue.fact(UUID(int=1), FactKind.ACK))
    tell(stage)
    tell(stage, a_kill(scope=KillScope.STRATEGY, target="another"))
    assert (venue.cancelled, len(stage.desk.open_orders)) == ([], 1)


def test_an_order_of_somebody_else_that_is_adopted_under_a_kill_is_cancelled(venue):
    stage = a_plane(venue, reconciliation={"unknown_orders": "adopt", "cash_tolerance": None})
    tell(stage, a_kill())
    venue.listed = (OpenOrder(EXTERNAL, "v-77", "AAPL", 0.0, Side.BUY, 5.0),)
    stage.reconcile()
    tell(stage)
    assert venue.cancelled == [EXTERNAL]


@pytest.mark.fault("F34: a kill while 50 orders are in flight")
def test_a_kill_stops_the_rest_of_the_batch_that_is_being_sent(venue, tmp_path):
    stage = a_plane(venue)
    waiting = []
    stage.heed(lambda: waiting)

    def strike(order):
        if order.intent.intent_id.int == 10:
            waiting.append(a_kill())

    venue.before_answer = strike
    said = tell(stage, *(an_intent(number) for number in range(1, 51)))
    assert len(venue.orders) == 10, "an order left after the kill"
    refused = [each for each in said if isinstance(each, ExecutionReport) and each.reject_reason]
    assert [each.intent_id.int for each in refused] == list(range(11, 51))
    assert {each.reject_reason.partition(":")[0] for each in refused} == {"TRADING_HALTED"}
    tell(stage, *waiting)
    assert venue.cancelled == [UUID(int=number) for number in range(1, 11)]
    assert stage.desk.open_orders == ()


def test_a_kill_that_waits_at_the_socket_is_heeded_and_still_answered(venue, tmp_path):
    stage = a_plane(venue)
    published = []
    channel = CommandChannel(tmp_path / "order.sock", operator_commands(stage, published.extend))
    stage.heed(lambda: kills_among(channel.waiting()))
    answers = []

    def strike(order):
        if order.intent.intent_id.int == 3:
            kill = {"message": encode(a_kill()).decode()}
            thread = Thread(target=lambda: answers.append(ask(tmp_path / "order.sock", "kill", kill)))
            thread.start()
            while not channel.waiting():
                thread.join(0.01)
            threads.append(thread)

    threads = []
    venue.before_answer = strike
    tell(stage, *(an_intent(number) for number in range(1, 6)))
    assert sorted(name.int for name in venue.orders) == [1, 2, 3]
    channel.poll()
    threads[0].join(10.0)
    channel.close()
    assert answers[0]["killed"] is True
    assert answers[0]["open_orders"] == 0
    assert venue.cancelled == [UUID(int=number) for number in (1, 2, 3)]
    assert [each for each in published if isinstance(each, KillSwitchCommand)] == [a_kill()]


def test_a_kill_that_was_never_heard_by_others_is_said_again_after_the_restart(venue):
    journal = MemoryJournal()
    tell(a_plane(venue, journal), a_kill())
    again = build_stage(settings(), journal, venue)
    assert [each for each in again.recover() if isinstance(each, KillSwitchCommand)] == [a_kill()]
    tell(again, a_kill(), a_kill(501, engage=False, ends=UUID(int=500)))
    last = build_stage(settings(), journal, venue)
    assert [each for each in last.recover() if isinstance(each, KillSwitchCommand)] == []


def test_what_closes_a_position_is_not_cancelled_by_the_kill_that_wants_it_closed(venue):
    stage = a_plane(venue)
    tell(stage, an_intent())
    venue.news.append(venue.fact(UUID(int=1), FactKind.FILL, quantity=10.0, price=100.0))
    tell(stage, a_kill(action=KillAction.HALT_AND_FLATTEN))
    (closing,) = stage.desk.open_orders
    assert (closing.intent.direction, closing.intent.quantity) == (Side.SELL, 10.0)
    for minute in range(1, 4):
        prices = dict.fromkeys(("open", "high", "low", "close"), 100.0)
        tell(stage, BarEvent(symbol="AAPL", timestamp=NOON + timedelta(minutes=minute), volume=1e6, **prices))
    tell(stage, a_kill(502))
    assert venue.cancelled == []
    assert len(venue.orders) == 2


def test_a_kill_that_was_polled_together_with_intents_stops_all_of_them_whatever_came_first(venue):
    for number, place in enumerate((0, 7, 50)):
        stage, wishes = a_plane(venue), [an_intent(100 * number + each) for each in range(1, 51)]
        bus = MemoryBus()
        endpoint = bus.connect(stage.handlers)
        for message in (*wishes[:place], a_kill(), *wishes[place:]):
            bus.publish(message)
        assert Pump(stage, endpoint).step(0.0) == 51
        assert venue.orders == {}, f"an order left beside a kill in place {place}"


def test_commands_that_are_heard_ahead_end_as_if_each_had_been_heard_in_its_turn(venue):
    stage, waiting = a_plane(venue), []
    stage.heed(lambda: [waiting.pop(0) for _ in tuple(waiting)])
    release = a_kill(501, engage=False, ends=UUID(int=500))
    heard = [a_kill(500), release, a_kill(502, scope=KillScope.STRATEGY, target="another")]

    def strike(order):
        if order.intent.intent_id.int == 3:
            waiting.extend(heard)

    venue.before_answer = strike
    said = [*tell(stage, *(an_intent(number) for number in range(1, 6))), *tell(stage)]
    assert [name.int for name in venue.orders] == [1, 2, 3, 4, 5], "the kill was released again before the next order"
    assert venue.cancelled == [UUID(int=number) for number in range(1, 4)], "what worked under the kill is cancelled"
    engaged = stage.desk.switch.engaged
    assert [each.command_id.int for each in engaged] == [502]
    assert tell(stage, *heard) == []
    assert stage.desk.switch.engaged == engaged
    assert [each.code for each in said if isinstance(each, RiskAlert)].count("KILL_SWITCH_ENGAGED") == 2


def test_the_cancels_of_a_kill_that_comes_between_two_batches_do_not_wait_for_the_next_one(venue):
    stage = a_plane(venue)
    tell(stage, an_intent())
    said = obeyed_ahead(stage, a_kill())
    assert venue.cancelled == [UUID(int=1)]
    assert statuses(said) == ["CANCELED"]
    assert tell(stage, a_kill()) == []


def test_a_release_that_was_refused_ahead_stays_refused_in_its_turn(venue):
    stage, waiting = a_plane(venue), []
    stage.heed(lambda: [waiting.pop(0) for _ in tuple(waiting)])
    another = {"scope": KillScope.STRATEGY, "target": "another"}
    release = a_kill(501, engage=False, ends=UUID(int=500), **another)
    tell(stage, a_kill(500, action=KillAction.HALT_AND_INVESTIGATE, **another))
    venue.before_answer = lambda order: waiting.append(release)
    tell(stage, an_intent(1), an_intent(2))
    assert sorted(name.int for name in venue.orders) == [1, 2]
    assert [each.command_id.int for each in stage.desk.switch.engaged] == [500]
    tell(stage, a_kill(502, engage=False, second_operator="bob", ends=UUID(int=500), **another))
    tell(stage, a_kill(503, **another))
    with pytest.raises(Unprocessable, match="investigation"):
        tell(stage, release)
    assert [each.command_id.int for each in stage.desk.switch.engaged] == [503]


class TakenOver(MemoryJournal):
    """A journal that another order plane can take over, and that counts how often it is asked about that."""

    taken = False
    asked = 0

    def affirm(self):
        self.asked += 1
        if self.taken:
            raise JournalError("another order plane took this journal over; this one must stop")


@pytest.mark.parametrize("paused", [True, False])
def test_a_plane_that_was_cut_off_sends_no_more_of_its_batch_once_it_may_have_been_taken_over(
    venue, monkeypatch, paused
):
    journal, away = TakenOver(), [0.0]
    stage = a_plane(venue, journal)
    monkeypatch.setattr("order_plane.sending.since_boot", lambda: monotonic() + away[0])

    def pause(order):
        if order.intent.intent_id.int == 3 and paused:
            journal.taken = True
            away[0] += 30.0

    venue.before_answer = pause
    wishes = [an_intent(number) for number in range(1, 9)]
    if not paused:
        tell(stage, *wishes)
        assert (len(venue.orders), journal.asked) == (8, 0), "what cannot have happened is not asked about"
        return
    with pytest.raises(JournalError, match="took this journal over"):
        tell(stage, *wishes)
    assert sorted(name.int for name in venue.orders) == [1, 2, 3]


def test_after_an_idle_while_the_journal_that_has_just_answered_is_not_asked_again(venue, monkeypatch):
    journal, away = TakenOver(), [0.0]
    stage = a_plane(venue, journal)
    monkeypatch.setattr("order_plane.sending.since_boot", lambda: monotonic() + away[0])
    for number in (1, 2):
        away[0] += 60.0
        tell(stage, an_intent(number))
    assert (len(venue.orders), journal.asked) == (2, 0)
