from uuid import UUID

import pytest

from contracts.codec import encode
from contracts.control import RiskAlert
from contracts.trading import ExecutionReport, OrderIntent, TimeInForce
from order_plane.command_channel import CommandRefused
from order_plane.command_fields import fields_of, resolution_of
from order_plane.composition import build_simulation
from order_plane.journals.port import Resolution, Verdict
from order_plane.operator_commands import operator_commands
from order_plane.settings import Mode, OrderSettings


@pytest.fixture
def stage():
    return build_simulation(OrderSettings(mode=Mode.SIMULATION, limits={"duplicate_window": 0}))


@pytest.fixture
def said():
    return []


@pytest.fixture
def commands(stage, said):
    return operator_commands(stage, said.extend)


def test_a_kill_has_cancelled_everything_when_it_is_answered(
    stage, commands, said, make_bar, make_intent, make_command
):
    stage.handlers[type(make_bar())](make_bar())
    for number in range(1, 51):
        intent = make_intent(number, time_in_force=TimeInForce.GTC, quantity=1.0 + number / 10)
        stage.handlers[OrderIntent](intent)
    stage.settle()
    answer = commands["kill"]({"message": encode(make_command(True)).decode()})
    assert (answer["killed"], answer["open_orders"]) == (True, 0)
    assert [each.status.value for each in said if isinstance(each, ExecutionReport)] == ["CANCELED"] * 50
    assert [each.code for each in said if isinstance(each, RiskAlert)] == ["KILL_SWITCH_ENGAGED"]
    assert commands["status"]({})["killed"] is True


@pytest.mark.parametrize("message", ["", "{}", "nonsense", None])
def test_what_is_no_kill_switch_command_is_refused(commands, message):
    with pytest.raises(CommandRefused, match="no kill switch command"):
        commands["kill"]({"message": message})


def a_decision(noon, **changes):
    decision = Resolution(UUID(int=1), 1, Verdict.NOT_SENT, "ann", "asked", noon)
    return {**fields_of(decision), **changes}


def test_a_decision_survives_its_way_through_the_channel(noon):
    decision = Resolution(UUID(int=1), 2, Verdict.ADOPTED, "ann", "asked", noon, "v-1")
    assert resolution_of(fields_of(decision)) == decision


@pytest.mark.parametrize(
    "changes",
    [
        {"operator": " "},
        {"reason": ""},
        {"verdict": "MAYBE"},
        {"intent_id": "x"},
        {"attempt": "x"},
        {"at": "2024-01-02T17:00:00"},
        {"order_id": "v-1"},
        {"verdict": "ADOPTED"},
    ],
)
def test_a_decision_without_a_name_a_reason_or_sense_is_refused(noon, changes):
    with pytest.raises(CommandRefused):
        resolution_of(a_decision(noon, **changes))


def test_a_decision_on_what_is_not_in_doubt_is_refused(commands, noon):
    with pytest.raises(CommandRefused, match="no order of this intent is in doubt"):
        commands["resolve"](a_decision(noon))


@pytest.mark.parametrize(
    "changes",
    [
        {"operator": "x" * 65},
        {"operator": "a\0"},
        {"operator": "\ud800"},
        {"reason": "x" * 401},
        {"reason": "a\nb"},
        {"attempt": 0},
        {"attempt": 10**30},
        {"at": "0001-01-01T00:00:00+14:00"},
        {"at": "9999-12-31T23:59:59-14:00"},
        {"verdict": "ADOPTED", "order_id": "a b"},
        {"verdict": "ADOPTED", "order_id": "a" * 65},
        {"verdict": "ADOPTED", "order_id": "\u00e9"},
    ],
)
def test_a_decision_that_no_report_could_tell_is_refused_before_it_is_durable(noon, changes):
    with pytest.raises(CommandRefused):
        resolution_of(a_decision(noon, **changes))
