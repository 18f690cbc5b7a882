"""``algotrade validate``: run the trials of a configuration and say whether the best one is real or luck."""

import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from kernel.process import ExitCode
from launcher.endings import RunRefused, end, reported
from launcher.grid import Variant, variants_of
from launcher.kafka_options import console, errors
from launcher.local import new_run_id
from launcher.settings import Settings, load_settings
from launcher.tried import family_of, ledger_of, trial_of
from strategy_plane.validation.settings import ValidationSettings

if TYPE_CHECKING:
    from backtest.trials import TrialReturns, TrialRun
    from strategy_plane.validation.study import Study
    from strategy_plane.validation.trial_ledger import TrialLedger

_COLORS = {"REAL": "bold green", "UNPROVEN": "bold yellow", "LUCK": "bold red"}


def validate(
    config: Annotated[Path | None, typer.Argument(help="The YAML file; its validation section holds the grid.")] = None,
    option: Annotated[Path | None, typer.Option("--config", "-c", help="The same, as other commands have it.")] = None,
    to: Annotated[Path | None, typer.Option("--to", help="The HTML page; by default among the runs.")] = None,
) -> None:
    """Backtest every variant of the grid and judge the best: deflated Sharpe, overfitting, SPA, track record.

    Every trial is written to an append-only ledger, and all of a family count when luck is judged.
    """
    with reported():
        path = config or option
        if path is None or (config and option):
            raise RunRefused("name one configuration with a validation section, such as config/study.yaml")
        settings = load_settings(path, os.environ)
        variants, refused = variants_of(settings)
        for text in refused:
            errors.print(f"left out: {text}", style="yellow", markup=False, soft_wrap=True)
        if len(variants) < 2:
            raise RunRefused("validation.grid makes fewer than two variants; give it names and values to try")
        from strategy_plane.validation.predictive_ability import (  # noqa: PLC0415 - takes a second
            ValidationExtraMissing,
            require_bootstrap,
        )

        try:
            require_bootstrap()
        except ValidationExtraMissing as missing:
            end(str(missing), ExitCode.CONFIGURATION)
        _study(settings, variants, to)


def _study(settings: Settings, variants: Sequence[Variant], to: Path | None) -> None:
    from backtest.trials import compare, equal_weight_returns  # noqa: PLC0415
    from backtest.validation_report import write_validation_report  # noqa: PLC0415
    from strategy_plane.validation.study import judge  # noqa: PLC0415
    from strategy_plane.validation.trial_ledger import LedgerTampered, TrialLedger  # noqa: PLC0415

    chosen = _in_its_year(settings)
    try:
        ledger = TrialLedger(ledger_of(settings))
        runs = list(_run(variants, ledger))
        names, trials = _kept(variants, runs)
        traded = settings.strategy.traded
        held = equal_weight_returns(settings.data, traded) if chosen.benchmark == "equal_weight" else None
        compared = compare(trials, held)
        study = judge(compared.returns, compared.benchmark, ledger.statistics(family_of(settings)), chosen)
    except LedgerTampered as error:
        end(str(error), ExitCode.FAILURE)
    except ValueError as error:
        raise RunRefused(str(error)) from None
    _show(study, names)
    _tell_alerts(runs)
    page = to or settings.run.directory / f"{new_run_id('validate')}.html"
    write_validation_report(page, f"{settings.strategy.strategy_id}: real or luck", names, compared, study)
    console.print(f"report: {page}", markup=False, soft_wrap=True)


def _in_its_year(settings: Settings) -> ValidationSettings:
    """The validation section; where a market never closes a year has all of its days, unless the section says."""
    from launcher.runs import days_in_a_year  # noqa: PLC0415

    chosen = settings.validation
    if "periods_per_year" in chosen.model_fields_set:
        return chosen
    return chosen.model_copy(update={"periods_per_year": days_in_a_year(settings)})


def _run(variants: Sequence[Variant], ledger: "TrialLedger") -> Iterator["TrialRun"]:
    """Backtest the variants in several processes, show how far they are, and write each down in the grid's order.

    The ledger is the same whichever trial ends first. One that lost everything is written down, too.
    """
    from launcher.runs import data_hash  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    files = data_hash(variants[0].settings)
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("trials", total=len(variants))
        for variant, run in zip(variants, _runs(variants), strict=True):
            progress.update(task, description=variant.name[:60])
            invested = run.returns.invested if run.returns else ()
            ledger.append(trial_of(variant.settings, files, invested, variant.parameters))
            progress.advance(task)
            yield run


def _kept(variants: Sequence[Variant], runs: Sequence["TrialRun"]) -> tuple[list[str], list["TrialReturns"]]:
    """Names and returns of the trials that can be compared; says which lost everything.

    Raises:
        ValueError: when fewer than two are left.
    """
    for variant, run in zip(variants, runs, strict=True):
        if run.returns is None:
            errors.print(f"left out: {variant.name}: equity fell to zero", style="yellow", markup=False, soft_wrap=True)
    kept = [(each.name, run.returns) for each, run in zip(variants, runs, strict=True) if run.returns]
    if len(kept) < 2:
        raise ValueError("fewer than two trials kept anything: there is nothing to compare")
    return [name for name, _ in kept], [returns for _, returns in kept]


def _runs(variants: Sequence[Variant]) -> Iterator["TrialRun"]:
    """What came of each variant, in their order; as many at a time as the validation section says."""
    workers = min(variants[0].settings.validation.workers, len(variants))
    if workers == 1:
        yield from map(_trial, variants)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_leave_interrupts) as pool:
        try:
            yield from pool.map(_trial, variants)
        finally:
            pool.shutdown(cancel_futures=True)  # after an error or Ctrl-C nobody waits for the rest


def _leave_interrupts() -> None:
    """Ctrl-C reaches every process of a terminal, and stopping is for the command."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _trial(variant: Variant) -> "TrialRun":
    from backtest.trials import run_trial  # noqa: PLC0415

    chosen = variant.settings
    return run_trial(chosen.data, chosen.strategy, chosen.order)


def _show(study: "Study", names: Sequence[str]) -> None:
    from backtest.validation_report import sentence, shown  # noqa: PLC0415

    table = Table(show_edge=False)
    for title in ("test", "found", "asked", "", "meaning"):
        table.add_column(title)
    for each in study.criteria:
        passed = "[green]yes[/]" if each.passed else "[red]no[/]"
        table.add_row(each.name, shown(each), each.asked, passed, each.meaning)
    console.print(table)
    walked = "" if study.walk is None else f" over {len(study.walk.chosen)} walk-forward windows"
    console.print(
        f"choosing and holding out of sample{walked}: median annual Sharpe "
        f"{float(sorted(study.path_sharpes)[len(study.path_sharpes) // 2]):.2f} over {len(study.path_sharpes)} paths"
    )
    console.print(sentence(study, names), style=_COLORS[study.verdict.value], markup=False, soft_wrap=True)


def _tell_alerts(runs: Sequence["TrialRun"]) -> None:
    """What the trials were alarmed about: in how many of them, how often, and the first of all."""
    from backtest.summary_view import told_alerts  # noqa: PLC0415

    told = [pair for run in runs for pair in told_alerts({"alerts": dict(run.alerts)})]
    for code in sorted({code for code, _ in told}):
        found = [alert for name, alert in told if name == code]
        first = min(found, key=lambda alert: str(alert["first"]))
        times = sum(int(str(alert["count"])) for alert in found)
        console.print(
            f"Alert {code} in {len(found)} of {len(runs)} trials, times {times}, "
            f"first {str(first['first'])[:16]}: {first['detail']}",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )
