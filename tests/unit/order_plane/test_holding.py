"""Who holds the right to send, when somebody else claims it while it is being claimed."""

from datetime import UTC, datetime

import pytest

from contracts.claims import JournalClaim, Succession
from order_plane.holding import Holding
from order_plane.journals.port import JournalError

NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)


def claim_of(name, succeeds=None):
    succession = succeeds and Succession(journal_id=succeeds, operator="ann", reason="lost host")
    return JournalClaim(timestamp=NOON, journal_id=name, account="PAPER", host="h", place="p", succeeds=succession)


class Log:
    """A log of claims into which ``rival`` falls while the mark among the intents is being written."""

    def __init__(self, *claims, rival):
        self.claims, self.read_to, self.rival = list(claims), 0, rival

    def read(self, *, wait=False, patience_seconds=None):
        news, self.read_to = self.claims[self.read_to :], len(self.claims)
        return news

    arrived = read

    def append(self, claim):
        self.claims.append(claim)

    def mark(self, mark):
        self.claims.append(self.rival)
        return 9


def test_who_completes_a_hand_over_does_not_hold_what_another_took_over_meanwhile():
    log = Log(claim_of("A"), claim_of("B", "A"), rival=claim_of("C", "B"))
    with pytest.raises(JournalError, match=r"another journal sends.*\(C,"):
        Holding(log, claim_of("B")).claim()


def test_who_takes_over_does_not_hold_what_another_took_over_meanwhile():
    log = Log(claim_of("A"), rival=claim_of("C", "B"))
    with pytest.raises(JournalError, match=r"another journal sends.*\(C,"):
        Holding(log, claim_of("B")).take_over(Succession(journal_id="A", operator="ann", reason="lost host"))
