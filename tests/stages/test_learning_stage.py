"""The order plane that learns: the same orders and reports, and beside them what they cost."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from contracts.codec import decode, encode
from contracts.market import BarEvent
from contracts.trading import ExecutionCost, OrderIntent, OrderType, Side, TimeInForce
from order_plane.composition import build_simulation
from order_plane.learning import CostLearner, Learning
from order_plane.settings import Mode, OrderSettings

NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)
SETTINGS = OrderSettings(
    mode=Mode.SIMULATION, costs={"slippage": 10.0}, volume_cap=None, limits={"duplicate_window": 0}
)


def a_bar(minutes, price=100.0):
    prices = {"open": price, "high": price + 1, "low": price - 1, "close": price}
    return BarEvent(symbol="AAPL", timestamp=NOON + timedelta(minutes=minutes), volume=1_000.0, **prices)


def an_intent(number, minutes, side=Side.BUY):
    return OrderIntent(
        intent_id=UUID(int=number),
        symbol="AAPL",
        direction=side,
        quantity=10.0,
        order_type=OrderType.MARKET,
        timestamp=NOON + timedelta(minutes=minutes),
        time_in_force=TimeInForce.GTC,
    )


def script():
    for step in range(20):
        yield [a_bar(step), an_intent(step + 1, step, Side.BUY if step % 2 else Side.SELL)]
    yield [a_bar(20)]


def run(stage, batches):
    said = []
    for batch in batches:
        for message in batch:
            said += stage.handlers[type(message)](message)
        said += stage.settle()
    return said


def costs(said):
    return [each for each in said if isinstance(each, ExecutionCost)]


def test_everything_else_stays_as_it_was():
    plain = run(build_simulation(SETTINGS), script())
    learning = run(Learning(build_simulation(SETTINGS), CostLearner()), script())
    assert [each for each in learning if not isinstance(each, ExecutionCost)] == plain
    assert not [each for each in learning if isinstance(each, OrderIntent)]


def test_ten_basis_points_of_slippage_are_found():
    found = costs(run(Learning(build_simulation(SETTINGS), CostLearner()), script()))
    assert len(found) == 20
    assert found[-1].slippage == pytest.approx(0.001)
    assert found[-1].observations == 20
    for each in found:
        assert decode(encode(each)) == each


def test_a_better_price_than_at_arrival_is_a_negative_cost():
    stage = Learning(build_simulation(SETTINGS), CostLearner())
    (found,) = costs(run(stage, [[a_bar(0, 100.0), an_intent(1, 0)], [a_bar(1, 90.0)]]))
    assert found.slippage == pytest.approx(90.0 * 1.001 / 100.0 - 1.0)


def test_a_report_that_is_said_again_teaches_nothing_new():
    stage = Learning(build_simulation(SETTINGS), CostLearner())
    run(stage, [[a_bar(0), an_intent(1, 0)], [a_bar(1)]])
    assert costs(run(stage, [[an_intent(1, 0)]])) == []


def test_after_a_restart_it_knows_what_it_knew():
    first = Learning(build_simulation(SETTINGS), CostLearner())
    history = []
    for batch in script():
        history += batch
        history += run(first, [batch])
    second = Learning(build_simulation(SETTINGS), CostLearner())
    for message in history:
        second.restore(message)
    more = [[a_bar(30), an_intent(90, 30)], [a_bar(31)]]
    assert costs(run(second, more)) == costs(run(first, more))
