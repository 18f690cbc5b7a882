"""Run a configuration over Kafka and in memory, and hold the two against each other."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import NoReturn

from backtest.artifacts import Digests, Failures, Provenance, content_digests, git_revision, write_run
from backtest.run_record import RunRecord
from backtest.simulation import simulate
from backtest.summary import JSON
from contracts.control import RiskAlert, RunState
from data_plane.backfill_note import read_note
from data_plane.composition import input_files
from data_plane.store import QUARANTINE, QuarantineFile
from domain.calendar import ALWAYS_OPEN
from domain.performance import TRADING_DAYS
from ibkr_client.gateway_note import planes_without_gateway
from kernel.kafka_errors import BrokerUnavailable
from kernel.settings import config_hash, resolved
from launcher.collector import Collector
from launcher.consumed_intents import AT_THE_END, KEPT, IntentWitness, committed_positions
from launcher.endings import RunIncomplete
from launcher.local import LocalRun
from launcher.progress import Counts
from launcher.refused_rows import RefusedRows
from launcher.settings import Settings
from launcher.supervisor import ChildFailed, Supervisor
from strategy_plane.composition import as_rebalanced, warm_up
from strategy_plane.settings import SignalEnsembleSettings

OnProgress = Callable[[Counts], None]
"""Called a few times a second while a run goes on."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did: its tables' digests, its directory, what did not become a trade or a bar, and on which data."""

    digests: Digests
    directory: Path
    failures: Failures
    bars: int
    data_hash: str


def run_backtest(settings: Settings, run_id: str, bars_to: Path) -> Outcome:
    """Run the three planes in memory and write the run's directory."""
    record = RunRecord(settings.strategy.initial_cash, bars_to=bars_to, currencies=settings.strategy.quoted)
    findings = bars_to.with_suffix(f".{QUARANTINE}")
    with QuarantineFile(findings) as quarantine:
        simulated = simulate(settings.data, settings.strategy, settings.order, record, quarantine_sink=quarantine)
    failures = Failures(quarantined=simulated.quarantined, findings=findings, unseen=unseen(settings, record))
    return _written(settings, run_id, record, failures, "simulated, in memory")


def run_over_kafka(run: LocalRun, supervisor: Supervisor, on_progress: OnProgress) -> Outcome:
    """Follow planes that were started until the source ends, stop them, and write the run's directory.

    Raises:
        ChildFailed: when a plane ends with an error.
        RunIncomplete: when the data plane stops before its source ends, or messages were dropped before they were read.
    """
    strategy, bars = run.settings.strategy, run.state_directory / "bars.parquet"
    record = RunRecord(strategy.initial_cash, bars_to=bars, currencies=strategy.quoted)
    with _collected(run, supervisor, record) as collector:
        follow(supervisor, collector, lambda: on_progress(counts(record, collector)))
        supervisor.stop()
        collector.drain()
        refuse_gaps(collector)
        failures = Failures(
            collector.dead_letters,
            RefusedRows(run.state_directory).count(),
            run.state_directory / QUARANTINE,
            unseen(run.settings, record),
        )
    return _written(run.settings, run.run_id, record, failures, "simulated fills by the paper broker, over Kafka")


def watch(
    run: LocalRun, supervisor: Supervisor, on_progress: OnProgress, on_alert: Callable[[RiskAlert], None]
) -> NoReturn:
    """Keep the planes running, whether their source ends or not, until an exception ends it.

    ``on_alert`` is told each critical alert, and that it is over.

    Raises:
        ChildFailed: when a plane must not be started again.
    """
    strategy, refused = run.settings.strategy, RefusedRows(run.state_directory)
    record = RunRecord(strategy.initial_cash, currencies=strategy.quoted)
    with _collected(run, supervisor, record) as collector:
        while True:
            collector.collect(0.5)
            while collector.untold:
                on_alert(collector.untold.pop(0))
            supervisor.check()
            seen = counts(record, collector)
            on_progress(
                replace(
                    seen,
                    backfill=read_note(run.state_directory),
                    refused=refused.count(),
                    rejected=collector.trouble.rejected,
                    halted=collector.trouble.halted,
                    without_gateway=planes_without_gateway(run.state_directory),
                )
            )


@contextmanager
def _collected(run: LocalRun, supervisor: Supervisor, record: RunRecord) -> Iterator[Collector]:
    """Follows the run, and keeps what became of its intents: the broker may not outlive it.

    However it ends, the planes are stopped first, so that all they have consumed is kept.
    """
    with IntentWitness(run.state_directory / KEPT) as witness, Collector(run.kafka, record, witness) as collector:
        try:
            yield collector
        finally:
            supervisor.stop()
            with suppress(BrokerUnavailable):  # then what was heard so far is all there is
                collector.drain()
                witness.committed(committed_positions(run.kafka), AT_THE_END)


def counts(record: RunRecord, collector: Collector) -> Counts:
    """What has happened so far."""
    seen = record.counts
    return Counts(seen["bars"], seen["intents"], collector.fills, collector.dead_letters.total(), collector.equity)


def follow(supervisor: Supervisor, collector: Collector, on_progress: Callable[[], None]) -> None:
    """Collect until the data plane has published everything and every plane has handled it.

    Raises:
        ChildFailed: when a plane ends with an error and is not to be restarted.
        RunIncomplete: when the data plane ended and the run did not, or messages were dropped before they were read.
    """
    while not collector.finished:
        collector.collect(0.3)
        refuse_gaps(collector)
        supervisor.check()
        on_progress()
        if supervisor.done("data"):
            collector.drain()
            if not collector.finished:
                raise RunIncomplete("the data plane stopped before its source ended")
    if collector.marker is not None and collector.marker.state is RunState.FAILED:
        raise ChildFailed("the data plane reports that the run failed; its log says why")
    on_progress()


def refuse_gaps(collector: Collector) -> None:
    """Refuse a record of a run that lacks messages: it would differ from a backtest, and nobody could say why.

    Raises:
        RunIncomplete: saying how many of which topic are missing.
    """
    if collector.missing:
        missing = ", ".join(f"{count:,} of {topic}" for topic, count in sorted(collector.missing.items()))
        raise RunIncomplete(
            f"the broker dropped messages before they were recorded: {missing}; nothing can be held against the "
            "backtest; set data.pace.window lower, or use --kafka kafka, which keeps everything"
        )


def unseen(settings: Settings, record: RunRecord) -> tuple[str, ...]:
    """Symbols that the configuration names and the source had no bar of, which only a run can tell."""
    named = {*settings.strategy.universe, *settings.data.symbols}
    return tuple(sorted(named - record.symbols))


def _written(settings: Settings, run_id: str, record: RunRecord, failures: Failures, mode: str) -> Outcome:
    provenance = Provenance(
        run_id=run_id,
        config_hash=config_hash(settings),
        data_hash=data_hash(settings),
        git_sha=git_revision(Path(__file__).parent),
        package_version=metadata.version("algo-trade"),
        mode=mode,
        configuration=resolved(settings),
    )
    more: dict[str, JSON] = {"study": _study(settings), "idle": why_idle(settings, record)}
    more = {name: found for name, found in more.items() if found}
    directory = write_run(settings.run.directory, record, provenance, failures, more, days_in_a_year(settings))
    return Outcome(content_digests(record), directory, failures, record.counts["bars"], provenance.data_hash)


def _study(settings: Settings) -> dict[str, JSON] | None:
    """What the signals have shown over the source, which is the same whatever was traded; None without signals."""
    chosen = as_rebalanced(settings.strategy)
    if not isinstance(chosen, SignalEnsembleSettings):
        return None
    from backtest.signal_study import study  # noqa: PLC0415 - imports an optimizer, which takes seconds

    return study(settings.data, chosen, settings.strategy.traded).as_json()


def why_idle(settings: Settings, record: RunRecord) -> str:
    """What a person should know of a run in which nothing was ordered; empty when something was."""
    counts = record.counts
    if counts["intents"]:
        return ""
    moments, needed = counts["slices"], warm_up(settings.strategy)
    if needed > moments:
        return f"No order was made: the strategy needs {needed:,} moments before it decides, and there were {moments:,}"
    return f"No order was made in {moments:,} moments: the strategy, within its limits, never wanted any"


def days_in_a_year(settings: Settings) -> float:
    """Days that daily returns are annualised by: all of them where a market never closes."""
    return 365.0 if settings.data.calendar == ALWAYS_OPEN else TRADING_DAYS


def data_hash(settings: Settings) -> str:
    """SHA-256 over the names and bytes of every source file."""
    digest = sha256()
    for path in input_files(settings.data):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
