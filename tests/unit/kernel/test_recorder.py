from datetime import UTC, datetime, timedelta

import pytest

from contracts.codec import ErrorCode, FieldError
from contracts.control import AlertSeverity, RiskAlert
from contracts.market import BarEvent
from kernel.memory_bus import MemoryBus
from kernel.ports import Received, Unprocessable
from kernel.pump import Pump
from kernel.recorder import Recorder, replay

MOMENT = datetime(2024, 1, 2, 21, 0, tzinfo=UTC)


def bar(minute: int, close: float = 10.0, symbol: str = "AAPL") -> BarEvent:
    return BarEvent(
        symbol=symbol,
        timestamp=MOMENT + timedelta(minutes=minute),
        open=close,
        high=close,
        low=close,
        close=close,
        volume=1.0,
    )


class Counter:
    """Says the running sum of closes at each bar and the batch's count at its end; refuses a close of 13."""

    def __init__(self, step: float = 1.0) -> None:
        self.handlers = {BarEvent: self._on_bar}
        self._step = step
        self._total = 0.0
        self._batch = 0

    def _on_bar(self, message: BarEvent):
        if message.close == 13.0:
            raise Unprocessable(FieldError("/close", "an unlucky\nprice", ErrorCode.OUT_OF_RANGE))
        self._total += message.close * self._step
        self._batch += 1
        return (self._say(f"sum {self._total} \u2028", message.timestamp),)

    def settle(self):
        if not self._batch:
            return ()
        said = (self._say(f"batch of {self._batch}", MOMENT),)
        self._batch = 0
        return said

    def restore(self, message: BarEvent) -> None:
        self._total += message.close * self._step

    @staticmethod
    def _say(detail: str, moment: datetime) -> RiskAlert:
        return RiskAlert(timestamp=moment, severity=AlertSeverity.WARNING, code="SUM", detail=detail)


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "stage.recording"
    bus = MemoryBus()
    endpoint = bus.connect([BarEvent])
    stage = Counter()
    with path.open("xb") as file:
        recorder = Recorder(file)
        for known in (bar(-2), bar(-1)):
            stage.restore(known)
            recorder.restored(known)
        pump = Pump(stage, endpoint, observers=(recorder,))
        for batch in ([bar(0), bar(1, 13.0), bar(2, 0.1)], [bar(3)], []):
            for message in batch:
                bus.publish(message)
            pump.step(0.0)
    return path


def test_a_recording_replays_to_identical_bytes(recording):
    result = replay(Counter(), recording)

    assert result.identical
    assert (result.batches, result.messages, result.unfinished_lines) == (2, 4, 0)


def test_an_idle_pass_leaves_no_trace(recording):
    marks = [line[:1] for line in recording.read_bytes().split(b"\n")]

    assert b"".join(marks) == b"==<><!<>s>e<>s>e"


def test_the_first_difference_is_reported_with_its_line(recording):
    result = replay(Counter(step=2.0), recording)

    assert not result.identical
    assert result.mismatch.line == 4
    assert "sum 30.0" in result.mismatch.recorded
    assert "sum 60.0" in result.mismatch.replayed


def test_a_difference_in_a_later_batch_counts_lines_from_the_start(recording):
    text = recording.read_bytes()
    recording.write_bytes(text.replace(b"sum 40.1", b"sum 40.2"))

    mismatch = replay(Counter(), recording).mismatch

    assert mismatch.line == text[: text.index(b"sum 40.1")].count(b"\n") + 1


class Silent(Counter):
    def settle(self):
        super().settle()
        return ()


class Talkative(Counter):
    def settle(self):
        return (*super().settle(), self._say("more", MOMENT))


def test_saying_less_or_more_than_recorded_is_a_difference(recording):
    less = replay(Silent(), recording).mismatch
    more = replay(Talkative(), recording).mismatch

    assert "batch of 2" in less.recorded
    assert less.replayed == "end"
    assert more.recorded == "end"
    assert '"more"' in more.replayed


def test_a_stage_that_no_longer_refuses_is_a_difference(recording):
    class Lenient(Counter):
        def __init__(self) -> None:
            super().__init__()
            self.handlers = {BarEvent: lambda message: () if message.close == 13.0 else self._on_bar(message)}

    mismatch = replay(Lenient(), recording).mismatch

    assert mismatch.recorded == "!/close: an unlucky price [OUT_OF_RANGE]"


def test_a_batch_torn_by_a_kill_is_reported_and_not_compared(recording):
    whole = recording.read_bytes()
    second_batch = whole.index(b"end\n") + len(b"end\n")

    for cut in range(second_batch, len(whole)):
        recording.write_bytes(whole[:cut])
        result = replay(Counter(), recording)
        assert result.identical
        assert (result.batches, result.messages) == (1, 3)
        assert result.unfinished_lines == len(whole[second_batch:cut].splitlines(keepends=True))


def test_an_empty_recording_replays_to_nothing(tmp_path):
    path = tmp_path / "empty"
    path.touch()

    result = replay(Counter(), path)

    assert result.identical
    assert result.batches == 0


def test_a_batch_reaches_the_operating_system_before_the_next_begins(tmp_path):
    path = tmp_path / "stage.recording"
    with path.open("xb") as file:
        recorder = Recorder(file)
        recorder.handled(Received(bar(0), "market_events"), (), 0.0)
        assert path.read_bytes() == b""
        recorder.settled((), 0.0)
        assert path.read_bytes().endswith(b"settle\nend\n")


def test_a_long_history_is_written_in_pieces_and_replays(tmp_path):
    path = tmp_path / "stage.recording"
    stage = Counter()
    with path.open("xb") as file:
        recorder = Recorder(file)
        for minute in range(2500):
            stage.restore(bar(minute))
            recorder.restored(bar(minute))
        assert path.stat().st_size > 0
        recorder.handled(Received(bar(3000), "market_events"), stage.handlers[BarEvent](bar(3000)), 0.0)
        recorder.settled(stage.settle(), 0.0)

    result = replay(Counter(), path)

    assert result.identical
    assert (result.batches, result.messages) == (3, 1)
