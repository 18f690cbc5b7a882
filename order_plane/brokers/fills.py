"""At which price, if at all, an order trades within one bar."""

from dataclasses import dataclass

from contracts.market import BarEvent
from contracts.trading import OrderIntent, OrderType, Side
from domain.costs import Slippage
from domain.instrument import round_down, round_up

_BUY = Side.BUY  # looking a member up by name costs more than comparing it


@dataclass(frozen=True, slots=True)
class Pricing:
    """How far from the reference market executions trade, and on which tick (0: any price)."""

    slippage: Slippage
    tick_size: float = 0.0


def is_triggered(intent: OrderIntent, bar: BarEvent) -> bool:
    """Whether the bar reached the order's stop price."""
    stop = intent.stop_price
    if stop is None:
        return True
    return bar.high >= stop if intent.direction is _BUY else bar.low <= stop


def execution_price(intent: OrderIntent, bar: BarEvent, working_before: bool, pricing: Pricing) -> float | None:
    """The price per unit at which the order trades in ``bar``, None when it does not.

    ``working_before`` says that a stop was triggered by an earlier bar. Of a bar's path only its ends and its
    extremes are known, so every rule takes the first moment the order certainly could have traded:

    * market, and a stop triggered earlier: the open, plus slippage against us;
    * limit: the open when it is at least as good as the limit, else the limit once the bar touches it;
    * stop: the stop, or the open when the bar opened beyond it, plus slippage;
    * stop-limit: as a limit from the moment of the trigger; a limit that only the close is known to have
      reached after the trigger trades at the limit.

    ADAPTIVE trades as MARKET. Slippage may leave the bar's range, since it stands for a book we cannot see;
    a price without slippage never does.
    """
    wish = intent.__dict__  # a model's attributes cost four times as much as a dictionary's keys
    if wish["limit_price"] is None and (working_before or wish["stop_price"] is None):
        return _slipped(intent, bar, bar.open, pricing)
    kind = intent.order_type
    if kind is OrderType.LIMIT or (kind is OrderType.STOP_LIMIT and working_before):
        return _limit(intent, bar, bar.open, pricing)
    if kind is OrderType.STOP_LIMIT:
        return _stop_limit(intent, bar, pricing)
    if kind is OrderType.STOP and not working_before:
        return _slipped(intent, bar, _trigger_price(intent, bar), pricing) if is_triggered(intent, bar) else None
    return _slipped(intent, bar, bar.open, pricing)  # a price that its type does not ask for is ignored


def _slipped(intent: OrderIntent, bar: BarEvent, reference: float, pricing: Pricing) -> float:
    """``reference`` moved against us by the slippage, and on to the next tick that is no better."""
    traded = bar.__dict__
    worse = pricing.slippage(reference, traded["high"], traded["low"])
    tick = pricing.tick_size
    if intent.direction is _BUY:
        price = reference + worse
        price = round_up(price, tick) if tick else price
        return price if worse else min(price, bar.high)
    price = reference - worse
    price = round_down(price, tick) if tick else price
    return max(price if worse else max(price, bar.low), tick or 1e-10)


def _limit(intent: OrderIntent, bar: BarEvent, start: float, pricing: Pricing) -> float | None:
    """Trade at ``start`` when the limit allows it, else at the limit when the bar touches it."""
    limit, tick = intent.limit_price, pricing.tick_size
    if limit is None:
        return None
    if intent.direction is _BUY:
        if bar.low > limit:
            return None
        return limit if start >= limit else min(limit, round_up(start, tick), bar.high)
    if bar.high < limit:
        return None
    return limit if start <= limit else max(limit, round_down(start, tick), bar.low)


def _stop_limit(intent: OrderIntent, bar: BarEvent, pricing: Pricing) -> float | None:
    if intent.limit_price is None or not is_triggered(intent, bar):
        return None
    trigger = _trigger_price(intent, bar)
    if trigger == bar.open:
        return _limit(intent, bar, trigger, pricing)
    buying = intent.direction is _BUY
    if trigger <= intent.limit_price if buying else trigger >= intent.limit_price:
        return trigger
    reached = bar.close <= intent.limit_price if buying else bar.close >= intent.limit_price
    return intent.limit_price if reached else None


def _trigger_price(intent: OrderIntent, bar: BarEvent) -> float:
    stop = bar.open if intent.stop_price is None else intent.stop_price
    return max(stop, bar.open) if intent.direction is _BUY else min(stop, bar.open)
