"""The order plane's broker against the simulator, over each client library."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import pytest

from contracts.trading import OrderIntent, OrderType, Side, TimeInForce
from ibkr_client.lifeline import Address
from order_plane.brokers.ibkr import IbkrBroker, IbkrTerms
from order_plane.effects import CancelOrder, ReplaceOrder, SubmitOrder

ACCOUNT = "DU1234567"
OPEN = datetime(2024, 7, 10, 13, 30, tzinfo=UTC)


class Desk:
    """Makes brokers that are closed with the test, and orders for them."""

    def __init__(self, library, path):
        self.library, self.path, self.made = library, path, []

    def broker(self, simulator, **changes):
        waits = {"first_wait": changes.pop("first_wait", 0.05), "longest_wait": changes.pop("longest_wait", 30.0)}
        address = Address("127.0.0.1", simulator.port, changes.pop("client_id", 1), patience=3.0, **waits)
        terms = {"paper_ports": frozenset({simulator.port}), "answer_seconds": 1.0}
        broker = IbkrBroker(IbkrTerms(address, ACCOUNT, self.path, **{**terms, **changes}), {}, self.library)
        self.made.append(broker)
        return broker

    def order(self, number=1, attempt=1, **changes):
        fields = {
            "intent_id": UUID(int=number),
            "symbol": "AAPL",
            "direction": Side.BUY,
            "quantity": 10.0,
            "order_type": OrderType.MARKET,
            "timestamp": OPEN,
            "time_in_force": TimeInForce.DAY,
        }
        return SubmitOrder(OrderIntent(**{**fields, **changes}), ACCOUNT, attempt)

    def resting(self, number=1, **changes):
        return self.order(number, **{"order_type": OrderType.LIMIT, "limit_price": 10.0, **changes})

    def a_change(self, number=1, quantity=6.0, limit_price=11.0):
        return ReplaceOrder(self.resting(number).intent, ACCOUNT, quantity, limit_price)

    def a_cancel(self, number=1):
        return CancelOrder(UUID(int=number), "o", ACCOUNT, f"c{number}")


def until(condition: Callable[[], object], seconds: float = 15.0) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not happen")
        time.sleep(0.01)


class Told:
    """The facts of a broker so far."""

    def __init__(self, broker, first=()):
        self.broker, self.facts = broker, list(first)

    def kinds(self):
        self.facts += self.broker.drain()
        return [fact.kind.value for fact in self.facts]

    def wait(self, *kinds):
        until(lambda: [*kinds] == self.kinds())
        return self.facts


@pytest.fixture(name="until")
def _until():
    return until


@pytest.fixture(name="told")
def _told():
    return Told


@pytest.fixture
def desk(ibkr_library, tmp_path):
    desk = Desk(ibkr_library.__name__, tmp_path / "ids.sqlite")
    yield desk
    for broker in desk.made:
        broker.close()
