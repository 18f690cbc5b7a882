"""The right to send, which one journal at a time holds: claimed before the first intent, looked at ever after."""

from collections.abc import Sequence
from typing import Protocol

from contracts.base import Message
from contracts.claims import IntentsHandedOver, JournalClaim, Succession
from order_plane.claims import Standing
from order_plane.journals.port import JournalError

_CONFIRM_SECONDS = 0.5
"""How long an order waits for Kafka to say who holds; less than what counts as a pause of the process."""


class ClaimLog(Protocol):
    """The log of claims, and the log of intents beside it."""

    def read(self, *, wait: bool = False, patience_seconds: float | None = None) -> Sequence[JournalClaim]:
        """Claims not read before, in their order; of all that the log holds by now with ``wait``, or after a pause."""
        ...

    def arrived(self) -> Sequence[JournalClaim]:
        """Claims not read before that are here already; to be called often, so that a pause is noticed."""
        ...

    def append(self, claim: JournalClaim) -> None:
        """Return once ``claim`` is in the log for good."""
        ...

    def mark(self, mark: IntentsHandedOver) -> int:
        """Put ``mark`` among the intents for good, and return where their log ends then."""
        ...


class Holding:
    """Claims for the journal of ``claim``, and refuses to go on once another journal holds.

    One that is handed back what it held must be begun anew, because it does not know what was sent in between.
    Of two journals that claim at the same time, that of the earlier record in the log holds; so everybody who has read
    the log beyond its own record agrees who does.
    """

    def __init__(self, log: ClaimLog, claim: JournalClaim) -> None:
        self._log = log
        self._claim = claim
        self._standing = Standing()
        self._handed: int | None = None

    def look(self) -> Standing:
        """What the log says, to its end."""
        self._take(self._log.read(wait=True))
        return self._standing

    def begin(self) -> Standing:
        """What the log says, to its end, before anything is claimed; raises JournalError when another journal holds."""
        if self.look().holder is not None:
            self._refuse_others()
        return self._standing

    def claim(self) -> Standing:
        """Hold, before the first intent is read; the same journal again needs no new claim.

        Raises:
            JournalError: when another journal holds.
        """
        if self.begin().holder is None:
            self._log.append(self._claim)
            self.look()
            self._refuse_others()
        self._handed = self._standing.handed
        return self._tell_where()

    def heed(self) -> None:
        """To be called before each order leaves; waits only after a pause of the process.

        Raises:
            JournalError: when another journal holds by now.
        """
        self._hear(self._log.read())

    def confirm(self) -> None:
        """To be called before an order that has no place among the intents: waits for what the log holds now.

        Raises:
            JournalError: when another journal holds by now.
        """
        self._hear(self._log.read(wait=True, patience_seconds=_CONFIRM_SECONDS))

    def turn(self) -> None:
        """The process goes on; never waits, and raises as `heed` does."""
        self._hear(self._log.arrived())

    def on_mark(self, mark: Message) -> tuple[()]:
        """Intents were handed over: those behind this record are of whoever holds; raises as `heed` does."""
        self.look()
        self._refuse_others()
        return ()

    def take_over(self, succession: Succession) -> Standing:
        """Hold in the place of the journal that ``succession`` names.

        Raises:
            JournalError: when that one does not hold, or another was faster.
        """
        self._log.append(self._claim.model_copy(update={"succeeds": succession}))
        self.look()
        self._refuse_others()
        return self._tell_where()

    def _tell_where(self) -> Standing:
        """Make it durable where the own intents begin, unless somebody has."""
        predecessor = self._standing.predecessor
        if predecessor is not None:
            at, name = self._claim.timestamp, self._claim.journal_id
            end = self._log.mark(IntentsHandedOver(timestamp=at, journal_id=name, predecessor=predecessor))
            self._log.append(self._claim.model_copy(update={"intents_from": end}))
            self.look()
            self._refuse_others()  # a claim that was read here is no news any more to whoever looks later
        return self._standing

    def _hear(self, news: Sequence[JournalClaim]) -> None:
        if news:
            self._take(news)
            self._refuse_others()

    def _take(self, claims: Sequence[JournalClaim]) -> None:
        for claim in claims:
            self._standing = self._standing.after(claim)

    def _refuse_others(self) -> None:
        holder, mine = self._standing.holder, self._claim.journal_id
        if holder is not None and holder.journal_id == mine:
            if self._handed not in (None, self._standing.handed):
                raise JournalError("another journal has sent in between, and handed back; start this order plane again")
            return
        if holder is None:
            raise JournalError("journal_claims does not show the claim of this order plane; nothing is sent")
        raise JournalError(
            f"another journal sends for this Kafka ({holder.journal_id}, on {holder.host}, {holder.place}, since"
            f" {holder.timestamp.isoformat(timespec='seconds')}); this one ({mine}) does not know what it has sent, so"
            " nothing is sent from here. Go on with that journal, or take another kafka.topic_prefix for an account of"
            " its own; if that journal is lost or its host is gone, see that its order plane is stopped and then hand"
            " over: algotrade orders take-over"
        )
