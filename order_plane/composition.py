"""The order plane put together from its settings: the one place that knows modes and adapters."""

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from contracts.control import KillScope
from domain.calendar import SessionCalendar, always_open
from domain.costs import BasisPoints, BasisPointSlippage, Commission, PerOrder, PerShare, RangeSlippage, Slippage
from kernel.audit_log import AuditBroken
from kernel.clock import SystemClock
from kernel.ports import Clock
from order_plane.brokers.paper import PaperBroker
from order_plane.brokers.paper_store import MemoryPaperStore, PaperStore
from order_plane.brokers.port import Broker
from order_plane.brokers.sqlite_paper_store import SqlitePaperStore
from order_plane.controls import Controls, instruments_of
from order_plane.desk import Desk
from order_plane.execution import Execution
from order_plane.flattening import Flattening
from order_plane.gates import require_open_gates
from order_plane.go_live_terms import go_live_terms
from order_plane.journals.audited import AuditedJournal
from order_plane.journals.memory import MemoryJournal
from order_plane.journals.port import Journal
from order_plane.journals.sqlite import SqliteJournal
from order_plane.marks import Marks
from order_plane.policies import UnfilledPolicy
from order_plane.reconciler import ReconciliationOptions
from order_plane.risk.port import RiskCheck
from order_plane.risk.price import MarketGoesOn
from order_plane.risk.scale_up import scale_up
from order_plane.safety.guard_settings import GuardSettings
from order_plane.safety.guards import Guards
from order_plane.safety.performance_guard import PerformanceGuard
from order_plane.settings import BrokerName, CommissionModel, CostSettings, Mode, OrderSettings, SlippageModel
from order_plane.supervision import Supervision
from order_plane.upkeep import Options

_CENT = 0.01
_QUIET = timedelta(hours=1)
"""How long the market may at least be silent by the venue's time: a simulator's may run many times faster than ours."""


@runtime_checkable
class _Timed(Protocol):
    """A venue that tells its own time."""

    @property
    def clock(self) -> Clock:
        """That time."""
        ...


if TYPE_CHECKING:
    from order_plane.brokers.ibkr import IbkrTerms


def build_stage(
    settings: OrderSettings,
    journal: Journal | None = None,
    broker: Broker | None = None,
    environment: Mapping[str, str] | None = None,
) -> Execution:
    """The order plane for ``settings``; call its `recover` and publish what that returns before anything else.

    Without ``journal`` and ``broker``, mode paper opens the files that the settings name and mode simulation
    keeps both in memory. ``environment`` (the process's own by default) holds the gates of live trading.

    Raises:
        LiveTradingRefused: in mode live, naming the gates that are shut.
        JournalError: when the journal cannot be trusted.
    """
    environment = os.environ if environment is None else environment
    allowed: tuple[RiskCheck, ...] = ()
    if settings.mode is Mode.LIVE:
        allowed = (scale_up(require_open_gates(environment, go_live_terms(settings)).allowed),)
    in_memory = settings.mode is Mode.SIMULATION
    calendar = calendar_of(settings)
    if journal is None:
        journal = MemoryJournal() if in_memory else durable_journal(settings)
    if broker is None:
        try:
            broker = _broker(settings, environment)
        except BaseException:
            journal.close()
            raise
    if isinstance(broker, _Timed):
        allowed = (*allowed, MarketGoesOn(max(_QUIET, settings.limits.reference_max_age), broker.clock.now))
    controls, guards = Controls(settings, calendar, allowed), guards_of(settings)
    watch = guards.account.watch if guards is not None else None
    options = options_of(settings)._replace(clock=None if in_memory else _clock_of(broker))
    market = Marks(settings.currencies, controls.hear if controls.hears else None)
    desk = Desk(settings.account, controls.checks, controls.bucket, watch, market)
    supervision = Supervision(desk, journal, guards, controls, Flattening(calendar))
    return Execution(desk, journal, broker, settings.account, supervision, options)


def options_of(settings: OrderSettings) -> Options:
    """What the plane does beside sending orders; a backtest has no venue to be held against."""
    wanted, policy = settings.reconciliation, settings.unfilled
    checked = None
    if wanted is not None and settings.mode is not Mode.SIMULATION:
        tolerance = wanted.cash_tolerance
        if tolerance is None and settings.broker is BrokerName.PAPER and not settings.currencies.of:
            tolerance = _CENT
        checked = ReconciliationOptions(wanted.unknown_orders, tolerance, wanted.opening_cash)
    unfilled = None if policy is None else UnfilledPolicy(policy.after, policy.unfilled, policy.partly)
    return Options(checked, unfilled)


def build_simulation(settings: OrderSettings) -> Execution:
    """The order plane of a backtest: the same parts with nothing on disk, ready for its first message."""
    alone = settings.model_copy(update={"reconciliation": None})
    stage = build_stage(alone, MemoryJournal(), paper_broker(settings, MemoryPaperStore()))
    stage.recover()
    return stage


def guards_of(settings: OrderSettings) -> Guards | None:
    """The automatic kill switches, None when nothing needs the account's worth to be known."""
    made, currencies = [], settings.currencies
    for each in settings.active_guards:
        targets = {KillScope.GLOBAL: "*", KillScope.ACCOUNT: settings.account}
        target = targets.get(each.scope, each.strategy_id or "*")
        made.append(PerformanceGuard(each, target, settings.capital, currencies, settings.limits.reference_max_age))
    if not (made or settings.limits.needs_equity or settings.repeat_executions):
        return None
    account = next((guard for guard in made if guard.scope is not KillScope.STRATEGY), None)
    if account is None:
        nothing = GuardSettings(daily_loss=None, drawdown=None, sharpe=None, rejects=None)
        account = PerformanceGuard(nothing, settings.account, settings.capital, currencies)
    return Guards(account, made, settings.repeat_executions)


def durable_journal(settings: OrderSettings) -> Journal:
    """The journal that ``settings`` name, with an audit log when they ask for one.

    Raises:
        JournalError: when the journal cannot be trusted.
        AuditBroken: when the audit log or its key cannot be trusted.
    """
    journal = _bare_journal(settings)
    if not settings.audit:
        return journal
    from kernel.audit_trail import AuditTrail  # noqa: PLC0415 - loads the library of signatures
    from kernel.signing import KeyRefused, signer_at  # noqa: PLC0415

    try:
        signer = signer_at(settings.audit_key_path or settings.audit_path.with_suffix(".key"))
        return AuditedJournal(journal, AuditTrail(settings.audit_path, signer))
    except KeyRefused as error:
        journal.close()
        raise AuditBroken(str(error)) from None
    except BaseException:
        journal.close()
        raise


def _bare_journal(settings: OrderSettings) -> Journal:
    if settings.journal_database is None:
        return SqliteJournal(settings.journal_path)
    from order_plane.journals.postgres import PostgresJournal  # noqa: PLC0415 - its client is an optional dependency

    return PostgresJournal(settings.journal_database.get_secret_value(), settings.journal_wait.total_seconds())


def _broker(settings: OrderSettings, environment: Mapping[str, str]) -> Broker:
    if settings.broker is BrokerName.IBKR:
        return ibkr_broker(settings, environment)
    in_memory = settings.mode is Mode.SIMULATION
    return paper_broker(settings, MemoryPaperStore() if in_memory else SqlitePaperStore(settings.paper_store_path))


def _clock_of(broker: Broker) -> Clock:
    """The clock of what the market events come from: a venue that is simulated may live in another year."""
    return broker.clock if isinstance(broker, _Timed) else SystemClock()


def ibkr_broker(settings: OrderSettings, environment: Mapping[str, str]) -> Broker:
    """Interactive Brokers through the gateway that ``settings`` name; raises as `IbkrBroker` does."""
    from order_plane.brokers.ibkr import IbkrBroker  # noqa: PLC0415 - other brokers do without

    return IbkrBroker(ibkr_terms(settings), environment)


def ibkr_terms(settings: OrderSettings) -> "IbkrTerms":
    """Where the gateway is and whose account is traded."""
    from ibkr_client.terms import address_of, contract_terms  # noqa: PLC0415 - other brokers do without
    from order_plane.brokers.ibkr import IbkrTerms  # noqa: PLC0415

    gateway = settings.ibkr
    return IbkrTerms(
        address_of(gateway),
        settings.account,
        gateway.ids_path,
        live=settings.mode is Mode.LIVE,
        paper_ports=frozenset(gateway.paper_ports),
        answer_seconds=gateway.answer_seconds,
        contracts=contract_terms(gateway),
        adaptive_priority=gateway.adaptive_priority.value,
        go_live=go_live_terms(settings),
    )


def paper_broker(settings: OrderSettings, store: PaperStore) -> PaperBroker:
    """The simulated venue that ``settings`` describe, with ``store`` as its memory."""
    return PaperBroker(
        calendar_of(settings),
        commission_of(settings.costs),
        slippage_of(settings.costs),
        store,
        instruments_of(settings),
        settings.volume_cap,
    )


def calendar_of(settings: OrderSettings) -> SessionCalendar:
    """The calendar that orders are bound to, corrected; raises ValueError for an unknown exchange or correction."""
    if settings.calendar == "24/7":
        usual = always_open(settings.calendar_first, settings.calendar_last)
    else:
        from domain.exchange_sessions import load_calendar  # noqa: PLC0415 - loads pandas, which 24/7 does without

        usual = load_calendar(settings.calendar, settings.calendar_first, settings.calendar_last)
    return usual.corrected(settings.closed_days, settings.early_closes)


def commission_of(costs: CostSettings) -> Commission:
    """The commission model that ``costs`` name."""
    models: dict[CommissionModel, Commission] = {
        CommissionModel.PER_ORDER: PerOrder(costs.commission),
        CommissionModel.PER_SHARE: PerShare(costs.commission, costs.commission_minimum),
        CommissionModel.BASIS_POINTS: BasisPoints(costs.commission, costs.commission_minimum),
    }
    return models[costs.commission_model]


def slippage_of(costs: CostSettings) -> Slippage:
    """The slippage model that ``costs`` name."""
    models: dict[SlippageModel, Slippage] = {
        SlippageModel.BASIS_POINTS: BasisPointSlippage(costs.slippage),
        SlippageModel.RANGE: RangeSlippage(costs.slippage),
    }
    return models[costs.slippage_model]
