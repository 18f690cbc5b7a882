"""The life of a plane's process: serve health, restore the stage, then pump until told to stop."""

import gc
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Protocol

import structlog

from contracts.base import Message
from contracts.control import PartitionOffsets, PlaneName
from kernel.asides import Asides
from kernel.clock import SystemClock, monotonic
from kernel.crash_points import crash_point
from kernel.health import Check, HealthServer, Pulse
from kernel.heartbeat import Beat
from kernel.kafka_errors import BrokerUnavailable, CommitFailed
from kernel.metrics import PlaneMetrics
from kernel.ports import Bus, DeliveryFailed, Received, Stage
from kernel.pump import Observer, Pump
from kernel.recorder import Recorder

Outage = Callable[[Event, Callable[[], None]], None]
"""Goes on without Kafka, until it answers again or the event is set; is to call the other argument all the time."""
_READY_SECONDS = 60.0
_PULSE_SECONDS = 60.0
"""Longest silence of the loop before the process counts as hung; a first solve or a long restore fits in it."""
_METRICS_SECONDS = 1.0
_NOTHING_TO_READ = "no partitions were assigned to this process; does another instance of this plane have them?"


@dataclass(frozen=True, slots=True)
class Runtime:
    """What the process of a plane is told about itself, whatever it trades."""

    plane: PlaneName
    run_id: str
    state_directory: Path
    heartbeat_seconds: float = 1.0
    host: str = "127.0.0.1"
    port: int = 0
    record: bool = False

    @property
    def instance(self) -> str:
        """Names this process among those of the same plane."""
        return f"{socket.gethostname()}-{os.getpid()}"[-64:]


@dataclass(frozen=True, slots=True)
class Recovery:
    """How a plane comes back from its last life, and what it needs to know for its next one.

    ``history`` restores the stage. ``opening``, asked afterwards, is what the last life may not have said. ``mark``
    counts what the stage has said, for `PlaneBus.durable`.
    """

    history: Callable[[], Iterator[Received]]
    opening: Callable[[], Sequence[Message]] = lambda: ()
    mark: Callable[[], int] = lambda: 0


class PlaneBus(Bus, Protocol):
    """A bus that also knows its progress and its past."""

    def history(self) -> Iterator[Received]:
        """What this plane handled and said before it was restarted."""
        ...

    def wait_ready(self, timeout_seconds: float) -> bool:
        """Wait until messages can flow."""
        ...

    @property
    def durable(self) -> int:
        """The newest mark given to `finish` before which everything sent is durable."""
        ...

    @property
    def positions(self) -> PartitionOffsets:
        """Committed next offset of each assigned partition."""
        ...

    @property
    def ends(self) -> PartitionOffsets:
        """One past the newest offset written, by partition."""
        ...

    @property
    def lag(self) -> PartitionOffsets:
        """Messages not yet read, by partition."""
        ...

    @property
    def dead_lettered(self) -> Mapping[tuple[str, str], int]:
        """Dead letters written, by topic and error code."""
        ...

    @property
    def ready(self) -> bool:
        """Whether messages can flow."""
        ...


@contextmanager
def observed(runtime: Runtime, metrics: PlaneMetrics, checks: Mapping[str, Check]) -> Iterator[Pulse]:
    """Serve health, readiness and metrics while the plane lives; yields the pulse its loop must keep."""
    pulse = Pulse(_PULSE_SECONDS)
    with HealthServer(pulse, checks, metrics.render, runtime.host, runtime.port) as server:
        structlog.get_logger().info("health is served", host=runtime.host, port=server.port)
        yield pulse


def serve(  # noqa: PLR0913 - what a plane hangs into its loop, each by name
    stage: Stage,
    bus: PlaneBus,
    runtime: Runtime,
    stop: Event,
    metrics: PlaneMetrics,
    *,
    recovery: Recovery | None = None,
    observers: Sequence[Observer] = (),
    refresh: Callable[[], None] = lambda: None,
    between: Callable[[], None] = lambda: None,
    checks: Mapping[str, Check] | None = None,
    asides: Asides | None = None,
    outage: Outage | None = None,
) -> None:
    """Run ``stage`` on ``bus`` until ``stop`` is set.

    Boot is the same after a clean stop and after a crash: restore what was handled, say what the last life may not
    have said, join the group, pump. ``observers`` see every message beside the metrics, ``refresh`` brings gauges up to
    date about once a second, ``checks`` are what readiness needs beside Kafka, and ``asides`` what the stage is told
    beside the bus. When Kafka fails ``outage`` is called, which may go on without it; then the failure is raised.

    Raises:
        BrokerUnavailable: when no partitions are assigned within a minute.
    """
    log = structlog.get_logger()
    recovery, asides = recovery or Recovery(bus.history), asides or Asides()
    with ExitStack() as stack:
        pulse = stack.enter_context(observed(runtime, metrics, {"kafka": lambda: bus.ready, **(checks or {})}))
        recorder = stack.enter_context(_recording(runtime))
        for each in recorder:
            asides.attach(each)
        restored = _restore(stage, recovery.history(), recorder, pulse)
        log.info("state restored", messages=restored)
        crash_point("after_restore")
        for message in recovery.opening():
            bus.publish(message)
        bus.flush()
        crash_point("after_opening")
        bus.finish(recovery.mark())
        if not bus.wait_ready(_READY_SECONDS):
            raise BrokerUnavailable("kafka.bootstrap_servers", _NOTHING_TO_READ)
        beat = Beat(bus, runtime.plane, runtime.instance, SystemClock(), runtime.heartbeat_seconds)
        beat.send()
        crash_point("after_join")
        told_at = 0.0

        def after_step(handled: int) -> None:
            nonlocal told_at
            pulse.beat()
            beat()
            between()
            if monotonic() - told_at > _METRICS_SECONDS:
                told_at = monotonic()
                metrics.progress(bus.lag, bus.dead_lettered)
                refresh()

        gc.collect()
        gc.freeze()  # what exists by now stays; to look through it again would take milliseconds in the middle of work
        log.info("plane is running")
        pump = Pump(stage, bus, (metrics, *recorder, asides, *observers), after_step, recovery.mark)
        try:
            pump.run(stop)
        except (BrokerUnavailable, CommitFailed, DeliveryFailed):
            if outage is not None:
                outage(stop, pulse.beat)
            raise
        log.info("plane has drained and stops")


def _restore(stage: Stage, history: Iterator[Received], recorder: Sequence[Recorder], pulse: Pulse) -> int:
    restored = 0
    for received in history:
        stage.restore(received.message)
        for each in recorder:
            each.restored(received.message)
        restored += 1
        pulse.beat()
    return restored


@contextmanager
def _recording(runtime: Runtime) -> Iterator[tuple[Recorder, ...]]:
    """A recorder for this life of the process, when asked for."""
    if not runtime.record:
        yield ()
        return
    path = runtime.state_directory / "recorded" / f"{runtime.plane.value}-{runtime.instance}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        yield (Recorder(file),)
