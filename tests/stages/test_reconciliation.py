"""What the order plane does when the venue's account is not its own."""

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from math import nan
from uuid import UUID

import pytest
from order_messages import NOON, a_bar, an_intent, as_shown

from contracts.codec import decode, encode
from contracts.control import KillAction, KillScope, KillSwitchCommand, RiskAlert
from contracts.topics import TOPIC_OF
from contracts.trading import ExecutionReport, Side
from kernel.clock import ManualClock
from launcher.rollback_cli import _verify
from order_plane.brokers.paper_store import MemoryPaperStore
from order_plane.brokers.port import BrokerUnavailable, OpenOrder
from order_plane.checking import Checking
from order_plane.composition import build_stage, paper_broker
from order_plane.facts import Fact, FactKind
from order_plane.journals.memory import MemoryJournal
from order_plane.journals.port import Resolution, Verdict
from order_plane.journals.sqlite import SqliteJournal
from order_plane.operator_commands import operator_commands
from order_plane.settings import OrderSettings
from order_plane.unacceptable import NotInDoubt

UNLIKE = "the venue's account differs from this one, or cannot be had"


class Venue:
    """A paper venue of which a test may change what it says."""

    def __init__(self, settings, cash):
        self._broker = paper_broker(settings, MemoryPaperStore())
        self.silent = False
        self.change = lambda seen: replace(seen, cash=seen.cash + cash)
        self.extra = {}
        self.news = []

    def drain(self):
        news, self.news = self.news, []
        return [*self._broker.drain(), *news]

    def __getattr__(self, name):
        return getattr(self._broker, name)

    def snapshot(self):
        if self.silent:
            raise BrokerUnavailable
        return self.change(self._broker.snapshot())

    def lookup(self, intent_id):
        return self.extra.get(intent_id) or self._broker.lookup(intent_id)


class World:
    def __init__(self, cash=0.0, change=None, clock=None, journal=None, extra=None, **changes):
        self.settings = OrderSettings(limits={"duplicate_window": 0}, **changes)
        self.journal = journal or MemoryJournal()
        self.venue = Venue(self.settings, cash)
        self.venue.change = change or self.venue.change
        self.venue.extra = extra or {}
        if clock is not None:
            self.venue.clock = clock
        self.said = []
        self.start()

    def start(self):
        self.stage = build_stage(self.settings, self.journal, self.venue)
        self.hear(self.stage.recover())

    def hear(self, said):
        self.said += said
        return said

    def tell(self, *messages):
        said = [output for message in messages for output in self.stage.handlers[type(message)](message)]
        return self.hear([*said, *self.stage.settle()])

    def released(self, symbol, number=50):
        return as_shown(self.stage, a_release(symbol, number))

    def alerts(self):
        return [each.code for each in self.said if isinstance(each, RiskAlert)]


def a_release(symbol, number=50):
    return KillSwitchCommand(
        command_id=UUID(int=number),
        timestamp=NOON,
        engage=False,
        scope=KillScope.SYMBOL,
        target=symbol,
        operator="ann",
        reason="asked the venue",
    )


def last_status(said):
    return [
        (each.status.value, (each.reject_reason or "").partition(":")[0]) for each in said if hasattr(each, "status")
    ]


@pytest.fixture
def world():
    return World()


class Notes(MemoryJournal):
    """A journal that counts how often all its notes are read."""

    read = 0

    def notes(self):
        self.read += 1
        return super().notes()


def test_a_pass_looks_its_notes_up_and_never_reads_all_that_were_ever_kept():
    world = World(cash=5.0, journal=Notes())
    world.journal.read = 0
    world.tell(a_bar(), an_intent())
    world.stage.reconcile()
    world.tell(world.released("*"))
    assert world.journal.read == 0
    assert world.alerts()


def test_an_account_that_agrees_says_nothing_however_often_it_is_held_against_the_venue(world):
    world.tell(a_bar(), an_intent(), an_intent(2, direction=Side.SELL, quantity=3.0))
    world.tell(a_bar(1))
    assert world.stage.desk.cash == pytest.approx(world.venue.snapshot().cash)
    assert (world.stage.reconcile(), world.stage.reconcile()) == ([], [])
    assert world.stage.upkeep.reconciled
    world.start()
    assert world.stage.upkeep.reconciled
    assert world.alerts() == []


def test_the_opening_cash_is_what_the_venue_said_first_and_is_remembered():
    world = World(cash=5_000.0)
    world.tell(a_bar(), an_intent())
    world.tell(a_bar(1))
    world.start()
    assert (world.stage.reconcile(), world.alerts()) == ([], [])
    world.venue.change = lambda seen: replace(seen, cash=seen.cash + 4_000.0)
    world.hear(world.stage.reconcile())
    assert world.alerts() == ["RECONCILIATION_MISMATCH"]
    assert last_status(world.tell(an_intent(2))) == [("REJECTED", "TRADING_HALTED")]


@pytest.mark.parametrize("restart", [False, True])
def test_a_difference_that_was_gone_and_comes_back_halts_again_and_one_that_stays_does_not(restart):
    def ten_more(seen):
        return replace(seen, positions={"AAPL": 10.0})

    world = World(change=lambda seen: seen)
    world.tell(a_bar())
    for number in (50, 51, 52):
        world.venue.change = ten_more
        world.hear(world.stage.reconcile())
        assert world.alerts() == ["RECONCILIATION_MISMATCH"]
        assert (list(world.stage.desk.halts.reasons), world.stage.upkeep.reconciled) == (["AAPL"], False)
        world.tell(world.released("AAPL", number))
        world.said.clear()
        if restart:
            world.start()
        world.hear(world.stage.reconcile())
        assert (world.alerts(), world.stage.desk.halts.reasons, world.stage.upkeep.reconciled) == ([], {}, True)
        world.venue.change = lambda seen: seen
        world.hear(world.stage.reconcile())
        if restart:
            world.start()


def test_an_account_that_differs_or_cannot_be_had_does_not_verify(world):
    def status():
        return operator_commands(world.stage, world.hear)["status"]({})

    world.tell(a_bar())
    world.tell(a_kill(KillAction.HALT))
    assert _verify(status()) is None
    world.venue.silent = True
    world.hear(world.stage.reconcile())
    assert (_verify(status()), status()["held"].partition(":")[0]) == (UNLIKE, "RECONCILING")
    world.venue.silent = False
    world.venue.change = lambda seen: replace(seen, cash=seen.cash - 5.0)
    world.hear(world.stage.reconcile())
    assert _verify(status()) == UNLIKE


def a_kill(action=KillAction.HALT_AND_FLATTEN, number=60):
    return KillSwitchCommand(
        command_id=UUID(int=number), timestamp=NOON, engage=True, operator="ann", reason="out", action=action
    )


def sold(said):
    """What closing orders among ``said`` were filled for, in units."""
    return sum(each.last_quantity for each in said if isinstance(each, ExecutionReport) and each.direction is Side.SELL)


def held_of_two(world):
    """Ten units of one strategy and five of another."""
    world.tell(a_bar(), an_intent(), an_intent(2, quantity=5.0, strategy_id="other"))
    world.tell(a_bar(1))
    assert world.stage.desk.positions == {"AAPL": 15.0}


@pytest.mark.parametrize("there", [0.0, -3.0, 4.0, 12.0, 15.0, 40.0])
def test_closing_what_we_hold_opens_nothing_at_a_venue_that_holds_something_else(world, there):
    held_of_two(world)
    before = world.venue.snapshot().positions["AAPL"]
    world.venue.change = lambda seen: replace(
        seen, positions={"AAPL": there - before + seen.positions.get("AAPL", 0.0)}, cash=seen.cash
    )
    world.hear(world.stage.reconcile())
    world.tell(a_kill())
    for minute in range(2, 9):
        world.tell(a_bar(minute))
        world.hear(world.stage.reconcile())
    assert sold(world.said) == min(15.0, max(0.0, there))


def elsewhere(units, side=Side.SELL):
    """An order that works at the venue, and no intent of this journal asked for it."""
    return OpenOrder(UUID(int=77), "o-77", "AAPL", 1.0, side, units + 1.0)


@pytest.mark.parametrize(
    ("other", "closed"),
    [
        (elsewhere(15.0), 0.0),
        (elsewhere(40.0), 0.0),
        (elsewhere(6.0), 9.0),
        (elsewhere(12.0), 3.0),
        (elsewhere(nan), 0.0),
        (elsewhere(15.0, Side.BUY), 15.0),
    ],
)
def test_closing_leaves_what_an_unknown_order_at_the_venue_may_close(world, other, closed):
    held_of_two(world)
    world.stage.handlers[KillSwitchCommand](a_kill())  # latched in a copy, whose original has sent its closing order
    world.venue.change = lambda seen: replace(seen, open_orders=(*seen.open_orders, other))
    world.start()
    for minute in range(2, 9):
        world.tell(a_bar(minute))
        world.hear(world.stage.reconcile())
    assert "RECONCILIATION_MISMATCH" in world.alerts()
    assert sold(world.said) == closed
    world.venue.change = lambda seen: seen
    world.hear(world.stage.reconcile())
    for minute in range(9, 13):
        world.tell(a_bar(minute))
    assert sold(world.said) == 15.0, "it was cancelled without a trade"


@pytest.mark.parametrize("scope", [{"scope": KillScope.STRATEGY, "target": "default"}, {}])
@pytest.mark.parametrize("traded", [0.0, 12.0, 15.0])
def test_closing_leaves_what_an_adopted_order_may_close_and_closes_what_that_has_left(scope, traded):
    world, name = World(reconciliation={"unknown_orders": "adopt"}), UUID(int=77)
    held_of_two(world)
    world.venue.extra[name] = [Fact(name, FactKind.ACK, "ack", NOON, "o-77")]
    world.venue.cancel = lambda order: ()  # not confirmed yet
    before = world.venue.change
    world.venue.change = lambda seen: replace(seen, open_orders=(*seen.open_orders, elsewhere(15.0)))
    world.hear(world.stage.reconcile())
    world.tell(a_kill().model_copy(update=scope))
    world.tell(a_bar(2))
    world.tell(a_bar(3))
    assert sold(world.said) == 0.0
    fill = Fact(name, FactKind.FILL, "e-77", NOON, "o-77", traded, 100.0)
    world.venue.news = [*([fill] if traded else ()), Fact(name, FactKind.CANCELLED, "cancelled", NOON, "o-77")]
    world.venue.change = lambda seen: replace(
        before(seen), positions={"AAPL": seen.positions.get("AAPL", 0.0) - traded}, cash=seen.cash + traded * 100.0
    )
    world.said.clear()
    world.hear(world.stage.reconcile())
    for minute in range(4, 12):
        world.tell(a_bar(minute))
    assert sold(world.said) - traded == min(10.0 if scope else 15.0, 15.0 - traded)


def test_what_an_adopted_order_cannot_close_is_closed_at_once():
    world, name = World(reconciliation={"unknown_orders": "adopt"}), UUID(int=77)
    held_of_two(world)
    world.venue.extra[name] = [Fact(name, FactKind.ACK, "ack", NOON, "o-77")]
    world.venue.cancel = lambda order: ()  # not confirmed yet
    world.venue.change = lambda seen: replace(seen, open_orders=(*seen.open_orders, elsewhere(5.0)))
    world.hear(world.stage.reconcile())
    world.tell(a_kill())
    for minute in range(2, 9):
        world.tell(a_bar(minute))
    assert sold(world.said) == 9.0


def test_a_position_that_was_closed_by_hand_is_not_closed_again_by_a_restart_under_a_kill(world):
    held_of_two(world)
    world.stage.handlers[KillSwitchCommand](a_kill())  # latched, and the plane dies before it has closed anything
    world.venue.change = lambda seen: replace(seen, positions={})
    world.start()
    world.tell(a_bar(2))
    world.tell(world.released("AAPL"))
    world.tell(a_bar(3))
    world.tell(a_bar(4))
    assert sold(world.said) == 0.0
    assert world.venue.snapshot().open_orders == ()


def test_nothing_is_closed_before_the_venue_has_given_an_account(world):
    held_of_two(world)
    world.stage.handlers[KillSwitchCommand](a_kill())
    world.venue.silent = True
    world.start()
    world.tell(a_bar(2))
    world.tell(a_bar(3))
    assert sold(world.said) == 0.0
    world.venue.silent = False
    world.hear(world.stage.reconcile())
    world.tell(a_bar(4))
    world.tell(a_bar(5))
    assert sold(world.said) == 15.0


def test_a_position_that_differs_halts_its_symbol_until_a_named_person_releases_it(world):
    world.tell(a_bar(), a_bar(symbol="MSFT"))
    world.venue.change = lambda seen: replace(seen, positions={**seen.positions, "AAPL": 7.0})
    world.hear(world.stage.reconcile())
    assert world.alerts() == ["RECONCILIATION_MISMATCH"]
    assert not world.stage.upkeep.reconciled
    assert last_status(world.tell(an_intent())) == [("REJECTED", "TRADING_HALTED")]
    assert last_status(world.tell(an_intent(2, symbol="MSFT"))) == [("ACKNOWLEDGED", "")]
    world.start()
    assert last_status(world.tell(a_bar(), a_bar(symbol="MSFT"), an_intent(3))) == [("REJECTED", "TRADING_HALTED")]
    world.tell(world.released("AAPL"))
    assert world.stage.upkeep.reconciled
    assert last_status(world.tell(an_intent(4))) == [("ACKNOWLEDGED", "")]
    world.start()
    assert world.stage.upkeep.reconciled, "what a person released is not halted again"
    assert world.alerts().count("RECONCILIATION_MISMATCH") == 1


@pytest.mark.parametrize(
    ("cause", "symbol"),
    [("RECONCILIATION_MISMATCH", "AAPL"), ("RECONCILIATION_MISMATCH", "*"), ("ORDER_FACTS_ODD", "AAPL")],
)
def test_a_halt_is_a_latched_command_that_everybody_hears(world, cause, symbol):
    world.tell(a_bar(), a_bar(symbol="MSFT"), an_intent())
    if cause == "ORDER_FACTS_ODD":
        too_much = Fact(UUID(int=1), FactKind.FILL, "odd", NOON, "o", 11.0, 100.0)
        world.venue.news = [too_much]
        world.venue.cancel = lambda order: ()  # asked to end what works there, and it works on
        world.tell()
    elif symbol == "*":
        world.venue.change = lambda seen: replace(seen, cash=seen.cash + 5.0)
        world.hear(world.stage.reconcile())
    else:
        world.venue.change = lambda seen: replace(seen, positions={"AAPL": 7.0})
        world.hear(world.stage.reconcile())
    (said,) = [each for each in world.said if isinstance(each, KillSwitchCommand)]
    assert (said.engage, said.scope, said.target, said.cause) == (True, KillScope.SYMBOL, symbol, cause)
    assert (said.operator, TOPIC_OF[type(said)].name) == ("order-plane", "control")
    assert list(world.journal.commands()) == [said]
    assert world.stage.supervision.triggered == {cause: 1}
    assert last_status(world.tell(an_intent(2))) == [("REJECTED", "TRADING_HALTED")]
    assert last_status(world.tell(an_intent(3, symbol="MSFT")))[0][0] == (
        "REJECTED" if symbol == "*" else "ACKNOWLEDGED"
    )
    world.start()
    assert said in world.said[-10:], "what is engaged is said again at the next start"
    assert symbol in world.stage.desk.halts.reasons
    world.tell(world.released(symbol), world.released("*", 51))
    assert world.stage.desk.halts.reasons == {}
    world.start()
    assert world.journal.commands()[0].engage
    assert world.stage.desk.halts.reasons == {}


def test_cash_that_differs_halts_the_account(world):
    world.tell(a_bar(), a_bar(symbol="MSFT"))
    world.venue.change = lambda seen: replace(seen, cash=seen.cash - 5.0)
    world.stage.reconcile()
    for number, symbol in enumerate(("AAPL", "MSFT"), start=1):
        assert last_status(world.tell(an_intent(number, symbol=symbol))) == [("REJECTED", "TRADING_HALTED")]
    world.tell(world.released("*"))
    assert last_status(world.tell(an_intent(3))) == [("ACKNOWLEDGED", "")]


def test_what_the_venue_says_only_once_halts_nothing(world):
    world.tell(a_bar())
    held = [{}, {"AAPL": 7.0}]
    world.venue.change = lambda seen: replace(seen, positions=held.pop())
    assert world.stage.reconcile() == []
    assert world.stage.upkeep.reconciled


def test_nothing_is_sent_while_the_venue_gives_no_account_and_trading_goes_on_when_it_does(world):
    world.venue.silent = True
    world.tell(a_bar())
    world.hear(world.stage.reconcile())
    assert (world.alerts(), world.stage.upkeep.reconciled) == (["RECONCILIATION_FAILED"], False)
    assert last_status(world.tell(an_intent())) == [("REJECTED", "TRADING_HALTED")]
    world.hear(world.stage.reconcile())
    world.venue.silent = False
    for _ in range(2):
        world.hear(world.stage.reconcile())
    assert world.alerts() == ["RECONCILIATION_FAILED", "RECONCILIATION_RESUMED"]
    assert last_status(world.tell(an_intent(2))) == [("ACKNOWLEDGED", "")]


def test_an_alarm_of_an_earlier_life_is_said_to_be_over_once_the_venue_answers(world):
    world.venue.silent = True
    world.hear(world.stage.reconcile())
    world.start()
    assert world.alerts() == ["RECONCILIATION_FAILED"]
    world.venue.silent = False
    world.start()
    assert world.alerts() == ["RECONCILIATION_FAILED", "RECONCILIATION_RESUMED"]
    world.start()
    world.hear(world.stage.reconcile())
    assert world.alerts() == ["RECONCILIATION_FAILED", "RECONCILIATION_RESUMED"]


def test_an_execution_that_was_never_reported_is_booked(world):
    world.tell(a_bar(), an_intent())
    world.venue.observe(a_bar(1))
    world.venue.drain()  # and the report is lost on its way
    said = world.hear(world.stage.reconcile())
    assert last_status(said) == [("FILLED", "")]
    assert world.stage.desk.positions == {"AAPL": 10.0}
    assert (world.alerts(), world.stage.upkeep.reconciled) == (["RECONCILED"], True)


def a_stranger(seen):
    works = OpenOrder(UUID(int=77), "v-77", "MSFT", 0.0, Side.SELL, 4.0)
    return replace(seen, open_orders=(*seen.open_orders, works))


ACKED = {UUID(int=77): [Fact(UUID(int=77), FactKind.ACK, "ack", NOON, "v-77")]}


def working(world):
    return [order.intent.intent_id.int for order in world.stage.desk.open_orders]


def test_an_order_that_nobody_asked_for_halts_its_symbol(world):
    world.venue.change = a_stranger
    world.tell(a_bar(symbol="MSFT"))
    world.hear(world.stage.reconcile())
    assert world.alerts() == ["RECONCILIATION_MISMATCH"]
    assert last_status(world.tell(an_intent(symbol="MSFT"))) == [("REJECTED", "TRADING_HALTED")]


def test_an_order_that_nobody_asked_for_is_adopted_if_that_is_the_policy():
    world = World(reconciliation={"unknown_orders": "adopt"})
    world.tell(a_bar(symbol="MSFT"))
    world.venue.change = a_stranger
    world.venue.extra[UUID(int=77)] = [Fact(UUID(int=77), FactKind.ACK, "ack", NOON, "v-77")]
    said = world.hear(world.stage.reconcile())
    (report,) = [each for each in said if isinstance(each, ExecutionReport)]
    assert (report.strategy_id, report.order_id) == ("EXTERNAL", "v-77")
    assert [order.intent.intent_id for order in world.stage.desk.open_orders] == [UUID(int=77)]
    assert world.stage.upkeep.reconciled
    assert world.journal.past(UUID(int=77)).order_id == "v-77"


def test_a_comparison_cut_in_the_middle_of_a_mend_books_what_it_asked_for_once():
    world = World(reconciliation={"unknown_orders": "adopt"})
    world.tell(a_bar(), an_intent())
    world.venue._broker.observe(a_bar(1))
    world.venue._broker.drain()  # what the venue reports of the trade is lost
    asked = []

    def answers_once(seen):
        asked.append(seen)
        if len(asked) == 2:
            raise BrokerUnavailable
        return a_stranger(seen) if len(asked) == 1 else seen

    world.venue.change = answers_once
    world.stage.reconcile()
    world.stage.reconcile()
    there = world.venue.snapshot()
    assert dict(world.stage.desk.positions) == dict(there.positions)
    assert world.stage.desk.cash == pytest.approx(there.cash)


def test_an_adopted_order_is_neither_sent_again_nor_cancelled_by_a_policy_for_our_own():
    policy = {"after": timedelta(minutes=1), "unfilled": "cancel"}
    world = World(reconciliation={"unknown_orders": "adopt"}, unfilled=policy, change=a_stranger, extra=ACKED)
    world.tell(a_bar(symbol="MSFT"))
    world.start()
    world.tell(a_bar(5, symbol="MSFT"))
    assert (working(world), world.stage.uncancelled) == ([77], {})
    world.venue.extra, world.venue.change = {}, lambda seen: seen  # the venue accepted it and knows it no more
    world.hear(world.stage.reconcile())
    assert world.stage.desk.in_doubt == 1
    with pytest.raises(NotInDoubt, match="has had"):
        world.stage.resolve(Resolution(UUID(int=77), 1, Verdict.SEND_AGAIN, "ann", "gone", NOON))
    world.hear(world.stage.resolve(Resolution(UUID(int=77), 1, Verdict.NOT_SENT, "ann", "gone", NOON)))
    assert working(world) == []


def _held(seen):
    return replace(seen, positions={"AAPL": 7.0})


@pytest.mark.parametrize("policy", ["alarm", "adopt"])
@pytest.mark.parametrize("change", [_held, a_stranger], ids=["a position", "an order of somebody else"])
def test_an_account_that_is_in_use_can_be_started_before_the_first_bar_and_again(tmp_path, change, policy):
    clock, path = ManualClock(NOON), tmp_path / "journal.sqlite"
    begun = {"change": change, "clock": clock, "extra": ACKED, "reconciliation": {"unknown_orders": policy}}
    with closing(SqliteJournal(path)) as journal:
        world = World(journal=journal, **begun)
    for said in world.said:
        assert decode(encode(said)) == said
        assert said.timestamp == NOON, "before the first bar it is the venue's time that counts"
    halted = dict(world.stage.desk.halts.reasons)
    assert set(halted) == ({"AAPL"} if change is _held else {"MSFT"} if policy == "alarm" else set())
    clock.advance(timedelta(days=2))
    with closing(SqliteJournal(path)) as journal:
        again = World(journal=journal, **begun)
        assert again.stage.desk.halts.reasons == halted
        assert [each.intent.timestamp for each in again.stage.desk.open_orders] == [
            each.intent.timestamp for each in world.stage.desk.open_orders
        ]


def test_the_venue_may_fall_silent_before_the_first_bar():
    world = World(clock=ManualClock(NOON))
    world.venue.silent = True
    (alert,) = world.hear(world.stage.reconcile())
    assert (alert.code, alert.timestamp) == ("RECONCILIATION_FAILED", NOON)


def test_the_first_bar_ends_what_the_clock_told_even_when_it_is_older():
    world = World(clock=ManualClock(NOON + timedelta(days=900)))
    assert world.stage.desk.now < NOON, "nothing is decided by a clock"
    world.tell(a_bar())
    world.venue.change = _held
    halt, _ = sorted(world.hear(world.stage.reconcile()), key=lambda each: each.event_type)
    assert halt.timestamp == NOON


def test_the_plane_asks_regularly_and_sooner_after_a_cut(world):
    now, published = [0.0], []
    checking = Checking(world.stage, published.append, 60.0, lambda: now[0])
    checking.poll()
    assert published == []
    now[0] = 60.0
    checking.poll()
    assert published == [[]]
    world.venue.silent = True
    now[0] = 120.0
    checking.poll()
    world.venue.silent = False
    now[0] = 126.0
    checking.poll()
    assert len(published) == 3
    assert world.stage.upkeep.reconciled


def test_an_order_that_works_on_at_the_venue_after_it_ended_here_is_cancelled_and_its_symbol_halted(world):
    world.tell(a_bar(), an_intent())
    world.tell(a_bar(1))
    assert world.stage.desk.open_orders == ()
    late = OpenOrder(UUID(int=1), "late-1", "AAPL", 10.0, Side.BUY, 10.0)
    world.venue.change = lambda seen: replace(seen, open_orders=(late,))
    asked = []
    world.venue.cancel = lambda order: asked.append((order.intent_id.int, order.order_id, order.stray)) or ()
    world.hear(world.stage.reconcile())
    world.tell()
    assert asked == [(1, "late-1", True)]
    assert "AAPL" in world.stage.desk.halts.reasons
    world.hear(world.stage.reconcile())
    world.tell()
    assert asked[1:] == asked[:1], "as long as it works there"


@pytest.mark.parametrize(("hours", "sent"), [(1, True), (3, False)])
def test_what_a_run_left_over_is_not_sent_on_prices_that_are_old_by_the_time_of_the_venue(hours, sent):
    clock = ManualClock(NOON)
    world = World(clock=clock, change=lambda seen: seen)
    world.tell(a_bar())
    clock.advance(timedelta(hours=hours))
    told = last_status(world.tell(an_intent()))
    assert told == ([("ACKNOWLEDGED", "")] if sent else [("REJECTED", "NO_REFERENCE")])
    world.tell(a_bar(60.0 * hours))
    assert last_status(world.tell(an_intent(2, 60.0 * hours, quantity=9.0))) == [("ACKNOWLEDGED", "")]
