"""The data plane as a process over Kafka."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import chain
from threading import Event

import structlog

from contracts.base import Message
from contracts.control import Heartbeat, PlaneName, RunMarker, RunState
from contracts.market import BarEvent, FactEvent, SliceEvent
from contracts.topics import TOPICS
from data_plane.backfill_note import BackfillNote
from data_plane.composition import build_connector, build_live_source, build_stage
from data_plane.connectors.ibkr import LiveSource
from data_plane.connectors.ibkr_history import Step
from data_plane.feed import CatchUp, Feed, LiveFeed
from data_plane.freshness import Overdue
from data_plane.live import Outside, play
from data_plane.pipeline import DataStage
from data_plane.settings import DataSettings, IbkrSourceSettings, PaceMode, PaceSettings
from data_plane.store import QUARANTINE, EventStore, QuarantineFile
from ibkr_client.gateway_errors import GatewayUnavailable
from ibkr_client.gateway_note import GatewayNote
from kernel.clock import SystemClock, monotonic
from kernel.crash_points import crash_point
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
STALLED_SECONDS = 120.0
"""Longest silence of the other planes: a restart of one of them fits in it."""
_CATCH_UP_SECONDS = 10.0
"""How long a moment is kept for planes that still read what came before it; then it goes all the same."""


@dataclass(frozen=True, slots=True)
class _Process:
    """What both ways of playing need of the process."""

    bus: KafkaBus
    runtime: Runtime
    stage: DataStage
    metrics: PlaneMetrics
    progress: Progress
    listen: Callable[[float], None]
    wait: Wait
    stop: Event

    def publish(self, event: Message) -> None:
        """Send an event, a bar together with those of its moment, and count it."""
        crash_point("before_publish")
        self.bus.publish(event, more=isinstance(event, BarEvent))
        crash_point("after_publish")
        self.metrics.published(event)

    def mark(self, state: RunState, published: int) -> None:
        """Tell the other end of the run where it is."""
        crash_point("before_marker")
        self.bus.publish(
            RunMarker(
                timestamp=SystemClock().now(),
                run_id=self.runtime.run_id,
                state=state,
                published=published,
                quarantined=self.stage.quarantined.total(),
            )
        )
        self.bus.flush()
        crash_point("after_marker")


def run(
    settings: DataSettings,
    kafka: KafkaSettings,
    runtime: Runtime,
    stop: Event,
    fetching: Callable[[Step], None] | None = None,
    unwelcome: Callable[[Sequence[str]], str] = lambda accounts: "",
) -> None:
    """Publish the source's events until it ends or ``stop`` is set.

    ``fetching`` is told how far the back-fill of a gateway is; without it that is a log line. ``unwelcome`` says of
    the accounts of a simulator why its bars must not be published, if so.

    Raises:
        ConsumersStalled: when the other planes show no progress for two minutes.
        GatewayUnavailable, GatewayRefused: when there is a gateway and it cannot be used; one that was reached in an
            earlier life is waited for.
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

        stage = build_stage(settings, quarantine)
        wait = _waiter(bus, progress, listen, stop)
        process = _Process(bus, runtime, stage, metrics, progress, listen, wait, stop)
        with suppress(Stopped):
            if settings.ibkr is None:
                _replay(settings, process)
            else:
                made = partial(build_live_source, settings, settings.ibkr, unwelcome)
                _live(settings, settings.ibkr, process, fetching, made)
        bus.flush()


def _replay(settings: DataSettings, process: _Process) -> None:
    """Play files to their end."""
    sleep = _sleeper(process.listen, process.stop)
    paces = gates(settings.pace, process.progress, process.wait, sleep)
    feed = Feed(process.publish, paces, _published(process.bus))
    _begin(process, feed.published)
    # Stopped passes through the store, which then leaves its files as partial ones for the next life to redo.
    with _store(settings, process.runtime) as store:
        _play(settings, process.stage, feed, store, process.stop)
        process.wait(process.progress.at_rest)
        process.mark(RunState.FINISHED, feed.published)


def _live(
    settings: DataSettings,
    ibkr: IbkrSourceSettings,
    process: _Process,
    fetching: Callable[[Step], None] | None,
    made: Callable[[], LiveSource],
) -> None:
    """Play a gateway; what the store holds of one life of the process has a directory of its own."""
    from ibkr_client.first_contact import connected, marker_of  # noqa: PLC0415 - files do without

    marker = marker_of(process.runtime.state_directory, process.runtime.plane.value)
    pause = _sleeper(process.listen, process.stop)
    found = connected(made, GatewayUnavailable, marker, ibkr, process.stop, pause)
    if found is None:
        return
    with closing(found) as source:
        catch_up = _waiter(process.bus, process.progress, process.listen, process.stop, _CATCH_UP_SECONDS)
        window = Window(process.progress, process.wait, settings.pace.window)
        paces: list[Gate] = [window, CatchUp(process.progress, catch_up)]
        within = timedelta(seconds=ibkr.decide_within_seconds)
        feed = LiveFeed(process.publish, paces, _published(process.bus), source.now, within)
        _begin(process, feed.published)
        begun = settings.start or source.now().date() - timedelta(days=ibkr.backfill_days)
        first = begun if feed.first_bar is None else min(begun, feed.first_bar.date())
        kept = process.runtime.state_directory / "events" / f"{SystemClock().now():%Y%m%dT%H%M%S%fZ}"
        store = EventStore(kept) if settings.store else None

        def send(event: Message) -> None:
            said = feed.send(event)
            if store is not None and said is not None:
                store.append(said)

        gateway = GatewayNote(process.runtime.state_directory, process.runtime.plane.value)

        def listen(timeout_seconds: float) -> None:
            usable = source.connected
            process.metrics.gateway(connected=usable)
            gateway(connected=usable)
            process.listen(timeout_seconds)

        note = BackfillNote(process.runtime.state_directory, fetching)
        outside = Outside(send, listen, process.stop.is_set, partial(_say_stale, process.metrics), note)
        try:
            play(source, process.stage, first, settings.grace, timedelta(seconds=ibkr.stale_seconds), outside)
        finally:
            if store is not None:
                store.close()


def _begin(process: _Process, published: int) -> None:
    crash_point("after_restore")
    structlog.get_logger().info("plane is running", already_published=published)
    if not published:
        process.mark(RunState.STARTED, published)


def _say_stale(metrics: PlaneMetrics, overdue: tuple[Overdue, ...]) -> None:
    metrics.stale_symbols.set(len(overdue))
    log = structlog.get_logger()
    if overdue:
        log.warning("market data is stale", symbols=[each.symbol for each in overdue], due=str(overdue[0].due))
    else:
        log.info("market data is fresh again")


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


def _waiter(
    bus: KafkaBus,
    progress: Progress,
    listen: Callable[[float], None],
    stop: Event,
    patience_seconds: float = STALLED_SECONDS,
) -> Wait:
    listen_until = waiter(listen, stop.is_set, patience_seconds)

    def wait(condition: Callable[[], bool]) -> None:
        bus.flush()
        crash_point("after_flush")
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
