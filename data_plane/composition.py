"""Builds the data plane's parts from its settings; the same for a backtest and a process."""

import csv
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from data_plane.admission import Admission
from data_plane.bar_intake import BarIntake
from data_plane.bars import TickAggregator
from data_plane.completeness import CompletenessGate, Listing
from data_plane.connectors.informed import InformedConnector
from data_plane.connectors.port import AFTER_ALL, Connector
from data_plane.connectors.replay import ReplayConnector, SourceFile
from data_plane.connectors.table_source import TableFile, TableSource, is_generated
from data_plane.corporate_actions import CorporateAction, Effect, InvalidActionError, effects_by_symbol
from data_plane.fact_intake import FactIntake
from data_plane.flow_intake import FlowIntake
from data_plane.normalize import SymbolNames, closes_by_day
from data_plane.order_flow import OrderFlow
from data_plane.pipeline import DataStage, Findings, FindingSink
from data_plane.quality import Horizon, Limits
from data_plane.session_grid import SessionGrid
from data_plane.settings import (
    DataSettings,
    IbkrSourceSettings,
    ListingSettings,
    LiveBarsFrom,
    RowKind,
    SourceSettings,
    TableSettings,
)
from domain.calendar import SessionCalendar, always_open
from domain.exchange_sessions import load_calendar
from kernel.clock import SystemClock

if TYPE_CHECKING:
    from data_plane.connectors.ibkr import LiveSource, SourceTerms

_FIRST_DAY, _LAST_DAY = date(1990, 1, 1), date(2049, 12, 31)


def build_connector(settings: DataSettings, horizon: datetime | None = None) -> Connector:
    """The source of rows that ``settings`` describe; of a gateway, those that were fetched from it before.

    A row later than ``horizon``, by default the one of `horizon_of`, does not hold up the rows behind it.

    Raises:
        FileNotFoundError: naming a pattern that matches no file.
        UnknownKnowledgeTimeError: when a table does not say when its rows became known.
    """
    if settings.ibkr is not None:
        return _fetched_bars(settings, settings.ibkr)
    files = [
        SourceFile(
            path=path,
            kind=source.kind,
            bar_size=settings.bar_size,
            columns=source.columns,
            symbol=source.symbol or path.name.split(".")[0],
            timezone=source.timezone,
            stamped_at_open=source.stamp == "open",
        )
        for source in settings.sources
        for path in _paths(source)
    ]
    horizon = horizon or horizon_of(settings)
    replay = ReplayConnector(files, settings.start, settings.end, horizon=horizon)
    if not settings.tables:
        return replay
    tables = [
        TableFile(path, name, chosen.symbol, chosen.columns, chosen.fields, chosen.timezone)
        for name, chosen in sorted(settings.tables.items())
        for path in _paths(chosen, f"data.tables.{name}")
    ]
    return InformedConnector(
        replay, TableSource(tables, settings.end), closes_by_day(build_calendar(settings)), horizon
    )


def input_files(settings: DataSettings) -> list[Path]:
    """Every file that the published events depend on, in a fixed order; raises as `build_connector` does."""
    files = [path for source in settings.sources for path in _paths(source)]
    if settings.ibkr is not None:
        files += _fetched_files(settings, settings.ibkr)
    files += [path for name, table in sorted(settings.tables.items()) for path in _paths(table, f"data.tables.{name}")]
    if settings.adjust and settings.actions_file is not None:
        files.append(settings.actions_file)
    return files


def generated_tables(settings: DataSettings) -> list[str]:
    """Names of the tables that have a file of made-up values, sorted; raises as `build_connector` does."""
    tables = sorted(settings.tables.items())
    return [name for name, table in tables if any(map(is_generated, _paths(table, f"data.tables.{name}")))]


def build_live_source(
    settings: DataSettings,
    ibkr: IbkrSourceSettings,
    unwelcome: Callable[[Sequence[str]], str] = lambda accounts: "",
) -> "LiveSource":
    """The gateway that ``ibkr`` names, connected; ``unwelcome`` as in `SourceTerms`.

    Raises:
        GatewayUnavailable: when it cannot be reached.
        GatewayRefused: when a symbol fits no contract, or several; when it is a simulator that is unwelcome;
            `LibraryMissing` when there is no client library.
    """
    from data_plane.connectors.ibkr import LiveSource  # noqa: PLC0415 - files do without
    from ibkr_client.connection import ConnectionLost, RequestRefused  # noqa: PLC0415
    from ibkr_client.gateway_errors import GatewayUnavailable  # noqa: PLC0415
    from ibkr_client.refusals import explained  # noqa: PLC0415
    from ibkr_client.terms import address_of  # noqa: PLC0415

    address = address_of(ibkr)
    try:
        return LiveSource(address, source_terms(settings, ibkr, unwelcome))
    except (ConnectionLost, RequestRefused, TimeoutError, OSError) as error:
        raise GatewayUnavailable(explained(error, address)) from None


def source_terms(
    settings: DataSettings,
    ibkr: IbkrSourceSettings,
    unwelcome: Callable[[Sequence[str]], str] = lambda accounts: "",
) -> "SourceTerms":
    """What is asked of a gateway, wherever it is; ``unwelcome`` as in `SourceTerms`."""
    from data_plane.connectors.ibkr import SourceTerms  # noqa: PLC0415 - files do without
    from data_plane.connectors.ibkr_terms import LiveTerms  # noqa: PLC0415
    from data_plane.connectors.ibkr_trades import Building  # noqa: PLC0415
    from ibkr_client.terms import contract_terms  # noqa: PLC0415

    building = None
    if ibkr.bars is LiveBarsFrom.TRADES:
        grid = SessionGrid(build_calendar(settings), settings.bar_size)
        building = Building(grid, TickAggregator(grid, settings.bar_size))
    return SourceTerms(
        LiveTerms(settings.symbols, settings.bar_size, settings.grace),
        ibkr.cache,
        contract_terms(ibkr),
        building,
        quotes=ibkr.quotes,
        delayed=ibkr.delayed,
        unwelcome=unwelcome,
    )


def _fetched_bars(settings: DataSettings, ibkr: IbkrSourceSettings) -> Connector:
    files = [SourceFile(path, RowKind.BARS, settings.bar_size, path.name) for path in _fetched_files(settings, ibkr)]
    return ReplayConnector(files, settings.start, settings.end)


def _fetched_files(settings: DataSettings, ibkr: IbkrSourceSettings) -> list[Path]:
    from data_plane.connectors.ibkr_cache import kept  # noqa: PLC0415 - files do without

    directory = kept(ibkr.cache, settings.bar_size)
    found = [
        path for symbol in settings.symbols for path in sorted(directory.glob(f"{symbol}.????????-????????.parquet"))
    ]
    if not found:
        raise FileNotFoundError(f"{directory} holds no bars of data.symbols; algotrade up --broker ibkr fetches them")
    return found


def build_calendar(settings: DataSettings) -> SessionCalendar:
    """The sessions of the market over the period of ``settings``, with room for bars that close after it."""
    if settings.calendar == "24/7":
        return always_open()
    last = _LAST_DAY if settings.end is None else settings.end + timedelta(days=14)
    first = _FIRST_DAY if settings.start is None else settings.start - timedelta(days=14)
    return load_calendar(settings.calendar, first, last)


def horizon_of(settings: DataSettings) -> datetime:
    """Up to when rows of files may be: the end of the day after today (UTC). A gateway has a clock of its own."""
    if settings.ibkr is not None:
        return AFTER_ALL
    return datetime.combine(SystemClock().now().date() + timedelta(days=2), time(), UTC)


def build_stage(
    settings: DataSettings,
    quarantine_sink: FindingSink = lambda finding: None,
    horizon: datetime | None = None,
) -> DataStage:
    """The stage that turns the connector's rows into messages; ``quarantine_sink`` is told every finding.

    Rows later than ``horizon``, by default the one of `horizon_of`, are refused.

    Raises:
        InvalidActionError: naming the line of the actions file that is not usable.
        ValueError: when a symbol or the calendar is none.
    """
    calendar = build_calendar(settings)
    names = SymbolNames(settings.aliases)
    universe = _universe(settings, names)
    findings = Findings(quarantine_sink)
    limits = Limits(settings.gates.outlier_return, settings.gates.stale_repeats)
    until = Horizon(horizon or horizon_of(settings))
    admission = Admission(names, universe, _effects(settings, names, calendar), limits, findings, until)
    grid = SessionGrid(calendar, settings.bar_size)
    slices = CompletenessGate(settings.bar_size, universe, settings.patience)
    bars = BarIntake(settings.bar_size, grid, closes_by_day(calendar), admission, slices)
    interval = settings.order_flow_interval
    flow = FlowIntake(
        grid,
        admission,
        (TickAggregator(grid, settings.bar_size), bars) if settings.aggregate and settings.ibkr is None else None,
        OrderFlow(SessionGrid(calendar, interval)) if interval is not None else None,
        publish_ticks=settings.publish_ticks,
    )
    extra = names.all_canonical(symbol for table in settings.tables.values() for symbol in table.market)
    facts = FactIntake(admission, frozenset(extra))
    return DataStage(bars, flow, facts, slices, grid, findings, settings.grace, until)


def read_actions(path: Path) -> tuple[CorporateAction, ...]:
    """The corporate actions of a CSV file with the columns symbol, ex_date, kind and value.

    Raises:
        FileNotFoundError: naming the setting, when there is no such file.
        InvalidActionError: naming the line that is not usable.
    """
    if not path.is_file():
        raise FileNotFoundError(f"data.actions_file: '{path}' is no file; check the path and the working directory")
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        return tuple(_action(path, rows.line_num, row) for row in rows)


def _action(path: Path, line: int, row: Mapping[str, str]) -> CorporateAction:
    try:
        value, kind = float(row["value"]), row["kind"]
        action = CorporateAction(row["symbol"], date.fromisoformat(row["ex_date"]))
        return {"split": action._replace(split=value), "dividend": action._replace(dividend=value)}[kind]
    except (KeyError, TypeError, ValueError):
        raise InvalidActionError(
            f"{path.name} line {line}: needs symbol, ex_date (YYYY-MM-DD), kind (split or dividend) and a value"
        ) from None


def _effects(settings: DataSettings, names: SymbolNames, calendar: SessionCalendar) -> Mapping[str, Sequence[Effect]]:
    if not settings.adjust or settings.actions_file is None:
        return {}
    actions = read_actions(settings.actions_file)
    symbols = names.all_canonical(action.symbol for action in actions)
    named = (action._replace(symbol=symbol) for action, symbol in zip(actions, symbols, strict=True))
    return effects_by_symbol(named, calendar)


def _universe(settings: DataSettings, names: SymbolNames) -> Mapping[str, Listing]:
    return {
        symbol: _listing(settings.listings.get(name, ListingSettings()))
        for name, symbol in zip(settings.symbols, names.all_canonical(settings.symbols), strict=True)
    }


def _listing(chosen: ListingSettings) -> Listing:
    listing = Listing()
    if chosen.first is not None:
        listing = listing._replace(first=datetime.combine(chosen.first, time(), UTC))
    if chosen.last is not None:
        listing = listing._replace(last=datetime.combine(chosen.last, time.max, UTC))
    return listing


def _paths(source: SourceSettings | TableSettings, name: str = "data.sources") -> Sequence[Path]:
    found: list[Path] = []
    for pattern in source.files:
        path = Path(pattern)
        matches = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        if not matches:
            raise FileNotFoundError(
                f"{name}.files: {pattern!r} matches no file; check the path and the working directory"
            )
        found += matches
    return found
