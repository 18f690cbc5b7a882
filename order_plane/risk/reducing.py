"""What it means that an order only reduces a position, and the control that lets nothing else pass."""

from contracts.control import KillScope
from contracts.trading import OrderIntent, Side
from order_plane.risk.port import Books, Refusal, RiskView

_SELL = Side.SELL
_DUST = 1e-9
"""Units below which a sum of binary fractions counts as nothing."""


def reduces(side: Side, units: float, lowest: float, highest: float) -> bool:
    """Whether an order of ``units`` brings a position nearer to nothing, and at most to it, whatever else trades.

    ``lowest`` and ``highest`` is the position (units, short negative) if, of what works or is in doubt beside it, only
    sales trade, or only purchases. Not-a-number is reduced by nothing.
    """
    return units <= (lowest if side is _SELL else -highest) + _DUST


def only_reduces(intent: OrderIntent, books: Books, strategy_id: str | None = None) -> bool:
    """Whether ``intent`` only reduces what the account holds, or of that what ``strategy_id`` holds."""
    return reduces(intent.direction, intent.quantity, *books.reach(intent.symbol, strategy_id))


def reducing_only(intent: OrderIntent, view: RiskView) -> Refusal | None:
    """Refuse what does not only reduce a position while a kill switch allows no more."""
    for switch in view.narrowed:
        strategy = intent.strategy_id if switch.scope is KillScope.STRATEGY else None
        if not only_reduces(intent, view.books, strategy):
            held = "position" if strategy is None else "position of the strategy"
            return Refusal("REDUCE_ONLY", f"a kill switch engaged by {switch.operator} lets the {held} only shrink")
    return None
