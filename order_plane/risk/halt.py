"""Controls that stop trading altogether."""

from contracts.trading import OrderIntent
from order_plane.risk.port import Refusal, RiskView


def not_halted(intent: OrderIntent, view: RiskView) -> Refusal | None:
    """Refuse while a kill switch is engaged or the symbol is halted."""
    if view.halted is None:
        return None
    return Refusal("TRADING_HALTED", view.halted)


def not_in_doubt(intent: OrderIntent, view: RiskView) -> Refusal | None:
    """Refuse while the outcome of an earlier order of this symbol and side is unknown."""
    if not view.in_doubt:
        return None
    return Refusal("IN_DOUBT_BLOCK", "an earlier order of this symbol and side has an unknown outcome")
