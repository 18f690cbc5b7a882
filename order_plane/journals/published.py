"""The reports that were published, held against the journal: nobody may trade behind those of another one."""

from collections.abc import Collection
from uuid import UUID

from contracts.base import Message
from contracts.trading import ExecutionReport, OrderIntent, OrderStatus
from order_plane.journals.port import Journal, JournalError, Past
from order_plane.reports import keep_newest


class PublishedReports:
    """How far each journal was that published reports came from; only ``journal`` and those `accepted` may be there.

    ``elsewhere`` are the intents on which another journal has reported, and whether it last said that what became of
    their order is unknown; ``newest`` is the newest of their reports on each, which those of this journal go on from.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._newest: dict[str, int] = {}
        self._accepted: Collection[str] = ()
        self.elsewhere: dict[UUID, bool] = {}
        self.newest: dict[UUID, ExecutionReport] = {}
        self._wished: dict[UUID, OrderIntent] = {}

    def accept(self, before: Collection[str]) -> None:
        """The journals ``before`` this one have handed over to it."""
        self._accepted = before

    def remember(self, report: ExecutionReport | OrderIntent) -> None:
        """Take in a report that was published, or an intent; a report that names no journal says nothing."""
        if isinstance(report, OrderIntent):
            self._wished[report.intent_id] = report
            return
        name = report.journal_id
        if name is not None:
            self._newest[name] = max(self._newest.get(name, 0), report.journal_seq or 0)
            if name != self._journal.journal_id:
                self.elsewhere[report.intent_id] = report.status is OrderStatus.IN_DOUBT
                keep_newest(self.newest, report)

    def doubted(self) -> list[OrderIntent]:
        """The intents remembered of which another journal last said so; to be asked once, for they are forgotten."""
        wished, self._wished = self._wished, {}
        return [wished[name] for name, doubted in self.elsewhere.items() if doubted and name in wished]

    def refuse_others(self) -> None:
        """Hold the journal against the reports remembered.

        Raises:
            JournalError: when reports are of another journal, or of a newer copy of this one.
        """
        name, written = self._journal.journal_id, self._journal.sequence
        others = self._newest.keys() - {name, *self._accepted}
        if others:
            raise JournalError(
                f"execution_reports holds reports of another journal ({', '.join(sorted(others))}), whose orders this"
                f" foreign one ({name}) does not know: stop every order plane but the one whose journal belongs to this"
                " Kafka, or start with another kafka.topic_prefix"
            )
        newest = self._newest.get(name, 0)
        if newest > written:
            raise JournalError(
                f"the journal was restored from an older copy: it has {written} transactions and reports were published"
                f" after {newest}; restore the newest one, what it lacks may have been sent"
            )

    def overhear(self, message: Message) -> None:
        """Take in what was written beside this order plane while it runs; its own reports are no news.

        Raises:
            JournalError: as `refuse_others` does.
        """
        if isinstance(message, ExecutionReport):
            self.remember(message)
            self.refuse_others()


def recall_newest(newest: dict[UUID, ExecutionReport], journal: Journal, past: Past) -> None:
    """Have ``newest`` hold what ``journal`` last reported on an order of which another one had reported before."""
    for report in journal.reports_of(past.intent.intent_id)[-1:]:
        if report.sequence > past.reports:
            keep_newest(newest, report)
