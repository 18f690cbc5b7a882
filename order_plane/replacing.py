"""Has the venue replace an order that works, so that whatever happens it is asked once."""

from kernel.crash_points import crash_point
from order_plane.brokers.port import Broker, BrokerRefused, BrokerStateUnknown, BrokerUnavailable
from order_plane.brokers.replacement import described, replaced
from order_plane.desk import Desk
from order_plane.effects import ReplaceOrder
from order_plane.facts import Fact, FactKind
from order_plane.journals.port import Journal
from order_plane.router import Router
from order_plane.settlement import Settlement


class Replacing:
    """Writes down what is asked before it is asked, and what is known of the answer.

    The wish is durable before a byte leaves, and one that is in the journal is never sent again. So the venue is asked
    at most once, by whoever holds the journal. When nobody knows what became of it, the order works on as it was or as
    it was to be, neither of which is more than the intent wished for: the order is in doubt until the venue says, or
    a cancel ends it.
    """

    def __init__(self, desk: Desk, journal: Journal, broker: Broker, router: Router) -> None:
        self._desk = desk
        self._journal = journal
        self._broker = broker
        self._router = router

    def replace(self, order: ReplaceOrder, settlement: Settlement) -> bool:
        """Ask for one change, unless its symbol was halted meanwhile; whether the order works by the new terms now."""
        halted = self._desk.halts.reason(order.intent.symbol)
        if halted is not None:
            self._refused(order, f"TRADING_HALTED: {halted}", settlement)
            return False
        intent_id, at = order.intent.intent_id, max(self._desk.now, order.intent.timestamp)
        asked = replaced(order, at)._replace(
            kind=FactKind.REPLACE_REQUESTED, reason=order.reason or f"REPLACE: {described(order)}"
        )
        self._router.learn(asked, settlement)
        settlement.write_down(self._journal)
        crash_point("after_change_asked")
        try:
            facts = self._broker.replace(order)
        except BrokerRefused as refusal:
            self._refused(order, refusal.reason, settlement)
            return False
        except BrokerUnavailable:
            self._router.cut_off = True
            self._refused(order, "BROKER_UNAVAILABLE: nothing was sent, the broker cannot be reached", settlement)
            return False
        except BrokerStateUnknown as unknown:
            self._router.cut_off = True
            reason = f"nobody knows whether the order was replaced: {unknown}"
            settlement.say(self._desk.doubt(intent_id, reason, lost=False))
            return False
        crash_point("after_change")
        for fact in (replaced(order, at), *facts):
            self._router.learn(fact, settlement)
        return True

    def _refused(self, order: ReplaceOrder, reason: str, settlement: Settlement) -> None:
        at = max(self._desk.now, order.intent.timestamp)
        refused = Fact(
            order.intent.intent_id,
            FactKind.REPLACE_REFUSED,
            order.request_id,
            at,
            revision=order.revision,
            reason=f"REPLACE_REFUSED: {reason}",
        )
        self._router.learn(refused, settlement)
