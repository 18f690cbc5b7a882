"""Look at orders whose outcome is unknown, decide on them, and account for every intent of a run."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.table import Table

from kernel.clock import SystemClock
from launcher.consumed_intents import KEPT, Consumed, consumed_intents, kept_intents
from launcher.kafka_options import (
    NOTHING,
    Bootstrap,
    Prefix,
    connection,
    console,
    reported,
    state_directory,
)
from launcher.order_journal import (
    JOURNAL,
    Database,
    Operator,
    State,
    journal_errors,
    looked_at,
    not_blank,
    place_of,
    place_shown,
    settings_of,
)
from launcher.running import current
from order_plane.brokers.port import KeyLife
from order_plane.command_channel import SOCKET, CommandRefused, NobodyListens, ask
from order_plane.command_fields import fields_of, resolution_of
from order_plane.composition import durable_journal
from order_plane.decisions import open_changes, require_shown, signed_facts
from order_plane.journals.intent_ledger import ENDS_OF_STATUS, End, Ledger, end_of, settled
from order_plane.journals.port import Past, Resolution, Verdict
from order_plane.unacceptable import NotInDoubt

app = typer.Typer(
    name="orders",
    help="Open orders, orders whose outcome is unknown, and the account of intents.",
    no_args_is_help=True,
)

ORDERS = "orders.parquet"
Intent = Annotated[
    str, typer.Argument(metavar="INTENT", help="The intent's id, or its first eight digits or more, as listed.")
]
_FEWEST_DIGITS = 8
Reason = Annotated[str, typer.Option(help="How you know, such as whom you asked at the venue.", callback=not_blank)]


@app.command("in-doubt")
def in_doubt(state: State = None, database: Database = None) -> None:
    """List the orders whose outcome is unknown. Exit code 1 when there are any."""
    with journal_errors():
        place = place_shown(state, database)
        found = [each for each in _pasts(place, database) if end_of(each) is End.IN_DOUBT]
        if not found:
            console.print("no order is in doubt")
            return
        console.print(_listing(found))
        console.print(_worth_of_silence(place), soft_wrap=True)
        raise typer.Exit(NOTHING)


@app.command()
def adopt(
    intent: Intent,
    order_id: Annotated[str, typer.Option(help="The venue's id of the order.")],
    operator: Operator,
    reason: Reason,
    state: State = None,
    database: Database = None,
) -> None:
    """Say that the venue has the order, or has made the change that was asked for last.

    It works on, unless the change was a cancel, and its executions are booked.
    """
    changes = _decide(Verdict.ADOPTED, intent, operator, reason, order_id, state, database)
    console.print(f"adopted: the change was made ({changes})" if changes else "adopted", markup=False, soft_wrap=True)


@app.command(
    "mark-not-sent",
    epilog='Example: `algotrade orders mark-not-sent 1f0c2d3e --operator ann --reason "no order at the venue"`',
)
def mark_not_sent(
    intent: Intent,
    operator: Operator,
    reason: Reason,
    send_again: Annotated[
        bool, typer.Option("--send-again", help="Make the next attempt; default: the intent ends REJECTED.")
    ] = False,
    state: State = None,
    database: Database = None,
) -> None:
    """Say that the venue never got the order, and never will: look at open, closed and executed orders first.

    Of an order that the venue has and of which only a change is in doubt: that it never got the change. Of one that it
    had and knows no more: that it has ended.
    """
    verdict = Verdict.SEND_AGAIN if send_again else Verdict.NOT_SENT
    changes = _decide(verdict, intent, operator, reason, "", state, database)
    if changes:
        console.print(f"marked as not changed ({changes}); it works on as it was", markup=False, soft_wrap=True)
        return
    console.print(
        "marked as not sent; the next attempt is made"
        if send_again
        else "marked as not sent; it ends REJECTED, or CANCELED if the venue has had it"
    )


@app.command()
def audit(
    run: Annotated[str, typer.Argument(help="A run directory, or the name of a run.")],
    runs: Annotated[Path, typer.Option(help="Where runs are kept.")] = Path("runs"),
    state: State = None,
    database: Database = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Account for every intent of a run, and say who says what was consumed.

    While it is alive that is Kafka. Afterwards it is what the run kept, or its tables, or with neither Kafka again.
    Exit code 1 when an intent was lost, is still waiting, or may have been consumed and nobody knows.
    """
    with journal_errors(), reported():
        directory = Path(run) if Path(run).is_dir() else runs / run
        place = state or state_directory() / "runs" / directory.name
        alive = current(state_directory())
        kept = None if alive is not None and alive.run_id == directory.name else kept_intents(place / KEPT)
        if kept is not None:
            ledger = _consumed(kept, place, database)
        elif (directory / ORDERS).exists():
            ledger = _finished(directory, place, database)
        else:
            ledger = _consumed(consumed_intents(connection(bootstrap, prefix)), place, database)
        console.print(_counts(ledger))
        for name, end in ledger.open.items():
            console.print(f"{end.value} {name}", markup=False)
        if not ledger.holds:
            raise typer.Exit(NOTHING)
        console.print("every intent is accounted for")


def _decide(
    verdict: Verdict,
    intent: str,
    operator: str,
    reason: str,
    order_id: str,
    state: Path | None,
    database: str | None,
) -> str:
    """Have a decision carried out by the plane that runs, or written for the next one; of which changes, if of any."""
    with journal_errors():
        place = place_of(state, database)
        past = _meant(intent, _pasts(place, database))
        at, shown = SystemClock().now(), open_changes(past)
        decided = Resolution(past.intent.intent_id, past.attempt, verdict, operator, reason, at, order_id, shown)
        decision = resolution_of(fields_of(decided))
        try:
            ask(place / SOCKET, "resolve", fields_of(decision))
        except NobodyListens:
            _write(decision, place, database)
        return ", ".join(shown)


def _meant(digits: str, pasts: Iterable[Past]) -> Past:
    """The one order whose id begins with ``digits``; raises CommandRefused when it is none, or not one alone."""
    first = digits.lower()
    found = [each for each in pasts if str(each.intent.intent_id).startswith(first)]
    if len(first) < _FEWEST_DIGITS:
        why = "an id needs at least eight digits"
    elif len(found) == 1:
        return found[0]
    else:
        why = f"{len(found)} intents have an id that begins so" if found else "the journal holds no such intent"
    raise CommandRefused(f"{why}; list those in doubt with algotrade orders in-doubt")


def _write(decision: Resolution, place: Path, database: str | None) -> None:
    journal = durable_journal(settings_of(place, database))
    try:
        past = journal.past(decision.intent_id)
        require_shown(past, decision)
        answers = [] if past is None else signed_facts(past, decision)
        if answers:
            journal.conclude((), answers, (), 0)
            journal.witness({"event": "RESOLUTION", "done": True, "of": "change", **fields_of(decision)})
        elif not journal.sign(decision):
            raise CommandRefused("no order of this intent is in doubt")
    except NotInDoubt as refusal:
        raise CommandRefused(str(refusal)) from None
    finally:
        journal.close()
    console.print("no order plane runs; it acts on this at its next start")


def _pasts(place: Path, database: str | None) -> list[Past]:
    journal = looked_at(place, database)
    try:
        return list(journal.pasts())
    finally:
        journal.close()


def _finished(directory: Path, place: Path, database: str | None) -> Ledger:
    """The intents that a run's tables hold against its journal; a backtest has none and answers for itself."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - loads for half a second

    table = pq.read_table(directory / ORDERS, columns=["intent_id", "status"]).to_pydict()
    told = {UUID(name): ENDS_OF_STATUS.get(status, End.ACKED) for name, status in zip(*table.values(), strict=True)}
    if database is None and not (place / JOURNAL).exists():
        console.print(f"what was consumed and how it ended: {directory / ORDERS}", markup=False, soft_wrap=True)
        return settled(told, told, ())
    _tell(str(directory / ORDERS), place, database)
    journaled = _ends(place, database)
    return settled([*told, *journaled], journaled, ())


def _consumed(consumed: Consumed, place: Path, database: str | None) -> Ledger:
    """What the order plane has consumed against its journal and its dead letters."""
    _tell(consumed.source, place, database)
    if consumed.unread:
        console.print(f"published and never consumed, so nothing came of them: {consumed.unread}", markup=False)
    if consumed.unseen:
        console.print(f"consumed before anybody took note, so the journal alone answers for them: {consumed.unseen}")
    journaled = _ends(place, database)
    ledger = settled([*consumed.intents, *journaled], journaled, ())
    ledger.counts[End.DEAD_LETTERED] += consumed.refused
    ledger.counts[End.LOST] += len(consumed.vanished)
    for lost in consumed.vanished:
        console.print(f"{End.LOST.value} {lost}", markup=False)
    _tell_unknown(consumed, ledger, journaled)
    return ledger


def _tell_unknown(consumed: Consumed, ledger: Ledger, journaled: Collection[UUID]) -> None:
    """Count what the source cannot answer for: it ended before the order plane did, or was damaged."""
    unknown = [each for each in consumed.unknown if each not in journaled]
    ledger.counts[End.UNKNOWN] += len(unknown) + consumed.unreadable
    for name in unknown:
        console.print(f"{End.UNKNOWN.value} {name}: published, and nobody knows whether it was consumed", markup=False)
    if consumed.unreadable:
        console.print(f"{End.UNKNOWN.value}: lines that cannot be read: {consumed.unreadable}", markup=False)


def _tell(source: str, place: Path, database: str | None) -> None:
    console.print(f"what was consumed: {source}", markup=False, soft_wrap=True)
    journal = "the journal in the database" if database is not None else place / JOURNAL
    console.print(f"how it ended: {journal}", markup=False, soft_wrap=True)


def _ends(place: Path, database: str | None) -> dict[UUID, End]:
    return {past.intent.intent_id: end_of(past) for past in _pasts(place, database)}


def _worth_of_silence(place: Path) -> str:
    """What it would mean if an order were sent again that the venue has after all."""
    try:
        life = KeyLife(str(ask(place / SOCKET, "status", {})["key_life"]))
    except NobodyListens:
        return "no order plane runs that could say what its venue does with a second order of the same intent"
    return {
        KeyLife.LIFETIME: "the venue refuses a second order of the same intent",
        KeyLife.WHILE_OPEN: "the venue takes a second order of the same intent once the first has ended: be certain",
        KeyLife.NONE: "the venue takes a second order of the same intent: be certain before you have one sent again",
    }[life]


def _listing(found: list[Past]) -> Table:
    table = Table(header_style="bold", box=None, pad_edge=False, collapse_padding=True)
    for heading in ("intent", "decided at", "symbol", "side", "quantity", "attempt"):
        table.add_column(heading, no_wrap=heading == "intent", overflow="fold")
    for past in found:
        intent = past.intent
        row = (f"{intent.timestamp:%m-%d %H:%M:%S}", intent.symbol, intent.direction.value, f"{intent.quantity:g}")
        table.add_row(str(intent.intent_id), *row, str(past.attempt))
    return table


def _counts(ledger: Ledger) -> Table:
    table = Table(header_style="bold")
    table.add_column("ended")
    table.add_column("intents", justify="right")
    for end in End:
        if ledger.counts[end]:
            table.add_row(end.value, str(ledger.counts[end]))
    table.add_row("all", str(ledger.counts.total()), style="bold")
    return table
