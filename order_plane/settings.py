"""What an operator may set of the order plane."""

from datetime import date, time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from contracts.base import Name, Symbol
from domain.go_live import Digest, Role
from ibkr_client.settings import GatewaySettings
from order_plane.guard_settings import GuardSettings, StormSettings
from order_plane.limit_settings import Fraction, LimitSettings, NotNegative, Positive, Section, ThrottleSettings


class Mode(StrEnum):
    """What stands behind the broker port."""

    SIMULATION = "simulation"
    PAPER = "paper"
    LIVE = "live"


class BrokerName(StrEnum):
    """Which adapter stands behind the broker port."""

    PAPER = "paper"
    IBKR = "ibkr"


class CommissionModel(StrEnum):
    """How a commission is computed."""

    PER_ORDER = "per_order"
    PER_SHARE = "per_share"
    BASIS_POINTS = "basis_points"


class SlippageModel(StrEnum):
    """How slippage is computed."""

    BASIS_POINTS = "basis_points"
    RANGE = "range"


class CostSettings(Section):
    """What the paper broker charges.

    ``commission`` is currency units an order, currency units a share, or basis points of the value, by
    ``commission_model``; ``commission_minimum`` (currency units an order) belongs to the last two.
    ``slippage`` is basis points of the price or a fraction of the bar's range.
    """

    commission_model: CommissionModel = CommissionModel.PER_ORDER
    commission: NotNegative = 1.0
    commission_minimum: NotNegative = 0.0
    slippage_model: SlippageModel = SlippageModel.BASIS_POINTS
    slippage: NotNegative = 1.0


class InstrumentSettings(Section):
    """The trading grid of one symbol; zero means any price or quantity."""

    tick_size: NotNegative = 0.0
    lot_size: NotNegative = 0.0


class AdaptivePriority(StrEnum):
    """How urgently an ADAPTIVE order is worked."""

    URGENT = "Urgent"
    NORMAL = "Normal"
    PATIENT = "Patient"


class IbkrSettings(GatewaySettings):
    """Trading through Interactive Brokers."""

    ids_path: Path = Path("var/ibkr_orders.sqlite")
    """Order ids that were used; keep it with the journal."""
    paper_ports: tuple[Annotated[int, Field(ge=1, le=65_535)], ...] = ()
    """Further ports of paper trading, such as that of the simulator or of a container."""
    answer_seconds: Positive = 5.0
    """How long an order may go unanswered before its outcome is in doubt."""
    adaptive_priority: AdaptivePriority = AdaptivePriority.NORMAL


class GoLiveSettings(Section):
    """The decision that live trading needs, and whose keys it must be signed with."""

    record_path: Path = Path(".algotrade/gates/GO_LIVE_RECORD.json")
    """What `algotrade gates run 8` drafts and `algotrade gates sign` signs."""
    signers: dict[Role, Digest] = Field(default_factory=dict)
    """Public keys (64 hexadecimal digits) of Risk Officer, CTO and Lead Trader: three different ones."""


class OrderSettings(Section):
    """Everything the order plane can be told; the defaults trade on paper only."""

    mode: Mode = Mode.PAPER
    broker: BrokerName = BrokerName.PAPER
    """``paper`` fills orders from bars; ``ibkr`` sends them to the gateway that ``ibkr`` names."""
    account: Name = "PAPER"
    journal_path: Path = Path("var/order_journal.sqlite")
    learn_costs: bool = True
    """Publish what executions cost, for whoever weighs trades against it (backtests never do)."""
    audit: bool = True
    """Write every decision to a hash-chained log beside the journal (backtests never do)."""
    audit_key_path: Path | None = None
    """The private key that signs the audit log, made at the first start; default: beside the log."""
    journal_database: SecretStr | None = None
    """A PostgreSQL address (postgresql://user:password@host/database) that order planes share instead of a file."""
    journal_wait: timedelta = timedelta(seconds=0)
    """How long a second order plane waits for the active one to end before it refuses to start."""
    paper_store_path: Path = Path("var/paper_venue.sqlite")
    """The paper venue's own memory; delete it only together with the journal."""
    calendar: str = "24/7"
    """Exchange whose sessions orders are bound to: an ISO 10383 code such as XNYS, or 24/7."""
    calendar_first: date = date(1990, 1, 1)
    calendar_last: date = date(2035, 12, 31)
    closed_days: frozenset[date] = frozenset()
    """Trading days on which the exchange stays closed although its calendar says otherwise."""
    early_closes: dict[date, time] = Field(default_factory=dict)
    """UTC times at which a session ends before its usual close, by trading day."""
    capital: Positive = 1_000_000.0
    """What the account held before its first order, in currency units; equity is counted from it."""
    guards: tuple[GuardSettings, ...] | None = None
    """The automatic kill switches; null: one over the account in mode paper and live, none in simulation."""
    repeat_executions: StormSettings | None = None
    """Executions of one strategy above which it is disabled until a named person lets it go on."""
    verify_plans: bool = False
    """Refuse an intent that names a plan, unless this plane has seen that plan, approved and still valid."""
    limits: LimitSettings = LimitSettings()
    throttle: ThrottleSettings = ThrottleSettings()
    costs: CostSettings = CostSettings()
    volume_cap: Fraction | None = 0.10
    """Fraction of a bar's volume that our orders together may trade on paper; null for no limit."""
    instruments: dict[Symbol, InstrumentSettings] = Field(default_factory=dict)
    ibkr: IbkrSettings = IbkrSettings()
    go_live: GoLiveSettings = GoLiveSettings()

    @property
    def audit_path(self) -> Path:
        """Where the audit log is."""
        return self.journal_path.with_suffix(".audit.jsonl")

    @property
    def active_guards(self) -> tuple[GuardSettings, ...]:
        """The guards that are meant, given the mode: the same in a backtest of these settings as in the run itself."""
        if self.guards is not None:
            return self.guards
        return () if self.mode is Mode.SIMULATION else (GuardSettings(),)

    @model_validator(mode="after")
    def _one_guard_for_each(self) -> Self:
        watched = [(each.scope, each.strategy_id) for each in self.guards or ()]
        if len(watched) != len(set(watched)):
            raise ValueError("guards must not watch the same account or strategy twice")
        return self

    @model_validator(mode="after")
    def _period_is_one(self) -> Self:
        if self.calendar_last <= self.calendar_first:
            raise ValueError("calendar_last must be after calendar_first")
        return self

    @model_validator(mode="after")
    def _simulates_without_a_gateway(self) -> Self:
        if self.mode is Mode.SIMULATION and self.broker is not BrokerName.PAPER:
            raise ValueError("mode simulation trades in memory; set broker to paper, or mode to paper")
        return self
