"""Look at the orders of an account, and have one cancelled or replaced."""

from collections.abc import Collection, Iterable
from itertools import count
from typing import Annotated

import typer
from pydantic import JsonValue
from rich.console import JustifyMethod
from rich.table import Table

from contracts.trading import OrderIntent, OrderType
from launcher.kafka_options import console
from launcher.order_journal import (
    Database,
    Operator,
    Reason,
    State,
    journal_errors,
    looked_at,
    not_blank,
    place_of,
    place_shown,
)
from order_plane.changes import is_at_market
from order_plane.command_channel import SOCKET, CommandRefused, NobodyListens, ask
from order_plane.facts import Fact
from order_plane.journals.intent_ledger import End, end_of
from order_plane.journals.port import Past
from order_plane.journals.sql import SqlJournal
from order_plane.lifecycle import TERMINAL, History, Status

Reference = Annotated[
    str, typer.Argument(metavar="INTENT", help="The intent's id, or its first digits, as `orders list` says.")
]
_HEADINGS = "intent", "decided at", "symbol", "side", "quantity", "filled", "average", "order", "state"
_SHORTEST = 8
_NUMBERS = frozenset({"quantity", "filled", "average"})


def list_orders(
    everything: Annotated[bool, typer.Option("--all", help="Those that have ended, too.")] = False,
    symbol: Annotated[str | None, typer.Option(help="Of this symbol only.")] = None,
    newest: Annotated[int, typer.Option("--newest", min=1, help="At most so many, the newest.")] = 50,
    state: State = None,
    database: Database = None,
) -> None:
    """List the orders that are open, from the journal: the order plane may run or not."""
    with journal_errors():
        journal = looked_at(place_shown(state, database), database)
        try:
            known = [(past, history_with(past)) for past in journal.pasts()]
            known = [each for each in known if everything or is_open(*each)]
            found = [each for each in known if symbol in (None, each[0].intent.symbol)]
            reasons = _rejected_for([past for past, _ in found[-newest:]], journal)
        finally:
            journal.close()
    if not found:
        console.print("no order is open")
        return
    digits = _digits([str(past.intent.intent_id) for past, _ in known])
    console.print(_listing(found[-newest:], digits))
    for reason, ids in reasons.items():
        told = ", ".join(each[:digits] for each in ids)
        console.print(f"rejected for {reason}: {told}", markup=False, soft_wrap=True)
    if len(found) > newest:
        console.print(f"and {len(found) - newest} older ones; --newest {len(found)} shows them", style="dim")


def cancel(
    intent: Reference,
    operator: Operator,
    reason: Reason,
    state: State = None,
) -> None:
    """Ask the venue to cancel what is open of one order; its report says what came of it."""
    with journal_errors():
        fields = {"intent_id": intent, "operator": operator, "reason": reason}
        try:
            answer = ask(place_of(state, None) / SOCKET, "cancel", fields)
        except NobodyListens:
            raise CommandRefused("no order plane runs here; start it, or cancel the order at the venue") from None
    if answer.get("waits"):
        console.print("the venue cannot be reached; the cancel is asked for again as soon as it can")
    else:
        console.print("asked for; `algotrade orders list --all` shows how it ended")


def replace(
    intent: Reference,
    operator: Operator,
    reason: Reason,
    quantity: Annotated[float | None, typer.Option(help="Its size from now on in units, what traded included.")] = None,
    limit_price: Annotated[float | None, typer.Option(help="Its limit price from now on.")] = None,
    state: State = None,
) -> None:
    """Have one order work on with another size or limit price, if every control lets the new terms pass."""
    with journal_errors():
        terms = {"quantity": quantity, "limit_price": limit_price}
        fields = {"intent_id": intent, "operator": operator, "reason": reason, **terms}
        try:
            answer = ask(place_of(state, None) / SOCKET, "replace", fields)
        except NobodyListens:
            raise CommandRefused("no order plane runs here; start it, or change the order at the venue") from None
    console.print(str(answer.get("outcome") or "asked for; `algotrade orders list --all` shows how the order works"))


def book_fill(  # noqa: PLR0913 - one option for each thing that a person must say of an execution
    intent: Reference,
    *,
    fill: Annotated[str, typer.Option(help="The venue's id of the execution, whole.")],
    quantity: Annotated[float, typer.Option(help="Units that traded.")],
    price: Annotated[float, typer.Option(help="Per unit.")],
    at: Annotated[str, typer.Option(help="When it traded, such as 2026-03-02T15:31:00Z.")],
    operator: Operator,
    reason: Annotated[
        str, typer.Option(help="Where you read it, and why the order plane did not.", callback=not_blank)
    ],
    commission: Annotated[float, typer.Option(help="What it cost, in currency units.")] = 0.0,
    state: State = None,
) -> None:
    """Book an execution that the venue tells the order plane no more, such as one of yesterday at Interactive Brokers.

    The same execution again changes nothing; what the venue says of it later counts more.
    """
    fields: dict[str, JsonValue] = {"intent_id": intent, "operator": operator, "reason": reason, "fill": fill}
    fields |= {"quantity": quantity, "price": price, "at": at, "commission": commission}
    with journal_errors():
        try:
            answer = ask(place_of(state, None) / SOCKET, "book", fields)
        except NobodyListens:
            raise CommandRefused("no order plane runs here; start it, and book the execution then") from None
    console.print("booked" if answer.get("booked") else "it was booked before")


def history_with(past: Past) -> History:
    """What is known of an order that the journal holds."""
    history = past.history
    history.submitted = True
    return history


def is_open(past: Past, history: History) -> bool:
    """Whether the order may still trade."""
    end = end_of(past)
    return end in (End.IN_DOUBT, End.WAITING) or (end is End.ACKED and history.status() not in TERMINAL)


def _rejected_for(pasts: Iterable[Past], journal: SqlJournal) -> dict[str, list[str]]:
    """The ids of the intents that were rejected for each reason, as far as the journal retains it."""
    found: dict[str, list[str]] = {}
    for past in pasts:
        reports = journal.reports_of(past.intent.intent_id) if end_of(past) is End.REJECTED else ()
        for reason in [each.reject_reason for each in reports if each.reject_reason][-1:]:
            found.setdefault(reason, []).append(str(past.intent.intent_id))
    return found


def _listing(found: Iterable[tuple[Past, History]], digits: int) -> Table:
    table = Table(header_style="bold", box=None, pad_edge=False, collapse_padding=True)
    for heading in _HEADINGS:
        justify: JustifyMethod = "right" if heading in _NUMBERS else "left"
        table.add_column(heading, justify=justify, overflow="fold", no_wrap=heading == "intent")
    for past, history in found:
        intent, end = past.intent, end_of(past)
        works = _as_it_works(intent, history.replaced)
        known = {End.ACKED: history.status(), End.REJECTED: Status.REJECTED, End.EXPIRED: Status.EXPIRED}
        table.add_row(
            str(intent.intent_id)[:digits],
            f"{intent.timestamp:%Y-%m-%d %H:%M:%S}",
            intent.symbol,
            intent.direction.value,
            _now_and_before(f"{works.quantity:g}", f"{intent.quantity:g}"),
            f"{history.filled:g}",
            "" if history.average_price is None else f"{history.average_price:.4f}",
            _now_and_before(_terms(works), _terms(intent)),
            known.get(end, end).value,
        )
    return table


def _digits(ids: Collection[str]) -> int:
    """How many of their first digits tell ``ids`` apart."""
    return next(n for n in count(_SHORTEST) if len({each[:n] for each in ids}) == len(ids))


def _as_it_works(intent: OrderIntent, latest: Fact | None) -> OrderIntent:
    """``intent`` by the terms of the ``latest`` replacement that the venue took."""
    if latest is None:
        return intent
    terms: dict[str, object] = {"quantity": latest.quantity, "limit_price": latest.price or None}
    if is_at_market(latest):
        terms |= {"order_type": OrderType.MARKET, "stop_price": None}
    return intent.model_copy(update=terms)


def _terms(intent: OrderIntent) -> str:
    limit = "" if intent.limit_price is None else f" {intent.limit_price:g}"
    stop = "" if intent.stop_price is None else f" stop {intent.stop_price:g}"
    return f"{intent.order_type.value}{limit}{stop}"


def _now_and_before(now: str, before: str) -> str:
    return now if now == before else f"{now} (was {before})"
