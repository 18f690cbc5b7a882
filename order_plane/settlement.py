"""What one settlement adds up before it is made durable and said."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from contracts.base import Message
from contracts.trading import ExecutionReport
from order_plane.facts import Fact
from order_plane.journals.port import NO_NOTES, Answer, Journal, Past


class Measured(NamedTuple):
    """What the guards measured and is not kept yet; unless ``lasting``, a loss of power may take it."""

    notes: Mapping[str, str] = NO_NOTES
    lasting: bool = True

    def keep(self, journal: Journal) -> None:
        """Write it by itself."""
        if self.notes:
            journal.note(self.notes, synced=self.lasting)


NOTHING = Measured()


class Settlement:
    """Broker answers, facts, the reports they lead to, and everything that is to be said, in order.

    ``published`` counts the reports that reached their readers before this settlement began.
    """

    __slots__ = ("answers", "facts", "measured", "outputs", "published", "reports")

    def __init__(self, published: int) -> None:
        self.published = published
        self.answers: list[Answer] = []
        self.facts: list[Fact] = []
        self.reports: list[ExecutionReport] = []
        self.outputs: list[Message] = []
        self.measured = NOTHING

    def say(self, messages: Collection[Message]) -> None:
        """Add messages, of which the reports go through the outbox."""
        self.outputs += messages
        for message in messages:
            if type(message) is ExecutionReport:
                self.reports.append(message)

    def repeat(self, reports: Collection[ExecutionReport]) -> None:
        """Say reports of the journal again, unless they are among what is said anyway."""
        said = {message.report_id for message in self.outputs if type(message) is ExecutionReport}
        self.outputs += [report for report in reports if report.report_id not in said]

    def completed(self, past: Past) -> Past:
        """``past`` with what this settlement has yet to make durable of it."""
        name = past.intent.intent_id
        facts = tuple(fact for fact in self.facts if fact.intent_id == name)
        numbers = [report.sequence for report in self.reports if report.intent_id == name]
        return past._replace(facts=past.facts + facts, reports=max(numbers, default=past.reports))

    def conclude(self, journal: Journal) -> None:
        """Make all of it durable in one transaction; only then may anyone hear of it."""
        if self.answers or self.facts or self.reports:
            journal.conclude(self.answers, self.facts, self.reports, self.published, self.measured.notes)
        else:
            self.measured.keep(journal)

    def write_down(self, journal: Journal) -> None:
        """Make durable what there is so far, before something is done that must not be done without."""
        self.conclude(journal)
        self.answers, self.facts, self.reports = [], [], []
