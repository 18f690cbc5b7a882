"""Turns what the gateway says of our orders into facts, each once, whatever the order it comes in."""

from collections.abc import Callable, Hashable
from datetime import datetime
from uuid import UUID

from ibkr_client.error_policy import OnOrder, on_order
from ibkr_client.messages import Commission, Execution, Notice, OrderProgress, OrderState
from order_plane.brokers.ibkr_tracked import DUST, ENDS, Tracked, fill_number, reason_of, split_execution_id
from order_plane.facts import Fact, FactKind

_ENDED_BY_CANCEL = frozenset({"Cancelled", "ApiCancelled"})
_ENDED = frozenset({"Filled", *_ENDED_BY_CANCEL})
_NOT_ALIVE = frozenset({"Inactive", "ApiPending", *_ENDED})
Unclaimed = tuple[OrderState | Execution, Callable[..., None]]
"""What was told of an order, and who hears it once the order is ours."""


class Book:
    """Every order that was ours in this life of the process, by order id and by intent.

    ``find`` loads an order by its label, ``say`` takes each new fact, ``ask`` is told of an order of which only the
    gateway's own lists can tell what is true; ``seen`` is the newest event time of a symbol.
    """

    def __init__(
        self,
        client_id: int,
        find: Callable[[UUID], Tracked | None],
        say: Callable[[Tracked, Fact], None],
        ask: Callable[[Tracked, Notice], None],
        seen: Callable[[str], datetime | None],
    ) -> None:
        self._client_id = client_id
        self._find = find
        self._say = say
        self._ask = ask
        self._seen = seen
        self._by_intent: dict[UUID, Tracked] = {}
        self._by_order: dict[int, Tracked] = {}
        self._by_permanent: dict[int, Tracked] = {}
        self._commissions: dict[str, dict[int, float]] = {}
        self._by_execution: dict[str, Tracked] = {}
        self.twin_of: dict[int, Tracked] = {}
        """The order beside which another one works under the same label, by the permanent number of that other."""
        self._unclaimed: dict[UUID, dict[Hashable, Unclaimed]] = {}

    def add(self, order: Tracked) -> None:
        """Watch an order that is about to be sent."""
        self._by_intent[order.intent_id] = order
        self._by_order[order.order_id] = order

    def drop(self, order: Tracked) -> None:
        """Forget an order that was never sent."""
        self._by_intent.pop(order.intent_id, None)
        self._by_order.pop(order.order_id, None)

    def of_intent(self, intent_id: UUID) -> Tracked | None:
        """The order of an intent, in this life or an earlier one."""
        known = self._by_intent.get(intent_id)
        if known is None:
            known = self._find(intent_id)
            if known is not None:
                self.add(known)
        return known

    def of_order(self, order_id: int) -> Tracked | None:
        """The order with this number of ours."""
        return self._by_order.get(order_id)

    def labelled(self, reference: str) -> Tracked | None:
        """The order with this label; None when it is nobody's intent."""
        try:
            return self.of_intent(UUID(reference))
        except ValueError:
            return None

    def unclaimed(self, intent_id: UUID) -> list[OrderState | Execution]:
        """What was told of an order that bears this label and that no row of ours is known of."""
        return [told for told, _ in self._unclaimed.get(intent_id, {}).values()]

    def unclaimed_name(self, reference: str) -> UUID | None:
        """The intent of an order that bears this label and that no row of ours is known of; None for any other."""
        return next((name for name in self._unclaimed if str(name) == reference), None)

    def claim(self, order: Tracked) -> None:
        """It is ours, though its row was lost: book what was told of it."""
        self.add(order)
        for told, hear in self._unclaimed.pop(order.intent_id, {}).values():
            hear(told)

    def order_state(self, told: OrderState) -> None:
        """An order was listed as open, or changed."""
        order = self.labelled(told.reference)
        if order is None:
            if told.client_id == self._client_id:
                self._keep(told, self.order_state, told.permanent_id)
            return
        if told.client_id == self._client_id and told.order_id not in (0, order.order_id):
            self._twin(order, told)
            return
        self._know(order, told.permanent_id)
        order.sent = told.quantity  # a change may have been made whose answer was lost
        self._status(order, told.status)
        self._end_by_size(order)

    def completed(self, told: OrderState) -> None:
        """An order was listed among those that ended today."""
        order = self._by_permanent.get(told.permanent_id) or self.labelled(told.reference)
        if order is None:
            self._keep(told, self.completed, told.permanent_id)
            return
        if order.permanent_id not in (0, told.permanent_id):  # another attempt ended, and not this one
            self._end_twin(order, told.permanent_id)
            return
        if told.status == "Inactive":
            if not order.ended:
                self._end(order, FactKind.REJECT, order.refusal or "BROKER_REFUSED: the order ended inactive")
            return
        if told.status == "Filled" and told.quantity:
            order.sent = told.quantity
        self._ack(order)
        self._status(order, told.status)
        self._end_by_size(order)

    def order_progress(self, told: OrderProgress) -> None:
        """The status of an order was told."""
        mine = told.client_id == self._client_id
        twin_of = self.twin_of.get(told.permanent_id)
        if twin_of is not None:
            if told.status in _ENDED:
                self._end_twin(twin_of, told.permanent_id)
            return
        order = self._by_permanent.get(told.permanent_id) or (self._by_order.get(told.order_id) if mine else None)
        if order is not None:
            order.told_filled = told.filled
            self._know(order, told.permanent_id)
            self._status(order, told.status)

    def execution(self, told: Execution) -> None:
        """Something traded, or a trade was corrected: then only the last digits of its name differ, and are higher."""
        order = self.labelled(told.reference) or self._by_permanent.get(told.permanent_id)
        if order is None:
            if told.client_id == self._client_id:
                self._keep(told, self.execution, told.execution_id)
            return
        name, revision = split_execution_id(told.execution_id)
        known = order.executions.get(name)
        if known is not None and known[0] >= revision:
            return
        order.trade(name, revision, told)
        self._by_execution[name] = order
        self._ack(order)
        if revision in self._commissions.get(name, ()):
            self._fill(order, name)

    def commission(self, told: Commission) -> None:
        """What an execution cost; it may come before the execution."""
        name, revision = split_execution_id(told.execution_id)
        self._commissions.setdefault(name, {})[revision] = told.amount
        order = self._by_execution.get(name)
        if order is not None and revision <= order.executions[name][0]:
            self._fill(order, name)

    def release(self, execution_id: str) -> None:
        """Tell an execution whose commission did not come in time."""
        name, _ = split_execution_id(execution_id)
        order = self._by_execution.get(name)
        if order is not None:
            self._fill(order, name)

    def release_all(self, order: Tracked | None = None) -> None:
        """Tell every execution of ``order``, else of all orders, for somebody who asks and must not miss one."""
        for each in dict.fromkeys(self._by_execution.values()) if order is None else (order,):
            for name in each.executions:
                self._fill(each, name)

    def lapse(self, order: Tracked) -> None:
        """An order ended and nobody said that it was cancelled."""
        if not order.ended:
            self._end(order, FactKind.EXPIRED, "EXPIRED: the venue ended the order")

    def fills(self) -> list[Fact]:
        """The newest word on every execution."""
        known = dict.fromkeys(self._by_execution.values())
        return [fact for order in known for (kind, _), fact in order.facts.items() if kind is FactKind.FILL]

    def error(self, order: Tracked, notice: Notice) -> None:
        """An error that names an order: only what is certain ends it, and only before it was ever seen alive."""
        verdict = on_order(notice.code)
        reason = reason_of(notice)
        if verdict is OnOrder.NOTICE:
            return
        if verdict is OnOrder.CANCELLED:
            if not order.ended and not order.acked:
                self._ack(order)
            if not order.ended:
                self._end(order, FactKind.CANCELLED, reason)
        elif verdict is OnOrder.REFUSED and not order.acked:
            self._end(order, FactKind.REJECT, reason)
        else:
            if verdict is not OnOrder.UNCHANGED or not order.refusal:  # which may speak of a cancel alone
                order.refusal = reason
            self._ask(order, notice)

    def _keep(self, told: OrderState | Execution, hear: Callable[..., None], number: Hashable) -> None:
        """Remember the newest word on an order that somebody may claim by its label."""
        try:
            intent_id = UUID(told.reference)
        except ValueError:
            return
        self._unclaimed.setdefault(intent_id, {})[hear.__name__, number] = (told, hear)

    def _know(self, order: Tracked, permanent_id: int) -> None:
        if not permanent_id:  # the gateway has not given it one yet
            return
        order.permanent_id = permanent_id
        self._by_permanent[permanent_id] = order

    def _twin(self, order: Tracked, told: OrderState) -> None:
        """Another attempt works too, which was thought never to have arrived."""
        if told.status in _ENDED:
            self._end_twin(order, told.permanent_id)
        elif told.permanent_id and told.permanent_id not in order.twins:
            order.twins[told.permanent_id] = told.order_id
            self.twin_of[told.permanent_id] = order
            name = str(told.order_id)
            self._tell(order, Fact(order.intent_id, FactKind.SECOND_ORDER, name, order.decided_at, name))

    def _end_twin(self, order: Tracked, permanent_id: int) -> None:
        order.twins.pop(permanent_id, None)
        if order.held is not None and not order.twins:
            held, order.held = order.held, None
            self._end(order, *held)

    def _status(self, order: Tracked, status: str) -> None:
        if status in _ENDED_BY_CANCEL:
            self._ack(order)
            if order.cancel_asked or not order.lapses:
                self._end(order, FactKind.CANCELLED, "CANCELLED: the venue cancelled the order")
            elif not order.ended:
                self._ask(order, Notice(order.order_id, 0, status))
        elif status not in _NOT_ALIVE or status == "Filled":
            self._ack(order)

    def _ack(self, order: Tracked) -> None:
        if not order.acked:
            self._tell(order, Fact(order.intent_id, FactKind.ACK, "ack", order.decided_at, str(order.order_id)))

    def _end(self, order: Tracked, kind: FactKind, reason: str) -> None:
        if order.over:
            return
        if self._by_intent.get(order.intent_id, order) is not order:  # a later attempt says what becomes of the intent
            return
        if order.twins:
            order.held = kind, reason
            return
        self.release_all(order)  # its end alone would say that nothing of it traded
        if order.over:
            return
        at = self._now(order)
        self._tell(order, Fact(order.intent_id, kind, kind.value.lower(), at, str(order.order_id), reason=reason))

    def _fill(self, order: Tracked, name: str) -> None:
        revision, told = order.executions[name]
        costs = {number: cost for number, cost in self._commissions.get(name, {}).items() if number <= revision}
        newest = max(costs, default=-1)  # a correction whose commission was not told costs what the last one did
        number = fill_number(told.execution_id)[1] + newest + 1
        known = order.facts.get((FactKind.FILL, name))
        if known is not None and known.revision >= number:
            return
        order.untold.discard(name)
        self._tell(
            order,
            Fact(
                order.intent_id, FactKind.FILL, name, told.time, str(order.order_id), told.quantity, told.price,
                costs.get(newest, 0.0), number,
            ),
        )  # fmt: skip
        self._end_by_size(order)

    def _end_by_size(self, order: Tracked) -> None:
        """End the rest of an order that is filled as far as it was to be, once every execution of it is told."""
        if not order.untold and 0 < order.sent < order.wished and order.filled >= order.sent * (1 - DUST):
            reason = "REDUCED: the order was made smaller, or rounded to the venue's size increment"
            self._end(order, FactKind.CANCELLED, reason)

    def _tell(self, order: Tracked, fact: Fact) -> None:
        order.facts[fact.kind, fact.fact_id] = fact
        order.over = order.over or fact.kind in ENDS
        self._say(order, fact)

    def _now(self, order: Tracked) -> datetime:
        """The newest event time that is known for an order: the gateway does not say when one ended."""
        moments = [order.decided_at, *(execution.time for _, execution in order.executions.values())]
        seen = self._seen(order.symbol)
        return max(moments if seen is None else [*moments, seen])
