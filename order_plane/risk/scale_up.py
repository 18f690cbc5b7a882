"""The control that lets live trading grow only as it was signed; orders that reduce a position always pass."""

from collections.abc import Callable
from datetime import datetime

from contracts.trading import OrderIntent
from domain.go_live import Allowance
from order_plane.risk.port import Refusal, RiskCheck, RiskView
from order_plane.risk.reducing import only_reduces


def scale_up(allowed: Callable[[datetime], Allowance | None]) -> RiskCheck:
    """Refuse what would exceed the step that holds at the moment, and what reduces no position when none does."""

    def check(intent: OrderIntent, view: RiskView) -> Refusal | None:
        step = allowed(view.now)
        if step is None and not only_reduces(intent, view.books):
            return Refusal(
                "SCALE_UP_REVIEW_MISSING", "the review of the scale-up is overdue; positions may only shrink"
            )
        if step is None or view.units_after <= view.units_before:
            return None
        if not view.units_after * view.worth <= step.position_cap:
            return Refusal("SCALE_UP_POSITION_EXCEEDED", f"exposure in the symbol is not within {step.position_cap:g}")
        after = view.gross_before + (view.units_after - view.units_before) * view.worth
        if not after <= step.exposure_cap:
            return Refusal(
                "SCALE_UP_CAPITAL_EXCEEDED", f"gross exposure is not known to be within {step.exposure_cap:g}"
            )
        return None

    return check
