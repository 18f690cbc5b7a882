"""Strategies book what another journal's orders trade after a hand-over: each unit once, and none of them back."""

from uuid import UUID

import pytest
from order_messages import NOON, a_bar, an_intent, tell
from venue_double import Venue

from contracts.claims import JournalClaim, Succession
from contracts.trading import ExecutionReport
from domain.ledger import Ledger
from order_plane.brokers.port import BrokerStateUnknown
from order_plane.claims import Standing
from order_plane.composition import build_stage
from order_plane.facts import Fact, FactKind
from order_plane.journals.memory import MemoryJournal
from order_plane.journals.sqlite import SqliteJournal
from order_plane.settings import OrderSettings

SETTINGS = OrderSettings(limits={"duplicate_window": 0}, reconciliation=None)
NAME = UUID(int=1)
ACK = Fact(NAME, FactKind.ACK, "ack", NOON, "o-1")


def a_fill(name, units, revision=0):
    return Fact(NAME, FactKind.FILL, name, NOON, "o-1", units, 100.0 if units else 0.0, 1.0, revision)


class Topic:
    """``execution_reports`` of one venue: what was published, and what a strategy owns by it."""

    def __init__(self, *answers):
        self.venue, self.reports, self.ledger = Venue(*answers), [], Ledger()

    def publish(self, stage, said):
        for report in said:
            if isinstance(report, ExecutionReport):
                self.reports.append(stage.stamp(report))
                self.ledger.apply(report)

    def tell(self, stage, *messages, news=()):
        self.venue.news = [*news]
        self.publish(stage, tell(stage, *messages))

    def plane(self, journal, predecessor=None):
        stage = build_stage(SETTINGS, journal, self.venue)
        for message in (a_bar(), an_intent(1), *self.reports):
            stage.restore(message)
        if predecessor is not None:
            succeeds = Succession(journal_id=predecessor, operator="ann", reason="its host is gone")
            claim = JournalClaim(
                timestamp=NOON, journal_id="new", account="PAPER", host="host", place="place", succeeds=succeeds
            )
            stage.published.accept({predecessor})
            stage.inheritance.accept(Standing(claim, frozenset({predecessor}), 9, 1), {NAME})
        self.publish(stage, stage.recover())
        return stage

    @property
    def owned(self):
        return self.ledger.positions.get("AAPL", 0.0)

    def holds_together(self):
        """Whether no two reports share a name and differ."""
        content = {each.report_id: (each.sequence, each.filled_quantity, each.status) for each in self.reports}
        return all(
            content[each.report_id] == (each.sequence, each.filled_quantity, each.status) for each in self.reports
        )


@pytest.fixture
def topic():
    return Topic([ACK])


@pytest.fixture
def doubted(topic):
    """What the original plane had published: 4 of 10 traded, and then nobody knew whether the order was replaced."""
    stage = topic.plane(MemoryJournal())
    topic.tell(stage, a_bar(), an_intent(1))
    topic.tell(stage, news=[a_fill("e-1", 4.0)])

    def lost(order):
        raise BrokerStateUnknown("timeout")

    topic.venue.replace = lost
    stage.upkeep.wish(NAME, "operator-ann", 8.0, None, "ann: less")
    topic.tell(stage)
    assert (topic.reports[-1].status.value, topic.reports[-1].filled_quantity, topic.owned) == ("IN_DOUBT", 4.0, 4.0)
    return stage.journal_id


def test_a_fill_of_an_order_that_was_taken_over_in_doubt_is_booked():
    topic = Topic(BrokerStateUnknown("timeout"))
    old = topic.plane(MemoryJournal())
    topic.tell(old, a_bar(), an_intent(1))
    topic.tell(old, news=[ACK])
    topic.publish(old, old.desk.doubt(NAME, "the venue accepted the order and knows it no more"))
    assert [each.sequence for each in topic.reports] == [1, 2, 3]
    topic.venue.known[NAME] = [ACK]
    new = topic.plane(MemoryJournal(), old.journal_id)
    topic.tell(new, news=[a_fill("e-1", 10.0)])
    assert (topic.owned, topic.holds_together()) == (10.0, True)


def test_what_the_other_journal_had_reported_and_the_venue_tells_again_is_booked_once(topic, doubted):
    topic.venue.known[NAME] = [ACK, a_fill("e-1", 4.0)]
    new = topic.plane(MemoryJournal(), doubted)
    assert topic.owned == 4.0
    topic.tell(new, news=[a_fill("e-2", 6.0)])
    assert (topic.owned, topic.reports[-1].status.value, topic.holds_together()) == (10.0, "FILLED", True)


def test_what_the_other_journal_had_reported_is_not_taken_back_when_the_venue_tells_it_no_more(topic, doubted):
    new = topic.plane(MemoryJournal(), doubted)
    assert (topic.reports[-1].status.value, topic.owned) == ("IN_DOUBT", 4.0)
    topic.tell(new, news=[ACK])
    assert (topic.reports[-1].status.value, topic.owned) == ("PARTIAL_FILL", 4.0)
    topic.tell(new, news=[a_fill("e-1", 4.0), a_fill("e-2", 6.0)])
    assert (topic.owned, topic.ledger.cash, topic.holds_together()) == (10.0, -1002.0, True)


def test_an_execution_that_is_taken_back_is_so_once_it_is_known_here(topic, doubted):
    topic.venue.known[NAME] = [ACK, a_fill("e-1", 4.0)]
    new = topic.plane(MemoryJournal(), doubted)
    topic.tell(new, news=[a_fill("e-1", 0.0, 1)])
    assert (topic.owned, topic.holds_together()) == (0.0, True)


def test_reports_go_on_from_the_newest_one_after_every_restart(topic, doubted):
    journal = MemoryJournal()
    topic.venue.known[NAME] = [ACK]
    topic.tell(topic.plane(journal, doubted), news=[a_fill("e-1", 4.0), a_fill("e-2", 1.0)])
    assert topic.owned == 5.0
    told, topic.reports[:] = [*topic.reports], []  # so long ago that no start reads it again
    stage = topic.plane(journal, doubted)
    topic.tell(stage, news=[a_fill("e-3", 5.0)])
    topic.tell(topic.plane(journal, doubted), news=[a_fill("e-3", 4.0, 1)])
    assert topic.owned == 9.0
    topic.reports[:0] = told
    assert topic.holds_together()


def test_a_copy_goes_on_from_what_its_original_published(topic, tmp_path):
    path, copy = tmp_path / "journal.sqlite", tmp_path / "copy" / "journal.sqlite"
    original = topic.plane(SqliteJournal(path))
    topic.tell(original, a_bar(), an_intent(1))
    original.close()
    copy.parent.mkdir()
    copy.write_bytes(path.read_bytes())
    original = topic.plane(SqliteJournal(path))
    topic.tell(original, news=[a_fill("e-1", 3.0)])
    topic.tell(original, news=[a_fill("e-2", 1.0)])
    topic.venue.known[NAME] = [ACK]
    new = topic.plane(SqliteJournal(copy), original.journal_id)
    topic.tell(new, news=[a_fill("e-3", 6.0), a_fill("e-1", 3.0), a_fill("e-2", 1.0)])
    assert (topic.owned, topic.reports[-1].status.value, topic.holds_together()) == (10.0, "FILLED", True)
    original.close()
    new.close()
