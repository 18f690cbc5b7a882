"""A broker whose submissions are timed, each beside one of the same kind at a mock gateway."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from uuid import UUID

from contracts.market import BarEvent
from ibkr_client.lifeline import Address
from kernel.clock import monotonic
from order_plane.brokers.ibkr import IbkrBroker, IbkrTerms
from order_plane.brokers.port import Broker, BrokerRefused, BrokerStateUnknown, BrokerUnavailable, KeyLife, Snapshot
from order_plane.effects import CancelOrder, ReplaceOrder, SubmitOrder
from order_plane.facts import Fact, FactKind

MOCK_ACCOUNT = "DU1234567"
_TROUBLE = (BrokerRefused, BrokerStateUnknown, BrokerUnavailable)


class MockOrders:
    """Sends the same orders to a mock gateway and times them; ``journey`` is seconds on the way to a real one."""

    def __init__(self, port: int, folder: Path, journey: float) -> None:
        address = Address("127.0.0.1", port, 1)
        terms = IbkrTerms(address, MOCK_ACCOUNT, folder / "mock_ids.sqlite", paper_ports=frozenset({port}))
        self._broker = IbkrBroker(terms, {})
        self._journey = journey
        self.seconds: dict[UUID, float] = {}

    def submit(self, order: SubmitOrder) -> None:
        """Send and time one order; what becomes of it is nobody's business."""
        begun = monotonic()
        try:
            self._broker.submit(SubmitOrder(order.intent, MOCK_ACCOUNT, order.attempt))
        except _TROUBLE:
            return
        self.seconds[order.intent.intent_id] = monotonic() - begun + self._journey
        self._broker.drain()

    def __enter__(self) -> "MockOrders":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._broker.close()


class TimedBroker:
    """Passes everything on; ``seconds`` is told how long each order took until the gateway had it.

    ``refused`` is told which orders it did not take, or rejected later.
    """

    def __init__(self, broker: Broker, mock: MockOrders, seconds: dict[UUID, float], refused: set[UUID]) -> None:
        self._broker = broker
        self._mock = mock
        self._seconds = seconds
        self._refused = refused

    @property
    def key_life(self) -> KeyLife:
        """As the broker behind it."""
        return self._broker.key_life

    @property
    def converts(self) -> bool:
        """As the broker behind it."""
        return self._broker.converts

    @property
    def dormant(self) -> bool:
        """As the broker behind it."""
        return self._broker.dormant

    def submit(self, order: SubmitOrder) -> Sequence[Fact]:
        """Send ``order``, then its like to the mock gateway; raises as the port says."""
        begun = monotonic()
        try:
            facts = self._broker.submit(order)
            self._seconds[order.intent.intent_id] = monotonic() - begun
        except (BrokerRefused, BrokerUnavailable):
            self._refused.add(order.intent.intent_id)
            raise
        finally:
            self._mock.submit(order)
        return self._heard(facts)

    def cancel(self, order: CancelOrder) -> Sequence[Fact]:
        """As the broker behind it."""
        return self._heard(self._broker.cancel(order))

    def replace(self, order: ReplaceOrder) -> Sequence[Fact]:
        """As the broker behind it."""
        return self._heard(self._broker.replace(order))

    def drain(self) -> Sequence[Fact]:
        """As the broker behind it."""
        return self._heard(self._broker.drain())

    def lookup(self, intent_id: UUID) -> Sequence[Fact] | None:
        """As the broker behind it."""
        facts = self._broker.lookup(intent_id)
        return None if facts is None else self._heard(facts)

    def snapshot(self) -> Snapshot:
        """As the broker behind it."""
        return self._broker.snapshot()

    def rest(self) -> None:
        """As the broker behind it."""
        self._broker.rest()

    def observe(self, bar: BarEvent) -> None:
        """As the broker behind it."""
        self._broker.observe(bar)

    def close(self) -> None:
        """As the broker behind it."""
        self._broker.close()

    def _heard(self, facts: Sequence[Fact]) -> Sequence[Fact]:
        self._refused.update(fact.intent_id for fact in facts if fact.kind is FactKind.REJECT)
        return facts
