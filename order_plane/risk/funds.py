"""Limits on what may be risked of what the account is worth; orders that reduce a position always pass.

It is not known while something held has no price younger than ``max_age`` of event time.
"""

from datetime import timedelta
from math import inf

from contracts.trading import OrderIntent
from order_plane.risk.port import Refusal, RiskCheck, RiskView
from order_plane.risk.reducing import only_reduces


def max_concentration(fraction: float, max_age: timedelta) -> RiskCheck:
    """Refuse to let the exposure in one symbol grow beyond ``fraction`` of equity."""

    def check(intent: OrderIntent, view: RiskView) -> Refusal | None:
        if view.units_after <= view.units_before:
            return None
        if view.units_after * view.worth <= fraction * view.books.equity(max_age) < inf:
            return None
        return Refusal(
            "CONCENTRATION_EXCEEDED", f"exposure in the symbol is not known to be within {fraction:.0%} of equity"
        )

    return check


def buying_power(leverage: float, max_age: timedelta) -> RiskCheck:
    """Refuse to let gross exposure grow beyond ``leverage`` times equity."""

    def check(intent: OrderIntent, view: RiskView) -> Refusal | None:
        if view.units_after <= view.units_before:
            return None
        after = view.gross_before + (view.units_after - view.units_before) * view.worth
        if after <= leverage * view.books.equity(max_age) < inf:
            return None
        return Refusal("BUYING_POWER_EXCEEDED", f"gross exposure is not known to be within {leverage:g} times equity")

    return check


def max_daily_loss(limit: float, max_age: timedelta) -> RiskCheck:
    """Let orders only reduce positions once more than ``limit`` (account currency) was lost since the day began."""

    def check(intent: OrderIntent, view: RiskView) -> Refusal | None:
        if -limit <= view.books.day_result(max_age) < inf or only_reduces(intent, view.books):
            return None
        return Refusal("DAILY_LOSS_EXCEEDED", f"the loss of the day is not known to be within {limit:g}")

    return check
