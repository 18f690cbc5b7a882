"""Check that nobody changed the record of what was decided."""

from pathlib import Path
from typing import Annotated

import typer

from kernel.audit_log import AuditBroken
from kernel.audit_trail import entries, verify
from kernel.signing import KeyRefused, public_key_at
from launcher.kafka_options import NOTHING, USAGE, console, errors, state_directory
from order_plane.journals.audited import gaps

app = typer.Typer(name="audit", help="The chained log of every decision of the order plane.", no_args_is_help=True)

LOG = "order_journal.audit.jsonl"


@app.callback()
def _several() -> None:
    """The chained log of every decision of the order plane."""


@app.command("verify")
def verify_command(
    run: Annotated[str, typer.Argument(help="The name of a run, its state directory, or the log itself.")],
    key: Annotated[
        Path | None, typer.Option(help="Public key; default: beside the log. Keep a copy elsewhere.")
    ] = None,
    anchors: Annotated[Path | None, typer.Option(help="A copy of the anchors that was kept elsewhere.")] = None,
) -> None:
    """Follow the chain and check its signed anchors. Exit code 1 when an entry was changed, removed or cut off."""
    path = _log(run)
    if not path.exists():
        errors.print(f"there is no audit log {path}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(USAGE)
    try:
        finding = verify(path, public_key_at(key or path.with_suffix(".pub")), anchors)
    except KeyRefused as error:
        errors.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(USAGE) from None
    except AuditBroken as error:
        errors.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(NOTHING) from None
    console.print(
        f"{finding.head.count} entries in order, {finding.anchors} anchors signed, {finding.unanchored} entries since"
        f" the last one; head {finding.head.hash}",
        markup=False,
        soft_wrap=True,
    )
    for gap in gaps(entries(path)):
        console.print(
            f"transactions {gap.first} to {gap.last} of journal {gap.journal} have no entry: a kill kept them from the"
            " log, they were written without it, or there was nothing to tell; the journal has them",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )


def _log(run: str) -> Path:
    given = Path(run)
    if given.is_file():
        return given
    return (given if given.is_dir() else state_directory() / "runs" / run) / LOG
