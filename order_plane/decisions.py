"""What a person signs about an order of which something is unknown, and what follows from it."""

from order_plane.brokers.port import Broker, NamesExecutions
from order_plane.command_fields import fields_of
from order_plane.desk import Desk
from order_plane.effects import SubmitOrder
from order_plane.facts import Fact, FactKind, can_be
from order_plane.journals.port import Journal, Past, Resolution, RowState, Verdict
from order_plane.lifecycle import TERMINAL, Alarm, History, history_of
from order_plane.router import Router
from order_plane.settlement import Settlement
from order_plane.unacceptable import NotBookable, NotInDoubt
from order_plane.working_order import EXTERNAL


def carry_out(
    resolution: Resolution, desk: Desk, journal: Journal, router: Router, settlement: Settlement
) -> SubmitOrder | None:
    """Have ``resolution`` hold; returns the order that is to be sent again, if that is what it says.

    What is in doubt is the attempt itself, or only a change of an order that the venue has.

    Raises:
        NotInDoubt: when neither is, or the venue says otherwise.
    """
    intent_id = resolution.intent_id
    past = journal.past(intent_id) if desk.knows(intent_id) else None
    require_shown(past, resolution)
    if past is not None and signed_facts(past, resolution):
        _answer(past, resolution, router, settlement)
        journal.witness({"event": "RESOLUTION", "done": True, "of": "change", **fields_of(resolution)})
        return None
    if past is None or not journal.sign(resolution):
        raise NotInDoubt("no order of this intent is in doubt; list them with algotrade orders in-doubt")
    return router.resolve(resolution, settlement)


def book_fill(told: Fact, broker: Broker, journal: Journal, router: Router, settlement: Settlement) -> None:
    """Book an execution that a person read at the venue, which tells it no more; said again it changes nothing.

    Raises:
        NotBookable: when nothing was sent for the intent, or the execution cannot be one of its order.
    """
    name, revision = broker.execution(told.fact_id) if isinstance(broker, NamesExecutions) else (told.fact_id, 0)
    past = journal.past(told.intent_id)
    if past is None or past.is_no_order:
        raise NotBookable(
            "no order of this intent was sent from here; algotrade orders list --all shows those that were"
        )
    fill = told._replace(fact_id=name, revision=revision, order_id=past.order_id)
    known = [each for each in past.facts if each.kind is FactKind.FILL and each.fact_id == name]
    booked = next((each for each in known if each.revision >= revision), None)
    if booked is not None:
        if (booked.revision, booked.quantity, booked.price) == (revision, fill.quantity, fill.price):
            return
        raise NotBookable(f"that execution is booked already, with {booked.quantity:g} at {booked.price:g}")
    history = history_of(past.intent.quantity, (*past.facts, fill))
    if not can_be(fill) or Alarm.OVERFILLED in history.alarms():
        raise NotBookable(
            f"that cannot be true: the order would have traded {history.filled:g} of {history.quantity:g}"
        )
    router.learn(fill, settlement, signed=True)


def open_changes(past: Past) -> tuple[str, ...]:
    """The changes of an order that nobody answered, by the names of the requests; none while itself is in doubt."""
    if past.state is not RowState.ACKED:
        return ()
    history = past.history
    names = {*(each.fact_id for each in history.unanswered), *history.cancelling}
    return () if history.status() in TERMINAL else tuple(sorted(names))


def require_shown(past: Past | None, resolution: Resolution) -> None:
    """Raise NotInDoubt unless what is in doubt is what whoever decided was shown: it may have changed since.

    And when an order is to be sent again that somebody else placed, or that the venue has had: it may have traded.
    """
    if past is not None and resolution.verdict is Verdict.SEND_AGAIN and _was_there(past):
        raise NotInDoubt(
            "the venue has had that order, so it is not sent again; look there for what it traded, and end it with"
            " algotrade orders mark-not-sent"
        )
    if resolution.changes != (() if past is None else open_changes(past)):
        raise NotInDoubt("what is in doubt of this order is not what was decided on; look at it again and repeat it")


def _was_there(past: Past) -> bool:
    return past.intent.strategy_id == EXTERNAL or past.history.there


def signed_facts(past: Past, resolution: Resolution) -> list[Fact]:
    """The answers to the changes of an order that nobody answered, as a person signed them; none when there are none.

    ADOPTED says that the last change was made, NOT_SENT that none was. The venue has the order, whichever it is.
    """
    if past.state is not RowState.ACKED or past.attempt != resolution.attempt:
        return []
    history = past.history
    if history.status() in TERMINAL or resolution.verdict is Verdict.SEND_AGAIN:
        return []
    if resolution.verdict is Verdict.ADOPTED:
        return _made(past, history, resolution)
    reason = f"NOT_SENT: signed by {resolution.operator}: {resolution.reason}"
    intent_id, at = past.intent.intent_id, resolution.at
    refused = [
        Fact(intent_id, FactKind.REPLACE_REFUSED, each.fact_id, at, revision=each.revision, reason=reason)
        for each in history.unanswered
    ]
    cancels = sorted(history.cancelling)
    return refused + [Fact(intent_id, FactKind.CANCEL_REFUSED, name, at, reason=reason) for name in cancels]


def _made(past: Past, history: History, resolution: Resolution) -> list[Fact]:
    """The last change as the venue would confirm it: a cancel ends what any replacement before it left."""
    reason, at = f"ADOPTED: signed by {resolution.operator}: {resolution.reason}", resolution.at
    if history.cancelling:
        kind = FactKind.CANCELLED
        return [Fact(past.intent.intent_id, kind, kind.value.lower(), at, resolution.order_id, reason=reason)]
    newest = max(history.unanswered, key=lambda each: each.revision, default=None)
    if newest is None:
        return []
    return [newest._replace(kind=FactKind.REPLACED, timestamp=at, order_id=resolution.order_id, reason=reason)]


def _answer(past: Past, resolution: Resolution, router: Router, settlement: Settlement) -> None:
    """Book what the venue tells by now, and of what that leaves open what the person says."""
    told = router.facts_at_broker(past.intent.intent_id)
    signed = signed_facts(past, resolution)
    ends = any(fact.kind is FactKind.CANCELLED for fact in signed)
    if ends and told and history_of(past.intent.quantity, told).status() not in TERMINAL:
        raise NotInDoubt("the venue says that the order works; have it cancelled again with algotrade orders cancel")
    router.answer(past, told, settlement)
    router.answer(past, signed_facts(settlement.completed(past), resolution), settlement)
