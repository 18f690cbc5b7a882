"""The data plane as a process over Kafka."""

from collections.abc import Callable
from contextlib import ExitStack
from threading import Event

import structlog

from contracts.control import Heartbeat, PlaneName, RunMarker, RunState
from contracts.market import BarEvent, SliceEvent
from data_plane.composition import build_connector, build_stage
from data_plane.feed import Feed
from data_plane.pipeline import DataStage
from data_plane.settings import DataSettings, PaceMode, PaceSettings
from data_plane.store import QuarantineFile
from kernel.clock import SystemClock, monotonic
from kernel.flow import Gate, LockStep, MaxRate, Progress, RealTime, Wait, Window, waiter
from kernel.heartbeat import Beat
from kernel.kafka_bus import KafkaBus
from kernel.kafka_settings import KafkaSettings
from kernel.metrics import PlaneMetrics
from kernel.plane import Runtime, observed

CONSUMERS = (PlaneName.STRATEGY.value, PlaneName.ORDER.value)
QUARANTINE = "quarantine.jsonl"
"""Name of the file of findings in the state directory of a run."""
STALLED_SECONDS = 120.0
"""Longest silence of the other planes: a restart of one of them fits in it."""


def run(settings: DataSettings, kafka: KafkaSettings, runtime: Runtime, stop: Event) -> None:
    """Publish the source's events until it ends or ``stop`` is set.

    Raises:
        ConsumersStalled: when the other planes show no progress for two minutes.
    """
    metrics = PlaneMetrics(runtime.plane.value)
    with ExitStack() as stack:
        bus = stack.enter_context(KafkaBus(kafka, runtime.plane.value, [Heartbeat], [BarEvent, RunMarker]))
        pulse = stack.enter_context(observed(runtime, metrics, {"kafka": lambda: bus.ready}))
        quarantine = stack.enter_context(QuarantineFile(runtime.state_directory / QUARANTINE))
        beat = Beat(bus, runtime.plane, runtime.instance, SystemClock(), runtime.heartbeat_seconds)
        progress = Progress(CONSUMERS)

        def listen(timeout_seconds: float) -> None:
            for received in bus.poll(timeout_seconds):
                if isinstance(received.message, Heartbeat):
                    progress.observe(received.message)
            beat()
            pulse.beat()

        wait = _waiter(bus, progress, listen, stop)
        logged = [received.message for received in bus.history(inputs=(), outputs=[BarEvent, SliceEvent])]
        feed = Feed(bus.publish, gates(settings.pace, progress, wait, _sleeper(listen, stop)), logged)
        stage = build_stage(settings, quarantine)
        structlog.get_logger().info("plane is running", already_published=feed.published)
        if not feed.published:
            _mark(bus, runtime, RunState.STARTED, feed, stage)
        _play(settings, stage, feed, stop)
        wait(progress.at_rest)
        if not stop.is_set():
            _mark(bus, runtime, RunState.FINISHED, feed, stage)
        bus.flush()


def gates(pace: PaceSettings, progress: Progress, wait: Wait, sleep: Callable[[float], None]) -> list[Gate]:
    """What the source waits for before it goes on; whatever the pace, it never outruns its consumers."""
    found: list[Gate] = []
    if pace.mode is PaceMode.REALTIME:
        found.append(RealTime(pace.speed, sleep))
    if pace.max_rate is not None:
        found.append(MaxRate(pace.max_rate, sleep))
    if pace.mode is PaceMode.LOCKSTEP:
        found.append(LockStep(progress, wait, SliceEvent))
    else:
        found.append(Window(progress, wait, pace.window))
    return found


def _play(settings: DataSettings, stage: DataStage, feed: Feed, stop: Event) -> None:
    for row in build_connector(settings).rows():
        for event in stage.handle(row):
            feed.send(event)
        if stop.is_set():
            return
    for event in stage.finish():
        feed.send(event)


def _waiter(bus: KafkaBus, progress: Progress, listen: Callable[[float], None], stop: Event) -> Wait:
    listen_until = waiter(listen, stop.is_set, STALLED_SECONDS)

    def wait(condition: Callable[[], bool]) -> None:
        bus.flush()
        progress.wrote(bus.ends)
        listen(0.0)
        listen_until(condition)

    return wait


def _sleeper(listen: Callable[[float], None], stop: Event) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        due = monotonic() + seconds
        while (left := due - monotonic()) > 0 and not stop.is_set():
            listen(min(left, 0.2))

    return sleep


def _mark(bus: KafkaBus, runtime: Runtime, state: RunState, feed: Feed, stage: DataStage) -> None:
    bus.publish(
        RunMarker(
            timestamp=SystemClock().now(),
            run_id=runtime.run_id,
            state=state,
            published=feed.published,
            quarantined=stage.quarantined.total(),
        )
    )
    bus.flush()
