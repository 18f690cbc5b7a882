"""What a plane counts and times, in the words and units that monitoring reads."""

from collections.abc import Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from contracts.base import Message
from contracts.codec import FieldError
from contracts.topics import TOPIC_OF
from kernel.clock import SystemClock
from kernel.kafka_settings import application_version
from kernel.ports import Clock, Received
from kernel.tally import LATENCY_BUCKETS_SECONDS, Tally

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


class PlaneMetrics:
    """The metrics of one process, in a registry of its own; an `Observer` of the pump.

    Labels are the plane, topics, partitions and error codes, all bounded; never symbols or strategies.
    """

    def __init__(
        self,
        plane: str,
        registry: CollectorRegistry | None = None,
        clock: Clock | None = None,
        revision: str = "unknown",
    ) -> None:
        self.registry = registry or CollectorRegistry()
        self._clock = clock or SystemClock()
        self._plane = plane
        self._tally = Tally(plane)
        self.registry.register(self._tally)
        self._dead = self._counter("dead_letters", "Messages refused and sent to a dead-letter topic", "topic", "code")
        self._lag = self._gauge("consumer_lag_records", "Records not read yet", "topic", "partition")
        settling = self._histogram("settling_seconds", "Spent on the end of a batch by the stage")
        submitting = self._histogram(
            "bar_close_to_submit_seconds", "From the close of a bar to the order at the broker"
        )
        in_doubt = self._gauge("orders_in_doubt", "Orders whose fate at the broker is unknown")
        stale = self._gauge("stale_symbols", "Symbols whose bar is overdue")
        killed = self._gauge("kill_switch_engaged", "1 while a kill switch stops new orders, all or some")
        reduce_only = self._gauge("kill_switch_reduce_only", "1 while one lets orders only reduce positions")
        self._connected = self._gauge("gateway_connected", "1 while the gateway of the broker can be used")
        self._triggered = self._counter("kill_switch_triggered", "Kill switches engaged, by cause", "type")
        self._guarded = {
            name: self._gauge(f"{name}_current", meaning, "scope")
            for name, meaning in (
                ("pnl", "Result of the day, a fraction of equity at its start"),
                ("drawdown", "How far equity is below its highest mark, a fraction"),
                ("psr", "Probabilistic Sharpe ratio of daily returns"),
            )
        }
        self._settling = settling.labels(plane)
        self.bar_close_to_submit_seconds = submitting.labels(plane)
        self.orders_in_doubt = in_doubt.labels(plane)
        self.stale_symbols = stale.labels(plane)
        self.kill_switch_engaged = killed.labels(plane)
        self.kill_switch_reduce_only = reduce_only.labels(plane)
        self._lagging: set[str] = set()
        self._dead_seen: dict[tuple[str, str], int] = {}
        Info("algotrade_build", "What is running", registry=self.registry).info(
            {"version": application_version(), "revision": revision, "plane": plane}
        )
        ProcessCollector(registry=self.registry)

    def handled(self, received: Received, outputs: Sequence[Message], seconds: float) -> None:
        """Count one handled message, its latencies and its outputs."""
        tally = self._tally.of(received.topic)
        tally.handling.observe(seconds)
        if received.timestamp_ms > 0:
            tally.end_to_end.observe(max(0.0, self._clock.now().timestamp() - received.timestamp_ms / 1000.0))
        for output in outputs:
            self.published(output)

    def refused(self, received: Received, error: FieldError) -> None:
        """Count one message that the stage refused."""
        self._count_dead(received.topic, error.code, 1)

    def settled(self, outputs: Sequence[Message], seconds: float) -> None:
        """Count what was said at the end of a batch."""
        self._settling.observe(seconds)
        for output in outputs:
            self.published(output)

    def published(self, output: Message) -> None:
        """Count one message published; the pump's own are counted by `handled` and `settled`."""
        published, topic = self._tally.published, TOPIC_OF[type(output)].name
        published[topic] = published.get(topic, 0) + 1

    def progress(self, lag: Mapping[str, int], dead_letters: Mapping[tuple[str, str], int]) -> None:
        """Take over what the bus knows: records not read yet by ``topic/partition``, dead letters by topic and code.

        Both are totals, so calling it again changes nothing; once a second from the pump's thread is enough.
        """
        for partition in self._lagging - lag.keys():
            self._lag.remove(self._plane, *partition.rsplit("/", 1))
        for partition, records in lag.items():
            self._lag.labels(self._plane, *partition.rsplit("/", 1)).set(records)
        self._lagging = set(lag)
        for (topic, code), total in dead_letters.items():
            self._count_dead(topic, code, total - self._dead_seen.get((topic, code), 0))

    def gateway(self, *, connected: bool) -> None:
        """Show whether the gateway can be used; a plane that never says so has none."""
        self._connected.labels(self._plane).set(connected)

    def triggered(self, cause: str) -> None:
        """Count a kill switch that was engaged for ``cause``, one of a closed list."""
        self._triggered.labels(self._plane, cause).inc()

    def guarded(self, scope: str, pnl: float, drawdown: float, psr: float) -> None:
        """Show what the automatic kill switch of ``scope`` measures; not-a-number while it cannot be known."""
        for name, value in (("pnl", pnl), ("drawdown", drawdown), ("psr", psr)):
            self._guarded[name].labels(self._plane, scope).set(value)

    def render(self) -> bytes:
        """Everything in Prometheus text format (`CONTENT_TYPE`)."""
        return generate_latest(self.registry)

    def _count_dead(self, topic: str, code: str, more: int) -> None:
        if more > 0:
            self._dead.labels(self._plane, topic, code).inc(more)
            self._dead_seen[topic, code] = self._dead_seen.get((topic, code), 0) + more

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"algotrade_{name}", meaning, ("plane", *labels), registry=self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"algotrade_{name}", meaning, ("plane", *labels), registry=self.registry)

    def _histogram(self, name: str, meaning: str, *labels: str) -> Histogram:
        return Histogram(
            f"algotrade_{name}",
            meaning,
            ("plane", *labels),
            registry=self.registry,
            buckets=LATENCY_BUCKETS_SECONDS,
        )
