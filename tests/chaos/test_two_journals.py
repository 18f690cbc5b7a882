"""Promise: of two order planes with a journal each, none trades behind what the other one has said."""

from contextlib import ExitStack, closing
from random import Random

import pytest
from drills import FIRST, SETTINGS, SYMBOLS, a_bar, an_intent
from planes_on_kafka import FOREIGN_REPORT, PATIENCE, PlaneInHand, PlaneInThread, report

from contracts.codec import encode
from contracts.market import BarEvent
from contracts.topics import TOPICS
from contracts.trading import OrderIntent
from kernel.clock import monotonic
from kernel.embedded_broker import MockCluster
from kernel.kafka_bus import KafkaBus
from kernel.kafka_settings import KafkaSettings
from order_plane.brokers.paper_store import MemoryPaperStore
from order_plane.composition import paper_broker
from order_plane.journals.port import JournalError
from order_plane.journals.sqlite import SqliteJournal

INTENTS = "order_intents/0"
WIDE = 4


@pytest.fixture
def kafka():
    """A broker whose topics have partitions enough for two members of a group; one partition goes to one of them."""
    with closing(MockCluster()) as cluster:
        for name in TOPICS:
            cluster.create_topic(name, WIDE if name.endswith("market_events") else 1)
        yield KafkaSettings(bootstrap_servers=cluster.bootstrap_servers, embedded=True)


class Line:
    """To a venue that knows no keys: it takes whatever comes, and ``sent`` says what came."""

    def __init__(self, venue):
        self._venue = venue
        self.sent = []

    def __getattr__(self, name):
        return getattr(self._venue, name)

    def submit(self, order):
        self.sent.append(order.intent.intent_id)
        return self._venue.submit(order)


def run(plane):
    deadline = monotonic() + PATIENCE / 2
    while monotonic() < deadline:
        plane.step(0.05)


class Duel:
    """Two order planes of one group, with a journal each, on one venue; wishes come from a source beside them."""

    def __init__(self, kafka, directory, stack):
        self._source = stack.enter_context(KafkaBus(kafka, "data", (), (BarEvent, OrderIntent)))
        self._chance = Random(FIRST)
        for symbol in SYMBOLS:
            self._source.publish(a_bar(symbol, 0, self._chance))
        self._source.flush()
        self.line = Line(paper_broker(SETTINGS, MemoryPaperStore(retain=10_000)))
        self.planes = []
        for name in ("one", "two"):
            journal = stack.enter_context(closing(SqliteJournal(directory / f"{name}.sqlite")))
            self.planes.append(PlaneInHand(kafka, journal, self.line))
            stack.callback(self.planes[-1].die)
        self.step_until(lambda: all(plane.bus.ready for plane in self.planes))

    def wish(self, count):
        for number in range(1, count + 1):
            self._source.publish(an_intent(number, self._chance.choice(SYMBOLS), 1, self._chance))
        self._source.flush()

    def step_until(self, condition):
        deadline = monotonic() + PATIENCE
        while not condition() and monotonic() < deadline:
            for plane in self.planes:
                plane.step(0.05)
        assert condition()

    def roles(self):
        """The plane that is given the wishes, and the other one."""
        return sorted(self.planes, key=lambda plane: not plane.holds(INTENTS))


@pytest.mark.fault("F28: two order planes on two journals")
def test_a_plane_that_takes_over_from_another_journal_sends_nothing(kafka, tmp_path):
    with ExitStack() as stack:
        duel = Duel(kafka, tmp_path, stack)
        holder, successor = duel.roles()
        holder.record_nothing()
        duel.wish(30)
        duel.step_until(lambda: holder.stage.appended >= 30)
        holder.bus.flush()
        sent = list(duel.line.sent)
        assert sent, "nothing was sent that could be sent again"
        holder.die()
        with pytest.raises(JournalError, match=f"another journal.*{holder.journal.journal_id}"):
            run(successor)
        assert duel.line.sent == sent
        assert successor.stage.appended == 0


@pytest.mark.fault("F28: two order planes on two journals")
def test_an_order_plane_that_runs_already_is_refused_when_its_group_gives_it_more(kafka, tmp_path):
    with PlaneInThread(kafka, tmp_path) as plane:
        assert plane.started()
        with KafkaBus(kafka, "order", (BarEvent, OrderIntent)) as other:
            assert other.wait_ready(PATIENCE)
            report(kafka, encode(FOREIGN_REPORT))
        with pytest.raises(JournalError, match=r"another journal \(other\)"):
            plane.ended()
