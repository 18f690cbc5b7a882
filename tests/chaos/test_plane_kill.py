"""Promise: kill -9 of any plane at any named moment of its loop, restart: the run ends as if nothing had happened."""

import re
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing
from random import Random

import pytest
from drills import FIRST, LONG
from lives import begin_plane, end
from plane_life import ROOT, configure

from backtest.artifacts import content_digests
from backtest.run_record import RunRecord
from backtest.simulation import simulate
from contracts.codec import decode
from contracts.control import Heartbeat, PlaneName, RiskAlert
from contracts.trading import ExecutionReport
from kernel.clock import monotonic
from kernel.embedded_broker import MockCluster
from kernel.kafka_history import read_logs
from kernel.kafka_offsets import watermarks
from launcher.collector import Collector
from launcher.local import PLANES

BOOT = ("after_restore", "after_opening", "after_join")
"""Reached once in a life, so they are tried in the second one, which has something to come back from."""
LOOP = (
    *("after_poll", "after_handle", "before_publish", "after_publish", "before_finish"),
    *("after_flush", "before_commit", "after_commit"),
)
SENDING = ("before_intended", "after_intended", "after_submitting", "after_send", "after_acked")
OVERLAPPING = ("after_dispatch",)
"""The paper venue answers before the next order leaves; test_journal_kill.py reaches it with one that does not."""
REPLACING = ("after_change_asked", "after_change")
"""No order of the run is replaced; test_replaced_orders.py reaches these."""
MARKERS = ("before_marker", "after_marker")
"""The beginning and the end of a run, so the second passage is the end of it."""
POINTS = {
    "data": ("after_restore", "before_publish", "after_publish", "after_flush", *MARKERS),
    "strategy": (*BOOT, *LOOP),
    "order": (*BOOT, *LOOP, *SENDING),
}
FAULTS = {
    "data": "F1: kill -9 of the data plane at each named moment",
    "strategy": "F2: kill -9 of the strategy plane at each named moment",
    "order": "F3 F4 F5 F6 F7 F8: kill -9 of the order plane at each named moment, over Kafka",
}
PASSAGES = 20
"""How often each moment that comes again is reached at least in the run."""
PATIENCE = 120.0
CHANCE = Random(FIRST)


def wishes(plane, point):
    """The moments at which ``plane`` dies, one for each of its next lives."""
    if point in MARKERS:
        return [f"{point}:{CHANCE.choice([1, 2])}"]
    if point not in BOOT:
        return [f"{point}:{CHANCE.randint(1, PASSAGES)}"]
    return [f"{CHANCE.choice([each for each in POINTS[plane] if each not in (*BOOT, *MARKERS)])}:3", point]


def tried():
    """All moments one by one if asked for the long run, else one of each plane in a single run."""
    if LONG:
        each = [
            pytest.param({plane: wishes(plane, point)}, id=f"{plane}-{point}", marks=pytest.mark.fault(FAULTS[plane]))
            for plane in POINTS
            for point in POINTS[plane]
        ]
        return each
    kills = {plane: wishes(plane, CHANCE.choice(POINTS[plane])) for plane in POINTS}
    return [pytest.param(kills, id="each-plane", marks=[pytest.mark.fault(row) for row in FAULTS.values()])]


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return configure(tmp_path_factory.mktemp("config"))


@pytest.fixture(scope="module")
def undisturbed(settings):
    """The digests of the backtest and the number of its bars."""
    record = RunRecord(settings.strategy.initial_cash)
    simulate(settings.data, settings.strategy, settings.order, record)
    assert record.counts["intents"] > 2 * PASSAGES
    return content_digests(record), record.counts["bars"]


@pytest.fixture
def kafka(settings):
    cluster = MockCluster()
    cluster.create_topics()
    yield settings.kafka.model_copy(update={"bootstrap_servers": cluster.bootstrap_servers, "embedded": True})
    cluster.close()


class Lives:
    """The three planes, each started again when it was killed."""

    def __init__(self, settings, kafka, directory, kills):
        self._known = settings, kafka, directory
        self._kills = {plane: list(kills.get(plane, ())) for plane in PLANES}
        self._lives = {plane: self._begin(plane) for plane in PLANES}

    def _begin(self, plane):
        wish = self._kills[plane][0] if self._kills[plane] else ""
        return begin_plane(plane, *self._known, wish)

    def look(self):
        """Start those again that were killed as they should be."""
        for plane, life in self._lives.items():
            if life.exitcode is None or (plane == "data" and life.exitcode == 0):
                continue
            said = (self._known[2] / f"{plane}.log").read_text("utf-8")[-3000:]
            assert life.exitcode == -signal.SIGKILL, f"the {plane} plane ended with {life.exitcode}\n{said}"
            assert self._kills[plane].pop(0)
            self._lives[plane] = self._begin(plane)

    def died(self, plane):
        """Whether ``plane`` was killed and has not been started again."""
        return self._lives[plane].exitcode == -signal.SIGKILL

    @property
    def complete(self):
        """Whether every kill has happened and the source has ended."""
        return not any(self._kills.values()) and self._lives["data"].exitcode == 0

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        for life in self._lives.values():
            life.terminate()
        for life in self._lives.values():
            end(life, 20)


def run(settings, kafka, directory, kills):
    """Run the planes to the end of the source; returns what anybody can read of it."""
    record = RunRecord(settings.strategy.initial_cash)
    deadline = monotonic() + PATIENCE
    with Collector(kafka, record) as collector:
        with Lives(settings, kafka, directory, kills) as lives:
            while not lives.complete:
                collector.collect(0.05)
                lives.look()
                assert monotonic() < deadline, f"not all happened: {lives._kills}"
        collector.drain()
    assert collector.dead_letters.total() == 0
    return record


def names_in(path, query):
    with closing(sqlite3.connect(path)) as database:
        return Counter(name for (name,) in database.execute(query))


@pytest.mark.parametrize("kills", tried())
def test_a_plane_killed_at_a_named_moment_and_restarted_loses_and_doubles_nothing(
    settings, undisturbed, kafka, tmp_path, kills
):
    record = run(settings, kafka, tmp_path, kills)
    expected, bars = undisturbed
    assert record.counts["bars"] == bars
    sent = names_in(tmp_path / "paper_venue.sqlite", "SELECT intent_id FROM orders")
    assert set(sent.values()) == {1}, "an order was sent twice"
    doubtful = names_in(tmp_path / "order_journal.sqlite", "SELECT intent_id FROM intents WHERE state = 'IN_DOUBT'")
    if not doubtful:
        assert content_digests(record) == expected
        return
    assert any(wish.startswith(("after_submitting", "after_send")) for wish in kills.get("order", ())), (
        "nothing was in flight, so nothing can be in doubt"
    )
    orders = record.tables().orders.select(["intent_id", "status"]).to_pydict()
    told = dict(zip(orders["intent_id"], orders["status"], strict=True))
    assert {name for name, status in told.items() if status == "IN_DOUBT"} == set(doubtful)
    assert {name for name, status in told.items() if status not in ("IN_DOUBT", "REJECTED")} == set(sent)


def written(kafka, topics, since):
    """What is in the logs behind the offsets ``since``, with the time at which it was written."""
    ends = {name: (since[name][1], high) for name, (_, high) in watermarks(kafka, topics).items()}
    kinds = (ExecutionReport, RiskAlert, Heartbeat)
    return [(decode(each.value(), kinds), each.timestamp()[1]) for each in read_logs(kafka, ends)]


@pytest.mark.fault("F5: an order in doubt is shown")
def test_an_operator_is_told_of_an_order_in_doubt_within_ten_seconds_and_before_anything_else_happens(
    settings, kafka, tmp_path
):
    topics = ["execution_reports", "risk_alerts", "heartbeats"]
    alerts = []
    with Lives(settings, kafka, tmp_path, {"order": ["after_submitting:3"]}) as lives:
        end_of_patience = monotonic() + PATIENCE
        while not lives.died("order"):
            assert monotonic() < end_of_patience
            time.sleep(0.01)
        killed, since = monotonic(), watermarks(kafka, topics)
        lives.look()
        while not alerts:
            assert monotonic() < killed + 10.0, "nobody was told"
            said = written(kafka, topics, since)
            alerts = [(each, at) for each, at in said if isinstance(each, RiskAlert)]
        doubtful = names_in(tmp_path / "order_journal.sqlite", "SELECT intent_id FROM intents WHERE state = 'IN_DOUBT'")
    assert {alert.code for alert, _ in alerts} == {"ORDER_IN_DOUBT"}
    reports = [each for each, _ in said if isinstance(each, ExecutionReport)]
    assert {str(each.intent_id) for each in reports if each.status.value == "IN_DOUBT"} == set(doubtful) != set()
    first_beats = [at for each, at in said if isinstance(each, Heartbeat) and each.plane is PlaneName.ORDER]
    assert all(at <= beat for _, at in alerts for beat in first_beats), "it took up work before it told anybody"


def test_every_named_moment_of_every_plane_is_on_the_list():
    named = re.compile(r'crash_point\("(\w+)"\)')
    of = {
        package: {name for path in (ROOT / package).rglob("*.py") for name in named.findall(path.read_text("utf-8"))}
        for package in ("kernel", "data_plane", "strategy_plane", "order_plane")
    }
    assert of["kernel"] == {*BOOT, *LOOP}
    assert of["data_plane"] == set(POINTS["data"])
    assert of["strategy_plane"] == set()
    assert of["order_plane"] == {*SENDING, *OVERLAPPING, *REPLACING}
