"""Intents, bars and views that the order plane's tests start from."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from contracts.control import KillScope, KillSwitchCommand
from contracts.market import BarEvent
from contracts.trading import OrderIntent, OrderType, Side
from order_plane.risk.port import RiskView

NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)


@pytest.fixture
def noon():
    return NOON


@pytest.fixture
def make_intent():
    def make(number=1, **changes):
        fields = {
            "intent_id": UUID(int=number),
            "symbol": "AAPL",
            "direction": Side.BUY,
            "quantity": 10.0,
            "order_type": OrderType.MARKET,
            "timestamp": NOON,
        }
        return OrderIntent(**{**fields, **changes})

    return make


@pytest.fixture
def make_bar():
    def make(minutes=0, price=100.0, symbol="AAPL", **changes):
        fields = {
            "symbol": symbol,
            "timestamp": NOON + timedelta(minutes=minutes),
            "open": price,
            "high": price + 1,
            "low": price - 1,
            "close": price,
            "volume": 1_000.0,
        }
        return BarEvent(**{**fields, **changes})

    return make


@pytest.fixture
def make_view():
    def make(**changes):
        fields = {
            "now": NOON,
            "reference": 100.0,
            "reference_at": NOON,
            "price": 100.0,
            "units_before": 0.0,
            "units_after": 10.0,
            "gross_before": 0.0,
        }
        return RiskView(**{**fields, **changes})

    return make


@pytest.fixture
def make_command():
    def make(engage, number=1, scope=KillScope.GLOBAL, target="*"):
        return KillSwitchCommand(
            command_id=UUID(int=number),
            timestamp=NOON,
            engage=engage,
            scope=scope,
            target=target,
            operator="ada",
            reason="drill",
        )

    return make
