"""The data plane as a process over Kafka."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from itertools import chain
from threading import Event

import structlog

from contracts.base import Message
from contracts.control import Heartbeat, PlaneName, RunMarker, RunState
from contracts.market import BarEvent, FactEvent, SliceEvent
from contracts.topics import TOPICS
from data_plane.composition import build_connector, build_stage
from data_plane.feed import Feed
from data_plane.pipeline import DataStage
from data_plane.settings import DataSettings, PaceMode, PaceSettings
from data_plane.store import EventStore, QuarantineFile
from kernel.clock import SystemClock, monotonic
from kernel.flow import Gate, LockStep, MaxRate, Progress, RealTime, Stopped, Wait, Window, waiter
from kernel.heartbeat import Beat
from kernel.kafka_bus import KafkaBus
from kernel.kafka_settings import KafkaSettings
from kernel.metrics import PlaneMetrics
from kernel.plane import Runtime, observed

CONSUMERS = {
    PlaneName.STRATEGY.value: ("market_events", "execution_reports"),
    PlaneName.ORDER.value: ("market_events", "order_intents", "control"),
}
"""Who must have handled what before the source goes on."""
READ_BY_SOME = ("execution_costs",)
"""Topics that only some strategies read; who does must have handled them, too."""
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
        progress = Progress(CONSUMERS, READ_BY_SOME)

        def listen(timeout_seconds: float) -> None:
            for received in bus.poll(timeout_seconds):
                if isinstance(received.message, Heartbeat):
                    progress.observe(received.message)
            beat()
            pulse.beat()

        def publish(event: Message) -> None:
            bus.publish(event)
            metrics.published(event)

        wait = _waiter(bus, progress, listen, stop)
        feed = Feed(publish, gates(settings.pace, progress, wait, _sleeper(listen, stop)), _published(bus))
        stage = build_stage(settings, quarantine)
        structlog.get_logger().info("plane is running", already_published=feed.published)
        if not feed.published:
            _mark(bus, runtime, RunState.STARTED, feed, stage)
        # Stopped passes through the store, which then leaves its files as partial ones for the next life to redo.
        with suppress(Stopped), _store(settings, runtime) as store:
            _play(settings, stage, feed, store, stop)
            wait(progress.at_rest)
            _mark(bus, runtime, RunState.FINISHED, feed, stage)
        bus.flush()


def gates(pace: PaceSettings, progress: Progress, wait: Wait, sleep: Callable[[float], None]) -> list[Gate]:
    """What the source waits for before it goes on; whatever the pace, it never outruns its consumers."""
    found: list[Gate] = []
    if pace.mode is PaceMode.REALTIME:
        # Facts may have become known years before the first bar, and a day before the next.
        found.append(RealTime(pace.speed, sleep, unpaced=(FactEvent,)))
    if pace.max_rate is not None:
        found.append(MaxRate(pace.max_rate, sleep))
    if pace.mode is PaceMode.LOCKSTEP:
        found.append(LockStep(progress, wait, SliceEvent))
    else:
        found.append(Window(progress, wait, pace.window))
    return found


def _published(bus: KafkaBus) -> Iterator[Message]:
    """What earlier lives of this plane have published; what strangers wrote to the topic does not count."""
    for received in bus.history(inputs=(), outputs=TOPICS["market_events"].messages):
        if received.headers.get("producer") == PlaneName.DATA.value.encode():
            yield received.message


def _store(settings: DataSettings, runtime: Runtime) -> AbstractContextManager[EventStore | None]:
    directory = runtime.state_directory / "events"
    complete = any(directory.glob("*.parquet"))
    return EventStore(directory) if settings.store and not complete else nullcontext()


def _play(settings: DataSettings, stage: DataStage, feed: Feed, store: EventStore | None, stop: Event) -> None:
    """Send every event of the source; the store takes those of earlier lives too, since it died with them."""
    for event in chain.from_iterable(stage.play(build_connector(settings).blocks())):
        feed.send(event)
        if store is not None:
            store.append(event)
        if stop.is_set():
            raise Stopped


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
