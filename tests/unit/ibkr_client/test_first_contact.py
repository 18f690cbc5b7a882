from threading import Event

import pytest

from ibkr_client.first_contact import connected, marker_of
from ibkr_client.settings import GatewaySettings

GATEWAY = GatewaySettings(first_wait_seconds=1.0, longest_wait_seconds=3.0)


class Absent(Exception):
    pass


class Start:
    """Starts of one plane whose gateway is absent for the first so many tries."""

    def __init__(self, directory):
        self.marker = marker_of(directory, "order")
        self.stop = Event()

    def run(self, absent, error=Absent):
        self.left, self.waits = absent, []

        def make():
            if self.left:
                self.left -= 1
                raise error
            return "a connection"

        def pause(seconds):
            self.waits.append(seconds)
            if len(self.waits) == 10:
                self.stop.set()

        return connected(make, Absent, self.marker, GATEWAY, self.stop, pause)


@pytest.fixture
def start(tmp_path):
    return Start(tmp_path)


def test_a_gateway_that_never_was_there_fails_the_start_at_once(start):
    for _ in range(2):
        with pytest.raises(Absent):
            start.run(absent=1)
        assert start.waits == []


def test_one_that_was_there_is_waited_for_ever_longer_up_to_the_longest_wait(start):
    assert start.run(absent=0) == "a connection"
    assert start.run(absent=4) == "a connection"
    assert start.waits == [1.0, 2.0, 3.0, 3.0]


def test_a_plane_that_is_told_to_stop_waits_no_more(start):
    start.run(absent=0)
    assert start.run(absent=99) is None
    assert len(start.waits) == 10


def test_what_waiting_cannot_mend_is_not_waited_for(start):
    start.run(absent=0)
    with pytest.raises(KeyError):
        start.run(absent=1, error=KeyError)


def test_each_plane_of_a_directory_has_its_own_mark(start, tmp_path):
    start.run(absent=0)
    start.marker = marker_of(tmp_path, "data")
    with pytest.raises(Absent):
        start.run(absent=1)
