"""Limits on what position, working and in-doubt orders can add up to."""

from contracts.trading import OrderIntent
from order_plane.risk.port import Refusal, RiskCheck, RiskView


def max_symbol_notional(limit: float) -> RiskCheck:
    """Refuse to let the exposure in one symbol grow beyond ``limit`` currency units."""

    def check(intent: OrderIntent, view: RiskView) -> Refusal | None:
        if view.units_after * view.reference <= limit or view.units_after <= view.units_before:
            return None
        return Refusal("SYMBOL_NOTIONAL_EXCEEDED", f"exposure in the symbol would not be within {limit:g}")

    return check


def max_gross_exposure(limit: float) -> RiskCheck:
    """Refuse to let the sum of all exposures, long and short alike, grow beyond ``limit`` currency units."""

    def check(intent: OrderIntent, view: RiskView) -> Refusal | None:
        after = view.gross_before + (view.units_after - view.units_before) * view.reference
        if after <= limit or view.units_after <= view.units_before:
            return None
        return Refusal("EXPOSURE_EXCEEDED", f"gross exposure of the account would not be within {limit:g}")

    return check
