"""What an operator may set of the order plane."""

from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from contracts.base import Name, Symbol
from order_plane.policies import Remainder
from order_plane.reconcile import UnknownOrders

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(gt=0, le=1)]


class Mode(StrEnum):
    """What stands behind the broker port."""

    SIMULATION = "simulation"
    PAPER = "paper"
    LIVE = "live"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class LimitSettings(_Section):
    """Pre-trade limits; exactly at a limit passes.

    Values and exposures are in currency units; exposure counts position, working and in-doubt orders.
    """

    max_order_quantity: Positive = 100_000.0
    max_order_value: Positive = 1_000_000.0
    max_symbol_notional: Positive = 2_000_000.0
    max_gross_exposure: Positive = 5_000_000.0
    price_collar: Fraction = 0.10
    """How much worse than the market a limit price may be, as a fraction of the market price."""
    reference_max_age: timedelta = timedelta(hours=1)
    """How old, in event time, the market price may be that an order is judged by."""
    duplicate_window: timedelta = timedelta(seconds=1)
    """Event time within which the same terms from the same strategy are a duplicate; zero allows them."""


class ThrottleSettings(_Section):
    """The token bucket for orders, in event time."""

    rate_per_second: Positive = 50.0
    burst: Positive = 1_000.0
    cancel_reserve: NotNegative = 50.0
    """Tokens that only cancels may use."""

    @model_validator(mode="after")
    def _leaves_room_for_orders(self) -> Self:
        if self.cancel_reserve + 1 > self.burst:
            raise ValueError("cancel_reserve must leave at least one token of burst for orders")
        return self


class CommissionModel(StrEnum):
    """How a commission is computed."""

    PER_ORDER = "per_order"
    PER_SHARE = "per_share"
    BASIS_POINTS = "basis_points"


class SlippageModel(StrEnum):
    """How slippage is computed."""

    BASIS_POINTS = "basis_points"
    RANGE = "range"


class CostSettings(_Section):
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


class InstrumentSettings(_Section):
    """The trading grid of one symbol; zero means any price or quantity."""

    tick_size: NotNegative = 0.0
    lot_size: NotNegative = 0.0


class ReconciliationSettings(_Section):
    """How the account is held against the venue: at boot, after a cut, and regularly (backtests never do)."""

    every: timedelta = timedelta(seconds=60)
    """Time between two comparisons."""
    unknown_orders: UnknownOrders = UnknownOrders.ALARM
    """What becomes of an order that works at the venue and that no intent asked for: alarm or adopt."""
    opening_cash: float = 0.0
    """Currency units in the account before the first order of this journal; the paper venue starts with none."""
    cash_tolerance: NotNegative = 0.01
    """Currency units that two amounts may be apart and still be the same."""


class UnfilledSettings(_Section):
    """What becomes of orders that are not filled in time; backtests do the same."""

    after: Annotated[timedelta, Field(gt=timedelta(0))]
    """Event time from the sending, or from the intent if that is later."""
    unfilled: Remainder = Remainder.LEAVE
    """Of an order of which nothing traded: leave, cancel or market (cancel, then send the rest as a market order)."""
    partly: Remainder = Remainder.LEAVE
    """Of an order that traded in part: the same choice."""


class OrderSettings(_Section):
    """Everything the order plane can be told; the defaults trade on paper only."""

    mode: Mode = Mode.PAPER
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
    limits: LimitSettings = LimitSettings()
    throttle: ThrottleSettings = ThrottleSettings()
    reconciliation: ReconciliationSettings | None = ReconciliationSettings()
    """Null for a venue that gives no account of itself; then nothing but the journal says what is held."""
    unfilled: UnfilledSettings | None = None
    """Null leaves every order to its time in force."""
    costs: CostSettings = CostSettings()
    volume_cap: Fraction | None = 0.10
    """Fraction of a bar's volume that our orders together may trade on paper; null for no limit."""
    instruments: dict[Symbol, InstrumentSettings] = {}

    @property
    def audit_path(self) -> Path:
        """Where the audit log is."""
        return self.journal_path.with_suffix(".audit.jsonl")

    @model_validator(mode="after")
    def _period_is_one(self) -> Self:
        if self.calendar_last <= self.calendar_first:
            raise ValueError("calendar_last must be after calendar_first")
        return self
