"""The control on selling what is not held."""

from collections.abc import Mapping

from contracts.trading import OrderIntent, Side
from order_plane.risk.port import Refusal, RiskCheck, RiskView

_SELL = Side.SELL
_DUST = 1e-9
"""Units below which a sum of binary fractions counts as nothing."""


def short_sale(allowed: bool, located: Mapping[str, float]) -> RiskCheck:
    """Refuse a sale that could leave a symbol short, beyond the units ``located`` for it if there are any.

    Every sale that works or is in doubt is supposed to trade, and no purchase. A symbol that ``located`` does not
    name may be sold short without limit when ``allowed``, else not at all. A restart changes nothing: what is held
    and what works is in the journal.
    """

    def check(intent: OrderIntent, view: RiskView) -> Refusal | None:
        if intent.direction is not _SELL:
            return None
        most = located.get(intent.symbol)
        if most is None:
            if allowed:
                return None
            most = 0.0
        if view.books.lowest(intent.symbol) - intent.quantity >= -most - _DUST:
            return None
        return Refusal("SHORT_SALE", f"the position is not known to stay within {most:g} units short")

    return check
