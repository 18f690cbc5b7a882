import signal

import pytest

from gates.session_ending import noted, told_to_end


def press():
    signal.raise_signal(signal.SIGINT)


def test_a_second_key_breaks_off_what_is_noted_and_nothing_between():
    problems = []
    with told_to_end() as told:
        press()
        assert told.is_set()
        for what in ("the session", "its closing"):
            with noted(problems, what, told):
                press()
                problems.append("not reached")
            press()
    assert problems == ["the session: KeyboardInterrupt", "its closing: KeyboardInterrupt"]


def test_before_a_session_has_begun_a_second_key_breaks_off():
    with told_to_end():
        press()
        with pytest.raises(KeyboardInterrupt):
            press()
