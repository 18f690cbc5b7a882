"""A release ends what its giver was shown: one that is heard late undoes no kill that is newer, whatever dates it."""

from datetime import timedelta
from threading import Thread
from uuid import UUID

import pytest
from order_messages import NOON, a_bar, an_intent, as_shown, seen, tell

from contracts.codec import encode
from contracts.control import KillScope, KillSwitchCommand
from kernel.ports import Unprocessable
from order_plane.command_channel import CommandChannel, CommandRefused, ask
from order_plane.command_fields import kills_among
from order_plane.composition import build_simulation, build_stage
from order_plane.journals.memory import MemoryJournal
from order_plane.operator_commands import operator_commands
from order_plane.retelling import obeyed_ahead
from order_plane.settings import OrderSettings

SETTINGS = OrderSettings.model_validate({"guards": (), "reconciliation": None, "limits": {"duplicate_window": 0}})
SYMBOL = {"scope": KillScope.SYMBOL, "target": "AAPL"}


def a_command(number, minutes, *, engage, **changes):
    given = {"operator": "ada", "reason": "drill", "timestamp": NOON + timedelta(minutes=minutes)}
    return KillSwitchCommand(command_id=UUID(int=number), engage=engage, **{**given, **changes})


def by_socket(stage, command):
    return operator_commands(stage, lambda said: None)["kill"]({"message": encode(command).decode()})


def engaged(stage):
    return [each.command_id.int for each in (*stage.desk.switch.engaged, *stage.desk.halts.engaged)]


@pytest.mark.parametrize("where", [{}, SYMBOL, {"scope": KillScope.STRATEGY, "target": "momentum"}])
def test_an_old_release_that_is_read_late_does_not_undo_a_kill_given_since(where):
    stage = build_simulation(SETTINGS)
    by_socket(stage, a_command(1, 10, engage=True, **where))
    for stale in (a_command(2, 5, engage=False, **where), a_command(4, 5, engage=False, ends=UUID(int=7), **where)):
        for _ in range(2):
            with pytest.raises(Unprocessable, match="does not name the newest command"):
                tell(stage, stale)
    assert engaged(stage) == [1]
    tell(stage, as_shown(stage, a_command(3, 11, engage=False, **where)))
    assert engaged(stage) == []


@pytest.mark.parametrize("where", [{}, SYMBOL])
def test_an_unread_release_does_not_undo_what_a_guard_has_tripped_since_however_far_the_data_lags(where):
    """The guard's command bears the time of a bar, an hour behind the clock of the person."""
    stage = build_simulation(SETTINGS)
    tell(stage, a_command(1, 50, engage=True, **where))
    unread = as_shown(stage, a_command(2, 60, engage=False, **where))
    tell(stage, a_command(3, 0, engage=True, cause="DRAWDOWN", operator="guard", **where))
    for stale in (unread, a_command(4, 60, engage=False, **where)):
        with pytest.raises(Unprocessable, match="DRAWDOWN by guard"):
            tell(stage, stale)
    assert engaged(stage)


def test_what_is_named_is_released_though_data_of_another_year_date_the_kill_later():
    stage = build_simulation(SETTINGS)
    tell(stage, a_command(1, 60 * 24 * 365, engage=True, cause="DRAWDOWN", operator="guard"))
    tell(stage, as_shown(stage, a_command(2, 0, engage=False)))
    assert engaged(stage) == []


def test_a_release_between_two_kills_of_one_switch_undoes_neither():
    stage = build_simulation(SETTINGS)
    tell(stage, a_command(1, 0, engage=True))
    release = as_shown(stage, a_command(2, 5, engage=False))
    by_socket(stage, a_command(3, 10, engage=True))
    with pytest.raises(Unprocessable, match="does not name"):
        tell(stage, release)
    assert engaged(stage) == [1]


def test_an_old_release_that_is_read_at_the_restart_does_not_undo_a_kill_in_the_journal():
    journal = MemoryJournal()
    first = build_stage(SETTINGS, journal, broker_of())
    first.recover()
    by_socket(first, a_command(1, 10, engage=True))
    again = build_stage(SETTINGS, journal, broker_of())
    again.restore(a_command(2, 5, engage=False))
    said = again.recover()
    assert engaged(again) == [1]
    assert [each.code for each in said if each.event_type == "risk_alert"] == ["RELEASE_REFUSED"]


def test_a_release_that_waits_at_the_socket_does_not_undo_the_kill_behind_it_which_is_heeded_first(tmp_path):
    stage = build_simulation(SETTINGS)
    channel = CommandChannel(tmp_path / "order.sock", operator_commands(stage, lambda said: None))
    stage.heed(lambda: kills_among(channel.waiting()))
    answers = []

    def order(command):
        try:
            answers.append(ask(tmp_path / "order.sock", "kill", {"message": encode(command).decode()}))
        except CommandRefused as refusal:
            answers.append(str(refusal))

    threads = []
    for number, command in enumerate((a_command(2, 5, engage=False), a_command(3, 6, engage=True)), start=1):
        threads.append(Thread(target=order, args=(command,)))
        threads[-1].start()
        while len(channel.waiting()) < number:
            threads[-1].join(0.01)
    tell(stage, a_bar(0), an_intent(1, quantity=1.0))
    assert engaged(stage) == [3], "the kill is known before the first order leaves"
    channel.poll()
    for thread in threads:
        thread.join(10.0)
    channel.close()
    assert engaged(stage) == [3]
    assert sum("does not name" in str(each) for each in answers) == 1


@pytest.mark.parametrize("restart", [False, True])
def test_a_release_that_was_carried_out_and_is_read_again_behind_a_newer_kill_is_no_refusal(restart):
    journal, broker = MemoryJournal(), broker_of()
    stage = build_stage(SETTINGS, journal, broker)
    stage.recover()
    tell(stage, a_command(1, 0, engage=True))
    release = as_shown(stage, a_command(2, 1, engage=False))
    tell(stage, release, a_command(3, 2, engage=True))
    if restart:
        stage = build_stage(SETTINGS, journal, broker)
        stage.restore(release)
        assert not [each for each in stage.recover() if each.event_type == "risk_alert"]
    assert tell(stage, release) == []
    assert engaged(stage) == [3]


def test_an_older_kill_that_is_read_late_still_stops_trading():
    stage = build_simulation(SETTINGS)
    tell(stage, a_command(2, 5, engage=False))
    tell(stage, a_command(1, 0, engage=True))
    assert engaged(stage) == [1]


def broker_of():
    return build_simulation(SETTINGS)._broker


def test_a_release_that_overtakes_a_backlog_lets_leave_only_what_would_leave_by_now():
    stage = build_simulation(SETTINGS)
    tell(stage, a_bar(), a_command(1, 0, engage=True))
    backlog = [
        an_intent(1, 1, valid_until=NOON + timedelta(minutes=2)),
        an_intent(2, 2, quantity=3.0),
        an_intent(3, 3, quantity=4.0),
    ]
    said = tell(stage, backlog[1])
    obeyed_ahead(stage, as_shown(stage, a_command(2, 5, engage=False)))
    said += tell(stage, a_bar(6), *backlog)
    assert [(number, status) for number, status, _ in seen(said)] == [
        (2, "REJECTED"),  # handled before the release
        (1, "REJECTED"),  # it has expired
        (3, "ACKNOWLEDGED"),
        (2, "REJECTED"),  # what was refused stays refused
    ]
    assert [each.reject_reason.partition(":")[0] for each in said if seen([each]) and each.intent_id.int == 1] == [
        "INTENT_EXPIRED"
    ]


ODD = [({"target": "AAPL"}, "one target"), ({"reason": " "}, "no reason")]


@pytest.mark.parametrize(("odd", "why"), ODD)
def test_a_kill_with_odd_fields_is_obeyed_and_a_release_with_them_is_refused(odd, why):
    stage = build_simulation(SETTINGS)
    tell(stage, a_command(1, 10, engage=True, **odd))
    assert engaged(stage) == [1]
    with pytest.raises(Unprocessable, match=why):
        tell(stage, as_shown(stage, a_command(2, 11, engage=False, **odd)))
    assert engaged(stage) == [1]
    tell(stage, as_shown(stage, a_command(3, 12, engage=False)))
    assert engaged(stage) == []
