"""The controls before every order, put together from their limits; a limit that is not set costs nothing."""

from collections.abc import Callable, Mapping
from functools import partial
from math import inf

from contracts.market import BarEvent, TickEvent
from domain.calendar import SessionCalendar
from domain.instrument import Instrument
from order_plane.approved_plans import ApprovedPlans
from order_plane.facts import FactKind
from order_plane.journals.port import Past
from order_plane.limit_settings import LimitSettings, loosened
from order_plane.risk import exposure, funds, order_size
from order_plane.risk.drift import PriceWindow, period_collar
from order_plane.risk.duplicates import RepeatedOrder
from order_plane.risk.halt import not_halted, not_in_doubt
from order_plane.risk.instrument_rules import ticks_and_lots
from order_plane.risk.permission import approved_plan, not_restricted, own_account
from order_plane.risk.port import RiskCheck
from order_plane.risk.price import fresh_reference, price_collar
from order_plane.risk.rate import StrategyRate, message_rate
from order_plane.risk.reducing import reducing_only
from order_plane.risk.session import market_hours, not_expired
from order_plane.risk.short_sale import short_sale
from order_plane.risk.traffic import max_orders_per_execution
from order_plane.risk.volume import DailyVolumes, max_volume_share
from order_plane.settings import OrderSettings
from order_plane.throttle import TokenBucket


class LooserLimit(ValueError):
    """A limit was asked to become looser while the order plane runs; the message names it."""


_ASKED = (FactKind.REPLACE_REQUESTED, FactKind.CANCEL_REQUESTED)


class Controls:
    """Every control in the order it is asked; the first refusal wins, those that remember stand last.

    `hear` wants every market event when it `hears`, `recall` every order of the journal after a restart, `restore` and
    `changed` its notes: what controls remember comes back so, or is unknown until it was seen again.
    """

    def __init__(self, settings: OrderSettings, calendar: SessionCalendar, allowed: tuple[RiskCheck, ...] = ()) -> None:
        throttle = settings.throttle
        self.bucket = TokenBucket(throttle.rate_per_second, throttle.burst, throttle.cancel_reserve)
        self.plans = ApprovedPlans() if settings.verify_plans else None
        self.configured = self._limits = settings.limits
        """The limits that the process was started with."""
        self._worth_is_known = bool(settings.active_guards) or settings.limits.needs_equity
        self._first: tuple[RiskCheck, ...] = (
            not_halted,
            reducing_only,
            own_account(settings.account),
            not_expired,
            market_hours(calendar),
            *(() if self.plans is None else (approved_plan(self.plans.objection),)),
            *((ticks_and_lots(instruments_of(settings)),) if settings.instruments else ()),
            *allowed,
        )
        self._rate = message_rate(self.bucket)
        limits = settings.limits
        self._strategies = StrategyRate(limits.max_strategy_rate or inf, limits.strategy_burst)
        self._repeated = RepeatedOrder(limits.duplicate_window)
        self._volumes = None if limits.max_volume_share is None else DailyVolumes(limits.volume_days)
        self._prices = None if limits.period_collar is None else PriceWindow(limits.collar_period)
        self.hears = self._volumes is not None or self._prices is not None
        """Whether market events must be heard one by one."""

    @property
    def limits(self) -> LimitSettings:
        """The limits in force."""
        return self._limits

    @property
    def checks(self) -> tuple[RiskCheck, ...]:
        """The controls that are set."""
        limits = self._limits
        return (
            *self._first,
            fresh_reference(limits.reference_max_age),
            price_collar(limits.price_collar),
            order_size.max_order_quantity(limits.max_order_quantity),
            order_size.max_order_value(limits.max_order_value),
            exposure.max_symbol_notional(limits.max_symbol_notional),
            exposure.max_gross_exposure(limits.max_gross_exposure),
            *_optional(limits),
            *self._by_the_past(limits),
            not_in_doubt,
            *(() if limits.max_strategy_rate is None else (self._strategies,)),
            self._rate,
            self._repeated,
        )

    def hear(self, event: BarEvent | TickEvent) -> None:
        """Remember what limits by the market's past are judged by."""
        if isinstance(event, BarEvent):
            if self._volumes is not None:
                self._volumes.hear(event)
            price = event.close
        else:
            price = event.price
        if self._prices is not None:
            self._prices.hear(event.symbol, price, event.timestamp)

    def recall(self, past: Past) -> None:
        """Count an order of an earlier life, and what was asked about it, as if it had been sent now."""
        if past.is_no_order:
            return
        intent, facts = past.intent, past.facts
        at = max(intent.timestamp, facts[0].timestamp) if facts else intent.timestamp
        self._repeated.recall(intent, at)
        self._strategies.recall(intent.strategy_id, at)
        self.bucket.take_for_cancel(at)
        for fact in facts:
            if fact.kind in _ASKED:
                self.bucket.take_for_cancel(fact.timestamp)
                if fact.kind is FactKind.REPLACE_REQUESTED:
                    self._strategies.recall(intent.strategy_id, fact.timestamp)

    def restore(self, notes: Mapping[str, str]) -> None:
        """Take back what `changed` had told the journal."""
        if self._volumes is not None:
            self._volumes.restore(notes)

    def changed(self) -> dict[str, str]:
        """What the journal must keep and was not told yet, by name."""
        return {} if self._volumes is None else self._volumes.changed()

    def tighten(self, limits: LimitSettings) -> tuple[RiskCheck, ...]:
        """The controls with ``limits`` in place of those before; what was remembered stays.

        Raises:
            LooserLimit: naming each limit that would become looser, when there is any.
        """
        looser = loosened(self._limits, limits)
        if looser:
            raise LooserLimit(f"limits may only become tighter while the order plane runs; looser: {', '.join(looser)}")
        if limits.needs_equity and not self._worth_is_known:
            raise LooserLimit("nobody counts what the account is worth; a limit on equity needs a restart")
        if (limits.max_volume_share and not self._volumes) or (limits.period_collar and not self._prices):
            raise LooserLimit(
                "nobody remembers the market; a limit by volume or a collar over a period needs a restart"
            )
        self._limits = limits
        self._repeated.widen(limits.duplicate_window)
        self._strategies.slow(limits.max_strategy_rate or inf, limits.strategy_burst)
        if self._prices is not None:
            self._prices.widen(limits.collar_period)
        return self.checks

    def _by_the_past(self, limits: LimitSettings) -> list[RiskCheck]:
        found = []
        if self._volumes is not None and limits.max_volume_share is not None:
            found.append(max_volume_share(limits.max_volume_share, self._volumes))
        if self._prices is not None and limits.period_collar is not None:
            found.append(period_collar(limits.period_collar, self._prices))
        return found


def instruments_of(settings: OrderSettings) -> dict[str, Instrument]:
    """The trading grid of each symbol that has one."""
    return {
        symbol: Instrument(symbol, rules.tick_size, rules.lot_size, rules.currency or settings.currency)
        for symbol, rules in settings.instruments.items()
    }


def _optional(limits: LimitSettings) -> list[RiskCheck]:
    max_age = limits.reference_max_age
    checks: dict[Callable[[float], RiskCheck], float | None] = {
        partial(exposure.max_net_exposure, max_age=max_age): limits.max_net_exposure,
        exposure.max_strategy_notional: limits.max_strategy_notional,
        exposure.max_position: limits.max_position,
        partial(funds.max_concentration, max_age=max_age): limits.max_concentration,
        partial(funds.buying_power, max_age=max_age): limits.max_leverage,
        partial(funds.max_daily_loss, max_age=max_age): limits.max_daily_loss,
    }
    found = [control(limit) for control, limit in checks.items() if limit is not None]
    if limits.max_orders_per_execution is not None:
        found.append(max_orders_per_execution(limits.max_orders_per_execution, limits.orders_before_ratio))
    if limits.located or not limits.short_selling:
        found.append(short_sale(limits.short_selling, limits.located))
    if limits.restricted:
        found.insert(0, not_restricted(limits.restricted))
    return found
