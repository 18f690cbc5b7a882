"""Sends orders, each once, and books what the venue answers."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from kernel.crash_points import crash_point
from order_plane.brokers.port import (
    Broker,
    BrokerRefused,
    BrokerStateUnknown,
    BrokerUnavailable,
    Overlapping,
    Preparing,
    Reply,
)
from order_plane.departures import CAUSES, LEFT_BEFORE, Departures, stop
from order_plane.desk import Desk
from order_plane.effects import SubmitOrder
from order_plane.facts import NOT_SENT, Fact, FactKind, says_nothing
from order_plane.journals.port import Answer, Journal, RowState
from order_plane.risk.port import Refusal
from order_plane.router import Router
from order_plane.settlement import Settlement
from order_plane.supervision import Supervision

AT_ONCE = 8
"""Orders that an `Overlapping` venue has not answered yet; what one answer forbids the ones behind it have left."""
_ACKED = RowState.ACKED  # looking a member up by name costs more than using it
Answered = TypeVar("Answered")


class Dispatch:
    """An answer that is not a clear no never rejects an order.

    A venue that is `Overlapping` is sent orders of other symbols while it has not answered to those before; one of the
    same symbol waits, since the answer may forbid it. `departures` has the last word; what it refuses is wrong in a way
    for which ``supervision`` stops trading.
    """

    def __init__(self, desk: Desk, journal: Journal, broker: Broker, router: Router, supervision: Supervision) -> None:
        self.departures = Departures(broker, journal, supervision.signed)
        self._supervision = supervision
        self._desk = desk
        self._journal = journal
        self._broker = broker
        self._router = router
        self._begin = broker.dispatch if isinstance(broker, Overlapping) else None
        self._prepare = broker.prepare if isinstance(broker, Preparing) else None
        self._unanswered: dict[str, tuple[SubmitOrder, Reply]] = {}

    def make_way(self, order: SubmitOrder, settlement: Settlement) -> bool:
        """Wait for all that ``order`` must not overtake or leave without; to be called before its last judgement.

        False when the venue says already that there will be no such order, which is booked.
        """
        unanswered = self._unanswered
        if unanswered:
            self._conclude(order.intent.symbol, settlement)
            if len(unanswered) >= AT_ONCE:
                self._conclude(next(iter(unanswered)), settlement)
        prepare = self._prepare
        if (prepare is None and order.intent.plan_id is None) or self.departures.has_left(order):
            return True  # there is nothing to ask, or it is for `send` to stop
        self.departures.inquire(order)
        return prepare is None or self._asked(order, prepare, settlement) is not None

    def send(self, order: SubmitOrder, settlement: Settlement) -> None:
        """Send one order, once, after `make_way` for it."""
        refusal = self.departures.leave(order)
        if refusal is not None:
            self._stop(order, refusal, settlement)
            return
        if self._begin is None:
            self._hear(order, self._broker.submit, settlement)
            return
        reply = self._asked(order, self._begin, settlement)
        if reply is not None:
            crash_point("after_dispatch")
            self._unanswered[order.intent.symbol] = order, reply

    def send_if_allowed(self, order: SubmitOrder, settlement: Settlement) -> None:
        """Send what was admitted a while ago, unless something that was learnt since forbids it."""
        forbidden = self._desk.forbids_sending(order)
        if forbidden is None:
            self.send(order, settlement)
        else:
            self.withhold(order, str(forbidden), settlement)

    def conclude(self, settlement: Settlement) -> None:
        """Wait for every answer that is still to come."""
        for symbol in tuple(self._unanswered):
            self._conclude(symbol, settlement)

    def is_absent(self, order: SubmitOrder, settlement: Settlement) -> bool:
        """Whether the venue says that it knows of no order of the intent; what it has, or has refused, is taken up.

        A further attempt must not be sent before that is asked, whatever a person signed.
        """
        try:
            facts = self._broker.lookup(order.intent.intent_id)
        except (BrokerUnavailable, BrokerStateUnknown):
            self._router.cut_off = True
            self.withhold(order, "BROKER_UNAVAILABLE: the venue cannot be asked whether it has the order", settlement)
            return False
        if not (facts or self._desk.knows(order.intent.intent_id)):
            return True  # it has ended, which is a reason of its own not to send it anew
        if facts is None and not self._was_there(order, settlement):
            return True
        if facts and not says_nothing(facts):
            self._take_up(order, facts, settlement)
        else:
            for fact in facts or ():
                self._router.learn(fact, settlement)
            self._doubt(order, "the venue has had the order and tells no more of it", settlement)
        return False

    def _was_there(self, order: SubmitOrder, settlement: Settlement) -> bool:
        """Whether the venue has said meanwhile that it has an earlier attempt, which it may have forgotten since."""
        past = self._journal.past(order.intent.intent_id)
        return past is not None and settlement.completed(past).history.there

    def withhold(self, order: SubmitOrder, reason: str, settlement: Settlement) -> None:
        """``order`` is none; that an earlier attempt never arrived is still only what a person signed."""
        intent, first = order.intent, order.attempt == 1
        state, name = (RowState.REJECTED, "reject") if first else (RowState.NOT_SENT, NOT_SENT)
        settlement.answers.append(Answer(intent.intent_id, order.attempt, state))
        at = max(self._desk.now, intent.timestamp)
        self._router.learn(Fact(intent.intent_id, FactKind.REJECT, name, at, reason=reason), settlement)

    def _stop(self, order: SubmitOrder, refusal: Refusal, settlement: Settlement) -> None:
        """Nothing leaves: of an attempt that did before nobody knows any more how it stands."""
        intent = order.intent
        if refusal.code in CAUSES:
            at = max(self._desk.now, intent.timestamp)
            settlement.outputs += self._supervision.engage(stop(refusal, order.account, at))
        if refusal.code != LEFT_BEFORE:
            self.withhold(order, str(refusal), settlement)
        elif self._desk.knows(intent.intent_id):
            self._doubt(order, refusal.sentence, settlement)

    def _conclude(self, symbol: str, settlement: Settlement) -> None:
        waiting = self._unanswered.pop(symbol, None)
        if waiting is not None:
            order, reply = waiting
            self._hear(order, lambda _: reply(), settlement)

    def _hear(self, order: SubmitOrder, ask: Callable[[SubmitOrder], Sequence[Fact]], settlement: Settlement) -> None:
        facts = self._asked(order, ask, settlement)
        if facts is None:
            return
        crash_point("after_send")
        self._take_up(order, facts, settlement)

    def _take_up(self, order: SubmitOrder, facts: Sequence[Fact], settlement: Settlement) -> None:
        """The venue has the order, and tells ``facts`` of it."""
        order_id = facts[0].order_id if facts else ""
        settlement.answers.append(Answer(order.intent.intent_id, order.attempt, _ACKED, order_id))
        for fact in facts:
            self._router.learn(fact, settlement)

    def _asked(
        self, order: SubmitOrder, ask: Callable[[SubmitOrder], Answered], settlement: Settlement
    ) -> Answered | None:
        """What the venue says when it is to ``ask`` about ``order``; None when it said no or nothing clear: booked."""
        try:
            return ask(order)
        except BrokerRefused as refusal:
            self.departures.is_none(order.intent, order.attempt)
            self.withhold(order, refusal.reason, settlement)
        except BrokerUnavailable:
            self._router.cut_off = True
            self.departures.is_none(order.intent, order.attempt)
            self.withhold(order, "BROKER_UNAVAILABLE: nothing was sent, the broker cannot be reached", settlement)
        except BrokerStateUnknown as unknown:
            self._router.cut_off = True
            self._doubt(order, str(unknown), settlement)
        return None

    def _doubt(self, order: SubmitOrder, reason: str, settlement: Settlement) -> None:
        intent_id = order.intent.intent_id
        settlement.answers.append(Answer(intent_id, order.attempt, RowState.IN_DOUBT))
        settlement.say(self._desk.doubt(intent_id, reason))
