"""Takes up what the last run left open."""

from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

from contracts.control import RiskAlert
from contracts.trading import OrderIntent
from order_plane.alerts import critical
from order_plane.desk import Desk
from order_plane.effects import CancelOrder, SubmitOrder
from order_plane.facts import NOT_SENT, FactKind
from order_plane.journals.port import Answer, Journal, JournalError, Past, RowState
from order_plane.reports import NO_ORDER
from order_plane.router import Router
from order_plane.settlement import Settlement


def take_up(
    desk: Desk, account: str, journal: Journal, router: Router, settlement: Settlement, hear: Callable[[Past], None]
) -> list[Past]:
    """Book every order of the journal, told to ``hear`` too, and ask the venue about those that are open.

    Returns those that were written and never begun: they may be sent.

    Raises:
        JournalError: when an order is of another ``account``.
    """
    unbegun: list[Past] = []
    unresolved: list[Past] = []
    for past in journal.pasts():
        _require(past, account)
        desk.adopt(past)
        hear(past)
        if past.state is RowState.INTENDED:
            unbegun.append(past)
        elif desk.knows(past.intent.intent_id):
            unresolved.append(past)
        elif past.state is RowState.IN_DOUBT:  # its facts have ended it since
            settlement.answers.append(Answer(past.intent.intent_id, past.attempt, RowState.ACKED, past.order_id))
    _resolve(unresolved, journal, router, settlement)
    for past in unresolved:
        if _was_given_up(past) and desk.knows(past.intent.intent_id):
            desk.cancels.stray(past.intent.intent_id, past.order_id)
    settlement.outputs += [_still_in_doubt(past.intent, desk) for past in unresolved if _was_and_is(past, desk)]
    return unbegun


def resume(pasts: Iterable[Past], pending: dict[UUID, OrderIntent], again: list[SubmitOrder]) -> None:
    """Put what was written and never begun where it is sent from: first attempts are judged once more."""
    for past in pasts:
        if past.attempt == 1:
            pending[past.intent.intent_id] = past.intent
        else:
            again.append(SubmitOrder(past.intent, past.account, past.attempt))


def unanswered(past: Past) -> list[CancelOrder]:
    """The newest wish to cancel an order that nobody refused: the last run may not have reached the venue with it."""
    refused = {fact.fact_id for fact in past.facts if fact.kind is FactKind.CANCEL_REFUSED}
    asked = [fact for fact in past.facts if fact.kind is FactKind.CANCEL_REQUESTED and fact.fact_id not in refused]
    name, order_id = past.intent.intent_id, past.order_id or NO_ORDER
    return [CancelOrder(name, order_id, past.account, each.fact_id, each.reason) for each in asked[-1:]]


def _require(past: Past, account: str) -> None:
    if past.account != account:
        raise JournalError(
            f"this journal holds orders of account {past.account}, and order.account is {account}: what the one holds"
            " would count as the other's. Set order.account back, or give the other account a journal and a Kafka"
            " topic prefix of its own"
        )


def _was_given_up(past: Past) -> bool:
    """Whether it was signed that it was never sent: one that works after all nobody wants."""
    return any(fact.fact_id == NOT_SENT for fact in past.facts)


def _was_and_is(past: Past, desk: Desk) -> bool:
    return past.state is RowState.IN_DOUBT and past.intent.intent_id in desk.doubtful


def _still_in_doubt(intent: OrderIntent, desk: Desk) -> RiskAlert:
    """The alarm again: the last run may have ended before it was heard."""
    at = max(desk.now, intent.timestamp)
    return critical("ORDER_IN_DOUBT", "nobody has found out yet what became of the order", at, intent.symbol)


def _resolve(unresolved: Sequence[Past], journal: Journal, router: Router, settlement: Settlement) -> None:
    """Follow what a person signed about an order, if nothing was heard of it since; else ask the venue."""
    signed = {(each.intent_id, each.attempt): each for each in journal.resolutions()}
    for past in unresolved:
        resolution = signed.get((past.intent.intent_id, past.attempt))
        unheard = all(fact.kind is FactKind.CANCEL_REQUESTED for fact in past.facts)
        if resolution is not None and (unheard or past.state is RowState.NOT_SENT):
            router.resolve(resolution, settlement)
        else:
            router.reconcile(past, settlement)
