"""Who may send: the claims of order journals, folded in the order of their log."""

from dataclasses import dataclass, replace
from typing import Self

from contracts.claims import JournalClaim


@dataclass(frozen=True, slots=True)
class Standing:
    """What a log of claims says so far; the same for everybody who has read as much of it.

    ``holder`` is the claim of the journal whose order plane may send. ``before`` are the journals that held before it.
    ``intents_from`` is the offset in the log of intents from which on they are its own; None while nobody has said so.
    ``handed`` counts the hand-overs.
    """

    holder: JournalClaim | None = None
    before: frozenset[str] = frozenset()
    intents_from: int | None = None
    handed: int = 0

    def after(self, claim: JournalClaim) -> "Self | Standing":
        """What the log says with one more ``claim``."""
        holder, succeeds = self.holder, claim.succeeds
        if holder is None:
            return self if succeeds is not None else Standing(claim)
        if claim.journal_id == holder.journal_id:
            told = self.before and self.intents_from is None and claim.intents_from is not None
            return replace(self, intents_from=claim.intents_from) if told else self
        if succeeds is None or succeeds.journal_id != holder.journal_id:
            return self
        return Standing(claim, (self.before | {holder.journal_id}) - {claim.journal_id}, handed=self.handed + 1)

    def is_held_by(self, journal_id: str) -> bool:
        """Whether the order plane with that journal may send."""
        return self.holder is not None and self.holder.journal_id == journal_id

    @property
    def predecessor(self) -> str | None:
        """The journal that held before, when it is not known yet where the holder's own intents begin."""
        unsaid = self.before and self.intents_from is None
        succeeds = self.holder.succeeds if self.holder is not None and unsaid else None
        return None if succeeds is None else succeeds.journal_id
