"""Look at messages that could not be used, and hand them in again past the guards."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from contracts.codec import ErrorCode
from contracts.dead_letter import FailureClass
from kernel.audit_log import AuditLog
from kernel.clock import SystemClock
from kernel.dead_letters import Entry, Wanted, dead_letter_topics, find_dead_letter, read_dead_letters
from kernel.kafka_producer import DurableProducer
from kernel.kafka_settings import KafkaSettings, application_version
from kernel.redrive import Action, Decision, Request, carry_out, decide, look_later
from launcher.dlq_view import counts, decisions, detail, listing
from launcher.kafka_options import (
    NOTHING,
    USAGE,
    Bootstrap,
    Prefix,
    connection,
    console,
    errors,
    reported,
    state_directory,
)

app = typer.Typer(name="dlq", help="Messages that could not be used: why, where from, and again.", no_args_is_help=True)

Topic = Annotated[str | None, typer.Option(help="A source topic or its dead-letter topic.")]
Code = Annotated[ErrorCode | None, typer.Option(case_sensitive=False, help="Error code.")]
Class = Annotated[
    FailureClass | None, typer.Option("--class", case_sensitive=False, help="Whether handing in again can help.")
]
Since = Annotated[datetime | None, typer.Option(help="Original message not older than this moment (UTC).")]
Key = Annotated[str | None, typer.Option("--key", "--symbol", help="Key of the message; for market data the symbol.")]
References = Annotated[list[str] | None, typer.Argument(help="TOPIC/PARTITION/OFFSET or the beginning of a dlq.id.")]


@app.command("list")
def list_command(
    topic: Topic = None,
    code: Code = None,
    failure_class: Class = None,
    since: Since = None,
    key: Key = None,
    limit: Annotated[int, typer.Option(min=1, help="Show the newest so many; all are counted.")] = 50,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """List dead letters and count them by error code. Exit code 1 when there are none."""
    with reported():
        entries = _matching(connection(bootstrap, prefix), Wanted(topic, code, failure_class, _utc(since), key))
        if not entries:
            console.print("no dead letters")
            raise typer.Exit(NOTHING)
        console.print(listing(entries[-limit:], console.width))
        console.print(counts(entries))


@app.command("show")
def show_command(
    reference: Annotated[str, typer.Argument(help="TOPIC/PARTITION/OFFSET or the beginning of a dlq.id.")],
    full: Annotated[bool, typer.Option("--full", help="Show the whole value, however long.")] = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Show why one message is a dead letter, where it came from, and what it says."""
    with reported():
        entry = _found(connection(bootstrap, prefix), reference)
        console.print(detail(entry, full=full))


@app.command(
    "redrive",
    epilog="Example: `algotrade dlq redrive dlq_execution_reports/0/0 --commit --operator ann "
    '--reason "order known now"`',
)
def redrive_command(  # noqa: PLR0913, PLR0917 - typer makes an option of each
    references: References = None,
    topic: Topic = None,
    code: Code = None,
    key: Key = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 10,
    commit: Annotated[bool, typer.Option("--commit", help="Send; without it nothing is sent.")] = False,
    operator: Annotated[str, typer.Option(help="Who you are; needed to send.")] = "",
    reason: Annotated[str, typer.Option(help="Why; needed to send.")] = "",
    approver: Annotated[str, typer.Option(help="A second person; order intents and --force-order need one.")] = "",
    force_order: Annotated[
        bool, typer.Option("--force-order", help="Although newer messages of the key exist.")
    ] = False,
    state: Annotated[Path | None, typer.Option(help="Directory of the audit log.")] = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Hand dead letters in again at their first source: a dry run unless --commit, --operator and --reason are given.

    Poison is refused unless the program changed, market data always, order intents when they are old or
    overtaken; what failed three times is parked. Every sending is written to a sealed audit log first.
    Exit code 1 when nothing was, or would be, sent.
    """
    if commit and not (operator.strip() and reason.strip()):
        errors.print("--commit needs --operator and --reason", style="red")
        raise typer.Exit(USAGE)
    with reported():
        settings = connection(bootstrap, prefix)
        entries = _chosen(settings, references or [], Wanted(topic, code, key=key))[:limit]
        request = Request(
            operator.strip(), reason.strip(), SystemClock().now(), application_version(), approver.strip(), force_order
        )
        audit = AuditLog((state or state_directory()) / "redrive-audit.jsonl")
        made = _redrive(settings, entries, request, audit, commit=commit)
        console.print(decisions(made))
        moved = sum(each.action is not Action.REFUSE for each in made)
        console.print(f"{moved} sent, audited" if commit else f"dry run: {moved} would be sent, nothing was")
        if not moved:
            raise typer.Exit(NOTHING)


def _redrive(
    settings: KafkaSettings, entries: list[Entry], request: Request, audit: AuditLog, *, commit: bool
) -> list[Decision]:
    made = []
    producer = DurableProducer(settings) if commit else None
    try:
        for entry in entries:
            made.append(decide(entry, request, look_later(settings, audit)))
            if producer is not None:
                carry_out(made[-1], request, settings, producer, audit)
    finally:
        if producer is not None:
            producer.close()
    return made


def _chosen(settings: KafkaSettings, references: list[str], wanted: Wanted) -> list[Entry]:
    if references:
        return [_found(settings, reference) for reference in references]
    if wanted == Wanted():
        raise ValueError("say which: TOPIC/PARTITION/OFFSET, a dlq.id, or --topic, --code or --key")
    entries = _matching(settings, wanted)
    if not entries:
        console.print("no dead letters")
        raise typer.Exit(NOTHING)
    return entries


def _matching(settings: KafkaSettings, wanted: Wanted) -> list[Entry]:
    topics = [
        name for name in dead_letter_topics() if wanted.topic is None or name in (wanted.topic, f"dlq_{wanted.topic}")
    ]
    if not topics:
        raise ValueError(f"--topic: expected one of {', '.join(dead_letter_topics())}")
    return [entry for entry in read_dead_letters(settings, topics) if wanted.matches(entry)]


def _found(settings: KafkaSettings, reference: str) -> Entry:
    entry = find_dead_letter(settings, reference)
    if entry is None:
        errors.print(f"there is no dead letter {reference}", style="red", markup=False)
        raise typer.Exit(NOTHING)
    return entry


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
