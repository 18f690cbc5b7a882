"""A venue that says what cannot be true, and the order plane that goes on."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from contracts.codec import decode, encode
from contracts.control import KillSwitchCommand, RiskAlert
from contracts.market import BarEvent
from contracts.trading import ExecutionReport, OrderIntent, OrderType, Side, TimeInForce
from order_plane.brokers.port import BrokerRefused, BrokerStateUnknown, KeyLife
from order_plane.composition import build_stage
from order_plane.facts import Fact, FactKind
from order_plane.journals.sqlite import SqliteJournal
from order_plane.safety.symbol_halts import ODD_FACTS
from order_plane.settings import OrderSettings

NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)
FIRST = UUID(int=1)
SETTINGS = OrderSettings(limits={"duplicate_window": 0}, reconciliation=None)
NAN, UNSET = float("nan"), 1.7976931348623157e308


class Venue:
    """A venue that does what the test says."""

    key_life = KeyLife.NONE
    dormant = False

    def __init__(self):
        self.answer, self.news, self.sent, self.cancels = None, [], [], []

    def submit(self, order):
        self.sent.append(order.intent.intent_id.int)
        if self.answer is not None:
            raise self.answer
        return [a_fact(FactKind.ACK, name="ack")]

    def cancel(self, order):
        self.cancels.append(order.intent_id.int)
        raise BrokerRefused("UNKNOWN_ORDER: it works no more")

    def drain(self):
        news, self.news = self.news, []
        return news

    def lookup(self, intent_id):
        return [a_fact(FactKind.ACK, name="ack"), *self.always] if self.sent else None

    always: tuple[Fact, ...] = ()

    def observe(self, bar):
        pass


def a_fact(kind, name="e1", **more):
    return Fact(FIRST, kind, name, NOON, "o-1", **more)


@pytest.fixture
def boot(tmp_path):
    """Starts the order plane of one journal and one venue, again and again; what it says must be sayable."""
    opened = []

    def start(venue):
        while opened:
            opened.pop().close()
        opened.append(SqliteJournal(tmp_path / "orders.sqlite"))
        stage = build_stage(SETTINGS, opened[-1], venue)
        return stage, sayable(stage.recover())

    yield start
    while opened:
        opened.pop().close()


def sayable(outputs):
    return [decode(encode(each), (type(each),)) for each in outputs]


def tell(stage, minutes, *intents):
    prices = {"open": 100.0, "high": 101.0, "low": 99.0, "close": 100.0}
    stage.handlers[BarEvent](
        BarEvent(symbol="AAPL", timestamp=NOON + timedelta(minutes=minutes), volume=1_000.0, **prices)
    )
    for intent in intents:
        stage.handlers[OrderIntent](intent)
    return sayable(stage.settle())


def an_intent(number=1):
    terms = {"direction": Side.BUY, "quantity": 10.0, "order_type": OrderType.MARKET}
    name = UUID(int=number)
    return OrderIntent(intent_id=name, symbol="AAPL", timestamp=NOON, time_in_force=TimeInForce.GTC, **terms)


@pytest.mark.parametrize(
    "numbers",
    [
        {"quantity": 1.0, "price": 0.0},
        {"quantity": 1.0, "price": NAN},
        {"quantity": 1.0, "price": 1e-12},
        {"quantity": 1.0, "price": -3.0},
        {"quantity": NAN, "price": 1.0},
        {"quantity": -1.0, "price": 1.0},
        {"quantity": 1e10, "price": 1e10},
        {"quantity": 1.0, "price": 1.0, "commission": NAN},
        {"quantity": 1.0, "price": 1.0, "commission": UNSET},
        {"quantity": 0.0, "price": 0.0, "commission": float("inf")},
    ],
)
def test_an_execution_that_cannot_be_true_halts_its_symbol_and_is_never_booked(boot, numbers):
    venue = Venue()
    stage, _ = boot(venue)
    tell(stage, 0, an_intent())
    venue.news = [a_fact(FactKind.FILL, **numbers)]
    (alert,) = [each for each in tell(stage, 1) if isinstance(each, RiskAlert)]
    assert (alert.code, alert.symbol) == (ODD_FACTS, "AAPL")
    venue.always = (a_fact(FactKind.FILL, **numbers),)
    for minutes in (2, 3):
        stage, said = boot(venue)
        assert not [each for each in said if isinstance(each, RiskAlert)]
        assert (list(stage.desk.halts.reasons), dict(stage.desk.positions)) == (["AAPL"], {})
        tell(stage, minutes, an_intent(minutes))
    assert venue.sent == [1]


def test_a_correction_of_it_is_booked(boot):
    venue = Venue()
    stage, _ = boot(venue)
    tell(stage, 0, an_intent())
    venue.news = [
        a_fact(FactKind.FILL, quantity=10.0, price=NAN),
        a_fact(FactKind.FILL, quantity=10.0, price=99.0, revision=1),
    ]
    tell(stage, 1)
    assert stage.desk.positions == {"AAPL": 10.0}


def test_a_bust_needs_no_price(boot):
    venue = Venue()
    stage, _ = boot(venue)
    tell(stage, 0, an_intent())
    venue.news = [a_fact(FactKind.FILL, quantity=4.0, price=99.0), a_fact(FactKind.FILL, price=0.0, revision=1)]
    reports = [each for each in tell(stage, 1) if isinstance(each, ExecutionReport)]
    assert [(each.filled_quantity, each.last_price) for each in reports] == [(4.0, 99.0), (0.0, None)]
    assert not stage.desk.halts.reasons


@pytest.mark.parametrize("left", [0.0, 4.0])
def test_an_order_whose_last_fill_is_taken_back_works_no_more_and_no_kill_asks_the_venue_to_cancel_it(boot, left):
    venue = Venue()
    stage, _ = boot(venue)
    tell(stage, 0, an_intent())
    venue.news = [a_fact(FactKind.FILL, quantity=10.0, price=99.0)]
    tell(stage, 1)
    lowered = a_fact(FactKind.FILL, quantity=left, price=99.0, revision=1)
    venue.news = [lowered]
    said = tell(stage, 2)
    assert [(each.status.value, each.filled_quantity) for each in said if hasattr(each, "status")] == [
        ("CANCELED", left)
    ]
    assert [each.code for each in said if isinstance(each, RiskAlert)] == [ODD_FACTS]
    venue.always = (a_fact(FactKind.FILL, quantity=10.0, price=99.0), lowered)
    for minutes in (3, 4):
        assert stage.desk.positions.get("AAPL", 0.0) == left
        assert (stage.desk.open_orders, list(stage.desk.halts.reasons)) == ((), ["AAPL"])
        kill = KillSwitchCommand(command_id=UUID(int=9), timestamp=NOON, engage=True, operator="ada", reason="drill")
        sayable(stage.handlers[KillSwitchCommand](kill))
        tell(stage, minutes)
        stage, said = boot(venue)
        assert not [each for each in said if hasattr(each, "code") and each.code == ODD_FACTS]
    assert venue.cancels == []


@pytest.mark.parametrize("text", ["", "a\0b", "y" * 600, "\ud800"])
@pytest.mark.parametrize("answer", [BrokerRefused, BrokerStateUnknown])
def test_whatever_words_the_venue_uses_can_be_said_and_read_back(boot, answer, text):
    venue = Venue()
    stage, _ = boot(venue)
    venue.answer = answer(text)
    said = tell(stage, 0, an_intent())
    assert [each.status.value for each in said if isinstance(each, ExecutionReport)] == (
        ["REJECTED"] if answer is BrokerRefused else ["IN_DOUBT"]
    )
    venue.sent.clear()
    boot(venue)
