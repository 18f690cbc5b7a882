import pytest

from contracts.control import KillScope
from order_plane.safety.kill_switch import KillSwitch


def test_nothing_is_stopped_until_somebody_engages(make_command):
    switch = KillSwitch("ACC")
    assert switch.stops("momentum") is None
    switch.apply(make_command(True))
    assert switch.stops("momentum").operator == "ada"


@pytest.mark.parametrize(
    ("scope", "target", "stopped"),
    [
        (KillScope.GLOBAL, "*", True),
        (KillScope.ACCOUNT, "ACC", True),
        (KillScope.ACCOUNT, "*", True),
        (KillScope.ACCOUNT, "OTHER", False),
        (KillScope.STRATEGY, "momentum", True),
        (KillScope.STRATEGY, "*", True),
        (KillScope.STRATEGY, "pairs", False),
    ],
)
def test_a_switch_stops_what_its_scope_covers(make_command, scope, target, stopped):
    switch = KillSwitch("ACC")
    switch.apply(make_command(True, scope=scope, target=target))
    assert (switch.stops("momentum") is not None) is stopped


def test_a_release_opens_its_own_switch_only(make_command):
    switch = KillSwitch("ACC")
    switch.apply(make_command(True, 1))
    switch.apply(make_command(True, 2, KillScope.STRATEGY, "momentum"))
    switch.apply(make_command(False, 3))
    assert switch.stops("momentum") is not None
    assert switch.stops("pairs") is None


def test_engaging_twice_needs_one_release(make_command):
    switch = KillSwitch("ACC")
    switch.apply(make_command(True, 1))
    switch.apply(make_command(True, 2))
    assert len(switch.engaged) == 1
    switch.apply(make_command(False, 3))
    assert switch.engaged == ()
