from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from contracts.control import AlertSeverity, RiskAlert
from contracts.market import BarEvent
from kernel.memory_bus import MemoryBus

MOMENT = datetime(2024, 1, 2, 21, 0, tzinfo=UTC)

answers = st.lists(st.lists(st.integers(0, 4), max_size=3), min_size=1, max_size=8)
"""For each subscriber in turn, how many alerts it answers with to each bar."""


def bar(minute: int) -> BarEvent:
    return BarEvent(
        symbol="AAPL", timestamp=MOMENT + timedelta(minutes=minute), open=1.0, high=1.0, low=1.0, close=1.0, volume=1.0
    )


def run(bars: int, answers: list[list[int]]) -> list[tuple[int, str]]:
    """Who heard what, in order, when subscriber ``i`` answers bar ``n`` with ``answers[i][n % len]`` alerts."""
    bus = MemoryBus()
    heard: list[tuple[int, str]] = []

    def subscriber(index: int, counts: list[int]):
        def on_bar(message: BarEvent):
            minute = message.timestamp.minute
            heard.append((index, f"bar {minute}"))
            count = counts[minute % len(counts)] if counts else 0
            return [
                RiskAlert(timestamp=MOMENT, severity=AlertSeverity.WARNING, code=f"{minute}.{index}.{nth}", detail="x")
                for nth in range(count)
            ]

        def on_alert(message: RiskAlert):
            heard.append((index, message.code))
            return ()

        bus.subscribe(BarEvent, on_bar)
        bus.subscribe(RiskAlert, on_alert)

    for index, counts in enumerate(answers):
        subscriber(index, counts)
    for minute in range(bars):
        bus.publish(bar(minute))
    bus.drain()
    return heard


@given(st.integers(0, 10), answers)
def test_every_subscriber_hears_the_same_sequence(bars, answers):
    heard = run(bars, answers)

    sequences = [[text for index, text in heard if index == each] for each in range(len(answers))]
    assert all(sequence == sequences[0] for sequence in sequences)


@given(st.integers(0, 10), answers)
def test_delivery_is_first_in_first_out(bars, answers):
    sequence = [text for index, text in run(bars, answers) if index == 0]

    alerts = [
        f"{minute}.{index}.{nth}"
        for minute in range(bars)
        for index, counts in enumerate(answers)
        for nth in range(counts[minute % len(counts)] if counts else 0)
    ]
    assert sequence == [f"bar {minute}" for minute in range(bars)] + alerts


@given(st.integers(0, 10), answers)
def test_the_same_input_gives_the_same_history(bars, answers):
    assert run(bars, answers) == run(bars, answers)
