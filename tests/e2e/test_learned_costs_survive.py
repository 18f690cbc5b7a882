"""What executions have cost is still known after the order plane was started anew."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from uuid import UUID

from contracts.base import Message
from contracts.control import PlaneName
from contracts.market import BarEvent
from contracts.trading import ExecutionCost, ExecutionReport, OrderIntent, OrderType, Side
from kernel.clock import monotonic
from kernel.kafka_bus import KafkaBus
from kernel.kafka_settings import KafkaSettings
from kernel.plane import Runtime
from order_plane.app import run
from order_plane.settings import OrderSettings

NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)
SETTINGS = OrderSettings.model_validate(
    {"audit": False, "guards": [], "volume_cap": None, "limits": {"reference_max_age": "P1D"}}
)


def a_bar(minutes: int) -> BarEvent:
    prices = {"open": 100.0, "high": 101.0, "low": 99.0, "close": 100.0}
    return BarEvent(symbol="AAPL", timestamp=NOON + timedelta(minutes=minutes), volume=1_000.0, **prices)


def an_intent(number: int, minutes: int) -> OrderIntent:
    at = NOON + timedelta(minutes=minutes)
    order = {"direction": Side.BUY, "order_type": OrderType.MARKET}
    return OrderIntent(intent_id=UUID(int=number), symbol="AAPL", quantity=10.0 * number, timestamp=at, **order)


class Outside:
    """Whoever sends the plane something and waits for what it has learned from that."""

    def __init__(self, bus: KafkaBus) -> None:
        self._bus = bus
        self._heard: list[Message] = []

    def tell(self, message: Message) -> None:
        self._bus.publish(message)
        self._bus.flush()

    def hears(self, wanted: Callable[[Message], bool]) -> Message:
        deadline = monotonic() + 30.0
        while monotonic() < deadline:
            self._heard += (received.message for received in self._bus.poll(0.1))
            for place, message in enumerate(self._heard):
                if wanted(message):
                    return self._heard.pop(place)
        raise TimeoutError(f"what came instead: {self._heard}")


class Life:
    """The order plane from its start to a clean stop."""

    def __init__(self, kafka: KafkaSettings, state: Path) -> None:
        self._stop = Event()
        runtime = Runtime(PlaneName.ORDER, "run", state, heartbeat_seconds=0.0)
        self._thread = Thread(target=run, args=(SETTINGS, kafka, runtime, self._stop))

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30.0)
        assert not self._thread.is_alive()


def test_an_execution_after_a_restart_adds_to_those_before(embedded_settings: KafkaSettings, tmp_path: Path):
    heard = [ExecutionCost, ExecutionReport]
    with KafkaBus(embedded_settings, "outside", heard, [BarEvent, OrderIntent]) as bus:
        outside = Outside(bus)
        assert bus.wait_ready(20.0)
        outside.tell(a_bar(0))
        learned = []
        for life in range(2):
            with Life(embedded_settings, tmp_path):
                for number in (2 * life + 1, 2 * life + 2):
                    outside.tell(an_intent(number, number - 1))
                    name = UUID(int=number)  # the venue must have the order before it sees the bar that fills it
                    outside.hears(lambda said, name=name: isinstance(said, ExecutionReport) and said.intent_id == name)
                    outside.tell(a_bar(number))
                    learned.append(outside.hears(lambda said: isinstance(said, ExecutionCost)))
    assert [each.observations for each in learned] == [1, 2, 3, 4]
