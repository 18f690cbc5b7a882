"""What a user can choose about the data plane."""

from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from contracts.market import BarSize, TableName
from data_plane.session_grid import step_of
from ibkr_client.bar_sizes import size_name
from ibkr_client.settings import GatewaySettings

_MOST_KEPT = 50
"""Requests for past bars that a gateway holds open at once; one that is kept up to date stays open."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class RowKind(StrEnum):
    """What the rows of a file are."""

    BARS = "bars"
    TICKS = "ticks"
    QUOTES = "quotes"


class SourceSettings(_Section):
    """A set of files that are laid out alike."""

    files: Annotated[tuple[str, ...], Field(min_length=1)]
    """Paths or glob patterns of ``.parquet``, ``.csv`` or ``.csv.gz`` files, relative to the working directory."""
    kind: RowKind = RowKind.BARS
    """``bars``, ``ticks`` or ``quotes``."""
    columns: dict[str, str] = {}
    """The file's name of a column, by the platform's name, where the two differ: ``{close: "Last"}``."""
    symbol: str | None = None
    """Symbol of files without a symbol column; their file name up to the first dot when not given."""
    timezone: str = "UTC"
    """Time zone of timestamps that name none."""
    stamp: Literal["close", "open"] = "close"
    """Which end of an intraday bar its timestamp is."""


class TableSettings(_Section):
    """A point-in-time table: files whose every row says when it became known."""

    files: Annotated[tuple[str, ...], Field(min_length=1)]
    """Paths or glob patterns of ``.parquet``, ``.csv`` or ``.csv.gz`` files, relative to the working directory."""
    columns: dict[str, str] = {}
    """The file's name of a column where it differs: ``{knowledge_time: "announced_at", eps: "EPS diluted"}``."""
    fields: tuple[str, ...] = ()
    """Columns to publish; every column but symbol and times when empty."""
    symbol: str | None = None
    """Symbol of files without a symbol column."""
    market: tuple[str, ...] = ()
    """Symbols that are wanted though they are not in the universe, such as an index."""
    timezone: str = "UTC"
    """Time zone of times that name none; a knowledge time without an hour means the end of that day there."""


class ListingSettings(_Section):
    """When a symbol trades; an end left out is open."""

    first: date | None = None
    last: date | None = None

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.first is not None and self.last is not None and self.last < self.first:
            raise ValueError("last must not be before first")
        return self


class GateSettings(_Section):
    """Limits of the quality gates."""

    outlier_return: Annotated[float, Field(gt=0, lt=1)] = 0.6
    """Largest simple return from one close to any price of the next bar; a second bar at the new level confirms it."""
    stale_repeats: Annotated[int, Field(ge=0, le=10_000)] = 5
    """How many equal bars in a row refuse the last one; 0 accepts any number, 1 is not possible."""

    @field_validator("stale_repeats")
    @classmethod
    def _compares_bars(cls, value: int) -> int:
        if value == 1:
            raise ValueError("stale_repeats must be 0 (off) or at least 2")
        return value


class PaceMode(StrEnum):
    """What the source waits for before it publishes on."""

    REALTIME = "realtime"
    WINDOW = "window"
    LOCKSTEP = "lockstep"


class PaceSettings(_Section):
    """How fast rows are published."""

    mode: PaceMode = PaceMode.WINDOW
    """``realtime`` follows event time, ``window`` the consumers, ``lockstep`` waits until nothing is in flight."""
    speed: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """Seconds of event time per second, in ``realtime``."""
    max_rate: Annotated[float, Field(gt=0)] | None = None
    """At most this many messages per second, in any mode."""
    window: Annotated[int, Field(ge=1, le=10_000_000)] = 5_000
    """How many messages the slowest consumer may be behind, over all its inputs; the embedded broker allows 5,000."""


class LiveBarsFrom(StrEnum):
    """What live bars are made of."""

    UPDATES = "updates"
    TRADES = "trades"


class IbkrSourceSettings(GatewaySettings):
    """Live market data of TWS or IB Gateway for the symbols of the universe, behind a back-fill."""

    client_id: Annotated[int, Field(ge=1, le=32_000)] = 2
    """Another one than that of the order plane."""
    backfill_days: Annotated[int, Field(ge=0, le=3_650)] = 5
    """Days of bars to fetch before live ones begin; strategies learn from them and do not trade on them."""
    cache: Path = Path(".algotrade/ibkr_bars")
    """Where fetched bars are kept, in a folder for each market, relative to the working directory."""
    bars: LiveBarsFrom = LiveBarsFrom.UPDATES
    """``updates``: bars that the gateway keeps up to date; ``trades``: bars built here from every trade."""
    quotes: bool = False
    """Subscribe best quotes, for order-flow imbalance and ticks."""
    delayed: bool = False
    """Take delayed quotes where there is no subscription: for development, never for trading."""
    lines: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Market data lines of the account: quotes of a symbol take one, trades another."""
    trade_lines: Annotated[int, Field(ge=1, le=10_000)] = 5
    """How many of them may be tick by tick, as bars from trades are."""
    stale_seconds: Annotated[float, Field(gt=0, le=86_400)] = 60.0
    """How long a bar may be overdue before its symbol is reported as stale."""
    decide_within_seconds: Annotated[float, Field(gt=0, le=86_400)] = 60.0
    """A moment that could only be told later than this after its end is late: nobody decides on it."""


class DataSettings(_Section):
    """Where the data plane's rows come from and what is done to them."""

    sources: tuple[SourceSettings, ...] = ()
    """Files to replay; or else ``ibkr``."""
    ibkr: IbkrSourceSettings | None = None
    """Interactive Brokers as the source; it never ends."""
    tables: dict[TableName, TableSettings] = {}
    """Point-in-time tables by name; rows of ``order_flow`` are published as order-flow imbalance, others as facts."""
    bar_size: BarSize = "1d"
    """Size of the bars that are read, or built from trades: seconds, minutes or hours (``5min``), or ``1d``."""
    symbols: tuple[str, ...] = ()
    """The universe; other rows are ignored. Empty takes every symbol, and slices then wait for the next bar."""
    listings: dict[str, ListingSettings] = {}
    """When symbols of the universe trade; a symbol not named here may always trade."""
    aliases: dict[str, str] = {}
    """The platform's symbol by the source's symbol."""
    start: date | None = None
    """First day (UTC) to read."""
    end: date | None = None
    """Last day (UTC) to read."""
    calendar: str = "XNYS"
    """Exchange (ISO 10383 code) whose sessions bars belong to, or ``24/7``."""
    adjust: bool = True
    """Apply ``actions_file`` forward: total-return prices, volumes in units of the first bar."""
    actions_file: Path | None = None
    """CSV of corporate actions: symbol, ex_date, kind (split or dividend), value."""
    gates: GateSettings = GateSettings()
    patience: Annotated[int, Field(ge=1)] = 5
    """After how many moments without a bar a symbol is no longer named as missing."""
    grace_seconds: Annotated[float, Field(ge=0, le=86_400)] = 5.0
    """How long after a moment the clock waits for missing bars, with a live source."""
    aggregate: bool = True
    """Build bars of ``bar_size`` from trades."""
    publish_ticks: bool = True
    """Publish trades and quotes themselves too."""
    order_flow_interval: BarSize | None = "1min"
    """Interval of order-flow imbalance from quotes; none for no order flow."""
    store: bool = True
    """Keep what was published as Parquet files in the state directory of the run."""
    pace: PaceSettings = PaceSettings()

    @field_validator("bar_size", "order_flow_interval")
    @classmethod
    def _is_one_session_or_less(cls, value: str | None) -> str | None:
        if value is not None:
            step_of(value)
        return value

    @model_validator(mode="after")
    def _period_and_names_agree(self) -> Self:
        if self.start is not None and self.end is not None and self.end < self.start:
            raise ValueError("end must not be before start")
        strangers = sorted(set(self.listings) - set(self.symbols))
        if strangers:
            raise ValueError(f"listings names symbols that are not in symbols: {', '.join(strangers)}")
        return self

    @model_validator(mode="after")
    def _has_one_kind_of_source(self) -> Self:
        if bool(self.sources) == (self.ibkr is not None):
            raise ValueError("rows come from sources (files) or from ibkr (a gateway); give one of the two")
        if self.ibkr is not None:
            self._check_gateway(self.ibkr)
        return self

    def _check_gateway(self, ibkr: IbkrSourceSettings) -> None:
        if not self.symbols:
            raise ValueError("symbols must name what is subscribed at ibkr")
        step = step_of(self.bar_size)
        if step is None:
            raise ValueError("bar_size 1d is history at ibkr; live bars are intraday, such as 1min")
        size_name(step)
        if self.tables:
            raise ValueError("tables belong to files; a live source has none")
        trades = len(self.symbols) * (ibkr.bars is LiveBarsFrom.TRADES)
        if not trades and len(self.symbols) > _MOST_KEPT:
            raise ValueError(
                f"a gateway keeps {_MOST_KEPT} series of bars up to date and {len(self.symbols)} symbols are named;"
                " take fewer, or bars: trades if the account has the lines"
            )
        if trades > ibkr.trade_lines:
            raise ValueError(
                f"bars from trades need {trades} of ibkr.trade_lines; take bars: updates, or fewer symbols"
            )
        lines = len(self.symbols) * ibkr.quotes + trades
        if lines > ibkr.lines:
            raise ValueError(
                f"{lines} market data lines are needed and ibkr.lines allows {ibkr.lines}; take fewer symbols"
            )

    @property
    def grace(self) -> timedelta:
        """``grace_seconds`` as a duration."""
        return timedelta(seconds=self.grace_seconds)
