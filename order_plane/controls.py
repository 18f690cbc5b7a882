"""The controls before every order, put together from their limits; a limit that is not set costs nothing."""

from domain.calendar import SessionCalendar
from domain.instrument import Instrument
from order_plane.approved_plans import ApprovedPlans
from order_plane.limit_settings import LimitSettings
from order_plane.risk import exposure, funds, order_size
from order_plane.risk.duplicates import RepeatedOrder
from order_plane.risk.halt import not_halted, not_in_doubt
from order_plane.risk.instrument_rules import ticks_and_lots
from order_plane.risk.permission import approved_plan, not_restricted, own_account
from order_plane.risk.port import RiskCheck
from order_plane.risk.price import fresh_reference, price_collar
from order_plane.risk.rate import message_rate
from order_plane.risk.session import market_hours, not_expired
from order_plane.risk.traffic import max_orders_per_execution
from order_plane.settings import OrderSettings
from order_plane.throttle import TokenBucket


class LooserLimit(ValueError):
    """A limit was asked to become looser while the order plane runs; the message names it."""


class Controls:
    """Every control in the order it is asked; the first refusal wins, those that remember stand last."""

    def __init__(self, settings: OrderSettings, calendar: SessionCalendar, allowed: tuple[RiskCheck, ...] = ()) -> None:
        throttle = settings.throttle
        self.bucket = TokenBucket(throttle.rate_per_second, throttle.burst, throttle.cancel_reserve)
        self.plans = ApprovedPlans() if settings.verify_plans else None
        self._limits = settings.limits
        self._worth_is_known = bool(settings.active_guards) or settings.limits.needs_equity
        self._first: tuple[RiskCheck, ...] = (
            not_halted,
            own_account(settings.account),
            not_expired,
            market_hours(calendar),
            *(() if self.plans is None else (approved_plan(self.plans.objection),)),
            ticks_and_lots(instruments_of(settings)),
            *allowed,
        )
        self._rate = message_rate(self.bucket)
        self._repeated = RepeatedOrder(settings.limits.duplicate_window)

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
            not_in_doubt,
            self._rate,
            self._repeated,
        )

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
        self._limits = limits
        self._repeated.widen(limits.duplicate_window)
        return self.checks


def loosened(before: LimitSettings, after: LimitSettings) -> list[str]:
    """The limits that ``after`` sets looser than ``before``, by name."""
    found = []
    for name in LimitSettings.model_fields:
        old, new = getattr(before, name), getattr(after, name)
        if name == "restricted":
            looser = not old <= new
        elif name == "duplicate_window":
            looser = new < old
        else:
            looser = old is not None and (new is None or new > old)
        if looser:
            found.append(name)
    return found


def instruments_of(settings: OrderSettings) -> dict[str, Instrument]:
    """The trading grid of each symbol that has one."""
    return {
        symbol: Instrument(symbol, rules.tick_size, rules.lot_size, rules.currency or settings.currency)
        for symbol, rules in settings.instruments.items()
    }


def _optional(limits: LimitSettings) -> list[RiskCheck]:
    checks = {
        exposure.max_net_exposure: limits.max_net_exposure,
        exposure.max_strategy_notional: limits.max_strategy_notional,
        exposure.max_position: limits.max_position,
        funds.max_concentration: limits.max_concentration,
        funds.buying_power: limits.max_leverage,
        funds.max_daily_loss: limits.max_daily_loss,
    }
    found = [control(limit) for control, limit in checks.items() if limit is not None]
    if limits.max_orders_per_execution is not None:
        found.append(max_orders_per_execution(limits.max_orders_per_execution, limits.orders_before_ratio))
    if limits.restricted:
        found.insert(0, not_restricted(limits.restricted))
    return found
