"""The ladder from paper to live: run its stages, sign what they lead to, and see what is missing."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from domain.go_live import Role, SignedRecord
from kernel.clock import SystemClock
from kernel.signing import KeyRefused, signer_at
from launcher.kafka_options import NOTHING, USAGE, console, errors, reported, state_directory
from launcher.settings import load_settings

if TYPE_CHECKING:
    from gates.artifact import AnyArtifact
    from gates.context import Context

app = typer.Typer(name="gates", help="The stages before live trading.", no_args_is_help=True)
_PRELIVE = Path("config/prelive.yaml")
_plain = Console(highlight=False, soft_wrap=True)

Config = Annotated[
    Path, typer.Option("--config", "-c", help="The settings that are to go live.", envvar="ALGOTRADE_CONFIG")
]
Evidence = Annotated[
    Path | None, typer.Option("--evidence", help="Directory of artifacts; default: gates in the state directory.")
]
Key = Annotated[Path, typer.Option(help="File of the private key; made by gates keygen.")]
Name = Annotated[str, typer.Option(help="Who you are.")]


class Who(StrEnum):
    """A role as it is typed."""

    RISK_OFFICER = "risk-officer"
    CTO = "cto"
    LEAD_TRADER = "lead-trader"

    @property
    def role(self) -> Role:
        """The role that is meant."""
        return Role[self.name]


class Document(StrEnum):
    """What can be signed."""

    GOVERNANCE = "governance"
    RECORD = "record"
    REVIEW = "review"


@app.command()
def status(config: Config = _PRELIVE, evidence: Evidence = None) -> None:
    """Show each stage, where its evidence comes from, and what is missing. Exit code 1 unless live may start."""
    with _told():
        from gates.go_live import live_problems, standing  # noqa: PLC0415 - loads numbers and tables
        from gates.ladder import Standing  # noqa: PLC0415

        context = context_of(config, evidence)
        table = Table(header_style="bold")
        for heading in ("stage", "name", "standing", "evidence", "why"):
            table.add_column(heading, overflow="fold")
        ladder = standing(context)
        for rung in ladder:
            row = (str(rung.stage.number), rung.stage.name, rung.standing.value, rung.evidence, "; ".join(rung.why))
            table.add_row(*row)
        _plain.print(table)
        problems = live_problems(context, os.environ)
        for problem in problems:
            _plain.print(f"missing for live: {problem}", markup=False)
        open_stages = [rung.stage.number for rung in ladder if rung.standing is not Standing.PASSED]
        if open_stages and not context.shelf.in_the_way():
            said = f"next: algotrade gates run {open_stages[0]}, with the same options; what each stage needs is in"
            _plain.print(f"{said} docs/gates.md")
        if problems:
            raise typer.Exit(NOTHING)
        console.print("every gate is open")


@app.command()
def run(  # noqa: PLR0913, PLR0917 - each parameter is an option of the command line
    stage: Annotated[int, typer.Argument(min=1, max=8, help="Which stage.")],
    config: Config = _PRELIVE,
    evidence: Evidence = None,
    sim: Annotated[bool, typer.Option("--sim", help="Start a simulator for it; its evidence is simulated.")] = False,
    coverage: Annotated[Path, typer.Option(help="Stage 1: the report of coverage json.")] = Path("coverage.json"),
    junit: Annotated[
        list[Path] | None, typer.Option(help="Stage 4: a JUnit report, once for each; default: run the suites.")
    ] = None,
    hours: Annotated[float | None, typer.Option(min=0.001, help="Stage 7: default 6, and less passes nothing.")] = None,
    account: Annotated[str | None, typer.Option(help="Stage 8: the live account; default: the configured one.")] = None,
    days: Annotated[int, typer.Option(min=1, max=365, help="Stage 8: how long the decision holds.")] = 90,
) -> None:
    """Run one stage and write its artifact. Exit code 1 when a check fails."""
    with _told():
        from gates.running import Choices, run_stage  # noqa: PLC0415 - loads numbers and tables

        choices = Choices(coverage, junit or (), hours, account, days, sim)
        _show(run_stage(context_of(config, evidence), stage, choices))


@app.command()
def keygen(
    path: Annotated[Path, typer.Argument(help="File of the private key; the public one is written beside it.")],
) -> None:
    """Make a key for one person; it stays with that person."""
    with _told():
        if path.exists():
            raise KeyRefused(f"{path} exists and is not overwritten")
        typer.echo(signer_at(path).public)


@app.command()
def govern(
    risk_officer: Annotated[str, typer.Option(help="Name.")],
    cto: Annotated[str, typer.Option(help="Name.")],
    lead_trader: Annotated[str, typer.Option(help="Name.")],
    policy: Annotated[Path, typer.Option(help="Text file: what they agree to.")],
    config: Config = _PRELIVE,
    evidence: Evidence = None,
) -> None:
    """Write down who holds which role; all three sign it with gates sign governance. A signed one is not replaced."""
    with _told():
        from gates.governance import govern as write_down  # noqa: PLC0415

        holders = {Role.RISK_OFFICER: risk_officer, Role.CTO: cto, Role.LEAD_TRADER: lead_trader}
        write_down(context_of(config, evidence), holders, policy.read_text("utf-8"), SystemClock().now())
        console.print("written; to be signed by all three")


@app.command()
def sign(
    document: Annotated[Document, typer.Argument(help="What is signed.")],
    role: Annotated[Who, typer.Option(help="In which role.")],
    name: Name,
    key: Key,
    config: Config = _PRELIVE,
    evidence: Evidence = None,
) -> None:
    """Sign the governance, the go-live record or the newest review."""
    with _told():
        from gates import governance  # noqa: PLC0415
        from gates.go_live import write_decision  # noqa: PLC0415

        if not key.exists():
            raise KeyRefused(f"there is no key {key}; make one with algotrade gates keygen")
        context = context_of(config, evidence)
        signing = {
            Document.GOVERNANCE: governance.sign_governance,
            Document.RECORD: governance.sign_record,
            Document.REVIEW: governance.sign_review,
        }
        signed = signing[document](context, role.role, name, signer_at(key))
        if document is not Document.GOVERNANCE:
            write_decision(context)
        what = f": {governance.in_words(signed.record)}" if isinstance(signed, SignedRecord) else ""
        console.print(f"signed the {document.value} as {role.role.value}{what}", markup=False, soft_wrap=True)


@app.command()
def review(
    findings: Annotated[str, typer.Option(help="What was looked at and found.")],
    config: Config = _PRELIVE,
    evidence: Evidence = None,
) -> None:
    """Propose the next step of the scale-up; all three sign it with gates sign review."""
    with _told():
        from gates.governance import propose_review  # noqa: PLC0415

        signed = propose_review(context_of(config, evidence), findings, SystemClock().now())
        step = signed.record.scale_up[signed.reviews[-1].review.step - 1]
        console.print(
            f"to be signed by all three: {step.capital_fraction:.0%} of capital until {step.review_by:%Y-%m-%d}"
        )


@app.command()
def verify(config: Config = _PRELIVE, evidence: Evidence = None) -> None:
    """Hold signatures and artifacts against the record and what runs here. Exit code 1 when one does not hold."""
    with _told():
        from gates.go_live import record_problems  # noqa: PLC0415

        problems = record_problems(context_of(config, evidence))
        for problem in problems:
            _plain.print(problem, markup=False)
        if problems:
            raise typer.Exit(NOTHING)
        console.print("the go-live record holds")


@app.command()
def export(
    check: Annotated[bool, typer.Option("--check", help="Only compare. Exit code 1 when something differs.")] = False,
) -> None:
    """Write the schemas of artifacts and the interface map, which follow from the code."""
    with _told():
        from gates.generated import drift, write  # noqa: PLC0415

        if not check:
            for path in write():
                console.print(path, markup=False, soft_wrap=True)
            return
        found = drift()
        for problem in found:
            errors.print(problem, style="red", markup=False, soft_wrap=True)
        if found:
            raise typer.Exit(NOTHING)
        console.print("schemas and interface map are as the code says")


def context_of(config: Path, evidence: Path | None) -> "Context":
    """What the stages know of settings; artifacts go to ``evidence``, by default ``gates`` in the state directory."""
    from gates.context import Context  # noqa: PLC0415
    from gates.shelf import Shelf  # noqa: PLC0415

    settings = load_settings(config, os.environ)
    return Context(settings.data, settings.strategy, settings.order, Shelf(evidence or state_directory() / "gates"))


def _show(artifact: "AnyArtifact") -> None:
    why = "; ".join(artifact.evidence_why)
    _plain.print(f"evidence: {artifact.evidence.value}{f' ({why})' if why else ''}", markup=False)
    for each in artifact.checks:
        _plain.print(
            f"{'PASS' if each.passed else 'FAIL'} {each.name}: {each.found} (required: {each.required})", markup=False
        )
    if not artifact.passed:
        raise typer.Exit(NOTHING)


@contextmanager
def _told() -> Iterator[None]:
    """Turn what can be expected to go wrong into one line."""
    from gates.mock_gateway import SimulatorFailed  # noqa: PLC0415
    from ibkr_client.connection import ConnectionLost, RequestRefused  # noqa: PLC0415
    from ibkr_client.library import LibraryMissing  # noqa: PLC0415
    from order_plane.brokers.ibkr import WrongAccount  # noqa: PLC0415
    from order_plane.brokers.port import BrokerStateUnknown, BrokerUnavailable  # noqa: PLC0415

    try:
        with reported():
            yield
    except (KeyRefused, LibraryMissing, OSError, SimulatorFailed, WrongAccount) as error:
        _end(str(error) or type(error).__name__, USAGE)
    except (BrokerStateUnknown, BrokerUnavailable, ConnectionLost, RequestRefused) as error:
        _end(f"the gateway: {error or type(error).__name__}", USAGE)


def _end(text: str, code: int) -> None:
    errors.print(text, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(code)
