"""Promise: what a venue takes back, corrects, or does while it is told to cancel is booked once, as it ended."""

from collections import Counter
from datetime import timedelta
from random import Random
from uuid import UUID

import pytest
from drills import FIRST, NOON, SCHEDULES, SETTINGS, Drill, a_bar, an_intent, script

from contracts.control import KillSwitchCommand, PlanDecision, PlannedTrade, RebalancePlan, Verdict
from contracts.plan_content import signed
from contracts.trading import ExecutionReport, OrderType, Side, TimeInForce
from domain.ledger import Ledger
from order_plane.brokers.port import BrokerRefused, BrokerStateUnknown, KeyLife
from order_plane.composition import build_stage
from order_plane.facts import Fact, FactKind
from order_plane.journals.memory import MemoryJournal

ALONE = SETTINGS.model_copy(update={"reconciliation": None})


class Venue:
    """Acknowledges everything, and says what a test puts into ``news``."""

    key_life = KeyLife.NONE
    dormant = False

    def __init__(self, chance):
        self.chance, self.sent, self.news, self.orders, self.ended = chance, Counter(), [], {}, set()

    def submit(self, order):
        name = order.intent.intent_id
        self.sent[name] += 1
        self.orders[name] = order.intent
        return [fact(name, FactKind.ACK, "ack")]

    def cancel(self, order):
        """The race: it may have traded, in part or whole, and the answer may be lost."""
        name, chance = order.intent_id, self.chance
        if name not in self.orders or name in self.ended:
            raise BrokerRefused("UNKNOWN_ORDER: it works no more")
        self.ended.add(name)
        traded = chance.choice([0.0, 4.0, 10.0])
        if traded:
            self.news.append(fact(name, FactKind.FILL, "race", quantity=traded, price=100.0))
        if traded == 10.0:
            raise BrokerRefused("TOO_LATE: it is filled")
        cancelled = fact(name, FactKind.CANCELLED, "cancelled")
        if chance.random() < 0.5:
            self.news.append(cancelled)
            raise BrokerStateUnknown("timeout")
        return [cancelled]

    def drain(self):
        """Some of the news, some twice, in any order."""
        told = [each for each in self.news if self.chance.random() < 0.5]
        self.news = [each for each in self.news if each not in told]
        told += [each for each in told if self.chance.random() < 0.3]
        self.chance.shuffle(told)
        return told

    def lookup(self, intent_id):
        return None if intent_id not in self.orders else [fact(intent_id, FactKind.ACK, "ack")]

    def observe(self, bar):
        pass

    def close(self):
        pass


def fact(name, kind, fact_id, **more):
    return Fact(name, kind, fact_id, NOON + timedelta(minutes=1), f"v-{name.int}", **more)


class Plane:
    """One order plane after another on one journal; ``book`` is what a reader of all its reports owns."""

    def __init__(self, venue):
        self.venue, self.journal, self.book, self.reports = venue, MemoryJournal(retain=10_000), Ledger(), []
        self.start()

    def start(self):
        self.stage = build_stage(ALONE, self.journal, self.venue)
        self.hear(self.stage.recover())

    def hear(self, said):
        for each in said:
            if isinstance(each, ExecutionReport):
                self.reports.append(each)
                self.book.apply(each)

    def tell(self, *messages):
        for message in messages:
            self.hear(self.stage.handlers[type(message)](message))
        self.hear(self.stage.settle())

    def hear_all(self):
        while self.venue.news:
            if self.venue.chance.random() < 0.1:
                self.start()
            self.tell()


def a_wish(number, quantity=10.0):
    chance = Random(number)
    changes = {"quantity": quantity, "order_type": OrderType.MARKET, "time_in_force": TimeInForce.GTC}
    return an_intent(number, "AAPL", 0, chance).model_copy(update=changes | {"limit_price": None})


def a_kill(number, engage=True):
    return KillSwitchCommand(command_id=UUID(int=number), timestamp=NOON, engage=engage, operator="ada", reason="drill")


def signed_units(intent, quantity):
    return quantity if intent.direction is Side.BUY else -quantity


@pytest.mark.fault("F20: executions are corrected and busted, before and after their orders have ended")
def test_a_bust_or_a_correction_is_computed_once():
    for seed in range(FIRST, FIRST + SCHEDULES // 10):
        chance = Random(seed)
        plane = Plane(venue := Venue(chance))
        wishes = [a_wish(number) for number in range(1, 4)]
        plane.tell(a_bar("AAPL", 0, chance), *wishes)
        held = spent = 0.0
        for wish in wishes:
            for execution in range(chance.randrange(1, 4)):
                terms = [(chance.choice([0.0, 1.0, 2.0, 3.0]), 90.0 + chance.randrange(20)) for _ in range(3)]
                revisions = [
                    fact(wish.intent_id, FactKind.FILL, str(execution), quantity=units, price=price, revision=revision)
                    for revision, (units, price) in enumerate(terms[: chance.randrange(1, 4)])
                ]
                held += signed_units(wish, revisions[-1].quantity)
                spent += signed_units(wish, revisions[-1].quantity * revisions[-1].price)
                venue.news += revisions
        plane.hear_all()
        where = f"seed {seed}"
        for _ in range(2):
            assert plane.stage.desk.positions.get("AAPL", 0.0) == pytest.approx(held), where
            assert plane.stage.desk.cash == pytest.approx(-spent), where
            assert plane.book.positions.get("AAPL", 0.0) == pytest.approx(held), where
            assert plane.book.cash == pytest.approx(-spent, abs=1e-4), where
            plane.start()
        assert set(venue.sent.values()) == {1}, where


@pytest.mark.fault("F19: a cancel and a fill meet")
def test_a_cancel_that_meets_a_fill_ends_as_the_venue_ended_it():
    ends = Counter()
    for seed in range(FIRST, FIRST + SCHEDULES // 10):
        chance = Random(seed)
        plane = Plane(venue := Venue(chance))
        wishes = [a_wish(number) for number in range(1, 5)]
        plane.tell(a_bar("AAPL", 0, chance), *wishes)
        for number in range(chance.randrange(1, 4)):
            plane.tell(a_kill(100 + number))
            if chance.random() < 0.3:
                plane.start()
        told = {wish.intent_id: 0.0 for wish in wishes}
        for each in venue.news:
            told[each.intent_id] += each.quantity
        booked = {past.intent.intent_id: past for past in plane.journal.pasts()}
        told = {
            name: units + sum(each.quantity for each in booked[name].facts if each.kind is FactKind.FILL)
            for name, units in told.items()
        }
        plane.hear_all()
        plane.tell()
        where = f"seed {seed}"
        newest = {each.intent_id: each for each in sorted(plane.reports, key=lambda each: each.sequence)}
        for wish in wishes:
            end = newest[wish.intent_id]
            assert end.filled_quantity == told[wish.intent_id], where
            assert end.status.value == ("FILLED" if end.filled_quantity == 10.0 else "CANCELED"), where
            ends[end.status.value, end.filled_quantity] += 1
        assert plane.stage.desk.open_orders == (), where
        assert plane.stage.desk.halts.reasons == {}, f"{where}: a race is no odd fact"
        assert set(venue.sent.values()) == {1}, where
    assert set(ends) == {("FILLED", 10.0), ("CANCELED", 4.0), ("CANCELED", 0.0)}, "the races are too kind"


@pytest.mark.fault("F32: execution_reports again from offset 0")
def test_all_reports_again_from_the_start_move_no_position():
    for seed in range(FIRST, FIRST + SCHEDULES // 20):
        drill = Drill(MemoryJournal(retain=10_000), seed=seed)
        for batch in script(Random(seed)):
            drill.tell(batch)
        log = [report for _, report in sorted(drill.reports.items(), key=lambda item: item[1].timestamp)]
        once, twice = Ledger(), Ledger()
        for report in log:
            once.apply(report)
        for report in (*log, *log, *reversed(log)):
            twice.apply(report)
        where = f"seed {seed}"
        assert (once.positions, once.cash) == (twice.positions, twice.cash), where
        assert once.positions == pytest.approx(drill.venue.snapshot().positions), where
        before = drill.stage.desk.positions, drill.stage.desk.cash
        again = build_stage(drill.settings, drill.journal, drill.line)
        for report in (*log, *log):
            again.restore(report)
        assert [each for each in again.recover() if (each.intent_id, each.sequence) not in drill.reports] == [], where
        assert (again.desk.positions, pytest.approx(again.desk.cash)) == before, where


@pytest.mark.fault("F16: the bars of a symbol have a gap")
def test_a_symbol_whose_bars_have_stopped_is_not_traded_until_they_go_on():
    chance = Random(FIRST)
    drill = Drill(MemoryJournal())
    drill.tell([a_bar("AAPL", 0, chance), a_bar("MSFT", 0, chance)])
    drill.tell([a_bar("MSFT", 90, chance)])
    wishes = [an_intent(number, symbol, 90, chance) for number, symbol in enumerate(("AAPL", "MSFT"), start=1)]
    wishes = [each.model_copy(update={"order_type": OrderType.MARKET, "limit_price": None}) for each in wishes]
    drill.tell(wishes)
    ends = drill.ends()
    assert ends[UUID(int=1)].reject_reason.startswith("NO_REFERENCE")
    assert drill.at_venue() == {UUID(int=2)}
    later = wishes[0].model_copy(update={"intent_id": UUID(int=3)})
    drill.tell([a_bar("AAPL", 90, chance), later])
    assert UUID(int=3) in drill.at_venue()


@pytest.mark.fault("F9: kill -9 before what approves a plan was recorded")
def test_a_plan_trades_only_once_its_approval_was_recorded_whatever_is_killed_between():
    at, chance = NOON, Random(FIRST)
    trade = PlannedTrade(symbol="AAPL", direction=Side.BUY, quantity=10.0, current_weight=0.0, target_weight=0.1)
    plan = signed(
        RebalancePlan(
            plan_id=UUID(int=7), strategy_id="default", timestamp=at, valid_until=at + timedelta(days=1),
            trades=(trade,), content_hash="0" * 64, requires_approval=True,
        )
    )  # fmt: skip
    approval = PlanDecision(
        plan_id=plan.plan_id, strategy_id="default", timestamp=at, verdict=Verdict.APPROVED, operator="ann",
        reason="looked at", content_hash=plan.content_hash,
    )  # fmt: skip
    wish = a_wish(1).model_copy(update={"plan_id": plan.plan_id, "direction": Side.BUY})
    plane = Plane(venue := Venue(chance))
    plane.tell(a_bar("AAPL", 0, chance), plan, wish)
    for topic in ((plan,), (plan, approval)):
        plane.stage = build_stage(ALONE, plane.journal, venue)
        for message in (a_bar("AAPL", 0, chance), *topic):
            plane.stage.restore(message)
        plane.hear(plane.stage.recover())
        number = 2 + len(topic)
        plane.tell(wish.model_copy(update={"intent_id": UUID(int=number)}))
    ends = {each.intent_id.int: (each.reject_reason or each.status.value)[:15] for each in plane.reports}
    assert ends == {1: "UNAPPROVED_PLAN", 3: "UNAPPROVED_PLAN", 4: "ACKNOWLEDGED"}
    assert [name.int for name in venue.sent] == [4]
