from datetime import UTC, datetime, timedelta

import pytest

from contracts.base import Message
from contracts.codec import ContractViolation, ErrorCode, FieldError, encode
from contracts.control import AlertSeverity, RiskAlert
from contracts.market import BarEvent
from kernel.memory_bus import MemoryBus

MOMENT = datetime(2024, 1, 2, 21, 0, tzinfo=UTC)


def bar(minute: int, symbol: str = "AAPL") -> BarEvent:
    return BarEvent(
        symbol=symbol, timestamp=MOMENT + timedelta(minutes=minute), open=1.0, high=1.0, low=1.0, close=1.0, volume=1.0
    )


def alert(code: str) -> RiskAlert:
    return RiskAlert(timestamp=MOMENT, severity=AlertSeverity.WARNING, code=code, detail="x")


class Journal:
    """Notes what it hears, answers bars with an alert, and settles once per run of messages."""

    def __init__(self, name: str, heard: list[str]) -> None:
        self.handlers = {BarEvent: self._on_bar, RiskAlert: self._on_alert}
        self._name = name
        self._heard = heard
        self._unsettled = 0

    def _on_bar(self, message: BarEvent):
        self._heard.append(f"{self._name} bar {message.timestamp.minute}")
        self._unsettled += 1
        return (alert(f"{self._name}{message.timestamp.minute}"),)

    def _on_alert(self, message: RiskAlert):
        self._heard.append(f"{self._name} alert {message.code}")
        return ()

    def settle(self):
        if not self._unsettled:
            return ()
        self._unsettled = 0
        self._heard.append(f"{self._name} settles")
        return (alert(f"{self._name}-end"),)

    def restore(self, message: Message) -> None: ...


def test_consequences_queue_behind_what_was_published_before():
    heard: list[str] = []
    bus = MemoryBus()
    bus.attach(Journal("a", heard))
    bus.publish(bar(1))
    bus.publish(bar(2))

    bus.drain()

    assert heard == ["a bar 1", "a bar 2", "a alert a1", "a alert a2", "a settles", "a alert a-end"]


def test_subscribers_hear_a_message_in_the_order_they_subscribed():
    heard: list[str] = []
    bus = MemoryBus()
    bus.attach(Journal("a", heard))
    bus.attach(Journal("b", heard))
    bus.publish(bar(1))

    bus.drain()

    assert heard[:6] == ["a bar 1", "b bar 1", "a alert a1", "b alert a1", "a alert b1", "b alert b1"]
    assert heard[6:8] == ["a settles", "b settles"]


def test_a_handler_may_publish_while_the_bus_drains():
    bus = MemoryBus()
    heard: list[int] = []

    def relay(message: BarEvent):
        heard.append(message.timestamp.minute)
        if message.timestamp.minute < 5:
            bus.publish(bar(message.timestamp.minute + 2))
        return ()

    bus.subscribe(BarEvent, relay)
    bus.publish(bar(1))
    bus.publish(bar(2))

    bus.drain()

    assert heard == [1, 2, 3, 4, 5, 6]


def test_messages_nobody_subscribed_to_are_let_go():
    bus = MemoryBus()
    bus.publish(alert("X"))

    bus.drain()

    assert bus.connect([RiskAlert]).poll(0.0) == []


def test_an_endpoint_hands_over_bytes_that_went_through_the_contract():
    bus = MemoryBus()
    endpoint = bus.connect([BarEvent])
    sent = bar(1)
    bus.publish(sent)

    (received,) = endpoint.poll(0.0)

    assert received.message == sent
    assert received.message is not sent
    assert received.raw == encode(sent)
    assert (received.topic, received.offset, received.key) == ("market_events", 0, b"AAPL")


def test_an_endpoint_shows_nothing_before_it_is_flushed():
    bus = MemoryBus()
    writer, reader = bus.connect([BarEvent]), bus.connect([RiskAlert])
    writer.publish(alert("X"))

    assert reader.poll(0.0) == []
    writer.flush()
    assert [received.message for received in reader.poll(0.0)] == [alert("X")]
    writer.flush()
    assert reader.poll(0.0) == []


def test_an_endpoint_refuses_to_publish_what_breaks_its_contract():
    endpoint = MemoryBus().connect([])
    broken = BarEvent.trusted({**bar(1).__dict__, "high": 0.5})

    with pytest.raises(ContractViolation):
        endpoint.publish(broken)


def test_what_was_not_committed_comes_again_in_its_order_and_nothing_else():
    bus = MemoryBus()
    endpoint = bus.connect([BarEvent])
    for minute in (1, 2):
        bus.publish(bar(minute))
    endpoint.poll(0.0)
    endpoint.commit()
    for minute in (3, 4):
        bus.publish(bar(minute))
    endpoint.poll(0.0)
    bus.publish(bar(5))
    bus.drain()

    endpoint.rewind()

    again = endpoint.poll(0.0)
    assert [received.message.timestamp.minute for received in again] == [3, 4, 5]
    assert [received.offset for received in again] == [2, 3, 4]


def test_a_dead_letter_is_kept_with_its_reason():
    bus = MemoryBus()
    endpoint = bus.connect([BarEvent])
    bus.publish(bar(1))
    (received,) = endpoint.poll(0.0)
    error = FieldError("/volume", "no volume", ErrorCode.STALE)

    endpoint.dead_letter(received, error)

    assert endpoint.dead_letters == [(received, error)]


def test_who_watches_hears_what_is_fed_after_the_stages_and_before_anything_it_leads_to():
    heard: list[str] = []
    bus = MemoryBus()
    bus.attach(Journal("a", heard))
    bus.watch(
        {RiskAlert: lambda message: heard.append(f"watcher alert {message.code}") or (), BarEvent: lambda message: ()},
        lambda messages, begin, end: heard.extend(
            f"watcher bar {each.timestamp.minute}" for each in messages[begin:end]
        ),
    )

    bus.feed([bar(1), bar(2)])

    assert heard[:4] == ["a bar 1", "watcher bar 1", "a alert a1", "watcher alert a1"]
    assert [line for line in heard if line.startswith("watcher bar")] == ["watcher bar 1", "watcher bar 2"]
    assert heard.index("watcher alert a-end") < heard.index("a bar 2")
