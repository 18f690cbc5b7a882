"""What an operator may set of the order plane."""

from datetime import date, time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from contracts.base import Currency, Name, Symbol
from domain.currency import Currencies, currencies_of
from domain.go_live import Digest, Role
from ibkr_client.settings import ContractSettings, GatewaySettings
from order_plane.limit_settings import Fraction, LimitSettings, NotNegative, Positive, Section, ThrottleSettings
from order_plane.policies import Remainder
from order_plane.reconcile import UnknownOrders
from order_plane.safety.guard_settings import GuardSettings, StormSettings


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
    currency: Currency | None = None
    """What its prices and commissions are in, if not the account's; needs bars of a pair such as USDKRW."""


class ReconciliationSettings(Section):
    """How the account is held against the venue: at boot, after a cut, and regularly (backtests never do)."""

    every: timedelta = timedelta(seconds=60)
    """Time between two comparisons."""
    unknown_orders: UnknownOrders = UnknownOrders.ALARM
    """What becomes of an order that works at the venue and that no intent asked for: alarm or adopt."""
    opening_cash: float | None = None
    """Currency units in the account before the first order of this journal; null takes what the venue says first."""
    cash_tolerance: NotNegative | None = None
    """Currency units that two amounts may be apart and still be the same.

    Null is a cent on the paper venue in one currency, and no comparison elsewhere: dividends, interest and fees move
    that cash too, and cash in several currencies has no one amount.
    """


class UnfilledSettings(Section):
    """What becomes of orders that are not filled in time; backtests do the same."""

    after: Annotated[timedelta, Field(gt=timedelta(0))]
    """Event time from the sending, or from the intent if that is later."""
    unfilled: Remainder = Remainder.LEAVE
    """Of an order of which nothing traded: leave, cancel or market (cancel, then send the rest as a market order)."""
    partly: Remainder = Remainder.LEAVE
    """Of an order that traded in part: the same choice."""


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
    currency: Currency = "USD"
    """Of the account (ISO 4217): limits, capital and losses are in it."""
    journal_path: Path = Path("var/order_journal.sqlite")
    learn_costs: bool = True
    """Publish what executions cost, for whoever weighs trades against it (backtests never do)."""
    audit: bool = True
    """Write every decision to a hash-chained log beside the journal (backtests never do)."""
    audit_key_path: Path | None = None
    """The private key that signs the audit log, made at the first start; default: beside the log."""
    journal_database: SecretStr | None = None
    """A PostgreSQL address (postgresql://user:password@host/database) that order planes share instead of a file."""
    journal_wait: timedelta = timedelta(seconds=10)
    """How long an order plane waits for PostgreSQL to free the journal before it refuses to start.

    The session of its own last life is such a holder, until the server has noticed that its host or process is gone.
    """
    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = None
    """What this host is called in claims and in what the journal notes of each start; unset: its own name.

    Give it one where that changes with every start, as in a container: another host may only go on with a shared
    journal if it runs the same code and configuration as the last one.
    """
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
    verify_plans: bool = True
    """Refuse an intent that names a plan, unless this plane has seen that plan, approved and still valid.

    Intents name a plan only when it needs approval. False is for planes that cannot read the topic of plans.
    """
    limits: LimitSettings = LimitSettings()
    throttle: ThrottleSettings = ThrottleSettings()
    reconciliation: ReconciliationSettings | None = ReconciliationSettings()
    """Null for a venue that gives no account of itself; then nothing but the journal says what is held."""
    unfilled: UnfilledSettings | None = None
    """Null leaves every order to its time in force."""
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
    def currencies(self) -> Currencies:
        """What the instruments are quoted in."""
        return currencies_of(self.currency, {name: rules.currency for name, rules in self.instruments.items()})

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
    def _contracts_are_in_the_currencies_of_instruments(self) -> Self:
        contracts, currencies = self.ibkr.contracts, self.currencies
        for symbol in sorted({*self.instruments, *contracts}) if self.broker is BrokerName.IBKR else ():
            traded = contracts.get(symbol, ContractSettings()).currency
            if traded != currencies.of.get(symbol, currencies.account):
                raise ValueError(
                    f"instruments.{symbol}.currency and ibkr.contracts.{symbol}.currency ({traded}) must be the same"
                )
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

    @model_validator(mode="after")
    def _adopts_only_what_it_can_cancel(self) -> Self:
        wanted = self.reconciliation
        if self.broker is BrokerName.IBKR and wanted is not None and wanted.unknown_orders is UnknownOrders.ADOPT:
            raise ValueError("reconciliation.unknown_orders must be alarm: ibkr cancels only orders of its own client")
        return self
