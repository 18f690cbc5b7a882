"""What cancelled orders may have traded and the venue has not told: what they may have closed is not closed again."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from order_plane.alerts import critical
from order_plane.brokers.port import Broker, BrokerStateUnknown, BrokerUnavailable, CountsTraded
from order_plane.desk import Desk
from order_plane.facts import Fact
from order_plane.journals.port import Journal, Past
from order_plane.lifecycle import RELATIVE_TOLERANCE
from order_plane.router import Router
from order_plane.settlement import Settlement


class LateTrades:
    """Orders that were to be cancelled and of which trades may still be told.

    A venue may list a trade later than the end of its order, or only when it is asked. One that knows an order no more
    has not said that nothing traded, and one may count more than it lists. Then its account decides, if it is
    ``reconciled``, which caps what is closed; it may be as late as the list, so that a second one is waited for.
    """

    def __init__(self, desk: Desk, journal: Journal, broker: Broker, router: Router, *, reconciled: bool) -> None:
        self._desk = desk
        self._journal = journal
        self._broker = broker
        self._router = router
        self._reconciled = reconciled
        self._cancelled: set[UUID] = set()
        self._short: set[UUID] = set()
        self._told: set[UUID] = set()
        self._agreed: dict[UUID, float] = {}

    def watch(self, cancelled: Iterable[UUID]) -> None:
        """Orders are about to be cancelled."""
        if self._reconciled or self._desk.switch.flattens:
            self._cancelled.update(cancelled)

    def untold(self, settlement: Settlement) -> set[str]:
        """Symbols of which nothing may be closed yet: the venue does not say what its cancelled orders traded.

        While a kill closes positions it is asked about each that has ended, and what it tells is booked.
        """
        ended = [each for each in self._cancelled if not self._desk.knows(each)] if self._desk.switch.flattens else ()
        symbols: set[str] = set()
        silent = False  # who has not answered for one is not asked for the others now: each would take as long
        for intent_id in ended:
            past = self._journal.past(intent_id)
            told = None if silent else self._told_of(intent_id)
            if told is None:
                silent = True
                symbols |= set() if past is None else {past.intent.symbol}
                continue
            known = () if past is None else settlement.completed(past).facts
            for fact in told:
                if fact not in known:
                    self._router.learn(fact, settlement)
            if past is None or not self._is_short(settlement.completed(past), told):
                self._forget(intent_id)
            else:
                self._wait_for(settlement.completed(past), settlement)
                symbols.add(past.intent.symbol)
        return symbols

    def counts_more(self, past: Past) -> bool:
        """Whether the venue says that more of an order has traded than is booked, whatever executions it lists."""
        return self._counted(past.intent.intent_id) > past.history.filled * (1 + RELATIVE_TOLERANCE)

    def accounted(self) -> None:
        """The venue gave its account, and the orders that had ended before were held against it."""
        for intent_id in [each for each in self._cancelled if not self._desk.knows(each)]:
            past = self._journal.past(intent_id)
            if past is not None and self._may_lag(past):
                self._agreed[intent_id] = past.history.filled
            else:
                self._forget(intent_id)

    def _may_lag(self, past: Past) -> bool:
        """Whether the account may be as late as the list of trades: it is the first one since so much was booked."""
        name = past.intent.intent_id
        return self._agreed.get(name) != past.history.filled and (name in self._short or self.counts_more(past))

    def _forget(self, intent_id: UUID) -> None:
        self._cancelled.discard(intent_id)
        self._short.discard(intent_id)
        self._told.discard(intent_id)
        self._agreed.pop(intent_id, None)

    def _is_short(self, past: Past, told: Sequence[Fact]) -> bool:
        """Whether an order may have traded more than is booked, by what the venue has ``told`` of it or not."""
        forgotten = not told and past.history.there and self._reconciled
        return forgotten or self.counts_more(past)

    def _wait_for(self, past: Past, settlement: Settlement) -> None:
        """Have the account asked for, and tell a person once of what is counted and not listed."""
        self._router.cut_off = True
        name, symbol = past.intent.intent_id, past.intent.symbol
        self._short.add(name)
        if name not in self._told and self.counts_more(past):
            self._told.add(name)
            counted, listed = self._counted(name), past.history.filled
            detail = (
                f"the venue counts {counted:g} of {name} as traded and lists {listed:g}: {symbol} is not closed before"
                " it lists the rest, its account decides, or a person books it (algotrade orders book-fill)"
            )
            settlement.outputs.append(critical("TRADES_NOT_LISTED", detail, self._desk.as_of(), symbol))

    def _counted(self, intent_id: UUID) -> float:
        return self._broker.traded(intent_id) if isinstance(self._broker, CountsTraded) else 0.0

    def _told_of(self, intent_id: UUID) -> Sequence[Fact] | None:
        """What the venue tells of an order; None when it does not answer."""
        try:
            return self._broker.lookup(intent_id) or ()
        except (BrokerUnavailable, BrokerStateUnknown):
            return None
