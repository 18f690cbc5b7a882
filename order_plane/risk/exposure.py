"""Limits on what position, working and in-doubt orders can add up to."""

from datetime import timedelta
from math import isnan

from contracts.trading import OrderIntent, Side
from order_plane.risk.port import Refusal, RiskCheck, RiskView
from order_plane.risk.reducing import only_reduces

_BUY = Side.BUY


def max_symbol_notional(limit: float) -> RiskCheck:
    """Refuse to let the exposure in one symbol grow beyond ``limit`` units of account currency."""

    def check(intent: OrderIntent, view: RiskView) -> Refusal | None:
        if view.units_after <= view.units_before or view.units_after * view.worth <= limit:
            return None
        return Refusal("SYMBOL_NOTIONAL_EXCEEDED", f"exposure in the symbol would not be within {limit:g}")

    return check


def max_position(limit: float) -> RiskCheck:
    """Refuse to let the position in one symbol grow beyond ``limit`` units, long or short."""

    def check(intent: OrderIntent, view: RiskView) -> Refusal | None:
        if view.units_after <= limit or view.units_after <= view.units_before:
            return None
        return Refusal("POSITION_EXCEEDED", f"the position would not be within {limit:g} units")

    return check


def max_gross_exposure(limit: float) -> RiskCheck:
    """Refuse to let the sum of all exposures, long and short alike, grow beyond ``limit`` units of account currency."""

    def check(intent: OrderIntent, view: RiskView) -> Refusal | None:
        if view.units_after <= view.units_before:
            return None
        after = view.gross_before + (view.units_after - view.units_before) * view.worth
        if after <= limit:
            return None
        return Refusal("EXPOSURE_EXCEEDED", f"gross exposure of the account would not be within {limit:g}")

    return check


def max_net_exposure(limit: float, max_age: timedelta) -> RiskCheck:
    """Refuse a purchase that could make the account longer, or a sale that could make it shorter, than ``limit``.

    In units of account currency, supposing that of all working orders only those on the same side trade. While
    something that counts has no price younger than ``max_age``, only what reduces a position passes.
    """

    def check(intent: OrderIntent, view: RiskView) -> Refusal | None:
        lowest, highest = view.books.net(max_age)
        value = intent.quantity * view.worth
        after = highest + value if intent.direction is _BUY else value - lowest
        if after <= limit or (isnan(after) and only_reduces(intent, view.books)):
            return None
        return Refusal("NET_EXPOSURE_EXCEEDED", f"net exposure of the account would not be within {limit:g}")

    return check


def max_strategy_notional(limit: float) -> RiskCheck:
    """Refuse to let the gross exposure of one strategy grow beyond ``limit`` units of account currency."""

    def check(intent: OrderIntent, view: RiskView) -> Refusal | None:
        signed = intent.quantity if intent.direction is _BUY else -intent.quantity
        before, after = view.books.strategy_notional(intent.strategy_id, intent.symbol, signed)
        if after <= limit or after <= before:
            return None
        return Refusal("STRATEGY_NOTIONAL_EXCEEDED", f"exposure of the strategy would not be within {limit:g}")

    return check
