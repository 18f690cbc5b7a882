"""Intents from before a hand-over: another order plane may have sent them, so this one never does by itself."""

from collections.abc import Callable, Collection, Sequence
from uuid import UUID

from contracts.trading import OrderIntent
from order_plane.claims import Standing
from order_plane.desk import Desk
from order_plane.effects import SubmitOrder
from order_plane.journals.port import Journal, Past, RowState
from order_plane.journals.published import PublishedReports, recall_newest
from order_plane.policies import MARKET_REQUEST
from order_plane.router import Router
from order_plane.settlement import Settlement
from order_plane.upkeep import Upkeep

_NOTE = "intents_from"
_SHARED = "not to be replaced"


class Inheritance:
    """Keeps what was handed over from leaving; nothing is, until `accept` says so.

    An intent on which another journal has ``published`` a report is that journal's, and what works of it at the venue
    is found when the account is held against it. Any other may have been sent and not been reported, and of what was
    last reported in doubt nobody knows: the venue is asked, and unless it shows the order, that is in doubt until a
    person decides. ``count`` hears of each: it may have left. What is found to work is ``upkeep``'s to look after.
    """

    def __init__(
        self,
        desk: Desk,
        journal: Journal,
        router: Router,
        published: PublishedReports,
        upkeep: Upkeep,
        count: Callable[[Past], None],
    ) -> None:
        self._desk = desk
        self._journal = journal
        self._router = router
        self._published = published
        self._upkeep = upkeep
        desk.told = published.newest
        upkeep.may_replace = self.may_replace
        self._count = count
        self._intents: Collection[UUID] = frozenset()
        self._standing = Standing()
        self._new = False
        self._shared: set[str] = set()

    def accept(self, standing: Standing, intents: Collection[UUID]) -> None:
        """``intents`` are those from before the hand-over that ``standing`` tells of."""
        self._standing, self._intents = standing, intents
        self._new = bool(standing.before) and self._journal.noted(_NOTE) != str(standing.intents_from)
        self._shared = set((self._journal.noted(_SHARED) or "").split())

    def recall(self, past: Past) -> None:
        """Take note of an order of an earlier run: one that may have been replaced since is not replaced again.

        That is, if it was open or was to be replaced before a hand-over: this journal may be a copy, of which the
        original went on. Where reports on it began with those of another journal, they are not as many as they count.
        """
        name = past.intent.intent_id
        if self._standing.before and self._desk.knows(name):
            recall_newest(self._published.newest, self._journal, past)
        opens = past.state is RowState.INTENDED or self._desk.knows(name)
        if self._new and (opens or any(fact.fact_id == MARKET_REQUEST for fact in past.facts)):
            self._shared.add(str(name))

    def may_replace(self, intent_id: UUID) -> bool:
        """Whether this journal alone could have sent the order, so that it may have it replaced by itself."""
        return intent_id not in self._intents and str(intent_id) not in self._shared

    def claim(self, pending: dict[UUID, OrderIntent]) -> list[SubmitOrder]:
        """Take what was handed over out of ``pending``; what is returned must not be sent but given to `leave`."""
        if not self._intents:
            return []
        found = [pending.pop(each) for each in tuple(pending) if each in self._intents]
        return [self._desk.admit(each) for each in found if self._published.elsewhere.get(each.intent_id, True)]

    def leave(self, orders: Sequence[SubmitOrder], settlement: Settlement) -> None:
        """What came of ``orders``, which the journal holds as begun, the venue must show or a person must say."""
        for order in orders:
            past = self._journal.past(order.intent.intent_id)
            if past is not None:
                self._count(past)
                self._router.reconcile(past, settlement)

    def unsent(self, unbegun: Sequence[Past], settlement: Settlement) -> Sequence[Past]:
        """Of what this journal was about to send, what it still may: nothing, at the first start after a hand-over.

        What another journal left in doubt is taken up then; intents that were read before come by no other way.
        """
        doubted = self._published.doubted()
        if not self._new:
            return unbegun
        orders = [SubmitOrder(past.intent, past.account, past.attempt) for past in unbegun]
        for order in orders:
            if order.attempt == 1:
                self._desk.admit(order.intent)
        strange = [each for each in doubted if each.intent_id in self._intents]
        orders += [self._desk.admit(each) for each in strange if self._journal.past(each.intent_id) is None]
        begun = self._journal.begin(orders, (), settlement.published) if orders else ()
        if self._upkeep.policed:
            self._upkeep.sent(begun)
        self.leave(begun, settlement)
        return ()

    def settled(self) -> None:
        """All that is to be done once is durable; who handed over, and why, goes into the audit log."""
        if not self._new:
            return
        holder = self._standing.holder
        if holder is not None and holder.succeeds is not None:
            told = holder.succeeds.model_dump()
            self._journal.witness({"event": "TAKE_OVER", "intents_from": self._standing.intents_from, **told})
        self._journal.note({_NOTE: str(self._standing.intents_from), _SHARED: " ".join(sorted(self._shared))})
        self._new = False
