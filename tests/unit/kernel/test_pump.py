from collections.abc import Sequence
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest

from contracts.codec import ErrorCode, FieldError
from contracts.control import AlertSeverity, RiskAlert
from contracts.market import BarEvent, TickEvent, TickType
from kernel.ports import Received, Unprocessable
from kernel.pump import HANDLING, Pump

MOMENT = datetime(2024, 1, 2, 21, 0, tzinfo=UTC)
REFUSAL = FieldError("/volume", "no volume", ErrorCode.STALE)


def bar(minute: int, close: float = 10.0) -> BarEvent:
    return BarEvent(
        symbol="AAPL",
        timestamp=MOMENT + timedelta(minutes=minute),
        open=10.0,
        high=99.0,
        low=1.0,
        close=close,
        volume=1.0,
    )


def alert(code: str) -> RiskAlert:
    return RiskAlert(timestamp=MOMENT, severity=AlertSeverity.WARNING, code=code, detail="a bar came")


class Script:
    """A bus that hands out batches and writes down what is asked of it."""

    def __init__(self, *batches: Sequence[BarEvent | TickEvent]) -> None:
        self.batches = [
            [Received(message, "market_events", 0, offset) for offset, message in enumerate(batch)] for batch in batches
        ]
        self.calls: list[str] = []
        self.causes: list[int | None] = []
        self.fail_at: str | None = None

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if self.fail_at is not None and call.startswith(self.fail_at):
            raise ConnectionError(call)

    def poll(self, timeout_seconds: float) -> Sequence[Received]:
        self._note("poll")
        return self.batches.pop(0) if self.batches else []

    def publish(self, message, cause=None, *, more=False) -> None:
        self.causes.append(None if cause is None else cause.offset)
        self._note(f"publish {message.code}{' and more' if more else ''}")

    def dead_letter(self, received, error) -> None:
        self._note(f"dead letter {received.offset} {error.code}")

    def flush(self) -> None:
        self._note("flush")

    def finish(self, mark: int = 0) -> None:
        self._note(f"finish {mark}" if mark else "finish")

    def commit(self) -> None:
        self._note("commit")


class Echo:
    """Says one thing for each bar, refuses bars at 13, breaks on bars at 66."""

    def __init__(self, at_settle: Sequence[RiskAlert] = ()) -> None:
        self.handlers = {BarEvent: self._on_bar}
        self.at_settle = at_settle
        self.handling: list[Received | None] = []

    def _on_bar(self, message: BarEvent):
        self.handling.append(HANDLING.get())
        if message.close == 13.0:
            raise Unprocessable(REFUSAL)
        if message.close == 66.0:
            raise RuntimeError("broken")
        return (alert(f"bar-{message.timestamp.minute}"),)

    def settle(self):
        self.handling.append(HANDLING.get())
        return self.at_settle

    def restore(self, message) -> None: ...


class Notes:
    def __init__(self) -> None:
        self.seen: list[tuple] = []

    def handled(self, received, outputs, seconds) -> None:
        assert seconds >= 0
        self.seen.append(("handled", received.offset, [output.code for output in outputs]))

    def refused(self, received, error) -> None:
        self.seen.append(("refused", received.offset, error))

    def settled(self, outputs, seconds) -> None:
        assert seconds >= 0
        self.seen.append(("settled", [output.code for output in outputs]))


def test_a_batch_is_finished_after_everything_it_led_to_was_sent():
    bus = Script([bar(0), bar(1)])

    handled = Pump(Echo([alert("end")]), bus).step(0.0)

    assert handled == 2
    assert bus.calls == ["poll", "publish bar-0", "publish bar-1", "publish end", "finish"]
    assert bus.causes == [0, 1, None]


def test_what_is_said_together_leaves_together():
    bus = Script([bar(0)])

    Pump(Echo([alert("first"), alert("second"), alert("third")]), bus).step(0.0)

    said = ["publish first and more", "publish second and more", "publish third"]
    assert bus.calls == ["poll", "publish bar-0", *said, "finish"]


def test_what_cannot_be_processed_becomes_a_dead_letter_and_the_batch_goes_on():
    bus = Script([bar(0), bar(1, close=13.0), bar(2)])

    Pump(Echo(), bus).step(0.0)

    assert bus.calls == ["poll", "publish bar-0", "dead letter 1 STALE", "publish bar-2", "finish"]


@pytest.mark.parametrize("fail_at", ["publish", "dead letter"])
def test_nothing_is_finished_when_an_output_may_be_lost(fail_at):
    bus = Script([bar(0), bar(1, close=13.0)])
    bus.fail_at = fail_at

    with pytest.raises(ConnectionError):
        Pump(Echo(), bus).step(0.0)

    assert not {"finish", "commit"} & set(bus.calls)


def test_a_broken_handler_leaves_the_loop_without_commit_and_says_at_which_message():
    bus = Script([bar(0), bar(1, close=66.0), bar(2)])

    context = copy_context()

    with pytest.raises(RuntimeError, match="broken"):
        context.run(Pump(Echo(), bus).run, Event())

    assert not {"finish", "commit"} & set(bus.calls)
    assert context[HANDLING].offset == 1


def test_an_idle_pass_settles_and_finishes_nothing():
    bus = Script()

    assert Pump(Echo(), bus).step(0.0) == 0
    assert bus.calls == ["poll"]


def test_what_is_said_while_idle_is_made_durable():
    bus = Script()

    Pump(Echo([alert("late")]), bus).step(0.0)

    assert bus.calls == ["poll", "publish late", "finish"]


def test_what_is_done_is_committed_when_told_to_stop():
    bus = Script([bar(0)])
    stop = Event()
    pump = Pump(Echo(), bus, after_step=lambda handled: stop.set())

    pump.run(stop)

    assert bus.calls == ["poll", "publish bar-0", "finish", "commit"]


def test_the_bus_is_told_how_much_the_stage_has_said_by_the_end_of_a_batch():
    said = []
    stage = Echo()
    stage.handlers = {BarEvent: lambda message: said.append(message) or ()}
    bus = Script([bar(0), bar(1)], [bar(2)])
    pump = Pump(stage, bus, mark=lambda: len(said))

    pump.step(0.0)
    pump.step(0.0)

    assert bus.calls == ["poll", "finish 2", "poll", "finish 3"]


def test_messages_without_a_handler_are_passed_over_and_committed():
    tick = TickEvent(symbol="AAPL", timestamp=MOMENT, price=1.0, size=1.0, tick_type=TickType.BID)
    bus = Script([tick, bar(1)])
    notes = Notes()

    assert Pump(Echo(), bus, observers=(notes,)).step(0.0) == 2
    assert bus.calls == ["poll", "publish bar-1", "finish"]
    assert [note[0] for note in notes.seen] == ["handled", "settled"]


def test_observers_see_everything_that_was_said_and_refused():
    first, second = Notes(), Notes()

    Pump(Echo([alert("end")]), Script([bar(0), bar(1, close=13.0)]), observers=(first, second)).step(0.0)

    assert first.seen == [("handled", 0, ["bar-0"]), ("refused", 1, REFUSAL), ("settled", ["end"])]
    assert second.seen == first.seen


def test_the_message_in_hand_is_known_while_it_is_handled_only():
    stage = Echo()
    bus = Script([bar(0), bar(1)])

    Pump(stage, bus).step(0.0)

    assert [received and received.offset for received in stage.handling] == [0, 1, None]


def test_a_stop_finishes_the_batch_in_hand():
    stop = Event()
    bus = Script([bar(0), bar(1)], [bar(2)])
    stage = Echo()
    stage.handlers = {BarEvent: lambda message: stop.set() or (alert(f"bar-{message.timestamp.minute}"),)}

    Pump(stage, bus).run(stop)

    assert bus.calls == ["poll", "publish bar-0", "publish bar-1", "finish", "commit"]


def test_a_stop_before_the_start_reads_nothing():
    stop = Event()
    stop.set()
    bus = Script([bar(0)])

    Pump(Echo(), bus).run(stop)

    assert bus.calls == ["commit"]


def test_each_pass_is_reported_after_it_is_finished():
    bus = Script([bar(0), bar(1)])
    reports = []
    pump = Pump(Echo(), bus, after_step=lambda handled: reports.append((handled, bus.calls[-1])))

    pump.step(0.0)
    pump.step(0.0)

    assert reports == [(2, "finish"), (0, "poll")]
