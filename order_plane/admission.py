"""Judges the intents that were collected, and makes the verdicts durable before anything is sent."""

from collections.abc import Callable, Sequence
from uuid import UUID

from contracts.trading import OrderIntent
from kernel.crash_points import crash_point
from order_plane.desk import Desk
from order_plane.effects import SubmitOrder
from order_plane.inheritance import Inheritance
from order_plane.journals.port import Journal, Refused
from order_plane.settlement import Settlement
from order_plane.upkeep import Upkeep


class Admission:
    """``asked`` is called before the journal is asked who may send."""

    def __init__(
        self,
        desk: Desk,
        journal: Journal,
        account: str,
        upkeep: Upkeep,
        inheritance: Inheritance,
        asked: Callable[[], None],
    ) -> None:
        self._desk = desk
        self._journal = journal
        self._account = account
        self._upkeep = upkeep
        self._inheritance = inheritance
        self._asked = asked

    def decide(
        self, pending: dict[UUID, OrderIntent], again: Sequence[SubmitOrder], settlement: Settlement
    ) -> Sequence[SubmitOrder]:
        """Judge the intents in ``pending``, which is empty then; returns what of them and of ``again`` may be sent."""
        admitted = list(again)
        refused: list[Refused] = []
        inherited = self._inheritance.claim(pending)
        for intent in pending.values():
            verdict = self._desk.decide(intent)
            if isinstance(verdict, SubmitOrder):
                admitted.append(verdict)
            else:
                refused.append(Refused(intent, self._account, verdict))
                settlement.outputs.append(verdict)
        pending.clear()
        self._asked()
        crash_point("before_intended")
        won = self._journal.begin([*inherited, *admitted], refused, settlement.published)
        if self._upkeep.policed:
            self._upkeep.sent(won)
        if inherited:
            left = {order.intent.intent_id for order in inherited}
            self._inheritance.leave([order for order in won if order.intent.intent_id in left], settlement)
            won = [order for order in won if order.intent.intent_id not in left]
        crash_point("after_submitting")
        for order in admitted if len(won) < len(admitted) else ():
            if order not in won:
                self._desk.withdraw(order.intent.intent_id)
        return won
