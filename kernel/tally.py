"""Counts and latencies by topic, kept in plain numbers: a message costs a microsecond, a scrape does the rest."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

LATENCY_BUCKETS_SECONDS = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
_EDGES = (*map(floatToGoString, LATENCY_BUCKETS_SECONDS), "+Inf")


class Latencies:
    """A histogram that one thread writes; another may read it and be one message behind."""

    __slots__ = ("_counts", "_sum")

    def __init__(self) -> None:
        self._counts = [0] * len(_EDGES)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one latency."""
        self._counts[bisect_left(LATENCY_BUCKETS_SECONDS, seconds)] += 1
        self._sum += seconds

    @property
    def count(self) -> int:
        """How many were observed."""
        return sum(self._counts)

    def fill(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Add this histogram to ``family``."""
        family.add_metric(labels, list(zip(_EDGES, accumulate(map(float, self._counts)), strict=True)), self._sum)


class Handled:
    """What was handled of one topic: how long each message took, and how old it was by broker time."""

    __slots__ = ("end_to_end", "handling")

    def __init__(self) -> None:
        self.handling = Latencies()
        self.end_to_end = Latencies()


class Tally(Collector):
    """Messages of one plane by topic, in a form that Prometheus can collect."""

    def __init__(self, plane: str) -> None:
        self._plane = plane
        self.handled: dict[str, Handled] = {}
        self.published: dict[str, int] = {}

    def of(self, topic: str) -> Handled:
        """What was handled of ``topic``."""
        found = self.handled.get(topic)
        if found is None:
            found = self.handled[topic] = Handled()
        return found

    def collect(self) -> Iterator[Metric]:
        """The counters and histograms as they stand."""
        labels = ("plane", "topic")
        read = CounterMetricFamily("algotrade_messages_in", "Messages handled", labels=labels)
        written = CounterMetricFamily("algotrade_messages_out", "Messages published", labels=labels)
        age = HistogramMetricFamily(
            "algotrade_end_to_end_seconds", "From published to handled, by broker time", labels=labels
        )
        handling = HistogramMetricFamily(
            "algotrade_handling_seconds", "Spent on one message by the stage", labels=labels
        )
        for topic, each in list(self.handled.items()):
            read.add_metric((self._plane, topic), each.handling.count)
            each.end_to_end.fill(age, (self._plane, topic))
            each.handling.fill(handling, (self._plane, topic))
        for topic, count in list(self.published.items()):
            written.add_metric((self._plane, topic), count)
        yield from (read, written, age, handling)
