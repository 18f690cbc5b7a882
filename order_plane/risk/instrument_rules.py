"""Controls on the grid an instrument trades on."""

from collections.abc import Mapping

from contracts.trading import OrderIntent
from domain.instrument import Instrument
from order_plane.risk.port import Refusal, RiskCheck, RiskView


def ticks_and_lots(instruments: Mapping[str, Instrument]) -> RiskCheck:
    """Refuse prices off the tick and quantities that are not whole lots, for symbols that have rules."""

    def check(intent: OrderIntent, view: RiskView) -> Refusal | None:
        rules = instruments.get(intent.symbol)
        if rules is None:
            return None
        if not rules.is_whole_lots(intent.quantity):
            return Refusal("LOT_SIZE", f"quantity is not a multiple of {rules.lot_size:g} units")
        for price in (intent.limit_price, intent.stop_price):
            if price is not None and not rules.is_on_tick(price):
                return Refusal("TICK_SIZE", f"price is not a multiple of {rules.tick_size:g}")
        return None

    return check
