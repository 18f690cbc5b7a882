"""Intents and bars as tests of the order plane tell them, and how they hear what it says."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from contracts.market import BarEvent
from contracts.trading import ExecutionReport, OrderIntent, OrderStatus, OrderType, Side, TimeInForce

NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)
"""Noon of a trading day in New York, to which tests count minutes."""


def an_intent(number=1, minutes=0, **changes):
    """A wish for ten units at the market that stands until it is filled."""
    fields = {
        "intent_id": UUID(int=number),
        "symbol": "AAPL",
        "direction": Side.BUY,
        "quantity": 10.0,
        "order_type": OrderType.MARKET,
        "timestamp": NOON + timedelta(minutes=minutes),
        "time_in_force": TimeInForce.GTC,
    }
    return OrderIntent(**{**fields, **changes})


def a_bar(minutes=0, price=100.0, symbol="AAPL", **changes):
    """A bar about ``price``, one up and one down."""
    fields = {"open": price, "high": price + 1, "low": price - 1, "close": price, "volume": 1_000.0}
    return BarEvent(symbol=symbol, timestamp=NOON + timedelta(minutes=minutes), **{**fields, **changes})


def tell(stage, *messages):
    """Hand over one batch and return everything the stage says to it."""
    said = [output for message in messages for output in stage.handlers[type(message)](message)]
    return [*said, *stage.settle()]


def as_shown(stage, release):
    """``release`` with the name of what its giver is shown to hold the switch now."""
    newest = stage.supervision.newest(release)
    return release.model_copy(update={"ends": None if newest is None else newest.command_id})


def seen(outputs):
    """What reports among ``outputs`` say: of which intent, which status, and as the how-manieth."""
    return [
        (each.intent_id.int, each.status.value, each.sequence) for each in outputs if isinstance(each, ExecutionReport)
    ]


def reported(intent, status, units=0.0, price=None, at=None, **more):
    """The report that ``intent`` stands so, with ``units`` traded at ``price``, if not ``at`` when it was decided."""
    return ExecutionReport(
        intent_id=intent.intent_id,
        order_id="1",
        symbol=intent.symbol,
        status=status,
        filled_quantity=units,
        avg_fill_price=price if units else None,
        timestamp=at or intent.timestamp,
        reject_reason="limit" if status is OrderStatus.REJECTED else None,
        direction=intent.direction,
        strategy_id=intent.strategy_id,
        **more,
    )


def filled(intent, price, at=None):
    """The report that ``intent`` has traded whole at ``price``, when it was decided if not ``at``."""
    return reported(intent, OrderStatus.FILLED, intent.quantity, price, at)
