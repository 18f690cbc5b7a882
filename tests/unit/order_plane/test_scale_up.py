from datetime import UTC, datetime
from uuid import UUID

import pytest

from contracts.trading import OrderIntent, OrderType, Side
from domain.go_live import Allowance
from order_plane.risk.port import NO_BOOKS, NoBooks, RiskView
from order_plane.risk.scale_up import scale_up

STEP = Allowance(1_000.0, 600.0)
AT = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)


class Holding(NoBooks):
    """An account that holds so many units, of which nothing works."""

    def __init__(self, units):
        self.reach = lambda symbol, strategy_id: (units, units)


def refusal(before, after, allowed=STEP, gross=0.0, reference=10.0, rate=1.0, books=NO_BOOKS):
    intent = OrderIntent(
        intent_id=UUID(int=1),
        symbol="AAPL",
        direction=Side.BUY,
        quantity=1.0,
        order_type=OrderType.MARKET,
        timestamp=AT,
    )
    view = RiskView(AT, reference, AT, reference, before, after, gross, rate=rate, books=books)
    found = scale_up(lambda at: allowed if at == AT else None)(intent, view)
    return found and found.code


@pytest.mark.parametrize(
    ("before", "after", "gross", "expected"),
    [
        (0.0, 60.0, 0.0, None),
        (0.0, 60.1, 0.0, "SCALE_UP_POSITION_EXCEEDED"),
        (0.0, 50.0, 500.0, None),
        (0.0, 50.1, 500.0, "SCALE_UP_CAPITAL_EXCEEDED"),
        (90.0, 80.0, 5_000.0, None),
        (0.0, 10.0, float("nan"), "SCALE_UP_CAPITAL_EXCEEDED"),
    ],
)
def test_growth_stays_within_the_step(before, after, gross, expected):
    assert refusal(before, after, gross=gross) == expected


@pytest.mark.parametrize(("rate", "most"), [(1_300.0, 600.0 / 13_000.0), (1 / 1_300.0, 78_000.0)])
def test_what_is_capped_is_worth_in_account_currency(rate, most):
    assert refusal(0.0, most * 0.99, rate=rate) is None
    assert refusal(0.0, most * 1.01, rate=rate) == "SCALE_UP_POSITION_EXCEEDED"
    assert refusal(0.0, most * 0.99, rate=rate, gross=410.0) == "SCALE_UP_CAPITAL_EXCEEDED"
    assert refusal(0.0, 1.0, rate=float("nan")) == "SCALE_UP_POSITION_EXCEEDED"


def test_without_a_step_positions_may_only_shrink():
    assert refusal(0.0, 0.1, allowed=None) == "SCALE_UP_REVIEW_MISSING"
    assert refusal(5.0, 4.0, allowed=None, books=Holding(-5.0)) is None
    assert refusal(0.5, 0.5, allowed=None, books=Holding(-0.5)) == "SCALE_UP_REVIEW_MISSING", "it changes the side"
    assert refusal(5.0, 4.0, allowed=None) == "SCALE_UP_REVIEW_MISSING", "what is held is not known"


def test_a_price_that_is_not_known_refuses():
    assert refusal(0.0, 1.0, reference=float("nan")) == "SCALE_UP_POSITION_EXCEEDED"
