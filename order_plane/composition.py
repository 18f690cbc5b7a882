"""The order plane put together from its settings: the one place that knows modes and adapters."""

import os
from collections.abc import Mapping

from domain.calendar import SessionCalendar, always_open
from domain.costs import BasisPoints, BasisPointSlippage, Commission, PerOrder, PerShare, RangeSlippage, Slippage
from domain.instrument import Instrument
from kernel.audit_log import AuditBroken
from order_plane.audited_journal import AuditedJournal
from order_plane.brokers.paper import PaperBroker
from order_plane.brokers.paper_store import MemoryPaperStore, PaperStore
from order_plane.brokers.port import Broker
from order_plane.brokers.sqlite_paper_store import SqlitePaperStore
from order_plane.desk import Desk
from order_plane.execution import Execution
from order_plane.gates import require_open_gates
from order_plane.journal import Journal
from order_plane.memory_journal import MemoryJournal
from order_plane.policies import UnfilledPolicy
from order_plane.reconciler import ReconciliationOptions
from order_plane.risk.duplicates import RepeatedOrder
from order_plane.risk.exposure import max_gross_exposure, max_symbol_notional
from order_plane.risk.halt import not_halted, not_in_doubt
from order_plane.risk.instrument_rules import ticks_and_lots
from order_plane.risk.order_size import max_order_quantity, max_order_value
from order_plane.risk.port import RiskCheck
from order_plane.risk.price import fresh_reference, price_collar
from order_plane.risk.rate import message_rate
from order_plane.risk.session import market_hours, not_expired
from order_plane.settings import CommissionModel, CostSettings, Mode, OrderSettings, SlippageModel
from order_plane.sqlite_journal import SqliteJournal
from order_plane.throttle import TokenBucket
from order_plane.upkeep import Options


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
    if settings.mode is Mode.LIVE:
        require_open_gates(os.environ if environment is None else environment)
    in_memory = settings.mode is Mode.SIMULATION
    calendar = calendar_of(settings)
    if journal is None:
        journal = MemoryJournal() if in_memory else durable_journal(settings)
    if broker is None:
        broker = paper_broker(
            settings, MemoryPaperStore() if in_memory else SqlitePaperStore(settings.paper_store_path)
        )
    bucket = TokenBucket(settings.throttle.rate_per_second, settings.throttle.burst, settings.throttle.cancel_reserve)
    desk = Desk(settings.account, pre_trade_controls(settings, calendar, bucket), bucket)
    return Execution(desk, journal, broker, settings.account, options_of(settings))


def options_of(settings: OrderSettings) -> Options:
    """What the plane does beside sending orders; a backtest has no venue to be held against."""
    wanted, policy = settings.reconciliation, settings.unfilled
    checked = None
    if wanted is not None and settings.mode is not Mode.SIMULATION:
        checked = ReconciliationOptions(wanted.unknown_orders, wanted.cash_tolerance, wanted.opening_cash)
    unfilled = None if policy is None else UnfilledPolicy(policy.after, policy.unfilled, policy.partly)
    return Options(checked, unfilled)


def build_simulation(settings: OrderSettings) -> Execution:
    """The order plane of a backtest: the same parts with nothing on disk, ready for its first message."""
    alone = settings.model_copy(update={"reconciliation": None})
    stage = build_stage(alone, MemoryJournal(), paper_broker(settings, MemoryPaperStore()))
    stage.recover()
    return stage


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
    from order_plane.postgres_journal import PostgresJournal  # noqa: PLC0415 - its client is an optional dependency

    return PostgresJournal(settings.journal_database.get_secret_value(), settings.journal_wait.total_seconds())


def pre_trade_controls(
    settings: OrderSettings, calendar: SessionCalendar, bucket: TokenBucket
) -> tuple[RiskCheck, ...]:
    """Every control in the order it is asked; the first refusal wins, those that remember stand last."""
    limits = settings.limits
    return (
        not_halted,
        not_expired,
        market_hours(calendar),
        ticks_and_lots(_instruments(settings)),
        fresh_reference(limits.reference_max_age),
        price_collar(limits.price_collar),
        max_order_quantity(limits.max_order_quantity),
        max_order_value(limits.max_order_value),
        max_symbol_notional(limits.max_symbol_notional),
        max_gross_exposure(limits.max_gross_exposure),
        not_in_doubt,
        message_rate(bucket),
        RepeatedOrder(limits.duplicate_window),
    )


def paper_broker(settings: OrderSettings, store: PaperStore) -> PaperBroker:
    """The simulated venue that ``settings`` describe, with ``store`` as its memory."""
    return PaperBroker(
        calendar_of(settings),
        commission_of(settings.costs),
        slippage_of(settings.costs),
        store,
        _instruments(settings),
        settings.volume_cap,
    )


def calendar_of(settings: OrderSettings) -> SessionCalendar:
    """The calendar that orders are bound to; raises ValueError for an unknown exchange."""
    if settings.calendar == "24/7":
        return always_open(settings.calendar_first, settings.calendar_last)
    from domain.exchange_sessions import load_calendar  # noqa: PLC0415 - loads pandas, which 24/7 does without

    return load_calendar(settings.calendar, settings.calendar_first, settings.calendar_last)


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


def _instruments(settings: OrderSettings) -> dict[str, Instrument]:
    return {
        symbol: Instrument(symbol, rules.tick_size, rules.lot_size) for symbol, rules in settings.instruments.items()
    }
