"""What a storm recalls of the orders of an earlier life."""

from datetime import timedelta

import order_messages
import pytest

from contracts.trading import OrderStatus
from order_plane.composition import guards_of
from order_plane.facts import Fact, FactKind
from order_plane.lifecycle import history_of
from order_plane.reports import NO_ORDER, execution_report
from order_plane.safety.guard_settings import StormSettings
from order_plane.safety.performance_guard import Storm
from order_plane.settings import OrderSettings


class Market:
    """A market that stands still."""

    now = order_messages.NOON

    def price_of(self, symbol):
        return 100.0

    def priced_at(self, symbol):
        return self.now


@pytest.mark.parametrize(("second", "trips"), [("e1", []), ("e2", ["REPEATED_EXECUTIONS"])])
def test_a_correction_is_no_other_execution_whatever_its_revision(second, trips):
    intent = order_messages.an_intent()
    fills = [
        Fact(intent.intent_id, FactKind.FILL, name, intent.timestamp, "o-1", 1.0, 100.0, revision=number)
        for number, name in enumerate(("e1", second), start=2)
    ]
    guards = guards_of(OrderSettings.model_validate({"guards": [], "repeat_executions": {"count": 1}}))
    history = history_of(intent.quantity, fills)
    status, at = OrderStatus.PARTIAL_FILL, intent.timestamp
    guards.remember(execution_report(intent, NO_ORDER, 1, status, history, at, "restored"), fills)
    assert [each.cause for each in guards.judge(Market())] == trips


def test_what_is_told_late_takes_its_place_and_the_oldest_makes_room():
    storm, noon = Storm("events", StormSettings(count=2, window=60)), order_messages.NOON
    for seconds in (100, 0, 130, 110):
        storm.hit(noon + timedelta(seconds=seconds))
    assert storm.rages(noon + timedelta(seconds=160))
    assert not storm.rages(noon + timedelta(seconds=161))
